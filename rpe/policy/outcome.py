"""What became of an attempt, and of an operation: the words all policies share."""

from __future__ import annotations

import enum

__all__ = ["OperationOutcome", "Outcome"]


class Outcome(enum.StrEnum):
    """The one way in which an attempt ended.

    SUCCESS: the endpoint answered as it should.
    FAILURE: the endpoint, or the way to it, failed: this is what opens breakers.
    THROTTLE: the endpoint refused for load: it counts against load, not against health.
    NEUTRAL: it says nothing of the endpoint (the caller cancelled, or asked for nonsense).
    """

    SUCCESS = "success"
    FAILURE = "failure"
    THROTTLE = "throttle"
    NEUTRAL = "neutral"


class OperationOutcome(enum.StrEnum):
    """What the caller may believe of an operation: it happened, it did not, or it may have."""

    OK = "ok"
    FAILED = "failed"
    MAYBE = "maybe"
