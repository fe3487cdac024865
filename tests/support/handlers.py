"""A handler for tests of servers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from rpe.data import RuntimeData
from rpe.manifest.model import Manifest
from rpe.transport.grpc.server import GrpcPipelineServer
from rpe.transport.http.server import HttpPipelineServer
from rpe.transport.serving import Answer, Reply, ServerCall, ServerSession, ServerSettings, VersionAnswer

__all__ = ["Handler", "serve", "serve_http"]


class Handler:
    """Answers with what it was given, and keeps what it saw."""

    def __init__(self, reply: Reply | BaseException | None = None) -> None:
        self.reply = reply
        self.calls: list[ServerCall] = []
        self.seen: list[Any] = []
        self.entered = asyncio.Event()
        self.ended = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.busy_s = 0.0
        self.is_serving = True
        self.refusal: BaseException | None = None
        self.idle_s: float | None = None
        self.idle_closings = 0

    async def execute(self, call: ServerCall, manifest: Manifest, inputs: Mapping[str, RuntimeData]) -> Reply:
        self.calls.append(call)
        self.seen.append((manifest, dict(inputs)))
        await self.wait()
        if isinstance(self.reply, BaseException):
            raise self.reply
        return self.reply or Answer({"output": next(iter(inputs.values()))})

    async def wait(self) -> None:
        self.entered.set()
        try:
            await asyncio.sleep(self.busy_s)
        finally:
            self.ended.set()

    async def stream(self, call: ServerCall, session: ServerSession) -> None:
        self.calls.append(call)
        try:
            await self.talk(session)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    async def talk(self, session: ServerSession) -> None:
        await session.ready("s-1", chunk_size=320, max_latency_ms=50)
        await self.wait()
        while (received := await session.receive()) is not None:
            self.seen.append(received)
            data = received.data
            outputs = data if isinstance(data, Mapping) else {"output": data}
            await session.send(received.sequence, outputs, processing_ms=1.5)
        if isinstance(self.reply, BaseException):
            raise self.reply
        await session.send_metrics(len(self.seen), 1.5)
        await session.closed("done")

    async def version(self, call: ServerCall) -> VersionAnswer:
        return VersionAnswer(("Echo",), message="welcome")

    async def admit(self, call: ServerCall) -> None:
        self.calls.append(call)
        if isinstance(self.refusal, BaseException):
            raise self.refusal

    def idle_timeout_s(self) -> float | None:
        return self.idle_s

    def idle_closed(self) -> None:
        self.idle_closings += 1

    def serving(self) -> bool:
        return self.is_serving

    async def health(self, call: ServerCall, last: bool | None) -> bool:
        return self.is_serving


def serve(handler: Handler, **settings: Any) -> GrpcPipelineServer:
    return GrpcPipelineServer(handler, ServerSettings(**settings))


def serve_http(
    handler: Handler, *, comment_s: float = 5.0, resume_s: float = 5.0, **settings: Any
) -> HttpPipelineServer:
    return HttpPipelineServer(handler, ServerSettings(**settings), comment_s=comment_s, resume_s=resume_s)
