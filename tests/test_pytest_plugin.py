"""The plugin as a downstream project sees it: a folder of scenarios, and pytest."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rpe.chaos.options import RunOptions, RunOutcome
from rpe.chaos.result import CheckResult, Status
from rpe.chaos.scenario.matrix import Cell
from rpe.chaos.verdict import Verdict
from rpe.errors import ConnectFailed
from rpe.pytest_plugin import items
from rpe.subjects import bare, reliable

_ = (bare, reliable)  # imported here, or each run inside of this process would import them anew

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

Calls = list[tuple[str, RunOptions]]


@pytest.fixture(autouse=True)
def without_asyncio(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave pytest-asyncio out of the inner runs: it wants settings of its own."""
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:asyncio")


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A strict project, with a scenario of two cells in each of two themes."""
    pytester.makepyprojecttoml(
        """
        [tool.pytest.ini_options]
        addopts = ["--import-mode=importlib", "--strict-markers", "--strict-config", "-p", "no:cacheprovider"]
        filterwarnings = ["error"]
        """
    )
    for theme, name in (("outage", "one-down"), ("latency", "slow-start")):
        write(pytester, f"scenarios/{theme}/{name}.yaml", SCENARIO.format(name=name))
    return pytester


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Runs nothing: a cell's verdict is told by its `max_retries`; what was asked is noted."""
    noted: Calls = []

    async def run_suite(cells: Sequence[Cell], jobs: int, options: RunOptions) -> list[RunOutcome]:
        assert jobs == 1
        noted.extend((cell.id, options) for cell in cells)
        return [outcome_of(cell) for cell in cells]

    monkeypatch.setattr(items, "run_suite", run_suite)
    return noted


def outcome_of(cell: Cell) -> RunOutcome:
    status = Status.PASS if cell.values["client.retry.max_retries"] else Status.FAIL
    check = CheckResult(name="success", status=status, summary="3 of 60", evidence=("load-7 at a failed",))
    return RunOutcome(cell=cell.id, verdict=Verdict.of([check]), folder=Path("runs/x"), wall_s=1.0)


def write(pytester: pytest.Pytester, name: str, text: str) -> Path:
    path = pytester.path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def collected(pytester: pytest.Pytester, *arguments: str) -> list[str]:
    result = pytester.runpytest_inprocess("--collect-only", "-q", *arguments)
    return [line for line in result.outlines if "::" in line]


ALL = [
    f"scenarios/{theme}/{name}.yaml::{name}[transport=grpc,client.retry.max_retries={retries}]"
    for theme, name in (("latency", "slow-start"), ("outage", "one-down"))
    for retries in (0, 3)
]


# --- what is collected -----------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [[], ["scenarios"], ["scenarios/outage", "scenarios/latency"]])
def test_each_cell_is_a_test_whose_id_is_stable(project: pytest.Pytester, arguments: list[str]) -> None:
    found = collected(project, *arguments)
    assert sorted(found) == ALL
    assert found == collected(project, *arguments)
    if len(arguments) < 2:
        assert found == ALL


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("docker-compose.yml", "services: {a: {}}"),
        ("scenarios/other.yaml", "name: x\nsteps: []\n"),
        ("scenarios/broken.yaml", "a: [\n  b"),
        ("scenarios/list.yaml", "- name: x"),
        ("config/elsewhere.yaml", SCENARIO.format(name="elsewhere")),
        ("scenarios/notes.txt", SCENARIO.format(name="notes")),
    ],
)
def test_other_files_are_left_alone(project: pytest.Pytester, name: str, text: str) -> None:
    write(project, name, text)
    assert collected(project) == ALL


