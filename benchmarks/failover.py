"""What a dying server costs: three of them, 200 operations a second, one is killed in the middle."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import ExitStack

import rpe
from benchmarks.harness import Row, median, percentile, server_process
from rpe.errors import RpeError

RATE_PER_S = 200
SECONDS = 5.0
KILL_AT_S = 2.0
TEXT = rpe.Text("x" * 1024)


async def _load(addresses: list[str], kill: list[int]) -> tuple[list[float], list[float], int]:
    """Run the load; return latencies of calls due before and after the kill, and how many failed."""
    manifest = rpe.Manifest.single("echo", node_type="Echo")
    before: list[float] = []
    after: list[float] = []
    failed = 0
    async with rpe.connect(addresses, seed=1) as client:
        for _ in range(20):
            await client.execute(manifest, TEXT)
        began_s = time.perf_counter()

        async def call(due_s: float) -> None:
            nonlocal failed
            try:
                await client.execute(manifest, TEXT, timeout_s=2.0, repeatable=True)
            except RpeError:
                failed += 1
                return
            latency_s = time.perf_counter() - began_s - due_s
            (before if due_s < KILL_AT_S else after).append(latency_s)

        async with asyncio.TaskGroup() as calls:
            for number in range(int(RATE_PER_S * SECONDS)):
                due_s = number / RATE_PER_S
                await asyncio.sleep(max(began_s + due_s - time.perf_counter(), 0))
                if kill and due_s >= KILL_AT_S:
                    os.kill(kill.pop(), signal.SIGKILL)
                calls.create_task(call(due_s))
    return before, after, failed


def _measure(*, kill: bool) -> tuple[list[float], list[float], int]:
    with ExitStack() as stack:
        servers = [stack.enter_context(server_process("benchmarks.echo_server", "1")) for _ in range(3)]
        return asyncio.run(_load([words[0] for words in servers], [int(servers[0][-1])] if kill else []))


def run() -> list[Row]:
    quiet_before, quiet_after, quiet_failed = _measure(kill=False)
    before, after, failed = _measure(kill=True)
    usual_s = median(before)
    added_ms = percentile([latency_s - usual_s for latency_s in after], 0.99) * 1000
    null_ms = percentile([latency_s - median(quiet_before) for latency_s in quiet_after], 0.99) * 1000
    return [
        Row(
            f"null arm: no server killed at {RATE_PER_S}/s, p99 of added delay",
            f"{null_ms:.1f} ms, {quiet_failed} failed",
        ),
        Row("one server of three killed, failed operations", f"{failed}", "0", failed == 0),
        Row("one server of three killed, p99 of added delay", f"{added_ms:.1f} ms", "< 50 ms", added_ms < 50),
    ]
