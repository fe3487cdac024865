"""Arrivals: decided before the run, whole in number and true to their rate."""

from __future__ import annotations

import math
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpe.chaos.arrivals import constant, poisson

rates = st.floats(0.1, 500.0)
starts = st.floats(0.0, 10.0)
lengths = st.floats(0.0, 5.0)


def test_constant_arrivals_are_evenly_spaced() -> None:
    assert constant(4.0, 1.0, 2.0) == (1.0, 1.25, 1.5, 1.75)
    assert constant(40.0, 0.0, 4.0)[-1] == pytest.approx(3.975)
    assert len(constant(10.0, 0.1, 0.8)) == 7  # although (0.8 - 0.1) * 10 is a little more than 7


@given(rates, starts, lengths)
def test_constant_arrivals_lie_in_their_time(rate_per_s: float, start_s: float, length_s: float) -> None:
    instants = constant(rate_per_s, start_s, start_s + length_s)

    assert all(start_s <= instant < start_s + length_s + 1e-6 for instant in instants)
    assert abs(len(instants) - rate_per_s * length_s) <= 1 + 1e-6


@given(rates, starts, lengths, st.integers(0, 1000))
def test_poisson_arrivals_are_in_order_and_the_same_for_a_seed(
    rate_per_s: float, start_s: float, length_s: float, seed: int
) -> None:
    instants = poisson(rate_per_s, start_s, start_s + length_s, Random(seed))

    assert list(instants) == sorted(instants)
    assert all(start_s <= instant < start_s + length_s for instant in instants)
    assert instants == poisson(rate_per_s, start_s, start_s + length_s, Random(seed))


def test_poisson_arrivals_have_their_rate_and_no_rhythm() -> None:
    instants = poisson(50.0, 0.0, 100.0, Random(1))
    gaps = [later - earlier for earlier, later in pairwise(instants)]

    mean = sum(gaps) / len(gaps)
    deviation = math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / len(gaps))
    assert len(instants) == pytest.approx(5000, rel=0.05)
    assert deviation == pytest.approx(mean, rel=0.05)


@pytest.mark.parametrize("rate_per_s", [0.0, -1.0, math.inf, math.nan])
def test_a_rate_that_is_none_is_refused(rate_per_s: float) -> None:
    with pytest.raises(ValueError, match="rate"):
        constant(rate_per_s, 0.0, 1.0)
    with pytest.raises(ValueError, match="rate"):
        poisson(rate_per_s, 0.0, 1.0, Random(0))
