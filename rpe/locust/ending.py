"""How a run ends that cannot go on: at once, everywhere, and with an exit code that says so."""

from __future__ import annotations

import logging
from typing import Any

import gevent
from locust import events
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

__all__ = ["NOTHING_JUDGED", "end_run"]

NOTHING_JUDGED = 3
"""The exit code of a run that cannot tell how the servers did."""

_MESSAGE = "rpe-cannot-go-on"
_LOG = logging.getLogger(__name__)
_ENDING = False


def end_run(environment: Environment, reason: str) -> None:
    """End the run, and where this is a worker, the whole distributed run. Returns at once.

    Only the first reason of a run is told; those that follow mostly follow from it.
    Without the web interface Locust then exits with the code 3. With it, the users are
    stopped, and the next run begins afresh.
    """
    global _ENDING
    runner = environment.runner
    if _ENDING or runner is None:
        return
    _ENDING = True
    _LOG.error("the run ends here: %s", reason)
    if isinstance(runner, WorkerRunner):
        runner.send_message(_MESSAGE, {"reason": reason})
    environment.process_exit_code = NOTHING_JUDGED
    # By a greenlet of its own: the one that calls may be a user, whom stopping would kill.
    gevent.spawn(_stop, environment)


def _stop(environment: Environment) -> None:
    runner, options = environment.runner, environment.parsed_options
    if runner is None:
        return
    if isinstance(runner, WorkerRunner) or not (options and options.headless):
        runner.stop()
    else:
        runner.quit()


@events.init.add_listener
def _listen(environment: Environment, **_: Any) -> None:
    """Let a master hear of workers that cannot go on."""
    runner = environment.runner
    if isinstance(runner, MasterRunner):

        def told(environment: Environment, msg: Any, **_: Any) -> None:
            end_run(environment, f"worker {msg.node_id}: {msg.data['reason']}")

        runner.register_message(_MESSAGE, told)


@events.test_start.add_listener
def _begin_afresh(environment: Environment, **_: Any) -> None:
    global _ENDING
    _ENDING = False
    if environment.process_exit_code == NOTHING_JUDGED:
        environment.process_exit_code = None
