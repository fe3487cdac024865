"""A WebRTC peer from nothing: how long until the first result, and until the first sound that comes back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import numpy as np

import rpe
from benchmarks.bare.media import LOUD, RATE, TONE, first_sound
from benchmarks.bare.webrtc import BarePeer
from benchmarks.chunks import ECHO, TEXT
from benchmarks.harness import Row, median, percentile, server_process
from rpe.transport.registry import get_transport

REPEATS = 25

Arm = Callable[[], Awaitable[float]]
"""One peer from nothing; returns the seconds that it took. Closing it is not counted."""


async def _bare_result(address: str) -> float:
    began_s = time.perf_counter()
    peer = await BarePeer.open(address)
    await peer.first.ask_text()
    spent_s = time.perf_counter() - began_s
    await peer.close()
    return spent_s


async def _own_result(address: str) -> float:
    began_s = time.perf_counter()
    client = get_transport("webrtc").create_client(address, {})
    await client.execute(ECHO, {"echo": rpe.Text(TEXT)}, timeout_s=30.0)
    spent_s = time.perf_counter() - began_s
    await client.close()
    return spent_s


async def _bare_sound(address: str) -> float:
    began_s = time.perf_counter()
    return await first_sound(address) - began_s


async def _tone() -> AsyncIterator[rpe.Audio]:
    while True:
        yield rpe.Audio(TONE, RATE)


async def _own_sound(address: str) -> float:
    client: Any = get_transport("webrtc").create_client(address, {})
    began_s = time.perf_counter()
    async with await client.open_media(ECHO, _tone(), timeout_s=60.0, open_timeout_s=10.0) as session:
        while True:
            item = await session.receive()
            if isinstance(item, rpe.Audio) and _peak(item) >= LOUD:
                break
        spent_s = time.perf_counter() - began_s
    await client.close()
    return spent_s


def _peak(audio: rpe.Audio) -> float:
    scale = 1 if audio.samples.dtype == np.int16 else 32768
    return float(np.abs(audio.samples.astype(np.float64)).max()) * scale


async def _alternate(arms: dict[str, Arm]) -> dict[str, list[float]]:
    """Run the arms in turn. The first peer of each in a process loads code, and is not counted."""
    spent: dict[str, list[float]] = {name: [] for name in arms}
    for number in range(REPEATS + 1):
        for name, arm in arms.items():
            spent_s = await arm()
            if number:
                spent[name].append(spent_s)
    return spent


def _rows(what: str, spent: dict[str, list[float]], most_s: float) -> list[Row]:
    rows = []
    for name, times_s in spent.items():
        p50_s = median(times_s)
        shown = f"{p50_s * 1e3:.0f} ms, p90 {percentile(times_s, 0.9) * 1e3:.0f} ms"
        ours = name.startswith("ours")
        target = f"< {most_s * 1e3:.0f} ms" if ours else ""
        rows.append(
            Row(
                f"fresh peer to its first {what}, p50: {name}",
                shown,
                target,
                p50_s < most_s if ours else None,
            )
        )
    return rows


def run() -> list[Row]:
    with (
        server_process("benchmarks.webrtc_server", "1") as words,
        server_process("benchmarks.own_server", "webrtc") as own,
    ):
        results: dict[str, Arm] = {
            "bare aiortc": partial(_bare_result, words[0]),
            "bare again (null)": partial(_bare_result, words[0]),
            "ours, the same server": partial(_own_result, words[0]),
            "ours, our server": partial(_own_result, own[0]),
        }
        sounds: dict[str, Arm] = {
            "bare aiortc": partial(_bare_sound, words[0]),
            "bare again (null)": partial(_bare_sound, words[0]),
            "ours, our server": partial(_own_sound, own[0]),
        }
        rows = _rows("result", asyncio.run(_alternate(results)), 0.06)
        return [*rows, *_rows("sound back", asyncio.run(_alternate(sounds)), 0.15)]


if __name__ == "__main__":
    from benchmarks.harness import table

    print(table(run()))
