"""A transport without a wire: endpoints that answer by script, on a clock that the test owns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

from rpe.client.pool import EndpointPool
from rpe.client.reliable import ReliableClient
from rpe.client.settings import ClientSettings
from rpe.data import RuntimeData, Text
from rpe.errors import ConnectFailed, RemoteTimeout, RpeError, SessionClosed, StreamBroken
from rpe.manifest.model import Manifest
from rpe.telemetry.record import (
    AttemptRecord,
    AttemptStart,
    BreakerRecord,
    HealthRecord,
    Observer,
    OperationRecord,
)
from rpe.transport.ports import (
    NO_METADATA,
    ChunkResult,
    ExecutionResult,
    HealthReport,
    Metadata,
    ServingStatus,
    VersionReport,
)

MANIFEST = Manifest.single("echo", node_type="Echo")


class VirtualClock:
    """Time that passes only when someone sleeps: a sleep moves it on and yields once."""

    def __init__(self) -> None:
        self.time_s = 1000.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time_s

    async def sleep(self, delay_s: float) -> None:
        self.slept.append(delay_s)
        self.time_s += max(delay_s, 0.0)
        await asyncio.sleep(0)

    async def sleep_until(self, when_s: float) -> None:
        await self.sleep(when_s - self.time_s)

    def deadline(self, when_s: float | None) -> Any:
        raise NotImplementedError("the client gives deadlines to its transport")


@dataclass
class Step:
    """One answer: after `delay_s`, an error or an echo. A delay beyond the limit is a timeout."""

    error: RpeError | None = None
    delay_s: float = 0.001
    block: bool = False


@dataclass
class Call:
    """One attempt as the endpoint saw it."""

    endpoint: str
    at_s: float
    timeout_s: float
    metadata: Metadata


Script = Callable[[int], Step]
"""From the number of the call at this endpoint, from 0, to what it answers."""


@dataclass
class Endpoint:
    """A scripted endpoint: fills `PipelineClient`."""

    endpoint: str
    clock: VirtualClock
    script: Script
    calls: list[Call] = field(default_factory=list)
    health: Callable[[], HealthReport] = lambda: HealthReport(ServingStatus.SERVING, "script")
    health_calls: int = 0
    cancelled: int = 0
    closed: bool = False
    session: ScriptedSession | None = None

    async def execute(
        self,
        manifest: Manifest,
        inputs: Mapping[str, RuntimeData],
        *,
        timeout_s: float,
        metadata: Metadata = NO_METADATA,
    ) -> ExecutionResult:
        step = self.script(len(self.calls))
        self.calls.append(Call(self.endpoint, self.clock.now(), timeout_s, metadata))
        if step.block:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        if step.delay_s > timeout_s:
            self.clock.time_s += timeout_s
            raise RemoteTimeout("no answer within the deadline", endpoint=self.endpoint)
        self.clock.time_s += step.delay_s
        await asyncio.sleep(0)
        if step.error is not None:
            raise step.error
        return ExecutionResult({"output": next(iter(inputs.values()))})

    async def open_stream(
        self, manifest: Manifest, *, timeout_s: float, open_timeout_s: float, metadata: Metadata = NO_METADATA
    ) -> ScriptedSession:
        step = self.script(len(self.calls))
        self.calls.append(Call(self.endpoint, self.clock.now(), open_timeout_s, metadata))
        if step.error is not None:
            raise step.error
        self.session = ScriptedSession(self.endpoint)
        return self.session

    async def check_health(self, *, timeout_s: float) -> HealthReport:
        self.health_calls += 1
        return self.health()

    async def get_version(self, *, timeout_s: float) -> VersionReport:
        return VersionReport("v1", "script", (), True)

    async def close(self) -> None:
        self.closed = True


class ScriptedSession:
    """An echoing session that breaks, or is closed, when the test says so."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.session_id = f"session at {endpoint}"
        self.results: asyncio.Queue[ChunkResult | RpeError | None] = asyncio.Queue()
        self.sent: list[int] = []
        self.cancelled = False

    async def send(self, data: Any, *, node_id: str, sequence: int, timestamp_ms: int = 0) -> None:
        if self.cancelled:
            raise SessionClosed("the session was cancelled", endpoint=self.endpoint)
        self.sent.append(sequence)
        self.results.put_nowait(ChunkResult(sequence, {"output": data}))

    async def receive(self) -> ChunkResult | None:
        if self.cancelled:
            raise SessionClosed("the session was cancelled", endpoint=self.endpoint)
        result = await self.results.get()
        if isinstance(result, RpeError):
            raise result
        return result

    async def finish(self) -> None:
        self.results.put_nowait(None)

    def cancel(self) -> None:
        self.cancelled = True

    def break_off(self) -> None:
        self.results.put_nowait(StreamBroken("cut", endpoint=self.endpoint, last_sequence=None))


class Recorder(Observer):
    """An observer that keeps everything."""

    def __init__(self) -> None:
        self.starts: list[AttemptStart] = []
        self.attempts: list[AttemptRecord] = []
        self.operations: list[OperationRecord] = []
        self.breakers: list[BreakerRecord] = []
        self.health: list[HealthRecord] = []

    def on_attempt_start(self, start: AttemptStart) -> None:
        self.starts.append(start)

    def on_attempt(self, record: AttemptRecord) -> None:
        self.attempts.append(record)

    def on_operation(self, record: OperationRecord) -> None:
        self.operations.append(record)

    def on_breaker(self, record: BreakerRecord) -> None:
        self.breakers.append(record)

    def on_health(self, record: HealthRecord) -> None:
        self.health.append(record)


@dataclass
class Stage:
    """A client on scripted endpoints, with the clock and the recorder."""

    client: ReliableClient
    endpoints: dict[str, Endpoint]
    clock: VirtualClock
    recorder: Recorder

    @property
    def calls(self) -> list[Call]:
        """All attempts, in the order in which they were made."""
        return sorted(
            (call for end in self.endpoints.values() for call in end.calls), key=lambda call: call.at_s
        )

    async def execute(self, **options: Any) -> ExecutionResult:
        return await self.client.execute(MANIFEST, Text("hello"), **options)


def ok(number: int) -> Step:
    """Answer well, always."""
    return Step()


def failing(error: Callable[[], RpeError], *, first: int | None = None) -> Script:
    """Fail with a fresh error each time, or the first so many times."""
    return lambda number: Step(error()) if first is None or number < first else Step()


def refused() -> RpeError:
    return ConnectFailed("no connection: refused")


@asynccontextmanager
async def stage(
    scripts: Mapping[str, Script], settings: ClientSettings, *, seed: int = 1
) -> AsyncIterator[Stage]:
    """A client over scripted endpoints; health checks run only if the settings say so."""
    clock = VirtualClock()
    recorder = Recorder()
    endpoints = {name: Endpoint(name, clock, script) for name, script in scripts.items()}
    rng = Random(seed)
    pool = EndpointPool(list(scripts), settings, endpoints.__getitem__, rng=rng, observers=[recorder])
    async with ReliableClient(pool, settings, clock=clock, rng=rng) as client:
        yield Stage(client, endpoints, clock, recorder)
    assert all(endpoint.closed for endpoint in endpoints.values())
    assert all(statistics.in_flight == 0 for statistics in client.statistics().endpoints.values())
    assert len(recorder.attempts) == len(recorder.starts)
