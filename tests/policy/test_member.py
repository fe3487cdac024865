from __future__ import annotations

from random import Random

import pytest

from rpe.policy import Breaker, BreakerSettings, HealthSettings, HealthState, Member, Outcome


@pytest.fixture
def member() -> Member:
    return Member("host:1", Breaker(BreakerSettings(), Random(1)), HealthState(HealthSettings()))


def test_load_is_what_is_in_flight_and_ten_for_each_recent_failure(member: Member) -> None:
    member.in_flight = 3
    assert member.load(0.0) == 3.0
    member.count(Outcome.FAILURE, 0.0, 0.1)
    member.count(Outcome.THROTTLE, 0.0, 0.1)
    member.count(Outcome.NEUTRAL, 0.0, 0.1)
    assert member.load(0.0) == 23.0


def test_time_and_success_make_failures_forgotten(member: Member) -> None:
    member.count(Outcome.FAILURE, 0.0, 0.1)
    assert member.load(2.0) == pytest.approx(10.0 / 2.718, rel=1e-3)
    member.count(Outcome.SUCCESS, 2.0, 0.1)
    assert member.load(2.0) == pytest.approx(5.0 / 2.718, rel=1e-3)
    assert member.load(10.0) == 0.0, "what is too little to matter is dropped"


def test_a_clock_that_steps_back_forgets_nothing_and_adds_nothing(member: Member) -> None:
    member.count(Outcome.FAILURE, 1000.0, 0.1)
    assert member.load(0.0) == member.load(1000.0) == 10.0


def test_trouble_is_whatever_a_success_would_change(member: Member) -> None:
    assert not member.has_trouble()
    member.count(Outcome.THROTTLE, 0.0, 0.1)
    assert member.has_trouble()
    member.count(Outcome.SUCCESS, 0.0, 0.1)
    assert member.has_trouble(), "half of the penalty is left"
    member.forgive()
    assert not member.has_trouble()
    admission = member.breaker.admit(0.0)
    assert admission is not None
    member.breaker.record(admission, Outcome.FAILURE, 0.0)
    assert member.has_trouble()


def test_counts_of_all_outcomes_add_up_to_the_attempts(member: Member) -> None:
    for outcome in (*Outcome, *Outcome, Outcome.SUCCESS):
        member.attempts += 1
        member.count(outcome, 0.0, 0.5)
    member.attempts += 1
    member.in_flight += 1
    statistics = member.statistics()
    assert (statistics.attempts, statistics.in_flight) == (10, 1)
    assert statistics.successes == 3
    assert (statistics.failures, statistics.throttles, statistics.neutrals) == (2, 2, 2)


def test_latency_is_that_of_good_attempts_smoothed(member: Member) -> None:
    member.count(Outcome.FAILURE, 0.0, 99.0)
    assert member.latency_s == 0.0
    member.count(Outcome.SUCCESS, 0.0, 1.0)
    assert member.latency_s == 1.0
    member.count(Outcome.SUCCESS, 0.0, 2.0)
    assert member.latency_s == pytest.approx(1.1)
