"""HTTP: the client beside bare aiohttp, on one server that is the same for every arm."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import aiohttp
import numpy as np

import rpe
from benchmarks.bare.http import HttpStream, execute_audio, execute_text
from benchmarks.chunks import AUDIO, ECHO, TEXT
from benchmarks.harness import Row, Sample, in_turn, measure_shuffled, median, server_process
from rpe.transport.http.sse import EventParser
from rpe.transport.ports import PipelineClient
from rpe.transport.registry import get_transport
from rpe.wire.json import decode_transport, encode_transport

CALLS = {"1 KB of text": 2000, "20 ms of audio": 1000}
EVENTS = 20_000
EVENT_REPEATS = 9
SECOND = rpe.Audio(np.random.default_rng(7).uniform(-1, 1, 16_000).astype(np.float32), 16_000)
SECOND_REPEATS = 15
POUR = rpe.Manifest.single("pour", node_type="Pour", events=EVENTS)

BARE_LINES = "bare aiohttp, lines only"
BARE_JSON = "bare aiohttp, lines and json.loads"
PARSER = "our parser over aiohttp's bytes"
SESSION = "our session, data decoded"


async def _transport_call(client: PipelineClient, data: rpe.RuntimeData) -> Any:
    return (await client.execute(ECHO, {"echo": data}, timeout_s=30.0)).output


async def _reliable_call(client: rpe.ReliableClient, data: rpe.RuntimeData) -> Any:
    return (await client.execute(ECHO, data)).output


async def _unary(addresses: list[str]) -> list[Row]:
    rows: list[Row] = []
    async with AsyncExitStack() as stack:
        # The null arm has a connection of its own, as ours has: what is used less is colder.
        session = await stack.enter_async_context(aiohttp.ClientSession())
        again = await stack.enter_async_context(aiohttp.ClientSession())
        over_all = await stack.enter_async_context(aiohttp.ClientSession())
        client = get_transport("http").create_client(addresses[0], {})
        stack.push_async_callback(client.close)
        reliable = await stack.enter_async_context(rpe.connect(addresses, transport="http", seed=1))
        payloads: dict[str, tuple[Any, rpe.RuntimeData]] = {
            "1 KB of text": (execute_text, rpe.Text(TEXT)),
            "20 ms of audio": (execute_audio, AUDIO),
        }
        for name, (bare, data) in payloads.items():
            arms: dict[str, Callable[[], Awaitable[Any]]] = {
                "bare": partial(bare, session, addresses[0]),
                "bare again": partial(bare, again, addresses[0]),
                "bare over 3": in_turn([partial(bare, over_all, address) for address in addresses]),
                "transport": partial(_transport_call, client, data),
                "reliable": partial(_reliable_call, reliable, data),
            }
            rows += _unary_rows(name, await measure_shuffled(arms, calls=CALLS[name]))
    return rows


def _unary_rows(what: str, samples: dict[str, Sample]) -> list[Row]:
    bare = samples["bare"]

    def ratio(arm: str, base: str = "bare") -> float:
        return samples[arm].p50_s / samples[base].p50_s

    def added(arm: str) -> str:
        return f"{(samples[arm].cpu_p50_s - bare.cpu_p50_s) * 1e6:+.0f} us"

    own, reliable = ratio("transport"), ratio("reliable", "bare over 3")
    return [
        Row(f"{what}: p50 of bare aiohttp; its loop CPU", f"{_us(bare.p50_s)}; {_us(bare.cpu_p50_s)}"),
        Row(f"{what}: null arm, p50 ratio; CPU added", f"{ratio('bare again'):.3f}; {added('bare again')}"),
        Row(
            f"{what}: bare over 3 endpoints, p50 ratio; CPU added",
            f"{ratio('bare over 3'):.3f}; {added('bare over 3')}",
        ),
        Row(f"{what}: our transport, p50 ratio to bare", f"{own:.3f}", "<= 1.10", own <= 1.10),
        Row(f"{what}: our transport, loop CPU added", added("transport")),
        Row(
            f"{what}: client over 3 endpoints, p50 ratio to bare over them",
            f"{reliable:.3f}",
            "<= 1.10",
            reliable <= 1.10,
        ),
        Row(
            f"{what}: client over 3 endpoints, p50 ratio to bare over one; CPU added",
            f"{ratio('reliable'):.3f}; {added('reliable')}",
        ),
    ]


async def _events(address: str) -> list[Row]:
    """Events per second of one session's output, by each way of reading it."""
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        client = get_transport("http").create_client(address, {})
        stack.push_async_callback(client.close)

        async def lines(*, parsed: bool) -> float:
            stream = await HttpStream.open(session, address, POUR.to_dict())
            began_s = time.perf_counter()
            await stream.lines(EVENTS, parsed=parsed)
            spent_s = time.perf_counter() - began_s
            stream.close()
            return spent_s

        async def parser() -> float:
            stream = await HttpStream.open(session, address, POUR.to_dict())
            events = EventParser(1 << 20)
            left = EVENTS
            began_s = time.perf_counter()
            while left > 0:
                left -= len(events.feed(await stream.content.readany()))
            spent_s = time.perf_counter() - began_s
            stream.close()
            return spent_s

        async def receiving() -> float:
            stream = await client.open_stream(POUR, timeout_s=60.0, open_timeout_s=5.0)
            began_s = time.perf_counter()
            for _ in range(EVENTS):
                await stream.receive()
            spent_s = time.perf_counter() - began_s
            stream.cancel()
            return spent_s

        arms: dict[str, Callable[[], Awaitable[float]]] = {
            BARE_LINES: partial(lines, parsed=False),
            BARE_JSON: partial(lines, parsed=True),
            "null": partial(lines, parsed=True),
            PARSER: parser,
            SESSION: receiving,
        }
        rates: dict[str, list[float]] = {name: [] for name in arms}
        for _ in range(EVENT_REPEATS):
            for name, arm in arms.items():
                rates[name].append(EVENTS / await arm())
    return _event_rows(rates)


