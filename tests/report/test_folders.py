from __future__ import annotations

import json
from pathlib import Path

import pytest

from rpe.chaos.plan import Plan
from rpe.chaos.result import CheckResult, Status
from rpe.chaos.rundir import RunFolder
from rpe.chaos.scenario.loading import parse
from rpe.chaos.scenario.matrix import cells
from rpe.chaos.verdict import Verdict
from rpe.errors import ConfigurationError
from rpe.report.compare import compare_folders
from rpe.report.folders import find_runs, load_report, load_reports

SCENARIO = """\
name: one-down
proves: Calls go to the neighbour of a server that is down.
matrix: {transport: [grpc]}
servers: {a: {}, b: {}}
workload: {kind: unary, rate_per_s: 10}
duration_s: 1
faults:
  - {name: cut, at_s: 0.2, for_s: 0.3, down: {on: [a]}}
allow:
  - {check: leaks, because: The client may keep files open in this one.}
"""


def saved(root: Path, stamp: str, *checks: CheckResult) -> RunFolder:
    """Write a run folder; without checks, one that was never judged."""
    (cell,) = cells(parse(SCENARIO), "outage")
    folder = RunFolder.create(root, stamp, cell.id)
    folder.write_plan(Plan.draw(cell, 7))
    start = {"t": 0.0, "e": "run.start", "subject": "bare", "proxy": "embedded"}
    folder.history_path.write_text(json.dumps(start) + "\n", encoding="utf-8")
    if checks:
        folder.write_verdict(Verdict.of(checks))
    return folder


def test_a_saved_run_tells_all_that_a_report_needs(tmp_path: Path, failed: CheckResult) -> None:
    report = load_report(saved(tmp_path, "1", failed))
    assert (report.cell, report.scenario, report.theme) == ("one-down[transport=grpc]", "one-down", "outage")
    assert (report.subject, report.proxy, report.seed) == ("bare", "embedded", 7)
    assert report.verdict.checks == (failed,)
    assert report.waived == {"leaks": "The client may keep files open in this one."}
    assert report.folder.startswith(str(tmp_path))


def test_a_run_that_was_never_judged_is_unknown(tmp_path: Path) -> None:
    assert load_report(saved(tmp_path, "1")).status is Status.UNKNOWN


@pytest.mark.parametrize("history", ["", "not json\n", "[]\n", None])
def test_a_history_without_a_start_leaves_its_fields_empty(tmp_path: Path, history: str | None) -> None:
    folder = saved(tmp_path, "1")
    if history is None:
        folder.history_path.unlink()
    else:
        folder.history_path.write_text(history, encoding="utf-8")
    assert load_report(folder).subject == ""


def test_runs_are_found_below_folders_sorted_and_once(tmp_path: Path, passed: CheckResult) -> None:
    second, first = saved(tmp_path / "x", "2", passed), saved(tmp_path / "x", "1", passed)
    found = find_runs([tmp_path, second.path])
    assert [folder.path for folder in found] == [first.path, second.path]


def test_of_several_runs_of_a_cell_the_last_counts(
    tmp_path: Path, passed: CheckResult, failed: CheckResult
) -> None:
    saved(tmp_path, "20260102T000000Z", passed)
    saved(tmp_path, "20260101T000000Z", failed)
    assert [report.status for report in load_reports(tmp_path)] == [Status.PASS]


def test_a_folder_without_runs_is_told(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ConfigurationError):
            find_runs([path])


def test_subjects_are_compared_by_the_folders_of_their_runs(
    tmp_path: Path, passed: CheckResult, failed: CheckResult
) -> None:
    saved(tmp_path / "ours", "1", passed)
    saved(tmp_path / "bare", "1", failed)
    table = compare_folders({"ours": tmp_path / "ours", "bare": tmp_path / "bare"})
    assert table.splitlines()[2] == (
        r"| one-down\[transport=grpc\] | ✅ pass | ❌ fail: success\_ratio during slow |"
    )
