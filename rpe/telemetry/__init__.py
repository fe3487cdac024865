"""What is told of attempts and operations: one record, and the sinks that read it."""

from __future__ import annotations

from rpe.telemetry.log import LogObserver
from rpe.telemetry.record import (
    AttemptRecord,
    AttemptStart,
    BreakerRecord,
    ChainRecord,
    HealthRecord,
    Observer,
    OperationRecord,
)

__all__ = [
    "AttemptRecord",
    "AttemptStart",
    "BreakerRecord",
    "ChainRecord",
    "HealthRecord",
    "LogObserver",
    "Observer",
    "OperationRecord",
]
