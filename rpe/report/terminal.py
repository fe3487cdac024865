"""What a suite came to, for people at a terminal: a table of all cells, then what broke."""

from __future__ import annotations

import os
from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from rpe.chaos.result import CheckResult, Status
from rpe.report.cell import CellReport, counts, first_failed, measurement, overall
from rpe.report.text import clean, counted, one_line, shortened

__all__ = ["STYLES", "closing", "details", "make_console", "show", "status_text", "summary"]

STYLES = {Status.PASS: "green", Status.FAIL: "bold red", Status.UNKNOWN: "bold yellow"}
"""How each status looks; its word is always written too."""


LOG_WIDTH = 140
"""How many columns a report has that goes to no terminal: the 80 of tradition would break most lines."""


def make_console() -> Console:
    """Return a console on standard output, whatever that is; `COLUMNS` tells its width where it is set."""
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = LOG_WIDTH
    return console


def show(
    console: Console,
    reports: Sequence[CellReport],
    *,
    seed: int,
    details_of: Sequence[CellReport] | None = None,
) -> None:
    """Print the whole report: the table, what broke, and the verdict.

    Arguments:
        seed: the root seed.
        details_of: the cells to tell more of; all of them by default.
    """
    console.print(summary(reports))
    console.print()
    console.print(details(reports if details_of is None else details_of), crop=False)
    console.print(closing(reports, seed=seed))


def status_text(status: Status) -> Text:
    """Return the word of a status, in its colour."""
    return Text(status.value, STYLES[status])


def summary(reports: Sequence[CellReport]) -> Table:
    """Return the table: a row per cell, with its verdict, how many checks passed, and why not all."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("cell", no_wrap=True)
    table.add_column("verdict")
    table.add_column("time", justify="right")
    table.add_column("checks", justify="right")
    table.add_column("why", overflow="fold")
    for report in reports:
        total = len(report.verdict.checks)
        good = sum(check.status is Status.PASS for check in report.verdict.checks)
        elapsed = "" if report.elapsed_s is None else f"{report.elapsed_s:.1f} s"
        table.add_row(
            Text(one_line(report.cell)), status_text(report.status), elapsed, f"{good}/{total}", _why(report)
        )
    return table


def _why(report: CellReport) -> Text:
    check = first_failed(report)
    if check is None:
        return Text("" if report.status is Status.PASS else "nothing was checked")
    more = len(report.broken) - 1
    also = f" (+{more} more)" if more else ""
    return Text(shortened(f"{one_line(check.name)}: {one_line(check.summary)}", 160) + also)


def details(reports: Sequence[CellReport]) -> Group:
    """Return what broke in each cell that did not pass, its evidence, and how to repeat it.

    A cell that passed is told of only where its scenario waives a check.
    """
    return Group(*(_cell(report) for report in reports if report.status is not Status.PASS or report.waived))


def _cell(report: CellReport) -> RenderableType:
    lines: list[RenderableType] = [
        Text.assemble(status_text(report.status), " ", (one_line(report.cell), "bold")),
    ]
    if report.proves:
        lines.append(_indented(Text(one_line(report.proves), "italic")))
    lines += [_indented(_check(check)) for check in report.broken]
    if not report.verdict.checks:
        lines.append(_indented(Text("nothing was checked")))
    for name, reason in report.waived.items():
        lines.append(_indented(Text(f"not applicable: {one_line(name)}, because {one_line(reason)}", "dim")))
    if report.status is not Status.PASS:
        lines += [_fact(name, value) for name, value in _facts(report).items() if value]
    return Group(*lines, Text())


def _facts(report: CellReport) -> dict[str, str]:
    return {"folder": report.folder, "seed": str(report.seed), "repeat": report.repeat}


def _fact(name: str, value: str) -> Text:
    """Return a line that is not broken, however long it is: it is there to be copied, so nothing pads it."""
    return Text.assemble((f"  {name:<7}", "dim"), one_line(value), no_wrap=True, overflow="ignore")


def _check(check: CheckResult) -> RenderableType:
    head = Text.assemble(
        ("✗ ", STYLES[check.status]), (one_line(check.name), "bold"), f": {one_line(check.summary)}"
    )
    if check.status is Status.UNKNOWN:
        head.append(" (unknown)", STYLES[Status.UNKNOWN])
    if measured := measurement(check):
        head.append(f" [{one_line(measured)}]")
    evidence = [_indented(Text(clean(line), "dim")) for line in check.evidence]
    return Group(head, *evidence)


def _indented(text: RenderableType) -> Padding:
    return Padding(text, (0, 0, 0, 2))


def closing(reports: Sequence[CellReport], *, seed: int) -> Text:
    """Return the last line: the verdict of the whole, the count of each, and the root seed."""
    status = overall(reports)
    tally = ", ".join(f"{count} {kind}" for kind, count in counts(reports).items() if count)
    return Text.assemble(
        status_text(status), f": {counted(len(reports), 'cell')}{f' ({tally})' if tally else ''}, seed {seed}"
    )
