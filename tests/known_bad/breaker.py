"""A plain circuit breaker, as a careful person would write one by hand in an afternoon."""

from __future__ import annotations

from collections.abc import Callable

from rpe.chaos.subject import BreakerRequest
from rpe.policy.outcome import Outcome

__all__ = ["Breaker"]

CLOSED, OPEN, HALF_OPEN = "closed", "open", "half_open"

OnChange = Callable[[str, str, str], None]
"""Told of each change: the state before, the state after, and why."""


class Breaker:
    """Opens after failures in a row, lets one probe at a time through once its time is over, and closes.

    Arguments:
        asked: thresholds and times, as the scenario wants them.
        on_change: told of each change.
    """

    def __init__(self, asked: BreakerRequest, on_change: OnChange) -> None:
        self.asked = asked
        self.state = CLOSED
        self.probing = False
        self.opened = 0
        self._on_change = on_change
        self._failures = 0
        self._successes = 0
        self._open_until_s = 0.0

    def closed(self) -> bool:
        """Whether attempts may pass freely."""
        return self.state == CLOSED

    def due(self, now_s: float) -> bool:
        """Whether a probe may go out now."""
        waited = self.state == HALF_OPEN or (self.state == OPEN and now_s >= self._open_until_s)
        return waited and not self.probing

    def begin(self, now_s: float) -> bool:
        """An attempt begins. Returns whether it is a probe; one that comes before its time is a guess."""
        if self.state == CLOSED:
            return False
        if self.due(now_s):
            self._move(HALF_OPEN, "a probe is due")
        self.probing = True
        return True

    def record(self, outcome: Outcome, now_s: float, *, probe: bool) -> None:
        """An attempt has ended. What began before the breaker opened says nothing any more."""
        if probe:
            self.probing = False
        elif self.state != CLOSED:
            return
        if outcome is Outcome.FAILURE:
            self._failures += 1
            if probe or self._failures >= self.asked.failure_threshold:
                self.open(now_s, "a probe failed" if probe else f"{self._failures} failures in a row")
        elif outcome is Outcome.SUCCESS:
            self._failures = 0
            if probe:
                self._successes += 1
                if self._successes >= self.asked.success_threshold:
                    self.close("probes succeeded")
                else:
                    self._move(HALF_OPEN, "a probe succeeded")

    def open(self, now_s: float, cause: str) -> None:
        """Keep attempts away for the time that was asked for."""
        self.opened += 1
        self._successes = 0
        self._open_until_s = now_s + self.asked.reset_timeout_s
        self._move(OPEN, cause)

    def close(self, cause: str) -> None:
        """Let attempts pass."""
        self._failures = self._successes = 0
        self._move(CLOSED, cause)

    def _move(self, state: str, cause: str) -> None:
        before, self.state = self.state, state
        if before != state:
            self._on_change(before, state, cause)
