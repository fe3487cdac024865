"""Late messages are put back into their place, lost ones are waited for only a moment."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from rpe.transport.webrtc.reorder import Reorder


def number(n: int) -> bytes:
    return str(n).encode()


@given(st.lists(st.integers(0, 30), unique=True, max_size=31), st.randoms(use_true_random=False))
def test_what_comes_within_the_window_comes_out_in_order(present: list[int], rng: random.Random) -> None:
    """In whatever order they come, and whichever of them never do."""
    reorder = Reorder(0.1)
    out: list[bytes] = []
    rng.shuffle(present)
    for n in present:
        reorder.add(n, number(n), kept=False)
        out += reorder.take(0.0)
    reorder.end(31)
    now_s = 0.0
    out += reorder.take(now_s)
    while (due_s := reorder.due_s()) is not None:
        assert due_s > now_s
        now_s = due_s
        out += reorder.take(now_s)
    assert out == [number(n) for n in sorted(present)]
    assert reorder.ended
    assert reorder.missed == 31 - len(present)
    assert reorder.held_bytes == 0


def test_what_is_missing_holds_the_others_up_for_the_window_and_no_longer() -> None:
    reorder = Reorder(0.1)
    reorder.add(0, b"0", kept=False)
    assert reorder.take(1.0) == [b"0"]
    assert reorder.due_s() is None
    reorder.add(2, b"2", kept=False)
    reorder.add(4, b"4", kept=False)
    assert reorder.take(2.0) == []
    assert reorder.held_bytes == 2
    assert reorder.take(2.09) == []
    assert reorder.due_s() == 2.1
    assert reorder.take(2.1) == [b"2"]
    reorder.add(3, b"3", kept=False)
    assert reorder.take(2.15) == [b"3", b"4"]
    assert reorder.missed == 1


def test_what_comes_too_late_is_dropped_unless_it_was_sent_to_be_kept() -> None:
    reorder = Reorder(0.1)
    reorder.add(2, b"2", kept=False)
    reorder.take(0.0)
    assert reorder.take(0.1) == [b"2"]
    reorder.add(0, b"0", kept=False)
    reorder.add(1, b"1", kept=True)
    reorder.add(2, b"2", kept=False)
    assert reorder.take(0.2) == [b"1"]
    assert reorder.missed == 1


def test_the_end_waits_for_what_was_sent_before_it() -> None:
    reorder = Reorder(0.1)
    reorder.end(2)
    assert reorder.take(0.0) == []
    assert not reorder.ended
    reorder.add(1, b"1", kept=False)
    reorder.add(0, b"0", kept=False)
    assert reorder.take(0.05) == [b"0", b"1"]
    assert reorder.ended

    nothing_came = Reorder(0.1)
    nothing_came.end(2)
    nothing_came.take(0.0)
    assert not nothing_came.ended
    assert nothing_came.take(0.1) == []
    assert nothing_came.ended
    assert nothing_came.missed == 2


def test_an_end_that_was_all_is_one_at_once() -> None:
    reorder = Reorder(0.1)
    reorder.end(0)
    assert reorder.take(0.0) == []
    assert reorder.ended
    assert reorder.due_s() is None
