from __future__ import annotations

import shlex

import pytest

from rpe.chaos.filtering import compile_filter
from rpe.report.repeat import repeat_command


@pytest.mark.parametrize("cell", ["x[a=b (c) or d]", "x[k=not, v]", 'x[k={"a":1}]'])
def test_an_id_that_a_filter_cannot_hold_is_matched_word_by_word(cell: str) -> None:
    command = shlex.split(repeat_command("p.yaml", cell, seed=1, proxy="embedded", subject="rpe"))
    assert compile_filter(command[command.index("--filter") + 1])([cell])


def test_what_is_not_the_default_is_part_of_the_command() -> None:
    command = repeat_command("a b.yaml", "x", seed=1, proxy="http://127.0.0.1:8474", subject="mypkg:create")
    assert command == "rpe run 'a b.yaml' --seed 1 --proxy http://127.0.0.1:8474 --client mypkg:create"
