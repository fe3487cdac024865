"""Sessions of the gRPC server, driven by plain stubs."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

from rpe.transport.grpc.serving_session import GrpcServerSession
from rpe.transport.serving import Refusal, StatusCode
from rpe.wire.generated.remotemedia.v1 import common_pb2, streaming_pb2
from tests.support.handlers import Handler, serve
from tests.support.raw_grpc import CANCEL, CLOSE, chunk, init, raw, read_all, text


async def test_a_session_from_init_to_closed() -> None:
    handler = Handler()
    async with serve(handler) as server, raw(server.endpoint) as client:
        call = client.stream()
        await call.write(init())
        ready = (await call.read()).ready
        assert (ready.session_id, ready.recommended_chunk_size, ready.max_buffer_latency_ms) == (
            "s-1",
            320,
            50,
        )
        for sequence in (0, 1, 5):  # a gap is tolerated
            await call.write(chunk(sequence, f"c{sequence}"))
            result = (await call.read()).result
            assert result.sequence == sequence
            assert result.data_outputs["output"].text.text_data == f"c{sequence}".encode()
            assert result.processing_time_ms == 1.5
        await call.write(CLOSE)
        metrics, closed = await read_all(call)
        assert (metrics.metrics.chunks_processed, metrics.metrics.total_items) == (3, 3)
        assert (closed.closed.session_id, closed.closed.reason) == ("s-1", "done")
        assert await call.code() is grpc.StatusCode.OK
    assert [(c.node_id, c.sequence) for c in handler.seen] == [("n0", 0), ("n0", 1), ("n0", 5)]


async def test_close_flushes_what_was_sent_before_it_and_ignores_what_comes_after() -> None:
    handler = Handler()
    async with serve(handler) as server, raw(server.endpoint) as client:
        call = await client.session()
        for message in (*(chunk(n) for n in range(40)), CLOSE, chunk(40)):
            await call.write(message)
        answers = await read_all(call)
    kinds = [answer.WhichOneof("response") for answer in answers]
    assert kinds == ["result"] * 40 + ["metrics", "closed"]


async def test_a_half_close_ends_a_session_too() -> None:
    async with serve(Handler()) as server, raw(server.endpoint) as client:
        call = await client.session()
        await call.write(chunk(0))
        await call.done_writing()
        kinds = [answer.WhichOneof("response") for answer in await read_all(call)]
    assert kinds == ["result", "metrics", "closed"]


async def test_named_buffers_and_the_deprecated_kind_of_chunk() -> None:
    handler = Handler()
    named = streaming_pb2.DataChunk(node_id="n0", named_buffers={"a": text("1"), "b": text("2")}, sequence=0)
    buffer = common_pb2.AudioBuffer(
        samples=b"\0" * 8, sample_rate=8000, channels=1, format=common_pb2.AUDIO_FORMAT_F32, num_samples=2
    )
    old = streaming_pb2.AudioChunk(node_id="n0", buffer=buffer, sequence=1, timestamp_ms=7)
    async with serve(handler) as server, raw(server.endpoint) as client:
        call = await client.session()
        await call.write(streaming_pb2.StreamRequest(data_chunk=named))
        assert set((await call.read()).result.data_outputs) == {"a", "b"}
        await call.write(streaming_pb2.StreamRequest(audio_chunk=old))
        assert (await call.read()).result.data_outputs["output"].audio.num_samples == 2
        await call.write(CLOSE)
        await read_all(call)
    assert handler.seen[1].timestamp_ms == 7


BROKEN = {
    "a second init": init(),
    "nothing": streaming_pb2.StreamRequest(),
    "an empty chunk": streaming_pb2.StreamRequest(data_chunk=streaming_pb2.DataChunk(sequence=5)),
    "both kinds of buffer": streaming_pb2.StreamRequest(
        data_chunk=streaming_pb2.DataChunk(sequence=5, buffer=text("a"), named_buffers={"b": text("b")})
    ),
    "data of no kind": streaming_pb2.StreamRequest(
        data_chunk=streaming_pb2.DataChunk(sequence=5, buffer=common_pb2.DataBuffer())
    ),
    "a lower sequence": chunk(3),
    "the same sequence": chunk(4),
}


@pytest.mark.parametrize("message", BROKEN.values(), ids=BROKEN.keys())
async def test_a_broken_rule_is_told_inside_the_stream_and_ends_it(
    message: streaming_pb2.StreamRequest,
) -> None:
    async with serve(Handler()) as server, raw(server.endpoint) as client:
        call = await client.session()
        await call.write(chunk(4))
        await call.write(message)
        result, error = await read_all(call)
        assert result.result.sequence == 4
        assert error.error.error_type == common_pb2.ERROR_TYPE_VALIDATION
        assert error.error.message
        assert await call.code() is grpc.StatusCode.OK


@pytest.mark.parametrize("first", [chunk(0), CLOSE, streaming_pb2.StreamRequest()])
async def test_init_must_come_first(first: streaming_pb2.StreamRequest) -> None:
    handler = Handler()
    async with serve(handler) as server, raw(server.endpoint) as client:
        call = client.stream()
        await call.write(first)
        (answer,) = await read_all(call)
    assert "init" in answer.error.message
    assert not handler.calls


async def test_init_without_a_manifest_is_an_invalid_argument() -> None:
    async with serve(Handler()) as server, raw(server.endpoint) as client:
        call = client.stream()
        await call.write(streaming_pb2.StreamRequest(init=streaming_pb2.StreamInit(client_version="v1")))
        assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("position", ["first", "later"])
async def test_bytes_that_are_no_message_are_told_inside_the_stream(position: str) -> None:
    async with serve(Handler()) as server, raw(server.endpoint) as client:
        call = client.stream_bytes(timeout=10)
        if position == "later":
            await call.write(init().SerializeToString())
            await call.read()
        await call.write(b"\x07\x07\x07")
        (payload,) = await read_all(call)
    assert "StreamRequest" in streaming_pb2.StreamResponse.FromString(payload).error.message


async def test_a_caller_that_says_nothing_is_let_go() -> None:
    handler = Handler()
    async with serve(handler) as server, raw(server.endpoint) as client:
        call = client.stream()
        await call.done_writing()
        assert await read_all(call) == []
        assert await call.code() is grpc.StatusCode.OK
    assert not handler.calls


async def test_the_cancel_command_reaches_a_busy_handler() -> None:
    handler = Handler()
    handler.busy_s = 60
    async with serve(handler) as server, raw(server.endpoint) as client:
        call = await client.session()
        await call.write(chunk(0))
        await call.write(CANCEL)
        assert await call.code() is grpc.StatusCode.CANCELLED
        assert handler.cancelled.is_set()


class SlowContext:
    """What gRPC gives a handler, with a write that takes its time."""

    def __init__(self) -> None:
        self.requests = [init(), CANCEL]
        self.written = asyncio.Event()
        self.broken_off = False

    async def read(self) -> bytes:
        return self.requests.pop(0).SerializeToString()

    async def write(self, payload: bytes) -> None:
        try:
            await self.written.wait()
        except asyncio.CancelledError:
            self.broken_off = True
            raise


async def test_the_cancel_command_lets_a_write_end_first() -> None:
    # gRPC refuses the status of a call whose first write was broken off, and the caller would wait for it.
    context: Any = SlowContext()

    async def talk() -> None:
        async with GrpcServerSession(context) as session:
            await session.open()
            await session.ready("s-1")
            await asyncio.sleep(60)

    talking = asyncio.create_task(talk())
    await asyncio.sleep(0.05)
    assert not context.requests
    assert not talking.done()
    context.written.set()
    with pytest.raises(Refusal) as refused:
        await asyncio.wait_for(talking, 5)
    assert refused.value.status is StatusCode.CANCELLED
    assert not context.broken_off


async def test_a_cancelled_call_reaches_a_handler_that_waits_for_chunks() -> None:
    handler = Handler()
    async with serve(handler) as server, raw(server.endpoint) as client:
        call = await client.session()
        await asyncio.wait_for(handler.entered.wait(), 5)
        call.cancel()
        await asyncio.wait_for(handler.cancelled.wait(), 5)
        assert await client.echo("still here") == "still here"


async def test_a_refusal_ends_a_session_with_its_status() -> None:
    handler = Handler(Refusal(StatusCode.RESOURCE_EXHAUSTED, "full", retry_after_s=1.0))
    async with serve(handler) as server, raw(server.endpoint) as client:
        call = await client.session()
        await call.write(CLOSE)
        assert await call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert ("grpc-retry-pushback-ms", "1000") in tuple(await call.trailing_metadata())


async def test_a_handler_that_does_not_read_makes_the_wire_push_back() -> None:
    handler = Handler()
    handler.busy_s = 60
    async with serve(handler) as server, raw(server.endpoint) as client:
        call = await client.session()
        written = 0
        with pytest.raises(TimeoutError):
            for sequence in range(400):
                await asyncio.wait_for(call.write(chunk(sequence, "x" * 60_000)), 0.3)
                written += 1
        assert 16 <= written < 400
        call.cancel()
