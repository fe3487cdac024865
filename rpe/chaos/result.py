"""What a check comes to: pass, fail or unknown. Worst wins, and what was not seen is never a pass."""

from __future__ import annotations

import enum
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from rpe.chaos.strict import Items

__all__ = ["EXIT_WRONG_USE", "CheckResult", "Status", "exit_code", "merge"]


class Status(enum.StrEnum):
    """What a check, or a whole run, came to. UNKNOWN: it did not run, crashed, or had nothing to see."""

    PASS = "pass"
    FAIL = "fail"
    UNKNOWN = "unknown"


_WORST_FIRST = (Status.FAIL, Status.UNKNOWN, Status.PASS)

EXIT_WRONG_USE = 2
"""The exit code of a command that was used wrongly, and so judged nothing."""


def merge(statuses: Iterable[Status]) -> Status:
    """Return the worst of them: fail, then unknown, then pass; of none, unknown."""
    found = set(statuses)
    return next((status for status in _WORST_FIRST if status in found), Status.UNKNOWN)


def exit_code(status: Status) -> int:
    """Return the exit code that a command ends with: 0 only for a pass."""
    return {Status.PASS: 0, Status.FAIL: 1, Status.UNKNOWN: 3}[status]


class CheckResult(BaseModel):
    """What one check found.

    `summary` is a sentence for people. `evidence` lists the few events that broke the
    promise. `window`, `measured` and `wanted` are told by expectations.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    status: Status
    summary: str
    evidence: Items[str] = ()
    window: str | None = None
    measured: float | None = None
    wanted: str | None = None
