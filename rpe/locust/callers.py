"""A user that is one caller: a closed loop, which calls again when it has its answer and has paused."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, ClassVar

from rpe.load.schedules import Pauses
from rpe.locust.work import WorkUser

__all__ = ["CallerUser"]


class CallerUser(WorkUser):
    """A Locust user that calls, waits for the answer, and calls again: so many users, so many calls at once.

    It is the cheapest closed loop, as the engine makes the calls by itself. No code of yours runs between
    them, and nobody looks at the answers; where you want that, use `PipelineUser`.

    What is set on the class, beside what `PipelineUser` has:
        wait_s: seconds from an answer to the next call, or the least and the most of them, between which all
            are equally likely. It takes the place of Locust's `wait_time`, which is not used.
        seed: what the pauses are drawn from, so that they are the same again; each user of each worker
            draws others. Where it is None, they are different each time.

    `work` says what is done. Latencies count from the end of the pause, also where the engine was too
    busy to call at that moment.

    A user that is stopped starts nothing more. What is under way is cancelled, and not counted, after
    Locust's `--stop-timeout` (at once, where there is none).
    """

    abstract = True

    wait_s: ClassVar[float | tuple[float, float]] = 0.0

    def _when(self) -> dict[str, Any]:
        return {"op": "loop", "pauses": asdict(Pauses(self.wait_s, self._seed()))}
