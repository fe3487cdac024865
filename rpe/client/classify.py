"""What an error says of the endpoint: the one place where errors become outcomes."""

from __future__ import annotations

from rpe.errors import (
    AuthenticationFailed,
    ConfigurationError,
    DataValidationError,
    HopLimitExceeded,
    ProtocolViolation,
    RemoteExecutionFailed,
    RemoteOverloaded,
    RpeError,
    SessionClosed,
)
from rpe.policy.outcome import OperationOutcome, Outcome

__all__ = ["lies_behind", "operation_outcome", "outcome_of", "pushback_of"]

_CALLERS_OWN = (
    AuthenticationFailed,
    ConfigurationError,
    DataValidationError,
    HopLimitExceeded,
    SessionClosed,
)
"""The caller's own mistakes: they say nothing of the endpoint, in neither direction."""

_REFUSED = frozenset({"resource_limit", "version_mismatch"})
"""Server words for a request it never began on, for reasons in the request."""


def outcome_of(error: BaseException) -> Outcome:
    """Return what an attempt that ended with `error` was.

    Anything that is not an error of rpe (cancellation above all) is NEUTRAL: it came from
    this side. A timeout is the endpoint's failure, since a caller that gives up cancels. An
    endpoint that says that what failed lies behind it has answered: it is not blamed, and
    neither is that taken for a success, since the answer to the question did not come.
    """
    if isinstance(error, ProtocolViolation):
        return Outcome.FAILURE
    if not isinstance(error, RpeError) or isinstance(error, _CALLERS_OWN):
        return Outcome.NEUTRAL
    if isinstance(error, RemoteOverloaded):
        return Outcome.THROTTLE
    if lies_behind(error) or (isinstance(error, RemoteExecutionFailed) and error.error_type in _REFUSED):
        return Outcome.NEUTRAL
    return Outcome.FAILURE


def lies_behind(error: BaseException) -> bool:
    """Whether the endpoint has answered that what failed is a machine that it had called in turn."""
    return isinstance(error, RemoteExecutionFailed) and error.downstream is not None


def pushback_of(error: BaseException) -> float | None:
    """Return the server's own hint when to come again, in seconds, where it gave one."""
    return error.retry_after_s if isinstance(error, RemoteOverloaded) else None


def operation_outcome(error: BaseException | None) -> OperationOutcome:
    """Return what a caller may believe of an operation that ended with `error`."""
    if error is None:
        return OperationOutcome.OK
    if isinstance(error, RpeError) and not error.maybe_executed:
        return OperationOutcome.FAILED
    return OperationOutcome.MAYBE
