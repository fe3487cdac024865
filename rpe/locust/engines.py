"""The one engine of a Locust process: started at first need, shared by all users, ended with the process."""

from __future__ import annotations

import atexit
import os
from typing import Any

from locust import events
from locust.env import Environment

from rpe.locust.bridge import Bridge, EngineFailed
from rpe.locust.ending import end_run
from rpe.locust.payloads import Payloads

__all__ = ["Engine", "engine_for"]


class Reported(Exception):
    """What a failed request is reported with: its text alone, by which Locust counts it."""

    def __repr__(self) -> str:
        return str(self)


class Engine:
    """A running engine, what it has been given, and the environment that its samples go to."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.bridge = Bridge(self._report, self._failed)
        self.payloads = Payloads(self.bridge)
        self.clients: dict[Any, Any] = {}
        """Clients that have been made, by what they were made of (see `rpe.locust.user`)."""

    def report(self, kind: str, name: str, latency_ms: float, size: int, error: str | None) -> None:
        """Tell Locust of one request."""
        self.environment.events.request.fire(
            request_type=kind,
            name=name,
            response_time=latency_ms,
            response_length=size,
            exception=None if error is None else Reported(error),
            context={},
        )

    def _report(self, samples: list[list[Any]]) -> None:
        for sample in samples:
            self.report(*sample)

    def _failed(self, failure: EngineFailed) -> None:
        end_run(self.environment, failure.message)


_ENGINE: Engine | None = None


def engine_for(environment: Environment) -> Engine:
    """Return the engine of this process, which is started where there is none."""
    global _ENGINE
    if _ENGINE is None or _ENGINE.bridge.process_id != os.getpid():
        _ENGINE = Engine(environment)
    return _ENGINE


@events.test_start.add_listener
def _begin_afresh(**_: Any) -> None:
    """Let a new run have a new engine, where the last one has failed."""
    global _ENGINE
    if _ENGINE is not None and _ENGINE.bridge.failure is not None:
        _ENGINE = None


@events.quit.add_listener  # at `quitting` users still wait for their answers
def _end(**_: Any) -> None:
    """End the engine with the process."""
    global _ENGINE
    ended, _ENGINE = _ENGINE, None
    if ended is not None and ended.bridge.process_id == os.getpid():
        ended.bridge.close()


atexit.register(_end)
