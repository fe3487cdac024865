"""Our WebSocket signalling server against a client that nobody here wrote: a bare WebSocket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from rpe.transport.webrtc.signalling.port import RemoteCandidate
from tests.support.signalling import ANSWER, CANDIDATE, OFFER, Host, eventually, signalling

SERVER = "remotemedia-server"


class Client:
    """A WebSocket and nothing else; notifications that come between answers are kept apart."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws
        self.notes: list[dict[str, Any]] = []
        self._number = 0

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        request = {"jsonrpc": "2.0", "id": self._number, "method": method, "params": params}
        answer: dict[str, Any] = await self.say(json.dumps(request))
        return answer

    async def say(self, text: str) -> Any:
        await self.ws.send_str(text)
        return await self.answer()

    async def answer(self) -> Any:
        while True:
            message = await self.ws.receive_json(timeout=5)
            if isinstance(message, list) or "method" not in message:
                return message
            self.notes.append(message)

    async def note(self) -> dict[str, Any]:
        """The next notification."""
        while not self.notes:
            message = await self.ws.receive_json(timeout=5)
            assert "method" in message, message
            self.notes.append(message)
        return self.notes.pop(0)

    async def tell(self, method: str, **params: Any) -> None:
        await self.ws.send_json({"jsonrpc": "2.0", "method": method, "params": params})


@asynccontextmanager
async def connected(endpoint: str, peer_id: str = "", **headers: str) -> AsyncIterator[Client]:
    url = f"http://{endpoint}/ws"
    async with aiohttp.ClientSession() as session, session.ws_connect(url, headers=headers) as ws:
        client = Client(ws)
        if peer_id:
            assert "result" in await client.ask("peer.announce", peer_id=peer_id, capabilities=["data"])
        yield client


def code(answer: dict[str, Any]) -> int:
    assert "result" not in answer
    return int(answer["error"]["code"])


async def test_a_session_by_the_book() -> None:
    host = Host()
    async with signalling("websocket", host) as endpoint, connected(endpoint) as client:
        announced = await client.ask("peer.announce", peer_id="p", capabilities=["audio", "video", "data"])
        assert announced == {
            "jsonrpc": "2.0",
            "id": 1,
            "result": {"success": True, "peer_id": "p", "peers_count": 1, "other_peers": []},
        }
        answered = await client.ask("peer.offer", **{"from": "p", "to": SERVER, "sdp": OFFER})
        assert answered["result"]["sdp"] == ANSWER
        params = {"from": "p", "to": SERVER, "candidate": CANDIDATE.candidate, "sdp_mid": "0"}
        await client.tell("peer.ice_candidate", **params, sdp_m_line_index=0)
        await client.tell("peer.ice_candidate", **{"from": "p", "to": SERVER, "candidate": ""})
        await eventually(("candidate", RemoteCandidate("")), host)
        assert ("candidate", CANDIDATE) in host.met
        await host.peers["p"].send_candidate(CANDIDATE)
        assert await client.note() == {
            "jsonrpc": "2.0",
            "method": "peer.ice_candidate",
            "params": {
                "from": SERVER,
                "to": "p",
                "candidate": CANDIDATE.candidate,
                "sdp_mid": "0",
                "sdp_m_line_index": 0,
            },
        }
        listed = await client.ask("peer.list")
        assert listed["result"]["count"] == 1
        assert listed["result"]["peers"][0]["capabilities"] == ["audio", "video", "data"]
        assert (await client.ask("peer.disconnect", peer_id="p", reason="done"))["result"]["success"]
        assert code(await client.ask("peer.list")) == -32000
    assert host.met[-1] == ("left", "p")


async def test_two_peers_reach_each_other() -> None:
    async with (
        signalling("websocket", Host()) as endpoint,
        connected(endpoint, "a") as a,
        connected(endpoint, "b") as b,
    ):
        joined = await a.note()
        assert joined["method"] == "peer.state_change"
        assert (joined["params"]["peer_id"], joined["params"]["state"]) == ("b", "available")
        offer = {"from": "a", "to": "b", "sdp": OFFER}
        assert (await a.ask("peer.offer", **offer))["result"]["success"]
        assert code(await a.ask("peer.offer", **offer)) == -32005
        received = await b.note()
        assert (received["method"], received["params"]["from"]) == ("peer.offer", "a")
        assert received["params"]["sdp"] == OFFER
        answer = {"from": "b", "to": "a", "sdp": ANSWER}
        assert (await b.ask("peer.answer", **answer))["result"]["success"]
        assert (await a.note())["params"]["sdp"] == ANSWER
        assert code(await b.ask("peer.answer", **answer)) == -32003
        candidate = {"from": "b", "to": "a", "candidate": CANDIDATE.candidate, "sdp_m_line_index": 0}
        assert "result" in await b.ask("peer.ice_candidate", **candidate)
        assert (await a.note())["params"] == candidate
        assert "result" in await b.ask("peer.state_change", peer_id="b", state="busy")
        assert (await a.note())["params"] == {"peer_id": "b", "state": "busy"}
        peers = (await a.ask("peer.list"))["result"]["peers"]
        assert {peer["peer_id"]: peer["state"] for peer in peers} == {"a": "available", "b": "busy"}
        await b.ask("peer.disconnect", peer_id="b", reason="tired")
        assert (await a.note())["params"] == {"peer_id": "b", "state": "offline", "reason": "tired"}
        assert code(await a.ask("peer.offer", **offer)) == -32000


