"""One fault put into a recording, on both wires."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from rpe.errors import ConfigurationError
from rpe.fakes.cassette import Replay, Splice, parse_cassette, parse_splice
from tests.fakes.cassette.calling import Heard, ask, channel_to

Open = Callable[..., Any]

GRPC = (
    '{"cassette": 1, "wire": "grpc", "upstream": "grpc://a:1"}\n'
    '{"call": 1, "event": "call", "began_s": 0, "method": "/a.B/Stream"}\n'
    '{"call": 1, "event": "request", "at_s": 0, "text": "q"}\n'
    '{"call": 1, "event": "headers", "at_s": 0.1}\n'
    '{"call": 1, "event": "answer", "at_s": 0.2, "text": "one"}\n'
    '{"call": 1, "event": "answer", "at_s": 0.3, "text": "two"}\n'
    '{"call": 1, "event": "answer", "at_s": 0.4, "text": ""}\n'
    '{"call": 1, "event": "end", "at_s": 0.5, "how": "status", "code": "OK"}\n'
)
HTTP = (
    '{"cassette": 1, "wire": "http", "upstream": "http://a:1"}\n'
    '{"call": 1, "event": "call", "began_s": 0, "method": "GET", "path": "/x?y=1"}\n'
    '{"call": 1, "event": "half_close", "at_s": 0}\n'
    '{"call": 1, "event": "headers", "at_s": 0.1, "status": 200, "metadata": [["Content-Length", "6"]]}\n'
    '{"call": 1, "event": "answer", "at_s": 0.2, "text": "one"}\n'
    '{"call": 1, "event": "answer", "at_s": 0.3, "text": "two"}\n'
    '{"call": 1, "event": "end", "at_s": 0.3, "how": "complete"}\n'
)


async def heard(splice: str, calls: int = 1) -> tuple[list[Heard], Replay]:
    async with (
        Replay(parse_cassette(GRPC), speed=0, splice=splice) as replay,
        channel_to(replay.endpoint) as channel,
    ):
        got = [await ask(channel, "/a.B/Stream", [b"q"], timeout=0.3) for _ in range(calls)]
    return got, replay


@pytest.mark.parametrize(
    ("splice", "messages", "code", "told"),
    [
        ("drop", ["two", ""], "OK", "drop at message 1"),
        ("drop,at_message=2", ["one", ""], "OK", "drop at message 2"),
        ("duplicate,at_s=0.25", ["one", "two", "two", ""], "OK", "duplicate at message 2"),
        ("cut,at_message=3", ["one", "two"], "UNAVAILABLE", "cut at message 3"),
        ("cut,at_s=0.45", ["one", "two", ""], "UNAVAILABLE", "cut at the end"),
        ("status,method=Stream,code=data_loss,details=gone", [], "DATA_LOSS", "status at the headers"),
        ("status,at_message=4", ["one", "two", ""], "UNAVAILABLE", "status at the end"),
        ("hang,at_message=2", ["one"], "DEADLINE_EXCEEDED", "hang at message 2"),
    ],
)
async def test_a_fault_strikes_its_place(splice: str, messages: list[str], code: str, told: str) -> None:
    [got], replay = await heard(splice)
    heard_of = [message.decode() for message in got.messages]
    if told == "cut at the end":
        messages = messages[: len(heard_of)]  # what was on its way may go with the connection
        assert len(heard_of) >= 2
    assert (heard_of, got.code) == (messages, code)
    assert replay.calls[0].faults == [told]
    if "details" in splice:
        assert got.details == "gone"


async def test_a_delay_comes_on_top_at_any_speed() -> None:
    import asyncio

    loop = asyncio.get_running_loop()
    began = loop.time()
    [got], _ = await heard("delay,at_message=2,delay_s=0.12")
    assert got.code == "OK" and loop.time() - began >= 0.12


async def test_corruption_turns_one_bit_over_which_the_seed_chooses() -> None:
    [first], replay = await heard("corrupt,at_message=2,seed=5")
    [again], _ = await heard("corrupt,at_message=2,seed=5")
    assert first == again
    [broken] = [message for message in first.messages if message not in (b"one", b"")]
    changed = [a ^ b for a, b in zip(broken, b"two", strict=True)]
    assert sum(value.bit_count() for value in changed) == 1
    assert replay.calls[0].faults[0].startswith("corrupt at message 2, bit ")


@pytest.mark.parametrize(
    ("splice", "note"),
    [
        ("drop,at_message=4", "drop was not applied: the answer has 3 messages"),
        ("corrupt,at_message=3", "corrupt was not applied: message 3 is empty"),
        ("cut,at_s=9", "cut was not applied: the answer has 3 messages"),
    ],
)
async def test_what_finds_no_place_is_told(splice: str, note: str) -> None:
    [got], replay = await heard(splice)
    assert got.code == "OK" and len(got.messages) == 3
    assert (replay.calls[0].faults, replay.calls[0].notes) == ([], [note])


async def test_one_call_is_picked_by_its_number_and_some_by_chance() -> None:
    got, replay = await heard("status,call=2", calls=3)
    assert [call.code for call in got] == ["OK", "UNAVAILABLE", "OK"]
    assert [call.ended for call in replay.calls] == ["OK", "UNAVAILABLE", "OK"]
    got, _ = await heard("status,method=Other", calls=1)
    assert got[0].code == "OK"
    drawn = [[call.code for call in (await heard("status,rate=0.5,seed=3", calls=8))[0]] for _ in range(2)]
    assert drawn[0] == drawn[1] and set(drawn[0]) == {"OK", "UNAVAILABLE"}


@pytest.mark.parametrize(
    ("splice", "expected"),
    [
        ("drop", (200, b"two")),
        ("duplicate,at_message=2,method=/x", (200, b"onetwotwo")),
        ("status", (503, b"spliced in by rpe fake replay\n")),
        ("status,code=429", (429, b"spliced in by rpe fake replay\n")),
        ("cut", "ServerDisconnectedError"),
        ("cut,at_message=2", "ClientPayloadError"),
        ("hang,at_message=1", "TimeoutError"),
    ],
)
async def test_a_fault_strikes_on_http(splice: str, expected: Any) -> None:
    async with (
        Replay(parse_cassette(HTTP), speed=0, splice=splice) as replay,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.3)) as session,
    ):
        session._retry_connection = False  # an honest count
        try:
            async with session.get(f"http://{replay.endpoint}/x?y=1") as answer:
                got: Any = answer.status, await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            got = type(error).__name__
        assert got == expected or (expected == "TimeoutError" and "Timeout" in got)
        assert len(replay.calls[0].faults) == 1


def test_the_text_of_a_fault_is_read() -> None:
    assert parse_splice("cut,method=Stream,at_message=3") == Splice(kind="cut", method="Stream", at_message=3)
    assert parse_splice("delay, delay_s=0.5 ,rate=0.25,seed=7,call=2,at_s=1.5") == Splice(
        kind="delay", delay_s=0.5, rate=0.25, seed=7, call=2, at_s=1.5
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("break", "'break' is no kind; there are drop,"),
        ("cut,3", "'3' is not understood"),
        ("cut,at=3", "'at=3' is not understood"),
        ("cut,call=x", "call is not a number: 'x'"),
        ("cut,call=0", "call counts from 1"),
        ("cut,call=1,call=2", "call is given twice"),
        ("cut,at_message=1,at_s=2", "at_message and at_s are both given"),
        ("drop,at_message=0", "at_message counts from 1"),
        ("drop,at_s=-1", "at_s counts from 0"),
        ("drop,rate=2", "rate is between 0 and 1"),
        ("delay,delay_s=-1", "delay_s is not negative"),
        ("cut,code=OK", "only a status has a code"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(text: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_splice(text)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("cassette", "splice", "told"),
    [
        (GRPC, "status,code=503", "503 is no status of gRPC"),
        (HTTP, "status,code=aborted", "ABORTED is no status of HTTP"),
        (HTTP, "status,at_message=1", "cannot come behind the headers"),
    ],
)
def test_a_fault_that_the_wire_cannot_carry_is_refused(cassette: str, splice: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        Replay(parse_cassette(cassette), splice=splice)


async def test_a_fault_can_be_given_as_a_record(cassette: Path) -> None:
    async with (
        Replay(parse_cassette(GRPC), speed=0, splice=Splice(kind="drop")) as replay,
        channel_to(replay.endpoint) as channel,
    ):
        assert (await ask(channel, "/a.B/Stream", [b"q"])).messages == [b"two", b""]