def test_a_file_that_is_not_text_is_left_alone(project: pytest.Pytester) -> None:
    (project.path / "scenarios" / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    assert collected(project) == ALL


def test_a_scenario_elsewhere_is_collected_where_it_is_named(project: pytest.Pytester) -> None:
    write(project, "config/elsewhere.yaml", SCENARIO.format(name="elsewhere"))
    assert len(collected(project, "config/elsewhere.yaml")) == 2
    assert collected(project, "config") == []


def test_a_scenario_elsewhere_is_collected_where_a_glob_says_so(project: pytest.Pytester) -> None:
    write(project, "chaos/deep/elsewhere.yaml", SCENARIO.format(name="elsewhere"))
    assert len(collected(project, "chaos", "-o", "rpe_scenarios=chaos/*.yaml")) == 2


def test_a_mistake_in_a_scenario_is_an_error_with_its_line(project: pytest.Pytester) -> None:
    text = SCENARIO.format(name="wrong").replace("duration_s: 2", "duration_s: -2")
    write(project, "scenarios/outage/wrong.yaml", text)
    result = project.runpytest_inprocess("scenarios/outage/wrong.yaml")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*wrong.yaml:7: duration_s: *"])
    assert "Traceback" not in result.stdout.str()


def test_a_client_that_is_not_there_is_an_error(project: pytest.Pytester) -> None:
    result = project.runpytest_inprocess("scenarios/outage", "--rpe-client", "nobody")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*no client is named 'nobody'*", "*known clients: *"])


def test_a_client_of_the_project_itself_is_found(project: pytest.Pytester, calls: Calls) -> None:
    project.makepyfile(client_of_the_project="async def create(context): ...")
    path = list(sys.path)
    result = project.runpytest_inprocess(
        "scenarios", "-m", "rpe(client_retry_max_retries=3)", "--rpe-client", "client_of_the_project:create"
    )
    result.assert_outcomes(passed=2, deselected=2)
    assert {options.subject for _, options in calls} == {"client_of_the_project:create"}
    assert sys.path == path


@pytest.mark.parametrize(
    ("expression", "count"),
    [
        ("latency", 2),
        ("rpe", 4),
        ("grpc and not outage", 2),
        ("rpe(theme='outage')", 2),
        ("rpe(client_retry_max_retries=3)", 2),
        ("rpe(transport='http')", 0),
    ],
)
def test_cells_are_marked_with_theme_and_values(
    project: pytest.Pytester, expression: str, count: int
) -> None:
    assert len(collected(project, "-m", expression)) == count


def test_a_theme_that_means_something_to_pytest_is_no_mark(project: pytest.Pytester, calls: Calls) -> None:
    write(project, "scenarios/skip/skipped.yaml", SCENARIO.format(name="not-skipped"))
    project.runpytest_inprocess("scenarios/skip").assert_outcomes(passed=1, failed=1)


def test_nothing_heavy_is_imported_where_there_is_no_scenario(project: pytest.Pytester) -> None:
    write(project, "plain/scenarios/other.yaml", "name: x\nsteps: []\n")
    write(project, "plain/test_plain.py", "def test_plain(): pass\n")
    heavy = ("grpc", "aiohttp", "pydantic", "numpy", "yaml", "rich", "rpe.chaos")
    code = f"""
import json, sys, pytest
code = pytest.main(["-q", "-p", "no:xdist", "plain"])
print(json.dumps([int(code), [name for name in {heavy!r} if name in sys.modules]]))
"""
    result = project.run(sys.executable, "-c", code)
    assert json.loads(result.outlines[-1]) == [0, []]


# --- what a test comes to --------------------------------------------------------------------------------


def test_a_cell_that_passes_passes_and_one_that_fails_tells_why(
    project: pytest.Pytester, calls: Calls
) -> None:
    result = project.runpytest_inprocess("scenarios/outage", "--rpe-seed", "7")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "fail one-down*max_retries=0*",
            "*success: 3 of 60",
            "*load-7 at a failed",
            "*seed   7",
            "*repeat rpe run scenarios/outage/one-down.yaml --seed 7 --filter *",
            "rpe: root seed 7 (--rpe-seed)",
        ]
    )
    assert "runtest" not in result.stdout.str()


def test_what_is_unknown_fails_too(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run_suite(cells: Sequence[Cell], jobs: int, options: RunOptions) -> list[RunOutcome]:
        return [RunOutcome(cell=cell.id, verdict=Verdict.of(()), folder=None, wall_s=0.1) for cell in cells]

    monkeypatch.setattr(items, "run_suite", run_suite)
    result = project.runpytest_inprocess("scenarios/outage")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["unknown one-down*", "*nothing was checked*"])


