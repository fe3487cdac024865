"""Signalling by gRPC: our server against bare stubs, our client against a bare service."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from rpe.errors import (
    AuthenticationFailed,
    ConnectionLost,
    InvalidRequest,
    ProtocolViolation,
    RemoteUnavailable,
    RpeError,
)
from rpe.transport.webrtc.signalling.port import RemoteCandidate
from rpe.wire.generated.remotemedia.v1.webrtc import signaling_pb2 as pb
from rpe.wire.generated.remotemedia.v1.webrtc import signaling_pb2_grpc
from tests.support.signalling import ANSWER, CANDIDATE, OFFER, Host, eventually, opened, our_tasks, signalling

SERVER = "remotemedia-server"
TOKEN = (("authorization", "Bearer t"),)


class Client:
    """Bare stubs of one channel, and one Signal call."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.stub: Any = signaling_pb2_grpc.WebRtcSignalingStub(channel)
        self.call = self.stub.Signal(metadata=TOKEN, timeout=10)

    async def ask(self, **request: Any) -> pb.SignalingResponse:
        await self.call.write(pb.SignalingRequest(request_id="r", **request))
        return await self.read()

    async def read(self) -> pb.SignalingResponse:
        response = await self.call.read()
        assert isinstance(response, pb.SignalingResponse), response
        return response

    async def announce(self, peer_id: str) -> pb.SignalingResponse:
        capabilities = pb.PeerCapabilities(audio=True, data=True)
        request = pb.AnnounceRequest(peer_id=peer_id, capabilities=capabilities, metadata={"name": "Ada"})
        return await self.ask(announce=request)


@asynccontextmanager
async def connected(endpoint: str, peer_id: str = "") -> AsyncIterator[Client]:
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(endpoint, options=options) as channel:
        client = Client(channel)
        if peer_id:
            assert (await client.announce(peer_id)).WhichOneof("response") == "ack"
        yield client
        client.call.cancel()


def offer(to: str = SERVER, sdp: str = OFFER) -> dict[str, pb.OfferRequest]:
    return {"offer": pb.OfferRequest(to_peer_id=to, sdp=sdp, type="offer")}


def candidate(to: str = SERVER, text: str = CANDIDATE.candidate) -> dict[str, pb.IceCandidateRequest]:
    return {"ice_candidate": pb.IceCandidateRequest(to_peer_id=to, candidate=text, sdp_mid="0")}


async def test_a_session_by_the_book() -> None:
    host = Host(token="t")
    async with signalling("grpc", host) as endpoint, connected(endpoint) as client:
        announced = await client.announce("p")
        assert announced.request_id == "r"
        assert json.loads(announced.ack.data) == {"peer_id": "p", "peers_count": 1, "other_peers": []}
        answered = await client.ask(**offer())
        assert json.loads(answered.ack.data)["sdp"] == ANSWER
        assert (await client.ask(**candidate())).WhichOneof("response") == "ack"
        await eventually(("candidate", CANDIDATE), host)
        await host.peers["p"].send_candidate(CANDIDATE)
        told = (await client.read()).notification.ice_candidate
        assert (told.from_peer_id, told.candidate, told.sdp_mid) == (SERVER, CANDIDATE.candidate, "0")
        listed = (await client.ask(list_peers=pb.ListPeersRequest())).peer_list
        assert listed.count == 1
        assert (listed.peers[0].peer_id, listed.peers[0].state) == ("p", pb.PEER_STATE_AVAILABLE)
        assert listed.peers[0].metadata == {"name": "Ada"}
        peers = await client.stub.GetPeers(pb.GetPeersRequest(), metadata=TOKEN)
        assert peers.peers[0].capabilities == pb.PeerCapabilities(audio=True, data=True)
        assert (await client.ask(disconnect=pb.DisconnectRequest(peer_id="p"))).ack.message
        await client.call.done_writing()
        assert await client.call.read() is grpc.aio.EOF
        assert await client.call.code() is grpc.StatusCode.OK
    assert host.met[-1] == ("left", "p")


