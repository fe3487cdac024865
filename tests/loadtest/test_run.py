"""Load plans run for real: Locust, fakes and proxies as processes. Locust is never imported here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import psutil
import pytest
from rich.console import Console
from typer.testing import CliRunner

from rpe.chaos.result import Status
from rpe.cli.load import loads
from rpe.cli.load_running import _play
from rpe.load.results import read_results
from rpe.loadtest.folder import LoadFolder
from rpe.loadtest.judging import judge
from rpe.loadtest.reading import read_plan
from rpe.loadtest.running import LoadOptions
from rpe.loadtest.suite import LoadSuite
from rpe.report.cell import CellReport

ROOT = Path(__file__).resolve().parents[2]
SHORT = ROOT / "loadtests" / "pool-short.yaml"
POOL = ROOT / "loadtests" / "pool-under-faults.yaml"
LIMIT_S = 60


@contextmanager
def nothing_left(pid: int = 0) -> Iterator[None]:
    """See that the processes which begin inside are gone in the end."""
    before = {child.pid for child in psutil.Process(pid or os.getpid()).children(recursive=True)}
    seen: dict[int, psutil.Process] = {}
    yield
    for child in psutil.Process().children(recursive=True):
        if child.pid not in before:
            seen[child.pid] = child
    _, alive = psutil.wait_procs(list(seen.values()), timeout=5)
    assert alive == []


def run(plan: Path, out: Path, *options: str) -> tuple[int, str]:
    """Run `rpe load`, and return its exit code and output."""
    done = CliRunner().invoke(loads, [str(plan), "--out", str(out), *options], env={"COLUMNS": "200"})
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def only_run(out: Path) -> LoadFolder:
    (path,) = out.iterdir()
    return LoadFolder(path)


def test_a_distributed_run_with_a_fault(tmp_path: Path) -> None:
    junit, page = tmp_path / "junit.xml", tmp_path / "page.md"
    with nothing_left():
        code, output = run(
            SHORT, tmp_path / "out", "--seed", "7", "--junit", str(junit), "--markdown", str(page)
        )
    assert code == 0, output
    folder = only_run(tmp_path / "out")
    assert judge(folder.path) == folder.load_verdict()
    results = read_results(folder.result_path)
    calls = results.series("execute", "calls")
    assert 128 <= calls.count <= 160
    assert results.workers == 1
    # That the fault acted is seen where it was: the other server had all the calls.
    cut = folder.load_events().faults["cut"]
    assert cut.verified
    assert (cut.fired or 0) > 0
    assert {path.name for path in folder.path.iterdir()} == {
        "plan.yaml", "faults.jsonl", "result.jsonl", "verdict.json", "report.md", "junit.xml", "logs"
    }  # fmt: skip
    assert {path.name for path in (folder.path / "logs").iterdir()} == {"master.log", "worker-1.log"}
    assert ElementTree.parse(junit).getroot().get("errors") == "0"
    assert page.read_text() == folder.report_path.read_text()
    assert "attempt calls @ b" in page.read_text()


IDLE = """
from locust import User, task

class Idle(User):
    @task
    def nothing(self):
        self.environment.runner.greenlet.join(0.1)
"""

IDLE_PLAN = """
name: idle
proves: Nothing, since nobody is called at all.
endpoints: {a: 'nowhere:1'}
users: {file: idle.py}
duration_s: 60
"""


@pytest.fixture
def idle(tmp_path: Path) -> Path:
    """A plan of which nothing is asked."""
    (tmp_path / "idle.py").write_text(IDLE)
    plan = tmp_path / "idle.yaml"
    plan.write_text(IDLE_PLAN)
    return plan


async def test_an_interruption_takes_everything_down_and_is_unknown(idle: Path, tmp_path: Path) -> None:
    def tell(words: str) -> None:
        if words.startswith("load for"):
            os.kill(os.getpid(), signal.SIGTERM)

    options = LoadOptions(seed=1, base=tmp_path, tell=tell)
    suite = LoadSuite(read_plan(idle), idle, tmp_path / "out", options)
    reports: list[CellReport] = []
    with nothing_left():
        assert await _play(suite, reports, Console(quiet=True))
    (report,) = reports
    assert report.status is Status.UNKNOWN
    (check,) = report.verdict.checks
    assert (check.name, check.summary) == ("finished", "the run was ended early: interrupted")
    assert "the run was ended early: interrupted" in LoadFolder(Path(report.folder)).report_path.read_text()


# --- longer ones: each is a whole run with several processes ----------------------------------------------


@pytest.mark.slow
def test_the_pool_under_faults_passes_with_our_client_and_fails_without_its_retries(tmp_path: Path) -> None:
    code, output = run(POOL, tmp_path / "with", "--seed", "1")
    assert code == 0, output
    text = POOL.read_text()
    patient = "retry: {max_retries: 2, initial_backoff_s: 0.02, max_backoff_s: 0.1}"
    assert patient in text
    without = tmp_path / "without.yaml"
    without.write_text(text.replace(patient, "retry: {max_retries: 0}"))
    code, output = run(without, tmp_path / "out", "--seed", "1")
    assert code == 1, output
    verdict = only_run(tmp_path / "out").load_verdict()
    assert verdict is not None
    broken = [check.name for check in verdict.checks if check.status is Status.FAIL]
    assert "gate error_ratio of execute during slow" in broken
    assert all(name.startswith("gate error_ratio") for name in broken)


STREAMS = """
name: streams
proves: Sessions and calls of one process are counted apart, and a user file is found.
transport: http
servers: {a: {}}
load:
  - {name: speech, kind: stream, rate_per_s: 4, input: speech, chunks: 10}
  - {name: calls, kind: unary, rate_per_s: 10, ramp: {from_per_s: 2, over_s: 2}, arrivals: poisson}
