"""Is a failed attempt followed by another one, and when?

Three questions stand before every retry: can it help, may the work be done twice, and is
there time. Where to is the selector's decision; it tells by `elsewhere` whether an
endpoint is free that this operation has not tried in the present round.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rpe.policy._settings import check_number, check_whole
from rpe.policy.backoff import BackoffSettings, backoff_s

if TYPE_CHECKING:
    from random import Random

__all__ = ["RetryDecision", "RetryReason", "RetrySettings", "decide_retry"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrySettings:
    """How often and how patiently an operation is tried again.

    Arguments:
        max_retries: attempts after the first one, at most.
        backoff: the waits between rounds; going to another endpoint needs none.
        max_pushback_s: a server's hint to wait longer than this many seconds is cut to it.

    Raises:
        ConfigurationError: a setting is out of range; the text names it.
    """

    max_retries: int = 3
    backoff: BackoffSettings = field(default_factory=BackoffSettings)
    max_pushback_s: float = 30.0

    def __post_init__(self) -> None:
        check_whole("RetrySettings.max_retries", self.max_retries)
        check_number("RetrySettings.max_pushback_s", self.max_pushback_s)


class RetryReason(enum.StrEnum):
    """Why an attempt is, or is not, followed by another."""

    RETRY_ELSEWHERE = "retry_elsewhere"
    RETRY_AFTER_BACKOFF = "retry_after_backoff"
    NOT_RETRYABLE = "not_retryable"
    MAYBE_EXECUTED = "maybe_executed"
    PUSHBACK_REFUSED = "pushback_refused"
    EXHAUSTED = "exhausted"
    NO_TIME = "no_time"
    REAUTHENTICATE = "reauthenticate"
    """Not decided here: a server refused the token, and there may be another one."""


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """What to do after a failed attempt: try again after `delay_s` seconds, or give up, and why."""

    retry: bool
    delay_s: float
    reason: RetryReason


def decide_retry(
    settings: RetrySettings,
    *,
    attempts_made: int,
    retryable: bool,
    maybe_executed: bool,
    repeatable: bool,
    pushback_s: float | None,
    elsewhere: bool,
    remaining_s: float,
    rng: Random,
    rounds_made: int | None = None,
) -> RetryDecision:
    """Decide what follows a failed attempt.

    Arguments:
        attempts_made: attempts of this operation so far, the failed one included.
        retryable: trying again can help.
        maybe_executed: the work may have been done although the attempt failed.
        repeatable: the caller said that doing it twice is harmless.
        pushback_s: the endpoint's own hint; negative, or not a number: do not try again
            (gRFC A6). Otherwise it is a floor for the wait before the same endpoint is
            tried again, and does not delay another one.
        elsewhere: an endpoint not tried in this round is free.
        remaining_s: what is left of the operation's deadline (infinite if it has none).
        rounds_made: rounds over the pool so far; None: each attempt was a round, as in a
            pool of one.

    Returns:
        a decision whose delay always ends before the deadline.
    """
    if not retryable:
        return _give_up(RetryReason.NOT_RETRYABLE)
    if maybe_executed and not repeatable:
        return _give_up(RetryReason.MAYBE_EXECUTED)
    if pushback_s is not None and not pushback_s >= 0.0:  # written so that NaN refuses too
        return _give_up(RetryReason.PUSHBACK_REFUSED)
    if attempts_made > settings.max_retries:
        return _give_up(RetryReason.EXHAUSTED)
    if remaining_s <= 0.0:
        return _give_up(RetryReason.NO_TIME)
    if elsewhere:
        return RetryDecision(True, 0.0, RetryReason.RETRY_ELSEWHERE)
    rounds = attempts_made if rounds_made is None else rounds_made
    delay_s = backoff_s(settings.backoff, rounds - 1, rng)
    if pushback_s is not None:
        delay_s = max(delay_s, min(pushback_s, settings.max_pushback_s))
    if delay_s >= remaining_s:
        return _give_up(RetryReason.NO_TIME)
    return RetryDecision(True, delay_s, RetryReason.RETRY_AFTER_BACKOFF)


def _give_up(reason: RetryReason) -> RetryDecision:
    return RetryDecision(False, 0.0, reason)
