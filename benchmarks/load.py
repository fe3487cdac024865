"""What a call costs whoever makes load: CPU of the client's processes per call, start-up not counted.

Each arm is a process of its own (and Locust's engine beside it), one after the other, all of
them several times in turn; the server, a plain grpc.aio echo, is in a process that is not counted.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from benchmarks import load_workers
from benchmarks.harness import Row, median, server_process
from rpe.wire.generated.remotemedia.v1 import common_pb2, execution_pb2

TEXT = "x" * 100
CALLERS = 8
RATE_PER_S = 1000.0
WARM_UP_S = 1.5
SECONDS = 3.0
ROUNDS = 3
USERS = Path(__file__).with_name("load_users.py")
ARMS = ("plain", "client", "Caller", "Closed", "Classic", "plain open", "Open")
WORKERS = (1, 2)


def request() -> execution_pb2.ExecuteRequest:
    """The message of every arm that has no client of ours, made anew for each call."""
    from rpe import Manifest
    from rpe.wire.manifest import encode_manifest

    global _MANIFEST
    if _MANIFEST is None:
        _MANIFEST = encode_manifest(Manifest.single("echo", node_type="Echo"))
    buffer = common_pb2.DataBuffer(text=common_pb2.TextBuffer(text_data=TEXT.encode()))
    return execution_pb2.ExecuteRequest(manifest=_MANIFEST, data_inputs={"echo": buffer}, client_version="v1")


_MANIFEST: Any = None


async def _loop(call: Callable[[], Awaitable[object]], seconds: float) -> dict[str, float]:
    """Call from `CALLERS` loops, and return what that cost this process after the warm-up."""
    calls = 0
    running = True

    async def caller() -> None:
        nonlocal calls
        while running:
            await call()
            calls += 1

    async with asyncio.TaskGroup() as tasks:
        for _ in range(CALLERS):
            tasks.create_task(caller())
        await asyncio.sleep(WARM_UP_S)
        before, cpu_s = calls, time.process_time()
        await asyncio.sleep(seconds)
        found = {"cpu_s": time.process_time() - cpu_s, "calls": calls - before, "failed": 0}
        running = False
    return found


async def _plain(address: str, seconds: float) -> dict[str, float]:
    import grpc

    from rpe.wire.generated.remotemedia.v1 import execution_pb2_grpc

    async with grpc.aio.insecure_channel(address) as channel:
        stub: Any = execution_pb2_grpc.PipelineExecutionServiceStub(channel)
        return await _loop(lambda: stub.ExecutePipeline(request()), seconds)


async def _plain_open(address: str, seconds: float) -> dict[str, float]:
    """The bare stub called at `RATE_PER_S`, which costs more a call than loops, whose calls bunch."""
    import grpc

    from rpe.wire.generated.remotemedia.v1 import execution_pb2_grpc

    async with grpc.aio.insecure_channel(address) as channel, asyncio.TaskGroup() as tasks:
        stub: Any = execution_pb2_grpc.PipelineExecutionServiceStub(channel)

        async def call() -> None:
            await stub.ExecutePipeline(request())

        async def source(until_s: float) -> int:
            calls, due_s = 0, time.monotonic()
            while due_s < until_s:
                await asyncio.sleep(max(due_s - time.monotonic(), 0.0))
                tasks.create_task(call())
                calls, due_s = calls + 1, due_s + 1 / RATE_PER_S
            return calls

        await source(time.monotonic() + WARM_UP_S)
        cpu_s = time.process_time()
        calls = await source(time.monotonic() + seconds)
        return {"cpu_s": time.process_time() - cpu_s, "calls": calls, "failed": 0}


async def _client(address: str, seconds: float) -> dict[str, float]:
    import rpe

    manifest, data = rpe.Manifest.single("echo", node_type="Echo"), rpe.Text(TEXT)
    async with rpe.connect([address]) as client:
        return await _loop(lambda: client.execute(manifest, data), seconds)


LOOPS = {"plain": _plain, "client": _client, "plain open": _plain_open}


def measure(arm: str, address: str, seconds: float) -> float:
    """Return the CPU microseconds of one call."""
    if arm in LOOPS:
        command = [sys.executable, "-m", "benchmarks.load", arm, address, str(seconds)]
    else:
        locust = ["-m", "locust", "-f", str(USERS), "--headless", "--only-summary", "--loglevel", "ERROR"]
        users = "1" if arm == "Open" else str(CALLERS)
        command = [sys.executable, *locust, "-u", users, "-r", "100", "-t", "60s"]
    env = os.environ | {"RPE_BENCH_ARM": arm, "RPE_BENCH_S": str(seconds), "RPE_ENDPOINTS": address}
    env["PYTHONPATH"] = str(USERS.parents[1])
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60 + seconds)
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"cpu_s"')]
    if not lines:
        raise RuntimeError(f"{arm} measured nothing: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    found = json.loads(lines[0])
    if found["failed"]:
        raise RuntimeError(f"{arm} had calls that failed: {done.stdout[-2000:]}")
    return float(found["cpu_s"] / found["calls"] * 1e6)


def run() -> list[Row]:
    """Measure every arm in turn, `ROUNDS` times, and compare the medians."""
    costs: dict[str, list[float]] = {arm: [] for arm in (*ARMS, "plain again")}
    crews: dict[int, list[load_workers.Figures]] = {workers: [] for workers in WORKERS}
    with server_process("benchmarks.echo_server", "1") as words:
        for _ in range(ROUNDS):
            for arm, found in costs.items():
                found.append(measure(arm.removesuffix(" again"), words[0], SECONDS))
            for workers, runs in crews.items():
                runs.append(load_workers.measure(workers, words[0], int(words[1]), CALLERS, SECONDS))
    us = {arm: median(found) for arm, found in costs.items()}

    def row(what: str, arm: str, beside: str, at_least: float | None = None) -> Row:
        share = us[beside] / us[arm]
        figure = f"{us[arm]:.0f} us a call, {share:.2f} of that"
        return (
            Row(what, figure) if at_least is None else Row(what, figure, f">= {at_least}", share >= at_least)
        )

    def over(what: str, arm: str) -> Row:
        share = us["Classic"] / us[arm]
        return Row(f"{what}, calls per CPU second over Locust's example", f"{share:.2f}", "> 1", share > 1)

    return [
        Row(f"plain grpc.aio, {CALLERS} callers in a loop: client CPU", f"{us['plain']:.0f} us a call"),
        row("null arm: the same again", "plain again", "plain"),
        row("our client, in the same loops", "client", "plain"),
        row(f"CallerUser in Locust, {CALLERS} users (closed loop in the engine)", "Caller", "plain", 0.75),
        row(f"PipelineUser in Locust, {CALLERS} users (closed loop of greenlets)", "Closed", "plain"),
        row(f"Locust's own gRPC example style, {CALLERS} users", "Classic", "plain"),
        over("CallerUser", "Caller"),
        over("PipelineUser", "Closed"),
        Row(f"plain grpc.aio, {RATE_PER_S:g} arrivals/s", f"{us['plain open']:.0f} us a call"),
        row(f"ArrivalUser in Locust, {RATE_PER_S:g} arrivals/s (open loop)", "Open", "plain open", 0.75),
        *load_workers.rows(crews, CALLERS),
    ]


if __name__ == "__main__":
    if len(sys.argv) == 4:
        print(json.dumps(asyncio.run(LOOPS[sys.argv[1]](sys.argv[2], float(sys.argv[3])))))
    else:
        from benchmarks.harness import table

        print(table(run()))
