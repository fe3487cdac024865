"""What a pipeline definition says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from rpe.fakes.behaviour import Behaviour
from rpe.fakes.nodes import NodeFunction
from rpe.manifest.model import Manifest

__all__ = ["PipelineDefinition", "PipelineDocument"]


@dataclass(frozen=True)
class PipelineDefinition:
    """A pipeline that can be served: its node types, its script, and what runs where no manifest comes.

    Attributes:
        name: what the journal calls the server, and, with the seed, the source of all chance.
        about: one sentence on it.
        nodes: the node types that it serves, by name; all others are refused.
        behaviour: the script.
        manifest: what the plain mode of WebRTC runs; one node of the first type where it is None.
    """

    name: str
    about: str
    nodes: Mapping[str, NodeFunction]
    behaviour: Behaviour = field(default_factory=Behaviour)
    manifest: Manifest | None = None

    @property
    def plain_manifest(self) -> Manifest:
        """What runs where the caller brings no manifest."""
        return self.manifest or Manifest.single("node", node_type=next(iter(self.nodes)))


class PipelineDocument(BaseModel):
    """The keys of a file."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
        arbitrary_types_allowed=True,
    )

    pipeline: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    """The name of the pipeline: letters, digits, `-`, `_` and `.`."""
    about: Annotated[str, Field(min_length=1)]
    """One sentence on what it is."""
    nodes: Annotated[dict[str, Any], Field(min_length=1)]
    """The node types that it serves, by name."""
    behaviour: Behaviour = Behaviour()
    """The script, with the keys that it has everywhere."""
    manifest: dict[str, Any] | None = None
    """What the plain mode of WebRTC runs."""
