"""A user whose calls are given as data, and made inside the engine: nothing goes to and fro for each."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from locust import task
from locust.env import Environment
from locust.exception import StopUser
from locust.runners import WorkerRunner

from rpe.data import RuntimeData
from rpe.errors import ConfigurationError, DataValidationError
from rpe.locust.bridge import EngineFailed
from rpe.locust.ending import end_run
from rpe.locust.user import PipelineUser
from rpe.manifest.model import Manifest

__all__ = ["Execution", "Session", "Work", "WorkUser"]


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


class WorkUser(PipelineUser):
    """What `ArrivalUser` and `CallerUser` have in common: the engine is told once what to do, and does it.

    `work` says what that is. What is set on the class, beside what `PipelineUser` has:
        seed: what is drawn at random is drawn from it, so that it is the same again; each user of each
            worker draws something else. Where it is None, it is different each time.

    A user that is stopped starts nothing more. What is under way is cancelled, and not counted, after
    Locust's `--stop-timeout` (at once, where there is none).
    """

    abstract = True

    seed: ClassVar[int | None] = None

    _number: ClassVar[int] = 0

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        cls = type(self)
        self._own_number, cls._number = cls._number, cls._number + 1
        self._driven: int | None = None

    def work(self) -> Work | Sequence[Work]:
        """Return what is done each time; of several, they take turns. Asked once, when the user begins."""
        raise NotImplementedError

    @task
    def begin(self) -> None:
        """Have the engine do the work, until it comes to its end or the user is stopped."""
        if self._client is None:
            raise StopUser
        try:
            order = self._driven_order()
        except (ConfigurationError, DataValidationError) as error:
            end_run(self.environment, str(error))
            raise StopUser from error
        engine = self._engine
        number = self._driven = engine.bridge.number()
        try:
            told = engine.bridge.call(order, engine.payloads.trim, number).head
        except EngineFailed as error:
            raise StopUser from error
        finally:
            self._driven = None
        if "error" in told:
            end_run(self.environment, f"{type(self).__name__}: {told['text']}")
        raise StopUser

    def stop(self, force: bool = False) -> bool:
        """Stop the user: at once, or when what is under way has its answer."""
        if not force and self._driven is not None and self._engine.bridge.failure is None:
            self._engine.bridge.send({"op": "halt", "call": self._driven})
        return bool(super().stop(force))

    def _when(self) -> dict[str, Any]:
        """Return the part of the order that says when the work is done.

        Raises ConfigurationError, or TypeError or ValueError where what is set makes no sense.
        """
        raise NotImplementedError

    def _driven_order(self) -> dict[str, Any]:
        """Return the order for the engine. Raises ConfigurationError, DataValidationError, EngineFailed."""
        given = self.work()
        works = [given] if isinstance(given, Execution | Session) else list(given)
        where = type(self).__name__
        if not works:
            raise ConfigurationError(f"{where}.work returns nothing to do")
        try:
            when = self._when()
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"{where}: {error}") from error
        return when | {
            "client": self._client,
            "name": where,
            "works": [self._work_order(each) for each in works],
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
        """Return what this user draws from, which no other user does."""
        if self.seed is None:
            return os.urandom(16).hex()
        runner = self.environment.runner
        worker = runner.worker_index if isinstance(runner, WorkerRunner) else 0
        return f"{self.seed}/{type(self).__name__}/{worker}/{self._own_number}"
