"""Every part of a script over gRPC, seen from a caller and from the journal: unary calls."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from itertools import pairwise
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.message import DecodeError

from rpe.data import Text, content_hash
from rpe.errors import DataValidationError
from rpe.fakes import Entry, FakeServer, Kind, NodeCall
from rpe.transport.serving import ErrorType, StatusCode
from rpe.wire.generated.remotemedia.v1 import common_pb2, execution_pb2
from rpe.wire.protobuf import decode
from tests.support.raw_grpc import Raw, audio, execute_request, raw, text

ENDS = (Kind.SENT, Kind.FAILED, Kind.CANCELLED)


async def outcomes(client: Raw, count: int) -> list[str]:
    """Call so many times, one after the other, and return how each call ended."""
    told = []
    for _ in range(count):
        try:
            await client.echo()
        except grpc.aio.AioRpcError as error:
            told.append(error.code().name)
        else:
            told.append("OK")
    return told


def ends(fake: FakeServer) -> list[Entry]:
    return fake.journal.entries(*ENDS)


async def test_an_honest_echo_and_what_the_journal_says_of_it() -> None:
    sent = (("rpe-operation-id", "op-1"), ("rpe-attempt", "2"))
    async with FakeServer(name="b") as fake, raw(fake.endpoint) as client:
        before_s = time.monotonic()
        assert await client.echo("hello", metadata=sent, timeout=2) == "hello"
        received, answered = fake.journal
    for entry in (received, answered):
        assert (entry.server, entry.call, entry.method) == ("b", 1, "execute")
        assert (entry.operation_id, entry.attempt) == ("op-1", 2)
        assert entry.remaining_s is not None and 0 < entry.remaining_s < 2.1
        assert before_s <= entry.at_s <= time.monotonic()
    assert (received.kind, received.content) == (Kind.RECEIVED, {"n0": content_hash(Text("hello"))})
    assert (answered.kind, answered.content) == (Kind.SENT, {"output": content_hash(Text("hello"))})
    assert fake.journal.in_flight == 0
    assert repr(fake) == f"<FakeServer b (grpc) at {fake.endpoint}>"


async def test_a_chain_of_nodes_runs() -> None:
    samples = np.array([0.25, 0.5], np.float32).tobytes()
    request = execute_request(audio(samples, 2), "Gain", "Echo", params=['{"gain": 2}'])
    async with FakeServer() as fake, raw(fake.endpoint) as client:
        result = (await client.execute(request)).result.data_outputs["output"].audio
        upper = await client.execute(execute_request(text("ab"), "UpperCase", "Reverse"))
    assert np.frombuffer(result.samples, np.float32).tolist() == [0.5, 1.0]
    assert upper.result.data_outputs["output"].text.text_data == b"BA"


async def test_an_unknown_node_type_is_a_validation_error_that_names_the_node() -> None:
    async with FakeServer() as fake, raw(fake.endpoint) as client:
        response = await client.execute(execute_request(text("x"), "Echo", "Magic"))
    assert response.error.error_type == common_pb2.ERROR_TYPE_VALIDATION
    assert response.error.failing_node_id == "n1"
    (end,) = ends(fake)
    assert (end.kind, end.detail) == (Kind.FAILED, "validation in n1: the node type 'Magic' is unknown here")


async def test_nodes_of_ones_own() -> None:
    def shout(data: Any, call: NodeCall) -> list[Text]:
        return [Text(data.text + "!"), Text("and again")]

    async with FakeServer(nodes={"Shout": shout}) as fake, raw(fake.endpoint) as client:
        outputs = (await client.execute(execute_request(text("hey"), "Shout"))).result.data_outputs
        version = (await client.version(execution_pb2.VersionRequest())).version_info
    assert outputs["output"].text.text_data == b"hey!"
    assert outputs["output.1"].text.text_data == b"and again"
    assert list(version.supported_node_types) == ["Shout"]


async def test_latency() -> None:
    async with FakeServer(behaviour={"latency": {"fixed_s": 0.05}}) as fake, raw(fake.endpoint) as client:
        started_s = time.monotonic()
        await client.echo()
        assert time.monotonic() - started_s >= 0.05
    assert [entry.detail for entry in fake.journal.entries(fault="latency")] == ["0.050000"]


@pytest.mark.parametrize("status", StatusCode)
async def test_errors_of_every_status(status: StatusCode) -> None:
    script = {"error": {"status": status.upper(), "message": "as told", "retry_after_s": 0.5}}
    async with FakeServer(behaviour=script) as fake, raw(fake.endpoint) as client:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.echo()
    assert caught.value.code() is grpc.StatusCode[status.name]
    assert caught.value.details() == "as told"
    assert ("grpc-retry-pushback-ms", "500") in tuple(caught.value.trailing_metadata() or ())
    (fault,) = fake.journal.entries(Kind.FAULT)
    assert (fault.fault, fault.detail) == ("error", status)
    assert [(end.kind, end.detail) for end in ends(fake)] == [(Kind.FAILED, f"{status}: as told")]


async def test_which_calls_an_error_meets() -> None:
    async with FakeServer() as fake, raw(fake.endpoint) as client:
        assert await outcomes(client, 3) == ["OK"] * 3
        for script, told in (
            ({"first": 2}, ["UNAVAILABLE"] * 2 + ["OK"] * 2),  # the count begins with the script
            ({"every": 2}, ["OK", "UNAVAILABLE"] * 2),
        ):
            await fake.set_behaviour({"error": script})
            assert await outcomes(client, 4) == told
        await fake.set_behaviour({})
        assert await outcomes(client, 2) == ["OK", "OK"]
    scripts = [entry.detail for entry in fake.journal.entries(Kind.SCRIPT)]
    assert scripts == ['{"error":{"first":2}}', '{"error":{"every":2}}', "{}"]


async def test_a_rate_depends_on_seed_and_name_alone() -> None:
    async def told(name: str, seed: int) -> list[str]:
        script = {"error": {"rate": 0.5}}
        async with FakeServer(name, behaviour=script, seed=seed) as fake, raw(fake.endpoint) as client:
            return await outcomes(client, 24)

    first = await told("a", 1)
    assert set(Counter(first)) == {"OK", "UNAVAILABLE"}
    assert await told("a", 1) == first
    assert await told("a", 2) != first
    assert await told("b", 1) != first


@pytest.mark.parametrize("kind", ErrorType)
async def test_application_errors_of_every_type(kind: ErrorType) -> None:
    script = {"application_error": {"error_type": kind, "message": "no", "node_id": "n0", "first": 1}}
    async with FakeServer(behaviour=script) as fake, raw(fake.endpoint) as client:
        error = (await client.execute(execute_request(text("x")))).error
        assert await client.echo() == "hi"
    assert common_pb2.ErrorType.Name(error.error_type) == f"ERROR_TYPE_{kind.name}"
    assert (error.message, error.failing_node_id) == ("no", "n0")
    assert [entry.detail for entry in fake.journal.entries(fault="application_error")] == [kind]
    assert ends(fake)[0].kind is Kind.FAILED


async def test_a_hang_ends_with_the_callers_deadline() -> None:
    async with FakeServer(behaviour={"hang": {"first": 1}}) as fake, raw(fake.endpoint) as client:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.echo(timeout=0.1)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        end = await fake.journal.wait_for(lambda entry: entry.kind is Kind.CANCELLED)
        assert (end.call, end.detail) == (1, "deadline")
        assert end.remaining_s == pytest.approx(0, abs=0.05)
        assert await client.echo() == "hi"
    assert len(fake.journal.entries(fault="hang")) == 1


async def test_a_hang_ends_with_the_callers_cancel() -> None:
    async with FakeServer(behaviour={"hang": {}}) as fake, raw(fake.endpoint) as client:
        call = client.execute(execute_request(text("x")), timeout=30)
        await fake.journal.wait_for(lambda entry: entry.fault == "hang")
        assert fake.journal.in_flight == 1
        call.cancel()
        end = await fake.journal.wait_for(lambda entry: entry.kind is Kind.CANCELLED)
    assert end.detail == "cancelled"
    assert fake.journal.in_flight == 0


async def corrupted(mode: str, request: execution_pb2.ExecuteRequest) -> tuple[bytes, FakeServer]:
    script = {"corrupt": {"mode": mode, "first": 1}}
    async with FakeServer(behaviour=script) as fake, raw(fake.endpoint) as client:
        payload = await client.execute_bytes(request.SerializeToString())
        assert await client.echo() == "hi"  # only the first one
    (fault,) = fake.journal.entries(Kind.FAULT)
    assert (fault.fault, fault.detail, fault.call) == ("corrupt", mode, 1)
    return payload, fake


TEXT = execute_request(text("hello"))
AUDIO = execute_request(audio(np.zeros(320, np.float32).tobytes(), 320))


@pytest.mark.parametrize("mode", ["truncated_message", "garbage"])
@pytest.mark.parametrize("request_", [TEXT, AUDIO])
async def test_answers_that_are_no_messages(mode: str, request_: execution_pb2.ExecuteRequest) -> None:
    payload, _ = await corrupted(mode, request_)
    assert payload
    with pytest.raises(DecodeError):
        execution_pb2.ExecuteResponse.FromString(payload)


async def test_an_answer_with_nothing_in_it() -> None:
    payload, _ = await corrupted("empty_oneof", TEXT)
    assert execution_pb2.ExecuteResponse.FromString(payload).WhichOneof("outcome") is None


@pytest.mark.parametrize(
    ("mode", "field"), [("bad_utf8", "text.text_data"), ("short_audio", "audio.samples")]
)
@pytest.mark.parametrize("request_", [TEXT, AUDIO])
async def test_answers_whose_data_break_their_contract_whatever_the_pipeline_gave(
    mode: str, field: str, request_: execution_pb2.ExecuteRequest
) -> None:
    payload, _ = await corrupted(mode, request_)
    outputs = execution_pb2.ExecuteResponse.FromString(payload).result.data_outputs
    with pytest.raises(DataValidationError) as caught:
        decode(outputs["output"])
    assert caught.value.message.startswith(field)


@pytest.mark.parametrize("request_", [TEXT, AUDIO])
async def test_a_faultless_answer_to_another_request(request_: execution_pb2.ExecuteRequest) -> None:
    payload, fake = await corrupted("wrong_output", request_)
    output = decode(execution_pb2.ExecuteResponse.FromString(payload).result.data_outputs["output"])
    received, sent = fake.journal.entries(Kind.RECEIVED, Kind.SENT)[:2]
    assert sent.content == {"output": content_hash(output)}
    assert content_hash(output) not in received.content.values()


async def test_overload_refuses_what_is_above_and_says_when_to_come_back() -> None:
    script = {"overload": {"above_in_flight": 2, "retry_after_s": 0.2}, "latency": {"fixed_s": 0.1}}
    async with FakeServer(behaviour=script) as fake, raw(fake.endpoint) as client:
        calls = [client.execute(execute_request(text("x"))) for _ in range(5)]
        codes = Counter([await call.code() for call in calls])
        trailers = [dict(await call.trailing_metadata()) for call in calls]
        assert codes == {grpc.StatusCode.OK: 2, grpc.StatusCode.RESOURCE_EXHAUSTED: 3}
        assert [t["grpc-retry-pushback-ms"] for t in trailers if t] == ["200"] * 3
        assert await client.echo() == "hi"
    assert len(fake.journal.entries(fault="overload")) == 3


async def test_capacity_makes_calls_wait_for_their_turn() -> None:
    script = {"capacity": {"workers": 1}, "latency": {"fixed_s": 0.02}}
    async with FakeServer(behaviour=script) as fake, raw(fake.endpoint) as client:
        await asyncio.gather(*(client.echo() for _ in range(4)))
        gone = client.execute(execute_request(text("x")))
        await fake.journal.wait_for(lambda entry: entry.call == 5)
        gone.cancel()
        assert await client.echo(timeout=5) == "hi"  # one that left has given its worker back
    answered = [entry.at_s for entry in fake.journal.entries(Kind.SENT)][:4]
    assert all(later - earlier >= 0.019 for earlier, later in pairwise(answered))
    assert len(fake.journal.entries(fault="capacity")) >= 3


@pytest.mark.parametrize("sent", [None, "s3cret", "Bearer s3cre", "Bearer S3CRET", "Bearer é"])
async def test_without_the_token_nothing_is_done(sent: str | None) -> None:
    metadata = (("authorization", sent),) if sent is not None and sent.isascii() else ()
    async with FakeServer(behaviour={"token": "s3cret"}) as fake, raw(fake.endpoint) as client:
        for method in (client.execute, client.version):
            request = TEXT if method is client.execute else execution_pb2.VersionRequest()
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await method(request, metadata=metadata)
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        assert await client.echo(metadata=(("authorization", "Bearer s3cret"),)) == "hi"
        await fake.set_behaviour({"token": "other"})
    told = "".join(entry.to_json() for entry in fake.journal)
    assert "s3cret" not in told and "other" not in told
    assert [end.kind for end in ends(fake)] == [Kind.FAILED, Kind.FAILED, Kind.SENT]


async def test_while_a_token_is_exchanged_both_are_taken_and_neither_is_told() -> None:
    script = {"token": "first-s3cret", "other_token": "second-s3cret"}
    async with FakeServer(behaviour=script) as fake, raw(fake.endpoint) as client:
        for token in ("first-s3cret", "second-s3cret"):
            assert await client.echo(metadata=(("authorization", f"Bearer {token}"),)) == "hi"
        with pytest.raises(grpc.aio.AioRpcError):
            await client.execute(TEXT, metadata=(("authorization", "Bearer third-s3cret"),))
        await fake.set_behaviour({"token": "second-s3cret", "other_token": None})
        with pytest.raises(grpc.aio.AioRpcError):
            await client.execute(TEXT, metadata=(("authorization", "Bearer first-s3cret"),))
    assert "s3cret" not in "".join(entry.to_json() for entry in fake.journal)


async def test_version() -> None:
    said = {"node_types": ["A", "B"], "protocol_version": "v9", "compatible": False, "message": "too new"}
    async with FakeServer() as fake, raw(fake.endpoint) as client:
        plain = await client.version(execution_pb2.VersionRequest())
        await fake.set_behaviour({"version": said})
        scripted = await client.version(execution_pb2.VersionRequest())
    assert {"Echo", "Gain", "Resample"} <= set(plain.version_info.supported_node_types)
    assert plain.compatible
    assert list(scripted.version_info.supported_node_types) == ["A", "B"]
    assert (scripted.version_info.protocol_version, scripted.compatible) == ("v9", False)
    assert scripted.compatibility_message == "too new"


@pytest.mark.parametrize(
    ("said", "check", "version"),
    [
        ("serving", "OK", "OK"),
        ("not_serving", "OK", "UNAVAILABLE"),
        ("hang", "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"),
        ("unimplemented", "UNIMPLEMENTED", "OK"),
    ],
)
async def test_health(said: str, check: str, version: str) -> None:
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    async with FakeServer(behaviour={"health": said}) as fake, raw(fake.endpoint) as client:
        stub: Any = health_pb2_grpc.HealthStub(client.channel)
        asked = stub.Check(health_pb2.HealthCheckRequest(), timeout=0.1)
        assert (await asked.code()).name == check
        if check == "OK":
            assert (await asked).status == (1 if said == "serving" else 2)
        other = client.version(execution_pb2.VersionRequest(), timeout=0.1)
        assert (await other.code()).name == version
        assert await client.echo() == "hi"  # health is what it says, not what it does
    assert bool(fake.journal.entries(fault="health", method="health")) == (said != "serving")
    assert bool(fake.journal.entries(fault="health", method="version")) == (version not in ("OK",))


async def test_a_hanging_health_check_is_answered_when_the_script_changes() -> None:
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    async with FakeServer(behaviour={"health": "hang"}) as fake, raw(fake.endpoint) as client:
        stub: Any = health_pb2_grpc.HealthStub(client.channel)
        asked = stub.Check(health_pb2.HealthCheckRequest(), timeout=5)
        await fake.journal.wait_for(lambda entry: entry.fault == "health")
        await fake.set_behaviour({})
        assert (await asked).status == health_pb2.HealthCheckResponse.SERVING
