from __future__ import annotations

from pathlib import Path

import pytest

from rpe.report.cell import CellReport
from rpe.report.markdown import STEP_SUMMARY_BYTES
from rpe.report.step_summary import append_step_summary


def test_the_page_is_appended_to_what_earlier_commands_of_the_step_wrote(
    tmp_path: Path, suite: list[CellReport]
) -> None:
    file = tmp_path / "summary.md"
    file.write_text("earlier\n", encoding="utf-8")
    environment = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(file)}
    assert append_step_summary(suite, seed=42, environment=environment) == file
    assert file.read_text(encoding="utf-8").startswith("earlier\n## ❌ fail: 3 cells")


@pytest.mark.parametrize("environment", [{}, {"GITHUB_STEP_SUMMARY": "x"}, {"GITHUB_ACTIONS": "true"}])
def test_elsewhere_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suite: list[CellReport], environment: dict[str, str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert append_step_summary(suite, seed=42, environment=environment) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("taken", [STEP_SUMMARY_BYTES - 1200, STEP_SUMMARY_BYTES - 10, STEP_SUMMARY_BYTES])
def test_the_file_never_grows_beyond_what_github_takes(
    tmp_path: Path, suite: list[CellReport], taken: int
) -> None:
    file = tmp_path / "summary.md"
    file.write_bytes(b"x" * taken)
    append_step_summary(
        suite, seed=42, environment={"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(file)}
    )
    assert taken <= file.stat().st_size <= STEP_SUMMARY_BYTES
