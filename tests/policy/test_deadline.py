from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpe.policy import attempt_timeout_s


@pytest.mark.parametrize(
    ("remaining_s", "per_attempt_s", "retries_left", "splittable", "timeout_s"),
    [
        (10.0, None, 3, True, 5.0),
        (10.0, None, 1, True, 5.0),
        (10.0, None, 0, True, 10.0),
        (10.0, None, 3, False, 10.0),
        (10.0, 4.0, 3, True, 4.0),
        (10.0, 4.0, 0, True, 4.0),
        (3.0, 4.0, 0, True, 3.0),
        (3.0, 4.0, 3, True, 3.0),
        (10.0, 4.0, 0, False, 4.0),
        (0.0, None, 3, True, 0.0),
        (-1.0, None, 3, True, 0.0),
        (-1.0, 4.0, 0, True, 0.0),
        (math.inf, None, 3, True, math.inf),
        (math.inf, 4.0, 3, True, 4.0),
    ],
)
def test_how_long_an_attempt_may_take(
    remaining_s: float, per_attempt_s: float | None, retries_left: int, splittable: bool, timeout_s: float
) -> None:
    assert (
        attempt_timeout_s(
            remaining_s, per_attempt_s=per_attempt_s, retries_left=retries_left, splittable=splittable
        )
        == timeout_s
    )


@given(total_s=st.floats(0.001, 1e6), retries=st.integers(1, 50))
def test_attempts_that_all_time_out_use_up_the_deadline_and_never_more(total_s: float, retries: int) -> None:
    remaining_s = total_s
    timeouts = []
    for left in range(retries, -1, -1):
        timeouts.append(
            attempt_timeout_s(remaining_s, per_attempt_s=None, retries_left=left, splittable=True)
        )
        remaining_s -= timeouts[-1]
    assert timeouts[0] == total_s / 2.0, "the first attempt leaves time for another"
    assert sum(timeouts) == pytest.approx(total_s)
    assert remaining_s == pytest.approx(0.0, abs=1e-9 * total_s)
