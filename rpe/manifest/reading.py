"""From anybody's JSON to the parts of a manifest.

What has the wrong type is taken over as it is, for `rpe.manifest.checks` to tell; only
what has the wrong shape is told here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from rpe.manifest.nodes import (
    Capabilities,
    Connection,
    CpuRequirement,
    DataTypeHint,
    GpuRequirement,
    Node,
    RuntimeHint,
)

__all__ = ["Reader"]

_NODE_FIELDS = frozenset(field.name for field in fields(Node)) - {"extra"}
_MANIFEST_FIELDS = frozenset(["version", "metadata", "nodes", "connections"])
_LABELS = ("name", "description", "created_at")


class Reader:
    """Reads one manifest; afterwards `problems` lists what had no shape to be read from."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def read(self, raw: Any) -> dict[str, Any]:
        """The fields of a Manifest, by name."""
        body = self._object("the manifest", raw)
        labels = self._object("metadata", _given(body, "metadata", {}))
        nodes = self._list("nodes", _given(body, "nodes", []))
        connections = self._list("connections", _given(body, "connections", []))
        return {
            "version": body.get("version"),
            **{name: _given(labels, name, "") for name in _LABELS},
            "nodes": tuple(self._node(f"nodes[{i}]", item) for i, item in enumerate(nodes)),
            "connections": tuple(
                self._connection(f"connections[{i}]", item) for i, item in enumerate(connections)
            ),
            "extra": {key: value for key, value in body.items() if key not in _MANIFEST_FIELDS},
        }

    def _node(self, where: str, raw: Any) -> Node:
        body = self._object(where, raw)
        capabilities = body.get("capabilities")
        return Node(
            id=body.get("id", ""),
            node_type=body.get("node_type", ""),
            params=_given(body, "params", {}),
            is_streaming=_given(body, "is_streaming", False),
            is_output_node=_given(body, "is_output_node", False),
            capabilities=None
            if capabilities is None
            else self._capabilities(f"{where}.capabilities", capabilities),
            host=_given(body, "host", ""),
            runtime_hint=_member(RuntimeHint, body.get("runtime_hint")),
            input_types=self._hints(f"{where}.input_types", body.get("input_types")),
            output_types=self._hints(f"{where}.output_types", body.get("output_types")),
            extra={key: value for key, value in body.items() if key not in _NODE_FIELDS},
        )

    def _hints(self, where: str, raw: Any) -> tuple[DataTypeHint, ...]:
        return tuple(_member(DataTypeHint, item) for item in self._list(where, [] if raw is None else raw))

    def _capabilities(self, where: str, raw: Any) -> Capabilities:
        body = self._object(where, raw)
        gpu, cpu = body.get("gpu"), body.get("cpu")
        return Capabilities(
            gpu=None if gpu is None else self._gpu(f"{where}.gpu", gpu),
            cpu=None if cpu is None else self._cpu(f"{where}.cpu", cpu),
            memory_gb=_given(body, "memory_gb", 0.0),
        )

    def _gpu(self, where: str, raw: Any) -> GpuRequirement:
        body = self._object(where, raw)
        return GpuRequirement(
            _given(body, "type", ""), _given(body, "min_memory_gb", 0.0), _given(body, "required", False)
        )

    def _cpu(self, where: str, raw: Any) -> CpuRequirement:
        body = self._object(where, raw)
        return CpuRequirement(_given(body, "cores", 0), _given(body, "arch", ""))

    def _connection(self, where: str, raw: Any) -> Connection:
        body = self._object(where, raw)
        return Connection(body.get("from", ""), body.get("to", ""))

    def _object(self, where: str, raw: Any) -> Mapping[str, Any]:
        if isinstance(raw, Mapping):
            return raw
        self.problems.append(f"{where} must be an object, not {type(raw).__name__}")
        return {}

    def _list(self, where: str, raw: Any) -> list[Any] | tuple[Any, ...]:
        if isinstance(raw, list | tuple):
            return raw
        self.problems.append(f"{where} must be a list, not {type(raw).__name__}")
        return []


def _given(body: Mapping[str, Any], key: str, default: Any) -> Any:
    """What the key holds; the default where it is missing or null."""
    value = body.get(key)
    return default if value is None else value


def _member(kind: Any, value: Any) -> Any:
    """The member of an enum that is spelled so, in any case; anything else is left as it is."""
    try:
        return kind(value.lower())
    except (AttributeError, ValueError):
        return value
