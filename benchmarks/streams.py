"""Fifty sessions of paced audio at once on each wire, through the client and over bare calls.

The servers run on uvloop, lest they be the limit: all the clients share one core. Where fifty
do not hold, the bare figure beside it says whose limit that is, and a search downwards how
many do.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from benchmarks.chunks import CHUNK_S
from benchmarks.harness import Row, percentile, server_process
from benchmarks.sessions import SERVERS, Open, Paced, bare_opener, own_opener

STREAMS = 50
CHUNKS = 150
ON_TIME_S = 0.1
ENOUGH = 0.99
FEWER = (40, 30, 20, 10)
"""How many streams are tried where `STREAMS` are too many."""

Opener = Callable[[str, list[str]], AbstractAsyncContextManager[Open]]


@dataclass(frozen=True)
class Outcome:
    """What became of all chunks: how many were in time, the median round trip, and the CPU of one."""

    on_time: float
    trip_p50_s: float
    cpu_s: float


async def _all_at_once(opener: Opener, wire: str, addresses: list[str], streams: int) -> Outcome:
    """Run so many sessions, whose chunks are due at times spread over the pace."""
    async with opener(wire, addresses) as open_stream:
        opened = [await open_stream() for _ in range(streams)]
        paced = [Paced(CHUNKS) for _ in opened]
        cpu_s = time.process_time()
        began_s = time.perf_counter() + CHUNK_S
        async with asyncio.TaskGroup() as tasks:
            for number, (one, stream) in enumerate(zip(paced, opened, strict=True)):
                tasks.create_task(one.run(stream, first_due_s=began_s + number * CHUNK_S / streams))
        cpu_s = time.process_time() - cpu_s
    total = streams * CHUNKS
    late_s = [delay_s for one in paced for delay_s in one.late_s]
    trips_s = [trip_s for one in paced for trip_s in one.trip_s]
    return Outcome(
        sum(delay_s <= ON_TIME_S for delay_s in late_s) / total, percentile(trips_s, 0.5), cpu_s / total
    )


def _run(opener: Opener, wire: str, addresses: list[str], streams: int) -> Outcome:
    return asyncio.run(_all_at_once(opener, wire, addresses, streams))


def _most(opener: Opener, wire: str, addresses: list[str]) -> str:
    """How many streams hold, of those tried."""
    for streams in FEWER:
        if _run(opener, wire, addresses, streams).on_time >= ENOUGH:
            return str(streams)
    return f"fewer than {FEWER[-1]}"


def _rows(where: str, wire: str, addresses: list[str]) -> list[Row]:
    bare = _run(bare_opener, wire, addresses, STREAMS)
    ours = _run(own_opener, wire, addresses, STREAMS)
    rows = [
        Row(
            f"{where}: {STREAMS} bare streams, answered within {ON_TIME_S * 1000:.0f} ms of due",
            f"{bare.on_time:.2%}",
        ),
        Row(
            f"{where}: {STREAMS} streams of the client",
            f"{ours.on_time:.2%}",
            f">= {ENOUGH:.0%}",
            ours.on_time >= ENOUGH,
        ),
        Row(
            f"{where}: round trip of a chunk, p50: client, bare",
            f"{ours.trip_p50_s * 1000:.2f} ms, {bare.trip_p50_s * 1000:.2f} ms",
        ),
        Row(
            f"{where}: CPU per chunk: client, bare",
            f"{ours.cpu_s * 1e6:.0f} us, {bare.cpu_s * 1e6:.0f} us",
        ),
    ]
    if ours.on_time < ENOUGH:
        held = (_most(own_opener, wire, addresses), _most(bare_opener, wire, addresses))
        rows.append(Row(f"{where}: streams that hold, client, bare", ", ".join(held)))
    return rows


def run() -> list[Row]:
    rows: list[Row] = []
    for wire, module in SERVERS.items():
        with server_process(module, "3", "uvloop") as words:
            addresses = words[:-1]
            if wire == "WebRTC":
                rows += _rows("WebRTC over one peer", wire, addresses[:1])
                rows += _rows("WebRTC over three peers", wire, addresses)
            else:
                rows += _rows(f"{wire} over three endpoints", wire, addresses)
    return rows


if __name__ == "__main__":
    from benchmarks.harness import table

    print(table(run()))
