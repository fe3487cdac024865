from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from rpe.chaos.rundir import RunFolder
from rpe.chaos.verdict import Verdict
from rpe.cli.running import default_jobs

Rpe = Callable[..., Any]

PROVES = "Calls go to the neighbour of a server that is down."

SCENARIO = """\
name: {name}
proves: Calls go to the neighbour of a server that is down.
servers: {{a: {{}}, b: {{}}}}
client: {{timeout_s: 2.0, retry: {{max_retries: 3, initial_backoff_s: 0.01}}}}
workload: {{kind: unary, rate_per_s: 40, input: text}}
duration_s: 0.8
faults:
  - {{name: cut, at_s: 0.2, for_s: 0.3, down: {{on: [a]}}}}
expect:
  - {{measure: success_ratio, at_least: {wanted}}}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one scenario that passes; the current folder for the test."""
    folder = tmp_path / "scenarios" / "outage"
    folder.mkdir(parents=True)
    (folder / "good.yaml").write_text(SCENARIO.format(name="good", wanted="0.5"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if "__pycache__" not in path.parts}


# --- wrong use -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["missing.yaml"], "there is no such file"),
        (["scenarios/empty"], "there is no scenario file in this folder"),
        (["broken.yaml"], "broken.yaml:2: this is not YAML"),
        (["wrong.yaml"], "wrong.yaml:1: proves: is missing"),
        (["--filter", "good and"], "cannot be read: expected a word, found the end"),
        (["--filter", "nothing-like-it"], "none of 1 cells matches the filter"),
        (["--client", "nobody"], "no client is named 'nobody'"),
        (["--client", "no_such_module:create"], "No module named 'no_such_module'"),
        (["--client", "my_client:missing"], "my_client has no missing"),
        (["--proxy", "http://127.0.0.1:1"], "cannot be reached"),
        (["--proxy", "not a url"], "cannot be reached"),
        (["--junit", "scenarios"], "scenarios is a folder"),
        (["--markdown", "broken.yaml/x.md"], "the folder broken.yaml cannot be made"),
        (["--out", "broken.yaml"], "the folder broken.yaml cannot be made: File exists"),
        (["-j", "0"], "Invalid value for '-j'"),
        (["--seed", "x"], "Invalid value for '--seed'"),
        (["--no-such-option"], "No such option"),
    ],
)
def test_wrong_use_is_told_and_leaves_nothing_behind(
    rpe: Rpe, project: Path, arguments: list[str], told: str
) -> None:
    (project / "broken.yaml").write_text("a: [\n", encoding="utf-8")
    (project / "wrong.yaml").write_text("name: wrong\n", encoding="utf-8")
    (project / "my_client.py").write_text("", encoding="utf-8")
    (project / "scenarios" / "empty").mkdir()
    before = everything(project)
    ended = rpe("run", *arguments)
    assert ended.exit_code == 2
    assert told in " ".join(ended.err.replace("│", " ").split())
    assert "Traceback" not in ended.err + ended.out
    assert everything(project) == before


