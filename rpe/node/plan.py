"""From a manifest to what the runner runs: node types found, settings read, the graph checked.

Every problem is told at once: unknown node types, params, circles, kinds that do not fit, error ports.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from rpe.errors import ConfigurationError, ManifestInvalid
from rpe.manifest.model import Manifest
from rpe.manifest.nodes import Node
from rpe.node.builtin.flow import ERROR_PORT, ERROR_SUFFIX
from rpe.node.contract import NodeType
from rpe.node.kinds import ALL_KINDS, CONTROL, Kinds, kinds_of, named
from rpe.node.registry import NodeRegistry

__all__ = ["Plan", "Step", "find_types", "make_plan"]


@dataclass(frozen=True, slots=True)
class Step:
    """One node, ready to be made.

    takes, gives: its kinds of data, the type's own narrowed by the manifest and by what feeds it.
    targets, error_targets: the nodes that its outputs and its failures go to, one for each connection.
    sources: how many connections lead to it, its error port's own included.
    """

    node_id: str
    node_type: NodeType
    settings: Any
    takes: Kinds
    gives: Kinds
    targets: tuple[str, ...]
    error_targets: tuple[str, ...]
    sources: int
    is_output: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """A pipeline that can run: its nodes by id, and the one that takes a lone input."""

    steps: dict[str, Step]
    entry: str

    @property
    def outputs(self) -> tuple[str, ...]:
        """The ids of the nodes whose results leave the pipeline."""
        return tuple(step.node_id for step in self.steps.values() if step.is_output)


def make_plan(manifest: Manifest, registry: NodeRegistry) -> Plan:
    """Return the plan. Raises ManifestInvalid with every problem."""
    problems: list[str] = []
    types, settings = find_types(enumerate(manifest.nodes), registry, problems)
    problems += _problems_of_error_ports(manifest)
    edges = [(connection.from_, connection.to) for connection in manifest.connections]
    ports = [(_owner(item), item.id) for item in manifest.nodes if _is_error_port(item)]
    ports = [(owner, port) for owner, port in ports if owner != port and owner in types]
    order, circles = _sorted(list(types), edges + ports)
    problems += circles
    takes, gives = _flow_of_kinds(manifest, types, order)
    for index, (source, target) in enumerate(edges):
        # Control messages pass by whoever does not take them: that both know them joins nothing.
        given_kinds, taken_kinds = gives[source] - CONTROL, takes[target] - CONTROL
        if given_kinds and not given_kinds & taken_kinds:
            given, taken = named(given_kinds), named(taken_kinds)
            problems.append(f"connections[{index}]: {source!r} gives {given}, {target!r} takes {taken}")
    if problems:
        raise ManifestInvalid("the pipeline cannot run here", problems=problems)

    outputs = {item.id for item in manifest.output_nodes}
    leaving, coming, failing = (defaultdict[str, list[str]](list) for _ in range(3))
    for source, target in edges:
        leaving[source].append(target)
        coming[target].append(source)
    for owner, port in ports:
        failing[owner].append(port)
        coming[port].append(owner)
        if not leaving[port]:  # an error that is led out must not get lost on the way
            outputs.add(port)
    steps = {
        node_id: Step(
            node_id,
            found,
            settings[node_id],
            takes[node_id],
            gives[node_id],
            tuple(leaving[node_id]),
            tuple(failing[node_id]),
            len(coming[node_id]),
            node_id in outputs,
        )
        for node_id, found in types.items()
        if found is not None
    }
    return Plan(steps, next(node_id for node_id in steps if not coming[node_id]))


def find_types(
    nodes: Iterable[tuple[int, Node]], registry: NodeRegistry, problems: list[str]
) -> tuple[dict[str, NodeType | None], dict[str, Any]]:
    """Return the type of each node (None: unknown) and its settings; what is wrong goes to `problems`.

    The nodes come with their positions in the manifest.
    """
    types: dict[str, NodeType | None] = {}
    settings: dict[str, Any] = {}
    for index, item in nodes:
        types[item.id] = found = _find(registry, item, f"nodes[{index}]", problems)
        if found is not None:
            settings[item.id], wrong = found.params.read(item.params, f"nodes[{index}].params")
            problems += wrong
    return types, settings


def _find(registry: NodeRegistry, item: Node, where: str, problems: list[str]) -> NodeType | None:
    try:
        found = registry.get(item.node_type)
        return found.streaming if item.is_streaming and found.streaming is not None else found
    except ConfigurationError as error:
        hint = f" ({error.hint})" if error.hint else ""
        problems.append(f"{where}.node_type: {error.message}{hint}")
        return None


def _is_error_port(item: Node) -> bool:
    return item.node_type == ERROR_PORT.name


def _owner(item: Node) -> str:
    return item.id.removesuffix(ERROR_SUFFIX)


def _problems_of_error_ports(manifest: Manifest) -> list[str]:
    problems = []
    ports = {item.id for item in manifest.nodes if _is_error_port(item)}
    for index, item in enumerate(manifest.nodes):
        if item.id in ports and (_owner(item) == item.id or manifest.node(_owner(item)) is None):
            problems.append(
                f"nodes[{index}].id of an ErrorPort must be that of a node with {ERROR_SUFFIX!r} after it, "
                f"not {item.id!r}"
            )
    for index, connection in enumerate(manifest.connections):
        if connection.to in ports:
            problems.append(
                f"connections[{index}].to is an error port, which only its node feeds: {connection.to!r}"
            )
    return problems


def _sorted(node_ids: list[str], edges: list[tuple[str, str]]) -> tuple[list[str], list[str]]:
    """The nodes in the order of the data, and the circles, each of which is opened to find the next."""
    before: dict[str, set[str]] = {node_id: set() for node_id in node_ids}
    for source, target in edges:
        before[target].add(source)
    circles: list[str] = []
    while True:
        try:
            return [
                node_id for node_id in TopologicalSorter(before).static_order() if node_id in before
            ], circles
        except CycleError as error:
            path: list[str] = error.args[1]
            circles.append(f"connections go round in a circle: {' -> '.join(path)}")
            before[path[-1]].discard(path[-2])


def _flow_of_kinds(
    manifest: Manifest, types: dict[str, NodeType | None], order: list[str]
) -> tuple[dict[str, Kinds], dict[str, Kinds]]:
    """What each node takes and gives. A type that is unknown takes and gives anything: it is told already."""
    feeding = defaultdict[str, set[str]](set)
    for connection in manifest.connections:
        feeding[connection.to].add(connection.from_)
    takes: dict[str, Kinds] = {}
    gives: dict[str, Kinds] = {}
    items = {item.id: item for item in manifest.nodes}
    for node_id in order:
        item, found = items[node_id], types[node_id]
        taken = found.takes if found else ALL_KINDS
        # The hints know no control messages, so they say nothing about them.
        takes[node_id] = taken & (kinds_of(item.input_types) | CONTROL)
        known = [gives[source] for source in feeding[node_id] if source in gives]
        arriving = frozenset[str]().union(*known) if known else ALL_KINDS
        given = ALL_KINDS if found is None else found.gives
        if given is None:
            # Where nothing fits, that is told at the connection, and not again at all that follow.
            given = takes[node_id] & arriving - CONTROL or takes[node_id]
            # Control messages reach it from behind nodes that let them pass.
            given |= takes[node_id] & CONTROL
        told = kinds_of(item.output_types)
        fitting = given & (told | CONTROL)
        gives[node_id] = fitting if fitting - CONTROL else fitting | told
    return takes, gives
