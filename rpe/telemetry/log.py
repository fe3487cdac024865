"""A sink that writes what matters to the standard library's logging."""

from __future__ import annotations

import logging

from rpe.policy.outcome import OperationOutcome, Outcome
from rpe.telemetry.record import (
    AttemptRecord,
    BreakerRecord,
    ChainRecord,
    HealthRecord,
    Observer,
    OperationRecord,
)

__all__ = ["LogObserver"]


class LogObserver(Observer):
    """Log failed attempts, failed operations, breaker and health changes; successes at DEBUG.

    The records carry no credentials, so neither do the lines.
    """

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self._logger = logger or logging.getLogger("rpe.client")

    def on_attempt(self, record: AttemptRecord) -> None:
        """Log an attempt's end."""
        level = logging.DEBUG if record.outcome is Outcome.SUCCESS else logging.INFO
        self._logger.log(
            level,
            "attempt %d of %s at %s: %s (%s) after %.3f s",
            record.number,
            record.operation_id,
            record.endpoint,
            record.outcome,
            record.code,
            record.ended_s - record.started_s,
        )

    def on_operation(self, record: OperationRecord) -> None:
        """Log an operation's end."""
        level = logging.DEBUG if record.outcome is OperationOutcome.OK else logging.WARNING
        self._logger.log(
            level,
            "operation %s: %s (%s) after %d attempts and %.3f s",
            record.operation_id,
            record.outcome,
            record.code,
            record.attempts,
            record.ended_s - record.started_s,
        )

    def on_breaker(self, record: BreakerRecord) -> None:
        """Log a breaker's change of state."""
        self._logger.warning(
            "breaker of %s: %s -> %s (%s)", record.endpoint, record.before, record.after, record.cause
        )

    def on_health(self, record: HealthRecord) -> None:
        """Log a change of a health verdict."""
        state = "healthy" if record.healthy else "unhealthy"
        self._logger.warning("health checks say %s is %s: %s", record.endpoint, state, record.detail)

    def on_chain(self, record: ChainRecord) -> None:
        """Log that a step of a fallback chain went down or came up."""
        self._logger.warning(
            "fallback step %s: %s -> %s (%s)", record.step, record.before, record.after, record.cause
        )
