from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rpe.load.frames import FrameReader, pack, pack_again, pack_done, unpack_again, unpack_done

HEADS = st.dictionaries(st.text(), st.integers() | st.text() | st.none(), max_size=4)


@given(st.lists(st.tuples(HEADS, st.binary(max_size=40)), max_size=6), st.integers(1, 50))
def test_messages_come_out_as_they_went_in_however_they_are_cut(
    messages: list[tuple[dict[str, object], bytes]], step: int
) -> None:
    stream = b"".join(pack(head, body) for head, body in messages)
    reader = FrameReader()
    found = [frame for at in range(0, len(stream), step) for frame in reader.feed(stream[at : at + step])]
    assert [(frame.head, frame.body) for frame in found] == messages


def test_half_a_message_is_none() -> None:
    reader = FrameReader()
    assert reader.feed(pack({"a": 1}, b"body")[:-1]) == []
    assert reader.feed(b"y") == [({"a": 1}, b"body")]


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.floats(0, 1e6), st.binary(max_size=40))
def test_the_messages_of_a_call_need_no_object(
    call: int, order: int, latency_s: float, outputs: bytes
) -> None:
    again, done = FrameReader().feed(pack_again(call, order) + pack_done(call, latency_s, outputs))
    assert again.head == done.head == {}
    assert unpack_again(again) == (call, order)
    assert unpack_done(done) == ({"call": call, "latency_s": latency_s}, outputs)
