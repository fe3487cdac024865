"""What the client adds to a streaming hop: 20 ms of audio there and back, on each wire.

Three sessions run at once, a third of a chunk's time apart, so that each has the machine
to itself and all of them the same machine; who comes first changes with each repeat.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

from benchmarks.chunks import CHUNK_S
from benchmarks.harness import Row, median, server_process
from benchmarks.sessions import SERVERS, Open, Paced, bare_opener, own_opener

CHUNKS = 120
REPEATS = 6
WARM_CHUNKS = 25


async def _at_once(openers: list[Open], chunks: int) -> list[Paced]:
    """One paced session of each opener, in step but not at the same time."""
    streams = [await opener() for opener in openers]
    paced = [Paced(chunks) for _ in streams]
    began_s = time.perf_counter() + CHUNK_S
    async with asyncio.TaskGroup() as tasks:
        for number, (one, stream) in enumerate(zip(paced, streams, strict=True)):
            first_due_s = began_s + number * CHUNK_S / len(streams)
            tasks.create_task(one.run(stream, first_due_s=first_due_s))
    return paced


async def _measure(wire: str, addresses: list[str]) -> dict[str, list[float]]:
    """The median round trip of each arm, by repeat."""
    async with AsyncExitStack() as stack:
        bare = await stack.enter_async_context(bare_opener(wire, addresses))
        own = await stack.enter_async_context(own_opener(wire, addresses))
        arms = [("bare", bare), ("ours", own), ("null", bare)]
        await _at_once([opener for _, opener in arms], WARM_CHUNKS)
        trips: dict[str, list[float]] = {name: [] for name, _ in arms}
        for _ in range(REPEATS):
            arms = [*arms[1:], arms[0]]
            done = await _at_once([opener for _, opener in arms], CHUNKS)
            for (name, _), paced in zip(arms, done, strict=True):
                trips[name].append(paced.trip_p50_s)
        return trips


def _rows(wire: str, trips: dict[str, list[float]]) -> list[Row]:
    def added_ms(arm: str) -> float:
        return median([one - bare for one, bare in zip(trips[arm], trips["bare"], strict=True)]) * 1e3

    added = added_ms("ours")
    return [
        Row(f"{wire}: a chunk there and back, bare, p50", f"{median(trips['bare']) * 1e3:.2f} ms"),
        Row(f"{wire}: null arm, added p50", f"{added_ms('null'):+.3f} ms"),
        Row(f"{wire}: the client adds, p50", f"{added:+.3f} ms", "< 0.5 ms", added < 0.5),
    ]


def run() -> list[Row]:
    rows: list[Row] = []
    for wire, module in SERVERS.items():
        with server_process(module, "1") as words:
            rows += _rows(wire, asyncio.run(_measure(wire, words[:-1])))
    return rows


if __name__ == "__main__":
    from benchmarks.harness import table

    print(table(run()))
