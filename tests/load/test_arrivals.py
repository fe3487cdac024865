"""Arrivals: true to their rate, in order, and the same for a seed, also where the rate changes."""

from __future__ import annotations

import math
from itertools import islice, pairwise, takewhile
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpe.load.arrivals import Ramp, Rate, Steady, constant, poisson

per_s = st.floats(0.1, 500.0)
rates = st.builds(Steady, per_s) | st.builds(Ramp, st.floats(0.0, 500.0), per_s, st.floats(0.1, 20.0))


def expected(rate: Rate, until_s: float) -> float:
    """The integral of the rate."""
    if isinstance(rate, Steady):
        return rate.rate_per_s * until_s
    inside = min(until_s, rate.over_s)
    at_end = rate.from_per_s + (rate.to_per_s - rate.from_per_s) * inside / rate.over_s
    return (rate.from_per_s + at_end) / 2 * inside + rate.to_per_s * (until_s - inside)


@given(rates, st.floats(0.0, 5000.0))
def test_the_arrivals_until_one_is_due_are_as_many_as_the_rate_says(rate: Rate, number: float) -> None:
    assert expected(rate, rate.due_s(number)) == pytest.approx(number, rel=1e-6, abs=1e-6)


@given(rates)
def test_constant_arrivals_begin_at_once_and_never_go_back(rate: Rate) -> None:
    instants = list(islice(constant(rate), 200))
    assert instants[0] == 0.0
    assert instants == sorted(instants)
    assert len(set(instants)) == 200


def test_a_ramp_is_sparse_first_and_dense_in_the_end() -> None:
    instants = list(takewhile(lambda due_s: due_s < 6.0, constant(Ramp(0.0, 20.0, 4.0))))
    assert (
        len([due_s for due_s in instants if due_s < 1.0 - 1e-9]) == 3
    )  # 2.5 have come by then, after the one at 0
    assert len([due_s for due_s in instants if 3.0 <= due_s < 4.0 - 1e-9]) == 17
    assert [
        later - earlier for earlier, later in zip(instants[-5:], instants[-4:], strict=False)
    ] == pytest.approx([0.05] * 4)


def test_a_ramp_may_lead_down() -> None:
    instants = list(takewhile(lambda due_s: due_s < 3.0, constant(Ramp(100.0, 10.0, 1.0))))
    assert len([due_s for due_s in instants if due_s < 1.0]) == pytest.approx(55, abs=1)
    assert len([due_s for due_s in instants if due_s >= 1.0]) == pytest.approx(20, abs=1)


@given(rates, st.integers(0, 1000))
def test_poisson_arrivals_are_in_order_and_the_same_for_a_seed(rate: Rate, seed: int) -> None:
    instants = list(islice(poisson(rate, Random(seed)), 50))
    assert instants == sorted(instants)
    assert instants[0] > 0
    assert instants == list(islice(poisson(rate, Random(seed)), 50))


def test_poisson_arrivals_follow_a_ramp_without_rhythm() -> None:
    rate = Ramp(0.0, 100.0, 50.0)
    instants = list(takewhile(lambda due_s: due_s < 50.0, poisson(rate, Random(3))))
    assert len(instants) == pytest.approx(2500, rel=0.06)
    assert len([due_s for due_s in instants if due_s < 25.0]) == pytest.approx(625, rel=0.12)
    steps = [expected(rate, later) - expected(rate, earlier) for earlier, later in pairwise(instants)]
    mean = sum(steps) / len(steps)
    deviation = math.sqrt(sum((step - mean) ** 2 for step in steps) / len(steps))
    assert deviation == pytest.approx(mean, rel=0.08)


@pytest.mark.parametrize("rate_per_s", [0.0, -1.0, math.inf, math.nan])
def test_a_rate_that_is_none_is_refused(rate_per_s: float) -> None:
    with pytest.raises(ValueError, match="rate"):
        Steady(rate_per_s)
    with pytest.raises(ValueError, match="rate"):
        Ramp(1.0, rate_per_s, 1.0)
    with pytest.raises(ValueError, match="ramp"):
        Ramp(1.0, 1.0, rate_per_s)


def test_a_ramp_may_begin_at_nothing_but_not_below() -> None:
    assert Ramp(0.0, 1.0, 1.0).due_s(0.0) == 0.0
    with pytest.raises(ValueError, match="rate"):
        Ramp(-1.0, 1.0, 1.0)