async def test_two_peers_reach_each_other() -> None:
    async with signalling("grpc", Host()) as endpoint, connected(endpoint, "a") as a:
        async with connected(endpoint, "b") as b:
            assert (await a.read()).notification.peer_joined.peer_id == "b"
            assert (await a.ask(**offer("b"))).ack.message
            assert (await a.ask(**offer("b"))).error.code == 32005
            received = (await b.read()).notification.offer
            assert (received.from_peer_id, received.sdp, received.type) == ("a", OFFER, "offer")
            assert received.offer_id
            answer = pb.AnswerRequest(to_peer_id="a", sdp=ANSWER, type="answer")
            assert (await b.ask(answer=answer)).ack.message
            told = (await a.read()).notification.answer
            assert (told.from_peer_id, told.sdp, told.type) == ("b", ANSWER, "answer")
            assert (await b.ask(**candidate("a"))).ack.message
            assert (await a.read()).notification.ice_candidate.from_peer_id == "b"
        assert (await a.read()).notification.peer_disconnected.peer_id == "b"
        async with connected(endpoint, "c") as c:
            assert (await a.read()).notification.peer_joined.peer_id == "c"
            await c.ask(disconnect=pb.DisconnectRequest())
            assert (await a.read()).notification.peer_left.peer_id == "c"


async def test_each_mistake_has_its_code_and_the_call_goes_on() -> None:
    async with signalling("grpc", Host()) as endpoint, connected(endpoint) as client:
        assert (await client.ask(**offer())).error.code == 32000
        assert (await client.announce("")).error.code == 32602
        assert (await client.announce("p")).ack.message
        wrong: list[tuple[dict[str, Any], int]] = [
            ({}, 32600),
            ({"announce": pb.AnnounceRequest(peer_id="q")}, 32600),
            (offer("nobody"), 32000),
            (offer(sdp="hello"), 32002),
            ({"answer": pb.AnswerRequest(to_peer_id=SERVER, sdp=ANSWER)}, 32003),
            (candidate(text="hello"), 32004),
            ({"disconnect": pb.DisconnectRequest(peer_id="q")}, 32602),
        ]
        for request, code in wrong:
            assert (await client.ask(**request)).error.code == code, request
        assert (await client.ask(list_peers=pb.ListPeersRequest())).peer_list.count == 1


async def test_bytes_that_are_no_message() -> None:
    async with (
        signalling("grpc", Host()) as endpoint,
        grpc.aio.insecure_channel(endpoint) as channel,
    ):
        call: Any = channel.stream_stream("/remotemedia.v1.webrtc.WebRtcSignaling/Signal")(timeout=10)
        await call.write(b"\xff\xff\xff")
        assert pb.SignalingResponse.FromString(await call.read()).error.code == 32700
        call.cancel()


async def test_no_token_and_a_wrong_one() -> None:
    host = Host(token="right")
    async with signalling("grpc", host) as endpoint, connected(endpoint) as client:
        assert await client.call.code() is grpc.StatusCode.UNAUTHENTICATED
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.stub.GetPeers(pb.GetPeersRequest(), metadata=TOKEN)
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        health = await client.stub.HealthCheck(pb.HealthCheckRequest())
        assert (health.status, health.connected_peers) == ("healthy", 0)
        host.is_serving = False
        assert (await client.stub.HealthCheck(pb.HealthCheckRequest())).status == "unhealthy"


# --- our client, and services that nobody here wrote -------------------------------------------------------

Answers = Callable[[pb.SignalingRequest], list[bytes | pb.SignalingResponse]]


