"""Taking the time that the script's `service` has for the work on a request."""

from __future__ import annotations

from collections.abc import Iterable

from rpe.clock import Clock
from rpe.data import RuntimeData
from rpe.fakes.record import CallRecord
from rpe.fakes.service import CallService

__all__ = ["work"]


async def work(
    service: CallService,
    data: Iterable[RuntimeData],
    clock: Clock,
    record: CallRecord,
    sequence: int | None = None,
) -> None:
    """Take the time that the work on these data takes, and write it down."""
    takes_s = service.takes_s(data, clock.now())
    record.fault("service", f"{takes_s:.6f}", sequence=sequence)
    await clock.sleep(takes_s)
