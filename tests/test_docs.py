"""What the documentation claims: generated parts are fresh, examples load, commands and links exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rpe.chaos.scenario.loading import load, parse

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_generated_parts_are_fresh() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_scenario_in_the_readme_is_the_one_in_the_tree() -> None:
    shown = re.search(r"```yaml\n(name: slow-primary.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert shown is not None
    told = parse(shown[1])
    real = load(ROOT / "scenarios" / "latency" / "slow-primary.yaml").scenario
    assert told.faults == real.faults
    assert told.expect == real.expect
    assert told.workload == real.workload
    assert (told.name, told.proves, told.servers) == (real.name, real.proves, real.servers)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text())
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_and_option_that_is_shown_exists(page: Path) -> None:
    from rpe.cli.app import app

    runner = CliRunner()
    groups = {
        found.name or found.typer_instance.info.name
        for found in app.registered_groups
        if found.typer_instance
    }
    for line in re.findall(r"^rpe .*$", page.read_text(), re.MULTILINE):
        command = line.partition("#")[0].split()
        # `rpe fake --port 1` is a command of its own; `rpe load FILE` is one that the file stands for.
        named = command[1] in groups and not command[2].startswith("-")
        path = command[1 : 3 if named else 2]
        told = runner.invoke(app, [*path, "--help"], env={"COLUMNS": "200"})
        assert told.exit_code == 0, line
        for option in (word for word in command[2:] if word.startswith("-")):
            assert option in told.output, f"{line}: {option}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_that_is_shown_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    shown = set(re.findall(r"`make ([a-z-]+)`|^make ([a-z-]+)", page.read_text(), re.MULTILINE))
    assert {first or second for first, second in shown} <= targets