def _event_rows(rates: dict[str, list[float]]) -> list[Row]:
    def ratio(arm: str, base: str) -> str:
        return f"{median([a / b for a, b in zip(rates[arm], rates[base], strict=True)]):.2f}"

    def rate(arm: str) -> str:
        return f"{median(rates[arm]):.0f}/s"

    return [
        Row(f"events of a session, {BARE_LINES}", rate(BARE_LINES)),
        Row(
            f"events of a session, {PARSER}; over lines only", f"{rate(PARSER)}; {ratio(PARSER, BARE_LINES)}"
        ),
        Row(f"events of a session, {BARE_JSON}", rate(BARE_JSON)),
        Row("null arm: the same again, median of ratios", ratio("null", BARE_JSON)),
        Row(
            f"events of a session, {SESSION}; over json.loads",
            f"{rate(SESSION)}; {ratio(SESSION, BARE_JSON)}",
        ),
    ]


def _naive() -> Any:
    samples = SECOND.samples.tolist()
    audio = {"Audio": {"samples": samples, "sample_rate": 16_000, "channels": 1}}
    text = json.dumps({"data": audio, "sequence": None, "metadata": {}}).encode()
    return np.asarray(json.loads(text)["data"]["Audio"]["samples"], np.float32)


def _codec() -> Any:
    return decode_transport(encode_transport(SECOND)).data


def _second() -> list[Row]:
    """One second of audio to JSON text and back."""
    spent: dict[str, list[float]] = {"naive": [], "codec": [], "null": []}
    for _ in range(SECOND_REPEATS):
        for name, work in (("naive", _naive), ("codec", _codec), ("null", _naive)):
            began_s = time.thread_time()
            work()
            spent[name].append(time.thread_time() - began_s)
    naive_s, codec_s = median(spent["naive"]), median(spent["codec"])
    return [
        Row("1 s of audio to JSON and back, json and lists", f"{naive_s * 1e3:.1f} ms"),
        Row("null arm: the same again, ratio", f"{median(spent['null']) / naive_s:.3f}"),
        Row("1 s of audio to JSON and back, our codec", f"{codec_s * 1e3:.1f} ms, {naive_s / codec_s:.1f}x"),
    ]


def _us(seconds: float) -> str:
    return f"{seconds * 1e6:.0f} us"


def run() -> list[Row]:
    with server_process("benchmarks.http_server", "3") as words:
        addresses = words[:-1]
        unary = asyncio.run(_unary(addresses))
        events = asyncio.run(_events(addresses[0]))
    return [*unary, *events, *_second()]


if __name__ == "__main__":
    from benchmarks.harness import table

    print(table(run()))
