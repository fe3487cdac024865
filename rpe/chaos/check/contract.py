"""contract: the client under test does what the subject port says, and nothing outside of it."""

from __future__ import annotations

from rpe.chaos.check.base import Check, at, failed, passed
from rpe.chaos.history import History
from rpe.chaos.plan import Plan
from rpe.chaos.result import CheckResult

__all__ = ["CHECK"]

NAME = "contract"


def contract(history: History, plan: Plan) -> CheckResult:
    """Look for what was noted as outside of the contract."""
    errors = history.subject_errors
    if errors:
        return failed(
            NAME,
            f"the client broke its contract {len(errors)} times",
            [at(error.t, error.message) for error in errors],
        )
    return passed(NAME, "the client kept to its contract")


CHECK = Check(NAME, "The client keeps to the contract of the subject port.", contract)
