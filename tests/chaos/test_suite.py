"""A suite: cells side by side in workers, each of which may crash, hang or be stopped."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import psutil
import pytest

from rpe.chaos import suite
from rpe.chaos.options import Progress, RunOptions, RunOutcome
from rpe.chaos.result import CheckResult, Status
from rpe.chaos.rundir import RunFolder
from rpe.chaos.scenario.matrix import Cell
from rpe.chaos.suite import run_suite
from rpe.chaos.verdict import Verdict
from rpe.errors import ConfigurationError
from rpe.faults.driver import ProxyUnreachable, ToxiproxyDriver
from rpe.faults.proxy import EmbeddedProxy
from tests.support.chaos import cell_of
from tests.support.children import running


def options(tmp_path: Path, subject: str = "bare", **changes: Any) -> RunOptions:
    return RunOptions(out=tmp_path, subject=subject, **changes)


def files(path: Path) -> list[Path]:
    return sorted(path.iterdir())


def workers() -> list[psutil.Process]:
    """All workers: those that were started, and those that were forked."""
    nurseries = {found.pid for found in running("rpe.chaos.forking")}
    forked = [found for found in running("rpe.chaos.forking") if found.ppid() in nurseries]
    return running("rpe.chaos.worker") + forked


async def test_cells_run_side_by_side_and_come_back_in_their_order(tmp_path: Path) -> None:
    cells = [cell_of(name="one"), cell_of(name="two"), cell_of(name="three")]
    told: list[Progress] = []
    came: list[RunOutcome] = []
    most = 0

    def progress(now: Progress) -> None:
        nonlocal most
        told.append(now)
        most = max(most, len(workers()))

    outcomes = await run_suite(cells, 2, options(tmp_path), progress, on_outcome=came.append)
    assert [outcome.cell for outcome in outcomes] == ["one", "two", "three"]
    assert {outcome.cell: outcome for outcome in came} == {outcome.cell: outcome for outcome in outcomes}
    assert [outcome.verdict.status for outcome in outcomes] == [Status.PASS] * 3
    assert [now.cell for now in told[:3]] == ["one", "two", "three"]
    assert {now.phase for now in told[:3]} == {"waiting"}
    assert most == 2
    for outcome in outcomes:
        assert outcome.folder is not None
        assert RunFolder(outcome.folder).load_verdict() == outcome.verdict
        assert RunFolder(outcome.folder).log_path.exists()
    assert workers() == []
    assert running("rpe.chaos.forking") == []


async def test_a_worker_that_crashes_costs_its_own_cell_and_shows_the_end_of_its_log(tmp_path: Path) -> None:
    subject = "tests.support.chaos:create_crashing"
    (outcome,) = await run_suite([cell_of()], 1, options(tmp_path, subject))
    assert outcome.verdict.status is Status.UNKNOWN
    (check,) = outcome.verdict.checks
    assert "139" in check.summary
    assert any("a fatal flaw" in line for line in check.evidence)
    assert not any("s3cret" in line for line in check.evidence)
    assert outcome.folder is not None
    assert RunFolder(outcome.folder).load_verdict() == outcome.verdict


async def test_a_worker_that_says_nothing_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "SILENCE_S", 1.5)
    monkeypatch.setattr(suite, "STOP_S", 0.1)
    subject = "tests.support.chaos:create_silent"
    (outcome,) = await run_suite([cell_of()], 1, options(tmp_path, subject))
    assert outcome.verdict.status is Status.UNKNOWN
    assert "said nothing" in outcome.verdict.checks[0].summary
    assert workers() == []


async def test_what_a_dead_worker_left_on_a_proxy_elsewhere_is_taken_back(tmp_path: Path) -> None:
    def kill(now: Progress) -> None:
        if now.phase == "running" and now.ok > 0:
            for worker in workers():
                worker.kill()

    async with EmbeddedProxy() as proxy, ToxiproxyDriver(proxy.url) as driver:
        await driver.create_proxy("rpe-of-somebody-else", upstream="127.0.0.1:9")
        (outcome,) = await run_suite([cell_of(duration_s=30.0)], 1, options(tmp_path, proxy=proxy.url), kill)
        assert set(await driver.proxies()) == {"rpe-of-somebody-else"}
    assert outcome.verdict.status is Status.UNKNOWN
    assert "exit code -9" in outcome.verdict.checks[0].summary


async def test_a_worker_that_never_ends_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "ALLOWANCE_S", -1.0)
    (outcome,) = await run_suite([cell_of()], 1, options(tmp_path))
    assert outcome.verdict.status is Status.UNKNOWN
    assert "did not come to an end" in outcome.verdict.checks[0].summary


@pytest.mark.parametrize("delay_s", [0.0, 0.2])
async def test_cancelling_stops_every_worker_and_waits_for_it(tmp_path: Path, delay_s: float) -> None:
    running = asyncio.create_task(run_suite([cell_of(name="one"), cell_of(name="two")], 2, options(tmp_path)))
    await asyncio.sleep(delay_s)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert workers() == []
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_cancelled_worker_takes_its_run_down_by_itself(tmp_path: Path) -> None:
    runs = asyncio.Event()

    def progress(now: Progress) -> None:
        if now.phase == "running" and now.ok > 0:
            runs.set()

    suite_of_one = run_suite([cell_of(duration_s=30.0)], 1, options(tmp_path), progress)
    running = asyncio.create_task(suite_of_one)
    await runs.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    (folder,) = files(tmp_path)
    verdict = RunFolder(folder).load_verdict()
    assert verdict is not None
    assert "interrupted" in verdict.checks[0].summary
    assert workers() == []


@pytest.mark.parametrize(
    ("changes", "error"),
    [({"subject": "nobody"}, ConfigurationError), ({"proxy": "http://127.0.0.1:9"}, ProxyUnreachable)],
)
async def test_wrong_use_is_told_before_anything_runs(
    tmp_path: Path, changes: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        await run_suite([cell_of()], 1, options(tmp_path, **changes))
    assert files(tmp_path) == []


async def test_a_cell_whose_machine_stood_still_is_run_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    still = CheckResult(name="machine", status=Status.UNKNOWN, summary="the machine stood still")
    runs: list[str] = []

    async def worker(cell: Cell, *_: object) -> RunOutcome:
        runs.append(cell.id)
        return RunOutcome(cell=cell.id, verdict=Verdict.of([still]), folder=tmp_path, wall_s=0.1)

    monkeypatch.setattr(suite, "_run_worker", worker)
    (outcome,) = await run_suite([cell_of(name="one")], 1, options(tmp_path))
    assert runs == ["one", "one"]
    assert outcome.verdict.status is Status.UNKNOWN
