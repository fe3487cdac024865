"""What a manifest is made of: nodes, what they need, and the connections between them.

These records do not check themselves: a manifest checks all its parts together, so
that every problem is told at once.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rpe.data.base import FrozenDict, assign, freeze, thaw

__all__ = [
    "Capabilities",
    "Connection",
    "CpuRequirement",
    "DataTypeHint",
    "GpuRequirement",
    "Node",
    "RuntimeHint",
]


class DataTypeHint(enum.StrEnum):
    """The kind of data that a node takes or gives."""

    AUDIO = "audio"
    VIDEO = "video"
    TENSOR = "tensor"
    JSON = "json"
    TEXT = "text"
    BINARY = "binary"
    ANY = "any"
    FILE = "file"


class RuntimeHint(enum.StrEnum):
    """Which interpreter a node written in Python asks for."""

    RUSTPYTHON = "rustpython"
    CPYTHON = "cpython"
    CPYTHON_WASM = "cpython_wasm"
    AUTO = "auto"


@dataclass(frozen=True, slots=True)
class GpuRequirement:
    """The GPU that a node needs, or would like."""

    type: str = ""
    min_memory_gb: float = 0.0
    required: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"type": self.type, "min_memory_gb": self.min_memory_gb, "required": self.required}


@dataclass(frozen=True, slots=True)
class CpuRequirement:
    """The processor that a node needs."""

    cores: int = 0
    arch: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"cores": self.cores} | ({"arch": self.arch} if self.arch else {})


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a node needs of the machine that it runs on."""

    gpu: GpuRequirement | None = None
    cpu: CpuRequirement | None = None
    memory_gb: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """The JSON form; what is not asked for is left out."""
        parts: dict[str, Any] = {}
        if self.gpu is not None:
            parts["gpu"] = self.gpu.to_dict()
        if self.cpu is not None:
            parts["cpu"] = self.cpu.to_dict()
        if self.memory_gb:
            parts["memory_gb"] = self.memory_gb
        return parts


@dataclass(frozen=True, slots=True)
class Node:
    """One node of a pipeline.

    params: its settings, a JSON object; kept as a copy that does not change. They may hold
        credentials, so a repr shows neither them nor `extra`.
    is_streaming: whether it gives results while its input still comes.
    is_output_node: whether its results leave the pipeline. Only the JSON form has it.
    host: where it is to run; empty for wherever the pipeline runs.
    extra: fields of the JSON form that are not known here; they are sent again in JSON.
    """

    id: str
    node_type: str
    params: Mapping[str, Any] = field(default=FrozenDict(), repr=False)
    is_streaming: bool = False
    is_output_node: bool = False
    capabilities: Capabilities | None = None
    host: str = ""
    runtime_hint: RuntimeHint | None = None
    input_types: tuple[DataTypeHint, ...] = ()
    output_types: tuple[DataTypeHint, ...] = ()
    extra: Mapping[str, Any] = field(default=FrozenDict(), repr=False)

    def __post_init__(self) -> None:
        for name in ("params", "input_types", "output_types", "extra"):
            assign(self, name, freeze(getattr(self, name)))

    def to_dict(self) -> dict[str, Any]:
        """The JSON form; what is not set is left out."""
        form: dict[str, Any] = thaw(self.extra)
        form |= {"id": self.id, "node_type": self.node_type, "params": thaw(self.params)}
        if self.is_streaming:
            form["is_streaming"] = True
        if self.is_output_node:
            form["is_output_node"] = True
        if self.capabilities is not None:
            form["capabilities"] = self.capabilities.to_dict()
        if self.host:
            form["host"] = self.host
        if self.runtime_hint is not None:
            form["runtime_hint"] = self.runtime_hint.value
        if self.input_types:
            form["input_types"] = [hint.value for hint in self.input_types]
        if self.output_types:
            form["output_types"] = [hint.value for hint in self.output_types]
        return form


@dataclass(frozen=True, slots=True)
class Connection:
    """Data flows from one node to another; both are named by their ids."""

    from_: str
    to: str

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"from": self.from_, "to": self.to}