def test_a_run_that_cannot_begin_fails_with_its_message(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run_suite(cells: Sequence[Cell], jobs: int, options: RunOptions) -> list[RunOutcome]:
        raise ConnectFailed("no proxy is there", endpoint="127.0.0.1:1")

    monkeypatch.setattr(items, "run_suite", run_suite)
    result = project.runpytest_inprocess("scenarios/outage")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*no proxy is there*"])
    assert "run_suite(" not in result.stdout.str()


def test_the_options_reach_the_run(project: pytest.Pytester, calls: Calls) -> None:
    options = [
        "--rpe-seed",
        "5",
        "--rpe-proxy",
        "http://127.0.0.1:8474",
        "--rpe-client",
        "bare",
        "--rpe-out",
        "o",
    ]
    project.runpytest_inprocess("scenarios/outage", *options)
    expected = RunOptions(out=Path("o"), seed=5, subject="bare", proxy="http://127.0.0.1:8474")
    assert [asked for _, asked in calls] == [expected, expected]


def test_without_a_seed_one_is_drawn_for_all_cells_and_printed(
    project: pytest.Pytester, calls: Calls
) -> None:
    result = project.runpytest_inprocess("scenarios")
    (seed,) = {options.seed for _, options in calls}
    result.stdout.fnmatch_lines([f"rpe: root seed {seed} (--rpe-seed)"])


def test_projects_without_scenarios_are_told_nothing_of_seeds(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_plain(): pass")
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(passed=1)
    assert "rpe:" not in result.stdout.str()


def test_the_processes_of_xdist_share_one_seed_and_the_order(project: pytest.Pytester) -> None:
    project.makeconftest(
        """
        from pathlib import Path
        from rpe.chaos.options import RunOutcome
        from rpe.chaos.result import CheckResult, Status
        from rpe.chaos.verdict import Verdict
        from rpe.pytest_plugin import items

        async def run_suite(cells, jobs, options):
            (Path(__file__).parent / f"seed-{options.seed}").touch()
            check = CheckResult(name="c", status=Status.PASS, summary="s")
            return [RunOutcome(cell=c.id, verdict=Verdict.of([check]), folder=None, wall_s=0) for c in cells]

        items.run_suite = run_suite
        """
    )
    result = project.runpytest_subprocess("scenarios", "-n", "2")
    result.assert_outcomes(passed=4)
    (file,) = project.path.glob("seed-*")
    result.stdout.fnmatch_lines([f"rpe: root seed {file.name.removeprefix('seed-')} (--rpe-seed)"])


# --- a real run ------------------------------------------------------------------------------------------

REAL = """\
name: one-down
proves: Calls go to the neighbour of a server that is down.
servers: {a: {}, b: {}}
client: {timeout_s: 2.0, retry: {max_retries: 3, initial_backoff_s: 0.01}}
workload: {kind: unary, rate_per_s: 40, input: text}
duration_s: 0.8
faults:
  - {name: cut, at_s: 0.2, for_s: 0.3, down: {on: [a]}}
expect:
  - {measure: success_ratio, at_least: %s}
"""


@pytest.mark.parametrize(("wanted", "outcome"), [("0.5", "passed"), ("1.1", "failed")])
def test_a_scenario_really_runs(project: pytest.Pytester, wanted: str, outcome: Any) -> None:
    write(project, "real/scenarios/outage/one-down.yaml", REAL % wanted)
    result = project.runpytest_inprocess("real", "--rpe-seed", "1")
    result.assert_outcomes(**{outcome: 1})
    (folder,) = (project.path / "runs").iterdir()
    assert {"plan.json", "history.jsonl", "verdict.json"} <= {path.name for path in folder.iterdir()}
    if outcome == "failed":
        result.stdout.fnmatch_lines(["fail one-down", "*success_ratio during run: *wanted >= 1.1*"])
