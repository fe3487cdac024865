from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpe.policy import BackoffSettings, backoff_s

STEADY = BackoffSettings(initial_s=1.0, multiplier=2.0, max_s=30.0, jitter=0.0)


@pytest.mark.parametrize(
    ("n", "wait_s"), [(0, 1.0), (1, 2.0), (2, 4.0), (4, 16.0), (5, 30.0), (6, 30.0), (99, 30.0)]
)
def test_waits_double_up_to_the_cap(n: int, wait_s: float) -> None:
    assert backoff_s(STEADY, n, Random(1)) == wait_s


def test_jitter_spreads_evenly_round_the_nominal_wait() -> None:
    rng = Random(1)
    waits = [backoff_s(BackoffSettings(jitter=0.5), 2, rng) for _ in range(2000)]
    assert 2.0 <= min(waits) < 2.05
    assert 5.95 < max(waits) <= 6.0
    assert sum(waits) / len(waits) == pytest.approx(4.0, rel=0.03)


def test_a_multiplier_of_one_never_grows() -> None:
    settings = BackoffSettings(initial_s=0.5, multiplier=1.0, max_s=30.0, jitter=0.0)
    assert {backoff_s(settings, n, Random(1)) for n in (0, 1, 1000, 10**30)} == {0.5}


@given(
    initial_s=st.floats(1e-9, 1e6),
    multiplier=st.floats(1.0, 1e200),
    factor=st.floats(1.0, 1e200),
    jitter=st.floats(0.0, 1.0),
    n=st.integers(-5, 10**40),
    seed=st.integers(0, 2**32),
)
def test_a_wait_is_never_negative_and_never_above_the_cap(
    initial_s: float, multiplier: float, factor: float, jitter: float, n: int, seed: int
) -> None:
    settings = BackoffSettings(
        initial_s=initial_s, multiplier=multiplier, max_s=initial_s * factor, jitter=jitter
    )
    assert 0.0 <= backoff_s(settings, n, Random(seed)) <= settings.max_s * (1.0 + jitter)


@given(multiplier=st.floats(1.0, 10.0), n=st.integers(0, 2000))
def test_nominal_waits_never_shrink(multiplier: float, n: int) -> None:
    settings = BackoffSettings(multiplier=multiplier, jitter=0.0)
    rng = Random(1)
    assert backoff_s(settings, n, rng) <= backoff_s(settings, n + 1, rng)