duration_s: 4
gates:
  - {measure: failures, kind: stream, name: speech, equals: 0}
  - {measure: count, kind: chunk, at_least: 100}
  - {measure: p99_s, kind: open, at_most: 1}
"""


@pytest.mark.slow
def test_sessions_in_a_single_process_several_times(tmp_path: Path) -> None:
    plan = tmp_path / "streams.yaml"
    plan.write_text(STREAMS)
    code, output = run(plan, tmp_path / "out", "--repeat", "2", "--seed", "5")
    assert code == 0, output
    assert "pass: 2 cells (2 pass)" in output
    whole = only_run(tmp_path / "out").path
    for number in (1, 2):
        folder = LoadFolder(whole / f"run-{number}")
        assert folder.told_at_start() == (4 + number, "embedded")
        results = folder.load_results()
        assert results.workers == 0
        assert results.series("stream", "speech").count == 16
        assert "### Execute, second by second" in folder.report_path.read_text()
    again = CliRunner().invoke(loads, ["recheck", str(whole)])
    assert again.exit_code == 0, again.output


@contextmanager
def started(plan: Path, out: Path, begun: Callable[[LoadFolder], bool]) -> Iterator[subprocess.Popen[bytes]]:
    """Start `rpe load` as a process of its own, and wait until the run has got so far."""
    command = [sys.executable, "-c", "from rpe.cli.load import loads; loads()", str(plan), "--out", str(out)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            until_s = time.monotonic() + LIMIT_S
            while not (out.exists() and any(out.iterdir()) and begun(only_run(out))):
                assert process.poll() is None
                assert time.monotonic() < until_s
                time.sleep(0.1)
            yield process
        finally:
            process.kill()


def in_force(folder: LoadFolder) -> bool:
    return folder.events_path.exists() and '"fault.applied"' in folder.events_path.read_text()


def family(process: subprocess.Popen[bytes]) -> dict[str, list[psutil.Process]]:
    """The processes below one, by what they are."""
    found: dict[str, list[psutil.Process]] = {}
    for child in psutil.Process(process.pid).children(recursive=True):
        words = " ".join(child.cmdline())
        for kind in ("rpe.loadtest.child", "rpe.load.engine", "rpe.fakes.main"):
            if kind in words:
                role = "worker" if "--worker" in words else "master" if "--master" in words else kind
                found.setdefault(role, []).append(child)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["worker", "master", "rpe.load.engine", "itself"])
def test_whoever_is_killed_the_run_is_unknown_and_nothing_is_left(victim: str, tmp_path: Path) -> None:
    plan = tmp_path / "long.yaml"
    text = SHORT.read_text().replace("duration_s: 4", "duration_s: 60").replace("for_s: 2", "for_s: 50")
    plan.write_text(text)
    with started(plan, tmp_path / "out", in_force) as process:
        members = family(process)
        assert {role: len(found) for role, found in members.items()} == {
            "master": 1, "worker": 1, "rpe.load.engine": 1, "rpe.fakes.main": 2
        }  # fmt: skip
        if victim == "itself":
            process.kill()
        else:
            members[victim][0].kill()
        code = process.wait(LIMIT_S)
        _, alive = psutil.wait_procs([one for found in members.values() for one in found], timeout=10)
    assert alive == []
    verdict = judge(only_run(tmp_path / "out").path)
    assert verdict.status is Status.UNKNOWN
    if victim != "itself":
        assert code == 3
        assert "before its time" in verdict.checks[0].summary