async def test_an_offer_that_a_peer_never_answers_does_not_bar_the_next() -> None:
    async with (
        signalling("websocket", Host(), negotiation_timeout_s=0.05) as endpoint,
        connected(endpoint, "a") as a,
        connected(endpoint, "b"),
    ):
        offer = {"from": "a", "to": "b", "sdp": OFFER}
        assert "result" in await a.ask("peer.offer", **offer)
        await asyncio.sleep(0.06)
        assert "result" in await a.ask("peer.offer", **offer)


WRONG: list[tuple[str, dict[str, Any], int]] = [
    ("peer.fly", {}, -32601),
    ("peer.announce", {"peer_id": "q", "capabilities": []}, -32600),
    ("peer.offer", {"from": "p", "to": "nobody", "sdp": OFFER}, -32000),
    ("peer.offer", {"from": "p", "to": ["nobody"], "sdp": OFFER}, -32000),
    ("peer.offer", {"from": "p", "to": SERVER, "sdp": "v=1"}, -32002),
    ("peer.offer", {"from": "p", "to": SERVER}, -32002),
    ("peer.offer", {"from": "p", "to": SERVER, "sdp": "v=0\r\ns=-\r\n"}, -32002),
    ("peer.offer", {"from": "somebody else", "to": SERVER, "sdp": OFFER}, -32602),
    ("peer.answer", {"from": "p", "to": SERVER, "sdp": ANSWER}, -32003),
    ("peer.answer", {"from": "p", "to": SERVER, "sdp": 5}, -32003),
    ("peer.answer", {"from": "p", "to": "nobody", "sdp": ANSWER}, -32000),
    ("peer.ice_candidate", {"from": "p", "to": "nobody", "candidate": ""}, -32000),
    ("peer.ice_candidate", {"from": "p", "to": SERVER}, -32004),
    ("peer.ice_candidate", {"from": "p", "to": SERVER, "candidate": "hello"}, -32004),
    ("peer.ice_candidate", {"from": "p", "to": SERVER, "candidate": "candidate:1 1 udp x y z typ w"}, -32004),
    ("peer.ice_candidate", {"from": "p", "to": SERVER, "candidate": "", "sdp_m_line_index": -1}, -32004),
    ("peer.disconnect", {"peer_id": "somebody else"}, -32602),
    ("peer.state_change", {"peer_id": "p", "state": "asleep"}, -32602),
    ("peer.state_change", {"peer_id": "p", "state": ["busy"]}, -32602),
]


async def test_each_mistake_has_its_code_and_the_connection_stays() -> None:
    host = Host()
    async with signalling("websocket", host) as endpoint, connected(endpoint, "p") as client:
        for method, params, expected in WRONG:
            assert code(await client.ask(method, **params)) == expected, (method, params)
        assert "result" in await client.ask("peer.list")
    assert [what for what, _ in host.met] == ["admitted", "lost"]


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"peer_id": 5},
        {"peer_id": ""},
        {"peer_id": "p\n"},
        {"peer_id": "p", "capabilities": "data"},
        {"peer_id": "p", "capabilities": [5]},
        {"peer_id": "p", "capabilities": [], "user_data": "x"},
        {"peer_id": "p", "capabilities": [], "user_data": {"auth_token": 5}},
    ],
)
async def test_a_bad_announcement(params: dict[str, Any]) -> None:
    async with signalling("websocket", Host()) as endpoint, connected(endpoint) as client:
        assert code(await client.ask("peer.announce", **params)) == -32602
        for method in ("peer.offer", "peer.list", "peer.disconnect"):
            assert code(await client.ask(method)) == -32000
        assert "result" in await client.ask("peer.announce", peer_id="p", capabilities=["data", "smell"])


