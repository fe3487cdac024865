"""The board of a running suite: what each cell is doing now. Pure state; see `live` for showing it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from rpe.chaos.options import Progress
from rpe.chaos.result import Status
from rpe.report.terminal import STYLES, status_text
from rpe.report.text import one_line

__all__ = ["Board", "Line"]


@dataclass(slots=True)
class Line:
    """One cell: where it is, and its verdict once there is one."""

    cell: str
    progress: Progress | None = None
    status: Status | None = None
    wall_s: float = 0.0

    @property
    def waiting(self) -> bool:
        """Whether it has not begun."""
        return self.status is None and (self.progress is None or self.progress.phase == "waiting")


class Board:
    """The cells of a suite, in its order.

    Arguments:
        cells: the ids of the cells.
    """

    def __init__(self, cells: Sequence[str]) -> None:
        self._lines = {cell: Line(cell) for cell in cells}

    def update(self, progress: Progress) -> None:
        """Take what a cell tells of itself; a cell that is not on the board is put there."""
        self._line(progress.cell).progress = progress

    def judged(self, cell: str, status: Status, wall_s: float) -> Line:
        """Take the verdict of a cell, and return its line."""
        line = self._line(cell)
        line.status, line.wall_s = status, wall_s
        return line

    def _line(self, cell: str) -> Line:
        return self._lines.setdefault(cell, Line(cell))

    @property
    def lines(self) -> tuple[Line, ...]:
        """All lines, in the order of the suite."""
        return tuple(self._lines.values())

    def table(self, height: int | None = None) -> Table:
        """Return the board as a table of at most `height` rows.

        Where there are more cells than rows, those that run are shown first, then those that
        did not pass, then those that wait; the caption counts all.
        """
        table = Table(
            box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", caption_justify="left"
        )
        for name in ("cell", "phase", "time", "ok", "failed", "faults", "verdict"):
            table.add_column(
                name, justify="right" if name in ("time", "ok", "failed") else "left", no_wrap=True
            )
        for line in self._shown(height):
            table.add_row(*_row(line))
        table.caption = self.tally()
        return table

    def tally(self) -> Text:
        """Return how many cells came to what, and how many are still to come."""
        done = [line.status for line in self._lines.values() if line.status is not None]
        text = Text(f"{len(done)} of {len(self._lines)} judged")
        for status in Status:
            if count := done.count(status):
                text.append(", ").append(f"{count} {status}", STYLES[status])
        return text

    def _shown(self, height: int | None) -> list[Line]:
        lines = list(self._lines.values())
        if height is None or len(lines) <= height:
            return lines
        chosen = {line.cell for line in sorted(lines, key=_importance)[: max(height, 1)]}
        return [line for line in lines if line.cell in chosen]


def _importance(line: Line) -> int:
    if line.status is None:
        return 2 if line.waiting else 0
    return 3 if line.status is Status.PASS else 1


def _row(line: Line) -> tuple[Text, ...]:
    progress = line.progress or Progress(cell=line.cell, phase="waiting")
    ok, failed = Text(str(progress.ok)), Text(str(progress.failed), "red" if progress.failed else "")
    if line.status is not None:
        phase, verdict = Text("done", "dim"), status_text(line.status)
        time, faults = f"{line.wall_s:.1f} s", ""
    elif line.waiting:
        phase, verdict, ok, failed = Text("waiting", "dim"), Text(), Text(), Text()
        time, faults = "", ""
    else:
        phase, verdict = Text(progress.phase), Text()
        time = f"{progress.t_s:.1f}/{progress.duration_s:.1f} s"
        faults = ", ".join(map(one_line, progress.faults))
    return Text(one_line(line.cell)), phase, Text(time), ok, failed, Text(faults, "magenta"), verdict
