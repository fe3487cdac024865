"""The manifest: a pipeline as it is written down and sent to a server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from rpe.data.base import FrozenDict, assign, freeze, thaw
from rpe.data.json_value import dump_json
from rpe.errors import ManifestInvalid
from rpe.manifest.checks import VERSION, find_problems
from rpe.manifest.nodes import (
    Capabilities,
    Connection,
    CpuRequirement,
    DataTypeHint,
    GpuRequirement,
    Node,
    RuntimeHint,
)
from rpe.manifest.reading import Reader
from rpe.manifest.texts import parse_manifest_json, parse_manifest_yaml, read_manifest_file

__all__ = [
    "Capabilities",
    "Connection",
    "CpuRequirement",
    "DataTypeHint",
    "GpuRequirement",
    "Manifest",
    "Node",
    "RuntimeHint",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A pipeline: its nodes, and the connections on which their data flows.

    It does not change, compares by content and has a hash. Raises ManifestInvalid, with
    every problem listed, where a rule of `rpe.manifest.checks` is broken.

    name, description, created_at: for people; no server acts on them.
    extra: fields of the JSON form that are not known here; they are sent again in JSON.
    """

    version: str = VERSION
    name: str = ""
    description: str = ""
    created_at: str = ""
    nodes: tuple[Node, ...] = ()
    connections: tuple[Connection, ...] = ()
    extra: Mapping[str, Any] = FrozenDict()
    entry: str = field(default="", init=False, repr=False, compare=False)
    """The id of the node that takes a lone input: the first one that no connection leads to."""
    _forms: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        assign(self, "nodes", tuple(self.nodes))
        assign(self, "connections", tuple(self.connections))
        assign(self, "extra", freeze(self.extra))
        _raise(find_problems(**{part.name: getattr(self, part.name) for part in fields(self) if part.init}))
        assign(self, "entry", (self.input_nodes or self.nodes)[0].id)

    @classmethod
    def single(cls, node_id: str, /, *, node_type: str, **params: Any) -> Manifest:
        """A pipeline of one node, which is called as the pipeline is."""
        return cls(name=node_id, nodes=(Node(node_id, node_type, params),))

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Manifest:
        """Read the JSON form; `metadata` and `connections` may be missing.

        Raises ManifestInvalid with every problem in it.
        """
        reader = Reader()
        parts = reader.read(raw)
        if reader.problems:
            _raise([*reader.problems, *find_problems(**parts)])
        return cls(**parts)

    @classmethod
    def from_json(cls, text: str | bytes) -> Manifest:
        """Read the JSON form from its text. Raises ManifestInvalid, also where it is not JSON."""
        return cls.from_dict(parse_manifest_json(text))

    @classmethod
    def from_yaml(cls, text: str | bytes) -> Manifest:
        """Read the same form written as YAML. Raises ManifestInvalid, also where it is not YAML."""
        return cls.from_dict(parse_manifest_yaml(text))

    @classmethod
    def from_file(cls, path: Path) -> Manifest:
        """Read a file: YAML where it is named `.yaml` or `.yml`, JSON otherwise. Raises ManifestInvalid."""
        try:
            return cls.from_dict(read_manifest_file(path))
        except ManifestInvalid as error:
            raise ManifestInvalid(
                f"{path} is not valid", problems=error.problems or [error.message]
            ) from error

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, the caller's to change; `metadata` and `connections` are always in it."""
        form: dict[str, Any] = thaw(self.extra)
        labels = {"name": self.name}
        if self.description:
            labels["description"] = self.description
        if self.created_at:
            labels["created_at"] = self.created_at
        return form | {
            "version": self.version,
            "metadata": labels,
            "nodes": [node.to_dict() for node in self.nodes],
            "connections": [connection.to_dict() for connection in self.connections],
        }

    def to_json(self) -> str:
        """The text of the JSON form."""
        return self.form("json", lambda manifest: dump_json(manifest.to_dict(), "the manifest"))

    def node(self, node_id: str) -> Node | None:
        """The node of that id."""
        return next((node for node in self.nodes if node.id == node_id), None)

    @property
    def input_nodes(self) -> tuple[Node, ...]:
        """The nodes that no connection leads to: those that take the pipeline's input."""
        fed = {connection.to for connection in self.connections}
        return tuple(node for node in self.nodes if node.id not in fed)

    @property
    def output_nodes(self) -> tuple[Node, ...]:
        """The nodes marked as outputs; where none is, those that no connection leads from."""
        marked = tuple(node for node in self.nodes if node.is_output_node)
        feeding = {connection.from_ for connection in self.connections}
        return marked or tuple(node for node in self.nodes if node.id not in feeding)

    def form(self, wire: str, build: Callable[[Manifest], T]) -> T:
        """The manifest as the wire of that name takes it, built once and kept.

        Whoever gets it shares it, and must not change it.
        """
        known: T | None = self._forms.get(wire)
        if known is None:
            known = self._forms[wire] = build(self)
        return known


def _raise(problems: list[str]) -> None:
    if problems:
        raise ManifestInvalid("the manifest is not valid", problems=problems)
