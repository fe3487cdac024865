"""Fifty sessions of paced audio at once, through the client and over bare calls."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import numpy as np

import rpe
from benchmarks.harness import Row, percentile, server_process
from rpe.wire.generated.remotemedia.v1 import streaming_pb2, streaming_pb2_grpc
from rpe.wire.manifest import encode_manifest
from rpe.wire.protobuf import encode

STREAMS = 50
CHUNK_S = 0.02
CHUNKS = 200
ON_TIME_S = 0.1
MANIFEST = rpe.Manifest.single("echo", node_type="Echo")
CHUNK = rpe.Audio(np.zeros(320, dtype=np.int16), 16000)


async def _paced(send: Callable[[int], Awaitable[object]], starts: list[float]) -> None:
    began_s = time.perf_counter()
    for number in range(CHUNKS):
        due_s = began_s + number * CHUNK_S
        await asyncio.sleep(max(due_s - time.perf_counter(), 0))
        starts.append(due_s)
        await send(number)


async def _ours(client: rpe.ReliableClient, delays: list[float]) -> None:
    starts: list[float] = []
    async with await client.open_stream(MANIFEST) as session, asyncio.TaskGroup() as tasks:

        async def send_all() -> None:
            await _paced(lambda number: session.send(CHUNK), starts)
            await session.finish()

        tasks.create_task(send_all())
        async for result in session:
            delays.append(time.perf_counter() - starts[result.sequence])


async def _bare(stub: Any, delays: list[float]) -> None:
    starts: list[float] = []
    call = stub.StreamPipeline()
    await call.write(
        streaming_pb2.StreamRequest(init=streaming_pb2.StreamInit(manifest=encode_manifest(MANIFEST)))
    )
    await call.read()

    async def send(number: int) -> None:
        chunk = streaming_pb2.DataChunk(node_id="echo", sequence=number, buffer=encode(CHUNK))
        await call.write(streaming_pb2.StreamRequest(data_chunk=chunk))

    async def send_all() -> None:
        await _paced(send, starts)
        await call.done_writing()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(send_all())
        while (response := await call.read()) is not grpc.aio.EOF:
            delays.append(time.perf_counter() - starts[response.result.sequence])


async def _measure(addresses: list[str]) -> tuple[list[float], float, list[float], float]:
    ours: list[float] = []
    bare: list[float] = []
    async with rpe.connect(addresses, seed=1) as client, grpc.aio.insecure_channel(addresses[0]) as channel:
        stub: Any = streaming_pb2_grpc.StreamingPipelineServiceStub(channel)
        cpu_s = time.process_time()
        await asyncio.gather(*(_bare(stub, bare) for _ in range(STREAMS)))
        bare_cpu_s = time.process_time() - cpu_s
        cpu_s = time.process_time()
        await asyncio.gather(*(_ours(client, ours) for _ in range(STREAMS)))
        return ours, time.process_time() - cpu_s, bare, bare_cpu_s


def run() -> list[Row]:
    with server_process("benchmarks.echo_server", "3") as words:
        ours, ours_cpu_s, bare, bare_cpu_s = asyncio.run(_measure(words[:-1]))
    total = STREAMS * CHUNKS

    def on_time(delays: list[float]) -> float:
        return sum(delay_s <= ON_TIME_S for delay_s in delays) / total

    share = on_time(ours)
    return [
        Row(
            f"{STREAMS} bare streams at 20 ms, answered within {ON_TIME_S * 1000:.0f} ms of due",
            f"{on_time(bare):.2%}",
        ),
        Row(f"{STREAMS} streams at 20 ms through the client", f"{share:.2%}", ">= 99%", share >= 0.99),
        Row(
            "round trip of a chunk, p50: client, bare",
            f"{percentile(ours, 0.5) * 1000:.2f} ms, {percentile(bare, 0.5) * 1000:.2f} ms",
        ),
        Row(
            "CPU per chunk: client, bare",
            f"{ours_cpu_s / total * 1e6:.0f} us, {bare_cpu_s / total * 1e6:.0f} us",
        ),
    ]
