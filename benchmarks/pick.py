"""What a decision costs: choose an endpoint, await nothing, record the outcome.

Beside it stand two breaker libraries round the same nothing. They guard one endpoint and
choose none, so they do less for their time.

Method: every arm runs in blocks of calls, the blocks of all arms are shuffled, and each arm
is told by its median block, over that of the bare call. The bare call is there twice: what
the two differ by is noise, and no smaller difference means anything.

Run: python -m benchmarks.pick
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random

import aiobreaker
import purgatory

from benchmarks.harness import Row, median
from rpe.policy import BALANCERS, BreakerSettings, HealthSettings, Outcome, Pick, Selector

__all__ = ["Arm", "measure", "run"]

BLOCKS = 31
CALLS = 3000
BARE = "bare call"
NULL = "bare call again (noise)"

Block = Callable[[int], Awaitable[None]]
"""Makes so many calls."""


@dataclass(frozen=True)
class Arm:
    """One way of making a call."""

    name: str
    block: Block


async def nothing() -> None:
    """Stand for the remote call."""


async def bare(calls: int) -> None:
    for _ in range(calls):
        await nothing()


def selector_arm(balancer: str, size: int, ejected: float = 0.0) -> Arm:
    """Return the arm of a pool of `size` endpoints, of which the part `ejected` has an open breaker."""
    for_ever = BreakerSettings(failure_threshold=1, reset_timeout_s=1e9, max_reset_timeout_s=1e9)
    selector = Selector(balancer=balancer, breaker=for_ever, health=HealthSettings(), rng=Random(1))
    for number in range(size):
        selector.add(f"endpoint-{number}:50051")
    for _ in range(int(size * ejected)):
        pick = selector.pick(0.0)
        assert isinstance(pick, Pick)
        selector.finish(pick, Outcome.FAILURE, 0.0)
    assert selector.statistics().ready == size - int(size * ejected)

    async def block(calls: int) -> None:
        clock, success = time.monotonic, Outcome.SUCCESS
        for _ in range(calls):
            pick = selector.pick(clock())
            await nothing()
            assert isinstance(pick, Pick)
            selector.finish(pick, success, clock())

    dead = f", {ejected:.0%} ejected" if ejected else ""
    return Arm(f"rpe {balancer}, {size:,} endpoints{dead}", block)


def purgatory_arm() -> Arm:
    breakers = purgatory.AsyncCircuitBreakerFactory(default_threshold=5)

    async def block(calls: int) -> None:
        for _ in range(calls):
            async with await breakers.get_breaker("endpoint"):
                await nothing()

    return Arm("purgatory, 1 endpoint, no choice", block)


async def purgatory_held_arm() -> Arm:
    breaker = await purgatory.AsyncCircuitBreakerFactory(default_threshold=5).get_breaker("endpoint")

    async def block(calls: int) -> None:
        for _ in range(calls):
            async with breaker:
                await nothing()

    return Arm("purgatory, the same with its breaker kept at hand", block)


def aiobreaker_arm() -> Arm:
    breaker = aiobreaker.CircuitBreaker(fail_max=5)

    async def block(calls: int) -> None:
        for _ in range(calls):
            await breaker.call_async(nothing)

    return Arm("aiobreaker, 1 endpoint, no choice", block)


async def measure(blocks: int = BLOCKS, calls: int = CALLS, seed: int = 1) -> dict[str, float]:
    """Run all arms and return the median of each by its name, in nanoseconds per call."""
    arms = [Arm(BARE, bare), Arm(NULL, bare)]
    for balancer in BALANCERS:
        arms += [selector_arm(balancer, size) for size in (3, 100, 10_000)]
        arms.append(selector_arm(balancer, 10_000, 0.99))
    arms += [purgatory_arm(), await purgatory_held_arm(), aiobreaker_arm()]

    timings: dict[str, list[float]] = {arm.name: [] for arm in arms}
    order = arms * blocks
    Random(seed).shuffle(order)
    for arm in arms:
        await arm.block(calls)
    gc.collect()
    gc.disable()
    try:
        for arm in order:
            began_ns = time.perf_counter_ns()
            await arm.block(calls)
            timings[arm.name].append((time.perf_counter_ns() - began_ns) / calls)
    finally:
        gc.enable()
    return {name: median(blocks_ns) for name, blocks_ns in timings.items()}


def run() -> list[Row]:
    call_ns = asyncio.run(measure())
    over_ns = {name: value - call_ns[BARE] for name, value in call_ns.items() if name != BARE}
    rows = [Row(f"over a bare call: {name}", f"{value:.0f} ns") for name, value in over_ns.items()]
    for balancer in BALANCERS:
        small_ns = over_ns[f"rpe {balancer}, 3 endpoints"]
        for size in ("10,000 endpoints", "10,000 endpoints, 99% ejected"):
            ratio = over_ns[f"rpe {balancer}, {size}"] / small_ns
            rows.append(Row(f"{balancer}: {size}, over 3", f"{ratio:.2f}", "<= 1.5", ratio <= 1.5))
    return rows


if __name__ == "__main__":
    from benchmarks.harness import table

    print(table(run()))
