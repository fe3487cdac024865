"""Signalling messages through the relay: what is rewritten, for which peer, and what passes untouched."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from rpe.faults.relay.link import RelayLink
from rpe.faults.relay.rewriting import Rewriter

CANDIDATE = "candidate:1 1 udp 2130706431 127.0.0.1 {} typ host"


def sdp(port: int) -> str:
    return f"m=application {port} UDP/DTLS/SCTP webrtc-datachannel\r\na={CANDIDATE.format(port)}\r\n"


def call(method: str, id: Any = None, **params: Any) -> str:
    head = {} if id is None else {"id": id}
    return json.dumps({"jsonrpc": "2.0", **head, "method": method, "params": params})


def port_of(text: str | None) -> int:
    """The port that stands in the only candidate of a message."""
    assert text is not None
    words = text.split()
    return int(words[words.index("typ") - 1])


@pytest.fixture
async def link() -> Any:
    made = RelayLink("a")
    yield made
    made.close()


@pytest.fixture
async def rewriter(link: RelayLink) -> Rewriter:
    return Rewriter(link.open_flow)


async def test_an_offer_and_its_answer_get_two_sockets_of_one_flow(
    link: RelayLink, rewriter: Rewriter
) -> None:
    up = rewriter.from_client(call("peer.offer", 7, to="remotemedia-server", sdp=sdp(5000)))
    down = rewriter.from_server(json.dumps({"jsonrpc": "2.0", "id": 7, "result": {"sdp": sdp(6000)}}))
    assert link.addresses("server") == {("127.0.0.1", port_of(up.on))}
    assert link.addresses("client") == {("127.0.0.1", port_of(down.on))}
    assert link.stats_as_json()["flows"] == 1
    assert up.back is down.back is None


async def test_the_same_address_keeps_its_socket_and_another_gets_its_own(
    link: RelayLink, rewriter: Rewriter
) -> None:
    first = rewriter.from_client(call("peer.offer", 1, to="s", sdp=sdp(5000)))
    again = rewriter.from_client(call("peer.ice_candidate", to="s", candidate=CANDIDATE.format(5000)))
    other = rewriter.from_client(call("peer.ice_candidate", to="s", candidate=CANDIDATE.format(5001)))
    assert port_of(first.on) == port_of(again.on) != port_of(other.on)
    assert len(link.addresses("server")) == 2


async def test_each_peer_has_a_flow_of_its_own(link: RelayLink, rewriter: Rewriter) -> None:
    rewriter.from_client(call("peer.offer", 1, to="x", sdp=sdp(5000)))
    rewriter.from_client(call("peer.offer", 2, to="y", sdp=sdp(5000)))
    rewriter.from_server(json.dumps({"id": 2, "result": {"sdp": sdp(6000)}}))
    rewriter.from_server(call("peer.answer", **{"from": "x"}, sdp=sdp(6000)))
    rewriter.from_server(call("peer.ice_candidate", **{"from": "x"}, candidate=CANDIDATE.format(6001)))
    assert link.stats_as_json()["flows"] == 2
    assert len(link.addresses("server")) == 2
    assert len(link.addresses("client")) == 3


async def test_an_offer_that_comes_as_a_notification_is_rewritten(
    link: RelayLink, rewriter: Rewriter
) -> None:
    came = rewriter.from_server(call("peer.offer", **{"from": "x"}, sdp=sdp(6000)))
    answered = rewriter.from_client(call("peer.answer", 3, to="x", sdp=sdp(5000)))
    assert link.addresses("client") == {("127.0.0.1", port_of(came.on))}
    assert link.addresses("server") == {("127.0.0.1", port_of(answered.on))}
    assert link.stats_as_json()["flows"] == 1


UNTOUCHED = [
    "not JSON at all {",
    '{ "spaces":   "stay" }',
    "[]",
    "null",
    '{"method":"peer.announce","params":{"peer_id":"c"},"id":1}',
    '{"method":"peer.offer","params":["wrong"],"id":1}',
    '{"method":"peer.offer","params":{"sdp":5},"id":1}',
    '{"method":"peer.ice_candidate","params":{"candidate":""}}',
    '{"method":"peer.ice_candidate","params":{"candidate":null}}',
    '{"id":1,"error":{"code":-32002,"message":"offer invalid"}}',
    '{"id":1,"result":"text"}',
    '{"id":[1],"result":{}}',
    '[1,{"method":5}]',
    "[" * 5000,
]


@pytest.mark.parametrize("text", UNTOUCHED, ids=range(len(UNTOUCHED)))
async def test_what_says_nothing_of_addresses_passes_letter_by_letter(rewriter: Rewriter, text: str) -> None:
    assert rewriter.from_client(text) == (text, None)
    assert rewriter.from_server(text) == (text, None)


async def test_a_candidate_that_goes_around_is_kept_back_and_its_sender_is_not_left_waiting(
    rewriter: Rewriter,
) -> None:
    tcp = "candidate:3 1 tcp 1518280447 127.0.0.1 9 typ host tcptype active"
    assert rewriter.from_client(call("peer.ice_candidate", to="s", candidate=tcp)) == (None, None)
    on, back = rewriter.from_client(call("peer.ice_candidate", 9, to="s", candidate=tcp))
    assert on is None
    assert back is not None
    assert json.loads(back) == {"jsonrpc": "2.0", "id": 9, "result": {"success": True}}


async def test_a_batch_stays_a_batch(rewriter: Rewriter) -> None:
    tcp = "candidate:3 1 tcp 1518280447 127.0.0.1 9 typ host tcptype active"
    parts = [call("peer.list", 1), call("peer.ice_candidate", 2, to="s", candidate=tcp)]
    on, back = rewriter.from_client(f"[{','.join(parts)}]")
    assert on is not None
    assert back is not None
    assert [message["id"] for message in json.loads(on)] == [1]
    assert [message["id"] for message in json.loads(back)] == [2]


async def test_flows_end_when_signalling_has_ended_and_nothing_passes_any_more(
    link: RelayLink, rewriter: Rewriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewriter.from_client(call("peer.offer", 1, to="s", sdp=sdp(5000)))
    rewriter.release()
    link.open_flow()
    assert link.stats_as_json()["flows"] == 2, "a peer outlives its signalling"
    loop = asyncio.get_running_loop()
    now = loop.time()
    monkeypatch.setattr(loop, "time", lambda: now + 31)
    link.open_flow()
    assert link.stats_as_json()["flows"] == 2
    assert link.addresses("server") == frozenset()
