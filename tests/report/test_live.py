from __future__ import annotations

import io
import re

from rich.console import Console

from rpe.chaos.options import Progress
from rpe.chaos.result import Status
from rpe.report.board import Board
from rpe.report.live import LineDisplay, TableDisplay, display_for


def console(*, terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=100, height=20, color_system=None)


def written(output: Console) -> str:
    assert isinstance(output.file, io.StringIO)
    return output.file.getvalue()


def test_away_from_a_terminal_each_cell_is_one_line_and_nothing_is_overwritten() -> None:
    output = console(terminal=False)
    display = display_for(output, Board(["slow[transport=grpc]", "calm"]))
    assert isinstance(display, LineDisplay)
    with display:
        display.update(Progress(cell="calm", phase="running", ok=60, failed=1))
        display.judged("calm", Status.PASS, 4.1)
        display.judged("slow[transport=grpc]", Status.UNKNOWN, 0.5)
    assert written(output) == (
        "[1/2] pass    calm  4.1 s  60 ok, 1 failed\n[2/2] unknown slow[transport=grpc]  0.5 s\n"
    )


def test_a_long_line_is_not_broken_in_a_log() -> None:
    output = console(terminal=False)
    name = "x" * 150
    with display_for(output, Board([name])) as display:
        display.judged(name, Status.PASS, 1.0)
    assert written(output).count("\n") == 1


def test_at_a_terminal_the_table_is_drawn_and_taken_away() -> None:
    output = console(terminal=True)
    display = display_for(output, Board(["calm"]))
    assert isinstance(display, TableDisplay)
    with display:
        display.update(Progress(cell="calm", phase="running", t_s=1.0, duration_s=4.0))
        display.judged("calm", Status.PASS, 4.1)
    text = written(output)
    assert "calm" in text and "1 of 1 judged" in text
    assert re.search(r"\x1b\[2K\s*$", text) or text.endswith("\x1b[2K")


def test_a_table_higher_than_the_terminal_is_cut_to_it() -> None:
    output = console(terminal=True)
    with display_for(output, Board([f"cell-{number}" for number in range(100)])):
        pass
    assert max(frame.count("\n") for frame in written(output).split("\x1b[2K")) <= 20
    assert "0 of 100 judged" in written(output)


def test_a_message_is_shown_by_both() -> None:
    for terminal in (True, False):
        output = console(terminal=terminal)
        with display_for(output, Board(["calm"])) as display:
            display.say("interrupted [really]")
        assert "interrupted [really]" in written(output)
