"""The verdict of a run, and the judge that comes to it from a history and a plan alone."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Container, Iterable
from functools import partial
from typing import Self

from pydantic import BaseModel, ConfigDict

from rpe.chaos.check import ALWAYS, FINISHED, expectation_name, judge_expectation
from rpe.chaos.check.base import few
from rpe.chaos.history import History
from rpe.chaos.plan import Plan
from rpe.chaos.result import EXIT_WRONG_USE, CheckResult, Status, exit_code, merge
from rpe.chaos.strict import Items

__all__ = ["EXIT_WRONG_USE", "CheckResult", "Status", "Verdict", "exit_code", "judge", "merge"]

MACHINE = "machine"
"""The name of the result which says that the machine stood still."""


class Verdict(BaseModel):
    """What a run came to, and all that was checked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: Status
    checks: Items[CheckResult]

    @classmethod
    def of(cls, checks: Iterable[CheckResult]) -> Self:
        """Make a verdict of the results of checks: the worst of them wins."""
        results = tuple(checks)
        return cls(status=merge(result.status for result in results), checks=results)

    @property
    def exit_code(self) -> int:
        """0 for a pass, 1 for a fail, 3 for unknown."""
        return exit_code(self.status)

    def worst(self) -> tuple[CheckResult, ...]:
        """Return the checks that made the verdict what it is."""
        return tuple(result for result in self.checks if result.status is self.status)

    @property
    def stood_still(self) -> bool:
        """Whether the machine may have broken a promise in the client's place: worth another run."""
        return any(result.name == MACHINE for result in self.checks)

    def to_json(self) -> str:
        """Return the verdict as JSON text."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read a verdict; raises ValueError where the text is not one."""
        return cls.model_validate_json(text)


def judge(history: History, plan: Plan) -> Verdict:
    """Run every check that always holds, and every expectation of the plan.

    A pure function of its arguments. A check that crashes is unknown; one that the scenario
    declares not applicable is listed with its reason. Of a run that did not go to its end
    only that is said: what it broke off may look like a mistake of the client's. Where the
    machine stood still, a broken promise about time is unknown, and not a fail.
    """
    finished = _guarded(FINISHED.name, partial(FINISHED.run, history, plan))
    if finished.status is not Status.PASS:
        return Verdict.of([finished])
    waived = {allowance.check: allowance.because for allowance in plan.allow}
    results: list[CheckResult] = []
    timed = {name for name, check in ALWAYS.items() if check.timed}
    for name, check in ALWAYS.items():
        if name in waived and check.waivable:
            summary = f"not applicable here: {waived[name]}"
            results.append(CheckResult(name=name, status=Status.PASS, summary=summary))
        else:
            results.append(_guarded(name, partial(check.run, history, plan)))
    for expectation in plan.expect:
        name = expectation_name(expectation)
        timed.add(name)
        results.append(_guarded(name, partial(judge_expectation, history, plan, expectation)))
    return Verdict.of(_excused(results, timed, history) if history.stalls else results)


def _excused(results: list[CheckResult], timed: Container[str], history: History) -> list[CheckResult]:
    """Turn fails that a machine which stood still can explain into unknown, and say so."""
    judged = [
        result.model_copy(update={"status": Status.UNKNOWN})
        if result.status is Status.FAIL and result.name in timed
        else result
        for result in results
    ]
    if judged == results:
        return results
    evidence = tuple(f"at {t:.3f} s: for {seconds:.3f} s" for t, seconds in history.stalls)
    summary = "the machine stood still, so what depends on time is not held against the client"
    return [
        *judged,
        CheckResult(name=MACHINE, status=Status.UNKNOWN, summary=summary, evidence=few(evidence)),
    ]


def _guarded(name: str, check: Callable[[], CheckResult]) -> CheckResult:
    try:
        return check()
    except Exception as error:
        crash = traceback.format_exception_only(error)[-1].strip()
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{frame.filename.rpartition('/')[2]}:{frame.lineno}"
        return CheckResult(
            name=name, status=Status.UNKNOWN, summary="the check crashed", evidence=(f"{crash} ({place})",)
        )
