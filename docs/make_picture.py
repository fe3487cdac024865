"""Makes docs/images/run.svg: what `rpe run` shows, taken from a real run of three scenarios.

The upper half is the board at the moment when most cells had a fault in force, the lower
half is the report. Run it from the folder of the checkout:

    python docs/make_picture.py
"""

from __future__ import annotations

import asyncio
import io
import re
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.table import Table
from rich.terminal_theme import MONOKAI

from rpe.chaos.options import Progress, RunOptions
from rpe.chaos.result import Status
from rpe.cli.running import SuiteRun
from rpe.cli.selecting import select
from rpe.report.board import Board
from rpe.report.terminal import show

FILTER = "slow-primary or connection-resets or jitter"
CLIENT = "grpc-native"
SEED = 7
WIDTH = 124
PICTURE = Path("docs/images/run.svg")


class Photographer:
    """A display that keeps the board as it was when most cells had a fault in force."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._faulty: dict[str, bool] = {}
        self._most = 0
        self.picture: Table = board.table()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def update(self, progress: Progress) -> None:
        """Look whether this is a better moment."""
        self._board.update(progress)
        self._faulty[progress.cell] = bool(progress.faults)
        if (now := sum(self._faulty.values())) >= self._most:
            self._most = now
            self.picture = self._board.table()

    def judged(self, cell: str, status: Status, wall_s: float) -> None:
        """Take the verdict onto the board."""
        self._board.judged(cell, status, wall_s)

    def say(self, message: str) -> None:
        """Nothing is said in a picture."""


def main() -> None:
    """Run the scenarios and write the picture."""
    selected = select([Path("scenarios")], FILTER)
    photographer = Photographer(Board([each.cell.id for each in selected]))
    with tempfile.TemporaryDirectory() as folder:
        suite = SuiteRun(selected, RunOptions(out=Path(folder) / "runs", seed=SEED, subject=CLIENT))
        asyncio.run(suite.play(len(selected), photographer))
        reports = suite.reports()
        text = _drawn(photographer.picture, suite).replace(f"{folder}/", "")
    assert len(reports) == len(selected)
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    PICTURE.write_text(text, encoding="utf-8")


def _drawn(board: Table, suite: SuiteRun) -> str:
    console = Console(width=WIDTH, record=True, file=io.StringIO(), force_terminal=True, highlight=False)
    command = f"rpe run scenarios --filter '{FILTER}' --client {CLIENT} --seed {SEED}"
    console.print(f"$ {command}\n", style="bold", markup=False)
    console.print(board)
    console.print()
    show(console, suite.reports(), seed=SEED)
    svg = console.export_svg(title="rpe run", theme=MONOKAI, unique_id="rpe-run")
    # The fonts would come from another host, which pages that show the picture do not allow anyway.
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


if __name__ == "__main__":
    main()
