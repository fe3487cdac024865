"""Thirty seconds of speech, and its server killed in the middle: no chunk is lost, on any wire."""

from __future__ import annotations

import asyncio

import numpy as np

import rpe
from rpe.chaos.workload.speech import recordings
from rpe.client import MovingSession
from rpe.data import Audio, content_hash
from rpe.fakes.process import FakeProcess
from tests.support.fleet import SETTINGS
from tests.support.wire_pairs import ECHO

CHUNK_S = 0.02
SPEED = 4.0


def spoken(seconds: float) -> list[Audio]:
    """So much of the recordings, one after the other and again, in chunks of 20 ms."""
    voices = [Audio.from_wav(path) for path in recordings()]
    rate = voices[0].sample_rate
    samples = np.resize(np.concatenate([voice.samples for voice in voices]), round(seconds * rate))
    size = round(CHUNK_S * rate)
    return [Audio(samples[start : start + size], rate) for start in range(0, len(samples), size)]


async def test_a_killed_server_costs_no_chunk_of_thirty_seconds_of_speech(wire: str) -> None:
    chunks = spoken(30.0)
    assert len(chunks) == 1500
    async with (
        asyncio.timeout(60.0),
        FakeProcess("a", wire) as a,
        FakeProcess("b", wire) as b,
        rpe.connect([a.endpoint, b.endpoint], transport=wire, settings=SETTINGS, seed=1) as client,
        await client.open_stream(ECHO) as session,
    ):
        assert isinstance(session, MovingSession)
        serving = a if session.endpoint == a.endpoint else b

        async def speak() -> None:
            loop = asyncio.get_running_loop()
            began_s = loop.time()
            for number, chunk in enumerate(chunks):
                await asyncio.sleep(began_s + number * CHUNK_S / SPEED - loop.time())
                if number == len(chunks) // 2:
                    await serving.kill()
                await session.send(chunk)
            await session.finish()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(speak())
            results = [result async for result in session]
        assert session.moves == 1
        assert session.endpoint != serving.endpoint
    assert [result.sequence for result in results] == list(range(1500))
    wrong = [
        result.sequence
        for result, chunk in zip(results, chunks, strict=True)
        if content_hash(result.output) != content_hash(chunk)
    ]
    assert wrong == []
