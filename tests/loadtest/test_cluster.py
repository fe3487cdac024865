"""Locust's processes held together, with a stand-in for Locust that does what a test wants of it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from rpe.clock import SYSTEM_CLOCK
from rpe.loadtest import cluster as cluster_module
from rpe.loadtest import processes as processes_module
from rpe.loadtest.cluster import Cluster
from rpe.loadtest.errors import LoadRunBroken
from rpe.loadtest.reading import parse_plan

PLAN = """
name: stand-in
proves: Nothing of a server, only how processes are held.
endpoints: {a: 'nowhere:1'}
client: {timeout_s: 0.1}
load: [{kind: unary, rate_per_s: 1}]
duration_s: 1
workers: 1
"""

STAND_IN = """
import json, os, signal, sys, time
worker = "--worker" in sys.argv
def tell(event, **more):
    os.write(int(os.environ["RPE_LOAD_EVENTS_FD"]), (json.dumps({"event": event} | more) + "\\n").encode())
def begin():
    tell("users", count=0)
    tell("started", monotonic_s=time.monotonic())
if worker:
    print("working at", sys.argv[sys.argv.index("--master-port") + 1], flush=True)
"""

Make = Callable[..., Cluster]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes a cluster in which both processes do what is in `code`."""

    def made(code: str, plan: str = PLAN) -> Cluster:
        package = tmp_path / "stand-in" / "locust"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "__main__.py").write_text(STAND_IN + code)
        return Cluster(
            parse_plan(plan),
            "users.py",
            os.environ | {"PYTHONPATH": str(package.parent), "NOTES": str(tmp_path / "notes")},
            result=tmp_path / "result.jsonl",
            log=lambda name: tmp_path / f"{name}.log",
            clock=SYSTEM_CLOCK,
        )

    return made


def assert_gone(processes: list[int]) -> None:
    assert processes
    assert [pid for pid in processes if psutil.pid_exists(pid)] == []


async def test_a_run_from_its_beginning_to_its_end(make: Make, tmp_path: Path) -> None:
    cluster = make("if worker: time.sleep(0.3)\nelse: begin(); time.sleep(0.3); tell('ended')")
    before_s = SYSTEM_CLOCK.now()
    async with cluster:
        began_s = await cluster.start()
        assert before_s < began_s < SYSTEM_CLOCK.now()
        pids = [process.pid for process in cluster.processes]
        await cluster.watch(began_s + 0.2)
        assert SYSTEM_CLOCK.now() >= began_s + 0.2
        await cluster.finish()
    assert_gone(pids)
    assert [process.pid for process in cluster.processes] == []
    assert "working at" in (tmp_path / "worker-1.log").read_text()


ENDS = {
    "worker": ("if worker: time.sleep(0.2); sys.exit('out of memory')\nbegin(); time.sleep(60)",
               r"worker-1 ended before its time \(exit code 1: out of memory\)"),
    "master": ("if worker: time.sleep(60)\nbegin(); os.kill(os.getpid(), 9)",
               "master ended before its time .signal 9"),
    "load": ("if worker: time.sleep(60)\nbegin(); tell('ended'); time.sleep(60)",
             "the load ended before its time"),
}  # fmt: skip


@pytest.mark.parametrize("which", ENDS)
async def test_what_ends_before_its_time_ends_the_run(which: str, make: Make) -> None:
    code, words = ENDS[which]
    cluster = make(code)
    with pytest.raises(LoadRunBroken, match=words):
        async with cluster:
            try:
                await cluster.watch(await cluster.start() + 60)
            finally:
                pids = [process.pid for process in cluster.processes]
    assert_gone(pids)


async def test_what_never_begins_is_ended(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "STARTS_WITHIN_S", 0.3)
    cluster = make("time.sleep(60)")
    with pytest.raises(LoadRunBroken, match=r"did not begin within 0.3 s"):
        async with cluster:
            try:
                await cluster.start()
            finally:
                pids = [process.pid for process in cluster.processes]
    assert_gone(pids)


async def test_what_cannot_begin_says_why(make: Make) -> None:
    async with make("sys.exit('no such option')") as cluster:
        with pytest.raises(LoadRunBroken, match="no such option"):
            await cluster.start()


async def test_what_does_not_end_is_killed(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "ENDS_WITHIN_S", 0.2)
    monkeypatch.setattr(processes_module, "GRACE_S", 0.1)
    cluster = make("signal.signal(15, signal.SIG_IGN)\nif not worker: begin()\ntime.sleep(60)")
    with pytest.raises(LoadRunBroken, match="master, worker-1 did not end within"):
        async with cluster:
            await cluster.start()
            pids = [process.pid for process in cluster.processes]
            await cluster.finish()
    assert_gone(pids)


async def test_an_end_with_an_error_is_told(make: Make) -> None:
    plan = PLAN.replace("workers: 1", "workers: 0")
    async with make("begin(); print('the engine failed'); sys.exit(3)", plan) as cluster:
        await cluster.start()
        with pytest.raises(LoadRunBroken, match=r"locust ended badly \(exit code 3: the engine failed\)"):
            await cluster.finish()


async def test_a_port_that_somebody_else_has_taken_is_another_one_next_time(
    make: Make, tmp_path: Path
) -> None:
    cluster = make("""
if worker: time.sleep(60)
port = sys.argv[sys.argv.index("--master-bind-port") + 1]
with open(os.environ["NOTES"], "a") as notes: print(port, file=notes)
if len(open(os.environ["NOTES"]).readlines()) == 1: sys.exit("Socket bind failure: Address already in use")
begin(); time.sleep(60)
""")
    async with cluster:
        await cluster.start()
        assert len(cluster.processes) == 2
    first, second = (tmp_path / "notes").read_text().split()
    assert first != second


async def test_cancelling_leaves_nothing(make: Make) -> None:
    cluster = make("if not worker: begin()\ntime.sleep(60)")
    pids: list[int] = []
    running = asyncio.Event()

    async def run() -> None:
        async with cluster:
            began_s = await cluster.start()
            pids.extend(process.pid for process in cluster.processes)
            running.set()
            await cluster.watch(began_s + 60)

    task = asyncio.create_task(run())
    await running.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert_gone(pids)


ORPHAN = """
import os, subprocess, sys, time
command = [sys.executable, "-m", "rpe.loadtest.child", str(os.getpid())]
child = subprocess.Popen(command, start_new_session=True)
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not kill the children of the dead")
def test_a_process_dies_with_the_one_that_started_it(tmp_path: Path) -> None:
    (tmp_path / "locust").mkdir()
    (tmp_path / "locust" / "__init__.py").touch()
    (tmp_path / "locust" / "__main__.py").write_text(
        "import pathlib, time; pathlib.Path('up').touch(); time.sleep(60)"
    )
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[2]}"}
    with subprocess.Popen(
        [sys.executable, "-c", ORPHAN], env=environment, cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        while not (tmp_path / "up").exists():
            assert child.is_running()
            time.sleep(0.01)
        parent.send_signal(signal.SIGKILL)
        gone, alive = psutil.wait_procs([child], timeout=10)
    assert (len(gone), alive) == (1, [])
