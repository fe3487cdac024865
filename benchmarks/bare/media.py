"""Sound over bare aiortc: a track out, a track back."""

from __future__ import annotations

import asyncio
import fractions
import time
from typing import Any

import aiohttp
import av
import numpy as np
from aiortc import AudioStreamTrack
from aiortc.mediastreams import MediaStreamTrack

from benchmarks.bare.webrtc import gather_at_loopback, make_connection, signal

__all__ = ["LOUD", "RATE", "TONE", "first_sound"]

RATE = 48_000
TONE = (8000 * np.sin(np.arange(RATE // 50) * (2 * np.pi * 500 / RATE))).astype(np.int16)
"""20 ms of 500 Hz: whole periods, so that one after the other is one sound."""

LOUD = 1000
"""What no silence reaches."""


class Tone(AudioStreamTrack):
    """The tone for ever, paced as aiortc paces its own silence."""

    async def recv(self) -> Any:
        silence: Any = await super().recv()  # 8 kHz, 20 ms: it is here for its pace alone
        frame = av.AudioFrame.from_ndarray(TONE.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = RATE
        frame.pts = silence.pts * 6
        frame.time_base = fractions.Fraction(1, RATE)
        return frame


async def first_sound(address: str) -> float:
    """Connect with a track, and wait until it is heard on the track that comes back.

    Returns when that was, by the performance counter.
    """
    connection = make_connection()
    connection.addTrack(Tone())
    heard: asyncio.Queue[MediaStreamTrack] = asyncio.Queue()
    connection.on("track", heard.put_nowait)
    gather_at_loopback(connection)
    async with aiohttp.ClientSession() as session:
        ws = await signal(session, address, connection, ["audio"])
        try:
            track: Any = await heard.get()
            while np.abs((await track.recv()).to_ndarray()).max() < LOUD:
                pass
            return time.perf_counter()
        finally:
            await connection.close()
            await ws.close()
