"""Everything that is wrong with a manifest for a run here, told at once, whoever wrote it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rpe.errors import ManifestInvalid
from rpe.manifest.checks import find_problems
from rpe.manifest.model import Manifest
from rpe.manifest.nodes import Node
from rpe.manifest.reading import Reader
from rpe.node.plan import find_types, make_plan
from rpe.node.registry import NodeRegistry, default_registry

__all__ = ["manifest_problems"]


def manifest_problems(raw: Mapping[str, Any], registry: NodeRegistry | None = None) -> list[str]:
    """Return every problem, a sentence each with its path; an empty list where the pipeline can run here.

    Form, version and ids; unknown node types and bad params; connections to nothing; circles and
    connections between kinds of data that do not fit. A graph that is not one (ids given twice,
    ends that are no node) is not searched for circles: they would be told of what nobody wrote.

    Arguments:
        raw: the JSON form, of anybody's.
        registry: the node types; that of the process where it is None.
    """
    chosen = default_registry() if registry is None else registry
    reader = Reader()
    parts = reader.read(raw)
    problems = [*reader.problems, *find_problems(**parts)]
    if problems:
        find_types(_readable(parts["nodes"]), chosen, problems)
        return problems
    try:
        make_plan(Manifest(**parts), chosen)
    except ManifestInvalid as error:
        return list(error.problems)
    return []


def _readable(nodes: Sequence[Node]) -> Iterator[tuple[int, Node]]:
    """The nodes of which type and params can be looked at, whatever else is wrong with them."""
    for index, node in enumerate(nodes):
        node_type: Any = node.node_type
        if isinstance(node_type, str) and node_type.strip() and isinstance(node.params, Mapping):
            yield index, node
