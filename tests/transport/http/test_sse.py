"""The parser of server-sent events and its writer: each rule by itself."""

from __future__ import annotations

import pytest

from rpe.errors import DataValidationError, ProtocolViolation
from rpe.transport.http.sse import COMMENT, Event, EventParser, format_event


def parse(stream: bytes) -> list[Event]:
    return EventParser(1000).feed(stream)


def said(data: str) -> Event:
    return Event("message", data, "")


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\n", [said("a")]),
        (b"data: a\n\ndata: b\n\n", [said("a"), said("b")]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [said("a"), said("b")]),
        (b"data: a\r\rdata: b\r\r", [said("a"), said("b")]),
        (b"data: a\r\n\rdata: b\n\r\n", [said("a"), said("b")]),
        (b"data: a\n\r", [said("a")]),
        (b"\n\n\ndata: a\n\n\n\ndata: b\n\n\n", [said("a"), said("b")]),
        (b"data: a\ndata: b\n\n", [said("a\nb")]),
        (b"data: a\ndata: b\n\ndata: c\n\n", [said("a\nb"), said("c")]),
        (b"data: a\n\n\ndata: b\n\n", [said("a"), said("b")]),
        (b"data:a\ndata:  b\ndata:\n\n", [said("a\n b\n")]),
        (b"data\n\n", [said("")]),
        (b"data: \n\n", [said("")]),
        (b"data\ndata\n\n", [said("\n")]),
        (b"data: a: b:c\n\n", [said("a: b:c")]),
        (b"data: \xc3\xbc\n\n", [said("ü")]),
        (b"data: a\0b\x85\n\n".replace(b"\x85", b"\xc2\x85"), [said("a\0b\x85")]),
        (b": hello\n\ndata: a\n\n", [said("a")]),
        (b":\n:\n:data: x\ndata: a\n:x\n\n", [said("a")]),
        (b"event: add\ndata: a\n\ndata: b\n\n", [Event("add", "a", ""), said("b")]),
        (b"data: a\nevent:add\nevent: gone\n\n", [Event("gone", "a", "")]),
        (b"event: add\n\ndata: b\n\n", [said("b")]),
        (b"event\ndata: b\n\n", [said("b")]),
        (b"id: 5\ndata: a\n\ndata: b\n\n", [Event("message", "a", "5"), said("b")]),
        (b"id: 5\nid: 6\nid\ndata: a\n\n", [said("a")]),
        (b"id: 5\nid: 6\0\ndata: a\n\n", [Event("message", "a", "5")]),
        (b"data: a\n", []),
        (b"data: a", []),
        (b"data: a\n\ndata: b\n", [said("a")]),
        (b"Data: a\n\n", []),
        (b" data: a\n\n", []),
        (b"data : a\n\n", []),
        (b"other: a\nfoo\ndata: a\n\n", [said("a")]),
        (b"\xef\xbb\xbfdata: a\n\n", [said("a")]),
        (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n", [said("b")]),
        (b"\xef\xbb\xbf", []),
        (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [said("a")]),
        (b"", []),
        (b"\n", []),
    ],
)
def test_what_a_stream_says(stream: bytes, events: list[Event]) -> None:
    assert parse(stream) == events
    parser = EventParser(1000)
    assert [event for at in range(len(stream)) for event in parser.feed(stream[at : at + 1])] == events


def test_an_event_is_there_as_soon_as_its_empty_line_is() -> None:
    """A lone CR ends a line: whether an LF follows is not waited for, and it is no second end."""
    parser = EventParser(1000)
    assert parser.feed(b"data: a\r\n\r") == [said("a")]
    assert parser.feed(b"\n") == []
    assert parser.feed(b"data: b\n") == []
    assert parser.feed(b"\n") == [said("b")]
    assert parser.feed(b"data: c\r") == []
    assert parser.feed(b"\r") == [said("c")]
    assert parser.feed(b"data: d\r") == []
    assert parser.feed(b"\ndata: e\r") == []
    assert parser.feed(b"\n\r") == [said("d\ne")]


def test_the_last_id_stays_until_another_event_changes_it() -> None:
    parser = EventParser(1000)
    parser.feed(b"id: 5\ndata: a\n\n")
    assert parser.last_event_id == "5"
    parser.feed(b"data: b\n\nid: 6\n")
    assert parser.last_event_id == "5", "an event that is not complete changes nothing"
    parser.feed(b"\n")
    assert parser.last_event_id == "6", "an event without data counts here"
    parser.feed(b"id\ndata: c\n\n")
    assert parser.last_event_id == ""


