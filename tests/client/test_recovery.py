"""Breakers, health checks and panic through the whole client: bad endpoints leave, healed ones return."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from rpe.client.settings import ClientSettings
from rpe.errors import CircuitBreakerOpen, ConfigurationError, RpeError, SessionClosed
from rpe.policy.breaker import BreakerSettings
from rpe.policy.health import HealthSettings
from rpe.transport.ports import HealthReport, ServingStatus
from tests.support.scripted import Stage, Step, ok, refused, stage

QUIET = ClientSettings(health=HealthSettings(enabled=False), repeatable=True)
PROBING = ClientSettings(
    health=HealthSettings(interval_s=1.0, timeout_s=0.2, unhealthy_after=2),
    breaker=BreakerSettings(enabled=False),
)


async def run_for(s: Stage, seconds: float, *, pause_s: float = 0.01) -> tuple[int, int]:
    """Call over and over for so long of virtual time; return how many were well, and how many failed."""
    well = failed = 0
    until_s = s.clock.now() + seconds
    while s.clock.now() < until_s:
        s.clock.time_s += pause_s
        try:
            await s.execute()
            well += 1
        except RpeError:
            failed += 1
    return well, failed


async def test_a_dead_endpoint_gets_five_attempts_then_only_probes_and_comes_back_when_healed() -> None:
    dead = True
    async with stage({"a": lambda n: Step(refused() if dead else None), "b": ok, "c": ok}, QUIET) as s:
        well, failed = await run_for(s, 20.0)
        assert failed == 0
        assert len(s.endpoints["a"].calls) == 5
        dead = False
        before = len(s.endpoints["a"].calls)
        well, failed = await run_for(s, 60.0)
        assert failed == 0
        share = (len(s.endpoints["a"].calls) - before) / well
        assert share > 0.15  # a third of the time after it was due, which is after thirty seconds


@pytest.mark.parametrize("size", [1, 2, 4, 10])
async def test_when_all_die_and_come_back_calls_succeed_again_within_about_a_second(size: int) -> None:
    dead = True
    scripts = {f"e{number}": lambda n: Step(refused() if dead else None) for number in range(size)}
    async with stage(scripts, replace(QUIET, timeout_s=0.5)) as s:
        well, _ = await run_for(s, 8.0)
        assert well == 0
        last_s = max(call.at_s for call in s.calls)
        assert s.clock.now() - last_s <= 1.1  # a pool is never empty
        dead = False
        healed_s = s.clock.now()
        while True:
            s.clock.time_s += 0.01
            try:
                await s.execute()
                break
            except RpeError:
                assert s.clock.now() - healed_s < 1.6


async def test_with_every_breaker_open_a_call_fails_at_once_and_says_when_to_come_again() -> None:
    async with stage({"a": lambda n: Step(refused())}, replace(QUIET, timeout_s=0.4)) as s:
        await run_for(s, 1.0)
        with pytest.raises(CircuitBreakerOpen) as caught:
            for _ in range(3):
                await s.execute()
        assert caught.value.retry_after_s is not None
        assert not caught.value.maybe_executed


async def test_an_endpoint_whose_checks_fail_is_routed_around_and_returns_when_they_pass() -> None:
    async with stage({"a": ok, "b": ok, "c": ok}, PROBING) as s:
        s.endpoints["a"].health = lambda: HealthReport(ServingStatus.NOT_SERVING, "script")
        await until(lambda: any(record.endpoint == "a" for record in s.recorder.health))
        await asyncio.sleep(0)
        before = len(s.endpoints["a"].calls)
        for _ in range(30):
            await s.execute()
        assert len(s.endpoints["a"].calls) == before
        s.endpoints["a"].health = lambda: HealthReport(ServingStatus.SERVING, "script")
        await until(lambda: any(record.endpoint == "a" and record.healthy for record in s.recorder.health))
        for _ in range(30):
            await s.execute()
        assert len(s.endpoints["a"].calls) > before + 5


async def test_a_check_that_fails_in_an_unforeseen_way_does_not_end_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with stage({"a": ok, "b": ok}, PROBING) as s:

        def explode() -> HealthReport:
            raise ZeroDivisionError("odd")

        s.endpoints["a"].health = explode
        await until(lambda: any(record.endpoint == "a" for record in s.recorder.health))
        checks = s.endpoints["b"].health_calls
        await until(lambda: s.endpoints["b"].health_calls > checks + 3)
        assert "health check of a failed unexpectedly" in caplog.text


async def test_when_most_checks_fail_they_are_ignored() -> None:
    async with stage({"a": ok, "b": ok, "c": ok}, PROBING) as s:
        for name in "abc":
            s.endpoints[name].health = lambda: HealthReport(ServingStatus.NOT_SERVING, "script")
        await until(lambda: len(s.recorder.health) >= 3)
        for _ in range(9):
            await s.execute()


async def until(reached: object) -> None:
    """Let the other tasks run, and with them virtual time, until it is so."""
    for _ in range(5000):
        if reached():  # type: ignore[operator]
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came about")


async def test_membership_can_change_under_load() -> None:
    async with stage({"a": ok, "b": ok}, QUIET) as s:
        s.endpoints["c"] = type(s.endpoints["a"])("c", s.clock, ok)
        s.client.add_endpoint("c")
        with pytest.raises(ConfigurationError):
            s.client.add_endpoint("c")
        for _ in range(30):
            await s.execute()
        assert len(s.endpoints["c"].calls) > 5
        s.client.remove_endpoint("a")
        before = len(s.endpoints["a"].calls)
        for _ in range(30):
            await s.execute()
        assert len(s.endpoints["a"].calls) == before


async def test_a_closed_client_says_so() -> None:
    async with stage({"a": ok}, QUIET) as s:
        await s.client.close()
        with pytest.raises(SessionClosed):
            await s.execute()
        await s.client.close()


def test_a_pool_needs_an_endpoint_and_no_endpoint_twice() -> None:
    from rpe.client import connect

    with pytest.raises(ConfigurationError, match="at least one"):
        connect([])


async def test_checks_never_overlap_at_one_endpoint_and_stay_within_their_limit() -> None:
    settings = replace(PROBING, health=HealthSettings(interval_s=1.0, timeout_s=0.5, max_concurrent=3))
    scripts = {f"e{number}": ok for number in range(12)}
    async with stage(scripts, settings) as s:
        running: dict[str, int] = {}
        most_here = most = 0

        def slow(name: str) -> object:
            async def check(*, timeout_s: float) -> HealthReport:
                nonlocal most_here, most
                running[name] = running.get(name, 0) + 1
                most_here, most = max(most_here, running[name]), max(most, sum(running.values()))
                for _ in range(40):
                    await asyncio.sleep(0)
                running[name] -= 1
                s.endpoints[name].health_calls += 1
                return HealthReport(ServingStatus.SERVING, "script")

            return check

        for name, endpoint in s.endpoints.items():
            endpoint.check_health = slow(name)  # type: ignore[method-assign, assignment]
        await until(lambda: all(endpoint.health_calls >= 3 for endpoint in s.endpoints.values()))
        assert most_here == 1
        assert most == 3
