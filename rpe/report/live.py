"""Showing a suite while it runs: a live table at a terminal, a line per cell anywhere else."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from rpe.chaos.options import Progress
from rpe.chaos.result import Status
from rpe.report.board import Board, Line
from rpe.report.terminal import status_text
from rpe.report.text import one_line

__all__ = ["LineDisplay", "SuiteDisplay", "TableDisplay", "display_for"]

REFRESH_PER_S = 4
"""How often the table is drawn: drawing takes time from what is measured."""

_ROOM_AROUND = 4
"""Lines of the terminal left for what is around the table: its head, its caption and the prompt."""


class SuiteDisplay(AbstractContextManager["SuiteDisplay"], Protocol):
    """What shows a running suite; entered before it begins, left when it has ended, however it did."""

    def update(self, progress: Progress) -> None:
        """Show what a cell tells of itself."""
        ...

    def judged(self, cell: str, status: Status, wall_s: float) -> None:
        """Show the verdict of a cell, and how long it took in seconds."""
        ...

    def say(self, message: str) -> None:
        """Show a message of the suite itself."""
        ...


def display_for(console: Console, board: Board) -> SuiteDisplay:
    """Return the display that suits where the console writes to."""
    return TableDisplay(console, board) if console.is_terminal else LineDisplay(console, board)


class LineDisplay:
    """A line when a cell is judged, and nothing that overwrites: for logs and pipes."""

    def __init__(self, console: Console, board: Board) -> None:
        self._console = console
        self._board = board

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def update(self, progress: Progress) -> None:
        """Keep it for the line that is printed in the end."""
        self._board.update(progress)

    def judged(self, cell: str, status: Status, wall_s: float) -> None:
        """Print the line of the cell."""
        line = self._board.judged(cell, status, wall_s)
        done = sum(other.status is not None for other in self._board.lines)
        width = len(str(len(self._board.lines)))
        place = f"[{done:>{width}}/{len(self._board.lines)}] "
        text = Text.assemble(place, status_text(status), " " * (8 - len(status)), _told(line))
        self._console.print(text, soft_wrap=True)

    def say(self, message: str) -> None:
        """Print the message."""
        self._console.print(Text(message), soft_wrap=True)


def _told(line: Line) -> str:
    told = f"{one_line(line.cell)}  {line.wall_s:.1f} s"
    if line.progress is not None:
        told += f"  {line.progress.ok} ok, {line.progress.failed} failed"
    return told


class TableDisplay:
    """The board, drawn over and over in its place; it is gone when it is left."""

    def __init__(self, console: Console, board: Board) -> None:
        self._console = console
        self._board = board
        self._live = Live(
            get_renderable=lambda: board.table(max(console.height - _ROOM_AROUND, 1)),
            console=console,
            refresh_per_second=REFRESH_PER_S,
            transient=True,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def update(self, progress: Progress) -> None:
        """Take it onto the board; it is seen with the next drawing."""
        self._board.update(progress)

    def judged(self, cell: str, status: Status, wall_s: float) -> None:
        """Take it onto the board; it is seen with the next drawing."""
        self._board.judged(cell, status, wall_s)

    def say(self, message: str) -> None:
        """Print the message above the table."""
        self._console.print(Text(message))
