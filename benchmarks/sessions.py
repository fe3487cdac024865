"""Sessions of paced audio on each wire, bare and ours, in one form; and what became of their chunks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

import aiohttp
import grpc

import rpe
from benchmarks.bare.grpc import GrpcStream
from benchmarks.bare.http import HttpStream
from benchmarks.bare.webrtc import BarePeer, WebrtcStream
from benchmarks.chunks import AUDIO, CHUNK_S, ECHO
from benchmarks.harness import median
from rpe.client import StreamSession

__all__ = ["SERVERS", "Open", "Paced", "Stream", "bare_opener", "own_opener"]

SERVERS = {
    "gRPC": "benchmarks.echo_server",
    "HTTP": "benchmarks.http_server",
    "WebRTC": "benchmarks.webrtc_server",
}
"""The plain server of each wire, the same for every arm."""


class Stream(Protocol):
    """A session whose chunks are 20 ms of audio, and whose server gives each of them back."""

    async def send(self, sequence: int) -> object: ...

    async def receive(self) -> int | None:
        """The number of the next chunk that came back, None once the session is closed."""
        ...

    async def finish(self) -> None: ...


Open = Callable[[], Awaitable[Stream]]


class OwnStream:
    """A session of the reliable client."""

    def __init__(self, session: StreamSession) -> None:
        self._session = session

    async def send(self, sequence: int) -> int:
        return await self._session.send(AUDIO, sequence=sequence)

    async def receive(self) -> int | None:
        result = await self._session.receive()
        return None if result is None else result.sequence

    async def finish(self) -> None:
        await self._session.finish()


@asynccontextmanager
async def own_opener(wire: str, addresses: list[str]) -> AsyncIterator[Open]:
    """Open sessions by one client, over all these endpoints in turn."""
    async with rpe.connect(addresses, transport=wire.lower(), seed=1) as client:

        async def open_stream() -> Stream:
            return OwnStream(await client.open_stream(ECHO))

        yield open_stream


@asynccontextmanager
async def bare_opener(wire: str, addresses: list[str]) -> AsyncIterator[Open]:
    """Open sessions over one bare channel, HTTP session or peer for each address, in turn."""
    opened = 0
    async with AsyncExitStack() as stack:
        if wire == "gRPC":
            channels = [
                await stack.enter_async_context(
                    grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])
                )
                for address in addresses
            ]
        elif wire == "HTTP":
            session = await stack.enter_async_context(aiohttp.ClientSession())
        else:
            peers = []
            for address in addresses:
                peers.append(await BarePeer.open(address))
                stack.push_async_callback(peers[-1].close)

        async def open_stream() -> Stream:
            nonlocal opened
            place = opened % len(addresses)
            opened += 1
            if wire == "gRPC":
                return await GrpcStream.open(channels[place])
            if wire == "HTTP":
                return await HttpStream.open(session, addresses[place])
            return await WebrtcStream.open(peers[place])

        yield open_stream


@dataclass
class Paced:
    """Chunks sent at their time, whatever becomes of those before them."""

    chunks: int
    late_s: list[float] = field(default_factory=list)
    """How long after it was due each chunk was back."""
    trip_s: list[float] = field(default_factory=list)
    """How long after it was sent each chunk was back."""

    async def run(self, stream: Stream, *, first_due_s: float) -> None:
        """Send all chunks, the first at `first_due_s` of the performance counter, and close the session."""
        due: list[float] = []
        sent: list[float] = []

        async def send_all() -> None:
            for number in range(self.chunks):
                due.append(first_due_s + number * CHUNK_S)
                await asyncio.sleep(max(due[-1] - time.perf_counter(), 0))
                sent.append(time.perf_counter())
                await stream.send(number)
            await stream.finish()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(send_all())
            while (sequence := await stream.receive()) is not None:
                now_s = time.perf_counter()
                self.late_s.append(now_s - due[sequence])
                self.trip_s.append(now_s - sent[sequence])

    @property
    def trip_p50_s(self) -> float:
        return median(self.trip_s)
