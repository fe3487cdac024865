"""A cassette is read strictly, and its mistakes are told by their lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from rpe.errors import ConfigurationError
from rpe.fakes.cassette import parse_cassette, read_cassette
from rpe.fakes.cassette.lines import AnswerLine, dumped, message_fields

GRPC = '{"cassette": 1, "wire": "grpc", "upstream": "grpc://a:1"}'
HTTP = '{"cassette": 1, "wire": "http", "upstream": "http://a:1"}'
BEGUN = '{"call": 1, "event": "call", "began_s": 0, "method": "/a.B/C"}'
REQUESTED = '{"call": 1, "event": "call", "began_s": 0, "method": "GET", "path": "/"}'


def mistakes(*lines: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        parse_cassette("\n".join(lines) + "\n", "c.jsonl")
    return [part.strip() for part in caught.value.message.split("\n")]


def test_all_mistakes_are_told_at_once_each_by_its_line() -> None:
    assert mistakes(
        GRPC,
        BEGUN,
        BEGUN,
        '{"call": 2, "event": "answer", "at_s": 0, "text": "x"}',
        '{"call": 1, "event": "answer", "at_s": -1, "text": "x"}',
        '{"call": 1, "event": "answer", "at_s": 0.5, "b64": "%"}',
        '{"call": 1, "event": "answer", "at_s": 0.5, "b64": "eA==", "text": "y"}',
        '{"call": 1, "event": "answer", "at_s": 0.5}',
        '{"call": 1, "event": "answer", "at_s": 0.5, "text": "x", "more": 1}',
        '{"call": 1, "event": "request", "at_s": 0.1, "text": "x"}',
        '{"call": 1, "event": "request", "at_s": 0.05, "text": "x"}',
        '{"call": 1, "event": "joke", "at_s": 0.5}',
        "not json",
        '{"call": 1, "event": "end", "at_s": 1, "how": "status", "code": "FINE"}',
        '{"call": 1, "event": "half_close", "at_s": 1}',
    ) == [
        "the cassette cannot be used:",
        "c.jsonl:3: call 1 has begun in line 2 already",
        "c.jsonl:4: call 2 has not begun",
        "c.jsonl:5: at_s: Input should be greater than or equal to 0",
        "c.jsonl:6: b64 is not base64: Only base64 data is allowed",
        "c.jsonl:7: text and b64 differ: leave one of them out",
        "c.jsonl:8: a message needs b64 or text",
        "c.jsonl:9: more: Extra inputs are not permitted",
        "c.jsonl:11: at_s goes back: 0.05 after 0.1",
        "c.jsonl:12: Input tag 'joke' found using 'event' does not match any of the expected tags: 'call', "
        "'request', 'half_close', 'headers', 'answer', 'end'",
        "c.jsonl:13: Invalid JSON: expected ident at line 1 column 2",
        "c.jsonl:14: code: FINE is no status of gRPC",
        "c.jsonl:15: call 1 has ended in line 14",
    ]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([""], "c.jsonl is empty"),
        (["hello"], "c.jsonl:1: this is not a cassette"),
        (['{"cassette": 9}'], "c.jsonl:1: a cassette of version 9"),
        (['{"cassette": 1, "wire": "smoke", "upstream": ""}'], "c.jsonl:1: wire: Input should be"),
        ([HTTP, BEGUN], "c.jsonl:2: call 1 of HTTP needs a path"),
        ([GRPC, REQUESTED], "c.jsonl:2: call 1: the method of gRPC is"),
        ([HTTP, REQUESTED, '{"call": 1, "event": "headers", "at_s": 0}'], "the headers of HTTP need"),
        ([GRPC, BEGUN, '{"call": 1, "event": "end", "at_s": 0, "how": "complete"}'], "does not end as"),
        ([GRPC, BEGUN, '{"call": 1, "event": "end", "at_s": 0, "how": "status"}'], "needs the code"),
        ([GRPC, BEGUN, '{"call": 1, "event": "end", "at_s": 0, "how": "http_status"}'], "needs a number"),
        ([GRPC, BEGUN, *['{"call": 1, "event": "headers", "at_s": 0}'] * 2], "has had its headers"),
    ],
)
def test_a_mistake_is_told(lines: list[str], told: str) -> None:
    assert told in "\n".join(mistakes(*lines))


def test_many_mistakes_are_not_all_told() -> None:
    assert mistakes(GRPC, *["{}"] * 50)[-1] == "and 30 more"


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_cassette(tmp_path / "gone")


def test_a_line_that_was_torn_is_passed_over_at_the_end_only() -> None:
    torn = BEGUN[:20]
    assert parse_cassette(f"{GRPC}\n{BEGUN}\n{torn}").calls[0].end is None
    assert mistakes(GRPC, BEGUN, torn, BEGUN.replace("1", "2"))[1].startswith("c.jsonl:3: ")


@pytest.mark.parametrize("data", [b"", b"text", "é\u2028\x85".encode(), b"\x00\xff", b"x" * 501, b"a\r\n\tb"])
def test_bytes_come_back_as_they_were(data: bytes) -> None:
    line = dumped(AnswerLine(call=1, at_s=0.25, **message_fields(data)))
    assert line.count("\n") == 1 and line.endswith("\n")
    [call] = parse_cassette(f"{GRPC}\n{BEGUN}\n{line}").calls
    assert call.answers == [data]
    assert ('"text"' in line) == (data not in (b"\x00\xff", b"x" * 501, "é\u2028\x85".encode()))


def test_a_person_may_write_text_alone() -> None:
    [call] = parse_cassette(
        f'{GRPC}\n{BEGUN}\n{{"call": 1, "event": "answer", "at_s": 0, "text": "é"}}\n'
    ).calls
    assert call.answers == ["é".encode()]
