"""The one engine of a Locust process: started at first need, shared by all users, ended with the process."""

from __future__ import annotations

import atexit
import os
from contextlib import suppress
from typing import Any

from locust import events
from locust.env import Environment

from rpe.load.messages import Samples
from rpe.locust.bridge import Bridge, EngineFailed
from rpe.locust.collecting import COLLECTED
from rpe.locust.ending import end_run
from rpe.locust.payloads import Payloads
from rpe.locust.statistics import fire, log

__all__ = ["Engine", "engine_for"]


class Engine:
    """A running engine, what it has been given, and the environment that its samples go to."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.bridge = Bridge(self._take, self._failed)
        self.payloads = Payloads(self.bridge)
        self.clients: dict[Any, Any] = {}
        """Clients that have been made, by what they were made of (see `rpe.locust.user`)."""

    def report(self, kind: str, name: str, latency_ms: float, size: int, error: str | None) -> None:
        """Tell Locust of one request."""
        fire(self.environment, kind, name, latency_ms, size, error)

    def flush(self) -> None:
        """Wait until all that has been measured so far is here; of a failed engine, nothing is."""
        with suppress(EngineFailed):
            self.bridge.call({"op": "flush"})

    def start_clock(self) -> None:
        """Begin a test: its seconds count from its start, and what was measured before is not of it."""
        with suppress(EngineFailed):
            self.bridge.send({"op": "clock", "zero_s": COLLECTED.started_s})

    def _take(self, told: dict[str, Any]) -> None:
        """Take what the engine has measured."""
        if samples := told.get("samples"):
            log(self.environment, [Samples(*each) for each in samples])
        if rows := told.get("rows"):
            COLLECTED.add(rows)

    def _failed(self, failure: EngineFailed) -> None:
        end_run(self.environment, failure.message)


_ENGINE: Engine | None = None


def engine_for(environment: Environment) -> Engine:
    """Return the engine of this process, which is started where there is none."""
    global _ENGINE
    if _ENGINE is None or _ENGINE.bridge.process_id != os.getpid():
        _ENGINE = Engine(environment)
        if COLLECTED.environment is environment:
            _ENGINE.start_clock()
    return _ENGINE


@events.test_start.add_listener
def _begin_afresh(**_: Any) -> None:
    """Let a new run have a new engine, where the last one has failed."""
    global _ENGINE
    if _ENGINE is not None and _ENGINE.bridge.failure is not None:
        _ENGINE = None
    if _ENGINE is not None:
        _ENGINE.start_clock()


@events.test_stop.add_listener
def _flush(**_: Any) -> None:
    if _ENGINE is not None and _ENGINE.bridge.process_id == os.getpid():
        _ENGINE.flush()


@events.quit.add_listener  # at `quitting` users still wait for their answers
def _end(**_: Any) -> None:
    """End the engine with the process."""
    global _ENGINE
    ended, _ENGINE = _ENGINE, None
    if ended is not None and ended.bridge.process_id == os.getpid():
        ended.bridge.close()


atexit.register(_end)
