"""Every part of a script over gRPC, seen from a caller and from the journal: sessions."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from typing import Any

import grpc
import pytest
from google.protobuf.message import DecodeError

from rpe.data import Text, content_hash
from rpe.fakes import FakeServer, Kind
from rpe.wire.generated.remotemedia.v1 import common_pb2, streaming_pb2
from rpe.wire.protobuf import decode
from tests.support.raw_grpc import CANCEL, CLOSE, chunk, init, raw, read_all

ENDS = (Kind.SENT, Kind.FAILED, Kind.CANCELLED)


def kinds(messages: list[Any]) -> list[str]:
    return [message.WhichOneof("response") for message in messages]


async def read_to_the_end(call: Any) -> tuple[list[str], grpc.StatusCode]:
    """Read until there is nothing more; return what came, and how the call ended."""
    seen: list[str] = []
    try:
        while (message := await call.read()) is not grpc.aio.EOF:
            seen.append(message.WhichOneof("response"))
    except grpc.aio.AioRpcError as error:
        return seen, error.code()
    return seen, await call.code()


async def told(fake: FakeServer) -> tuple[Kind, str]:
    end = await fake.journal.wait_for(lambda entry: entry.kind in ENDS)
    assert fake.journal.in_flight == 0
    assert len(fake.journal.entries(*ENDS)) == 1
    return end.kind, end.detail


async def test_an_honest_session_and_what_the_journal_says_of_it() -> None:
    async with FakeServer() as fake, raw(fake.endpoint) as client:
        call = await client.session("UpperCase", metadata=(("rpe-operation-id", "op-1"),))
        for sequence in (0, 2):
            await call.write(chunk(sequence, f"c{sequence}"))
            assert (await call.read()).result.sequence == sequence
        await call.write(CLOSE)
        assert kinds(await read_all(call)) == ["closed"]
    written = [(e.kind, e.sequence, dict(e.content)) for e in fake.journal]
    assert written == [
        (Kind.RECEIVED, None, {}),
        (Kind.READY, None, {}),
        (Kind.CHUNK, 0, {"n0": content_hash(Text("c0"))}),
        (Kind.RESULT, 0, {"output": content_hash(Text("C0"))}),
        (Kind.CHUNK, 2, {"n0": content_hash(Text("c2"))}),
        (Kind.RESULT, 2, {"output": content_hash(Text("C2"))}),
        (Kind.SENT, None, {}),
    ]
    assert {(e.method, e.operation_id, e.call) for e in fake.journal} == {("stream", "op-1", 1)}


async def test_a_chunk_may_give_several_results_or_none() -> None:
    def letters(data: Any, call: Any) -> list[Text]:
        return [Text(letter) for letter in data.text]

    async with FakeServer(nodes={"Letters": letters}) as fake, raw(fake.endpoint) as client:
        call = await client.session("Letters")
        for sequence, said in enumerate(["abc", "", "d"]):
            await call.write(chunk(sequence, said))
        await call.write(CLOSE)
        *results, closed = await read_all(call)
    assert [(r.result.sequence, r.result.data_outputs["output"].text.text_data) for r in results] == [
        (0, b"a"),
        (0, b"b"),
        (0, b"c"),
        (2, b"d"),
    ]
    assert [r.result.total_items_processed for r in results] == [1, 2, 3, 4]
    assert closed.WhichOneof("response") == "closed"


@pytest.mark.parametrize(("every", "chunks", "metrics"), [(10, 25, 2), (3, 7, 2), (0, 25, 0)])
async def test_metrics_come_unasked(every: int, chunks: int, metrics: int) -> None:
    script = {} if every == 10 else {"stream": {"metrics_every": every}}
    async with FakeServer(behaviour=script) as fake, raw(fake.endpoint) as client:
        call = await client.session()
        for sequence in range(chunks):
            await call.write(chunk(sequence))
        await call.write(CLOSE)
        messages = await read_all(call)
    found = [m.metrics for m in messages if m.WhichOneof("response") == "metrics"]
    assert [m.chunks_processed for m in found] == [every * (i + 1) for i in range(metrics)]
    assert len(messages) == chunks + metrics + 1


@pytest.mark.parametrize(
    ("script", "code", "end"),
    [
        ({"how": "reset"}, "UNAVAILABLE", "the connection was cut"),
        ({"how": "status"}, "UNAVAILABLE", "unavailable: scripted end of the stream"),
        ({"how": "status", "status": "DATA_LOSS"}, "DATA_LOSS", "data_loss: scripted end of the stream"),
        ({"how": "end"}, "OK", "ended without being closed"),
    ],
)
@pytest.mark.parametrize("after", [0, 2])
async def test_a_cut_comes_after_so_many_results(
    script: dict[str, Any], code: str, end: str, after: int
) -> None:
    behaviour = {"stream": {"cut_after": after, **script}}
    async with FakeServer(behaviour=behaviour) as fake, raw(fake.endpoint) as client:
        call = client.stream()
        for message in (init(), *(chunk(sequence) for sequence in range(after))):
            await call.write(message)
        seen, status = await read_to_the_end(call)
        assert seen == ["ready"] + ["result"] * after
        assert status.name == code
        assert await told(fake) == (Kind.FAILED, end)
    (fault,) = fake.journal.entries(Kind.FAULT)
    assert (fault.fault, fault.detail) == ("cut", f"{script['how']} after {after} results")


async def test_a_session_may_fall_silent() -> None:
    script = {"stream": {"cut_after": 1, "how": "silence"}}
    async with FakeServer(behaviour=script) as fake, raw(fake.endpoint) as client:
        call = await client.session()
        await call.write(chunk(0))
        assert (await call.read()).WhichOneof("response") == "result"
        await call.write(chunk(1))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(call.read(), 0.05)
        assert await told(fake) == (Kind.CANCELLED, "cancelled")


async def test_an_error_inside_the_stream() -> None:
    async with FakeServer(behaviour={"stream": {"error_after": 1}}) as fake, raw(fake.endpoint) as client:
        call = await client.session()
        await call.write(chunk(0))
        result, error = await read_all(call)
        assert error.error.error_type == common_pb2.ERROR_TYPE_NODE_EXECUTION
        assert await call.code() is grpc.StatusCode.OK
    assert result.result.sequence == 0
    assert (await told(fake))[0] is Kind.FAILED
    assert [e.fault for e in fake.journal.entries(Kind.FAULT)] == ["stream_error"]


async def test_results_drip() -> None:
    script = {"stream": {"drip_s": 0.03}}
    async with FakeServer(behaviour=script) as fake, raw(fake.endpoint) as client:
        call = await client.session()
        for sequence in range(3):
            await call.write(chunk(sequence))
        await call.write(CLOSE)
        await read_all(call)
    sent = [entry.at_s for entry in fake.journal.entries(Kind.RESULT)]
    assert all(later - earlier >= 0.03 for earlier, later in pairwise(sent))
    assert len(fake.journal.entries(fault="drip")) == 2


async def test_latency_meets_ready_and_each_chunk() -> None:
    script = {"latency": {"fixed_s": 0.02}}
    async with FakeServer(behaviour=script) as fake, raw(fake.endpoint) as client:
        started_s = time.monotonic()
        call = await client.session()
        assert time.monotonic() - started_s >= 0.02
        await call.write(chunk(0))
        result = (await call.read()).result
        assert result.processing_time_ms >= 20
        assert time.monotonic() - started_s >= 0.04
        call.cancel()
    assert [e.sequence for e in fake.journal.entries(fault="latency")] == [None, 0]


async def test_an_error_or_a_hang_meets_the_opening() -> None:
    script = {"error": {"first": 1, "status": "internal"}, "hang": {"every": 2}}
    async with FakeServer(behaviour=script) as fake, raw(fake.endpoint) as client:
        first = client.stream()
        await first.write(init())
        assert await first.code() is grpc.StatusCode.INTERNAL
        second = client.stream(timeout=0.1)
        await second.write(init())
        assert await read_to_the_end(second) == ([], grpc.StatusCode.DEADLINE_EXCEEDED)
        (await client.session()).cancel()
    assert [e.fault for e in fake.journal.entries(Kind.FAULT)] == ["error", "hang"]
    end = fake.journal.entries(Kind.CANCELLED)[0]
    assert (end.call, end.detail) == (2, "deadline")


async def test_an_application_error_takes_the_place_of_ready() -> None:
    script = {"application_error": {"error_type": "resource_limit", "message": "no room"}}
    async with FakeServer(behaviour=script) as fake, raw(fake.endpoint) as client:
        call = client.stream()
        await call.write(init())
        (answer,) = await read_all(call)
        assert answer.error.message == "no room"
        assert await told(fake) == (Kind.FAILED, "resource_limit: no room")


@pytest.mark.parametrize("node_type", ["Magic", "Gain"])
async def test_a_pipeline_that_cannot_run_is_told_inside_the_stream(node_type: str) -> None:
    async with FakeServer() as fake, raw(fake.endpoint) as client:
        call = client.stream()
        await call.write(init(node_type))
        await call.write(chunk(0))  # text is not for Gain
        answer = (await read_all(call))[-1]
        assert answer.error.failing_node_id == "n0"
        assert (await told(fake))[0] is Kind.FAILED


async def test_a_broken_rule_is_in_the_journal() -> None:
    async with FakeServer() as fake, raw(fake.endpoint) as client:
        call = await client.session()
        await call.write(chunk(3))
        await call.write(chunk(3))
        await read_all(call)
        kind, detail = await told(fake)
    assert kind is Kind.FAILED
    assert "the sequence must rise: 3 came after 3" in detail


async def test_both_ways_to_cancel_are_in_the_journal() -> None:
    async with FakeServer(behaviour={"latency": {"uniform_s": [0, 0]}}) as fake:
        async with raw(fake.endpoint) as client:
            call = await client.session()
            await call.write(CANCEL)
            assert await call.code() is grpc.StatusCode.CANCELLED
            (await client.session()).cancel()
            last = await fake.journal.wait_for(lambda e: e.call == 2 and e.kind in ENDS)
        assert [e.kind for e in fake.journal.entries(*ENDS)] == [Kind.CANCELLED] * 2
        assert last.detail == "cancelled"


@pytest.mark.parametrize("mode", ["truncated_message", "garbage", "empty_oneof", "bad_utf8", "short_audio"])
async def test_the_first_result_of_a_session_is_broken(mode: str) -> None:
    script = {"corrupt": {"mode": mode, "first": 1}}
    async with FakeServer(behaviour=script) as fake, raw(fake.endpoint) as client:
        call = client.stream_bytes(timeout=10)
        for message in (init(), chunk(0), chunk(1)):
            await call.write(message.SerializeToString())
        await call.read()
        broken, whole = await call.read(), await call.read()
        assert streaming_pb2.StreamResponse.FromString(whole).result.sequence == 1
        with pytest.raises((DecodeError, ValueError, AssertionError)):
            response = streaming_pb2.StreamResponse.FromString(broken)
            assert response.WhichOneof("response") == "result"
            decode_or_raise(response)
        call.cancel()
        second = await client.session()  # only the first session
        await second.write(chunk(0))
        assert (await second.read()).result.data_outputs["output"].text.text_data == b"hi"
    (fault,) = fake.journal.entries(Kind.FAULT)
    assert (fault.fault, fault.detail, fault.sequence) == ("corrupt", mode, 0)


def decode_or_raise(response: streaming_pb2.StreamResponse) -> None:
    from rpe.errors import DataValidationError

    try:
        decode(response.result.data_outputs["output"])
    except DataValidationError as error:
        raise ValueError(error.message) from error


async def test_a_wrong_result_in_a_session() -> None:
    script = {"corrupt": {"mode": "wrong_output"}}
    async with FakeServer(behaviour=script) as fake, raw(fake.endpoint) as client:
        call = await client.session()
        await call.write(chunk(0))
        output = decode((await call.read()).result.data_outputs["output"])
        call.cancel()
    assert isinstance(output, Text) and output.text != "hi"
    (result,) = fake.journal.entries(Kind.RESULT)
    assert result.content == {"output": content_hash(output)}


async def test_a_session_keeps_its_script_and_its_worker() -> None:
    async with FakeServer(behaviour={"capacity": {"workers": 1}}) as fake, raw(fake.endpoint) as client:
        call = await client.session()
        waiting = asyncio.create_task(client.echo())
        await fake.journal.wait_for(lambda entry: entry.fault == "capacity")
        await fake.set_behaviour({"stream": {"cut_after": 0}})
        await call.write(chunk(0))
        assert (await call.read()).WhichOneof("response") == "result"
        assert not waiting.done()
        await call.write(CLOSE)
        await read_all(call)
        assert await waiting == "hi"
