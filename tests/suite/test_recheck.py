"""A saved run is judged again, with no network, to the verdict it came to: pass, fail and unknown alike."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rpe.chaos.rundir import RunFolder, recheck
from rpe.chaos.verdict import Status
from rpe.cli.app import app
from tests.support.cells import cell, run
from tests.support.chaos import cell_of

BAD = "tests.known_bad.clients:first_endpoint_only"

EXIT_CODES = {Status.PASS: 0, Status.FAIL: 1, Status.UNKNOWN: 3}


@pytest.fixture(scope="module")
def fresh_runs(tmp_path_factory: pytest.TempPathFactory) -> dict[Status, Path]:
    """Runs just made, one of each verdict."""

    async def made() -> dict[Status, Path]:
        out = tmp_path_factory.mktemp("fresh")
        good = cell_of()
        outcomes = await run([("bare", good), (BAD, cell("slow-primary"))], out)
        outcomes += await run([("bare", good)], out, faults=False)
        return {outcome.verdict.status: outcome.folder for outcome in outcomes if outcome.folder is not None}

    return asyncio.run(made())


@pytest.fixture
def runs(fresh_runs: dict[Status, Path], tmp_path: Path) -> dict[Status, Path]:
    """Copies of them in another place, which a test may change."""
    return {status: Path(shutil.copytree(path, tmp_path / status)) for status, path in fresh_runs.items()}


def exit_code(folder: Path) -> int:
    return CliRunner().invoke(app, ["recheck", str(folder)]).exit_code


@pytest.mark.parametrize("status", Status)
def test_a_fresh_run_is_judged_again_to_the_same_verdict(status: Status, runs: dict[Status, Path]) -> None:
    stored, again = recheck(runs[status])
    assert stored is not None
    assert (stored.status, again) == (status, stored)
    assert exit_code(runs[status]) == EXIT_CODES[status]
    # The stored verdict is not what it is judged by.
    RunFolder(runs[status]).verdict_path.unlink()
    assert recheck(runs[status]) == (None, stored)


def test_a_verdict_that_was_changed_by_hand_is_found_out(runs: dict[Status, Path]) -> None:
    red, green = RunFolder(runs[Status.FAIL]), RunFolder(runs[Status.PASS])
    red.write_verdict(green.judge())
    stored, again = recheck(red.path)
    assert stored is not None
    assert (stored.status, again.status) == (Status.PASS, Status.FAIL)
    assert exit_code(red.path) == 1


def test_a_history_that_lost_its_evidence_no_longer_passes(runs: dict[Status, Path]) -> None:
    path = RunFolder(runs[Status.PASS]).history_path
    kept = [line for line in path.read_text().splitlines(keepends=True) if '"fault.fired"' not in line]
    path.write_text("".join(kept))
    stored, again = recheck(path.parent)
    assert stored is not None
    assert (stored.status, again.status) == (Status.PASS, Status.UNKNOWN)
