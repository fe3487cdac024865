"""Sessions that move, at random: however the legs break, every result is given once and in order."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from random import Random

import pytest

from rpe.data import Text
from rpe.errors import ConnectionLost, RemoteExecutionFailed, RemoteUnavailable, RpeError, StreamBroken
from rpe.policy.retry import RetrySettings
from tests.support.moving import QUIET, rest
from tests.support.roads import Roads, roads

CHUNKS = 40
ERRORS = (StreamBroken, ConnectionLost, RemoteUnavailable, RemoteExecutionFailed)


@pytest.mark.parametrize("seed", range(15))
async def test_whatever_breaks_when_nothing_is_lost_or_doubled(seed: int) -> None:
    rng = Random(seed)
    counts = [rng.choice([0, 1, 1, 1, 2, 3]) for _ in range(CHUNKS)]
    settings = replace(
        QUIET,
        replay_chunks=rng.choice([CHUNKS, CHUNKS, 12]),
        retry=RetrySettings(max_retries=1000),
        stream_timeout_s=1e6,
    )

    def answer(sequence: int, text: str) -> list[tuple[int, str]]:
        return [(sequence, f"{text}.{part}") for part in range(counts[sequence])]

    async with roads("abc", settings, answer=answer) as r, await r.open() as session:
        done = asyncio.Event()
        breaking = asyncio.create_task(_break(r, rng, done))

        async def send() -> None:
            for number in range(CHUNKS):
                await session.send(Text(str(number)))
                for _ in range(rng.choice([0, 0, 5, 40])):
                    await asyncio.sleep(0)

        sending = asyncio.create_task(send())
        heard: list[tuple[int, str]] = []
        expected = [
            (number, f"{number}.{part}") for number, count in enumerate(counts) for part in range(count)
        ]
        while len(heard) < len(expected):
            result = await session.receive()
            assert result is not None
            assert isinstance(result.output, Text)
            heard.append((result.sequence, result.output.text))
        await sending
        done.set()
        await breaking
        assert heard == expected
        assert await rest(session) == []
        assert session.moves > 0


async def _break(r: Roads, rng: Random, done: asyncio.Event) -> None:
    """Break legs at random moments, some with results still to be read, some without; hold some wires."""
    while not done.is_set():
        await r.clock.advance(rng.choice([0.0, 5.0]))
        for _ in range(rng.randint(0, 12)):
            await asyncio.sleep(0)
        open_ones = [
            session for road in r.roads.values() for session in road.sessions if session.error is None
        ]
        for session in open_ones:
            if rng.random() < 0.2:
                session.held = True
            else:
                session.go_on()
            if rng.random() < 0.5:
                if rng.random() < 0.5:
                    session.cancel()
                    session.error = None
                error: RpeError = rng.choice(ERRORS)("cut", endpoint=session.endpoint)
                session.break_off(error)
    for road in r.roads.values():
        for session in road.sessions:
            session.go_on()
