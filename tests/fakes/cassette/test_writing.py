"""What is written can be read at any moment, whatever comes late."""

from __future__ import annotations

from pathlib import Path

from rpe.clock import SYSTEM_CLOCK
from rpe.fakes.cassette import read_cassette
from rpe.fakes.cassette.scrubbing import Scrubber
from rpe.fakes.cassette.writing import CassetteWriter


def test_each_line_is_in_the_file_at_once(cassette: Path) -> None:
    writer = CassetteWriter(cassette, "grpc", "grpc://a:1", Scrubber(), SYSTEM_CLOCK)
    assert read_cassette(cassette).calls == []
    call = writer.begin("/a.B/C", timeout_s=1.5)
    call.request(b"1")
    [read] = read_cassette(cassette).unfinished
    assert (read.requests, read.head.timeout_s) == ([b"1"], 1.5)
    call.end("status", "OK")
    assert read_cassette(cassette).unfinished == []
    writer.close()


def test_what_comes_behind_the_end_of_a_call_is_not_written(cassette: Path) -> None:
    writer = CassetteWriter(cassette, "grpc", "grpc://a:1", Scrubber(), SYSTEM_CLOCK)
    call = writer.begin("/a.B/C")
    call.end("status", "OK")
    call.request(b"late")
    call.half_close()
    call.end("cancelled")
    [read] = read_cassette(cassette).calls
    assert [event.told.event for event in read.events] == ["end"]
    assert read.end is not None and read.end.how == "status"
    writer.close()
    writer.begin("/a.B/C")
    assert len(read_cassette(cassette).calls) == 1


def test_calls_are_told_apart(cassette: Path) -> None:
    writer = CassetteWriter(cassette, "grpc", "grpc://a:1", Scrubber(), SYSTEM_CLOCK)
    first, second = writer.begin("/a.B/C"), writer.begin("/a.B/D")
    second.answer(b"2")
    first.answer(b"1")
    assert [(call.number, call.method, call.answers) for call in read_cassette(cassette).calls] == [
        (1, "/a.B/C", [b"1"]),
        (2, "/a.B/D", [b"2"]),
    ]
    writer.close()