@asynccontextmanager
async def service(answers: Answers, code: grpc.StatusCode = grpc.StatusCode.OK) -> AsyncIterator[str]:
    """A Signal method that answers each request by a function; an empty list of answers ends the call."""

    async def signal(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        async for payload in requests:
            if not (told := answers(pb.SignalingRequest.FromString(payload))):
                break
            for item in told:
                yield item if isinstance(item, bytes) else item.SerializeToString()
        if code is not grpc.StatusCode.OK:
            await context.abort(code, "said the server")

    server = grpc.aio.server()
    handlers: dict[str, Any] = {"Signal": grpc.stream_stream_rpc_method_handler(signal)}
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("remotemedia.v1.webrtc.WebRtcSignaling", handlers),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


def acknowledge(request: pb.SignalingRequest, data: str = "") -> pb.SignalingResponse:
    return pb.SignalingResponse(request_id=request.request_id, ack=pb.AckResponse(message="ok", data=data))


@pytest.mark.parametrize("data", [json.dumps({"type": "answer", "sdp": ANSWER}), json.dumps(ANSWER), ANSWER])
async def test_an_answer_in_the_acknowledgement(data: str) -> None:
    requests: list[pb.SignalingRequest] = []

    def answers(request: pb.SignalingRequest) -> list[bytes | pb.SignalingResponse]:
        requests.append(request)
        return [acknowledge(request, data if request.WhichOneof("request") == "offer" else "")]

    async with service(answers) as endpoint, opened(endpoint, "grpc") as signaller:
        assert await signaller.offer(OFFER) == ANSWER
        await signaller.send_candidate(CANDIDATE)
    announce, offered, candidate, disconnect = requests
    assert announce.announce.peer_id == "p"
    assert announce.announce.capabilities == pb.PeerCapabilities(data=True)
    assert offered.offer == pb.OfferRequest(to_peer_id=SERVER, sdp=OFFER, type="offer")
    assert candidate.ice_candidate.candidate == CANDIDATE.candidate
    assert disconnect.disconnect.peer_id == "p"
    assert len({request.request_id for request in (announce, offered)}) == 2


async def test_an_answer_as_a_notification_after_an_empty_acknowledgement() -> None:
    def answers(request: pb.SignalingRequest) -> list[bytes | pb.SignalingResponse]:
        told: list[bytes | pb.SignalingResponse] = [acknowledge(request)]
        if request.WhichOneof("request") == "offer":
            answer = pb.AnswerNotification(from_peer_id=SERVER, sdp=ANSWER, type="answer")
            given = pb.IceCandidateNotification(from_peer_id=SERVER, candidate="", sdp_mid="0")
            joined = pb.PeerJoinedNotification(peer_id="q")
            told += [
                pb.SignalingResponse(notification=pb.SignalingNotification(peer_joined=joined)),
                pb.SignalingResponse(notification=pb.SignalingNotification(ice_candidate=given)),
                pb.SignalingResponse(notification=pb.SignalingNotification(answer=answer)),
            ]
        return told

    async with service(answers) as endpoint, opened(endpoint, "grpc") as signaller:
        assert await signaller.offer(OFFER) == ANSWER
        assert await signaller.receive() == RemoteCandidate("", "0", 0)


def error(number: str, code: int, message: str = "no") -> pb.SignalingResponse:
    return pb.SignalingResponse(request_id=number, error=pb.ErrorResponse(code=code, message=message))


@pytest.mark.parametrize(
    ("answer", "meant"),
    [
        (b"\xff\xff\xff", ProtocolViolation),
        (pb.SignalingResponse(), ProtocolViolation),
        (error("1", 32602), InvalidRequest),
        (error("1", 2**32 - 32602), InvalidRequest),
        (error("", 32700), ProtocolViolation),
        (error("1", 32000), RemoteUnavailable),
        (error("1", 16, "unauthenticated"), AuthenticationFailed),
    ],
    ids=str,
)
async def test_rubbish_and_refusals(answer: bytes | pb.SignalingResponse, meant: type[RpeError]) -> None:
    async with service(lambda _: [answer]) as endpoint, asyncio.timeout(5):
        with pytest.raises(meant) as caught:
            async with opened(endpoint, "grpc"):
                pass
        assert type(caught.value) is meant
    assert our_tasks() == []


@pytest.mark.parametrize(
    ("code", "meant"),
    [
        (grpc.StatusCode.OK, ConnectionLost),
        (grpc.StatusCode.UNAUTHENTICATED, AuthenticationFailed),
        (grpc.StatusCode.UNAVAILABLE, RemoteUnavailable),
        (grpc.StatusCode.UNIMPLEMENTED, ProtocolViolation),
    ],
    ids=str,
)
async def test_a_call_that_ends(code: grpc.StatusCode, meant: type[RpeError]) -> None:
    async with service(lambda _: [], code) as endpoint, asyncio.timeout(5):
        with pytest.raises(meant) as caught:
            async with opened(endpoint, "grpc"):
                pass
        assert caught.value.endpoint == endpoint


async def test_a_server_without_the_service() -> None:
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        # Where a call ends in the middle of a write, gRPC may tell of the write, and not of the end.
        with pytest.raises((ProtocolViolation, ConnectionLost)):
            async with opened(f"127.0.0.1:{port}", "grpc"):
                pass
    finally:
        await server.stop(None)
