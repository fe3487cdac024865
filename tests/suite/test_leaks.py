"""No false alarm: what is garbage, also a moment late, and what the harness itself holds, is no leak."""

from __future__ import annotations

import asyncio
import gc
import socket
import weakref
from collections.abc import Mapping

from rpe.chaos.resources import settled_snapshot, take_snapshot
from rpe.chaos.subject import SubjectOperation
from rpe.chaos.workload.load import Load, run_load
from rpe.chaos.workload.plan import WorkloadPlan
from rpe.chaos.workload.speech import Speech
from rpe.chaos.workload.stream import stream
from rpe.clock import SYSTEM_CLOCK
from rpe.data import RuntimeData
from rpe.errors import StreamBroken
from tests.support.chaos import Events


class Ring:
    """Holds itself and a socket, as a cancelled call holds its error, its frames and its connection."""

    def __init__(self) -> None:
        self.itself = self
        self.socket = socket.create_server(("127.0.0.1", 0))

    def __del__(self) -> None:
        self.socket.close()


async def test_a_circle_that_is_let_go_of_during_the_counting_is_not_held_against_the_client() -> None:
    before = take_snapshot()
    held = [Ring()]
    asyncio.get_running_loop().call_later(0.05, held.clear)
    assert (await settled_snapshot(SYSTEM_CLOCK, before)).sockets == before.sockets


async def test_one_that_is_kept_is() -> None:
    before = take_snapshot()
    held = [Ring()]
    after = await settled_snapshot(SYSTEM_CLOCK, before, settle_s=0.1)
    assert after.sockets == before.sockets + 1
    held.clear()


class Connection:
    """What a client holds in a frame while it sends."""


class BreakingSession:
    """A session that breaks while a chunk is on its way out, and keeps its error, as many do."""

    def __init__(self) -> None:
        self.connection: weakref.ref[Connection] | None = None
        self.error: StreamBroken | None = None

    async def execute(self, operation: SubjectOperation) -> Mapping[str, RuntimeData]:
        raise NotImplementedError

    async def open_stream(self, operation: SubjectOperation) -> BreakingSession:
        return self

    async def send(self, sequence: int, data: RuntimeData) -> None:
        connection = Connection()
        self.connection = weakref.ref(connection)
        await asyncio.sleep(30)

    async def receive(self) -> None:
        await asyncio.sleep(0.01)
        self.error = StreamBroken("cut")
        raise self.error

    async def finish(self) -> None: ...

    def cancel(self) -> None: ...

    def in_flight(self) -> int | None:
        return None

    async def close(self) -> None: ...


async def test_a_session_that_breaks_on_both_sides_at_once_is_let_go_of_by_the_harness() -> None:
    session = BreakingSession()
    load = Load(session, Events(), SYSTEM_CLOCK, SYSTEM_CLOCK.now(), "node")
    plan = WorkloadPlan("talk", "stream", (0.0,), 1.0, chunk_ms=10, chunks=2)
    await run_load(load, plan, stream, Speech(10))
    gc.collect()
    assert session.error is not None
    assert session.connection is not None
    assert session.connection() is None