async def test_what_is_no_json_rpc_is_told_and_the_connection_stays() -> None:
    async with signalling("websocket", Host()) as endpoint, connected(endpoint, "p") as client:
        assert code(await client.say("hello")) == -32700
        await client.ws.send_bytes(b"\x00")
        assert code(await client.answer()) == -32700
        assert code(await client.say("[]")) == -32600
        assert (
            code(await client.say('{"jsonrpc": "2.0", "method": "peer.list", "params": [1], "id": 9}'))
            == -32602
        )
        assert (await client.say('{"jsonrpc": "2.0", "method": "peer.list", "id": "x"}'))["id"] == "x"


async def test_batches_are_answered_and_notifications_are_not() -> None:
    host = Host()
    async with signalling("websocket", host) as endpoint, connected(endpoint) as client:
        announce = {"method": "peer.announce", "params": {"peer_id": "p", "capabilities": []}, "id": 1}
        offer = {"method": "peer.offer", "params": {"from": "p", "to": SERVER, "sdp": OFFER}, "id": 2}
        candidate = {
            "method": "peer.ice_candidate",
            "params": {"to": SERVER, "candidate": CANDIDATE.candidate},
        }
        batch: list[Any] = [{"jsonrpc": "2.0", **item} for item in (announce, offer, candidate)]
        answers = await client.say(json.dumps([*batch, 5]))
        assert [answer["id"] for answer in answers] == [1, 2, None]
        assert answers[1]["result"]["sdp"] == ANSWER
        assert code(answers[2]) == -32600
        await eventually(("candidate", RemoteCandidate(CANDIDATE.candidate)), host)
        await client.tell("peer.fly")
        await client.ws.send_str(json.dumps([batch[2], batch[2]]))
        assert "result" in await client.ask("peer.list")  # and nothing came before it


async def test_an_oversized_message_ends_the_connection() -> None:
    host = Host()
    async with (
        signalling("websocket", host, max_message_bytes=4096) as endpoint,
        connected(endpoint, "p") as client,
    ):
        await client.ws.send_str("x" * 5000)
        message = await client.ws.receive(timeout=5)
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1009)
        await eventually(("lost", "p"), host)


async def test_a_wrong_header_is_refused_at_the_handshake() -> None:
    async with signalling("websocket", Host(token="right")) as endpoint:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            async with connected(endpoint, Authorization="Bearer wrong"):
                pass
        assert caught.value.status == 401
        async with connected(endpoint, "p", Authorization="Bearer right"):
            pass


async def test_the_token_may_come_with_the_announcement() -> None:
    host = Host(token="right")
    async with signalling("websocket", host) as endpoint:
        for token in ("wrong", None):
            async with connected(endpoint) as client:
                given = {} if token is None else {"user_data": {"auth_token": token}}
                answer = await client.ask("peer.announce", peer_id="p", capabilities=[], **given)
                assert code(answer) == -32040
                assert (await client.ws.receive(timeout=5)).data == aiohttp.WSCloseCode.POLICY_VIOLATION
        async with connected(endpoint) as client, connected(endpoint, Authorization="Bearer right") as other:
            user_data = {"auth_token": "right", "name": "Ada"}
            answer = await client.ask("peer.announce", peer_id="p", capabilities=[], user_data=user_data)
            assert "result" in answer
            await other.ask("peer.announce", peer_id="q", capabilities=[])
            listed = (await other.ask("peer.list"))["result"]["peers"]
            assert listed[0]["user_data"] == {"name": "Ada"}  # and not the token


async def test_a_client_that_does_not_read_is_let_go() -> None:
    host = Host()
    async with signalling("websocket", host) as endpoint, connected(endpoint, "p"):
        for _ in range(3000):  # faster than anything is written
            await host.peers["p"].send_candidate(CANDIDATE)
        await eventually(("lost", "p"), host)


async def test_a_request_that_is_no_websocket() -> None:
    async with signalling("websocket", Host()) as endpoint, aiohttp.ClientSession() as session:
        async with session.get(f"http://{endpoint}/ws") as response:
            assert response.status == 400
        async with session.get(f"http://{endpoint}/other") as response:
            assert response.status == 404


async def test_nothing_is_left_of_a_stopped_server() -> None:
    before = asyncio.all_tasks()
    host = Host()
    host.hold = asyncio.Event()
    async with aiohttp.ClientSession() as session:
        async with signalling("websocket", host) as endpoint:
            ws = await session.ws_connect(f"http://{endpoint}/ws")
            client = Client(ws)
            await client.ask("peer.announce", peer_id="p", capabilities=[])
            offer = {"from": "p", "to": SERVER, "sdp": OFFER}
            await ws.send_json({"jsonrpc": "2.0", "id": 7, "method": "peer.offer", "params": offer})
            await eventually(("offered", OFFER), host)
        assert host.met[-1] == ("lost", "p")
        assert (await ws.receive(timeout=5)).type is aiohttp.WSMsgType.CLOSE
    assert asyncio.all_tasks() == before
