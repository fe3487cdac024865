"""A user that is a source of arrivals: an open loop, in which nobody waits for an answer to come again."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, ClassVar

from rpe.errors import ConfigurationError
from rpe.load.schedules import Schedule
from rpe.locust.work import WorkUser

__all__ = ["ArrivalUser"]


class ArrivalUser(WorkUser):
    """A Locust user that makes calls at a rate, however long they take: one user is one source.

    What is set on the class, beside what `PipelineUser` has:
        rate_per_s: arrivals per second, of each user.
        arrivals: `constant`, evenly spaced, or `poisson`, independent of each other.
        ramp: from which rate to which, and in how many seconds; the last one stays. Takes the
            place of `rate_per_s`.
        max_in_flight: how many may be under way at once, of each user. Arrivals beyond that do not
            start: they are `missed`, which Locust counts as failures of that type.
        start_s, stop_s: the part of the user's time in which there are arrivals, in seconds from when it
            began. A user whose arrivals have ended leaves, when the last of them has its answer.
        seed: what Poisson arrivals are drawn from, so that they are the same again; each user
            of each worker draws others. Where it is None, they are different each time.

    `work` says what is done. Latencies count from the moment at which work was due. The engine that does it
    catches up where it has fallen behind; nothing is left out.

    A user that is stopped starts nothing more. What is under way is cancelled, and not counted, after
    Locust's `--stop-timeout` (at once, where there is none).
    """

    abstract = True

    rate_per_s: ClassVar[float] = 1.0
    arrivals: ClassVar[str] = "constant"
    ramp: ClassVar[tuple[float, float, float] | None] = None
    max_in_flight: ClassVar[int] = 1000
    start_s: ClassVar[float] = 0.0
    stop_s: ClassVar[float | None] = None

    def _when(self) -> dict[str, Any]:
        if self.max_in_flight < 1:
            raise ConfigurationError(
                f"{type(self).__name__}.max_in_flight is {self.max_in_flight}, so nothing could start"
            )
        schedule = Schedule(
            self.rate_per_s, self.arrivals, self.ramp, self.start_s, self.stop_s, self._seed()
        )
        return {"op": "arrive", "schedule": asdict(schedule), "max_in_flight": self.max_in_flight}
