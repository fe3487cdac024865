from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rpe.cli.load import loads
from rpe.loadtest.folder import LoadFolder
from rpe.loadtest.judging import judge
from tests.loadtest.saved import SavedRun

ROOT = Path(__file__).resolve().parents[2]
SHORT = ROOT / "loadtests" / "pool-short.yaml"


def invoke(*args: str) -> Result:
    return CliRunner().invoke(loads, list(args), env={"COLUMNS": "200"})


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What would have taken the place of this process."""
    found: list[list[str]] = []
    monkeypatch.setattr("os.execve", lambda path, command, environment: found.append(command))
    return found


@pytest.mark.parametrize(
    "args", [("FILE", "--headless", "-u", "3"), ("--endpoint", "a:1", "FILE", "--headless", "-u", "3")]
)
def test_a_locustfile_goes_to_locust(args: tuple[str, ...], started: list[list[str]]) -> None:
    file = str(ROOT / "loadtests" / "unary.py")
    done = invoke(*(file if arg == "FILE" else arg for arg in args))
    assert done.exit_code == 0, done.output
    assert started[0][1:] == ["-m", "locust", "-f", file, "--headless", "-u", "3"]


def test_a_plan_takes_no_option_that_it_does_not_know() -> None:
    done = invoke(str(SHORT), "--headless")
    assert done.exit_code == 2
    assert "--headless" in done.output


def test_a_plan_with_mistakes_is_wrong_use_and_tells_them_all(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(
        SHORT.read_text().replace("on: [a]", "on: [z]").replace("rate_per_s, at", "rate_per, at")
    )
    done = invoke(str(wrong), "--out", str(tmp_path / "out"))
    assert done.exit_code == 2
    assert "there is no server 'z'" in done.output
    assert "did you mean rate_per_s?" in done.output
    assert not (tmp_path / "out").exists()


def test_a_proxy_that_does_not_answer_is_wrong_use(tmp_path: Path) -> None:
    done = invoke(str(SHORT), "--out", str(tmp_path / "out"), "--proxy", "http://127.0.0.1:1")
    assert done.exit_code == 2
    assert not (tmp_path / "out").exists()


def test_without_locust_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    done = invoke(str(SHORT))
    assert done.exit_code == 2
    assert "pip install 'rpe[load]'" in done.output


def test_saved_runs_are_judged_again_with_those_inside(tmp_path: Path) -> None:
    for number in (1, 2):
        path = tmp_path / "both" / f"run-{number}"
        path.mkdir(parents=True)
        LoadFolder(SavedRun().write(path)).write_verdict(judge(path))
    done = invoke("recheck", str(tmp_path))
    assert (done.exit_code, "all as stored" in done.output) == (0, True), done.output
    result = tmp_path / "both" / "run-2" / "result.jsonl"
    head, first, *rest = result.read_text().splitlines()
    worse = {**json.loads(first), "count": 0, "histogram": ""}
    result.write_text("\n".join([head, json.dumps(worse), *rest[:4]]) + "\n")
    done = invoke("recheck", str(tmp_path))
    assert done.exit_code == 1
    assert "1 of 2 differ" in done.output
    assert "load_floor: pass -> unknown" in done.output
    assert invoke("recheck", str(SHORT.parent)).exit_code == 2


def test_the_schema_is_printed_and_the_help_names_everything(tmp_path: Path) -> None:
    out = tmp_path / "schema.json"
    assert invoke("schema", "--out", str(out)).exit_code == 0
    assert json.loads(out.read_text())["title"] == "rpe load plan"
    for word in ("compare", "locust", "plan", "recheck", "schema"):
        assert word in invoke("--help").output
    assert "--repeat" in invoke("plan", "--help").output
