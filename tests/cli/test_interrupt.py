from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from rpe.chaos.options import ProgressCallback, RunOptions, RunOutcome
from rpe.chaos.result import CheckResult, Status
from rpe.chaos.scenario.matrix import Cell
from rpe.chaos.verdict import Verdict

SCENARIO = """\
name: long
proves: Calls go to the neighbour of a server that is killed.
servers: {a: {}, b: {}}
workload: {kind: unary, rate_per_s: 20, input: text}
duration_s: 60
faults:
  - {name: slow, at_s: 0.1, for_s: 50, latency: {on: [a], latency_s: 0.05}}
  - {name: dead, at_s: 55, for_s: 2, kill: {on: [b]}}
"""

PATIENCE_S = 30.0


def events(folder: Path) -> list[str]:
    lines = [
        line for path in folder.glob("runs/*/history.jsonl") for line in path.read_text().splitlines(True)
    ]
    return [json.loads(line)["e"] for line in lines if line.endswith("\n")]


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_an_interrupted_run_heals_its_faults_leaves_nothing_running_and_ends_with_3(
    tmp_path: Path, number: signal.Signals
) -> None:
    (tmp_path / "long.yaml").write_text(SCENARIO, encoding="utf-8")
    code = "from rpe.cli import main; main()"
    command = [sys.executable, "-c", code, "run", "long.yaml", "--junit", "junit.xml"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        give_up_at = time.monotonic() + PATIENCE_S
        while "fault.applied" not in events(tmp_path):
            assert process.poll() is None and time.monotonic() < give_up_at
            time.sleep(0.05)
        started = psutil.Process(process.pid).children(recursive=True)
        assert len(started) >= 2  # the worker, and the server that is to be killed
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
    assert process.returncode == 3, (out, err)
    assert "interrupted: every fault is being healed" in out
    assert "unknown: 1 cell (1 unknown)" in out
    assert err == ""
    _, alive = psutil.wait_procs(started, timeout=5)
    assert alive == []
    assert "fault.healed" in events(tmp_path)
    (verdict,) = tmp_path.glob("runs/*/verdict.json")
    assert json.loads(verdict.read_text())["status"] == "unknown"
    assert "<error" in (tmp_path / "junit.xml").read_text()


def test_an_interrupted_run_is_unknown_whatever_was_judged_before(
    rpe: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two cells, the first has failed when the interruption comes."""

    async def run_suite(
        cells: Sequence[Cell],
        jobs: int,
        options: RunOptions,
        on_progress: ProgressCallback,
        *,
        on_outcome: Callable[[RunOutcome], None],
    ) -> list[RunOutcome]:
        check = CheckResult(name="success", status=Status.FAIL, summary="3 of 60")
        on_outcome(RunOutcome(cell=cells[0].id, verdict=Verdict.of([check]), folder=tmp_path, wall_s=1.0))
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(PATIENCE_S)
        return []

    monkeypatch.setattr("rpe.cli.running.run_suite", run_suite)
    monkeypatch.chdir(tmp_path)
    for name in ("long", "longer"):
        (tmp_path / f"{name}.yaml").write_text(
            SCENARIO.replace("name: long", f"name: {name}"), encoding="utf-8"
        )
    ended = rpe("run", "long.yaml", "longer.yaml")
    assert ended.exit_code == 3
    assert "fail: 2 cells (1 fail, 1 unknown)" in ended.out
    assert "interrupted: not everything was judged" in ended.out.splitlines()[-1]
    assert ended.out.count("repeat") == 1  # only what was judged is told of


def test_an_interruption_before_anything_runs_ends_as_the_shell_expects(
    rpe: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def select(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rpe.cli.selecting.select", select)
    assert rpe("run").exit_code == 130
