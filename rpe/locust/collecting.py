"""The rows of a run, collected where its statistics are: in the only process, or in the master.

A worker puts its rows into the report that Locust sends its master every few seconds. At the end
of a run Locust's master waits half a second for the last of them, and loses what comes
later. So it is asked here to wait until each worker has stopped its users and reported.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import Any

import gevent
from gevent.lock import BoundedSemaphore
from locust import events
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from rpe.load.rows import Row

__all__ = ["COLLECTED", "Collected"]

_IN_REPORT = "rpe_load_rows"
_END = "rpe-load-end"
_ENDED = "rpe-load-ended"
_LAST_REPORT_S = 10.0
"""How long a master waits for a last report, beyond the time that users may take to stop."""

_STOPPING = BoundedSemaphore()
_LOG = logging.getLogger(__name__)


class Collected:
    """What is known of the run in this process: of all of it in a master, of its own part in a worker."""

    def __init__(self) -> None:
        self.environment: Environment | None = None
        self.rows: list[Row] = []
        self.started_s = 0.0
        self.ended_s: float | None = None
        self.workers = 0
        self.users_peak = 0
        self.told = False
        """Whether those around the run have been told its result."""
        self._awaited: set[str] = set()

    @property
    def owner(self) -> bool:
        """Whether this process has the figures of the whole run."""
        return self.environment is not None and not isinstance(self.environment.runner, WorkerRunner)

    def begin(self, environment: Environment) -> None:
        """Begin a run: what was collected is of another one."""
        self.environment = environment
        self.rows.clear()
        self.started_s, self.ended_s, self.told = time.monotonic(), None, False
        self.workers = self.users_peak = 0
        self.count_users()

    def end(self) -> None:
        """Note the end of the run, for the first time."""
        if self.ended_s is None:
            self.ended_s = time.monotonic()

    def count_users(self) -> int:
        """Take note of how many users and workers there are, and return the number of users."""
        runner = None if self.environment is None else self.environment.runner
        if runner is None:
            return 0
        users = int(runner.user_count)
        self.users_peak = max(self.users_peak, users)
        if isinstance(runner, MasterRunner):
            self.workers = max(self.workers, runner.worker_count)
        return users

    def add(self, rows: Iterable[dict[str, Any]], worker: str | None = None) -> None:
        """Take rows as they came over the wire; `worker` says whose they are, if not our own."""
        for raw in rows:
            row = Row(**raw)
            if worker is not None:
                row.worker = worker
            self.rows.append(row)

    def hand_over(self, data: dict[str, Any]) -> None:
        """Put the rows into a report for the master; they are the master's from then on."""
        rows, self.rows = self.rows, []
        data[_IN_REPORT] = [row.as_json() for row in rows]

    def wait_for_workers(self, runner: MasterRunner) -> None:
        """Have all workers stop their users and report, and wait for that."""
        self._awaited = {client.id for client in runner.clients.all if client not in runner.clients.missing}
        for worker in self._awaited.copy():
            runner.send_message(_END, None, worker)
        until_s = time.monotonic() + (runner.environment.stop_timeout or 0.0) + _LAST_REPORT_S
        while self._awaited & set(runner.clients) and time.monotonic() < until_s:
            gevent.sleep(0.02)
        if late := self._awaited & set(runner.clients):
            _LOG.error("%d workers have not sent their last report; its figures are missing", len(late))

    def heard(self, worker: str) -> None:
        """A worker has sent its last report."""
        self._awaited.discard(worker)


COLLECTED = Collected()


@events.test_start.add_listener
def _begin(environment: Environment, **_: Any) -> None:
    COLLECTED.begin(environment)


@events.test_stop.add_listener
def _end(environment: Environment, **_: Any) -> None:
    COLLECTED.end()
    if isinstance(environment.runner, MasterRunner):
        COLLECTED.wait_for_workers(environment.runner)


@events.report_to_master.add_listener
def _to_master(data: dict[str, Any], **_: Any) -> None:
    COLLECTED.hand_over(data)


@events.worker_report.add_listener
def _from_worker(client_id: str, data: dict[str, Any], **_: Any) -> None:
    COLLECTED.add(data.pop(_IN_REPORT, ()), client_id)


def _last_report(runner: WorkerRunner) -> None:
    """Stop the users, and report what is not yet reported."""
    with _STOPPING:
        runner.stop()
        data: dict[str, Any] = {}
        runner.environment.events.report_to_master.fire(client_id=runner.client_id, data=data)
        runner.send_message("stats", data)


@events.init.add_listener
def _listen(environment: Environment, **_: Any) -> None:
    """Agree on how a run ends."""
    runner = environment.runner
    if isinstance(runner, WorkerRunner):

        def end(environment: Environment, msg: Any, **_: Any) -> None:
            _last_report(runner)
            runner.send_message(_ENDED)

        def leave(environment: Environment, **_: Any) -> None:
            if COLLECTED.environment is not None and COLLECTED.ended_s is None:
                _last_report(runner)

        runner.register_message(_END, end)
        # A worker that is ended by itself does not take its figures with it. Listeners to this event are
        # called last one first: this one before the worker takes its leave, as a master forgets it then.
        environment.events.quitting.add_listener(leave)
    elif isinstance(runner, MasterRunner):

        def ended(environment: Environment, msg: Any, **_: Any) -> None:
            COLLECTED.heard(msg.node_id)

        runner.register_message(_ENDED, ended)
