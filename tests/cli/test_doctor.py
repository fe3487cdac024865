from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rpe.cli.doctor import report
from rpe.cli.installed import Finding, look_around, packages, program

REQUIREMENTS = [
    "numpy>=1.26",
    "typer>=0.15",
    "grpcio>=1.71; extra == 'chaos'",
    'grpcio>=1.71; extra == "grpc"',
    "rich>=13.9 ; extra == 'chaos'",
    "uvloop>=0.21; (sys_platform != 'win32') and extra == 'speed'",
    "ruff>=0.9; extra == 'dev'",
    "rpe[grpc]; extra == 'chaos'",
]


def test_each_package_is_told_once_under_the_smallest_extra_that_asks_for_it() -> None:
    found = [(finding.group, finding.name) for finding in packages(REQUIREMENTS, lambda name: "1.0")]
    assert found == [
        ("rpe", "numpy"),
        ("rpe", "typer"),
        ("rpe[grpc]", "grpcio"),
        ("rpe[chaos]", "rich"),
        ("rpe[speed]", "uvloop"),
    ]


def test_a_missing_package_is_needed_only_where_a_run_needs_it() -> None:
    found = {finding.name: finding for finding in packages(REQUIREMENTS, lambda name: None)}
    assert found["grpcio"].missing and found["grpcio"].needed
    assert found["uvloop"].missing and not found["uvloop"].needed
    assert found["grpcio"].how == "pip install 'rpe[grpc]'"


def script(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.mark.parametrize(
    ("says", "version"),
    [
        ("echo toxiproxy-server version 2.12.0", "2.12.0"),
        ("echo go version go1.26.8 linux/amd64", "1.26.8"),
        ("echo 'OpenSSL 3.0.19 27 Jan 2026'", "3.0.19"),
        ("echo no idea", ""),
        ("exit 1", ""),
    ],
)
def test_a_program_is_asked_for_its_version(tmp_path: Path, says: str, version: str) -> None:
    script(tmp_path, "tool", says)
    found = program("tool", ["version"], purpose="p", how="h", also_in=tmp_path)
    assert found.version == version and not found.missing


def test_a_toxiproxy_that_does_not_know_its_version_is_read_by_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path, "toxiproxy-server", "echo toxiproxy-server version git")
    script(
        tmp_path, "go", 'printf "\\tpath\\tx\\n\\tmod\\tgithub.com/Shopify/toxiproxy/v2\\tv2.12.0\\th1:x\\n"'
    )
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert program("toxiproxy-server", ["-version"], purpose="p", how="h").version == "2.12.0"


def test_a_program_that_is_not_there_is_missing() -> None:
    assert program("no-such-tool-here", ["version"], purpose="p", how="h").missing


def finding(name: str, version: str | None, *, needed: bool) -> Finding:
    return Finding("rpe[chaos]", name, version, needed, "running scenarios", "pip install 'rpe[chaos]'")


def test_only_what_a_run_needs_decides_whether_it_is_ready() -> None:
    text, ready = report([finding("rich", "15.0", needed=True), finding("uvloop", None, needed=False)])
    assert ready
    assert "missing (optional); for running scenarios; get it: pip install 'rpe[chaos]'" in text
    text, ready = report([finding("rich", None, needed=True)])
    assert not ready
    assert text.endswith("`rpe run` cannot run: rich missing.")


def test_this_machine_can_run_its_own_tests(rpe: Callable[..., Any]) -> None:
    ended = rpe("doctor")
    assert ended.exit_code == 0, ended
    assert {"Python", "grpcio", "pydantic", "toxiproxy-server", "openssl"} <= {
        item.name for item in look_around()
    }


def test_a_machine_that_lacks_something_needed_ends_with_1(
    rpe: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rpe.cli.installed.look_around", lambda: [finding("rich", None, needed=True)])
    assert rpe("doctor").exit_code == 1
