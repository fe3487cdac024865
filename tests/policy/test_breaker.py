from __future__ import annotations

import itertools
from random import Random

import pytest

from rpe.policy import (
    Admission,
    Breaker,
    BreakerEvent,
    BreakerSettings,
    BreakerState,
    Outcome,
    breaker_diagram,
)
from rpe.policy.breaker import TRANSITIONS, Transition

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN
SETTINGS = BreakerSettings(
    failure_threshold=3,
    success_threshold=2,
    reset_timeout_s=10.0,
    max_reset_timeout_s=35.0,
    jitter=0.0,
    probe_expiry_s=5.0,
)


def make(state: BreakerState, settings: BreakerSettings = SETTINGS) -> tuple[Breaker, Admission, float]:
    """Return a breaker in `state`, an admission whose outcome it waits for, and the time."""
    breaker = Breaker(settings, Random(1))
    first = admitted(breaker, 0.0)
    if state is CLOSED:
        return breaker, first, 0.0
    for _ in range(settings.failure_threshold):
        breaker.record(first, Outcome.FAILURE, 0.0)
    if state is OPEN:
        return breaker, forced(breaker, 1.0), 1.0
    return breaker, admitted(breaker, 10.0), 10.0


def admitted(breaker: Breaker, now: float) -> Admission:
    admission = breaker.admit(now)
    assert admission is not None
    return admission


def forced(breaker: Breaker, now: float) -> Admission:
    admission = breaker.force_probe(now)
    assert admission is not None
    return admission


# Every state by every event: the state after it. Written down again here, by hand.
AFTER = {
    #                         closed  open       half-open
    BreakerEvent.SUCCESS: (CLOSED, HALF_OPEN, HALF_OPEN),
    BreakerEvent.RECOVERED: (CLOSED, CLOSED, CLOSED),
    BreakerEvent.FAILURE: (CLOSED, OPEN, OPEN),
    BreakerEvent.TRIPPED: (OPEN, OPEN, OPEN),
    BreakerEvent.THROTTLE: (CLOSED, OPEN, HALF_OPEN),
    BreakerEvent.NEUTRAL: (CLOSED, OPEN, HALF_OPEN),
    BreakerEvent.LATE: (CLOSED, OPEN, HALF_OPEN),
    BreakerEvent.DUE: (CLOSED, HALF_OPEN, HALF_OPEN),
    BreakerEvent.LEASED: (CLOSED, OPEN, HALF_OPEN),
    BreakerEvent.EXPIRED: (CLOSED, OPEN, HALF_OPEN),
}
PAIRS = list(itertools.product(BreakerState, BreakerEvent))


def after(state: BreakerState, event: BreakerEvent) -> BreakerState:
    return AFTER[event][(CLOSED, OPEN, HALF_OPEN).index(state)]


def test_the_table_has_every_pair_and_no_other() -> None:
    assert set(TRANSITIONS) == set(PAIRS)
    assert {pair: rule.after for pair, rule in TRANSITIONS.items()} == {pair: after(*pair) for pair in PAIRS}


@pytest.mark.parametrize(("state", "event"), PAIRS)
def test_the_machine_follows_the_table(state: BreakerState, event: BreakerEvent) -> None:
    thresholds = {
        BreakerEvent.TRIPPED: BreakerSettings(failure_threshold=1, jitter=0.0, reset_timeout_s=10.0),
        BreakerEvent.RECOVERED: BreakerSettings(success_threshold=1, jitter=0.0, reset_timeout_s=10.0),
    }
    breaker, admission, now = make(state, thresholds.get(event, SETTINGS))
    before = breaker.statistics()
    match event:
        case BreakerEvent.SUCCESS | BreakerEvent.RECOVERED:
            change = breaker.record(admission, Outcome.SUCCESS, now)
        case BreakerEvent.FAILURE | BreakerEvent.TRIPPED:
            change = breaker.record(admission, Outcome.FAILURE, now)
        case BreakerEvent.THROTTLE | BreakerEvent.NEUTRAL:
            change = breaker.record(admission, Outcome(event), now)
        case BreakerEvent.LATE:
            change = breaker.record(Admission(-1), Outcome.FAILURE, now)
            assert breaker.statistics() == before
        case BreakerEvent.EXPIRED:
            now = min(admission.expires_s, now + 100.0)  # that of a closed breaker never comes
            if admission.probe:
                change = breaker.record(admission, Outcome.FAILURE, now)
                assert not breaker.statistics().probing
            else:
                change = None
        case BreakerEvent.LEASED:
            breaker.record(admission, Outcome.NEUTRAL, now)
            lease = breaker.force_probe(now)
            assert (lease is None) is (state is CLOSED)
            change = lease.transition if lease else None
        case BreakerEvent.DUE:
            breaker.record(admission, Outcome.NEUTRAL, now)
            now += 100.0
            change = admitted(breaker, now).transition
    assert breaker.state is after(state, event)
    if breaker.state is state:
        assert change is None
    else:
        assert change == Transition(state, breaker.state, now, event)


