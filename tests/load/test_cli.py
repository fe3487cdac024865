from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from rpe.cli.app import app

UNARY = Path(__file__).resolve().parents[2] / "loadtests" / "unary.py"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], dict[str, str]]]:
    """What would have taken the place of this process."""
    found: list[tuple[list[str], dict[str, str]]] = []
    monkeypatch.setattr("os.execve", lambda path, command, environment: found.append((command, environment)))
    monkeypatch.delenv("RPE_TRANSPORT", raising=False)
    monkeypatch.setenv("RPE_ENDPOINTS", "before:1")
    return found


def test_what_is_not_its_own_goes_to_locust(started: list[tuple[list[str], dict[str, str]]]) -> None:
    own = ["--endpoint", "a:1", "--transport", "http", "--endpoint", "b:2"]
    done = CliRunner().invoke(app, ["load", str(UNARY), "--headless", "-u", "4", *own, "-t3s", "--tags", "x"])
    assert done.exit_code == 0, done.output
    ((command, environment),) = started
    assert command[1:] == ["-m", "locust", "-f", str(UNARY), "--headless", "-u", "4", "-t3s", "--tags", "x"]
    assert environment["RPE_ENDPOINTS"] == "a:1,b:2"
    assert environment["RPE_TRANSPORT"] == "http"


def test_what_the_environment_says_stays_where_nothing_else_is_said(
    started: list[tuple[list[str], dict[str, str]]],
) -> None:
    assert CliRunner().invoke(app, ["load", str(UNARY)]).exit_code == 0
    ((_, environment),) = started
    assert environment["RPE_ENDPOINTS"] == "before:1"
    assert "RPE_TRANSPORT" not in environment


def test_a_file_that_is_not_there_is_wrong_use(started: list[tuple[list[str], dict[str, str]]]) -> None:
    assert CliRunner().invoke(app, ["load", "no-such-file.py"]).exit_code == 2
    assert started == []


def test_without_locust_it_says_what_to_install(
    started: list[tuple[list[str], dict[str, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    done = CliRunner().invoke(app, ["load", str(UNARY)])
    assert done.exit_code == 2
    assert "pip install 'rpe[load]'" in done.output
    assert started == []
