"""What a call brings along besides its data: how far away it began, and how long it may take."""

from __future__ import annotations

from rpe.errors import Downstream, HopLimitExceeded
from rpe.manifest.remote import MAX_HOPS
from rpe.node.context import RunContext
from rpe.transport.downstream import write_context
from rpe.transport.ports import HOPS_KEY
from rpe.transport.serving import ApplicationError, ErrorType, Refusal, ServerCall, StatusCode

__all__ = ["TooFar", "arrival"]

_LONGEST_NUMBER = 9
_MARGIN = 0.1
_LONGEST_MARGIN_S = 0.1
_ROUNDING = 0.01
"""gRPC sends what is left of a deadline in three digits, rounded up, so that it may seem 1 % longer here."""


class TooFar(Exception):
    """Raised where a call comes through too many machines; `error` is what the caller is told."""

    def __init__(self, hops: int) -> None:
        message = f"this is call {hops} in a chain of pipelines, and {MAX_HOPS} are possible"
        super().__init__(message)
        told = Downstream(
            HopLimitExceeded.kind, HopLimitExceeded.code, hops, retryable=False, maybe_executed=False
        )
        self.error = ApplicationError(ErrorType.VALIDATION, message, context=write_context(told))


def arrival(call: ServerCall, now_s: float) -> tuple[RunContext, float | None]:
    """Return the context of the run that the call asks for, and when the service gives it up.

    The run's deadline comes before the caller's, by a tenth of the time but at most 100 ms: what
    calls on from here then times out while there is still time to tell whose fault it was. The
    service itself gives up halfway between the two.

    Raises TooFar after too many hops, and Refusal where their number is none.
    """
    hops = _hops(call.metadata.get(HOPS_KEY))
    if call.remaining_s is None:
        return RunContext(hops, None, call.operation_id), None
    remaining_s = call.remaining_s / (1 + _ROUNDING)
    margin_s = min(remaining_s * _MARGIN, _LONGEST_MARGIN_S)
    ends_s = now_s + remaining_s
    return RunContext(hops, ends_s - margin_s, call.operation_id), ends_s - margin_s / 2


def _hops(told: str | None) -> int:
    if told is None:
        return 0
    if not (told.isascii() and told.isdecimal() and len(told) <= _LONGEST_NUMBER):
        raise Refusal(StatusCode.INVALID_ARGUMENT, f"{HOPS_KEY} must be a number of hops")
    hops = int(told)
    if hops > MAX_HOPS:
        raise TooFar(hops)
    return hops
