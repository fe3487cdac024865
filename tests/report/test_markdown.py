from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rpe.chaos.result import CheckResult, Status
from rpe.report.cell import CellReport
from rpe.report.markdown import STEP_SUMMARY_BYTES, escaped, markdown

GOLDEN = Path(__file__).parent / "golden"


def test_the_page_is_the_one_that_was_reviewed(suite: list[CellReport]) -> None:
    assert markdown(suite, seed=42) == (GOLDEN / "suite.md").read_text(encoding="utf-8")


def test_no_cells_are_shown_as_unknown() -> None:
    assert markdown([], seed=1).startswith("## ❔ unknown: 0 cells\n")


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("a|b", r"a\|b"),
        ("a\nb", "a b"),
        ("<script>&", "&lt;script&gt;&amp;"),
        ("`*_[x](y)", r"\`\*\_\[x\](y)"),
        ("\\", "\\\\"),
        ("a" * 300, "a" * 199 + "…"),
    ],
)
def test_foreign_text_cannot_break_a_table(raw: str, shown: str) -> None:
    assert escaped(raw) == shown


def test_a_fence_is_longer_than_any_that_is_in_the_evidence(make_report: Any) -> None:
    check = CheckResult(name="c", status=Status.FAIL, summary="s", evidence=("````", "after"))
    assert "`````text\n````\nafter\n`````\n" in markdown([make_report("cell", check)], seed=1)


def test_the_worst_cells_stand_first_in_the_table(suite: list[CellReport]) -> None:
    rows = [line for line in markdown(suite, seed=1).splitlines() if line.startswith("| ")][1:]
    assert [row.split(" | ")[1] for row in rows] == ["❌ fail", "❔ unknown", "✅ pass"]


def test_a_page_that_is_too_long_loses_evidence_before_rows_and_says_so(make_report: Any) -> None:
    check = CheckResult(name="c", status=Status.FAIL, summary="s", evidence=("x" * 900,) * 20)
    reports = [make_report(f"cell-{number}", check) for number in range(200)]
    page = markdown(reports, seed=1)
    assert len(page.encode()) <= STEP_SUMMARY_BYTES
    assert page.count("\n| cell-") == 200
    shown = page.count("\n### ")
    assert 0 < shown < 200
    assert page.endswith(f"what is told of {200 - shown} cells left out. The run folders hold everything.*\n")


def test_a_table_that_is_too_long_loses_its_last_rows(
    make_report: Any, passed: CheckResult, failed: CheckResult
) -> None:
    reports = [make_report(f"good-{number}", passed) for number in range(50)]
    page = markdown([*reports, make_report("bad", failed)], seed=1, limit_bytes=2000)
    assert len(page.encode()) <= 2000
    assert "| bad | ❌ fail |" in page
    assert "rows of the table and what is told of 1 cell left out" in page


def test_rows_are_left_out_from_the_end_and_never_from_between(make_report: Any, passed: CheckResult) -> None:
    reports = [make_report("first", passed), make_report("x" * 150, passed), make_report("last", passed)]
    page = markdown(reports, seed=1, limit_bytes=500)
    assert "| first |" in page and "| last |" not in page
    assert "2 rows of the table" in page


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(limit=st.integers(-10, 3000), cells=st.integers(0, 8), text=st.text(max_size=400))
def test_no_page_is_ever_longer_than_its_limit(make_report: Any, limit: int, cells: int, text: str) -> None:
    check = CheckResult(name="c", status=Status.FAIL, summary=text, evidence=(text,))
    page = markdown(
        [make_report(f"cell-{number}", check) for number in range(cells)], seed=1, limit_bytes=limit
    )
    assert len(page.encode()) <= max(limit, 0)


def test_credentials_in_foreign_text_do_not_appear(make_report: Any) -> None:
    check = CheckResult(
        name="token=hunter2",
        status=Status.FAIL,
        summary="Bearer hunter2",
        evidence=("token=hunter2",),
        wanted="secret=hunter2",
    )
    page = markdown(
        [make_report("cell", check, repeat="TOKEN=hunter2 rpe run", folder="password=hunter2")], seed=1
    )
    assert "hunter2" not in page


def test_what_is_waived_is_told_with_its_reason_also_where_all_passed(
    make_report: Any, passed: CheckResult
) -> None:
    page = markdown([make_report("cell", passed, waived={"leaks": "it may keep files open"})], seed=1)
    assert "- not applicable: leaks, because it may keep files open" in page
