"""What is not this protocol, from either side: a clear error in time, and nothing left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription

from rpe.data import Text
from rpe.errors import ConnectFailed, ProtocolViolation, RpeError
from rpe.transport.webrtc.client import WebrtcPipelineClient
from rpe.transport.webrtc.framing import FrameType, encode
from rpe.transport.webrtc.ice import close_connection, make_connection, set_local
from rpe.transport.webrtc.link import PIPELINE_LABEL
from rpe.transport.webrtc.settings import IceSettings, WebrtcSettings
from rpe.transport.webrtc.signalling.errors import Code, SignallingError
from rpe.transport.webrtc.signalling.port import RemoteCandidate
from tests.support.handlers import Handler
from tests.support.webrtc import (
    ECHO,
    Guest,
    ScriptedSignaller,
    none_left,
    others,
    peers,
    raw_peer,
    sockets,
    until,
)

PATIENCE_S = 10.0


@pytest.fixture(autouse=True)
async def nothing_is_left() -> AsyncIterator[None]:
    before, tasks = sockets(), others()
    yield
    assert others() - tasks == set()
    await none_left(before)


# --- answers ---------------------------------------------------------------------------------------------


async def attempt(signaller: ScriptedSignaller, timeout_s: float = 5.0, **config: Any) -> RpeError:
    client = WebrtcPipelineClient("127.0.0.1:1", WebrtcSettings(**config), connect=signaller.connect())
    try:
        with pytest.raises(RpeError) as caught:
            await client.execute(ECHO, {"n0": Text("x")}, timeout_s=timeout_s)
    finally:
        await client.close()
    assert caught.value.endpoint == "127.0.0.1:1"
    assert not caught.value.maybe_executed
    return caught.value


def without(kind: str) -> Callable[[str], str]:
    return lambda sdp: "\r\n".join(line for line in sdp.split("\r\n") if not line.startswith(kind))


ANSWERS: dict[str, Callable[[str], str]] = {
    "rubbish": lambda _: "no such thing",
    "nothing": lambda _: "",
    "binary": lambda _: "\x00\xff" * 100,
    "no media": lambda _: "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n",
    "the offer itself": lambda sdp: sdp,
    "audio instead": lambda sdp: sdp.replace("m=application", "m=audio"),
    "no credentials": lambda sdp: without("a=ice-")(sdp).replace("actpass", "active"),
    "no fingerprint": lambda sdp: without("a=fingerprint")(sdp).replace("actpass", "active"),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
async def test_an_answer_that_is_none_is_told_as_one(answer: Callable[[str], str]) -> None:
    signaller = ScriptedSignaller(answer)
    error = await attempt(signaller, connect_timeout_s=0.5)
    assert type(error) in (ProtocolViolation, ConnectFailed)
    assert error.retryable
    assert len(signaller.closed) == 1


async def never(_: str) -> str:
    await asyncio.get_running_loop().create_future()
    raise AssertionError


async def test_a_server_that_never_answers_an_offer_is_given_up() -> None:
    signaller = ScriptedSignaller(never)
    error = await attempt(signaller, connect_timeout_s=0.3)
    assert type(error) is ConnectFailed
    assert "0.3 s" in error.message
    assert len(signaller.closed) == 1


class Answering:
    """The server's end by bare aiortc: it answers, and then the test does with it what it likes."""

    def __init__(self) -> None:
        self.connection: RTCPeerConnection = make_connection(IceSettings())

    async def answer(self, sdp: str) -> str:
        await self.connection.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        return await set_local(self.connection, IceSettings(), loopback=True)


@pytest.fixture
async def answering() -> AsyncIterator[Answering]:
    answering = Answering()
    yield answering
    await close_connection(answering.connection)


async def test_a_peer_that_answers_and_is_not_there_is_given_up(answering: Answering) -> None:
    async def answer(sdp: str) -> str:
        text = await answering.answer(sdp)
        await close_connection(answering.connection)
        return text

    error = await attempt(ScriptedSignaller(answer), connect_timeout_s=0.5)
    assert type(error) is ConnectFailed


def bare(sdp: str) -> str:
    return without("a=end-of-candidates")(without("a=candidate")(sdp))


