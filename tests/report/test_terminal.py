from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType

from rpe.chaos.result import CheckResult, Status
from rpe.report.cell import CellReport
from rpe.report.terminal import closing, details, show, summary

GOLDEN = Path(__file__).parent / "golden"


def plain(*what: RenderableType) -> str:
    console = Console(width=120, color_system=None)
    with console.capture() as capture:
        for part in what:
            console.print(part)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"


def test_the_report_is_the_one_that_was_reviewed(suite: list[CellReport]) -> None:
    console = Console(width=120, color_system=None)
    with console.capture() as capture:
        show(console, suite, seed=42)
    text = "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"
    assert text == (GOLDEN / "terminal.txt").read_text(encoding="utf-8")


def test_nothing_is_told_twice_of_what_passed(suite: list[CellReport]) -> None:
    assert "calm" not in plain(details(suite))


def test_a_cell_that_was_not_checked_says_so(make_report: Any) -> None:
    report = make_report("empty")
    assert "nothing was checked" in plain(summary([report]))
    assert "nothing was checked" in plain(details([report]))


def test_no_cells_are_unknown() -> None:
    assert plain(closing([], seed=1)) == "unknown: 0 cells, seed 1\n"


def test_names_are_text_and_never_markup(make_report: Any, failed: CheckResult) -> None:
    report = make_report("x[red]y[/nothing]", failed)
    assert "x[red]y[/nothing]" in plain(summary([report]))
    assert "x[red]y[/nothing]" in plain(details([report]))


def test_credentials_and_terminal_sequences_in_foreign_text_do_not_appear(make_report: Any) -> None:
    check = CheckResult(
        name="c", status=Status.FAIL, summary="\x1b[2Jtoken=hunter2", evidence=("\x1b]0;Bearer hunter2\x07x",)
    )
    text = plain(summary([make_report("cell", check)]), details([make_report("cell", check)]))
    assert "hunter2" not in text and "\x1b" not in text


def test_what_is_waived_is_told_with_its_reason_also_where_all_passed(
    make_report: Any, passed: CheckResult
) -> None:
    text = plain(details([make_report("cell", passed, waived={"leaks": "it may keep files open"})]))
    assert "not applicable: leaks, because it may keep files open" in text
    assert "repeat" not in text


def test_the_command_that_repeats_a_cell_is_one_line_however_narrow_the_terminal(
    suite: list[CellReport],
) -> None:
    console = Console(width=40, color_system=None)
    with console.capture() as capture:
        show(console, suite, seed=42)
    assert f"repeat {suite[2].repeat}" in capture.get()
