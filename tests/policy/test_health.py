from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpe.policy import HealthSettings, HealthState, HealthVerdict

UNKNOWN, HEALTHY, UNHEALTHY = HealthVerdict.UNKNOWN, HealthVerdict.HEALTHY, HealthVerdict.UNHEALTHY


@pytest.mark.parametrize(
    ("unhealthy_after", "healthy_after", "answers", "verdicts"),
    [
        (2, 1, [True], [HEALTHY]),
        (2, 1, [False], [UNKNOWN]),
        (2, 1, [False, False, False], [UNKNOWN, UNHEALTHY, UNHEALTHY]),
        (2, 1, [True, False, True, False], [HEALTHY] * 4),
        (2, 1, [False, False, True, False, False], [UNKNOWN, UNHEALTHY, HEALTHY, HEALTHY, UNHEALTHY]),
        (1, 1, [False, True, False], [UNHEALTHY, HEALTHY, UNHEALTHY]),
        (1, 3, [False, True, True, False, True, True, True], [UNHEALTHY] * 6 + [HEALTHY]),
        (2, 3, [True, True, True], [UNKNOWN, UNKNOWN, HEALTHY]),
    ],
)
def test_answers_in_a_row_make_a_verdict(
    unhealthy_after: int, healthy_after: int, answers: list[bool], verdicts: list[HealthVerdict]
) -> None:
    settings = HealthSettings(unhealthy_after=unhealthy_after, healthy_after=healthy_after)
    health = HealthState(settings)
    before = UNKNOWN
    for ok, verdict in zip(answers, verdicts, strict=True):
        assert health.record(ok) is (verdict is not before)
        assert health.verdict is verdict
        assert health.usable is (verdict is not UNHEALTHY)
        before = verdict


def test_it_counts_as_usable_before_the_first_answer() -> None:
    health = HealthState(HealthSettings())
    assert health.verdict is UNKNOWN
    assert health.usable
    assert repr(health) == "<HealthState unknown, streak 0>"


def test_the_first_check_comes_at_any_moment_of_the_first_interval() -> None:
    settings, rng = HealthSettings(interval_s=5.0), Random(1)
    moments = [HealthState(settings).next_probe_s(settings, 100.0, rng) for _ in range(500)]
    assert 100.0 <= min(moments) < 100.1
    assert 104.9 < max(moments) <= 105.0


@pytest.mark.parametrize(
    ("answers", "pause_s"),
    [
        ([True], 5.0),
        ([True, False], 2.5),
        ([True, False, False], 2.5),
        ([False, False, False], 5.0),
        ([False, False, True], 5.0),
    ],
)
def test_doubt_halves_the_pause(answers: list[bool], pause_s: float) -> None:
    settings = HealthSettings(interval_s=5.0, jitter=0.0, unhealthy_after=2)
    health = HealthState(settings)
    for ok in answers:
        health.record(ok)
    assert health.next_probe_s(settings, 100.0, Random(1)) == 100.0 + pause_s


@given(
    answers=st.lists(st.booleans(), min_size=1, max_size=20),
    jitter=st.floats(0.0, 1.0),
    unhealthy_after=st.integers(1, 4),
    healthy_after=st.integers(1, 4),
    seed=st.integers(0, 100),
)
def test_pauses_and_verdicts_stay_within_their_settings(
    answers: list[bool], jitter: float, unhealthy_after: int, healthy_after: int, seed: int
) -> None:
    settings = HealthSettings(jitter=jitter, unhealthy_after=unhealthy_after, healthy_after=healthy_after)
    health = HealthState(settings)
    for ok in answers:
        health.record(ok)
    pause_s = health.next_probe_s(settings, 0.0, Random(seed))
    assert 2.5 * (1.0 - jitter) <= pause_s <= 5.0 * (1.0 + jitter) + 1e-9
    if answers[-unhealthy_after:] == [False] * unhealthy_after:
        assert health.verdict is UNHEALTHY
    if answers[-healthy_after:] == [True] * healthy_after:
        assert health.verdict is HEALTHY
