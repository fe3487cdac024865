"""The rules that every manifest keeps, whoever wrote it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rpe.data.base import check_str, check_uint, thaw
from rpe.data.json_value import check_json
from rpe.errors import DataValidationError
from rpe.manifest.nodes import (
    Capabilities,
    Connection,
    CpuRequirement,
    DataTypeHint,
    GpuRequirement,
    Node,
    RuntimeHint,
)

__all__ = ["VERSION", "find_problems"]

VERSION = "v1"


def find_problems(
    *,
    version: Any,
    name: Any,
    description: Any,
    created_at: Any,
    nodes: Sequence[Node],
    connections: Sequence[Connection],
    extra: Any,
) -> list[str]:
    """Everything that is wrong, one sentence each; an empty list where nothing is.

    The arguments are the fields of a manifest, of any type: they may come from anybody's JSON.
    """
    labels = {"name": name, "description": description, "created_at": created_at}
    return [
        *([] if version == VERSION else [f"version must be {VERSION!r}, not {version!r}"]),
        *(told for label, value in labels.items() for told in _unless_text(f"metadata.{label}", value)),
        *_unless_json_object("extra", extra),
        *(problem for index, node in enumerate(nodes) for problem in _problems_of_node(index, node)),
        *_problems_of_graph(nodes, connections),
    ]


def _problems_of_node(index: int, node: Node) -> Iterator[str]:
    where = f"nodes[{index}]"
    for name in ("id", "node_type"):
        value = getattr(node, name)
        yield from _unless_text(f"{where}.{name}", value)
        if isinstance(value, str) and not value.strip():
            yield f"{where}.{name} is empty"
    yield from _unless_text(f"{where}.host", node.host)
    for name in ("is_streaming", "is_output_node"):
        if not isinstance(getattr(node, name), bool):
            yield f"{where}.{name} must be true or false"
    for name in ("params", "extra"):
        yield from _unless_json_object(f"{where}.{name}", getattr(node, name))
    if node.runtime_hint is not None and not isinstance(node.runtime_hint, RuntimeHint):
        yield f"{where}.runtime_hint {node.runtime_hint!r} is none of {', '.join(RuntimeHint)}"
    for name in ("input_types", "output_types"):
        hints = getattr(node, name)
        if not isinstance(hints, tuple) or not all(isinstance(hint, DataTypeHint) for hint in hints):
            yield f"{where}.{name} must be a list of {', '.join(DataTypeHint)}"
    if node.capabilities is not None:
        yield from _problems_of_capabilities(f"{where}.capabilities", node.capabilities)


def _problems_of_capabilities(where: str, needs: Any) -> Iterator[str]:
    if not isinstance(needs, Capabilities):
        yield f"{where} must be an object"
        return
    yield from _unless_amount(f"{where}.memory_gb", needs.memory_gb)
    gpu: Any = needs.gpu
    if isinstance(gpu, GpuRequirement):
        yield from _unless_text(f"{where}.gpu.type", gpu.type)
        yield from _unless_amount(f"{where}.gpu.min_memory_gb", gpu.min_memory_gb)
        if not isinstance(gpu.required, bool):
            yield f"{where}.gpu.required must be true or false"
    elif gpu is not None:
        yield f"{where}.gpu must be an object"
    cpu: Any = needs.cpu
    if isinstance(cpu, CpuRequirement):
        yield from _told_by(check_uint, cpu.cores, 32, f"{where}.cpu.cores")
        yield from _unless_text(f"{where}.cpu.arch", cpu.arch)
    elif cpu is not None:
        yield f"{where}.cpu must be an object"


def _problems_of_graph(nodes: Sequence[Node], connections: Sequence[Connection]) -> Iterator[str]:
    if not nodes:
        yield "nodes must hold at least one node"
    ids: Iterator[Any] = (node.id for node in nodes)
    counts = Counter(node_id for node_id in ids if isinstance(node_id, str))
    for node_id, count in counts.items():
        if count > 1:
            yield f"{count} nodes have the id {node_id!r}"
    for index, connection in enumerate(connections):
        ends: tuple[tuple[str, Any], ...] = (("from", connection.from_), ("to", connection.to))
        for end, node_id in ends:
            if not isinstance(node_id, str) or node_id not in counts:
                yield f"connections[{index}].{end} is no node: {node_id!r}"


def _unless_text(where: str, value: Any) -> Iterator[str]:
    yield from _told_by(check_str, value, where)


def _unless_amount(where: str, value: Any) -> Iterator[str]:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < 0:
        yield f"{where} must be a number of gigabytes, not {value!r}"


def _unless_json_object(where: str, value: Any) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{where} must be an object, not {type(value).__name__}"
        return
    yield from _told_by(check_json, thaw(value), where)


def _told_by(check: Any, *arguments: Any) -> Iterator[str]:
    """What such a check of the data would raise, as a sentence."""
    try:
        check(*arguments)
    except DataValidationError as error:
        yield error.message
