from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from rpe import __version__

HEAVY = ("grpc", "aiohttp", "numpy", "yaml", "google.protobuf", "psutil", "uvloop", "asyncio", "rpe.chaos")

Rpe = Callable[..., Any]


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (["--help"], (*HEAVY, "pydantic")),
        (["--version"], (*HEAVY, "pydantic")),
        (["run", "--help"], HEAVY),  # Typer itself reads the options of a command with pydantic.
    ],
)
def test_help_imports_nothing_heavy(arguments: list[str], heavy: tuple[str, ...]) -> None:
    code = f"""
import json, sys
sys.argv = ["rpe", *{arguments!r}]
from rpe.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
sys.stderr.write(json.dumps([name for name in {heavy!r} if name in sys.modules]))
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert json.loads(ended.stderr) == []
    assert ended.stdout


def test_the_help_names_every_command(rpe: Rpe) -> None:
    ended = rpe("--help")
    assert ended.exit_code == 0
    for command in ("run", "recheck", "schema", "proxy", "doctor", "version"):
        assert f" {command} " in ended.out


def test_a_terminal_that_lacks_a_sign_is_no_reason_to_fail() -> None:
    code = """
import sys
sys.argv = ["rpe", "version"]
from rpe.cli import main
try:
    main()
finally:
    from rpe.report.terminal import make_console
    make_console().print("\u2717 1")
"""
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=30)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines()[-1] == "? 1"


def test_a_missing_extra_is_named() -> None:
    code = "import sys; sys.modules['yaml'] = None; from rpe.cli import main; main()"
    command = [sys.executable, "-c", code, "run", "--list"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert ended.returncode == 2
    assert "the package yaml is missing" in ended.stderr and "Traceback" not in ended.stderr


@pytest.mark.parametrize("arguments", [["version"], ["--version"]])
def test_the_version_is_that_of_the_package(rpe: Rpe, arguments: list[str]) -> None:
    ended = rpe(*arguments)
    assert (ended.exit_code, ended.out) == (0, f"{__version__}\n")


@pytest.mark.parametrize(
    "arguments", [["fly"], ["--bogus"], ["run", "--bogus"], ["run", "-j", "x"], ["recheck"], []]
)
def test_what_is_no_command_is_wrong_use(rpe: Rpe, arguments: list[str]) -> None:
    assert rpe(*arguments).exit_code == 2


def test_the_schema_is_that_of_scenario_files(rpe: Rpe, tmp_path: Any) -> None:
    printed = rpe("schema")
    assert printed.exit_code == 0
    assert {"name", "proves", "faults", "expect"} <= set(json.loads(printed.out)["properties"])
    file = tmp_path / "schema.json"
    assert rpe("schema", "--out", file).exit_code == 0
    assert file.read_text(encoding="utf-8") == printed.out


def test_a_schema_that_cannot_be_written_is_told(rpe: Rpe, tmp_path: Any) -> None:
    ended = rpe("schema", "--out", tmp_path / "missing" / "schema.json")
    assert ended.exit_code == 2
    assert "No such file or directory" in ended.err and "Traceback" not in ended.err
