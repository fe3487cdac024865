"""Endpoints whose sessions a test holds in its hands: it answers, holds back, breaks and closes them."""

from __future__ import annotations

import asyncio
import gc
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

from rpe.client import MovingSession
from rpe.client.pool import EndpointPool
from rpe.client.reliable import ReliableClient
from rpe.client.settings import ClientSettings
from rpe.data import RuntimeData, Text
from rpe.errors import ConnectFailed, RemoteTimeout, RpeError, SessionClosed, StreamBroken
from rpe.manifest.model import Manifest
from rpe.transport.ports import NO_METADATA, ChunkResult, Metadata
from tests.support.scripted import MANIFEST, Call, Endpoint, Recorder, VirtualClock

__all__ = ["HandClock", "Road", "RoadSession", "Roads", "echo", "roads", "settle"]

Answer = Callable[[int, str], list[tuple[int, str]]]
"""From a chunk's number and text to its results, each with the number that it answers."""


def echo(sequence: int, text: str) -> list[tuple[int, str]]:
    return [(sequence, text)]


async def settle() -> None:
    """Let every task do what it can do now."""
    for _ in range(20):
        await asyncio.sleep(0)


class HandClock(VirtualClock):
    """Time that passes only when the test says so; what sleeps, waits for that."""

    def __init__(self) -> None:
        super().__init__()
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    @property
    def sleepers(self) -> int:
        return sum(not future.done() for _, future in self._sleepers)

    async def sleep(self, delay_s: float) -> None:
        self.slept.append(delay_s)
        if delay_s <= 0:
            await asyncio.sleep(0)
            return
        future = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.time_s + delay_s, future))
        await future

    async def advance(self, seconds: float) -> None:
        """Let so much time pass, and everything happen that is due in it."""
        until_s = self.time_s + seconds
        while True:
            await settle()
            self._sleepers = [sleeper for sleeper in self._sleepers if not sleeper[1].done()]
            due = [sleeper for sleeper in self._sleepers if sleeper[0] <= until_s + 1e-9]
            if not due:
                break
            when_s, future = min(due, key=lambda sleeper: sleeper[0])
            self.time_s = max(self.time_s, when_s)
            future.set_result(None)
        self.time_s = until_s


class RoadSession:
    """One session at a scripted endpoint; `sent` is what came, `held` keeps the next send waiting."""

    def __init__(self, endpoint: str, answer: Answer, timeout_s: float) -> None:
        self.endpoint = endpoint
        self.session_id = f"session at {endpoint}"
        self.timeout_s = timeout_s
        self.answer = answer
        self.sent: list[tuple[int, str]] = []
        self.finished = False
        self.closes = True
        self.held = False
        self.error: RpeError | None = None
        self._results: deque[ChunkResult | None] = deque()
        self._changed = asyncio.Event()

    async def send(self, data: Any, *, node_id: str, sequence: int, timestamp_ms: int = 0) -> None:
        while self.held and self.error is None:
            await self._wait()
        if self.error is not None:
            raise self.error
        assert not self.finished
        assert not self.sent or sequence > self.sent[-1][0]
        self.sent.append((sequence, data.text))
        for number, text in self.answer(sequence, data.text):
            self.result(number, text)

    def result(self, sequence: int, text: str) -> None:
        self._results.append(ChunkResult(sequence, {"output": Text(text)}))
        self._changed.set()

    async def receive(self) -> ChunkResult | None:
        while not self._results and self.error is None:
            await self._wait()
        if self._results:
            return self._results.popleft()
        assert self.error is not None
        raise self.error

    async def finish(self) -> None:
        if self.error is not None:
            raise self.error
        self.finished = True
        if self.closes:
            self.close()

    def close(self) -> None:
        self._results.append(None)
        self._changed.set()

    def cancel(self) -> None:
        if self.error is None:
            self._results.clear()
        self.break_off(SessionClosed("the session was cancelled", endpoint=self.endpoint))

    def break_off(self, error: RpeError | None = None) -> None:
        """End it with an error; results that have come can still be read, chunks cannot be sent."""
        if self.error is None:
            self.error = error or StreamBroken("cut", endpoint=self.endpoint)
        self._changed.set()

    def go_on(self) -> None:
        self.held = False
        self._changed.set()

    async def _wait(self) -> None:
        self._changed.clear()
        try:
            await self._changed.wait()
        except asyncio.CancelledError:
            self.cancel()
            raise


@dataclass
class Road(Endpoint):
    """An endpoint of such sessions; `down` refuses, `stuck` never gets ready."""

    answer: Answer = echo
    sessions: list[RoadSession] = field(default_factory=list)
    down: RpeError | None = None
    stuck: bool = False

    async def open_stream(  # type: ignore[override]
        self, manifest: Manifest, *, timeout_s: float, open_timeout_s: float, metadata: Metadata = NO_METADATA
    ) -> RoadSession:
        self.calls.append(Call(self.endpoint, self.clock.now(), open_timeout_s, metadata))
        await asyncio.sleep(0)
        if self.stuck:
            try:
                await self.clock.sleep(open_timeout_s)
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
            raise RemoteTimeout("not ready in time", endpoint=self.endpoint, maybe_executed=False)
        if self.down is not None:
            raise self.down
        self.sessions.append(RoadSession(self.endpoint, self.answer, timeout_s))
        return self.sessions[-1]

    def die(self) -> None:
        """Break its sessions, and refuse new ones."""
        self.down = ConnectFailed("no connection: refused", endpoint=self.endpoint)
        for session in self.sessions:
            session.break_off()


@dataclass
class Roads:
    """A client of such endpoints."""

    client: ReliableClient
    roads: Mapping[str, Road]
    clock: HandClock
    recorder: Recorder

    async def open(self, **options: Any) -> MovingSession:
        session = await self.client.open_stream(MANIFEST, repeatable=True, **options)
        assert isinstance(session, MovingSession)
        return session

    def at(self, session: MovingSession) -> RoadSession:
        """Its current leg, as the endpoint sees it."""
        return self.roads[session.endpoint].sessions[-1]

    def outcomes(self) -> list[tuple[str, str]]:
        return [(record.code, str(record.outcome)) for record in self.recorder.attempts]


@asynccontextmanager
async def roads(
    names: str, settings: ClientSettings, *, answer: Answer = echo, seed: int = 1
) -> AsyncIterator[Roads]:
    """A client of one endpoint per letter. At the end nothing may be left of its sessions."""
    clock, recorder = HandClock(), Recorder()
    ends = {name: Road(name, clock, lambda number: None, answer=answer) for name in names}  # type: ignore[arg-type, return-value]
    rng = Random(seed)
    pool = EndpointPool(list(names), settings, ends.__getitem__, rng=rng, observers=[recorder])
    async with asyncio.timeout(20.0), ReliableClient(pool, settings, clock=clock, rng=rng) as client:
        yield Roads(client, ends, clock, recorder)
        gc.collect()
        await settle()
        statistics = client.statistics()
        left = [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("rpe ")]
        assert left == []
    assert statistics.in_flight == 0
    assert sorted((start.operation_id, start.number) for start in recorder.starts) == sorted(
        (record.operation_id, record.number) for record in recorder.attempts
    )
    assert len(recorder.operations) == sum(statistics.operations.values())
    for road in ends.values():
        assert all(session.error is not None or session.finished for session in road.sessions)


def texts(results: list[ChunkResult]) -> list[tuple[int, RuntimeData]]:
    return [(result.sequence, result.output) for result in results]
