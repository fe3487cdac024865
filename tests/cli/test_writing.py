from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from rpe.cli.writing import ReportFiles
from rpe.errors import ConfigurationError


def test_what_was_asked_for_is_written_and_its_folders_are_made(tmp_path: Path) -> None:
    files = ReportFiles(tmp_path / "a" / "junit.xml", tmp_path / "b" / "page.md")
    files.prepare()
    files.write([], seed=7, environment={})
    assert ElementTree.parse(tmp_path / "a" / "junit.xml").getroot().tag == "testsuites"
    assert (tmp_path / "b" / "page.md").read_text(encoding="utf-8").startswith("## ❔ unknown: 0 cells")


def test_where_nothing_is_asked_for_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files = ReportFiles()
    files.prepare()
    files.write([], seed=7, environment={})
    assert list(tmp_path.iterdir()) == []


def test_a_summary_that_cannot_be_written_is_only_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(tmp_path / "no" / "such" / "folder")}
    ReportFiles().write([], seed=7, environment=environment)
    assert "the summary of this step was not written" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_told_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for junit in (tmp_path, tmp_path / "file" / "junit.xml"):
        with pytest.raises(ConfigurationError):
            ReportFiles(junit).prepare()
