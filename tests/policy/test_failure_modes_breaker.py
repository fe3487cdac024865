"""Known ways for breakers to fail, by their numbers in the project's list, and what must hold instead."""

from __future__ import annotations

import itertools
from random import Random
from typing import Any

import pytest

from rpe.policy import (
    BreakerSettings,
    BreakerState,
    HealthSettings,
    Member,
    Outcome,
    Pick,
    PickReason,
    Selector,
)

STAY_S = 10.0
THRESHOLD = 4
BALANCERS = ["round_robin", "least_connections", "random"]


def make(size: int, **changes: Any) -> tuple[Selector, list[Member]]:
    options: dict[str, Any] = {
        "breaker": BreakerSettings(failure_threshold=THRESHOLD, reset_timeout_s=STAY_S),
        "health": HealthSettings(),
        "rng": Random(5),
    }
    selector = Selector(**{**options, **changes})
    return selector, [selector.add(f"{number}") for number in range(size)]


def call(selector: Selector, now: float, outcomes: dict[Member, Outcome], *tried: Member) -> Pick | None:
    """Make one attempt; a member without an entry serves. None if the pool refused."""
    pick = selector.pick(now, tried)
    if not isinstance(pick, Pick):
        return None
    selector.finish(pick, outcomes.get(pick.member, Outcome.SUCCESS), now)
    return pick


def eject(selector: Selector, member: Member, now: float) -> None:
    others = tuple(other for other in selector.members.values() if other is not member)
    while member.breaker.state is BreakerState.CLOSED:
        call(selector, now, {member: Outcome.FAILURE}, *others)


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("how", ["hang and cancel", "neutral", "never ended"])
def test_1_a_lost_probe_does_not_keep_a_breaker_half_open(size: int, how: str) -> None:
    selector, members = make(size)
    a, now = members[0], 0.0
    for _ in range(50):
        eject(selector, a, now)
        due_s = a.breaker.probe_due_s
        assert due_s is not None
        now = due_s
        probe = selector.pick(now)
        assert isinstance(probe, Pick)
        assert probe.member is a
        if how == "hang and cancel":
            now += 0.1
            selector.finish(probe, Outcome.NEUTRAL, now)
        elif how == "neutral":
            selector.finish(probe, Outcome.NEUTRAL, now)
        else:
            now = probe.admission.expires_s
        served = [call(selector, now, {}) for _ in range(6)]
        assert any(pick and pick.member is a for pick in served)
        assert a.breaker.state is BreakerState.CLOSED


@pytest.mark.parametrize("balancer", BALANCERS)
def test_2_an_ejected_endpoint_is_tried_again_by_its_timer(balancer: str) -> None:
    selector, (a, *_) = make(3, balancer=balancer)
    eject(selector, a, 0.0)
    before = a.attempts
    for _ in range(300):
        call(selector, 3 * STAY_S, {})
    assert a.attempts - before >= 50


@pytest.mark.parametrize("size", [1, 4])
def test_2_also_when_it_was_the_only_one_or_all_had_failed(size: int) -> None:
    selector, members = make(size)
    for member in members:
        eject(selector, member, 0.0)
    served = [call(selector, 3 * STAY_S, {}) for _ in range(50 * size)]
    assert None not in served
    assert all(member.attempts > 25 for member in members)


def test_3_half_open_lets_one_probe_out_however_many_wait() -> None:
    selector, (a, *_) = make(3)
    eject(selector, a, 0.0)
    picks = [selector.pick(2 * STAY_S) for _ in range(100)]
    at_a = [pick for pick in picks if isinstance(pick, Pick) and pick.member is a]
    assert len(at_a) == 1
    assert all(isinstance(pick, Pick) for pick in picks), "the others are served elsewhere"


def test_3_a_success_that_races_a_failed_probe_erases_nothing() -> None:
    selector, (a, b) = make(2)
    racing = selector.pick(0.0, (b,))
    assert isinstance(racing, Pick)
    eject(selector, a, 0.0)
    probe = selector.pick(2 * STAY_S)
    assert isinstance(probe, Pick)
    selector.finish(probe, Outcome.FAILURE, 2 * STAY_S)
    before = a.breaker.statistics()
    selector.finish(racing, Outcome.SUCCESS, 2 * STAY_S)
    assert a.breaker.statistics() == before
    assert before.openings == 2


def test_6_one_lucky_answer_does_not_bring_back_the_full_load(traffic: Any) -> None:
    count = 0

    def behave(key: str, now: float) -> tuple[Outcome, float]:
        nonlocal count
        count += key == "0"
        good = key != "0" or count % 20 == 0
        return (Outcome.SUCCESS if good else Outcome.FAILURE), 0.01

    run = traffic(4, behave)
    run.open_loop(rate_per_s=100, seconds=60)
    assert run.shares(since_s=10.0)["0"] < 0.05
    assert run.success() > 0.99


