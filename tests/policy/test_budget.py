from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpe.policy import BudgetSettings, RetryBudget


def drain(budget: RetryBudget, now: float) -> int:
    """Withdraw until refused; return how often it worked."""
    paid = 0
    while budget.try_withdraw(now):
        paid += 1
    return paid


def test_it_is_full_at_the_start() -> None:
    assert drain(RetryBudget(), 100.0) == 11  # 5 a second kept for 2 s, and the one that is always kept
    assert drain(RetryBudget(BudgetSettings(min_per_s=0.0)), 100.0) == 1


def test_it_may_forbid_all_extra_attempts() -> None:
    budget = RetryBudget(BudgetSettings(ratio=0.0, min_per_s=0.0))
    for second in range(100):
        budget.deposit(second)
    assert not budget.try_withdraw(1000.0)


def test_time_alone_pays_for_a_few() -> None:
    budget = RetryBudget(BudgetSettings(ratio=0.0, min_per_s=0.5, reserve_s=2.0))
    drain(budget, 0.0)
    assert not budget.try_withdraw(1.9)
    assert budget.try_withdraw(2.1)
    assert not budget.try_withdraw(2.2)
    assert drain(budget, 1e9) == 2, "however long it was idle, it holds no more than at the start"


@pytest.mark.parametrize("rate_per_s", [0.5, 1.0, 20.0, 1000.0])
def test_it_grows_with_the_traffic(rate_per_s: float) -> None:
    settings = BudgetSettings(ratio=0.2, min_per_s=0.0, reserve_s=2.0)
    budget = RetryBudget(settings)
    now = 0.0
    for _ in range(int(rate_per_s * 30)):
        now += 1.0 / rate_per_s
        budget.deposit(now)
    inflow_per_s = settings.ratio * rate_per_s
    assert budget.statistics().balance == pytest.approx(1.0 + inflow_per_s * settings.reserve_s, rel=0.15)
    assert drain(budget, now) >= 1, "a slow client can save up for one"


def test_old_savings_leak_away() -> None:
    budget = RetryBudget(BudgetSettings(min_per_s=0.0, reserve_s=2.0))
    for _ in range(1000):
        budget.deposit(0.0)
    assert budget.statistics().balance == pytest.approx(201.0)
    budget.deposit(20.0)
    assert budget.statistics().balance < 2.0


def test_a_clock_that_stands_or_steps_back_pays_nothing() -> None:
    budget = RetryBudget()
    drain(budget, 1000.0)
    assert not budget.try_withdraw(1000.0)
    assert not budget.try_withdraw(-2600.0)
    assert not budget.try_withdraw(1000.1)
    assert budget.try_withdraw(1000.3)


def test_it_counts_what_became_of_requests() -> None:
    budget = RetryBudget(BudgetSettings(min_per_s=0.0))
    budget.deposit(0.0)
    assert [budget.try_withdraw(0.0), budget.try_withdraw(0.0)] == [True, False]
    statistics = budget.statistics()
    assert (statistics.deposits, statistics.withdrawals, statistics.refusals) == (1, 1, 1)
    assert statistics.balance == pytest.approx(0.2)
    assert repr(budget) == "<RetryBudget 0.20 tokens, 1 paid, 1 refused>"


@given(
    ratio=st.floats(0.0, 1.0),
    min_per_s=st.floats(0.0, 50.0),
    reserve_s=st.floats(0.1, 10.0),
    steps=st.lists(st.tuples(st.floats(0.0, 5.0), st.booleans()), max_size=200),
)
def test_what_is_paid_out_was_paid_in(
    ratio: float, min_per_s: float, reserve_s: float, steps: list[tuple[float, bool]]
) -> None:
    settings = BudgetSettings(ratio=ratio, min_per_s=min_per_s, reserve_s=reserve_s)
    budget = RetryBudget(settings)
    start = budget.statistics().balance
    now = 0.0
    for pause_s, deposits in steps:
        now += pause_s
        if deposits:
            budget.deposit(now)
        else:
            budget.try_withdraw(now)
        assert budget.statistics().balance >= 0.0
    counts = budget.statistics()
    inflow = start + ratio * counts.deposits + min_per_s * now
    assert counts.withdrawals + counts.balance <= inflow + 1e-6 * (1.0 + inflow)