def test_it_opens_at_the_threshold_of_consecutive_failures() -> None:
    breaker = Breaker(SETTINGS, Random(1))
    admission = admitted(breaker, 0.0)
    for outcome in (Outcome.FAILURE, Outcome.FAILURE, Outcome.SUCCESS, Outcome.FAILURE, Outcome.FAILURE):
        assert breaker.record(admission, outcome, 1.0) is None
    assert breaker.state is CLOSED
    opened = breaker.record(admission, Outcome.FAILURE, 2.0)
    assert opened == Transition(CLOSED, OPEN, 2.0, BreakerEvent.TRIPPED)
    assert breaker.probe_due_s == 12.0
    assert breaker.admit(11.9) is None


def test_throttles_and_neutral_outcomes_neither_count_nor_forgive() -> None:
    breaker = Breaker(SETTINGS, Random(1))
    admission = admitted(breaker, 0.0)
    for outcome in (Outcome.FAILURE, Outcome.THROTTLE, Outcome.FAILURE, Outcome.NEUTRAL):
        breaker.record(admission, outcome, 1.0)
    assert breaker.failures == 2
    breaker.record(admission, Outcome.FAILURE, 1.0)
    assert breaker.state is OPEN


def test_probes_go_out_one_by_one_and_enough_good_ones_close_it() -> None:
    breaker, probe, now = make(HALF_OPEN)
    assert probe.transition == Transition(OPEN, HALF_OPEN, 10.0, BreakerEvent.DUE)
    assert breaker.admit(now) is None
    assert breaker.force_probe(now) is None
    assert breaker.record(probe, Outcome.SUCCESS, 11.0) is None
    second = admitted(breaker, 11.0)
    assert second.probe
    assert second.transition is None
    closed = breaker.record(second, Outcome.SUCCESS, 12.0)
    assert closed == Transition(HALF_OPEN, CLOSED, 12.0, BreakerEvent.RECOVERED)
    assert not admitted(breaker, 12.0).probe


def test_each_failed_probe_makes_the_next_stay_longer_and_closing_forgets_that() -> None:
    breaker, probe, now = make(HALF_OPEN)
    stays = []
    for _ in range(4):
        breaker.record(probe, Outcome.FAILURE, now)
        assert breaker.probe_due_s is not None
        stays.append(breaker.probe_due_s - now)
        now = breaker.probe_due_s
        probe = admitted(breaker, now)
    assert stays == [20.0, 35.0, 35.0, 35.0]
    breaker.record(probe, Outcome.SUCCESS, now)
    breaker.record(admitted(breaker, now), Outcome.SUCCESS, now)
    for _ in range(3):
        breaker.record(admitted(breaker, now), Outcome.FAILURE, now)
    assert breaker.probe_due_s == now + 10.0


def test_a_good_probe_after_a_bad_one_starts_counting_again() -> None:
    breaker, probe, now = make(HALF_OPEN)
    breaker.record(probe, Outcome.SUCCESS, now)
    breaker.record(admitted(breaker, now), Outcome.FAILURE, now)
    due_s = breaker.probe_due_s
    assert due_s is not None
    breaker.record(admitted(breaker, due_s), Outcome.SUCCESS, due_s)
    assert breaker.state is HALF_OPEN
    assert breaker.statistics().successes == 1


def test_a_forced_probe_that_fails_leaves_the_schedule_as_it_was() -> None:
    breaker, probe, now = make(OPEN)
    due_s = 10.0
    assert breaker.record(probe, Outcome.FAILURE, now) is None
    assert breaker.probe_due_s == due_s
    assert breaker.statistics().openings == 1
    breaker.record(admitted(breaker, due_s), Outcome.FAILURE, due_s)
    assert breaker.probe_due_s == due_s + 20.0


