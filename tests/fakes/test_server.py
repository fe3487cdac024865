"""A fake in this process: its life, and what it leaves behind."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest

import rpe.fakes
from rpe.clock import SYSTEM_CLOCK
from rpe.errors import ConfigurationError, UnknownTransport
from rpe.fakes import Behaviour, Brain, FakeHandle, FakeServer, Kind
from rpe.fakes.journal import read_entries
from tests.support.raw_grpc import execute_request, raw, text


class HastyClock:
    """The real clock, but nobody has to wait: sleeps are noted and over at once."""

    def __init__(self) -> None:
        self.slept_s: list[float] = []

    now: Callable[[], float] = staticmethod(SYSTEM_CLOCK.now)

    async def sleep(self, delay_s: float) -> None:
        self.slept_s.append(delay_s)
        await asyncio.sleep(0)

    async def sleep_until(self, when_s: float) -> None:
        await self.sleep(when_s - self.now())

    def deadline(self, when_s: float | None) -> AbstractAsyncContextManager[object]:
        return SYSTEM_CLOCK.deadline(when_s)


def others() -> set[asyncio.Task[Any]]:
    return asyncio.all_tasks() - {asyncio.current_task()}


async def test_it_is_a_handle() -> None:
    handle: FakeHandle = FakeServer("x")
    assert (handle.name, handle.endpoint) == ("x", "")
    await handle.stop()  # harmless before a start


async def test_many_of_them_live_side_by_side() -> None:
    fakes = [FakeServer(name) for name in "abc"]
    for fake in fakes:
        await fake.start()
    assert len({fake.endpoint for fake in fakes}) == 3
    for fake in fakes:
        async with raw(fake.endpoint) as client:
            await client.echo(fake.name)
        assert [entry.server for entry in fake.journal] == [fake.name] * 2
        await fake.stop()


async def test_a_start_a_reply_and_a_stop_are_cheap_enough_for_every_test() -> None:
    spent_s = []
    for _ in range(12):
        began_s = time.monotonic()
        async with FakeServer() as fake, raw(fake.endpoint) as client:
            await client.echo()
        spent_s.append(time.monotonic() - began_s)
    assert statistics.median(spent_s) < 0.05  # some 2 ms; a fixed pause anywhere would show


async def test_nothing_is_left_after_it() -> None:
    process = psutil.Process()
    before = others()
    files = 0
    for turn in range(6):
        script = {"hang": {"every": 2}}
        async with FakeServer(behaviour=script) as fake, raw(fake.endpoint) as client:
            await client.echo()
            hanging = client.execute(execute_request(text("x")))
            await fake.journal.wait_for(lambda entry: entry.fault == "hang")
            await fake.stop()
            assert await hanging.code() is grpc.StatusCode.UNAVAILABLE
        assert others() <= before
        if turn == 1:
            files = process.num_fds()
    for _ in range(200):  # gRPC closes its sockets from threads of its own
        if process.num_fds() <= files:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{process.num_fds()} files are open, {files} were")


async def test_restarts_keep_the_port_the_script_and_the_journal() -> None:
    script = {"latency": {"fixed_s": 0.05}}
    async with FakeServer(behaviour=script) as fake, raw(fake.endpoint) as client:
        endpoint = fake.endpoint
        for graceful in (True, False):
            call = client.execute(execute_request(text("x")), wait_for_ready=True)
            await fake.journal.wait_for(lambda entry: entry.fault == "latency" and fake.journal.in_flight > 0)
            await fake.restart(graceful=graceful, down_s=0.02)
            assert (await call.code() is grpc.StatusCode.OK) == graceful
            assert fake.endpoint == endpoint
            assert await client.echo(wait_for_ready=True) == "hi"
        ends = [entry.kind for entry in await fake.journal_entries() if entry.kind is not Kind.FAULT]
    assert ends.count(Kind.RECEIVED) == 4
    assert ends.count(Kind.CANCELLED) == 1
    assert len(fake.journal.entries(fault="latency")) == 4


async def test_a_restart_stays_away_for_as_long_as_told() -> None:
    clock = HastyClock()
    async with FakeServer(clock=clock) as fake:
        await fake.restart(down_s=30)
    assert 30 in clock.slept_s


async def test_it_waits_by_the_clock_that_it_was_given() -> None:
    clock = HastyClock()
    script = {"latency": {"fixed_s": 3600}}
    async with FakeServer(behaviour=script, clock=clock) as fake, raw(fake.endpoint) as client:
        request = execute_request(text("x"), "Delay", params=['{"delay_ms": 5000}'])
        await client.execute(request, timeout=5)
    assert clock.slept_s == [3600, 5]


async def test_a_journal_on_file(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    async with FakeServer(journal_path=path) as fake, raw(fake.endpoint) as client:
        await client.echo()
        assert read_entries(path) == fake.journal.entries()
        await fake.stop()
        await fake.start()
        await client.echo(wait_for_ready=True)
        assert len(read_entries(path)) == len(fake.journal) == 4
    with pytest.raises(ConfigurationError, match="journal cannot be written"):
        FakeServer(journal_path=tmp_path / "nowhere" / "journal.jsonl")


async def test_what_is_wrong_is_said_at_once() -> None:
    with pytest.raises(ConfigurationError, match="latncy is unknown"):
        FakeServer(behaviour={"latncy": {}})
    with pytest.raises(UnknownTransport):
        await FakeServer(transport="pigeon").start()
    with pytest.raises(ConfigurationError, match="helth"):
        await FakeServer(settings={"helth": False}).start()
    async with FakeServer() as fake:
        port = int(fake.endpoint.rpartition(":")[2])
        second = FakeServer(port=port)
        with pytest.raises(ConfigurationError, match="in use"):
            await second.start()
        await second.stop()


async def test_two_servers_may_share_a_brain() -> None:
    from rpe.transport.registry import get_transport

    brain = Brain(Behaviour.model_validate({"error": {"first": 1}}))
    one, two = (get_transport("grpc").create_server(brain, {}) for _ in range(2))
    async with one, two, raw(one.endpoint) as first, raw(two.endpoint) as second:
        with pytest.raises(grpc.aio.AioRpcError):
            await first.echo()
        assert await second.echo() == "hi"
    assert [entry.call for entry in brain.journal.entries(Kind.RECEIVED)] == [1, 2]


def test_importing_the_package_is_cheap() -> None:
    code = "import sys, rpe.fakes; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()
    assert "rpe.fakes" in loaded
    assert {"grpc", "pydantic", "numpy", "rpe.data"}.isdisjoint(loaded)


def test_the_package_offers_what_it_names() -> None:
    for name in rpe.fakes.__all__:
        assert getattr(rpe.fakes, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'Nonsense'"):
        rpe.fakes.Nonsense  # noqa: B018
