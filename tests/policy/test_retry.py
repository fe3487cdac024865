from __future__ import annotations

import math
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpe.policy import BackoffSettings, RetryDecision, RetryReason, RetrySettings, decide_retry

SETTINGS = RetrySettings(
    max_retries=3, backoff=BackoffSettings(initial_s=1.0, max_s=8.0, jitter=0.0), max_pushback_s=30.0
)


def decide(settings: RetrySettings = SETTINGS, **changes: Any) -> RetryDecision:
    """Decide for the first failed attempt of an operation with much time, with `changes` to that."""
    case: dict[str, Any] = {
        "attempts_made": 1,
        "retryable": True,
        "maybe_executed": False,
        "repeatable": False,
        "pushback_s": None,
        "elsewhere": False,
        "remaining_s": 100.0,
        "rng": Random(1),
    }
    return decide_retry(settings, **{**case, **changes})


@pytest.mark.parametrize(
    ("changes", "reason", "delay_s"),
    [
        ({}, RetryReason.RETRY_AFTER_BACKOFF, 1.0),
        ({"attempts_made": 2}, RetryReason.RETRY_AFTER_BACKOFF, 2.0),
        ({"attempts_made": 3}, RetryReason.RETRY_AFTER_BACKOFF, 4.0),
        ({"attempts_made": 3, "rounds_made": 1}, RetryReason.RETRY_AFTER_BACKOFF, 1.0),
        ({"elsewhere": True}, RetryReason.RETRY_ELSEWHERE, 0.0),
        ({"maybe_executed": True, "repeatable": True}, RetryReason.RETRY_AFTER_BACKOFF, 1.0),
        # The endpoint's hint is a floor for that endpoint, and does not hold up another one.
        ({"pushback_s": 0.0}, RetryReason.RETRY_AFTER_BACKOFF, 1.0),
        ({"pushback_s": 0.5}, RetryReason.RETRY_AFTER_BACKOFF, 1.0),
        ({"pushback_s": 7.0}, RetryReason.RETRY_AFTER_BACKOFF, 7.0),
        ({"pushback_s": 86_400.0}, RetryReason.RETRY_AFTER_BACKOFF, 30.0),
        ({"pushback_s": math.inf}, RetryReason.RETRY_AFTER_BACKOFF, 30.0),
        ({"pushback_s": 7.0, "elsewhere": True}, RetryReason.RETRY_ELSEWHERE, 0.0),
        ({"remaining_s": math.inf}, RetryReason.RETRY_AFTER_BACKOFF, 1.0),
    ],
)
def test_it_is_tried_again(changes: dict[str, Any], reason: RetryReason, delay_s: float) -> None:
    assert decide(**changes) == RetryDecision(True, delay_s, reason)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"retryable": False}, RetryReason.NOT_RETRYABLE),
        ({"maybe_executed": True}, RetryReason.MAYBE_EXECUTED),
        ({"maybe_executed": True, "elsewhere": True}, RetryReason.MAYBE_EXECUTED),
        ({"pushback_s": -1.0}, RetryReason.PUSHBACK_REFUSED),
        ({"pushback_s": -math.inf, "elsewhere": True}, RetryReason.PUSHBACK_REFUSED),
        ({"pushback_s": math.nan}, RetryReason.PUSHBACK_REFUSED),
        ({"attempts_made": 4}, RetryReason.EXHAUSTED),
        ({"attempts_made": 4, "elsewhere": True}, RetryReason.EXHAUSTED),
        ({"remaining_s": 0.0, "elsewhere": True}, RetryReason.NO_TIME),
        ({"remaining_s": -1.0}, RetryReason.NO_TIME),
        ({"remaining_s": 1.0}, RetryReason.NO_TIME),
        ({"remaining_s": 6.9, "pushback_s": 7.0}, RetryReason.NO_TIME),
        # What cannot be helped is said before what is merely used up.
        ({"retryable": False, "attempts_made": 4}, RetryReason.NOT_RETRYABLE),
    ],
)
def test_it_is_given_up(changes: dict[str, Any], reason: RetryReason) -> None:
    assert decide(**changes) == RetryDecision(False, 0.0, reason)


def test_no_retries_means_none() -> None:
    assert decide(RetrySettings(max_retries=0), elsewhere=True).reason is RetryReason.EXHAUSTED


@given(
    attempts_made=st.integers(1, 10**6),
    retryable=st.booleans(),
    maybe_executed=st.booleans(),
    repeatable=st.booleans(),
    pushback_s=st.none() | st.floats(),
    elsewhere=st.booleans(),
    remaining_s=st.floats(allow_nan=False),
    max_retries=st.integers(0, 10**6),
    rounds_made=st.none() | st.integers(1, 10**6),
    seed=st.integers(0, 1000),
)
def test_the_laws_of_retrying(
    attempts_made: int,
    retryable: bool,
    maybe_executed: bool,
    repeatable: bool,
    pushback_s: float | None,
    elsewhere: bool,
    remaining_s: float,
    max_retries: int,
    rounds_made: int | None,
    seed: int,
) -> None:
    settings = RetrySettings(max_retries=max_retries)
    decision = decide_retry(
        settings,
        attempts_made=attempts_made,
        retryable=retryable,
        maybe_executed=maybe_executed,
        repeatable=repeatable,
        pushback_s=pushback_s,
        elsewhere=elsewhere,
        remaining_s=remaining_s,
        rng=Random(seed),
        rounds_made=rounds_made,
    )
    if not decision.retry:
        assert decision.delay_s == 0.0
        return
    assert retryable
    assert repeatable or not maybe_executed
    assert attempts_made <= max_retries
    assert pushback_s is None or pushback_s >= 0.0
    assert 0.0 <= decision.delay_s < remaining_s
    if elsewhere:
        assert decision.delay_s == 0.0
    elif pushback_s is not None:
        assert decision.delay_s >= min(pushback_s, settings.max_pushback_s)
