"""The brain of a pipeline that can be exchanged for another while it is served."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, cast

from rpe.data import RuntimeData
from rpe.fakes.brain import Brain
from rpe.fakes.nodes import NodeFunction
from rpe.fakes.pipelines.model import PipelineDefinition
from rpe.fakes.pipelines.ready import IN_SESSION
from rpe.manifest.model import Manifest
from rpe.transport.serving import ReceivedChunk, Reply, ServerCall, ServerSession

__all__ = ["PipelineBrain"]

_OF_THE_CALL: ContextVar[Mapping[str, NodeFunction] | None] = ContextVar(
    "rpe_fakes_nodes_of_the_call", default=None
)


class _Nodes(Mapping[str, NodeFunction]):
    """The node types of the call that asks, or else those of now."""

    def __init__(self, nodes: Mapping[str, NodeFunction]) -> None:
        self.of_now = nodes

    @property
    def _mine(self) -> Mapping[str, NodeFunction]:
        return _OF_THE_CALL.get() or self.of_now

    def __getitem__(self, name: str) -> NodeFunction:
        return self._mine[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._mine)

    def __len__(self) -> int:
        return len(self._mine)


class PipelineBrain(Brain):
    """A `Brain` that serves a definition.

    `plain_manifest` is what a server is to be given for callers that bring no manifest.
    """

    def __init__(self, definition: PipelineDefinition, **settings: Any) -> None:
        self.definition = definition
        self.plain_manifest = definition.plain_manifest
        self._table = _Nodes(definition.nodes)
        super().__init__(definition.behaviour, self._table, name=definition.name, **settings)

    def replace(self, definition: PipelineDefinition) -> None:
        """Serve another definition from the next call on; calls that run go on with the nodes they have."""
        self.definition = definition
        self._table.of_now = definition.nodes
        self.set_behaviour(definition.behaviour)

    async def execute(self, call: ServerCall, manifest: Manifest, inputs: Mapping[str, RuntimeData]) -> Reply:
        """Answer a unary execution as the script has it."""
        with self._known(in_session=False):
            return await super().execute(call, manifest, inputs)

    async def stream(self, call: ServerCall, session: ServerSession) -> None:
        """Serve a session as the script has it."""
        if session.manifest is self.plain_manifest:
            session = cast(ServerSession, _Renewed(session, self.definition.plain_manifest))
        with self._known(in_session=True):
            await super().stream(call, session)

    @contextmanager
    def _known(self, *, in_session: bool) -> Iterator[None]:
        """Tell what runs inside which nodes are its own, and whether it is a session."""
        nodes = _OF_THE_CALL.set(self._table.of_now)
        told = IN_SESSION.set(in_session)
        try:
            yield
        finally:
            IN_SESSION.reset(told)
            _OF_THE_CALL.reset(nodes)


class _Renewed:
    """A session that its server opened by the manifest it was started with, run by the one of now."""

    def __init__(self, session: ServerSession, manifest: Manifest) -> None:
        self.manifest = manifest
        self._session = session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    async def receive(self) -> ReceivedChunk | None:
        """Return the next chunk, for the input node of the manifest of now."""
        chunk = await self._session.receive()
        if chunk is None or chunk.node_id != self._session.manifest.entry:
            return chunk
        return replace(chunk, node_id=self.manifest.entry)
