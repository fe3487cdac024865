"""How ejected members come back: one by one, all at once, early, and not too early."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Collection
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

BREAKER = BreakerSettings(failure_threshold=2, success_threshold=1, reset_timeout_s=10.0, jitter=0.0)


def make(size: int, **changes: Any) -> tuple[Selector, list[Member]]:
    options: dict[str, Any] = {
        "breaker": BREAKER,
        "health": HealthSettings(unhealthy_after=1),
        "rng": Random(1),
    }
    selector = Selector(**{**options, **changes})
    return selector, [selector.add(str(number)) for number in range(size)]


def picked(selector: Selector, now: float, *tried: Member, **options: Any) -> Pick:
    pick = selector.pick(now, tried, **options)
    assert isinstance(pick, Pick), pick
    return pick


def serve(selector: Selector, now: float, failing: Collection[Member] = ()) -> Pick:
    """Make one attempt, which fails at the members `failing`."""
    pick = picked(selector, now)
    selector.finish(pick, Outcome.FAILURE if pick.member in failing else Outcome.SUCCESS, now)
    return pick


def eject(selector: Selector, *members: Member, now: float = 0.0) -> None:
    others = set(selector.members.values())
    for member in members:
        while member.breaker.state is BreakerState.CLOSED:
            pick = picked(selector, now, *(others - {member}))
            selector.finish(pick, Outcome.FAILURE if pick.member is member else Outcome.NEUTRAL, now)


def test_after_a_total_outage_all_are_tried_and_not_only_the_first_that_recovers() -> None:
    selector, members = make(5)
    eject(selector, *members)
    assert serve(selector, 1.0).reason is PickReason.FORCED
    reasons = Counter(serve(selector, 1.1).reason for _ in range(10))
    assert reasons == {PickReason.FORCED: 4, PickReason.NORMAL: 6}
    assert selector.statistics().ready == 5


def test_each_is_tried_early_once_and_those_that_still_fail_keep_their_schedule() -> None:
    selector, members = make(5)
    eject(selector, *members)
    well = serve(selector, 1.0).member
    sick = set(members) - {well}
    reasons = Counter(serve(selector, 1.1 + tick / 10, sick).reason for tick in range(80))
    assert reasons == {PickReason.FORCED: 4, PickReason.NORMAL: 76}
    assert {member.breaker.probe_due_s for member in sick} == {10.0}


def test_what_fails_after_the_outage_is_not_tried_early() -> None:
    selector, (a, b, c) = make(3)
    eject(selector, a, b, c)
    for _ in range(5):
        serve(selector, 1.0)
    assert selector.statistics().ready == 3
    eject(selector, b, now=2.0)
    assert {serve(selector, 2.0 + tick / 10).member for tick in range(90)} == {a, c}


def test_early_tries_are_not_for_retries_nor_at_first_for_careful_picks() -> None:
    selector, members = make(4)
    eject(selector, *members)
    well = serve(selector, 1.0).member
    assert picked(selector, 1.1, no_probe=True).member is well
    assert picked(selector, 1.1, well).reason is PickReason.NORMAL
    assert picked(selector, 1.1).reason is PickReason.FORCED
    assert picked(selector, 2.1, no_probe=True).reason is PickReason.FORCED


def test_if_every_pick_asks_for_care_one_of_them_makes_the_probe_all_the_same() -> None:
    twice = BreakerSettings(failure_threshold=2, success_threshold=2, reset_timeout_s=10.0, jitter=0.0)
    selector, (a, b, c) = make(3, breaker=twice)
    eject(selector, a)
    assert {picked(selector, 10.9, no_probe=True).member for _ in range(9)} == {b, c}
    for _ in range(2):
        probe = picked(selector, 11.0, no_probe=True)
        assert (probe.member, probe.reason) == (a, PickReason.PROBE)
        selector.finish(probe, Outcome.SUCCESS, 11.0)
    assert a.breaker.state is BreakerState.CLOSED


def test_the_recovery_of_a_removed_endpoint_says_nothing_of_the_others() -> None:
    selector, (a, b, c) = make(3)
    eject(selector, a, b, c)
    forced = picked(selector, 1.0)
    removed = forced.member
    selector.remove(removed.key)
    fresh = selector.add("fresh")
    eject(selector, fresh, now=1.0)
    assert selector.finish(forced, Outcome.SUCCESS, 1.0) is not None
    selector.add("another")
    assert {serve(selector, 1.0 + tick / 10).member.key for tick in range(80)} == {"another"}


def test_a_probe_that_is_told_to_wait_is_not_repeated_before() -> None:
    selector, (a, b) = make(2, breaker=BreakerSettings(failure_threshold=2, reset_timeout_s=10.0, jitter=0.0))
    eject(selector, a)
    probe = picked(selector, 10.0)
    selector.finish(probe, Outcome.THROTTLE, 10.0, pushback_s=5.0)
    assert a.breaker.state is BreakerState.HALF_OPEN
    assert {serve(selector, 14.9).member for _ in range(9)} == {b}
    assert serve(selector, 15.0).member is a


def test_alone_it_is_not_waited_for_that_long() -> None:
    selector, (a,) = make(1, breaker=BreakerSettings(failure_threshold=2, reset_timeout_s=10.0, jitter=0.0))
    eject(selector, a)
    selector.finish(picked(selector, 10.0), Outcome.THROTTLE, 10.0, pushback_s=5.0)
    assert picked(selector, 11.0).reason is PickReason.FORCED


def test_recovery_forgives_at_once() -> None:
    stay = BreakerSettings(failure_threshold=2, success_threshold=1, reset_timeout_s=0.5, jitter=0.0)
    selector, (a, *_) = make(3, balancer="least_connections", breaker=stay)
    eject(selector, a)
    assert a.load(0.5) > 10.0
    assert serve(selector, 0.5).member is a
    assert a.load(0.5) == 0.0


def test_the_last_guess_but_one_is_a_member_whose_breaker_and_checks_both_say_no() -> None:
    selector, (a, b) = make(2, panic_threshold=0.0)
    eject(selector, a, b)
    for member in (a, b):
        selector.report_health(member, False, 1.0)
    assert picked(selector, 10.0).reason is PickReason.PROBE


def test_all_that_has_come_due_is_looked_at_before_a_guess_is_made() -> None:
    selector, members = make(120)
    eject(selector, *members[:100])
    for _ in members[100:]:
        selector.finish(picked(selector, 0.0), Outcome.THROTTLE, 0.0, pushback_s=20.0)
    assert selector.statistics().ready == 0
    assert picked(selector, 50.0, members[0]).reason is PickReason.NORMAL, "a retry is no probe"


def test_removed_endpoints_leave_nothing_behind() -> None:
    selector, (stays,) = make(1)
    for number in range(300):
        short_lived = selector.add(f"short-lived {number}")
        eject(selector, short_lived)
        selector.remove(short_lived.key)
    del short_lived
    alive = [thing for thing in gc.get_objects() if type(thing) is Member and "short" in thing.key]
    assert len(alive) <= 70
    eject(selector, stays)
    assert picked(selector, 1.0).member is stays


@pytest.mark.parametrize("size", [1, 3])
def test_a_pool_that_was_idle_for_long_recovers_like_any_other(size: int) -> None:
    selector, members = make(size)
    eject(selector, *members)
    served = [serve(selector, 1e6) for _ in range(2 * size)]
    assert {pick.member for pick in served} == set(members)
    assert selector.statistics().ready == size


def test_a_session_that_has_opened_is_a_good_probe_although_it_has_not_ended() -> None:
    selector, (member, _) = make(2)
    eject(selector, member)
    pick = picked(selector, 20.0)
    assert pick.member is member and pick.probe
    transition = selector.vouch(pick, 20.1)
    assert transition is not None and transition.after is BreakerState.CLOSED
    assert member.in_flight == 1
    assert selector.vouch(pick, 20.2) is None
    selector.finish(pick, Outcome.FAILURE, 5000.0)
    assert member.in_flight == 0
    assert member.breaker.state is BreakerState.CLOSED


def test_only_a_probe_can_be_vouched_for() -> None:
    selector, (member,) = make(1)
    pick = picked(selector, 0.0)
    assert selector.vouch(pick, 0.1) is None
    selector.finish(pick, Outcome.FAILURE, 0.2)
    selector.finish(picked(selector, 0.3), Outcome.FAILURE, 0.4)
    assert member.breaker.state is BreakerState.OPEN
