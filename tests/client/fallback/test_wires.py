"""Chains of real pools on real sockets: what dies is answered for by what stands behind it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

import rpe
from rpe.client.fallback import (
    AllStepsFailed,
    CachedStep,
    ChainOutcome,
    ChainSettings,
    FallbackChain,
    FunctionStep,
    PoolStep,
)
from rpe.data import RuntimeData
from rpe.errors import AuthenticationFailed
from rpe.fakes import FakeServer, Kind
from rpe.policy import BreakerSettings, HealthSettings

ECHO = rpe.Manifest.single("echo", node_type="Echo")
Script = Mapping[str, Any]
WIRES = [("grpc", "http"), ("http", "grpc")]


@dataclass
class Site:
    """Pools of two fakes each, on the wires given, then a local function and kept answers."""

    chain: FallbackChain
    pools: list[list[FakeServer]]
    cache: CachedStep
    local_works: bool = True
    took_s: float = field(default=0.0)

    async def execute(self, text: str = "hello", **options: Any) -> ChainOutcome:
        began_s = time.monotonic()
        try:
            return await self.chain.execute(
                rpe.Text(text), **{"timeout_s": 10.0, "repeatable": True, **options}
            )
        finally:
            self.took_s = time.monotonic() - began_s

    async def kill(self, pool: int) -> None:
        for fake in self.pools[pool]:
            await fake.stop()

    def received(self, operation_id: str) -> list[int]:
        """How many attempts of an operation each pool has seen."""
        return [
            sum(
                entry.kind is Kind.RECEIVED and entry.operation_id == operation_id
                for fake in pool
                for entry in fake.journal
            )
            for pool in self.pools
        ]


@asynccontextmanager
async def site(
    *wires: str,
    behaviours: Mapping[int, Script] | None = None,
    settings: ChainSettings | None = None,
    client: rpe.ClientSettings | None = None,
    local: bool = True,
) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        pools: list[list[FakeServer]] = []
        steps: list[Any] = []
        for number, wire in enumerate(wires):
            behaviour = (behaviours or {}).get(number)
            fakes = [FakeServer(f"{wire}-{number}{name}", wire, behaviour) for name in "ab"]
            for fake in fakes:
                await stack.enter_async_context(fake)
            pools.append(fakes)
            endpoints = [fake.endpoint for fake in fakes]
            connected = await stack.enter_async_context(
                rpe.connect(endpoints, transport=wire, settings=client, seed=1)
            )
            steps.append(PoolStep(f"pool {number}", connected, ECHO))

        async def answer(inputs: Mapping[str, RuntimeData]) -> Mapping[str, RuntimeData]:
            if not here.local_works:
                raise OSError("no local model")
            return {"output": inputs["input"]}

        if local:
            steps.append(FunctionStep("local", answer))
        cache = CachedStep(max_age_s=60.0)
        here = Site(FallbackChain([*steps, cache], settings, seed=1), pools, cache)
        yield here


@pytest.mark.parametrize("wires", WIRES, ids="-".join)
async def test_primary_dies_then_secondary_then_local_then_nothing_is_kept(wires: tuple[str, str]) -> None:
    async with site(*wires) as s:
        assert (await s.execute()).step == "pool 0"
        await s.kill(0)
        outcome = await s.execute()
        assert (outcome.step, outcome.result.output) == ("pool 1", rpe.Text("hello"))
        assert s.took_s < 2.0
        await s.kill(1)
        outcome = await s.execute()
        assert outcome.step == "local"
        assert [failure.step for failure in outcome.failures] == ["pool 0", "pool 1"]
        assert s.took_s < 2.0
        s.local_works = False
        outcome = await s.execute()
        assert (outcome.step, outcome.result.output) == ("cached", rpe.Text("hello"))
        assert outcome.age_s is not None
        assert 0.0 <= outcome.age_s < 10.0
        s.cache.clear()
        with pytest.raises(AllStepsFailed) as caught:
            await s.execute()
        # The first pool is down by now: it is tried all the same, after what is up.
        assert [failure.step for failure in caught.value.steps] == ["pool 1", "local", "pool 0", "cached"]
        assert {endpoint for attempt in caught.value.attempts if (endpoint := attempt.endpoint)} <= {
            fake.endpoint for pool in s.pools for fake in pool
        }


@pytest.mark.parametrize("wires", WIRES, ids="-".join)
async def test_a_primary_that_is_back_is_found_by_probes_and_carries_everything_again(
    wires: tuple[str, str],
) -> None:
    quick = rpe.ClientSettings(
        health=HealthSettings(enabled=False), breaker=BreakerSettings(reset_timeout_s=0.1)
    )
    async with site(*wires, settings=ChainSettings(min_stay_s=0.2), client=quick) as s:
        await s.kill(0)
        steps = [(await s.execute()).step for _ in range(20)]
        assert steps == ["pool 1"] * 20
        assert s.chain.statistics().steps["pool 0"].state == "down"
        for fake in s.pools[0]:
            await fake.start()
        began_s = time.monotonic()
        while s.chain.statistics().steps["pool 0"].state == "down":
            await s.execute()
            await asyncio.sleep(0.01)
            assert time.monotonic() - began_s < 4.0
        primary = s.chain.statistics().steps["pool 0"]
        assert primary.since_s - began_s <= 4.0
        assert primary.probes >= 2
        assert {(await s.execute()).step for _ in range(20)} == {"pool 0"}


@pytest.mark.parametrize("wires", WIRES, ids="-".join)
async def test_a_primary_that_hangs_leaves_time_to_the_secondary(wires: tuple[str, str]) -> None:
    async with site(*wires, behaviours={0: {"hang": {}}}) as s:
        outcome = await s.execute(timeout_s=0.8)
        assert outcome.step == "pool 1"
        assert outcome.failures[0].error.code == "remote_timeout"
        assert s.took_s >= 0.4, "the primary did not get its half"
        for _ in range(4):
            assert (await s.execute(timeout_s=0.4)).step == "pool 1"
        assert s.chain.statistics().steps["pool 0"].falls == 3, "a hanging primary was still tried"


async def test_attempts_in_three_pools_are_a_stated_total_and_no_product() -> None:
    broken = {"error": {"status": "UNAVAILABLE"}}
    async with site("grpc", "http", "grpc", behaviours={0: broken, 1: broken, 2: broken}, local=False) as s:
        for number in range(3):
            with pytest.raises(AllStepsFailed) as caught:
                await s.execute(operation_id=f"op-{number}")
            seen = s.received(f"op-{number}")
            assert all(seen), "a pool was not tried"
            assert sum(seen) == len(caught.value.attempts) <= 6


async def test_what_may_have_been_executed_reaches_no_second_pool() -> None:
    lost = {"error": {"status": "UNAVAILABLE"}, "latency": {"fixed_s": 0.01}}
    async with site("grpc", "http", behaviours={0: lost}) as s:
        with pytest.raises(AllStepsFailed) as caught:
            await s.execute(repeatable=False, operation_id="op-1")
        assert caught.value.maybe_executed
        assert s.received("op-1") == [1, 0]
        assert (await s.execute(repeatable=True)).step == "pool 1"


async def test_a_pool_that_refuses_our_token_is_told_of_and_the_next_one_answers() -> None:
    async with site("grpc", "http", behaviours={0: {"token": "s3cret"}}) as s:
        outcome = await s.execute()
        assert outcome.step == "pool 1"
        assert isinstance(outcome.failures[0].error, AuthenticationFailed)


async def test_calls_that_run_while_the_primary_dies_are_all_answered() -> None:
    slow = {"latency": {"fixed_s": 0.1}}
    async with site("grpc", "http", behaviours={0: slow}) as s:
        calls = [asyncio.create_task(s.execute(str(number))) for number in range(10)]
        await asyncio.sleep(0.05)
        await s.kill(0)
        outcomes = await asyncio.gather(*calls)
        assert [outcome.result.output for outcome in outcomes] == [rpe.Text(str(n)) for n in range(10)]


async def test_cancelling_a_call_reaches_the_server_and_blames_nobody() -> None:
    async with site("grpc", "http", behaviours={0: {"hang": {}}}) as s:
        call = asyncio.create_task(s.execute(operation_id="op-1"))
        journals = [fake.journal for fake in s.pools[0]]
        while s.received("op-1") == [0, 0]:  # noqa: ASYNC110  # it comes from a socket, to one of two
            await asyncio.sleep(0.005)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        journal = next(one for one in journals if len(one))
        await journal.wait_for(lambda entry: entry.kind is Kind.CANCELLED)
        assert s.chain.statistics().steps["pool 0"].falls == 0
        assert s.received("op-1") == [1, 0]
