"""A machine that stood still is noticed, told from a busy client, and not held against it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from rpe.chaos.plan import Plan
from rpe.chaos.result import Status
from rpe.chaos.stalls import STALL_S, StallWatch
from rpe.chaos.verdict import judge
from tests.support.runs import Told, add, change, good_unary, history, plan_of

SCRIPT = """
import sys, time
from rpe.chaos.stalls import StallWatch
with StallWatch() as watch:
    print("ready", flush=True)
    sys.stdin.readline()
    time.sleep(0.2)
print(len(watch.stalls), *(lasted_s for _, lasted_s in watch.stalls), flush=True)
"""


def test_a_process_that_was_stopped_tells_for_how_long() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None and process.stdout is not None
    with process.stdin, process.stdout:
        assert process.stdout.readline() == "ready\n"
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(0.8)
        os.kill(process.pid, signal.SIGCONT)
        process.stdin.write("\n")
        process.stdin.flush()
        count, *lengths = process.stdout.readline().split()
    assert process.wait() == 0
    assert int(count) >= 1
    assert max(float(length) for length in lengths) >= 0.7


def test_a_process_that_was_busy_itself_did_not_stand_still() -> None:
    times = iter([0.0, 0.05, 0.9, 0.95])
    cpu = iter([0.0, 0.0, 0.8, 0.8])
    watch = StallWatch(lambda: next(times), lambda: next(cpu))
    with pytest.raises(StopIteration):
        watch._watch()
    assert watch.stalls == []


def test_a_process_that_got_no_time_did() -> None:
    times = iter([0.0, 0.05, 0.9, 0.95])
    watch = StallWatch(lambda: next(times), lambda: 0.0)
    with pytest.raises(StopIteration):
        watch._watch()
    ((ended_s, lasted_s),) = watch.stalls
    assert ended_s == 0.9
    assert lasted_s == pytest.approx(0.8)
    assert STALL_S < 0.8


def judged(told: list[Told], plan: Plan | None = None) -> dict[str, Status]:
    verdict = judge(history(told), plan or plan_of())
    return {"verdict": verdict.status, **{check.name: check.status for check in verdict.checks}}


LATE: dict[str, Any] = {"op": "calls-3"}
STALL: Told = (0.4, "machine.stall", {"seconds": 0.8})


def late() -> list[Told]:
    """A run in which one operation ended a second and a half after its deadline."""
    told = good_unary()
    moved = [
        (t + 2.5 if (name, fields.get("op")) == ("operation.end", "calls-3") else t, name, fields)
        for t, name, fields in told
    ]
    return add(moved)


def test_what_depends_on_time_is_not_held_against_the_client() -> None:
    assert judged(late())["deadline"] is Status.FAIL
    found = judged(add(late(), STALL))
    assert found["deadline"] is Status.UNKNOWN
    assert found["verdict"] is Status.UNKNOWN
    assert found["machine"] is Status.UNKNOWN


def test_a_wrong_answer_is_wrong_on_any_machine() -> None:
    wrong = change(good_unary(), "operation.end", LATE, response_hash="of another")
    assert judged(add(wrong, STALL))["verdict"] is Status.FAIL


def test_a_run_that_kept_its_promises_all_the_same_passes() -> None:
    found = judged(add(good_unary(), STALL))
    assert found["verdict"] is Status.PASS
    assert "machine" not in found
