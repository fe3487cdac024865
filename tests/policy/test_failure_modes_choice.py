"""Known ways to choose badly, by their numbers in the project's list, and what must hold instead."""

from __future__ import annotations

from collections import Counter
from itertools import cycle
from random import Random
from time import process_time
from typing import Any

import pytest

from rpe.policy import BreakerSettings, HealthSettings, Member, Outcome, Pick, PickReason, Selector

BALANCERS = ["round_robin", "least_connections", "random"]
UNREACHABLE = BreakerSettings(failure_threshold=10**9)


def make(size: int, **changes: Any) -> tuple[Selector, list[Member]]:
    options: dict[str, Any] = {"breaker": BreakerSettings(), "health": HealthSettings(), "rng": Random(5)}
    selector = Selector(**{**options, **changes})
    return selector, [selector.add(f"{number}") for number in range(size)]


def picked(selector: Selector, now: float, *tried: Member) -> Pick:
    pick = selector.pick(now, tried)
    assert isinstance(pick, Pick)
    return pick


def eject(selector: Selector, member: Member) -> None:
    others = tuple(other for other in selector.members.values() if other is not member)
    for _ in range(5):
        selector.finish(picked(selector, 0.0, *others), Outcome.FAILURE, 0.0)


@pytest.mark.parametrize("balancer", BALANCERS)
def test_16_the_neighbours_of_dead_endpoints_get_no_more_than_others(balancer: str) -> None:
    selector, members = make(10, balancer=balancer)
    for member in members[3:7]:
        eject(selector, member)
    counts: Counter[str] = Counter()
    for _ in range(6000):
        pick = picked(selector, 1.0)
        counts[pick.member.key] += 1
        selector.finish(pick, Outcome.SUCCESS, 1.0)
    assert len(counts) == 6
    assert max(counts.values()) <= 1.1 * 1000


@pytest.mark.parametrize("balancer", BALANCERS)
def test_18_no_way_to_end_an_attempt_leaks_its_count(balancer: str) -> None:
    selector, members = make(4, balancer=balancer, breaker=UNREACHABLE)
    a, others = members[0], members[1:]
    for outcome in [Outcome.NEUTRAL] * 400 + [
        Outcome.FAILURE,
        Outcome.SUCCESS,
        Outcome.FAILURE,
        Outcome.THROTTLE,
    ]:
        selector.finish(picked(selector, 0.0, *others), outcome, 0.0)
    assert [member.in_flight for member in members] == [0] * 4
    assert a.attempts == 404
    assert fair_share(selector, members)


@pytest.mark.parametrize("balancer", BALANCERS)
def test_18_attempts_at_a_removed_endpoint_end_on_it_and_not_on_its_successor(balancer: str) -> None:
    selector, (a, *others) = make(4, balancer=balancer)
    running = [picked(selector, 0.0, *others) for _ in range(50)]
    selector.remove(a.key)
    again = selector.add(a.key)
    for number, pick in enumerate(running):
        selector.finish(pick, list(Outcome)[number % 4], 0.1, pushback_s=5.0)
    assert (a.in_flight, again.in_flight, again.failures) == (0, 0, 0)
    assert selector.statistics().ready == 4
    assert fair_share(selector, [again, *others])


def fair_share(selector: Selector, members: list[Member]) -> bool:
    """Does the first of `members` get its part of 1,000 calls, 20 at a time, once all is forgotten?"""
    running = [picked(selector, 100.0) for _ in range(20)]
    counts = Counter(pick.member for pick in running)
    for _ in range(980):
        selector.finish(running.pop(0), Outcome.SUCCESS, 100.0)
        running.append(picked(selector, 100.0))
        counts[running[-1].member] += 1
    fair = 1000 / len(members)
    return 0.8 * fair <= counts[members[0]] <= 1.2 * fair


@pytest.mark.parametrize("balancer", BALANCERS)
@pytest.mark.parametrize("outcome", [Outcome.FAILURE, Outcome.THROTTLE])
@pytest.mark.parametrize(("breaker", "most"), [(UNREACHABLE, 1.2 * 0.1), (BreakerSettings(), 0.02)])
def test_19_failing_fast_attracts_no_traffic(
    traffic: Any, balancer: str, outcome: Outcome, breaker: BreakerSettings, most: float
) -> None:
    def behave(key: str, now: float) -> tuple[Outcome, float]:
        return (outcome, 0.001) if key == "0" else (Outcome.SUCCESS, 0.1)

    run = traffic(10, behave, balancer=balancer, breaker=breaker)
    run.closed_loop(concurrency=50, operations=5000)
    assert run.shares()["0"] <= most
    assert run.success() >= 0.99
    others = [share for key, share in run.shares().items() if key != "0"]
    assert max(others) <= 1.2 * min(others)


@pytest.mark.parametrize("balancer", BALANCERS)
@pytest.mark.parametrize("ejected", [0.0, 0.99])
def test_21_a_pick_costs_the_same_whatever_the_size_of_the_pool(balancer: str, ejected: float) -> None:
    def cost_s(size: int, dead: int) -> float:
        breaker = BreakerSettings(failure_threshold=1, reset_timeout_s=1e6, max_reset_timeout_s=1e6)
        selector, _ = make(size, balancer=balancer, breaker=breaker)
        for _ in range(dead):
            selector.finish(picked(selector, 0.0), Outcome.FAILURE, 0.0)
        assert selector.statistics().ready == size - dead
        best_s = float("inf")
        for _ in range(7):
            began_s = process_time()
            for _ in range(400):
                selector.finish(picked(selector, 1.0), Outcome.SUCCESS, 1.0)
            best_s = min(best_s, process_time() - began_s)
        return best_s / 400

    large_s = cost_s(4000, int(4000 * ejected))
    assert large_s < 5 * cost_s(10, 0)
    assert large_s < 50e-6


