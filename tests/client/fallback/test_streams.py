"""Sessions over a chain: they move on to the next pool when theirs has no endpoint left."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

import rpe
from rpe.client import StreamSession
from rpe.client.fallback import AllStepsFailed, ChainSettings, FallbackChain, FunctionStep, PoolStep
from rpe.data import RuntimeData
from rpe.errors import ConfigurationError, RpeError, StreamBroken
from rpe.fakes import FakeServer, Kind
from rpe.policy import HealthSettings, OperationOutcome

WIRES = [("grpc", "http"), ("http", "grpc")]
QUIET = rpe.ClientSettings(health=HealthSettings(enabled=False))


async def local(inputs: Mapping[str, RuntimeData]) -> Mapping[str, RuntimeData]:
    return inputs


@dataclass
class Site:
    chain: FallbackChain
    pools: list[list[FakeServer]]

    def client(self, number: int) -> rpe.ReliableClient:
        step = self.chain.steps[number]
        assert isinstance(step, PoolStep)
        return step.client

    async def kill(self, number: int) -> None:
        for fake in self.pools[number]:
            await fake.stop()

    def chunks(self, number: int) -> list[int | None]:
        return [
            entry.sequence
            for fake in self.pools[number]
            for entry in fake.journal
            if entry.kind is Kind.CHUNK
        ]


@asynccontextmanager
async def site(
    *wires: str, size: int = 2, settings: ChainSettings | None = None, behaviour: Any = None
) -> AsyncIterator[Site]:
    """Pools of fakes on the wires given; the entry node has another name in each; a function behind them."""
    async with AsyncExitStack() as stack:
        pools, steps = [], []
        for number, wire in enumerate(wires):
            fakes = [FakeServer(f"{wire}-{number}{n}", wire, behaviour) for n in range(size)]
            for fake in fakes:
                await stack.enter_async_context(fake)
            endpoints = [fake.endpoint for fake in fakes]
            client = await stack.enter_async_context(
                rpe.connect(endpoints, transport=wire, settings=QUIET, seed=1)
            )
            pools.append(fakes)
            steps.append(
                PoolStep(f"pool {number}", client, rpe.Manifest.single(f"n{number}", node_type="Echo"))
            )
        chain = await stack.enter_async_context(
            FallbackChain([*steps, FunctionStep("local", local)], settings, seed=1)
        )
        yield Site(chain, pools)
        for step in steps:
            assert step.client.statistics().in_flight == 0


async def echo(session: StreamSession, first: int, last: int) -> list[int]:
    """Send chunks one by one, take the answer to each, and return their numbers."""
    for number in range(first, last):
        assert await session.send(rpe.Text(str(number))) == number
        result = await session.receive()
        assert result is not None
        assert (result.sequence, result.output) == (number, rpe.Text(str(number)))
    return list(range(first, last))


@pytest.mark.parametrize("wires", WIRES, ids="-".join)
async def test_a_session_moves_to_the_secondary_pool_when_the_primary_has_no_endpoint_left(
    wires: tuple[str, str],
) -> None:
    async with site(*wires) as s:
        session = await s.chain.open_stream(timeout_s=20.0, repeatable=True)
        async with session:
            await echo(session, 0, 5)
            assert s.chunks(1) == []
            await s.kill(0)
            began_s = time.monotonic()
            await echo(session, 5, 10)
            assert time.monotonic() - began_s < 2.0
            await session.finish()
            assert await session.receive() is None
        # The last chunk that was answered comes again, as it might have had more than one result.
        assert s.chunks(1) == [4, 5, 6, 7, 8, 9]
        statistics = s.chain.statistics().steps
        assert (statistics["pool 0"].falls, statistics["pool 1"].falls) == (1, 0)
        told = [sum(s.client(number).statistics().operations.values()) for number in (0, 1)]
        assert told == [1, 1], "the session is one operation at each pool"
        assert s.client(1).statistics().operations[OperationOutcome.OK] == 1


async def test_chunks_under_way_while_the_pool_dies_are_all_answered_once_and_in_order() -> None:
    async with site("grpc", "http", behaviour={"latency": {"fixed_s": 0.005}}) as s:
        async with await s.chain.open_stream(timeout_s=20.0, repeatable=True) as session:
            sending = asyncio.create_task(send_all(session, 100))
            got = []
            async for result in session:
                got.append(result.sequence)
                if len(got) == 20:
                    await s.kill(0)
            await sending
        assert got == list(range(100))


async def send_all(session: StreamSession, count: int) -> None:
    for number in range(count):
        await session.send(rpe.Text(str(number)))
    await session.finish()


async def test_one_endpoint_that_dies_keeps_the_session_in_its_pool() -> None:
    async with site("grpc", "http") as s:
        async with await s.chain.open_stream(timeout_s=20.0, repeatable=True) as session:
            await echo(session, 0, 3)
            [at] = [fake for fake in s.pools[0] if fake.endpoint == session.endpoint]
            await at.stop()
            await echo(session, 3, 6)
            assert session.endpoint in {fake.endpoint for fake in s.pools[0]}
        assert s.chain.statistics().steps["pool 0"].falls == 0


async def test_a_session_that_moved_can_come_back_to_the_pool_that_it_left() -> None:
    async with site("grpc", "http", size=1) as s:
        session = await s.chain.open_stream(timeout_s=20.0, repeatable=True)
        async with session:
            await echo(session, 0, 2)
            await s.kill(0)
            await echo(session, 2, 4)
            await s.pools[0][0].start()
            await s.kill(1)
            began_s = time.monotonic()
            await echo(session, 4, 6)
            assert time.monotonic() - began_s < 2.0, "it waited for the pool it was at"
            assert session.endpoint == s.pools[0][0].endpoint


async def test_when_all_pools_are_gone_the_session_tells_how_far_it_came_and_what_each_step_said() -> None:
    async with site("grpc", "http", settings=ChainSettings(max_attempts=4)) as s:
        async with await s.chain.open_stream(timeout_s=20.0, repeatable=True) as session:
            await echo(session, 0, 3)
            await s.kill(1)
            await s.kill(0)
            with pytest.raises(StreamBroken) as caught:
                await echo(session, 3, 4)
        assert caught.value.last_sequence == 2
        assert isinstance(caught.value.__cause__, AllStepsFailed)
        assert [failure.step for failure in caught.value.__cause__.steps] == ["pool 0", "pool 1"]


async def test_a_session_whose_time_is_over_blames_no_pool() -> None:
    async with site("grpc", "http") as s:
        async with await s.chain.open_stream(timeout_s=0.3, repeatable=True) as session:
            await echo(session, 0, 2)
            with pytest.raises(RpeError):
                await session.receive()
        assert [step.falls for step in s.chain.statistics().steps.values()] == [0, 0, 0]
        assert s.chunks(1) == []


async def test_a_dead_primary_is_passed_by_when_a_session_is_opened_and_left_after_three() -> None:
    async with site("grpc", "http") as s:
        await s.kill(0)
        for _ in range(4):
            async with await s.chain.open_stream(timeout_s=5.0, repeatable=True) as session:
                await echo(session, 0, 2)
        statistics = s.chain.statistics().steps["pool 0"]
        assert (statistics.state, statistics.falls) == ("down", 3)
        with pytest.raises(AllStepsFailed):
            await s.kill(1)
            await s.chain.open_stream(timeout_s=0.5, repeatable=True)


async def test_without_leave_to_repeat_a_session_is_opened_anywhere_and_then_bound() -> None:
    async with site("grpc", "http") as s:
        await s.kill(0)
        async with await s.chain.open_stream(timeout_s=5.0) as session:
            await echo(session, 0, 3)
            await s.kill(1)
            with pytest.raises(StreamBroken):
                await echo(session, 3, 4)


async def test_a_session_may_last_for_many_moves_without_using_up_its_attempts() -> None:
    async with site("grpc", "http", settings=ChainSettings(max_attempts=3)) as s:
        async with await s.chain.open_stream(timeout_s=20.0, repeatable=True) as session:
            for turn in range(4):
                await echo(session, 2 * turn, 2 * turn + 2)
                [at] = [fake for fake in s.pools[0] if fake.endpoint == session.endpoint]
                await at.restart(graceful=False)
            await echo(session, 8, 10)
        assert s.chain.statistics().steps["pool 0"].falls <= 1


async def test_a_chain_that_is_closed_has_ended_its_sessions() -> None:
    async with site("grpc") as s:
        session = await s.chain.open_stream(timeout_s=20.0, repeatable=True)
        waiting = asyncio.create_task(session.receive())
        await asyncio.sleep(0.01)
        await s.chain.close()
        with pytest.raises(rpe.errors.SessionClosed):
            await waiting
        assert [task for task in asyncio.all_tasks() if "over a chain" in task.get_name()] == []


async def test_a_chain_without_pools_has_no_sessions() -> None:
    with pytest.raises(ConfigurationError, match="needs a pool"):
        await FallbackChain([FunctionStep("local", local)]).open_stream(timeout_s=1.0)
