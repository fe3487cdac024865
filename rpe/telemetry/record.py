"""The records every part reads: one per attempt, one per operation, written once.

Breaker, balancer, budget, statistics and every sink are told of an attempt by the same
`AttemptRecord`; none of them keeps its own idea of what happened.
"""

from __future__ import annotations

from dataclasses import dataclass

from rpe.errors import AttemptSummary, RpeError
from rpe.policy.outcome import OperationOutcome, Outcome

__all__ = [
    "AttemptRecord",
    "AttemptStart",
    "BreakerRecord",
    "ChainRecord",
    "HealthRecord",
    "Observer",
    "OperationRecord",
]


@dataclass(frozen=True, slots=True)
class AttemptStart:
    """An attempt that is about to go out. `timeout_s` is what it may take."""

    operation_id: str
    number: int
    endpoint: str
    kind: str
    at_s: float
    timeout_s: float
    probe: bool


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """How an attempt ended. Times are of the client's clock, in seconds.

    `kind` is `execute` or `stream`; `code` is `ok` or the code of `error`; `probe` says
    that the attempt was a breaker's probe.
    """

    operation_id: str
    number: int
    endpoint: str
    kind: str
    started_s: float
    ended_s: float
    timeout_s: float
    probe: bool
    outcome: Outcome
    code: str
    error: RpeError | None = None

    def summary(self, operation_started_s: float) -> AttemptSummary:
        """Return what an error tells of this attempt."""
        return AttemptSummary(
            number=self.number,
            endpoint=self.endpoint,
            outcome=str(self.outcome),
            code=self.code,
            reason=self.error.message if self.error is not None else str(self.outcome),
            offset_s=self.started_s - operation_started_s,
            duration_s=self.ended_s - self.started_s,
        )


@dataclass(frozen=True, slots=True)
class OperationRecord:
    """How an operation ended: what its caller was told, after how many attempts."""

    operation_id: str
    kind: str
    started_s: float
    ended_s: float
    outcome: OperationOutcome
    code: str
    attempts: int
    endpoint: str | None = None
    error: RpeError | None = None


@dataclass(frozen=True, slots=True)
class BreakerRecord:
    """A breaker went from one state to another, and why."""

    endpoint: str
    before: str
    after: str
    cause: str
    at_s: float


@dataclass(frozen=True, slots=True)
class HealthRecord:
    """Active health checks changed their verdict on an endpoint."""

    endpoint: str
    healthy: bool
    at_s: float
    detail: str


@dataclass(frozen=True, slots=True)
class ChainRecord:
    """A step of a fallback chain went down or came up again, and why."""

    step: str
    before: str
    after: str
    cause: str
    at_s: float


class Observer:
    """What a sink fills in: each method does nothing unless it is overridden.

    Methods are called on the event loop, in the order in which things happen, and must not
    block. An exception from one is the observer's own fault and reaches the caller.
    """

    def on_attempt_start(self, start: AttemptStart) -> None:
        """An attempt is about to go out."""

    def on_attempt(self, record: AttemptRecord) -> None:
        """An attempt has ended; called exactly once for each start."""

    def on_operation(self, record: OperationRecord) -> None:
        """An operation has ended; called exactly once for each."""

    def on_breaker(self, record: BreakerRecord) -> None:
        """A breaker changed state."""

    def on_health(self, record: HealthRecord) -> None:
        """Health checks changed their verdict."""

    def on_chain(self, record: ChainRecord) -> None:
        """A step of a fallback chain went down or came up."""
