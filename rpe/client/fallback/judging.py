"""What an error of an operation says of the step of a chain that it came from."""

from __future__ import annotations

from rpe.errors import (
    ConfigurationError,
    DataValidationError,
    HopLimitExceeded,
    ManifestInvalid,
    ProtocolViolation,
    RemoteExecutionFailed,
    RemoteOverloaded,
    RpeError,
)
from rpe.policy.outcome import Outcome

__all__ = ["ends_the_chain", "outcome_of_step"]

_OF_ONE_STEP = (ProtocolViolation, ManifestInvalid, HopLimitExceeded)
"""Of the classes below by birth, but about one step: its server, its manifest, its distance."""


def ends_the_chain(error: RpeError) -> bool:
    """Say whether `error` is the caller's own mistake, which no other step would mend."""
    return isinstance(error, DataValidationError | ConfigurationError) and not isinstance(error, _OF_ONE_STEP)


def outcome_of_step(error: RpeError) -> Outcome:
    """Return what an operation that ended with `error` was for the health of its step.

    All that kept a step from answering is a FAILURE, whoever's fault it was: a step that refuses our
    credentials, or whose manifest is wrong, will not answer the next operation either. A
    refusal for load is a THROTTLE: operations spill over one by one, and the step stays.
    What lies in the one request (it is too large, or has come too far) is NEUTRAL.
    """
    if isinstance(error, RemoteOverloaded):
        return Outcome.THROTTLE
    if error.attempts and all(attempt.outcome == Outcome.THROTTLE for attempt in error.attempts):
        return Outcome.THROTTLE
    if isinstance(error, HopLimitExceeded) or ends_the_chain(error):
        return Outcome.NEUTRAL
    if isinstance(error, RemoteExecutionFailed) and error.error_type == "resource_limit":
        return Outcome.NEUTRAL
    return Outcome.FAILURE
