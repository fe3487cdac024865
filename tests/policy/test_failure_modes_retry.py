"""Known ways to retry badly, by their numbers in the project's list, and what must hold instead."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from rpe.policy import (
    BackoffSettings,
    Breaker,
    BreakerSettings,
    HealthSettings,
    HealthState,
    Outcome,
    Pick,
    RetryBudget,
    RetryReason,
    RetrySettings,
    Selector,
    backoff_s,
    decide_retry,
)


def test_22_the_budget_alone_bounds_a_total_outage() -> None:
    budget = RetryBudget()
    operations = attempts = 0
    for tick in range(60 * 100):
        now = tick / 100
        operations += 1
        budget.deposit(now)
        attempts += 1 + sum(budget.try_withdraw(now) for _ in range(3))
    assert 1.2 < attempts / operations <= 1.3


def test_22_after_hours_of_good_traffic_too() -> None:
    budget = RetryBudget()
    for tick in range(1000 * 100):
        budget.deposit(tick / 100)
    paid = sum(budget.try_withdraw(1000.0) for _ in range(1000))
    assert paid <= 60, "what was saved is bounded"


@pytest.mark.parametrize("size", [1, 3, 10])
@pytest.mark.parametrize("enabled", [True, False])
def test_22_a_total_outage_is_no_storm_and_ends_when_it_ends(traffic: Any, size: int, enabled: bool) -> None:
    outage_s, rate_per_s = 60.0, 100

    def behave(key: str, now: float) -> tuple[Outcome, float]:
        return (Outcome.FAILURE if now < outage_s else Outcome.SUCCESS), 0.005

    run = traffic(size, behave, breaker=BreakerSettings(enabled=enabled), deadline_s=2.0)
    run.open_loop(rate_per_s, outage_s + 5.0)
    during = sum(attempt.at_s < outage_s for attempt in run.attempts)
    assert during / (outage_s * rate_per_s) <= 1.3
    assert run.success(since_s=outage_s + 2.0) > 0.99
    first_s = sum(outage_s <= attempt.at_s < outage_s + 2.0 for attempt in run.attempts)
    assert first_s <= 1.5 * 2.0 * rate_per_s


def test_25_one_deadline_holds_for_all_attempts(traffic: Any) -> None:
    retry = RetrySettings(max_retries=4, backoff=BackoffSettings(initial_s=0.01))
    run = traffic(3, lambda key, now: (Outcome.SUCCESS, 1e9), deadline_s=1.0, per_attempt_s=0.4, retry=retry)
    run.open_loop(rate_per_s=1, seconds=1)
    (result,) = run.results
    assert not result.ok
    assert 0.95 <= result.ended_s <= 1.1
    deadlines = [attempt.timeout_s for attempt in run.attempts]
    assert deadlines == pytest.approx([0.4, 0.4, 0.2])
    assert all(attempt.at_s + attempt.timeout_s <= 1.0 + 1e-9 for attempt in run.attempts)


def test_25_no_sleep_outlives_the_deadline(traffic: Any) -> None:
    retry = RetrySettings(backoff=BackoffSettings(initial_s=2.0, jitter=0.0))
    run = traffic(1, lambda key, now: (Outcome.FAILURE, 0.01), deadline_s=0.5, retry=retry)
    run.open_loop(rate_per_s=1, seconds=1)
    assert [result.ended_s for result in run.results] == [0.01]


@pytest.mark.parametrize("balancer", ["round_robin", "least_connections", "random"])
def test_26_one_attempt_that_hangs_does_not_eat_the_deadline(traffic: Any, balancer: str) -> None:
    def behave(key: str, now: float) -> tuple[Outcome, float]:
        return Outcome.SUCCESS, 1e9 if key == "0" and now >= 3.0 else 0.02

    run = traffic(2, behave, deadline_s=2.0, balancer=balancer)
    run.open_loop(rate_per_s=200, seconds=10)
    assert run.success() >= 0.99
    durations = sorted(result.ended_s - result.began_s for result in run.results)
    assert durations[int(0.99 * len(durations))] < 2.0


@pytest.mark.parametrize(
    ("maybe_executed", "repeatable", "again"),
    [(True, False, False), (True, True, True), (False, False, True), (False, True, True)],
)
@pytest.mark.parametrize("elsewhere", [True, False])
def test_27_what_may_have_been_done_is_not_done_again(
    maybe_executed: bool, repeatable: bool, again: bool, elsewhere: bool
) -> None:
    decision = decide_retry(
        RetrySettings(),
        attempts_made=1,
        retryable=True,
        maybe_executed=maybe_executed,
        repeatable=repeatable,
        pushback_s=None,
        elsewhere=elsewhere,
        remaining_s=60.0,
        rng=Random(1),
    )
    assert decision.retry is again
    assert (decision.reason is RetryReason.MAYBE_EXECUTED) is not again


def test_30_five_thousand_failures_overflow_nothing() -> None:
    rng, now = Random(3), 0.0
    settings = RetrySettings(max_retries=10**6)
    breaker = Breaker(BreakerSettings(failure_threshold=1, jitter=1.0), rng)
    for failures in range(1, 5001):
        decision = decide_retry(
            settings,
            attempts_made=failures,
            retryable=True,
            maybe_executed=False,
            repeatable=False,
            pushback_s=None,
            elsewhere=False,
            remaining_s=1e9,
            rng=rng,
        )
        assert 0.0 <= decision.delay_s <= 30.0 * 1.5
        admission = breaker.admit(now)
        assert admission is not None
        breaker.record(admission, Outcome.FAILURE, now)
        due_s = breaker.probe_due_s
        assert due_s is not None
        assert 0.0 <= due_s - now <= 300.0 * 2.0
        now = due_s
    assert now > 5000 * 200.0, "no hot loop either"


def fullest(moments: list[float], width_s: float = 0.1) -> float:
    """Return how full the fullest bin is, in times of the mean over the window they are spread over."""
    bins = Counter(int(moment / width_s) for moment in moments)
    window = max(bins) - min(bins) + 1
    return max(bins.values()) / (len(moments) / window)


def test_31_clients_that_failed_together_do_not_come_back_together() -> None:
    clients = [Random(seed) for seed in range(500)]
    retries = [backoff_s(BackoffSettings(), 0, rng) for rng in clients]
    assert fullest(retries) <= 3.0
    assert max(retries) - min(retries) >= 0.5 * 1.0

    settings = HealthSettings()
    checks = [HealthState(settings).next_probe_s(settings, 0.0, rng) for rng in clients]
    assert fullest(checks) <= 3.0
    assert max(checks) - min(checks) >= 0.5 * settings.interval_s


@pytest.mark.parametrize("size", [1, 2])
def test_31_probes_of_an_endpoint_that_many_lost_are_spread(size: int) -> None:
    forced, natural = [], []
    for seed in range(500):
        selector = Selector(breaker=BreakerSettings(), health=HealthSettings(), rng=Random(seed))
        members = [selector.add(str(number)) for number in range(size)]
        for _ in range(5 * size):
            pick = selector.pick(0.0)
            assert isinstance(pick, Pick)
            selector.finish(pick, Outcome.FAILURE, 0.0)
        forced.append(members[0].force_at_s)
        natural.append(members[0].breaker.probe_due_s or 0.0)
    assert fullest(forced) <= 3.0
    assert max(forced) - min(forced) >= 0.4 * 1.0
    assert fullest(natural) <= 3.0
    assert max(natural) - min(natural) >= 0.15 * 30.0


def test_31_growing_backoff_stays_spread() -> None:
    rng = Random(2)
    for n in range(6):
        waits = sorted(backoff_s(BackoffSettings(), n, rng) for _ in range(500))
        assert waits[-1] / waits[0] > 2.5
        assert max(later - earlier for earlier, later in pairwise(waits)) < 0.1 * waits[-1]
