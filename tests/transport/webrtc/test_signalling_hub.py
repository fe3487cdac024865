"""The hub behind both signalling servers: its peers reach each other, and nothing they say harms it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import aiohttp
import grpc
from hypothesis import given
from hypothesis import strategies as st

from rpe.transport.webrtc.signalling.errors import SignallingError
from rpe.transport.webrtc.signalling.grpc_messages import event_message, peer_messages
from rpe.transport.webrtc.signalling.grpc_server import GrpcSignalling
from rpe.transport.webrtc.signalling.hub import SignallingHub
from rpe.transport.webrtc.signalling.messages import Event
from rpe.transport.webrtc.signalling.rpc_events import event_text
from rpe.transport.webrtc.signalling.rpc_methods import RpcMethods
from rpe.transport.webrtc.signalling.websocket_server import WebSocketSignalling
from rpe.wire.generated.remotemedia.v1.webrtc import signaling_pb2 as pb
from rpe.wire.generated.remotemedia.v1.webrtc import signaling_pb2_grpc
from tests.support.signalling import ANSWER, CANDIDATE, OFFER, Host


async def test_one_hub_joins_the_peers_of_both_wires() -> None:
    """Over the wire of each, by bare clients: an offer, its answer, and a candidate."""
    hub = SignallingHub(Host())
    stub: Any
    async with (
        WebSocketSignalling(hub) as mouth,
        GrpcSignalling(hub) as other_mouth,
        aiohttp.ClientSession() as session,
        session.ws_connect(f"http://{mouth.endpoint}/ws") as ws,
        grpc.aio.insecure_channel(other_mouth.endpoint) as channel,
    ):
        announce = {"peer_id": "a", "capabilities": ["data"], "user_data": {"n": 5, "s": "x"}}
        await ws.send_json({"jsonrpc": "2.0", "id": 1, "method": "peer.announce", "params": announce})
        assert (await ws.receive_json())["result"]["success"]
        stub = signaling_pb2_grpc.WebRtcSignalingStub(channel)
        call = stub.Signal(timeout=10)
        await call.write(pb.SignalingRequest(announce=pb.AnnounceRequest(peer_id="b")))
        assert (await call.read()).WhichOneof("response") == "ack"
        assert (await ws.receive_json())["params"]["state"] == "available"
        peers = (await stub.GetPeers(pb.GetPeersRequest())).peers
        assert {peer.peer_id: dict(peer.metadata) for peer in peers} == {"a": {"n": "5", "s": "x"}, "b": {}}
        offer = {"from": "a", "to": "b", "sdp": OFFER}
        await ws.send_json({"jsonrpc": "2.0", "method": "peer.offer", "params": offer})
        assert (await call.read()).notification.offer.sdp == OFFER
        answer = pb.AnswerRequest(to_peer_id="a", sdp=ANSWER, type="answer")
        await call.write(pb.SignalingRequest(answer=answer))
        assert (await ws.receive_json())["params"] == {"from": "b", "to": "a", "sdp": ANSWER}
        call.cancel()
        assert (await ws.receive_json())["params"]["state"] == "offline"


METHODS = ["announce", "offer", "answer", "ice_candidate", "disconnect", "list", "state_change", "fly"]
NAMES = ["peer_id", "from", "to", "sdp", "candidate", "sdp_mid", "sdp_m_line_index", "state", "reason"]
NAMES += ["capabilities", "user_data"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9)
    | st.sampled_from(["a", "remotemedia-server", "auth_token", "v=0\r\nm=", "busy", CANDIDATE.candidate]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(METHODS), st.dictionaries(st.sampled_from(NAMES), VALUES))))
def test_no_call_does_more_than_fail(calls: list[tuple[str, dict[str, Any]]]) -> None:
    """Whatever the parameters are, a method answers or refuses, and the hub stays whole."""

    class Quiet:
        address = "127.0.0.1:1"
        metadata: Mapping[str, str] = {}

        def tell(self, peer_id: str, event: Event) -> None:
            event_text(event, peer_id)
            event_message(event)

        def abort(self) -> None:
            raise AssertionError

    async def play() -> None:
        hub = SignallingHub(Host())
        watching = RpcMethods(hub, Quiet())
        await watching.call("peer.announce", {"peer_id": "a"})
        methods = RpcMethods(hub, Quiet())
        for method, params in calls:
            try:
                json.dumps(await methods.call(f"peer.{method}", params))
            except SignallingError:
                pass
            peer_messages(hub.peers())
        await methods.leave()
        assert [peer.peer_id for peer in hub.peers()] == ["a"]

    asyncio.run(play())
