from __future__ import annotations

from typing import Any

from rich.console import Console

from rpe.chaos.options import Progress
from rpe.chaos.result import Status
from rpe.report.board import Board


def shown(board: Board, height: int | None = None) -> list[str]:
    """The rows of the board as text, without its head and caption."""
    console = Console(width=140, color_system=None)
    with console.capture() as capture:
        console.print(board.table(height))
    return [line.rstrip() for line in capture.get().splitlines()][1:-1]


def running(cell: str, **changes: Any) -> Progress:
    settings: dict[str, Any] = {"phase": "running", "t_s": 1.25, "duration_s": 4.0, "ok": 50, "failed": 2}
    return Progress(cell=cell, **{**settings, **changes})


def test_a_running_cell_tells_where_it_is_and_which_faults_are_in_force() -> None:
    board = Board(["slow[transport=grpc]"])
    board.update(running("slow[transport=grpc]", faults=("slow", "cut")))
    assert shown(board)[0].split() == [
        *("slow[transport=grpc]", "running", "1.2/4.0", "s", "50", "2", "slow,", "cut"),
    ]


def test_a_cell_that_has_not_begun_is_waiting() -> None:
    assert shown(Board(["a"]))[0].split() == ["a", "waiting"]


def test_a_judged_cell_shows_its_verdict_and_how_long_it_took() -> None:
    board = Board(["a"])
    board.update(running("a", faults=("slow",)))
    board.judged("a", Status.FAIL, 6.04)
    assert shown(board)[0].split() == ["a", "done", "6.0", "s", "50", "2", "fail"]


def test_a_cell_that_was_judged_before_it_told_anything_is_shown() -> None:
    board = Board(["a"])
    board.judged("a", Status.UNKNOWN, 0.1)
    assert shown(board)[0].split() == ["a", "done", "0.1", "s", "0", "0", "unknown"]


def test_cells_stay_in_the_order_of_the_suite() -> None:
    board = Board(["b", "a", "c"])
    board.update(running("c"))
    board.judged("a", Status.PASS, 1.0)
    assert [row.split()[0] for row in shown(board)] == ["b", "a", "c"]


def test_where_there_is_no_room_for_all_the_running_and_the_broken_are_shown() -> None:
    board = Board([f"cell-{number}" for number in range(20)])
    board.judged("cell-0", Status.PASS, 1.0)
    board.judged("cell-7", Status.FAIL, 1.0)
    board.update(running("cell-9"))
    rows = [row.split()[0] for row in shown(board, height=3)]
    assert rows == ["cell-1", "cell-7", "cell-9"]


def test_the_tally_counts_all() -> None:
    board = Board(["a", "b", "c", "d"])
    for cell, status in (("a", Status.PASS), ("b", Status.FAIL), ("c", Status.PASS)):
        board.judged(cell, status, 1.0)
    assert board.tally().plain == "3 of 4 judged, 2 pass, 1 fail"
