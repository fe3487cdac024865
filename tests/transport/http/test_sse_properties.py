"""Any stream, cut anywhere, gives the events that a slow reading of the standard gives."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from rpe.errors import ProtocolViolation
from rpe.transport.http.sse import Event, EventParser, format_event

MAX_BYTES = 40


class Reference:
    """The standard read aloud: character by character, with no thought of speed.

    `failed` says where it ends: at text that is not UTF-8, or at too large an event.
    """

    def __init__(self, stream: bytes) -> None:
        self.events: list[Event] = []
        self.last_event_id = ""
        self.retry_ms: int | None = None
        self.comments = 0
        self.failed = ""
        self._id_buffer = ""
        self._reset()
        self._read(stream[3:] if stream[:3] == b"\xef\xbb\xbf" else stream)

    def _reset(self) -> None:
        self._data = bytearray()
        self._has_data = False
        self._type = b""
        self._id = ""
        self._size = 0

    def _read(self, stream: bytes) -> None:
        line = bytearray()
        at = 0
        while at < len(stream) and not self.failed:
            one = stream[at : at + 1]
            at += 1
            if one in (b"\r", b"\n"):
                if one == b"\r" and stream[at : at + 1] == b"\n":
                    at += 1
                try:
                    self._line(bytes(line))
                except UnicodeDecodeError:
                    self.failed = "not UTF-8"
                line.clear()
                continue
            line += one
            if len(line) > MAX_BYTES:
                self.failed = "too large"

    def _line(self, line: bytes) -> None:
        if line == b"":
            self._end_of_event()
            return
        if line[0:1] == b":":
            self.comments += 1
            return
        self._size += len(line)
        if self._size > MAX_BYTES:
            self.failed = "too large"
            return
        if b":" in line:
            colon = line.index(b":")
            name, value = line[:colon], line[colon + 1 :]
            if value[0:1] == b" ":
                value = value[1:]
        else:
            name, value = line, b""
        if name == b"event":
            self._type = value
        elif name == b"data":
            if self._has_data:
                self._data += b"\n"
            self._has_data = True
            self._data += value
        elif name == b"id" and 0 not in value:
            self._id = self._id_buffer = value.decode()
        elif name == b"retry" and 0 < len(value) <= 12 and all(48 <= byte <= 57 for byte in value):
            self.retry_ms = int(value)

    def _end_of_event(self) -> None:
        self.last_event_id = self._id_buffer
        if self._has_data:
            data, kind = self._data.decode(), self._type.decode()
            self.events.append(Event(kind if kind != "" else "message", data, self._id))
        self._reset()


def outcome(parser: EventParser, chunks: list[bytes]) -> tuple[list[Event], str]:
    """The events of the chunks, and the word for how it failed."""
    events: list[Event] = []
    try:
        for chunk in [*chunks, b""]:
            events += parser.feed(chunk)
    except ProtocolViolation as error:
        return events, "too large" if "too large" in error.message else "not UTF-8"
    return events, ""


ENDS = st.sampled_from([b"\n", b"\n", b"\r\n", b"\r"])
VALUES = st.sampled_from(
    [b"", b" ", b"a", b" a", b"  b", "ü€😀".encode(), b" 12", b"0", b"x\0", b":", b"\xff", b"y" * 30]
)
NAMES = st.sampled_from(
    [b"data", b"data", b"data", b"event", b"id", b"retry", b"", b"dat", b"data2", b"Data"]
)
FIELDS = st.builds(
    lambda name, colon, value: name + colon + value, NAMES, st.sampled_from([b":", b": ", b""]), VALUES
)
LINES = st.builds(lambda line, end: line + end, FIELDS | st.just(b"") | st.just(b""), ENDS)
PLAIN = st.sampled_from(
    [b"data: a\n\n", b"data: b\n\n", b"data: \xc3\xbc\n\n", b"data: \n\n", b"\n", b"data: a\n"]
)
STREAMS = st.builds(
    lambda bom, lines: bom + b"".join(lines),
    st.sampled_from([b"", b"", b"\xef\xbb\xbf", b"\xef\xbb", b"\xef"]),
    st.lists(LINES, max_size=12) | st.lists(PLAIN, max_size=8) | st.lists(LINES | PLAIN, max_size=12),
) | st.binary(max_size=60)


@st.composite
def cuts(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    stream = draw(STREAMS)
    if draw(st.booleans()):
        return stream, [stream[at : at + 1] for at in range(len(stream))]
    places = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    ends = [*places, len(stream)]
    return stream, [stream[start:end] for start, end in zip([0, *places], ends, strict=True)]


@settings(max_examples=800, deadline=None)
@given(cuts())
@example((b"data: a\r\n\r\ndata: b\r\n\r\n", [b"data: a\r", b"\n\r", b"\ndata: b\r\n", b"\r\n"]))
def test_any_cut_of_any_stream_gives_what_the_standard_says(cut: tuple[bytes, list[bytes]]) -> None:
    stream, chunks = cut
    expected = Reference(stream)
    for pieces in (chunks, [stream]):
        parser = EventParser(MAX_BYTES)
        events, failed = outcome(parser, pieces)
        assert (events, failed) == (expected.events, expected.failed)
        if not failed:
            assert parser.last_event_id == expected.last_event_id
            assert parser.retry_ms == expected.retry_ms
            assert parser.comments == expected.comments


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=8)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(TEXTS, WORDS, WORDS), max_size=6), st.integers(1, 40))
def test_what_is_written_is_read_again(written: list[tuple[str, str, str]], size: int) -> None:
    stream = b"".join(format_event(data, event=kind, id=name) for data, kind, name in written)
    parser = EventParser(10_000)
    found: list[Any] = []
    for at in range(0, len(stream), size):
        found += parser.feed(stream[at : at + size])
    lines = [data.replace("\r\n", "\n").replace("\r", "\n") for data, _, _ in written]
    expected = [(kind or "message", data, name) for data, (_, kind, name) in zip(lines, written, strict=True)]
    assert found == expected