@pytest.mark.parametrize("start_s", [0.0, 1e9, -3600.0])
def test_7_only_differences_of_the_clock_count(start_s: float) -> None:
    selector, (a, *_) = make(3)
    eject(selector, a, start_s)
    due_s = a.breaker.probe_due_s
    assert due_s is not None
    assert 0.9 * STAY_S <= due_s - start_s <= 1.3 * STAY_S
    early = selector.pick(due_s - 0.01)
    assert isinstance(early, Pick)
    assert early.member is not a
    probe = selector.pick(due_s)
    assert isinstance(probe, Pick)
    assert probe.member is a


@pytest.mark.parametrize("balancer", BALANCERS)
def test_8_timeouts_count(traffic: Any, balancer: str) -> None:
    def behave(key: str, now: float) -> tuple[Outcome, float]:
        return Outcome.SUCCESS, 1e9 if key == "0" else 0.005

    breaker = BreakerSettings(reset_timeout_s=1.0)
    run = traffic(3, behave, per_attempt_s=0.1, breaker=breaker, balancer=balancer)
    run.open_loop(rate_per_s=100, seconds=3)
    at_a = [attempt.at_s for attempt in run.attempts if attempt.endpoint == "0"]
    under_way = 5  # begun before the first ones had timed out
    assert at_a
    assert len(at_a) <= breaker.failure_threshold + under_way + 3, "later, one probe for each stay"
    assert run.success() == 1.0


def test_10_callers_errors_neither_trip_a_breaker_nor_mend_it() -> None:
    selector, members = make(3)
    for _ in range(100):
        call(selector, 0.0, dict.fromkeys(members, Outcome.NEUTRAL))
    assert all(member.breaker.state is BreakerState.CLOSED for member in members)
    a = members[0]
    for outcome in [Outcome.FAILURE, Outcome.NEUTRAL] * THRESHOLD:
        call(selector, 0.0, {a: outcome}, *members[1:])
    assert a.breaker.statistics().openings == 1
    for _ in range(20):
        call(selector, 2 * STAY_S, {a: Outcome.NEUTRAL})
    assert a.breaker.state is BreakerState.HALF_OPEN, "an answer that says nothing closes nothing"


def test_11_a_refusal_of_our_own_is_charged_to_nobody() -> None:
    selector, members = make(3)
    picks = [selector.pick(0.0) for _ in range(200)]
    for pick in picks:
        assert isinstance(pick, Pick)
        selector.finish(pick, Outcome.NEUTRAL, 0.0)
    assert all(member.breaker.failures == 0 and member.load(0.0) == 0.0 for member in members)


def test_11_the_threshold_is_exact() -> None:
    selector, (a, b) = make(2)
    for failures in range(1, THRESHOLD):
        call(selector, 0.0, {a: Outcome.FAILURE}, b)
        assert a.breaker.failures == failures
        assert a.breaker.state is BreakerState.CLOSED
    call(selector, 0.0, {a: Outcome.FAILURE}, b)
    assert a.breaker.state is BreakerState.OPEN


@pytest.mark.parametrize("size", [1, 2, 4, 10])
def test_14_a_pool_whose_members_all_failed_recovers_with_them(traffic: Any, size: int) -> None:
    outage_s = 5.0

    def behave(key: str, now: float) -> tuple[Outcome, float]:
        return (Outcome.FAILURE if now < outage_s else Outcome.SUCCESS), 0.002

    run = traffic(size, behave, deadline_s=2.0)
    run.open_loop(rate_per_s=50, seconds=10)
    first_s = min(result.ended_s for result in run.results if result.ok)
    assert first_s <= outage_s + 1.05
    times = [attempt.at_s for attempt in run.attempts]
    assert max(later - earlier for earlier, later in itertools.pairwise(times)) <= 1.05
    assert run.success(since_s=outage_s + 2.0) == 1.0
    assert all(share > 0.5 / size for share in run.shares(since_s=outage_s + 2.0).values())


def test_14_while_nothing_works_each_endpoint_is_tried_at_most_once_an_interval(traffic: Any) -> None:
    run = traffic(3, lambda key, now: (Outcome.FAILURE, 0.002))
    run.open_loop(rate_per_s=50, seconds=20)
    settled = [attempt for attempt in run.attempts if attempt.at_s > 2.0]
    for key in run.selector.members:
        at_s = [attempt.at_s for attempt in settled if attempt.endpoint == key]
        assert 12 <= len(at_s) <= 19
        assert min(later - earlier for earlier, later in itertools.pairwise(at_s)) >= 0.99


def test_14_with_one_endpoint_a_forced_probe_is_the_first_and_the_last_thing_needed() -> None:
    selector, (a,) = make(1, breaker=BreakerSettings(success_threshold=1))
    eject(selector, a, 0.0)
    forced = call(selector, 1.0, {})
    assert forced is not None
    assert forced.reason is PickReason.FORCED
    assert a.breaker.state is BreakerState.CLOSED
