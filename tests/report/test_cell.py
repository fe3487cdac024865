from __future__ import annotations

from typing import Any

from rpe.chaos.result import CheckResult, Status
from rpe.report.cell import CellReport, counts, first_failed, measurement, overall


def test_worst_wins_over_a_suite_and_no_cells_are_not_a_pass(suite: list[CellReport]) -> None:
    assert overall(suite) is Status.FAIL
    assert overall(suite[:2]) is Status.UNKNOWN
    assert overall(suite[:1]) is Status.PASS
    assert overall([]) is Status.UNKNOWN


def test_cells_are_counted_by_status(suite: list[CellReport]) -> None:
    assert counts(suite) == {Status.PASS: 1, Status.FAIL: 1, Status.UNKNOWN: 1}


def test_the_check_to_look_at_first_is_a_failed_one(
    suite: list[CellReport], failed: CheckResult, unknown: CheckResult
) -> None:
    assert first_failed(suite[2]) == failed
    assert suite[2].broken == (failed, unknown)
    assert first_failed(suite[1]) == unknown
    assert first_failed(suite[0]) is None


def test_a_cell_without_checks_is_unknown(make_report: Any) -> None:
    assert make_report("empty").status is Status.UNKNOWN


def test_what_was_measured_is_told_once(failed: CheckResult, passed: CheckResult) -> None:
    assert measurement(failed) == "measured 0.512346, wanted >= 0.99"
    assert measurement(failed.model_copy(update={"measured": None})) == "wanted >= 0.99"
    assert measurement(failed.model_copy(update={"summary": "0.512 of 60, wanted >= 0.99"})) == ""
    assert measurement(failed.model_copy(update={"wanted": None})) == "measured 0.512346"
    assert measurement(passed) == ""
