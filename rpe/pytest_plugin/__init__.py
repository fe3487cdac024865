"""`pytest scenarios/`: each cell of each scenario file is a test. And fixtures: see `fixtures`.

A file is taken for a scenario where it lies in a folder named `scenarios`, or is named on the
command line, and looks like one; or where it matches one of the globs of the ini option
`rpe_scenarios`. Other YAML files are left alone, and nothing heavy is imported before a
scenario is found, or a fixture asked for.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING, Any

import pytest

from rpe.pytest_plugin.fixtures import (
    MARKERS,
    fake_pipeline,
    fake_pool,
    fault_proxy,
    pytest_runtest_makereport,
)

if TYPE_CHECKING:
    from rpe.pytest_plugin.items import ScenarioCollector

__all__ = [
    "fake_pipeline",
    "fake_pool",
    "fault_proxy",
    "pytest_addoption",
    "pytest_collect_file",
    "pytest_configure",
    "pytest_configure_node",
    "pytest_runtest_makereport",
    "pytest_terminal_summary",
    "root_seed",
]

SEED = pytest.StashKey[int]()

FOLDER = "scenarios"
SUFFIXES = (".yaml", ".yml")
_TOP_LEVEL_KEY = re.compile(r"^(name|proves|servers|workload|duration_s|faults)\s*:", re.MULTILINE)
_ENOUGH_KEYS = 3
"""How many of a scenario's own keys a file must have to be taken for one, so that its mistakes are told."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the scenarios' tests."""
    group = parser.getgroup("rpe", "scenarios of rpe")
    group.addoption(
        "--rpe-proxy",
        default=os.environ.get("RPE_TOXIPROXY_URL", "embedded"),
        metavar="URL",
        help="embedded, or the URL of a Toxiproxy API. Default: RPE_TOXIPROXY_URL, else embedded.",
    )
    group.addoption(
        "--rpe-seed", type=int, metavar="N", help="The root seed; drawn and printed where it is not given."
    )
    group.addoption(
        "--rpe-client",
        default="rpe",
        metavar="NAME",
        help="The client under test: a name, or module:factory.",
    )
    group.addoption("--rpe-out", default="runs", metavar="DIR", help="Where the run folders are made.")
    parser.addini("rpe_scenarios", "Globs of scenario files outside of folders named scenarios.", type="args")


def pytest_configure(config: pytest.Config) -> None:
    """Decide on the root seed; processes of pytest-xdist are given that of their controller."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    if config.pluginmanager.hasplugin("asyncio"):
        from rpe.pytest_plugin import loops

        config.pluginmanager.register(loops, "rpe-loops")
    config.addinivalue_line(
        "markers", "rpe(theme, **values): a cell of a scenario, with the values of its matrix"
    )
    given: int | None = config.getoption("--rpe-seed")
    handed_down: int | None = getattr(config, "workerinput", {}).get("rpe_seed")
    seeds = (given, handed_down, SystemRandom().randrange(2**32))
    config.stash[SEED] = next(seed for seed in seeds if seed is not None)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Hand the root seed to a process of pytest-xdist."""
    node.workerinput["rpe_seed"] = root_seed(node.config)


def root_seed(config: pytest.Config) -> int:
    """Return the root seed of the whole pytest run: the same in all of its processes."""
    return config.stash[SEED]


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ScenarioCollector | None:
    """Collect a scenario file."""
    if file_path.suffix not in SUFFIXES or not _is_scenario(file_path, parent):
        return None
    try:
        from rpe.pytest_plugin.items import ScenarioCollector
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("rpe"):
            raise
        raise pytest.UsageError(
            f"{file_path} is a scenario of rpe, but {error.name} is missing: pip install 'rpe[chaos]'"
        ) from error
    return ScenarioCollector.from_parent(parent, path=file_path)


def _is_scenario(path: Path, parent: pytest.Collector) -> bool:
    relative = (
        path.relative_to(parent.config.rootpath) if path.is_relative_to(parent.config.rootpath) else path
    )
    if any(fnmatch(str(relative), glob) for glob in parent.config.getini("rpe_scenarios")):
        return True
    if FOLDER not in relative.parts[:-1] and not parent.session.isinitpath(path):
        return False
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return len(set(_TOP_LEVEL_KEY.findall(text))) >= _ENOUGH_KEYS


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the root seed where scenarios ran, so that they can be run again."""
    reports = (report for found in terminalreporter.stats.values() for report in found)
    if any(_is_cell(report) for report in reports):
        terminalreporter.write_line(f"rpe: root seed {root_seed(terminalreporter.config)} (--rpe-seed)")


def _is_cell(report: object) -> bool:
    properties: Iterator[tuple[str, object]] = iter(getattr(report, "user_properties", ()))
    return any(name == "rpe_seed" for name, _ in properties)
