from __future__ import annotations

from pathlib import Path
from typing import Any

from rpe.chaos.result import CheckResult
from rpe.report.compare import comparison

GOLDEN = Path(__file__).parent / "golden"


def test_the_table_has_a_row_per_cell_and_a_column_per_subject(
    make_report: Any, passed: CheckResult, failed: CheckResult, unknown: CheckResult
) -> None:
    table = comparison(
        {
            "rpe": [make_report("calm", passed), make_report("slow[transport=grpc]", passed)],
            "grpc-native": [
                make_report("slow[transport=grpc]", unknown, failed),
                make_report("extra", unknown),
            ],
            "bare": [make_report("calm", passed), make_report("slow[transport=grpc]")],
        }
    )
    assert table == (GOLDEN / "comparison.md").read_text(encoding="utf-8")


def test_names_cannot_break_the_table(make_report: Any, passed: CheckResult) -> None:
    table = comparison({"a|b": [make_report("x|y", passed)]})
    assert all(line.replace(r"\|", "").count("|") == 3 for line in table.splitlines())