@pytest.mark.parametrize("line", [0, None], ids=["first line", "no line"])
async def test_candidates_of_the_wrong_kind_do_no_harm(answering: Answering, line: int | None) -> None:
    """Both sides' own are taken out of offer and answer, so that only what is trickled counts."""
    found: list[str] = []

    async def answer(sdp: str) -> str:
        text = await answering.answer(bare(sdp))
        found.extend(line[2:] for line in text.split("\r\n") if line.startswith("a=candidate"))
        return bare(text)

    signaller = ScriptedSignaller(answer)
    for bad in (
        "rubbish",
        "candidate:1 1 udp",
        "candidate:1 1 udp x 127.0.0.1 y typ host",
        "candidate:1 1 tcp 1 127.0.0.1 9 typ host tcptype active",
        "candidate:1 1 udp 1 no-such-host 9 typ host",
        "candidate:1 1 udp 1 127.0.0.1 9 typ strange",
    ):
        signaller.inbox.put_nowait(RemoteCandidate(bad, "0", 0))
    signaller.inbox.put_nowait(RemoteCandidate("candidate:1 1 udp 1 127.0.0.1 9 typ host", "nowhere", None))

    opened = asyncio.Event()
    answering.connection.on("datachannel", lambda _: opened.set())
    client = WebrtcPipelineClient("127.0.0.1:1", WebrtcSettings(), connect=signaller.connect())
    call = asyncio.create_task(client.execute(ECHO, {"n0": Text("x")}, timeout_s=PATIENCE_S))
    await asyncio.sleep(0.05)
    assert not opened.is_set()
    for candidate in found:
        signaller.inbox.put_nowait(RemoteCandidate(candidate, None, line))
    signaller.inbox.put_nowait(RemoteCandidate(""))
    async with asyncio.timeout(PATIENCE_S):
        await opened.wait()
    call.cancel()
    await asyncio.wait([call])
    await client.close()


@pytest.mark.parametrize(
    "message",
    [b"", b"\xff" * 40, "text", encode(FrameType.OPEN, 1, payload=b"{}"), encode(FrameType.MESSAGE, 99)],
    ids=["empty", "rubbish", "text", "open", "never made"],
)
async def test_a_server_that_loses_the_framing_loses_the_peer(answering: Answering, message: Any) -> None:
    def take(channel: Any) -> None:
        if channel.label == PIPELINE_LABEL:
            channel.on("message", lambda _: channel.send(message))

    answering.connection.on("datachannel", take)
    signaller = ScriptedSignaller(answering.answer)
    client = WebrtcPipelineClient("127.0.0.1:1", WebrtcSettings(), connect=signaller.connect())
    with pytest.raises(ProtocolViolation, match="framing") as caught:
        await client.execute(ECHO, {"n0": Text("x")}, timeout_s=PATIENCE_S)
    assert caught.value.maybe_executed
    await client.close()


# --- offers ----------------------------------------------------------------------------------------------

OFFERS: dict[str, str] = {
    "rubbish": "no such thing",
    "nothing": "",
    "no media": "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n",
    "no credentials": "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\n",
}


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS.keys())
async def test_an_offer_that_is_none_is_refused(offer: str) -> None:
    async with peers(Handler()) as signalling:
        guest = Guest("g", {})
        await signalling.host.admit(guest)
        with pytest.raises(SignallingError) as caught:
            await signalling.host.offered(guest, offer)
        assert caught.value.code == Code.OFFER_INVALID
        await signalling.host.left(guest)
        assert len(signalling.host) == 0


async def test_a_candidate_that_is_none_is_refused_and_one_of_no_peer_left_alone() -> None:
    async with peers(Handler()) as signalling, raw_peer(signalling, PIPELINE_LABEL):
        (guest,) = signalling.guests
        with pytest.raises(SignallingError) as caught:
            await signalling.host.candidate(guest, RemoteCandidate("rubbish", "0", 0))
        assert caught.value.code == Code.CANDIDATE_INVALID
        await signalling.host.candidate(Guest("other", {}), RemoteCandidate("rubbish"))


async def test_a_peer_that_never_connects_is_let_go() -> None:
    offering = make_connection(IceSettings())
    offering.createDataChannel(PIPELINE_LABEL)
    sdp = await set_local(offering, IceSettings(), loopback=True)
    async with peers(Handler(), connect_timeout_s=0.1) as signalling:
        guest = Guest("g", {})
        await signalling.host.admit(guest)
        await signalling.host.offered(guest, sdp)
        (serving,) = signalling.host._peers.values()
        assert serving is not None
        await until(lambda: serving.link.death is not None)
        assert "never connected" in str(serving.link.death)
    await close_connection(offering)
