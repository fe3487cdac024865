"""What a run tells those around it: a result file, its percentiles, and events while it goes on.

The environment says what is wanted: `RPE_LOAD_RESULT` names the file, `RPE_LOAD_EVENTS_FD` is the number of
an open descriptor that gets a line of JSON for each event; `RPE_LOAD_PERCENTILES=0` leaves out the table.
"""

from __future__ import annotations

import json
import logging
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import gevent
import locust
from locust import events
from locust.env import Environment
from locust.runners import WorkerRunner

from rpe.load.results import Results, write_results
from rpe.load.tables import percentiles
from rpe.locust.collecting import COLLECTED

__all__ = ["tell"]

_WATCH_S = 0.25
_LOG = logging.getLogger(__name__)
_CONSOLE = logging.getLogger("locust.stats_logger")
_WATCHERS: list[gevent.Greenlet[Any, Any]] = []


def tell(event: str, **more: object) -> None:
    """Write one event where it was asked for. Nobody is waited for: what is not read is lost."""
    number = os.environ.get("RPE_LOAD_EVENTS_FD", "")
    if not number.isdecimal():
        return
    line = json.dumps({"event": event} | more) + "\n"
    with suppress(OSError):
        os.set_blocking(int(number), False)
        os.write(int(number), line.encode())


def _results() -> Results:
    ended_s = time.monotonic() if COLLECTED.ended_s is None else COLLECTED.ended_s
    return Results(
        started_s=COLLECTED.started_s,
        ended_s=ended_s,
        workers=COLLECTED.workers,
        users_peak=COLLECTED.users_peak,
        locust=locust.__version__,
        rows=COLLECTED.rows,
    )


def _watch() -> None:
    """Tell how many users there are, whenever that changes."""
    last = -1
    while True:
        count = COLLECTED.count_users()
        if count != last:
            tell("users", count=count)
            last = count
        gevent.sleep(_WATCH_S)


@events.test_start.add_listener
def _started(environment: Environment, **_: Any) -> None:
    if not isinstance(environment.runner, WorkerRunner):
        tell("started", monotonic_s=COLLECTED.started_s)
        _WATCHERS.append(gevent.spawn(_watch))


@events.test_stop.add_listener
def _stopped(environment: Environment, **_: Any) -> None:
    while _WATCHERS:
        _WATCHERS.pop().kill(block=False)
    if not isinstance(environment.runner, WorkerRunner):
        tell("ended", monotonic_s=COLLECTED.ended_s)


@events.quit.add_listener
def _quit(**_: Any) -> None:
    """Everyone has reported by now, and Locust has printed its own tables."""
    environment = COLLECTED.environment
    if environment is None or not COLLECTED.owner or COLLECTED.told:
        return
    COLLECTED.told = True  # Locust ends twice, where SIGTERM ends it
    results = _results()
    if path := os.environ.get("RPE_LOAD_RESULT"):
        try:
            write_results(Path(path), results)
        except OSError as error:
            _LOG.error("the result could not be written: %s", error)
    options = environment.parsed_options
    wanted = options is not None and options.headless and not options.json
    if wanted and results.rows and os.environ.get("RPE_LOAD_PERCENTILES", "1") != "0":
        for line in percentiles(results):
            _CONSOLE.info(line)
        _CONSOLE.info("")