def test_21_the_slow_half_of_a_small_pool_is_avoided_while_the_fast_half_is_free() -> None:
    selector, (a, b, *fast) = make(4, balancer="least_connections")
    for slow in (a, b):
        picked(selector, 0.0, *fast, a if slow is b else b)
    for _ in range(100):
        pick = picked(selector, 0.0)
        assert pick.member in fast
        selector.finish(pick, Outcome.SUCCESS, 0.0)


@pytest.mark.parametrize("size", [2, 3, 10, 100])
def test_21_an_endpoint_that_hangs_draws_next_to_nothing(traffic: Any, size: int) -> None:
    def behave(key: str, now: float) -> tuple[Outcome, float]:
        return Outcome.SUCCESS, 1e9 if key == "0" else 0.01

    run = traffic(size, behave, balancer="least_connections", breaker=UNREACHABLE, deadline_s=1e6)
    run.closed_loop(concurrency=size * 4, operations=2000)
    assert run.shares()["0"] <= 0.02


@pytest.mark.parametrize("balancer", BALANCERS)
def test_29_a_retry_goes_to_an_endpoint_that_was_not_tried(traffic: Any, balancer: str) -> None:
    def behave(key: str, now: float) -> tuple[Outcome, float]:
        return (Outcome.FAILURE if key == "0" else Outcome.SUCCESS), 0.001

    run = traffic(3, behave, balancer=balancer, breaker=BreakerSettings(enabled=False))
    run.open_loop(rate_per_s=10, seconds=100)
    assert run.success() == 1.0
    places: dict[int, list[str]] = {}
    for attempt in run.attempts:
        places.setdefault(attempt.operation, []).append(attempt.endpoint)
    assert all(len(set(endpoints)) == len(endpoints) <= 2 for endpoints in places.values())


def test_29_when_all_were_tried_a_second_round_is_allowed(traffic: Any) -> None:
    answers = cycle([Outcome.FAILURE] * 3 + [Outcome.SUCCESS])
    run = traffic(3, lambda key, now: (next(answers), 0.001))
    run.open_loop(rate_per_s=1, seconds=20)
    assert run.success() == 1.0
    assert len(run.attempts) == 4 * 20
    assert len({attempt.endpoint for attempt in run.attempts[:3]}) == 3


@pytest.mark.parametrize("hint_s", [0.0, 1.0, 86_400.0, 9_999_999_999.0, float("inf"), -1.0, float("nan")])
@pytest.mark.parametrize("outcome", [Outcome.THROTTLE, Outcome.FAILURE])
def test_32_a_hint_holds_for_the_endpoint_that_gave_it_and_within_reason(
    outcome: Outcome, hint_s: float
) -> None:
    selector, (a, b) = make(2)
    selector.finish(picked(selector, 0.0, b), outcome, 0.0, pushback_s=hint_s)
    until_s = min(hint_s, 30.0) if hint_s > 0.0 else 0.0
    for share in (0.0, 0.5, 0.999):
        picks = [picked(selector, until_s * share) for _ in range(10)]
        if until_s:
            assert {pick.member for pick in picks} == {b}
    assert a in {picked(selector, max(until_s, 0.2)).member for _ in range(10)}


def test_32_a_hint_from_everyone_does_not_stop_the_pool() -> None:
    selector, members = make(3)
    for _ in members:
        selector.finish(picked(selector, 0.0), Outcome.THROTTLE, 0.0, pushback_s=86_400.0)
    assert picked(selector, 1.0).reason is PickReason.COOLING


def test_35_passing_checks_do_not_bring_back_an_endpoint_that_fails_at_its_work() -> None:
    interval_s, stay_s = 5.0, 30.0
    selector, (a, *_) = make(3, breaker=BreakerSettings(reset_timeout_s=stay_s))
    for tick in range(int(20 * interval_s * 10)):
        now = tick / 10
        if tick % int(interval_s * 10) == 0:
            for member in selector.members.values():
                selector.report_health(member, True, now)
        pick = picked(selector, now)
        selector.finish(pick, Outcome.FAILURE if pick.member is a else Outcome.SUCCESS, now)
    assert a.attempts <= 5 + 20 * interval_s / stay_s


def test_35_failing_checks_take_out_an_endpoint_that_would_serve() -> None:
    selector, (a, *_) = make(3)
    selector.report_health(a, False, 0.0)
    selector.report_health(a, False, 5.0)
    before = a.attempts
    for _ in range(300):
        selector.finish(picked(selector, 6.0), Outcome.SUCCESS, 6.0)
    assert a.attempts == before


def test_35_checks_that_are_lost_now_and_then_hardly_matter() -> None:
    settings = HealthSettings()
    selector, members = make(3, health=settings)
    rng = Random(11)
    for member in members:
        now, out_s = 0.0, 0.0
        while now < 100_000.0:
            selector.report_health(member, rng.random() >= 0.1, now)
            next_s = member.health.next_probe_s(settings, now, rng)
            out_s += 0.0 if member.health.usable else next_s - now
            now = next_s
        assert out_s / now < 0.01
