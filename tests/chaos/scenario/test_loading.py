"""Scenario files: what is right is read, and every mistake is told with its file, line and field."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from rpe.chaos.scenario.errors import ScenarioError
from rpe.chaos.scenario.loading import discover, load, parse

HERE = Path(__file__).parent
GOOD = (HERE / "good.yaml").read_text(encoding="utf-8")
MISTAKES = {
    entry["mistake"]: (entry["replace"], entry["by"], entry["told"])
    for entry in yaml.safe_load((HERE / "mistakes.yaml").read_text(encoding="utf-8"))
}


def replaced(old: str, new: str, text: str = GOOD) -> str:
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the file"
    return text.replace(old, new)


def problems(text: str) -> list[str]:
    """Return each mistake as `line: field: message`."""
    with pytest.raises(ScenarioError) as caught:
        parse(text, "slow.yaml")
    return [str(problem).removeprefix("slow.yaml:") for problem in caught.value.problems]


def test_a_whole_file_is_read() -> None:
    scenario = parse(GOOD)

    assert scenario.name == "slow-primary"
    assert [(fault.name, fault.kind, fault.settings.targets) for fault in scenario.faults] == [
        ("slow", "latency", ("a",)),
        ("worse", "down", ("b",)),
    ]
    assert [workload.kind for workload in scenario.workload] == ["unary", "stream"]
    assert scenario.servers["b"].latency is not None
    assert scenario.client.budget is not None
    assert "good-token" not in repr(scenario)


def test_a_single_workload_needs_no_list() -> None:
    text = (
        GOOD[: GOOD.index("workload:")]
        + "workload: {kind: unary, rate_per_s: 1}\n"
        + GOOD[GOOD.index("duration_s") :]
    )

    assert [workload.name for workload in parse(text).workload] == ["load"]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_with_its_line_and_field(mistake: str) -> None:
    old, new, expected = MISTAKES[mistake]

    found = problems(replaced(old, new))

    assert any(problem.startswith(expected) for problem in found), found


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_not_told_as_more_than_it_is(mistake: str) -> None:
    old, new, _ = MISTAKES[mistake]

    assert len(problems(replaced(old, new))) <= 3


def test_all_mistakes_of_a_file_are_told_at_once_in_the_order_of_lines() -> None:
    text = GOOD
    for mistake in (
        "milliseconds for seconds",
        "a negative time",
        "a fault on no server",
        "no bound",
        "a check that there is not",
    ):
        old, new, _ = MISTAKES[mistake]
        text = replaced(old, new, text)

    found = problems(text)

    assert [problem.split(":")[0] for problem in found] == ["10", "29", "32", "37", "42"]


def test_what_refers_to_an_entry_with_a_mistake_of_its_own_is_not_told_as_another() -> None:
    found = problems(replaced("at_s: 1.0", "at_s: soon"))

    assert found == ["29: faults[0].at_s: must be a number, not 'soon'"]


def test_where_the_only_fault_has_a_mistake_the_windows_around_it_are_not_judged() -> None:
    begin, end = GOOD.index("  - {name: worse"), GOOD.index("windows:")
    text = replaced("at_s: 1.0", "at_s: soon", GOOD[:begin] + GOOD[end:])

    found = problems(replaced("success_ratio, during: slow", "success_ratio, during: before", text))

    assert found == ["29: faults[0].at_s: must be a number, not 'soon'"]


def test_the_error_lists_every_problem_with_its_file() -> None:
    with pytest.raises(ScenarioError) as caught:
        parse(replaced("at_least: 0.99", "at_lest: 0.99"), "themes/slow.yaml")

    assert "1 problem in the scenarios" in str(caught.value)
    assert "themes/slow.yaml:37: expect[0].at_lest: unknown key; did you mean at_least?" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "1: the file is empty"),
        ("- a\n- b\n", "1: a scenario is a mapping of keys and values"),
        ("name: [a\nproves: b\n", "2: this is not YAML: "),
        ("name: a\n  proves: b\n", "2: this is not YAML: "),
        ("name: *there\n", "1: this is not YAML: found undefined alias"),
        ("name: a\n---\nname: b\n", "2: this is not YAML: a file holds one document"),
        ("a: &a [*a]\n", "1: a[0]: an alias contains itself"),
        ("\nname: \x07\n", "2: this is not YAML: the character '\\x07' is not allowed"),
        ("name: !!python/object:os.system x\n", "1: this is not YAML: could not determine a constructor"),
    ],
)
def test_text_that_is_no_scenario(text: str, expected: str) -> None:
    assert problems(text)[0].startswith(expected)


def written(path: Path, text: str = GOOD) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_has_the_theme_of_its_folder_and_its_cells(tmp_path: Path) -> None:
    path = written(tmp_path / "failover" / "slow.yaml", replaced("[grpc]", "[grpc, http]"))

    file = load(path)

    assert (file.path, file.theme, file.scenario.name) == (path, "failover", "slow-primary")
    assert [cell.id for cell in file.cells] == [
        "slow-primary[transport=grpc]",
        "slow-primary[transport=http]",
    ]
    assert {cell.theme for cell in file.cells} == {"failover"}


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"slow\.yaml: there is no such file"):
        load(tmp_path / "slow.yaml")


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "slow.yaml").write_bytes(b"name: \xff\xfe\n")

    with pytest.raises(ScenarioError, match="this is not UTF-8 text: invalid start byte at byte 6"):
        load(tmp_path / "slow.yaml")


def test_folders_are_read_with_all_below_them_and_files_once(tmp_path: Path) -> None:
    first = written(tmp_path / "one" / "a.yaml")
    second = written(tmp_path / "two" / "deep" / "b.yml", replaced("name: slow-primary", "name: other"))
    written(tmp_path / ".hidden" / "c.yaml", "nonsense")
    written(tmp_path / "two" / "notes.txt", "nonsense")

    files = discover([tmp_path, first])

    assert [file.path for file in files] == [first, second]


def test_a_name_is_unique_among_all_files(tmp_path: Path) -> None:
    first, second = written(tmp_path / "a.yaml"), written(tmp_path / "b.yaml", f"# a copy\n{GOOD}")

    with pytest.raises(ScenarioError) as caught:
        discover([tmp_path])

    (problem,) = caught.value.problems
    assert (
        str(problem)
        == f"{second}:2: name: the name 'slow-primary' is taken by {first}; names are unique among all files"
    )


def test_the_mistakes_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    written(tmp_path / "a.yaml", replaced("at_s: 1.0", "at_s: -1.0"))
    written(tmp_path / "b.yaml", "")
    (tmp_path / "empty").mkdir()

    with pytest.raises(ScenarioError) as caught:
        discover([tmp_path, tmp_path / "empty", tmp_path / "gone.yaml"])

    assert sorted(Path(problem.file).name for problem in caught.value.problems) == [
        "a.yaml",
        "b.yaml",
        "empty",
        "gone.yaml",
    ]
