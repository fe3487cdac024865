"""Run folders: whole files only, and enough in them to be judged again."""

from __future__ import annotations

from pathlib import Path

import pytest

from rpe.chaos.history import HistoryWriter
from rpe.chaos.rundir import RunFolder, recheck
from rpe.chaos.verdict import CheckResult, Status, Verdict
from rpe.clock import SYSTEM_CLOCK
from rpe.errors import ConfigurationError
from tests.support.runs import good_unary, plan_of

DATA = Path(__file__).parent / "data"


def filled(tmp_path: Path) -> RunFolder:
    folder = RunFolder.create(tmp_path / "runs", "20260102-030405", "slow-primary[transport=grpc]")
    folder.write_plan(plan_of())
    with HistoryWriter(folder.history_path, SYSTEM_CLOCK, 0.0) as writer:
        for t, name, fields in good_unary():
            writer.write_at(t, name, fields)
    return folder


def test_a_folder_is_named_after_its_cell_and_never_shared(tmp_path: Path) -> None:
    cell = "slow primary[transport=grpc,servers.a={}]"
    first = RunFolder.create(tmp_path, "20260102-030405", cell)
    second = RunFolder.create(tmp_path, "20260102-030405", cell)

    assert first.path.name == "20260102-030405-slow-primary-transport=grpc-servers.a="
    assert second.path.name == f"{first.path.name}-2"


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    folder = filled(tmp_path)
    verdict = folder.judge()
    folder.write_verdict(verdict)

    assert folder.load_plan() == plan_of()
    assert folder.load_verdict() == verdict
    assert verdict.status is Status.PASS
    assert sorted(path.name for path in folder.path.iterdir()) == [
        "history.jsonl",
        "plan.json",
        "verdict.json",
    ]


@pytest.mark.parametrize("step", ["os.fsync", "pathlib.Path.replace"])
def test_a_verdict_is_replaced_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    folder = filled(tmp_path)
    folder.write_verdict(folder.judge())
    stored = folder.verdict_path.read_text(encoding="utf-8")

    def no_space(*given: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(step, no_space)
    with pytest.raises(OSError, match="no space"):
        folder.write_verdict(Verdict.of([]))

    assert folder.verdict_path.read_text(encoding="utf-8") == stored
    assert not [path for path in folder.path.iterdir() if "partial" in path.name]


def test_recheck_gives_the_stored_and_a_fresh_verdict_and_writes_nothing(tmp_path: Path) -> None:
    folder = filled(tmp_path)
    folder.write_verdict(Verdict.of([CheckResult(name="old", status=Status.FAIL, summary="as it was")]))
    before = {path: path.read_bytes() for path in folder.path.iterdir()}

    stored, fresh = recheck(folder.path)

    assert stored is not None
    assert (stored.status, fresh.status) == (Status.FAIL, Status.PASS)
    assert {path: path.read_bytes() for path in folder.path.iterdir()} == before


def test_a_run_that_never_came_to_a_verdict_has_none_stored(tmp_path: Path) -> None:
    stored, fresh = recheck(filled(tmp_path).path)

    assert stored is None
    assert fresh.status is Status.PASS


def test_a_history_that_cannot_be_read_is_unknown(tmp_path: Path) -> None:
    folder = filled(tmp_path)
    folder.history_path.write_bytes(b"nonsense\n" + folder.history_path.read_bytes())

    _, fresh = recheck(folder.path)

    assert fresh.status is Status.UNKNOWN
    assert "line 1 of history.jsonl" in fresh.checks[0].summary


@pytest.mark.parametrize("missing", ["plan.json", "history.jsonl"])
def test_a_folder_without_a_run_is_refused(tmp_path: Path, missing: str) -> None:
    folder = filled(tmp_path)
    (folder.path / missing).unlink()

    with pytest.raises(ConfigurationError, match=f"{missing} of this run cannot be read: it does not exist"):
        recheck(folder.path)


def test_a_plan_that_is_broken_is_refused(tmp_path: Path) -> None:
    folder = filled(tmp_path)
    folder.plan_path.write_text('{"format": 99}', encoding="utf-8")

    with pytest.raises(ConfigurationError, match=r"plan\.json of this run cannot be read"):
        recheck(folder.path)


@pytest.mark.parametrize("status", list(Status))
def test_saved_runs_are_judged_as_they_were(status: Status) -> None:
    """One folder for each verdict: no change of the checks may change what they came to."""
    stored, fresh = recheck(DATA / status)

    assert stored is not None
    assert stored.status is status
    assert outcomes(fresh) == outcomes(stored)


def outcomes(verdict: Verdict) -> list[tuple[str, Status, float | None]]:
    return [(check.name, check.status, check.measured) for check in verdict.checks]