def test_a_forced_probe_that_succeeds_is_followed_by_the_next_at_once() -> None:
    breaker, probe, now = make(OPEN)
    assert breaker.record(probe, Outcome.SUCCESS, now) == Transition(
        OPEN, HALF_OPEN, now, BreakerEvent.SUCCESS
    )
    breaker.record(admitted(breaker, now), Outcome.SUCCESS, now)
    assert breaker.state is CLOSED


def test_a_forced_probe_that_is_out_when_the_stay_ends_is_not_joined_by_another() -> None:
    breaker = make(OPEN)[0]
    breaker.record(breaker.lease or pytest.fail("no lease"), Outcome.NEUTRAL, 1.0)
    late = forced(breaker, 9.0)
    assert breaker.admit(10.0) is None
    assert breaker.probe_due_s == late.expires_s == 14.0
    assert admitted(breaker, 14.0) is not late


@pytest.mark.parametrize("state", [OPEN, HALF_OPEN])
def test_a_lost_probe_frees_its_place_and_its_late_outcome_changes_nothing(state: BreakerState) -> None:
    breaker, lost, now = make(state)
    assert breaker.force_probe(now + 4.9) is None
    second = forced(breaker, now + 5.0)
    before = breaker.statistics()
    for outcome in Outcome:
        assert breaker.record(lost, outcome, now + 6.0) is None
        assert breaker.statistics() == before
    breaker.record(second, Outcome.SUCCESS, now + 6.0)
    assert breaker.statistics().successes == 1


def test_the_late_outcome_of_a_probe_nobody_replaced_changes_nothing_either() -> None:
    breaker, probe, now = make(HALF_OPEN)
    assert breaker.record(probe, Outcome.SUCCESS, now + 5.0) is None
    assert breaker.statistics().successes == 0
    assert not breaker.statistics().probing


def test_a_lease_lasts_as_long_as_its_attempt_may() -> None:
    breaker = make(HALF_OPEN)[0]
    breaker.record(breaker.lease or pytest.fail("no lease"), Outcome.NEUTRAL, 10.0)
    assert breaker.admit(10.0, lease_s=60.0) is not None
    assert breaker.admit(69.9) is None
    assert breaker.admit(70.0) is not None


def test_outcomes_of_an_earlier_generation_change_nothing() -> None:
    breaker = Breaker(SETTINGS, Random(1))
    old = admitted(breaker, 0.0)
    for _ in range(3):
        breaker.record(old, Outcome.FAILURE, 0.0)
    probe = admitted(breaker, 10.0)
    breaker.record(old, Outcome.SUCCESS, 10.0)
    breaker.record(old, Outcome.FAILURE, 10.0)
    assert breaker.state is HALF_OPEN
    breaker.record(probe, Outcome.SUCCESS, 10.0)
    breaker.record(admitted(breaker, 10.0), Outcome.SUCCESS, 10.0)
    for _ in range(9):
        breaker.record(old, Outcome.FAILURE, 10.0)
    assert breaker.state is CLOSED
    assert breaker.failures == 0


def test_switched_off_it_never_opens() -> None:
    breaker = Breaker(BreakerSettings(failure_threshold=1, enabled=False), Random(1))
    for _ in range(100):
        assert breaker.record(admitted(breaker, 0.0), Outcome.FAILURE, 0.0) is None
    assert breaker.state is CLOSED


def test_it_says_how_it_stands() -> None:
    breaker, _, _ = make(HALF_OPEN)
    assert repr(breaker) == "<Breaker half_open, generation 1, 0 failures>"
    statistics = breaker.statistics()
    assert (statistics.openings, statistics.probing, statistics.probe_due_s) == (1, True, 15.0)


def test_the_diagram_draws_every_rule_that_does_something() -> None:
    lines = breaker_diagram().splitlines()
    assert lines[:2] == ["stateDiagram-v2", "    [*] --> closed"]
    for (state, event), rule in TRANSITIONS.items():
        if rule.after is not state or rule.actions:
            start = f"    {state} --> {rule.after}: "
            assert any(line.startswith(start) and event in line for line in lines)
    assert "    closed --> open: tripped / new generation, next probe later each time" in lines
    assert not any("late" in line.split(": ", 1)[-1].split(" / ")[0] for line in lines[2:])