@pytest.mark.parametrize(
    ("line", "retry_ms"),
    [
        (b"retry: 1500", 1500), (b"retry:0", 0), (b"retry: 007", 7),
        (b"retry: 1.5", None), (b"retry: -1", None), (b"retry: +1", None), (b"retry:  1", None),
        (b"retry", None), (b"retry: 1 ", None), (b"retry: \xc2\xb2", None), (b"retry: 1_0", None),
        (b"retry: " + b"9" * 5000, None),
    ],
)  # fmt: skip
def test_the_reconnection_time_is_made_of_digits(line: bytes, retry_ms: int | None) -> None:
    parser = EventParser(10_000)
    assert parser.retry_ms is None
    assert parser.feed(line + b"\ndata: a\n\n") == [said("a")]
    assert parser.retry_ms == retry_ms


def test_comments_are_counted_as_they_come() -> None:
    parser = EventParser(1000)
    parser.feed(COMMENT + b":\n: x\ndata: a\n:")
    assert parser.comments == 3
    assert parser.feed(b"\n\n") == [said("a")]
    assert parser.comments == 4


def test_comments_without_end_are_no_event_that_is_too_large() -> None:
    parser = EventParser(20)
    for _ in range(100):
        assert parser.feed(b": still here\n") == []
    assert parser.feed(b"data: a\n\n") == [said("a")]


@pytest.mark.parametrize(
    ("fits", "too_large"),
    [
        (b"data: 45678901234567\n\n", b"data: 456789012345678\n\n"),
        (b"data: 45678901\ndata\n:xxxxxxxxxx\nid\n\n", b"data: 45678901\ndata\nid:\n\n"),
        (b"unknown:901234567890\n\n", b"unknown:9012345678901\n\n"),
        (b":2345678901234567890\n", b":23456789012345678901\n"),
        (b"data: 45678901234567", b"data: 456789012345678"),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_an_event_has_a_largest_size(fits: bytes, too_large: bytes, size: int) -> None:
    def feed(stream: bytes) -> EventParser:
        parser = EventParser(20, endpoint="host:1")
        for at in range(0, len(stream), size):
            parser.feed(stream[at : at + size])
        return parser

    feed(fits + (fits if fits.endswith(b"\n") else b""))
    with pytest.raises(ProtocolViolation, match="more than 20 bytes") as caught:
        feed(too_large)
    assert caught.value.endpoint == "host:1"
    assert not caught.value.retryable
    assert "max_message_bytes" in caught.value.hint


@pytest.mark.parametrize(
    "wrong", [b"data: \xff\n\n", b"id: \xff\ndata: a\n\n", b"event: \xff\ndata: a\n\n", b"data: \xc3\n\n"]
)
def test_text_that_is_not_utf_8_is_an_error_after_what_came_before_it(wrong: bytes) -> None:
    parser = EventParser(1000)
    assert parser.feed(b"data: a\n\ndata: b\n\n" + wrong + b"data: c\n\n") == [said("a"), said("b")]
    for chunk in (b"", b"data: d\n\n", b""):
        with pytest.raises(ProtocolViolation, match="not UTF-8"):
            parser.feed(chunk)


def test_what_nobody_reads_need_not_be_utf_8() -> None:
    assert parse(b":\xff\nother: \xff\ndata: a\n\n") == [said("a")]


@pytest.mark.parametrize(
    ("event", "stream"),
    [
        (format_event("a"), b"data: a\n\n"),
        (format_event(b"a", event="add", id="5"), b"event: add\nid: 5\ndata: a\n\n"),
        (format_event("ü\nb\r\nc\rd"), b"data: \xc3\xbc\ndata: b\ndata: c\ndata: d\n\n"),
        (format_event(""), b"data: \n\n"),
        (format_event(" a"), b"data:  a\n\n"),
    ],
)
def test_the_writer(event: bytes, stream: bytes) -> None:
    assert event == stream


@pytest.mark.parametrize(
    "fields", [{"event": "a\nb"}, {"event": "a\r"}, {"id": "1\n"}, {"id": "1\r2"}, {"id": "1\0"}]
)
def test_fields_that_would_arrive_as_something_else_are_refused(fields: dict[str, str]) -> None:
    with pytest.raises(DataValidationError) as caught:
        format_event("a", **fields)
    assert caught.value.field in fields
