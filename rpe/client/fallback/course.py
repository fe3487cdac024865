"""One operation on its way down a chain: what has failed, what it may still try, how long, how often.

Like `rpe.client.operation` it is a memory and no decider: who is up is `rpe.policy.chain`'s to say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rpe.client.fallback.errors import AllStepsFailed, StepFailure
from rpe.client.fallback.steps import FallbackStep, StepCall
from rpe.data import RuntimeData
from rpe.errors import AttemptSummary, RpeError
from rpe.policy.deadline import attempt_timeout_s
from rpe.transport.ports import Metadata

__all__ = ["Course", "Place"]


@dataclass(frozen=True, slots=True)
class Place:
    """A step's place in its chain.

    `executes` is False for kept answers, `sends` is False for what stays in this process.
    """

    number: int
    step: FallbackStep
    timeout_s: float | None
    executes: bool
    sends: bool


class Course:
    """The memory of one operation. `barred` are the steps that it must not try, or not again."""

    __slots__ = (
        "_attempts",
        "_attempts_left",
        "_deadline_s",
        "_end",
        "_inputs",
        "_metadata",
        "_operation_id",
        "_places",
        "barred",
        "failures",
        "repeatable",
        "started_s",
    )

    def __init__(
        self,
        places: Sequence[Place],
        inputs: Mapping[str, RuntimeData],
        *,
        started_s: float,
        timeout_s: float,
        repeatable: bool,
        operation_id: str | None,
        metadata: Metadata,
        max_attempts: int,
    ) -> None:
        self.started_s = started_s
        self.repeatable = repeatable
        self.barred: frozenset[int] = frozenset()
        self.failures: tuple[StepFailure, ...] = ()
        self._places = places
        self._inputs = inputs
        self._operation_id = operation_id
        self._metadata = metadata
        self._deadline_s = started_s + timeout_s
        self._attempts: tuple[AttemptSummary, ...] = ()
        self._attempts_left = max_attempts
        self._end = ""

    def call(self, line: Sequence[int], now_s: float) -> StepCall:
        """Return what to ask of the first step of `line`, the others of which would follow it.

        A step leaves half of the time that remains, and one attempt for each pool, to those
        that follow it. The time of an operation that is not repeatable is not cut: what a step
        has not answered in half of it may have been done, and no other step might try it.
        """
        place = self._places[line[0]]
        following = [self._places[number] for number in line[1:]]
        can_execute = sum(later.executes for later in following)
        retries = self._attempts_left - 1 - sum(later.sends for later in following)
        return StepCall(
            self._inputs,
            attempt_timeout_s(
                self._deadline_s - now_s,
                per_attempt_s=place.timeout_s,
                retries_left=can_execute,
                splittable=self.repeatable,
            ),
            self.repeatable,
            self._operation_id,
            self._metadata,
            max(retries, 0) if place.sends else None,
            can_execute > 0,
        )

    def failed(
        self, place: Place, error: RpeError, began_s: float, now_s: float, *, attempts: int | None = None
    ) -> None:
        """Take in that a step gave no answer, and bar what must not be tried after it.

        Its attempts are counted from `began_s`. `attempts` says how many of them count, where the
        error also tells of some that were forgiven.
        """
        self.failures = (*self.failures, StepFailure(place.step.name, error))
        self.barred |= {place.number}
        self._attempts_left -= len(error.attempts) if attempts is None else attempts
        for attempt in error.attempts:
            offset_s = attempt.offset_s + began_s - self.started_s
            self._attempts += (replace(attempt, number=len(self._attempts) + 1, offset_s=offset_s),)
        if error.maybe_executed and not self.repeatable:
            self._bar(f"after step {place.step.name!r} it may have been done, and it is not repeatable")
        elif now_s >= self._deadline_s:
            self._bar(f"its {self._deadline_s - self.started_s:.3f} s are over")
        elif self._attempts_left <= 0:
            self._bar(f"its {len(self._attempts)} attempts are used up", sending_only=True)

    def error(self) -> AllStepsFailed:
        """Return the error of an operation that no step has answered."""
        told = f"none of {len(self.failures)} steps gave an answer"
        if self._end:
            told = f"no step gave an answer, and {self._end}"
        error = AllStepsFailed(told, steps=self.failures, attempts=self._attempts)
        if self.failures:
            error.__cause__ = self.failures[-1].error
        return error

    def _bar(self, why: str, *, sending_only: bool = False) -> None:
        """Bar the steps that execute, or those that send; tell why, if that leaves some untried."""
        barred = {place.number for place in self._places if (place.sends if sending_only else place.executes)}
        if not barred <= self.barred:
            self._end = why
        self.barred |= barred
