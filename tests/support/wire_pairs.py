"""A fake server and a client of one wire, for tests that are the same on every wire."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, Protocol

from rpe.data import RuntimeData
from rpe.fakes import Entry, FakeServer, Kind
from rpe.manifest.model import Manifest
from rpe.transport.ports import NO_METADATA, ClientStreamSession, Metadata, PipelineClient

__all__ = ["ECHO", "Pair", "Pairs", "pipeline"]

ENDS = (Kind.SENT, Kind.FAILED, Kind.CANCELLED)


def pipeline(node_type: str, **params: Any) -> Manifest:
    """A pipeline of one node of that type, which is called `node`."""
    return Manifest.single("node", node_type=node_type, **params)


ECHO = pipeline("Echo")


@dataclass
class Pair:
    fake: FakeServer
    client: PipelineClient
    wire: str

    async def execute(
        self,
        data: RuntimeData,
        manifest: Manifest = ECHO,
        *,
        timeout_s: float = 10.0,
        metadata: Metadata = NO_METADATA,
    ) -> RuntimeData:
        """The output of one execution of a one-node pipeline."""
        inputs = {"node": data}
        result = await self.client.execute(manifest, inputs, timeout_s=timeout_s, metadata=metadata)
        return result.output

    async def open(
        self, manifest: Manifest = ECHO, *, timeout_s: float = 10.0, open_timeout_s: float = 5.0
    ) -> ClientStreamSession:
        return await self.client.open_stream(manifest, timeout_s=timeout_s, open_timeout_s=open_timeout_s)

    async def ended(self, method: str, *kinds: Kind) -> Entry:
        """The journal's entry of how a call by that method ended (in one of these ways), once it has."""
        return await self.fake.journal.wait_for(
            lambda entry: entry.kind in (kinds or ENDS) and entry.method == method, timeout_s=10.0
        )

    def received(self, method: str) -> list[Entry]:
        return [entry for entry in self.fake.journal.entries(Kind.RECEIVED) if entry.method == method]


class Pairs(Protocol):
    def __call__(
        self, behaviour: Any = None, *, settings: Any = None, nodes: Any = None, **config: Any
    ) -> Awaitable[Pair]: ...
