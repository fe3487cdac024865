"""Frames: any split comes back whole, and whatever does not follow the framing is told as such."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpe.transport.webrtc.framing import (
    FRAGMENT,
    LAST,
    SMALLEST_CHANNEL_MESSAGE,
    Frame,
    FrameType,
    FramingError,
    Joiner,
    MessageTooLarge,
    decode,
    encode,
    split,
)

MIB = 1024 * 1024

payloads = st.one_of(
    st.binary(max_size=200),
    st.builds(
        lambda size, seed: random.Random(seed).randbytes(size), st.integers(0, 9000), st.integers(0, 99)
    ),
)
limits = st.integers(SMALLEST_CHANNEL_MESSAGE, 4096)


def frames_of(messages: list[bytes]) -> list[Frame]:
    return [frame for message in messages for frame in decode(message)]


@given(payloads, limits, st.integers(0, 1023), st.booleans())
def test_a_split_message_comes_back_whole(payload: bytes, limit: int, head_size: int, last: bool) -> None:
    head = encode(FrameType.OPEN, 7, payload=bytes(max(head_size - 14, 0)))
    messages = list(split(7, 0, payload, limit=limit, head=head, last=last))
    assert all(len(message) <= limit for message in messages)
    opening, *rest = frames_of(messages)
    assert opening.kind is FrameType.OPEN
    joiner = Joiner(MIB)
    done = [message for frame in rest if (message := joiner.add(frame)) is not None]
    assert done == [payload]
    joiner.end(1)
    assert [bool(frame.flags & LAST) for frame in rest] == [False] * (len(rest) - 1) + [last]


@given(st.lists(payloads, min_size=1, max_size=4), limits, st.randoms(use_true_random=False))
def test_calls_that_interleave_do_not_mix(messages: list[bytes], limit: int, rng: random.Random) -> None:
    queues = {call: list(split(call, 0, payload, limit=limit)) for call, payload in enumerate(messages, 1)}
    joiners = {call: Joiner(MIB) for call in queues}
    done: dict[int, bytes] = {}
    while queues:
        call = rng.choice(sorted(queues))
        for frame in decode(queues[call].pop(0)):
            message = joiners[frame.call].add(frame)
            if message is not None:
                done[frame.call] = message
        if not queues[call]:
            del queues[call]
    assert done == dict(enumerate(messages, 1))


@given(st.data(), st.integers(2, 8))
def test_a_fragment_that_is_missing_twice_or_out_of_order_is_an_error(
    data: st.DataObject, parts: int
) -> None:
    limit = SMALLEST_CHANNEL_MESSAGE
    frames = frames_of(list(split(1, 0, bytes(parts * 1000), limit=limit)))
    place = data.draw(st.integers(0, len(frames) - 1))
    mishap = data.draw(st.sampled_from(["lose", "repeat", "swap"]))
    if mishap == "lose":
        broken = frames[:place] + frames[place + 1 :]
    elif mishap == "repeat":
        broken = [*frames[: place + 1], *frames[place:]]
    else:
        other = data.draw(st.integers(0, len(frames) - 1).filter(lambda i: i != place))
        broken = frames.copy()
        broken[place], broken[other] = broken[other], broken[place]
    joiner = Joiner(MIB)
    done = []
    with pytest.raises(FramingError):
        for frame in broken:
            done.append(joiner.add(frame))
        joiner.end(1)
    # The last fragment again comes when the message is whole: the message was right, what follows is not.
    assert [message for message in done if message] in ([], [bytes(parts * 1000)])


@given(st.binary(max_size=300))
def test_rubbish_is_an_error_or_frames_and_nothing_else(rubbish: bytes) -> None:
    try:
        frames = decode(rubbish)
    except FramingError:
        return
    assert frames


@given(
    st.lists(
        st.tuples(st.sampled_from(FrameType), st.integers(0, 2**32 - 1), st.binary(max_size=50)), min_size=1
    )
)
def test_frames_end_to_end_are_told_apart(parts: list[tuple[FrameType, int, bytes]]) -> None:
    joined = b"".join(encode(kind, call, 3, payload) for kind, call, payload in parts)
    assert [(frame.kind, frame.call, frame.payload) for frame in decode(joined)] == parts
    with pytest.raises(FramingError):
        decode(joined[:-1])


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (b"", "header"),
        (b"\x21" + encode(FrameType.END, 1)[1:], "version 2 and type 1"),
        (b"\x1f" + encode(FrameType.END, 1)[1:], "version 1 and type 15"),
        (encode(FrameType.MESSAGE, 1, 0, b"abc", FRAGMENT)[:16], "fragment's header"),
        (encode(FrameType.MESSAGE, 1, 0, b"x" * 20, FRAGMENT), "is none"),
        (encode(FrameType.OPEN, 1, 0, b"\0" * 20, FRAGMENT), "is none"),
        (encode(FrameType.MESSAGE, 1, 0, b"abc")[:-1], "has 2 of them"),
    ],
)
def test_what_is_wrong_with_a_channel_message_is_said(message: bytes, words: str) -> None:
    with pytest.raises(FramingError, match=words):
        decode(message)


def test_a_message_that_is_too_large_is_refused_at_its_first_fragment() -> None:
    first, *_ = frames_of(list(split(1, 0, bytes(5000), limit=SMALLEST_CHANNEL_MESSAGE)))
    with pytest.raises(MessageTooLarge, match="5000 bytes, but at most 4999"):
        Joiner(4999).add(first)
    whole = decode(encode(FrameType.MESSAGE, 1, 0, bytes(5000)))[0]
    with pytest.raises(MessageTooLarge):
        Joiner(4999).add(whole)
    assert Joiner(5000).add(whole) == bytes(5000)


def test_the_total_of_a_message_does_not_change_on_the_way() -> None:
    joiner = Joiner(MIB)
    joiner.add(Frame(FrameType.MESSAGE, FRAGMENT, 1, 0, b"ab", 0, 4))
    with pytest.raises(FramingError, match="of 5 came where one at 2 of 4"):
        joiner.add(Frame(FrameType.MESSAGE, FRAGMENT, 1, 0, b"cd", 2, 5))


def test_the_end_tells_what_is_missing() -> None:
    joiner = Joiner(MIB)
    joiner.add(decode(encode(FrameType.MESSAGE, 1, 0, b"a"))[0])
    joiner.end(1)
    with pytest.raises(FramingError, match="after 1 of 2"):
        joiner.end(2)
    joiner.add(Frame(FrameType.MESSAGE, FRAGMENT, 1, 1, b"ab", 0, 4))
    with pytest.raises(FramingError):
        joiner.end(2)


def test_numbers_may_be_left_out_only_where_gaps_are_allowed() -> None:
    later = decode(encode(FrameType.MESSAGE, 1, 5, b"a"))[0]
    with pytest.raises(FramingError, match="message 5 came where 0 was due"):
        Joiner(MIB).add(later)
    joiner = Joiner(MIB, gaps=True)
    assert joiner.add(later) == b"a"
    with pytest.raises(FramingError):
        joiner.add(later)
    joiner.add(Frame(FrameType.MESSAGE, FRAGMENT, 1, 7, b"ab", 0, 4))
    with pytest.raises(FramingError):
        joiner.add(decode(encode(FrameType.MESSAGE, 1, 9, b"a"))[0])
