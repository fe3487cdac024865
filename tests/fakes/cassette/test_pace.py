"""The pace of a replay, in real time and relative to the recorded one; and what an answer waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rpe.errors import ConfigurationError
from rpe.fakes.cassette import Replay, parse_cassette
from rpe.fakes.cassette.steps import steps_of
from tests.fakes.cassette.calling import ask, name

Open = Callable[..., Any]
HEAD = '{"cassette": 1, "wire": "grpc", "upstream": "grpc://a:1"}\n'


def line(event: str, at_s: float, **more: Any) -> str:
    fields = "".join(f', "{key}": "{value}"' for key, value in more.items())
    return f'{{"call": 1, "event": "{event}", "at_s": {at_s}{fields}}}\n'


CHAT = (
    HEAD
    + '{"call": 1, "event": "call", "began_s": 0, "method": "/a.B/C"}\n'
    + line("request", 0.0, text="1")
    + line("answer", 0.2, text="a")
    + line("request", 5.0, text="2")
    + line("answer", 5.01, text="b")
    + line("answer", 5.3, text="c")
    + line("half_close", 5.3)
    + line("end", 5.5, how="status", code="OK")
)


async def gaps_of(channel: Any) -> list[float]:
    """How long each answer to a chat took, counted from the request that it follows."""
    loop = asyncio.get_running_loop()
    call = channel.stream_stream("/a.B/C")(timeout=10)
    times = []
    for request, answers in ((b"1", 1), (b"2", 2)):
        await call.write(request)
        began = loop.time()
        for _ in range(answers):
            await call.read()
            times.append(loop.time() - began)
    await call.done_writing()
    began = loop.time()
    await call.code()
    return [*times, loop.time() - began]


def test_each_answer_has_its_gap_from_what_it_followed() -> None:
    cassette = parse_cassette(CHAT)
    steps = steps_of(cassette.calls[0])
    assert [(step.kind, step.requests, step.closed, round(step.gap_s, 3)) for step in steps] == [
        ("answer", 1, False, 0.2),
        ("answer", 2, False, 0.01),
        ("answer", 2, False, 0.3),
        ("end", 2, True, 0.2),
    ]


async def test_the_recorded_pace_is_kept_and_can_be_another(cassette: Path, replaying: Open) -> None:
    cassette.write_text(CHAT)  # noqa: ASYNC240
    took: dict[float, float] = {}
    for speed in (1.0, 4.0, 0.0):
        async with replaying(speed=speed) as (_, channel):
            gaps = await gaps_of(channel)
        took[speed] = gaps[0] + gaps[2] + gaps[3]
        if speed:  # never too early; how late is the machine's own affair
            assert gaps[0] >= 0.19 / speed and gaps[2] >= 0.29 / speed and gaps[3] >= 0.19 / speed
    assert took[4.0] < took[1.0] / 2
    assert took[0.0] < took[4.0]
    assert took[1.0] < 5  # the pause of the recorded caller is not the server's


async def test_real_pauses_are_recorded_and_replayed(
    cassette: Path, recording_hall: Open, replaying: Open
) -> None:
    loop = asyncio.get_running_loop()

    async def slow_caller(channel: Any) -> float:
        call = channel.stream_stream("/hall.v1.Hall/Chat")(timeout=5)
        await call.write(name("a"))
        await call.read()
        await asyncio.sleep(0.15)
        began = loop.time()
        await call.write(name("b"))
        for _ in range(3):
            await call.read()
        await call.done_writing()
        return loop.time() - began

    async with recording_hall() as (_, channel):
        await slow_caller(channel)
    async with replaying(speed=1) as (_, channel):
        heard = loop.time()
        await ask(channel, "/hall.v1.Hall/Chat", [name("a"), name("b")], lockstep=2)
        assert loop.time() - heard < 0.14  # a faster caller is answered faster


@pytest.mark.parametrize("speed", [-1, float("inf"), float("nan")])
def test_a_speed_that_is_none_is_refused(speed: float) -> None:
    with pytest.raises(ConfigurationError, match="speed"):
        Replay(parse_cassette(CHAT), speed=speed)


def test_an_event_stream_waits_for_the_calls_that_it_answered() -> None:
    text = (
        '{"cassette": 1, "wire": "http", "upstream": "http://a:1"}\n'
        '{"call": 1, "event": "call", "began_s": 0, "method": "GET", "path": "/s/1/output"}\n'
        '{"call": 1, "event": "half_close", "at_s": 0}\n'
        '{"call": 1, "event": "headers", "at_s": 0.1, "status": 200,'
        ' "metadata": [["Content-Type", "text/event-stream"]]}\n'
        '{"call": 2, "event": "call", "began_s": 1, "method": "POST", "path": "/s/1/input?x"}\n'
        '{"call": 3, "event": "call", "began_s": 1, "method": "POST", "path": "/s/2/input"}\n'
        '{"call": 2, "event": "half_close", "at_s": 0.25}\n'
        '{"call": 1, "event": "answer", "at_s": 1.5, "text": "data: 1\\n\\n"}\n'
        '{"call": 1, "event": "answer", "at_s": 1.6, "text": "data: 2\\n\\n"}\n'
        '{"call": 1, "event": "end", "at_s": 1.6, "how": "complete"}\n'
    )
    cassette = parse_cassette(text)
    steps = steps_of(cassette.calls[0], cassette.calls)
    assert [step.others for step in steps] == [(), (2,), (), ()]
    assert [round(step.gap_s, 3) for step in steps] == [0.1, 0.25, 0.35, 0.35]
