"""The folder `fakes`: all methods of our contracts have rules that answer, all ready-made pipelines load."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import grpc
import pytest

from rpe.data import Audio, RuntimeData, Text
from rpe.errors import RemoteExecutionFailed
from rpe.fakes.definition import Definitions, ProtoFake, load_definitions
from rpe.fakes.definition.descriptors import compile_protos
from rpe.fakes.pipelines import BUILT_IN_PIPELINES, built_in, load_pipeline
from rpe.manifest.model import Manifest
from rpe.transport.registry import get_transport
from rpe.wire.generated.remotemedia.v1.webrtc import signaling_pb2 as wire
from rpe.wire.generated.remotemedia.v1.webrtc.signaling_pb2_grpc import WebRtcSignalingStub

ROOT = Path(__file__).resolve().parents[1]
MAX_S = 10.0


def contracts(protos: Path) -> set[str]:
    """Every method that the `.proto` files of a folder have, as `service/method`."""
    files = sorted(protos.rglob("*.proto"))
    compiled = compile_protos(tuple(files), (protos,))
    return {
        f"{file.package}.{service.name}/{method.name}"
        for file in compiled.file
        for service in file.service
        for method in service.method
    }


def answered(definitions: Definitions) -> set[str]:
    """Every method that has rules."""
    return {
        f"{service}/{name}"
        for service, plan in definitions.services.items()
        for name, method in plan.methods.items()
        if method.rules
    }


@pytest.fixture(scope="module")
def definitions() -> Definitions:
    return load_definitions(ROOT / "fakes")


def test_every_method_of_our_contracts_has_rules(definitions: Definitions) -> None:
    expected = contracts(ROOT / "protos")
    assert expected
    assert answered(definitions) == expected


def test_a_method_that_is_added_to_a_contract_is_missed(tmp_path: Path) -> None:
    # Side by side, as the two folders lie in the checkout and in the installed package.
    shutil.copytree(ROOT / "protos" / "remotemedia", tmp_path / "protos" / "remotemedia")
    (tmp_path / "fakes").mkdir()
    for file in (ROOT / "fakes").glob("*.yaml"):
        shutil.copy(file, tmp_path / "fakes")
    proto = tmp_path / "protos" / "remotemedia" / "v1" / "execution.proto"
    text = proto.read_text()
    begin = "service PipelineExecutionService {"
    assert begin in text
    proto.write_text(text.replace(begin, begin + "\n  rpc Added(VersionRequest) returns (VersionResponse);"))
    missing = contracts(tmp_path / "protos") - answered(load_definitions(tmp_path / "fakes"))
    assert missing == {"remotemedia.v1.PipelineExecutionService/Added"}


def pipeline(node_type: str) -> Manifest:
    return Manifest.single("node", node_type=node_type)


async def ask_for_pipelines(endpoint: str) -> None:
    client = get_transport("grpc").create_client(endpoint, {})

    async def execute(node_type: str) -> RuntimeData:
        result = await client.execute(pipeline(node_type), {"node": Text("x")}, timeout_s=MAX_S)
        return result.output

    try:
        version = await client.get_version(timeout_s=MAX_S)
        assert version.compatible and version.protocol_version == "v1"
        assert await execute("SpeechToText") == Text("good morning", language="en")
        spoken = await execute("TextToSpeech")
        assert isinstance(spoken, Audio) and spoken.num_samples == 16 and spoken.samples.max() > 0.2
        with pytest.raises(RemoteExecutionFailed, match="out of memory"):
            await execute("Failing")
        session = await client.open_stream(pipeline("Echo"), timeout_s=MAX_S, open_timeout_s=MAX_S)
        for sequence, said in enumerate(["one", "two"]):
            await session.send(Text(said), node_id="node", sequence=sequence)
            result = await session.receive()
            assert result is not None and (result.sequence, result.output) == (sequence, Text(said))
        await session.finish()
        assert await session.receive() is None
    finally:
        await client.close()


async def ask_for_signalling(endpoint: str) -> None:
    asked = [
        wire.SignalingRequest(request_id="1", announce=wire.AnnounceRequest(peer_id="me")),
        wire.SignalingRequest(request_id="2", list_peers=wire.ListPeersRequest()),
        wire.SignalingRequest(request_id="3", offer=wire.OfferRequest(to_peer_id="you", sdp="v=0")),
        wire.SignalingRequest(request_id="4", answer=wire.AnswerRequest(to_peer_id="you", sdp="v=0")),
        wire.SignalingRequest(request_id="5", ice_candidate=wire.IceCandidateRequest(to_peer_id="you")),
        wire.SignalingRequest(request_id="6", disconnect=wire.DisconnectRequest(peer_id="me")),
    ]
    async with grpc.aio.insecure_channel(endpoint) as channel:
        stub: Any = WebRtcSignalingStub(channel)
        told = [answer async for answer in stub.Signal(iter(asked), timeout=MAX_S)]
        peers = await stub.GetPeers(wire.GetPeersRequest(), timeout=MAX_S)
        health = await stub.HealthCheck(wire.HealthCheckRequest(), timeout=MAX_S)
    kinds = ["ack", "peer_list", "notification", "ack", "ack", "ack"]
    assert [answer.request_id for answer in told] == ["1", "2", "3", "4", "5", "6"]
    assert [answer.WhichOneof("response") for answer in told] == kinds
    assert told[0].ack.message == "me is announced"
    assert told[2].notification.answer.from_peer_id == "you"
    assert peers.count == len(peers.peers) == 1 and health.status == "healthy"


async def test_every_method_is_answered_as_its_callers_understand_it(definitions: Definitions) -> None:
    async with ProtoFake(definitions) as fake:
        await ask_for_pipelines(fake.endpoint)
        await ask_for_signalling(fake.endpoint)
        ended = {f"{call.service}/{call.method}": call.code for call in fake.calls()}
    # The client hangs up when it has read `closed`, and need not wait for the status after it.
    session = next(name for name in ended if name.endswith("/StreamPipeline"))
    assert ended.pop(session) in ("OK", "CANCELLED")
    assert {**ended, session: "OK"} == dict.fromkeys(contracts(ROOT / "protos"), "OK")


async def test_what_has_no_manifest_is_refused(definitions: Definitions) -> None:
    async with ProtoFake(definitions) as fake, grpc.aio.insecure_channel(fake.endpoint) as channel:
        execute: Any = channel.unary_unary("/remotemedia.v1.PipelineExecutionService/ExecutePipeline")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await execute(b"", timeout=MAX_S)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_the_ready_made_pipelines_are_those_of_the_folder() -> None:
    files = sorted((ROOT / "fakes" / "pipelines").iterdir())
    assert files == sorted(built_in(name) for name in BUILT_IN_PIPELINES)
    for file in files:
        pipeline = load_pipeline(file)
        assert pipeline.name == file.stem
        assert pipeline.manifest is not None
