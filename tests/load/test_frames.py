from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rpe.load.frames import FrameReader, pack

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
