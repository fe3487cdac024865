"""The node types that are known by name: those in the box, and those that other packages add."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points

from rpe.errors import ConfigurationError
from rpe.node.builtin import BUILT_IN
from rpe.node.contract import NodeType
from rpe.node.errors import DuplicateNodeType, UnknownNodeType

__all__ = ["ENTRY_POINT_GROUP", "NodeRegistry", "default_registry", "register_node"]

ENTRY_POINT_GROUP = "rpe.nodes"
"""The entry point group in which another package names its node types."""


class NodeRegistry:
    """Node types by name. Entry points are read at first need, and loaded one by one when asked for.

    Arguments:
        types: what is known from the start.
        entry_point_group: where other packages are looked for; None for nowhere.
    """

    def __init__(
        self, types: Iterable[NodeType] = BUILT_IN, *, entry_point_group: str | None = ENTRY_POINT_GROUP
    ) -> None:
        self._group = entry_point_group
        self._types: dict[str, NodeType] = {}
        self._points: list[EntryPoint] | None = None
        for node_type in types:
            self.register(node_type)

    def register(self, node_type: NodeType) -> NodeType:
        """Add a node type, and return it. Raises DuplicateNodeType where its name is taken.

        A name that an entry point claims is free until it has been used: what a program
        registers itself goes before what happens to be installed.
        """
        if node_type.name in self._types:
            raise DuplicateNodeType(
                f"a node type named {node_type.name!r} is registered already",
                hint="give it another name",
            )
        self._types[node_type.name] = node_type
        return node_type

    def get(self, name: str) -> NodeType:
        """Return the node type of that name, loading it where it has not been used yet.

        Raises UnknownNodeType (listing the known names), DuplicateNodeType where two packages
        claim the name, ConfigurationError where it cannot be loaded or is no node type.
        """
        if name in self._types:
            return self._types[name]
        found = [point for point in self._entry_points() if point.name == name]
        if not found:
            raise UnknownNodeType(
                f"no node type is named {name!r}",
                hint=f"known node types: {', '.join(self.names()) or 'none'}",
            )
        if len(found) > 1:
            claims = ", ".join(point.value for point in found)
            raise DuplicateNodeType(
                f"several packages claim the node type {name!r}: {claims}", hint="remove one"
            )
        try:
            loaded: object = found[0].load()
        except (ImportError, AttributeError) as error:
            raise ConfigurationError(
                f"the node type {name!r} cannot be loaded from {found[0].value}: {error}",
                hint="install what this node type needs",
            ) from error
        if not isinstance(loaded, NodeType):
            raise ConfigurationError(f"{found[0].value}, claimed to be the node type {name!r}, is none")
        self._types[name] = loaded
        return loaded

    def names(self) -> tuple[str, ...]:
        """Return every known name, sorted."""
        return tuple(sorted({*self._types, *(point.name for point in self._entry_points())}))

    def _entry_points(self) -> list[EntryPoint]:
        if self._points is None:
            self._points = list(entry_points(group=self._group)) if self._group else []
        return self._points


_REGISTRY = NodeRegistry()


def default_registry() -> NodeRegistry:
    """Return the registry of this process, which runners use where they are given none."""
    return _REGISTRY


def register_node(node_type: NodeType) -> NodeType:
    """Add a node type for this process (see `NodeRegistry.register`)."""
    return _REGISTRY.register(node_type)
