"""Answers that are good protobuf and wrong: what becomes of the message, and what our client makes of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from pydantic import TypeAdapter

import rpe
from rpe.data import Audio, RuntimeData, Text
from rpe.errors import ProtocolViolation, RemoteExecutionFailed, RemoteTimeout, RpeError
from rpe.fakes.journal import Kind
from rpe.fakes.mouth import RawCall, RawGrpcServer
from rpe.fakes.mouth.script import CallFault
from rpe.fakes.mouth.wrong import CannotApply, answer_descriptor, made_wrong
from rpe.manifest.model import Manifest
from rpe.transport.grpc.client import GrpcPipelineClient
from rpe.transport.grpc.settings import GrpcSettings
from rpe.wire.generated.remotemedia.v1 import common_pb2, execution_pb2, streaming_pb2
from tests.support.raw_grpc import STREAM

PAGE = Path(__file__).resolve().parents[3] / "docs" / "fakes-wire-faults.md"
ECHO = Manifest.single("echo", node_type="Echo")
SOUND = Audio(np.arange(160, dtype=np.float32) / 200, 16_000)
RESULT = streaming_pb2.StreamResponse(
    result=streaming_pb2.ChunkResult(
        sequence=7, data_outputs={"a": common_pb2.DataBuffer(text=common_pb2.TextBuffer(text_data=b"hi"))}
    )
)
PARSED: TypeAdapter[Any] = TypeAdapter(CallFault)


def wrong(message: Any = RESULT, **fault: Any) -> Any:
    payload, _ = made_wrong(PARSED.validate_python(fault), message.DESCRIPTOR, message.SerializeToString())
    return type(message).FromString(payload)


def test_another_member_of_a_oneof_has_the_same_content_where_it_fits() -> None:
    outer = wrong(kind="wrong_oneof")
    assert outer.WhichOneof("response") == "error"
    inner = wrong(kind="wrong_oneof", oneof="data_type").result
    assert inner.data_outputs["a"].binary.data == b"hi" and inner.sequence == 7
    assert wrong(kind="wrong_oneof", member="audio").result.data_outputs["a"].audio.samples == b"hi"
    last = common_pb2.ControlMessage(deadline_warning=common_pb2.DeadlineWarning(deadline_us=9))
    assert wrong(last, kind="wrong_oneof").cancel_speculation.from_timestamp == 9


def test_an_enum_has_a_number_that_nobody_knows() -> None:
    audio = common_pb2.DataBuffer(audio=common_pb2.AudioBuffer(num_samples=1))
    assert wrong(audio, kind="enum_out_of_range").audio.format == 99
    answer = execution_pb2.ExecuteResponse(result=execution_pb2.ExecutionResult(data_outputs={"a": audio}))
    assert wrong(answer, kind="enum_out_of_range", value=-4).result.status == -4
    deep = wrong(answer, kind="enum_out_of_range", field="format").result
    assert (deep.status, deep.data_outputs["a"].audio.format) == (0, 99)


@pytest.mark.parametrize(("kind", "left"), [("swapped_types", 1), ("missing_field", 0)])
def test_a_field_is_gone_for_its_reader(kind: str, left: int) -> None:
    changed = wrong(kind=kind, field="sequence")
    assert changed.result.sequence == 0 and changed.result.data_outputs["a"].text.text_data == b"hi"
    assert wrong(kind=kind).WhichOneof("response") is None
    assert bool(wrong(kind=kind).SerializeToString()) is bool(left)
    text = wrong(kind=kind, field="text_data").result.data_outputs["a"].text
    assert text.text_data == b"" and bool(text.SerializeToString()) is bool(left)
    shape = common_pb2.TensorBuffer(shape=[2, 3])
    assert list(wrong(shape, kind=kind).shape) == []


def test_unknown_fields_are_everywhere_and_change_nothing_that_is_known() -> None:
    changed = wrong(kind="unknown_fields", count=4)
    assert changed.result.sequence == 7
    text = changed.result.data_outputs["a"].text
    assert text.text_data == b"hi" and len(text.SerializeToString()) > len(b"hi") + 2 + 4 * 3
    for part in (changed, changed.result, changed.result.data_outputs["a"], text):
        part.DiscardUnknownFields()
    assert changed == RESULT


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "wrong_oneof", "oneof": "outcome"},
        {"kind": "wrong_oneof", "member": "text"},
        {"kind": "enum_out_of_range"},
        {"kind": "swapped_types", "field": "samples"},
        {"kind": "missing_field", "field": "no_such_name"},
    ],
    ids=str,
)
def test_what_has_no_place_in_a_message_is_refused(fault: dict[str, Any]) -> None:
    with pytest.raises(CannotApply):
        wrong(**fault)


def test_what_the_answers_of_a_method_are() -> None:
    known = answer_descriptor(STREAM)
    assert known is not None and known.full_name == "remotemedia.v1.StreamResponse"
    assert answer_descriptor("/grpc.health.v1.Health/Check") is not None
    assert answer_descriptor("/remotemedia.v1.StreamingPipelineService/NoSuchMethod") is None
    assert answer_descriptor("/no.Such/Method") is None and answer_descriptor("") is None


async def outcome(fault: dict[str, Any], data: RuntimeData) -> tuple[list[tuple[int, bool]], RpeError | None]:
    """Send three chunks, of which the second is answered wrongly; return the results, and the error."""
    got: list[tuple[int, bool]] = []
    async with RawGrpcServer({"calls": [{**fault, "after_messages": 2}]}) as server:
        client = GrpcPipelineClient(server.endpoint, GrpcSettings())
        session = await client.open_stream(ECHO, timeout_s=10, open_timeout_s=5)
        try:
            for number in range(3):
                await session.send(data, node_id="echo", sequence=number)
                result = await session.receive()
                assert result is not None
                got.append((result.sequence, list(result.outputs.values()) == [data]))
        except RpeError as error:
            return got, error
        finally:
            session.cancel()
            await client.close()
            assert server.journal.entries(fault=fault["kind"]), "it was not applied"
    return got, None


@pytest.mark.parametrize(
    ("fault", "data", "expected"),
    [
        ({"kind": "wrong_oneof"}, SOUND, RemoteExecutionFailed),
        ({"kind": "wrong_oneof", "member": "audio"}, Text("x"), ProtocolViolation),
        ({"kind": "wrong_oneof", "member": "json"}, Text("x"), ProtocolViolation),
        ({"kind": "enum_out_of_range"}, SOUND, ProtocolViolation),
        ({"kind": "swapped_types"}, Text("x"), ProtocolViolation),
        ({"kind": "swapped_types", "field": "samples"}, SOUND, ProtocolViolation),
        ({"kind": "swapped_types", "field": "num_samples"}, SOUND, ProtocolViolation),
        ({"kind": "missing_field"}, Text("x"), ProtocolViolation),
        ({"kind": "missing_field", "field": "text"}, Text("x"), ProtocolViolation),
        ({"kind": "missing_field", "field": "sample_rate"}, SOUND, ProtocolViolation),
    ],
    ids=str,
)
async def test_a_session_that_gets_a_wrong_answer(
    fault: dict[str, Any], data: RuntimeData, expected: type[RpeError]
) -> None:
    got, error = await outcome(fault, data)
    assert got == [(0, True)]
    assert type(error) is expected


async def test_a_session_bears_fields_that_it_does_not_know() -> None:
    assert await outcome({"kind": "unknown_fields"}, SOUND) == ([(0, True), (1, True), (2, True)], None)


def rows() -> list[tuple[dict[str, Any], str, str]]:
    """Return the rows of the page about what a session takes for good."""
    found = re.findall(r"^\| `(\{[^`]+\})` \| ([^|]+) \| ([^|]+) \|$", PAGE.read_text(), re.M)
    return [(json.loads(fault), plain, repeatable) for fault, plain, repeatable in found]


async def said(session: Any) -> str:
    """Send three chunks one by one, and tell what came in the place of the last result, as the page does."""
    try:
        for number in range(3):
            await session.send(Text("x"), node_id="echo", sequence=number)
            result = await session.receive()
    except RemoteTimeout:
        return "no result; the deadline ends the wait"
    except ProtocolViolation as error:
        told = re.search(r"an answer to chunk 0 came after (one to chunk 1)", str(error))
        assert told is not None
        return "`ProtocolViolation`: it follows one of chunk 1"
    if result is None:
        return "the end, in good order"
    kind = result.output.kind
    if kind == "text":
        if result.sequence == 2:
            assert session.moves == 1
            return "moves, and is served"
        return f"a result of chunk {result.sequence}"
    return f"a {kind}"


@pytest.mark.parametrize(("fault", "plain", "repeatable"), rows(), ids=str)
async def test_what_a_session_takes_for_good(fault: dict[str, Any], plain: str, repeatable: str) -> None:
    script = {"calls": [{**fault, "after_messages": 3, "path": "StreamPipeline", "first": 1}]}
    async with RawGrpcServer(script) as server:
        client = GrpcPipelineClient(server.endpoint, GrpcSettings())
        assert await said(await client.open_stream(ECHO, timeout_s=0.3, open_timeout_s=0.3)) == plain
        await client.close()
    async with RawGrpcServer(script) as server, rpe.connect([server.endpoint]) as reliable:
        timeout_s = 0.3 if "deadline" in repeatable else 5
        session = await reliable.open_stream(ECHO, repeatable=True, timeout_s=timeout_s)
        try:
            assert await said(session) == repeatable
        finally:
            await session.__aexit__(None, None, None)


def test_the_page_has_such_rows() -> None:
    assert len(rows()) == 4


def any_service() -> descriptor_pool.DescriptorPool:
    """Return a pool with a service of no generated module."""
    file = descriptor_pb2.FileDescriptorProto(name="any.proto", package="any", syntax="proto3")
    mood = file.enum_type.add(name="Mood")
    mood.value.add(name="MOOD_UNSPECIFIED", number=0)
    said = file.message_type.add(name="Said")
    field = descriptor_pb2.FieldDescriptorProto
    said.field.add(
        name="mood", number=1, type=field.TYPE_ENUM, label=field.LABEL_OPTIONAL, type_name=".any.Mood"
    )
    file.service.add(name="Service").method.add(name="Say", input_type=".any.Said", output_type=".any.Said")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


async def answer_nothing(call: RawCall) -> bytes | None:
    await call.read()
    return b""


@pytest.mark.parametrize(("pool", "said"), [(any_service(), b"\x08\x63"), (None, b"")], ids=["told", "not"])
async def test_any_service_whose_descriptors_are_told(pool: Any, said: bytes) -> None:
    """Where they are not, the answer is as it was, and the journal says so."""
    script = {"calls": [{"kind": "enum_out_of_range"}]}
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with (
        RawGrpcServer(script, answer_nothing, pool=pool) as server,
        grpc.aio.insecure_channel(server.endpoint, options=options) as channel,
    ):
        say: Any = channel.unary_unary("/any.Service/Say")
        assert await say(b"", timeout=5) == said
        [entry] = server.journal.entries(Kind.FAULT)
        assert entry.fault == ("not_applied" if pool is None else "enum_out_of_range")
