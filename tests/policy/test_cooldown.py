from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpe.policy import BackoffSettings, CooldownSettings, cooldown_s

SETTINGS = CooldownSettings(
    max_pushback_s=30.0, throttle=BackoffSettings(initial_s=0.1, max_s=5.0, jitter=0.0)
)


@pytest.mark.parametrize(
    ("throttles", "pushback_s", "pause_s"),
    [
        (0, None, 0.0),
        (1, None, 0.1),
        (3, None, 0.4),
        (99, None, 5.0),
        # The endpoint's own word counts more, also when it is shorter.
        (9, 0.0, 0.0),
        (9, 0.25, 0.25),
        (0, 12.0, 12.0),
        (0, 86_400.0, 30.0),
        (0, math.inf, 30.0),
        # No time can be read from these.
        (0, -1.0, 0.0),
        (0, math.nan, 0.0),
        (2, -1.0, 0.2),
    ],
)
def test_how_long_an_endpoint_is_left_alone(throttles: int, pushback_s: float | None, pause_s: float) -> None:
    assert cooldown_s(SETTINGS, throttles=throttles, pushback_s=pushback_s, rng=Random(1)) == pause_s


@given(throttles=st.integers(0, 10**9), pushback_s=st.none() | st.floats(), seed=st.integers(0, 99))
def test_it_is_always_a_short_time(throttles: int, pushback_s: float | None, seed: int) -> None:
    pause_s = cooldown_s(CooldownSettings(), throttles=throttles, pushback_s=pushback_s, rng=Random(seed))
    assert 0.0 <= pause_s <= 30.0
