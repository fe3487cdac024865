"""The reliable client beside a bare stub, and beside what one would build from well-known parts."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from itertools import cycle
from typing import Any

import grpc
import tenacity
from purgatory import AsyncCircuitBreakerFactory

import rpe
from benchmarks.harness import Row, Sample, measure_shuffled, median, server_process
from rpe.wire.generated.remotemedia.v1 import common_pb2, execution_pb2, execution_pb2_grpc
from rpe.wire.manifest import encode_manifest
from rpe.wire.protobuf import decode, encode

CALLS = 2000
TEXT = "x" * 1024
CONCURRENCY = 32
SLICES = 12
SLICE_CALLS = 400


def _bare(channel: grpc.aio.Channel, manifest: rpe.Manifest) -> Any:
    """What a user writes who has no layer at all: the stub, the message, the answer's text."""
    stub: Any = execution_pb2_grpc.PipelineExecutionServiceStub(channel)
    encoded = encode_manifest(manifest)

    async def call() -> str:
        buffer = common_pb2.DataBuffer(text=common_pb2.TextBuffer(text_data=TEXT.encode()))
        request = execution_pb2.ExecuteRequest(
            manifest=encoded, data_inputs={"echo": buffer}, client_version="v1"
        )
        response = await stub.ExecutePipeline(request)
        return str(response.result.data_outputs["output"].text.text_data.decode())

    return call


def _typed(channels: list[grpc.aio.Channel], manifest: rpe.Manifest) -> Any:
    """The bare stubs of all channels in turn, carrying the same data types as the client, with a deadline."""
    stubs: list[Any] = [execution_pb2_grpc.PipelineExecutionServiceStub(channel) for channel in channels]
    turn = cycle(stubs)
    encoded = encode_manifest(manifest)
    data = rpe.Text(TEXT)

    async def call() -> str:
        request = execution_pb2.ExecuteRequest(
            manifest=encoded, data_inputs={"echo": encode(data)}, client_version="v1"
        )
        response = await next(turn).ExecutePipeline(request, timeout=30.0)
        output = decode(response.result.data_outputs["output"])
        return output.text if isinstance(output, rpe.Text) else ""

    return call


def _stack(bare: Any) -> Any:
    """The same stub in tenacity, purgatory and asyncio.timeout."""
    breakers = AsyncCircuitBreakerFactory(default_threshold=5, default_ttl=30)

    async def call() -> str:
        async for attempt in tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(4), wait=tenacity.wait_exponential_jitter(1, 30), reraise=True
        ):
            with attempt:
                async with await breakers.get_breaker("endpoint"), asyncio.timeout(30):
                    return str(await bare())
        raise AssertionError("the loop returns or raises")

    return call


def _ours(client: rpe.ReliableClient, manifest: rpe.Manifest) -> Any:
    data = rpe.Text(TEXT)

    async def call() -> str:
        result = await client.execute(manifest, data)
        output = result.output
        return output.text if isinstance(output, rpe.Text) else ""

    return call


async def _rate(call: Any) -> float:
    """Calls per second with `CONCURRENCY` workers."""

    async def worker() -> None:
        for _ in range(SLICE_CALLS // CONCURRENCY):
            await call()

    began_s = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(CONCURRENCY)))
    return SLICE_CALLS / (time.perf_counter() - began_s)


async def _measure(addresses: list[str]) -> list[Row]:
    manifest = rpe.Manifest.single("echo", node_type="Echo")
    async with AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(
                grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])
            )
            for address in addresses
        ]
        client = await stack.enter_async_context(rpe.connect(addresses, seed=1))
        bares = [_bare(channel, manifest) for channel in channels]
        turn = iter(range(1 << 62))

        async def bare_over_all() -> str:
            return str(await bares[next(turn) % len(bares)]())

        ours = _ours(client, manifest)
        arms = {
            "bare": bares[0],
            "bare again": bares[0],
            "typed, 3 channels": _typed(channels, manifest),
            "rpe, 3 endpoints": ours,
            "tenacity + purgatory + timeout": _stack(bares[0]),
        }
        samples = await measure_shuffled(arms, calls=CALLS)
        rates: dict[str, list[float]] = {"bare": [], "null": [], "ours": []}
        for _ in range(SLICES):
            rates["bare"].append(await _rate(bare_over_all))
            rates["ours"].append(await _rate(ours))
            rates["null"].append(await _rate(bare_over_all))
    return [*_unary_rows(samples), *_rate_rows(rates)]


def _unary_rows(samples: dict[str, Sample]) -> list[Row]:
    bare = samples["bare"]
    null = samples["bare again"]
    ours = samples["rpe, 3 endpoints"]
    typed = samples["typed, 3 channels"]
    stack = samples["tenacity + purgatory + timeout"]

    def added_us(sample: Sample) -> float:
        return (sample.cpu_p50_s - bare.cpu_p50_s) * 1e6

    ratio = ours.p50_s / bare.p50_s
    share = added_us(ours) / added_us(stack)
    return [
        Row("unary 1 KB, p50 of a bare stub", f"{bare.p50_s * 1e6:.0f} us"),
        Row("null arm: bare stub again, p50 ratio", f"{null.p50_s / bare.p50_s:.3f}"),
        Row("null arm: bare stub again, loop CPU added", f"{added_us(null):+.1f} us"),
        Row(
            "bare stubs over 3 channels with our data types and a deadline, p50 ratio",
            f"{typed.p50_s / bare.p50_s:.3f}",
        ),
        Row(
            "bare stubs over 3 channels with our data types and a deadline, CPU", f"{added_us(typed):+.1f} us"
        ),
        Row("client over 3 endpoints, p50 ratio to bare", f"{ratio:.3f}", "<= 1.05", ratio <= 1.05),
        Row("client over 3 endpoints, p50 ratio to those", f"{ours.p50_s / typed.p50_s:.3f}"),
        Row("client, loop CPU added", f"{added_us(ours):+.1f} us", "<= 35 us", added_us(ours) <= 35),
        Row("tenacity + purgatory + timeout, p50 ratio", f"{stack.p50_s / bare.p50_s:.3f}"),
        Row("tenacity + purgatory + timeout, loop CPU added", f"{added_us(stack):+.1f} us"),
        Row("client's added CPU over theirs", f"{share:.2f}", "<= 0.20", share <= 0.20),
    ]


def _rate_rows(rates: dict[str, list[float]]) -> list[Row]:
    pairs = [ours / bare for ours, bare in zip(rates["ours"], rates["bare"], strict=True)]
    nulls = [null / bare for null, bare in zip(rates["null"], rates["bare"], strict=True)]
    ratio = median(pairs)
    return [
        Row(
            f"rate at concurrency {CONCURRENCY}, bare over 3 channels", f"{median(rates['bare']):.0f} calls/s"
        ),
        Row("null arm: the same again, median of ratios", f"{median(nulls):.3f}"),
        Row("client's rate over bare", f"{ratio:.3f}", ">= 0.95", ratio >= 0.95),
    ]


def run() -> list[Row]:
    with server_process("benchmarks.echo_server", "3") as words:
        return asyncio.run(_measure(words[:-1]))


if __name__ == "__main__":
    from benchmarks.harness import table

    print(table(run()))
