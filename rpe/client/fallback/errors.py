"""How a fallback chain fails: step by step, each with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rpe.errors import AllEndpointsFailed, RpeError

__all__ = ["AllStepsFailed", "AnswerNotKept", "StepFailure"]


@dataclass(frozen=True, slots=True)
class StepFailure:
    """A step of a fallback chain, by its name, that gave no answer, and why."""

    step: str
    error: RpeError

    def __str__(self) -> str:
        where = f" ({self.error.endpoint})" if self.error.endpoint else ""
        return f"step {self.step}: {self.error.code}: {self.error.message}{where}"


class AllStepsFailed(AllEndpointsFailed):
    """No step of a fallback chain gave an answer; `steps` tells each one that was tried, and why.

    `attempts` are those of all steps. Trying again can help where it can help at one of the steps,
    and the work may have been done where it may have been done at one of them.
    """

    code = "all_steps_failed"
    default_hint = "the reasons above say what each step answered"

    def __init__(self, message: str, *, steps: Sequence[StepFailure] = (), **details: object) -> None:
        details.setdefault("retryable", any(failure.error.retryable for failure in steps))
        details.setdefault("maybe_executed", any(failure.error.maybe_executed for failure in steps))
        super().__init__(message, **details)  # type: ignore[arg-type]
        self.steps = tuple(steps)

    def __str__(self) -> str:
        first, *rest = super().__str__().split("\n")
        return "\n".join([first, *(f"  {failure}" for failure in self.steps), *rest])


class AnswerNotKept(RpeError):
    """A fallback chain keeps no answer to these inputs, or none that is fresh enough."""

    code = "answer_not_kept"
    default_hint = "only an answer to equal inputs can be given again, and only while it is fresh enough"
