from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from rpe.chaos.filtering import FilterError
from rpe.chaos.plan import Plan
from rpe.chaos.rundir import RunFolder
from rpe.chaos.scenario.errors import ScenarioError
from rpe.chaos.verdict import CheckResult, Status, Verdict
from rpe.cli.selecting import Selected, default_path, listing, select, which_did_not_pass
from rpe.errors import ConfigurationError
from rpe.report.repeat import repeat_command

SCENARIO = """\
name: {name}
proves: Calls go to the neighbours of a server that is down.
matrix: {{transport: [grpc], client.retry.max_retries: [0, 3]}}
servers: {{a: {{}}, b: {{}}}}
client: {{retry: {{max_retries: 1}}}}
workload: {{kind: unary, rate_per_s: 20}}
duration_s: 2
faults:
  - {{name: cut, at_s: 0.5, for_s: 0.5, down: {{on: [a]}}}}
"""


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with two scenarios of two cells each."""
    for theme, name in (("outage", "one-down"), ("latency", "slow-start")):
        folder = tmp_path / "scenarios" / theme
        folder.mkdir(parents=True)
        (folder / f"{name}.yaml").write_text(SCENARIO.format(name=name), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_a_path_the_scenarios_of_this_folder_are_meant(tree: Path) -> None:
    assert [each.cell.id for each in select([])] == [
        "slow-start[transport=grpc,client.retry.max_retries=0]",
        "slow-start[transport=grpc,client.retry.max_retries=3]",
        "one-down[transport=grpc,client.retry.max_retries=0]",
        "one-down[transport=grpc,client.retry.max_retries=3]",
    ]


def test_where_there_are_none_the_built_in_ones_are_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_path().name == "scenarios" and default_path().is_absolute()


@pytest.mark.parametrize(
    ("expression", "count"),
    [
        ("", 4),
        ("outage", 2),
        ("max_retries=3", 2),
        ("one-down[transport=grpc,client.retry.max_retries=0]", 1),
    ],
)
def test_a_filter_chooses_by_name_theme_value_and_id(tree: Path, expression: str, count: int) -> None:
    assert len(select([Path("scenarios")], expression)) == count


@pytest.mark.parametrize(
    ("paths", "expression", "error"),
    [
        (["missing.yaml"], "", ScenarioError),
        ([], "and", FilterError),
        ([], "nothing-like-this", ConfigurationError),
    ],
)
def test_what_chooses_nothing_is_told(
    tree: Path, paths: list[str], expression: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        select([Path(path) for path in paths], expression)


def test_the_listing_has_a_line_per_cell(tree: Path) -> None:
    lines = listing(select([], "outage")).splitlines()
    assert lines == [
        f"one-down[transport=grpc,client.retry.max_retries={retries}]  outage  2 s  "
        "Calls go to the neighbours of a server that is down."
        for retries in (0, 3)
    ]


def test_the_command_that_repeats_a_cell_selects_just_that_cell(tree: Path) -> None:
    for each in select([]):
        command = repeat_command(str(each.path), each.cell.id, seed=7, proxy="embedded", subject="rpe")
        rpe, run, path, _, seed, _, expression = shlex.split(command)
        assert (rpe, run, seed) == ("rpe", "run", "7")
        assert [again.cell.id for again in select([Path(path)], expression)] == [each.cell.id]


def _ran(root: Path, stamp: str, selected: Selected, status: Status) -> None:
    folder = RunFolder.create(root, stamp, selected.cell.id)
    folder.write_plan(Plan.draw(selected.cell, 1))
    folder.history_path.write_text("", encoding="utf-8")
    folder.write_verdict(Verdict.of([CheckResult(name="x", status=status, summary="so it is")]))


def test_the_last_run_of_a_cell_decides_whether_it_is_run_again(tree: Path) -> None:
    found = select([])
    runs = tree / "runs"
    _ran(runs, "20260101T000000Z", found[0], Status.FAIL)
    _ran(runs, "20260101T000001Z", found[0], Status.PASS)
    _ran(runs, "20260101T000000Z", found[1], Status.PASS)
    _ran(runs, "20260101T000001Z", found[1], Status.UNKNOWN)
    _ran(runs, "20260101T000001Z", found[2], Status.FAIL)
    assert which_did_not_pass(found, runs) == found[1:3], "one that was never run is left alone"
    _ran(runs, "20260101T000002Z", found[1], Status.PASS)
    with pytest.raises(ConfigurationError, match="no cell is left"):
        which_did_not_pass(found[:2], runs)
    with pytest.raises(ConfigurationError, match="not a folder"):
        which_did_not_pass(found, tree / "elsewhere")
