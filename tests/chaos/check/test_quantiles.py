"""Exact quantiles by nearest rank."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpe.chaos.check.measures.quantiles import nearest_rank

values = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=200)
quantiles = st.sampled_from([0.01, 0.07, 0.29, 0.5, 0.57, 0.9, 0.95, 0.99, 0.999, 1.0])


@given(values, quantiles)
def test_it_is_the_smallest_value_that_covers_its_part(found: list[float], quantile: float) -> None:
    result = nearest_rank(found, quantile)

    assert result in found
    covered = sum(value <= result for value in found)
    below = sum(value < result for value in found)
    assert covered >= quantile * len(found) - 1e-9
    assert below < quantile * len(found) + 1e-9


@pytest.mark.parametrize(
    ("quantile", "expected"),
    [(0.5, 50), (0.9, 90), (0.95, 95), (0.99, 99), (1.0, 100), (0.001, 1), (0.07, 7)],
)
def test_of_the_numbers_to_a_hundred_it_is_the_hundredfold(quantile: float, expected: int) -> None:
    assert nearest_rank(range(1, 101), quantile) == expected


def test_of_nothing_there_is_no_quantile() -> None:
    assert nearest_rank([], 0.5) is None


@pytest.mark.parametrize("quantile", [0.0, -0.1, 1.1])
def test_a_quantile_out_of_range_is_refused(quantile: float) -> None:
    with pytest.raises(ValueError, match="lies in"):
        nearest_rank([1.0], quantile)
