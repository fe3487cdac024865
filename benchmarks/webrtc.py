"""WebRTC: the client beside bare aiortc, on one server that is the same for every arm."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from functools import partial

import rpe
from benchmarks.bare.webrtc import BareChannel, BarePeer
from benchmarks.chunks import ECHO, TEXT
from benchmarks.harness import Row, Sample, in_turn, measure_shuffled, median, server_process
from rpe.transport.ports import PipelineClient
from rpe.transport.registry import get_transport
from rpe.wire.generated.remotemedia.v1 import common_pb2, streaming_pb2
from rpe.wire.manifest import encode_manifest

CALLS = 1000
SINK = rpe.Manifest.single("sink", node_type="Sink")
BULK_BYTES = 2 * 1024 * 1024
BULK_REPEATS = 12
SIZES = {"16 KiB": 16 * 1024, "64 KiB": 64 * 1024, "1 MiB": 1024 * 1024}
SLICE_BYTES = 64 * 1024

Bulk = Callable[[int], Awaitable[None]]


async def _ask(client: PipelineClient) -> str:
    result = await client.execute(ECHO, {"echo": rpe.Text(TEXT)}, timeout_s=30.0)
    return result.output.text if isinstance(result.output, rpe.Text) else ""


async def _ask_reliable(client: rpe.ReliableClient) -> str:
    result = await client.execute(ECHO, rpe.Text(TEXT))
    return result.output.text if isinstance(result.output, rpe.Text) else ""


async def _unary(addresses: list[str]) -> list[Row]:
    async with AsyncExitStack() as stack:
        # Each arm has a peer of its own for each endpoint, as ours has: what is used less is colder.
        peers = [await _peer(stack, address) for address in (addresses[0], *addresses, addresses[0])]
        client = get_transport("webrtc").create_client(addresses[0], {})
        stack.push_async_callback(client.close)
        reliable = await stack.enter_async_context(rpe.connect(addresses, transport="webrtc", seed=1))
        arms: dict[str, Callable[[], Awaitable[str]]] = {
            "bare": peers[0].first.ask_text,
            "bare again": peers[-1].first.ask_text,
            "bare over 3": in_turn([peer.first.ask_text for peer in peers[1:-1]]),
            "transport": partial(_ask, client),
            "reliable": partial(_ask_reliable, reliable),
        }
        return _unary_rows(await measure_shuffled(arms, calls=CALLS))


async def _peer(stack: AsyncExitStack, address: str) -> BarePeer:
    peer = await BarePeer.open(address)
    stack.push_async_callback(peer.close)
    return peer


def _unary_rows(samples: dict[str, Sample]) -> list[Row]:
    bare = samples["bare"]

    def ratio(arm: str, base: str = "bare") -> float:
        return samples[arm].p50_s / samples[base].p50_s

    def added(arm: str) -> str:
        return f"{(samples[arm].cpu_p50_s - bare.cpu_p50_s) * 1e6:+.0f} us"

    own, reliable = ratio("transport"), ratio("reliable", "bare over 3")
    return [
        Row(
            "1 KB there and back, p50 of bare aiortc; its loop CPU",
            f"{bare.p50_s * 1e6:.0f} us; {bare.cpu_p50_s * 1e6:.0f} us",
        ),
        Row("null arm, p50 ratio; CPU added", f"{ratio('bare again'):.3f}; {added('bare again')}"),
        Row("bare over 3 peers, p50 ratio; CPU added", f"{ratio('bare over 3'):.3f}; {added('bare over 3')}"),
        Row("our transport, p50 ratio to bare", f"{own:.3f}", "<= 1.10", own <= 1.10),
        Row("our transport, loop CPU added", added("transport")),
        Row(
            "client over 3 endpoints, p50 ratio to bare over 3 peers",
            f"{reliable:.3f}",
            "<= 1.10",
            reliable <= 1.10,
        ),
        Row(
            "client over 3 endpoints, p50 ratio to bare over one; CPU added",
            f"{ratio('reliable'):.3f}; {added('reliable')}",
        ),
    ]


async def _both_ends(address: str, own_address: str) -> list[Row]:
    """Our client with our own server, beside bare aiortc at both ends."""
    async with AsyncExitStack() as stack:
        peers = [await _peer(stack, address) for _ in range(2)]
        client = get_transport("webrtc").create_client(own_address, {})
        stack.push_async_callback(client.close)
        samples = await measure_shuffled(
            {
                "bare": peers[0].first.ask_text,
                "bare again": peers[1].first.ask_text,
                "ours": partial(_ask, client),
            },
            calls=CALLS,
        )
    bare_s = samples["bare"].p50_s
    return [
        Row("our client with our own server, p50 ratio to bare", f"{samples['ours'].p50_s / bare_s:.3f}"),
        Row("its null arm, p50 ratio", f"{samples['bare again'].p50_s / bare_s:.3f}"),
    ]


def _chunk(sequence: int, size: int) -> bytes:
    buffer = common_pb2.DataBuffer(binary=common_pb2.BinaryBuffer(data=bytes(size)))
    chunk = streaming_pb2.DataChunk(node_id="sink", sequence=sequence, buffer=buffer)
    return streaming_pb2.StreamRequest(data_chunk=chunk).SerializeToString()


async def _bare_bulk(channel: BareChannel, size: int) -> None:
    """A session of so many bytes over a bare channel, in slices where a message is too large for it."""
    init = streaming_pb2.StreamInit(manifest=encode_manifest(SINK))
    channel.send(streaming_pb2.StreamRequest(init=init).SerializeToString())
    await channel.receive()

    def messages() -> Iterator[bytes | str]:
        for number in range(BULK_BYTES // size):
            chunk = _chunk(number, size)
            if size <= SLICE_BYTES:
                yield chunk
            else:
                yield str(len(chunk))
                yield from (chunk[at : at + SLICE_BYTES] for at in range(0, len(chunk), SLICE_BYTES))
        if size > SLICE_BYTES:
            yield "0"
        close = streaming_pb2.StreamControl(command=streaming_pb2.StreamControl.COMMAND_CLOSE)
        yield streaming_pb2.StreamRequest(control=close).SerializeToString()

    await channel.pour(messages())
    await channel.receive()


async def _own_bulk(client: PipelineClient, size: int) -> None:
    session = await client.open_stream(SINK, timeout_s=60.0, open_timeout_s=5.0)
    for number in range(BULK_BYTES // size):
        await session.send(rpe.Binary(bytes(size)), node_id="sink", sequence=number)
    await session.finish()
    while await session.receive() is not None:
        pass


async def _bulk(address: str) -> list[Row]:
    rows: list[Row] = []
    async with AsyncExitStack() as stack:
        peer = await _peer(stack, address)
        client = get_transport("webrtc").create_client(address, {})
        stack.push_async_callback(client.close)
        bare, own = partial(_bare_bulk, peer.first), partial(_own_bulk, client)
        arms: dict[str, Bulk] = {"bare": bare, "ours": own, "null": bare}
        for name, size in SIZES.items():
            spent: dict[str, list[tuple[float, float]]] = {arm: [] for arm in arms}
            order = list(arms.items())
            for _ in range(BULK_REPEATS):
                order = [*order[1:], order[0]]
                for arm, work in order:
                    cpu_s, began_s = time.process_time(), time.perf_counter()
                    await work(size)
                    spent[arm].append((time.perf_counter() - began_s, time.process_time() - cpu_s))
            rows += _bulk_rows(name, spent)
    return rows


def _bulk_rows(name: str, spent: dict[str, list[tuple[float, float]]]) -> list[Row]:
    megabytes = BULK_BYTES / 1e6

    def rate(arm: str) -> float:
        return megabytes / median([wall_s for wall_s, _ in spent[arm]])

    def cpu_ms(arm: str) -> float:
        return median([cpu_s for _, cpu_s in spent[arm]]) / megabytes * 1000

    def pairs(arm: str, which: int) -> float:
        both = zip(spent[arm], spent["bare"], strict=True)
        return median([one[which] / bare[which] for one, bare in both])

    return [
        Row(f"one way, {name} each, bare: rate; CPU", f"{rate('bare'):.1f} MB/s; {cpu_ms('bare'):.0f} ms/MB"),
        Row("null arm: rate; CPU, ratios", f"{1 / pairs('null', 0):.2f}; {pairs('null', 1):.2f}"),
        Row(
            f"one way, {name} each, ours: rate over bare; CPU over bare",
            f"{1 / pairs('ours', 0):.2f}; {pairs('ours', 1):.2f}",
        ),
    ]


def run() -> list[Row]:
    with (
        server_process("benchmarks.webrtc_server", "3") as words,
        server_process("benchmarks.own_server", "webrtc") as own,
    ):
        unary = asyncio.run(_unary(words[:-1]))
        both = asyncio.run(_both_ends(words[0], own[0]))
        bulk = asyncio.run(_bulk(words[0]))
    return [*unary, *both, *bulk]


if __name__ == "__main__":
    from benchmarks.harness import table

    print(table(run()))
