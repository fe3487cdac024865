"""Which steps of a fallback chain an operation tries, in which order.

A chain has steps in order of preference: pools of endpoints, a local pipeline, kept answers.
An operation takes the first step that is up; where it falls through that one, the next. What
operations share is only the health of the steps: no session and no caller is pinned to one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from rpe.policy.chain_step import ChainSettings, Step, StepState, StepStatistics, StepSwitch, Turn
from rpe.policy.outcome import Outcome

if TYPE_CHECKING:
    from random import Random

__all__ = ["ChainHealth"]


class ChainHealth:
    """Which steps an operation tries, in which order. Not thread-safe; times are of one monotonic clock.

    Arguments:
        executing: for each step, whether it executes. One that does not (kept answers) costs
            nothing to ask, so it is never down.
        now: the time at which all steps are up.
    """

    def __init__(
        self, settings: ChainSettings, executing: Sequence[bool], *, rng: Random, now: float
    ) -> None:
        self._patience_s = settings.min_stay_s
        self._executing = tuple(executing)
        self._steps = tuple(Step(number, settings, rng, now) for number in range(len(executing)))
        self._all = tuple(range(len(executing)))
        self._down = 0

    def line(self, now: float, barred: Collection[int] = (), *, careful: bool = False) -> Sequence[int]:
        """Return the steps that an operation would try from now on, in this order.

        Those are the steps that are up or due for a probe. Where none of them executes, it is
        all of them: a chain guesses rather than refuses.

        Arguments:
            barred: steps that the operation tried before, or must not try.
            careful: what fails at one step could not be done again at the next, so a probe has
                no cover: it is left to other operations until it is overdue by `min_stay_s`.

        Returns:
            an empty sequence only where all steps are barred.
        """
        if not barred and not self._down:
            return self._all
        left = [step for step in self._all if step not in barred]
        latest_s = now - self._patience_s if careful else now
        line = [step for step in left if not self._executing[step] or self._steps[step].usable(latest_s)]
        return line if any(self._executing[step] for step in line) else left

    def begin(self, step: int, now: float, *, lease_s: float = 0.0) -> Turn:
        """Take leave to try a step at `now`; `lease_s` is the longest it can take, in seconds.

        Returns:
            a turn, to be handed to `finish` exactly once. If it is a probe and that never
            happens, its lease ends by itself.
        """
        return self._steps[step].begin(now, lease_s)

    def finish(self, turn: Turn, outcome: Outcome, now: float) -> StepSwitch | None:
        """Take in how a turn ended; returns the change of the step's state that it made, if any.

        A step that does not execute is to be told SUCCESS or NEUTRAL: it has nothing to fail by.
        """
        switch = self._steps[turn.step].finish(turn, outcome, now)
        if switch is not None:
            self._down += 1 if switch.after is StepState.DOWN else -1
        return switch

    def statistics(self) -> tuple[StepStatistics, ...]:
        """Return each step as it stands, in the chain's order."""
        return tuple(step.statistics() for step in self._steps)
