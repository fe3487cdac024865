"""The replay buffer: whatever servers answer and how often they die, nothing is lost or doubled."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpe.client.replay import Chunk, ReplayBuffer, Verdict
from rpe.client.replay_data import held_fast, size_bytes
from rpe.data import Audio, Binary, Image, ImageFormat, Json, Numpy, RuntimeData, Tensor, Text
from rpe.errors import DataValidationError


def chunk(sequence: int, size: int = 1) -> Chunk:
    return Chunk(sequence, Text(str(sequence)), "node", 0, size)


def drain(buffer: ReplayBuffer) -> list[int]:
    """Send all that there is to send, and return the numbers."""
    sent = []
    while (found := buffer.next()) is not None:
        sent.append(found.sequence)
    return sent


def filled(count: int, most: int = 100) -> ReplayBuffer:
    buffer = ReplayBuffer(most, 10_000)
    for sequence in range(count):
        buffer.add(chunk(sequence))
    return buffer


@given(
    results=st.lists(st.integers(0, 3), min_size=1, max_size=40),
    most_chunks=st.integers(1, 8),
    most_bytes=st.integers(1, 12),
    seed=st.integers(0, 2**32),
    death=st.floats(0, 0.3),
)
def test_every_result_is_given_once_and_in_order_however_often_the_server_dies(
    results: list[int], most_chunks: int, most_bytes: int, seed: int, death: float
) -> None:
    """A model of a session: chunk n has `results[n]` results, and a leg dies at any moment."""
    rng = Random(seed)
    buffer = ReplayBuffer(most_chunks, most_bytes)
    sizes = [rng.randint(1, 5) for _ in results]
    added = 0
    wire: list[int] = []  # results on their way, by the number of their chunk
    given: list[int] = []
    for _ in range(100_000):
        choices = []
        if added < len(results) and buffer.has_room(sizes[added]):
            choices.append("add")
        if buffer._cursor < len(buffer._chunks):  # there is something to send
            choices.append("send")
        if wire:
            choices.append("take")
        if not choices:
            break
        if rng.random() < death:
            # What was sent and not yet taken is lost, and so is all that the server knew.
            wire.clear()
            buffer.rewind()
            continue
        match rng.choice(choices):
            case "add":
                buffer.add(chunk(added, sizes[added]))
                added += 1
                others = buffer.unanswered - 1
                assert buffer.unanswered <= most_chunks
                assert not others or buffer.unanswered_bytes <= most_bytes
            case "send":
                sent = buffer.next()
                assert sent is not None
                assert sent.data == Text(str(sent.sequence))
                wire += [sent.sequence] * results[sent.sequence]
            case "take":
                sequence = wire.pop(0)
                verdict = buffer.take(sequence)
                assert verdict in (Verdict.FRESH, Verdict.REPEATED)
                if verdict is Verdict.FRESH:
                    given.append(sequence)
    stuck = added < len(results)
    expected = [number for number, count in enumerate(results[:added]) for _ in range(count)]
    assert given == expected
    if stuck:  # only chunks that nothing confirms can fill it
        answered = -1 if buffer.last_answered is None else buffer.last_answered
        assert not any(results[answered + 1 : added])


def test_a_result_confirms_what_lies_before_it_and_not_its_own_chunk() -> None:
    buffer = filled(6)
    assert drain(buffer) == [0, 1, 2, 3, 4, 5]
    assert buffer.last_answered is None
    assert [buffer.take(3)] == [Verdict.FRESH]
    assert buffer.last_answered == 3
    assert buffer.unanswered == 2
    buffer.rewind()
    assert drain(buffer) == [3, 4, 5]


def test_results_given_before_a_move_are_dropped_after_it() -> None:
    buffer = filled(3)
    drain(buffer)
    for verdict in (buffer.take(0), buffer.take(1), buffer.take(1)):
        assert verdict is Verdict.FRESH
    for _ in range(3):
        buffer.rewind()
        assert drain(buffer) == [1, 2]
        assert [buffer.take(1) for _ in range(2)] == [Verdict.REPEATED] * 2
    assert buffer.take(1) is Verdict.FRESH  # the third one is new
    assert buffer.take(2) is Verdict.FRESH


def test_a_leg_that_repeats_less_than_was_given_owes_nothing() -> None:
    buffer = filled(3)
    drain(buffer)
    for _ in range(3):
        buffer.take(0)
    buffer.rewind()
    drain(buffer)
    assert buffer.take(0) is Verdict.REPEATED
    assert [buffer.take(1), buffer.take(1)] == [Verdict.FRESH] * 2


def test_results_that_cannot_be_are_told_apart() -> None:
    buffer = filled(6)
    assert buffer.take(1) is Verdict.UNASKED  # nothing was sent yet
    drain(buffer)
    assert buffer.take(4) is Verdict.FRESH
    assert buffer.take(2) is Verdict.LATE
    assert buffer.take(6) is Verdict.UNASKED
    buffer.rewind()
    drain(buffer)
    assert buffer.take(2) is Verdict.UNASKED  # on this leg it was never sent
    assert buffer.take(4) is Verdict.REPEATED
    assert buffer.take(5) is Verdict.FRESH


def test_one_chunk_is_always_taken_and_an_answered_one_does_not_count() -> None:
    buffer = ReplayBuffer(1, 10)
    assert buffer.has_room(1_000)
    buffer.add(chunk(0, 1_000))
    assert not buffer.has_room(1)
    drain(buffer)
    buffer.take(0)
    assert (buffer.unanswered, buffer.unanswered_bytes) == (0, 0)
    assert buffer.has_room(1_000)
    buffer.add(chunk(1, 4))
    assert not buffer.has_room(1)


def test_bytes_bound_it_too() -> None:
    buffer = ReplayBuffer(100, 10)
    buffer.add(chunk(0, 6))
    assert buffer.has_room(4)
    assert not buffer.has_room(5)


def test_numbers_rise_and_may_leave_gaps() -> None:
    buffer = filled(2)
    assert buffer.next_sequence == 2
    with pytest.raises(DataValidationError, match="sequence"):
        buffer.check(1)
    buffer.check(10)
    buffer.add(chunk(10))
    assert buffer.next_sequence == 11
    drain(buffer)
    assert buffer.take(10) is Verdict.FRESH
    buffer.rewind()
    assert drain(buffer) == [10]


def test_what_is_let_go_keeps_its_numbers() -> None:
    buffer = filled(3)
    drain(buffer)
    buffer.take(1)
    buffer.clear()
    assert (buffer.last_answered, buffer.next_sequence, buffer.unanswered) == (1, 3, 0)
    assert buffer.next() is None


# --- data that is kept -------------------------------------------------------------------------------------

ARRAY = np.arange(8, dtype=np.float32)


@pytest.mark.parametrize(
    "make", [lambda a: Audio(a, 16_000), Tensor, Numpy], ids=["audio", "tensor", "numpy"]
)
def test_memory_that_its_owner_can_write_is_copied_and_other_memory_is_not(make: type) -> None:
    memory = ARRAY.copy()
    data = make(memory[2:6])
    kept = held_fast(data)
    before = make(ARRAY[2:6].copy())
    assert kept == before
    memory[:] = 0
    assert kept == before
    assert data != before
    assert held_fast(kept) is kept
    fixed = make(np.frombuffer(ARRAY.tobytes(), np.float32))
    assert held_fast(fixed) is fixed
    loose = make(np.frombuffer(bytearray(ARRAY.tobytes()), np.float32))
    assert held_fast(loose) is not loose


def test_named_buffers_are_kept_too() -> None:
    memory = ARRAY.copy()
    named: dict[str, RuntimeData] = {"left": Numpy(memory), "text": Text("x")}
    kept = held_fast(named)
    named["text"] = Text("y")
    memory[:] = 0
    assert kept == {"left": Numpy(ARRAY.copy()), "text": Text("x")}


@pytest.mark.parametrize(
    ("data", "least"),
    [
        (Audio(ARRAY, 16_000), 32),
        (Tensor(ARRAY), 32),
        (Binary(bytes(1000)), 1000),
        (Image(bytes(100), ImageFormat.PNG, 1, 1), 100),
        (Text("x" * 500), 500),
        (Json({"a": "x" * 90}), 98),
    ],
    ids=lambda value: type(value).__name__,
)
def test_sizes_are_about_right(data: RuntimeData, least: int) -> None:
    assert least <= size_bytes(data) <= least + 512
    assert size_bytes({"a": data, "b": data}) >= 2 * least
