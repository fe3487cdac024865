"""A whole run of one cell in this process: what is written, what is judged, and what is left (nothing)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from rpe.chaos import runner
from rpe.chaos.options import Progress, RunOptions, RunOutcome
from rpe.chaos.resources import take_snapshot
from rpe.chaos.result import Status
from rpe.chaos.rundir import RunFolder, recheck
from rpe.chaos.runner import run_cell
from rpe.chaos.world.wire import WireWorld
from rpe.errors import ConfigurationError, ConnectFailed
from rpe.faults.driver import ToxiproxyDriver
from rpe.faults.proxy import EmbeddedProxy
from tests.support.chaos import cell_of

BARE = "bare"


def options(tmp_path: Path, **changes: Any) -> RunOptions:
    return RunOptions(**{"out": tmp_path, "subject": BARE, "seed": 7, **changes})


def folders(path: Path) -> list[Path]:
    return sorted(path.iterdir())


def run_folder(outcome: RunOutcome) -> RunFolder:
    assert outcome.folder is not None
    return RunFolder(outcome.folder)


async def test_a_run_writes_plan_history_and_verdict_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "PROGRESS_S", 0.02)
    before = take_snapshot()
    progress: list[Progress] = []
    outcome = await run_cell(cell_of(), options(tmp_path), on_progress=progress.append)
    assert outcome.verdict.status is Status.PASS, outcome.verdict.worst()
    folder = run_folder(outcome)
    assert {path.name for path in folder.path.iterdir()} == {"plan.json", "history.jsonl", "verdict.json"}
    assert recheck(folder.path) == (outcome.verdict, outcome.verdict)
    assert folder.load_plan().seed == 7
    assert take_snapshot().settled(before)

    history = folder.load_history()
    assert history.events[0].name == "run.start"
    assert history.events[0].fields["subject"] == BARE
    assert history.events[-1].name == "run.end"
    assert history.end_reason == "finished"
    assert list(history.operations) == [f"calls-{n}" for n in range(30)]
    assert all(operation.ends == 1 for operation in history.operations.values())
    assert history.faults["slow"].verified
    assert (history.faults["slow"].fired or 0) > 0
    assert set(history.resources) == {"baseline", "final"}
    assert {event.op for event in history.server_events} == set(history.operations)
    phases = list(dict.fromkeys(now.phase for now in progress))
    assert phases == ["starting", "running", "ending", "judging", "done"]
    assert {"slow"} in [set(now.faults) for now in progress]
    assert progress[-1].ok == 30


async def test_with_its_faults_replaced_by_nothing_it_does_not_pass(tmp_path: Path) -> None:
    outcome = await run_cell(cell_of(), options(tmp_path, faults=False))
    assert outcome.verdict.status is Status.UNKNOWN
    history = run_folder(outcome).load_history()
    assert history.faults["slow"].fired == 0
    assert "slow" in history.windows
    assert run_folder(outcome).load_plan().faults[0].kind == "nothing"


async def test_a_folder_is_used_once(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "now", "short")
    await run_cell(cell_of(), options(tmp_path, subject="nobody"), folder=folder)
    written = folder.history_path.read_bytes()
    with pytest.raises(ConfigurationError, match="holds a run already"):
        await run_cell(cell_of(), options(tmp_path), folder=folder)
    assert folder.history_path.read_bytes() == written


async def test_two_runs_of_one_seed_have_one_plan(tmp_path: Path) -> None:
    workload = {"name": "calls", "kind": "unary", "rate_per_s": 40.0, "arrivals": "poisson", "input": "text"}
    cell = cell_of(workload=workload, duration_s=0.6)
    plans = [run_folder(await run_cell(cell, options(tmp_path))).load_plan() for _ in range(2)]
    assert plans[0] == plans[1]
    other = run_folder(await run_cell(cell, options(tmp_path, seed=8))).load_plan()
    assert other.workloads != plans[0].workloads


async def test_streams_and_scripted_servers_run_too(tmp_path: Path) -> None:
    cell = cell_of(
        workload=[
            {"name": "talk", "kind": "stream", "rate_per_s": 10.0, "chunks": 5, "chunk_ms": 10.0},
            {"name": "calls", "kind": "unary", "rate_per_s": 20.0},
        ],
        faults=[
            {
                "name": "errors",
                "at_s": 0.1,
                "for_s": 0.1,
                "behaviour": {"on": ["a"], "behaviour": {"error": {"status": "unavailable"}}},
            }
        ],
    )
    outcome = await run_cell(cell, options(tmp_path))
    history = run_folder(outcome).load_history()
    assert (history.faults["errors"].fired or 0) > 0
    assert len(history.chunks) == len(history.chunk_answers) > 0
    failed = [operation for operation in history.operations.values() if not operation.ok]
    assert {operation.code for operation in failed} == {"UNAVAILABLE"}
    assert outcome.verdict.status is Status.PASS, outcome.verdict.worst()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"subject": "nobody"}, "no client is named"),
        ({"subject": "tests.support.chaos:SHORT"}, "not callable"),
        ({"proxy": "http://127.0.0.1:9"}, "cannot be reached"),
    ],
)
async def test_a_run_that_cannot_begin_is_unknown_and_says_why(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    outcome = await run_cell(cell_of(), options(tmp_path, **changes))
    assert outcome.verdict.status is Status.UNKNOWN
    (check,) = outcome.verdict.checks
    assert reason in check.summary
    assert run_folder(outcome).load_history().end_reason not in (None, "finished")


@pytest.mark.parametrize("call", ["apply", "undo"])
async def test_a_fault_that_cannot_be_done_makes_the_run_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    async def fail(self: WireWorld, *arguments: Any) -> bool:
        raise ConnectFailed("the proxy is gone")

    monkeypatch.setattr(WireWorld, call, fail)
    before = take_snapshot()
    outcome = await run_cell(cell_of(), options(tmp_path))
    assert outcome.verdict.status is Status.UNKNOWN
    assert "the proxy is gone" in outcome.verdict.checks[0].summary
    assert run_folder(outcome).load_history().faults["slow"].error is not None
    assert take_snapshot().settled(before)


@pytest.mark.parametrize("delay_s", [0.0, 0.01, 0.05, 0.1, 0.25, 0.4])
async def test_cancelled_at_any_time_it_writes_unknown_and_leaves_nothing(
    tmp_path: Path, delay_s: float
) -> None:
    async with EmbeddedProxy() as proxy, ToxiproxyDriver(proxy.url) as driver:
        await driver.version()
        before = take_snapshot()
        running = asyncio.create_task(run_cell(cell_of(), options(tmp_path, proxy=proxy.url)))
        await asyncio.sleep(delay_s)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert await driver.proxies() == {}
        assert take_snapshot().tasks <= before.tasks
    for path in folders(tmp_path):
        stored, fresh = recheck(path)
        assert stored == fresh
        assert stored.status is Status.UNKNOWN
        assert "interrupted" in stored.checks[0].summary
        history = RunFolder(path).load_history()
        assert all(operation.ends == 1 for operation in history.operations.values())
        assert {file.name for file in folders(path)} == {"plan.json", "history.jsonl", "verdict.json"}


async def test_an_error_in_the_telling_ends_the_run(tmp_path: Path) -> None:
    def broken(progress: Progress) -> None:
        if progress.phase == "running":
            raise BrokenPipeError

    with pytest.raises(ExceptionGroup):
        await run_cell(cell_of(), options(tmp_path), on_progress=broken)
    (path,) = folders(tmp_path)
    stored, _ = recheck(path)
    assert stored is not None
    assert stored.status is Status.UNKNOWN
    assert asyncio.all_tasks() == {asyncio.current_task()}