def test_the_environment_may_name_the_proxy(rpe: Rpe, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RPE_TOXIPROXY_URL", "http://127.0.0.1:1")
    ended = rpe("run")
    assert ended.exit_code == 2
    assert "http://127.0.0.1:1" in ended.err


def test_debug_shows_where_an_error_came_from(rpe: Rpe, project: Path) -> None:
    ended = rpe("run", "missing.yaml", "--debug")
    assert ended.exit_code == 2
    assert "Traceback" in ended.err and "ScenarioError" in ended.err


def test_the_list_shows_each_cell_and_runs_nothing(rpe: Rpe, project: Path) -> None:
    ended = rpe("run", "--list")
    assert (ended.exit_code, ended.err) == (0, "")
    assert ended.out.split() == [
        "good",
        "outage",
        "0.8",
        "s",
        *PROVES.split(),
    ]
    assert not (project / "runs").exists()


def test_without_a_number_the_cores_decide_how_many_cells_run_at_a_time() -> None:
    assert default_jobs() >= 1


# --- real runs -------------------------------------------------------------------------------------------


def test_a_run_that_passes_ends_with_0_and_is_reported_everywhere(
    rpe: Rpe, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = project / "summary.md"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    ended = rpe("run", "--seed", "7", "--junit", "reports/junit.xml", "--markdown", "reports/page.md")
    assert ended.exit_code == 0, ended
    assert "rpe run: 1 cell, " in ended.out and "seed 7" in ended.out
    assert re.search(r"^\[1/1\] pass    good  ", ended.out, re.MULTILINE)
    assert ended.out.rstrip().endswith("pass: 1 cell (1 pass), seed 7")
    (folder,) = (project / "runs").iterdir()
    assert RunFolder(folder).load_plan().seed == 7
    suite = ElementTree.parse(project / "reports" / "junit.xml").getroot()[0]
    assert (suite.get("name"), suite.get("failures"), suite.get("errors")) == ("good", "0", "0")
    page = (project / "reports" / "page.md").read_text(encoding="utf-8")
    assert page.startswith("## ✅ pass: 1 cell (1 pass)")
    assert summary.read_text(encoding="utf-8") == page


def test_a_run_that_fails_ends_with_1_and_tells_what_repeats_it(rpe: Rpe, project: Path) -> None:
    bad = project / "scenarios" / "outage" / "bad.yaml"
    bad.write_text(SCENARIO.format(name="bad", wanted="1.1"), encoding="utf-8")
    ended = rpe("run", "--filter", "bad", "-j", "2")
    assert ended.exit_code == 1, ended
    assert "success_ratio during run: 1" in ended.out and "wanted >= 1.1" in ended.out
    found = re.search(r"repeat (.*)", ended.out)
    assert found is not None
    assert shlex.split(found[1])[:3] == ["rpe", "run", "scenarios/outage/bad.yaml"]
    folder = re.search(r"folder (\S+)", ended.out)
    assert folder is not None and (project / folder[1] / "history.jsonl").is_file()


def test_a_client_that_cannot_be_made_is_unknown_and_ends_with_3(rpe: Rpe, project: Path) -> None:
    (project / "refusing_client.py").write_text(
        "async def create(context):\n    raise OSError('no')\n", encoding="utf-8"
    )
    ended = rpe("run", "--client", "refusing_client:create")
    assert ended.exit_code == 3, ended
    assert "unknown: 1 cell (1 unknown)" in ended.out


# --- recheck ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the saved run of a scenario that passed."""
    from typer.testing import CliRunner

    from rpe.cli.app import app

    root = tmp_path_factory.mktemp("saved")
    (root / "good.yaml").write_text(SCENARIO.format(name="good", wanted="0.5"), encoding="utf-8")
    result = CliRunner().invoke(app, ["run", str(root / "good.yaml"), "--out", str(root / "runs")])
    assert result.exit_code == 0, result.output
    return root / "runs"


def test_a_saved_run_comes_to_the_same_verdict(rpe: Rpe, saved: Path) -> None:
    for path in (saved, next(saved.iterdir())):
        ended = rpe("recheck", path)
        assert ended.exit_code == 0, ended
        assert "pass: all as stored" in ended.out


def test_a_stored_verdict_that_differs_is_told_and_ends_with_1(rpe: Rpe, saved: Path, tmp_path: Path) -> None:
    copy = copied(saved, tmp_path)
    stored = copy.load_verdict()
    assert stored is not None
    data = json.loads(stored.to_json())
    data["status"] = data["checks"][0]["status"] = "unknown"
    copy.write_verdict(Verdict.from_json(json.dumps(data)))
    ended = rpe("recheck", copy.path)
    assert ended.exit_code == 1
    assert "unknown -> pass" in " ".join(ended.out.split())
    assert "1 of 1 differ from what is stored" in ended.out


def test_a_history_that_is_cut_off_is_unknown(rpe: Rpe, saved: Path, tmp_path: Path) -> None:
    copy = copied(saved, tmp_path)
    lines = copy.history_path.read_bytes().splitlines(keepends=True)
    copy.history_path.write_bytes(b"".join(lines[: len(lines) // 2]))
    copy.verdict_path.unlink()
    ended = rpe("recheck", copy.path)
    assert ended.exit_code in (1, 3)
    assert "none" in ended.out


@pytest.mark.parametrize("name", ["missing", "empty", "file"])
def test_what_is_no_run_folder_is_wrong_use(rpe: Rpe, tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    ended = rpe("recheck", tmp_path / name)
    assert ended.exit_code == 2
    assert "hint" in ended.err and "Traceback" not in ended.err


def test_a_plan_that_cannot_be_read_is_wrong_use(rpe: Rpe, saved: Path, tmp_path: Path) -> None:
    copy = copied(saved, tmp_path)
    copy.plan_path.write_text("{", encoding="utf-8")
    ended = rpe("recheck", copy.path)
    assert ended.exit_code == 2
    assert "plan.json" in ended.err and "Traceback" not in ended.err


def copied(saved: Path, to: Path) -> RunFolder:
    (source,) = saved.iterdir()
    target = to / source.name
    target.mkdir()
    for path in source.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return RunFolder(target)
