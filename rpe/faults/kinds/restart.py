"""restart: servers are restarted, all at once or one after another."""

from __future__ import annotations

from typing import ClassVar

from rpe.faults.actions import Signal, Step
from rpe.faults.kinds.base import FaultContext, FaultKind, Seconds, ServerNames

__all__ = ["Restart"]


class Restart(FaultKind):
    """Each server in `on` is stopped and started again `down_s` later.

    `graceful` stops with SIGTERM and the time to end in good order, else SIGKILL. With
    `one_by_one_gap_s` the restarts roll: each begins so long after the one before it is
    to be up again. A restart whose time lies beyond the fault's end does not happen.
    """

    scheduled: ClassVar[bool] = True
    on: ServerNames
    graceful: bool = True
    down_s: Seconds = 0.1
    one_by_one_gap_s: Seconds | None = None

    @property
    def targets(self) -> tuple[str, ...]:
        """The servers in `on`."""
        return tuple(dict.fromkeys(self.on))

    def actions(self, context: FaultContext) -> tuple[Step, ...]:
        """Stop and start each server, in the order of `on`."""
        gap_s = None if self.one_by_one_gap_s is None else self.down_s + self.one_by_one_gap_s
        steps: list[Step] = []
        for position, server in enumerate(self.targets):
            begin_s = 0.0 if gap_s is None else position * gap_s
            if begin_s >= context.duration_s:
                break
            signal = Signal(server, "stop" if self.graceful else "kill")
            steps.append(Step(begin_s, str(position), signal))
            if begin_s + self.down_s < context.duration_s:
                steps.append(Step(begin_s + self.down_s, str(position), signal, on=False))
        return tuple(sorted(steps, key=lambda step: step.offset_s))
