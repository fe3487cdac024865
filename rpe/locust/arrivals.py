"""A user that is a source of arrivals: an open loop, in which nobody waits for an answer to come again."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from locust import task
from locust.env import Environment
from locust.exception import StopUser
from locust.runners import WorkerRunner

from rpe.data import RuntimeData
from rpe.errors import ConfigurationError, DataValidationError
from rpe.load.schedules import Schedule
from rpe.locust.bridge import EngineFailed
from rpe.locust.ending import end_run
from rpe.locust.user import PipelineUser
from rpe.manifest.model import Manifest

__all__ = ["ArrivalUser", "Execution", "Session", "Work"]


@dataclass(frozen=True)
class Execution:
    """A pipeline run once; the arguments are those of `PipelineUser.execute`."""

    manifest: Manifest
    data: RuntimeData | Mapping[str, RuntimeData]
    name: str | None = None
    timeout_s: float | None = None
    repeatable: bool | None = None


@dataclass(frozen=True)
class Session:
    """A session held to its end; the arguments are those of `PipelineUser.stream`."""

    manifest: Manifest
    chunks: Sequence[RuntimeData]
    every_s: float = 0.0
    name: str | None = None
    timeout_s: float | None = None
    repeatable: bool | None = None


Work = Execution | Session


class ArrivalUser(PipelineUser):
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
    seed: ClassVar[int | None] = None

    _number: ClassVar[int] = 0

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        cls = type(self)
        self._own_number, cls._number = cls._number, cls._number + 1
        self._source: int | None = None

    def work(self) -> Work | Sequence[Work]:
        """Return what each arrival does; of several, they take turns. Asked once, when the user begins."""
        raise NotImplementedError

    @task
    def arrive(self) -> None:
        """Be a source, until the arrivals end or the user is stopped."""
        if self._client is None:
            raise StopUser
        try:
            order = self._arrivals()
        except (ConfigurationError, DataValidationError) as error:
            end_run(self.environment, str(error))
            raise StopUser from error
        engine = self._engine
        number = self._source = engine.bridge.number()
        try:
            told = engine.bridge.call(order, engine.payloads.trim, number).head
        except EngineFailed as error:
            raise StopUser from error
        finally:
            self._source = None
        if "error" in told:
            end_run(self.environment, f"{type(self).__name__}: {told['text']}")
        raise StopUser

    def stop(self, force: bool = False) -> bool:
        """Stop the user: at once, or when what is under way has its answer."""
        if not force and self._source is not None and self._engine.bridge.failure is None:
            self._engine.bridge.send({"op": "halt", "call": self._source})
        return bool(super().stop(force))

    def _arrivals(self) -> dict[str, Any]:
        """Return the order for the engine. Raises ConfigurationError, DataValidationError, EngineFailed."""
        given = self.work()
        works = [given] if isinstance(given, Execution | Session) else list(given)
        where = type(self).__name__
        if not works:
            raise ConfigurationError(f"{where}.work returns nothing to do")
        if self.max_in_flight < 1:
            raise ConfigurationError(f"{where}.max_in_flight is {self.max_in_flight}, so nothing could start")
        try:
            schedule = Schedule(
                self.rate_per_s, self.arrivals, self.ramp, self.start_s, self.stop_s, self._seed()
            )
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"{where}: {error}") from error
        return {
            "op": "arrive",
            "client": self._client,
            "name": where,
            "works": [self._work_order(each) for each in works],
            "schedule": asdict(schedule),
            "max_in_flight": self.max_in_flight,
        }

    def _work_order(self, work: Work) -> dict[str, Any]:
        payloads, manifest = self._engine.payloads, work.manifest
        order: dict[str, Any] = {
            "name": work.name or manifest.name or manifest.entry,
            "manifest": payloads.manifest(manifest),
            "timeout_s": work.timeout_s,
            "repeatable": work.repeatable,
            "keep": False,
        }
        if isinstance(work, Execution):
            return order | {"op": "execute", "data": payloads.inputs(work.data)}
        chunks = [payloads.data(each) for each in work.chunks]
        return order | {"op": "stream", "chunks": chunks, "every_s": work.every_s}

    def _seed(self) -> str:
        if self.seed is None:
            return os.urandom(16).hex()
        runner = self.environment.runner
        worker = runner.worker_index if isinstance(runner, WorkerRunner) else 0
        return f"{self.seed}/{type(self).__name__}/{worker}/{self._own_number}"
