"""What an expectation looks at: the part of a history that lies in its window and matches its filters."""

from __future__ import annotations

from dataclasses import dataclass

from rpe.chaos.check.traffic import SeenAttempt, seen_attempts
from rpe.chaos.history import History
from rpe.chaos.plan import Plan
from rpe.chaos.records import Attempt, BreakerChange, Chunk, HealthChange, Operation
from rpe.chaos.scenario.model import Expectation
from rpe.chaos.scenario.timing import AFTER, BEFORE, RUN, Span

__all__ = ["Scope", "window_span"]


def window_span(history: History, plan: Plan, name: str) -> Span | None:
    """Return when a window was really open; None where the history does not tell that it was.

    A fault's window counts from the moment the fault was in force, which is a little later
    than planned: what is sent in between has not met the fault.
    """
    end_s = max(history.end_s, plan.duration_s)
    if name == RUN:
        return Span(start_s=0.0, end_s=end_s)
    if name in (BEFORE, AFTER):
        faults = [window_span(history, plan, fault.name) for fault in plan.faults]
        known = [span for span in faults if span is not None]
        if not known or len(known) < len(faults):
            return None
        if name == BEFORE:
            # Until the first one was asked for: while it is being applied it may act already.
            asked = [fault.asked_s for fault in history.faults.values() if fault.asked_s is not None]
            return Span(start_s=0.0, end_s=min([*asked, *(span.start_s for span in known)]))
        return Span(start_s=max(span.end_s for span in known), end_s=end_s)
    window = history.windows.get(name)
    if window is None:
        return None
    return Span(start_s=window.opened_s, end_s=end_s if window.closed_s is None else window.closed_s)


@dataclass(frozen=True)
class Scope:
    """A history as one expectation sees it.

    Operations belong to the window in which they were due; attempts, changes and entries
    of journals to the one in which they happened.
    """

    history: History
    plan: Plan
    span: Span
    expectation: Expectation

    def operations(self) -> list[Operation]:
        """The operations that were due in the window, of the workload if one is named."""
        return [
            operation
            for operation in self.history.operations.values()
            if self.span.holds(operation.due_s) and self._of_workload(operation)
        ]

    def seen_attempts(self) -> list[SeenAttempt]:
        """The attempts in the window, of the endpoint and workload if they are named (see `traffic`)."""
        return [
            attempt
            for attempt in self.history.once(seen_attempts)
            if self.span.holds(attempt.t) and self.at_endpoint(attempt.endpoint) and self._of_op(attempt.op)
        ]

    def seen_anywhere(self) -> list[SeenAttempt]:
        """The attempts of the whole run, whatever the window and the filters."""
        return self.history.once(seen_attempts)

    def reported_attempts(self) -> list[Attempt]:
        """The attempts that the subject reported to have started in the window."""
        return [
            attempt
            for attempt in self.history.attempts
            if self.span.holds(attempt.started_s)
            and self.at_endpoint(attempt.endpoint)
            and self._of_op(attempt.op)
        ]

    def breaker_changes(self) -> list[BreakerChange]:
        """The changes of breakers in the window."""
        return [
            change
            for change in self.history.breaker_changes
            if self.span.holds(change.t) and self.at_endpoint(change.endpoint)
        ]

    def health_changes(self) -> list[HealthChange]:
        """The changes of health in the window."""
        return [
            change
            for change in self.history.health_changes
            if self.span.holds(change.t) and self.at_endpoint(change.endpoint)
        ]

    def chunks(self) -> list[Chunk]:
        """The chunks that were due in the window."""
        return [
            chunk
            for chunk in self.history.chunks.values()
            if self.span.holds(chunk.due_s) and self._of_op(chunk.op)
        ]

    def at_endpoint(self, endpoint: str | None) -> bool:
        """Say whether an endpoint is the one that is named, or none is named."""
        return self.expectation.endpoint is None or endpoint == self.expectation.endpoint

    def _of_op(self, op: str | None) -> bool:
        if self.expectation.workload is None:
            return True
        operation = self.history.operations.get(op or "")
        return operation is not None and self._of_workload(operation)

    def _of_workload(self, operation: Operation) -> bool:
        return self.expectation.workload is None or operation.workload == self.expectation.workload
