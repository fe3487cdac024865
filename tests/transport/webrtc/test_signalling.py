"""Our signalling client against our signalling server, on both wires."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from rpe.errors import (
    AuthenticationFailed,
    ConfigurationError,
    ConnectFailed,
    ConnectionLost,
    InvalidRequest,
    RemoteOverloaded,
    RemoteTimeout,
    RemoteUnavailable,
    RpeError,
)
from rpe.transport.ports import TlsSettings
from rpe.transport.serving import ConnectionCut, Refusal, StatusCode
from rpe.transport.webrtc.signalling.errors import Code, SignallingError
from rpe.transport.webrtc.signalling.hub import SignallingHub
from rpe.transport.webrtc.signalling.opening import open_signalling
from rpe.transport.webrtc.signalling.port import RemoteCandidate, SignallingSettings
from rpe.transport.webrtc.signalling.websocket_server import WebSocketSignalling
from tests.support.certificates import make_pair
from tests.support.signalling import (
    ANSWER,
    CANDIDATE,
    OFFER,
    Host,
    Kind,
    eventually,
    opened,
    our_tasks,
    signalling,
)

KINDS = pytest.mark.parametrize("kind", ["websocket", "grpc"])


@KINDS
async def test_an_offer_is_answered_and_candidates_go_both_ways(kind: Kind) -> None:
    host = Host(token="t")
    async with signalling(kind, host) as endpoint, opened(endpoint, kind, token="t") as signaller:
        assert await signaller.offer(OFFER) == ANSWER
        await signaller.send_candidate(CANDIDATE)
        await signaller.send_candidate(RemoteCandidate("", "0", 0))
        peer = host.peers["p"]
        assert peer.metadata["authorization"] == "Bearer t"
        assert peer.capabilities == ("data",)
        assert peer.address.startswith("127.0.0.1:")
        await peer.send_candidate(CANDIDATE)
        await peer.send_candidate(RemoteCandidate("", "0", 0))
        assert await signaller.receive() == CANDIDATE
        assert await signaller.receive() == RemoteCandidate("", "0", 0)
    await eventually(("left", "p"), host)
    assert host.met == [
        ("admitted", "p"),
        ("offered", OFFER),
        ("candidate", CANDIDATE),
        ("candidate", RemoteCandidate("", "0", 0)),
        ("left", "p"),
    ]


@KINDS
async def test_candidates_wait_for_the_answer_to_their_offer(kind: Kind) -> None:
    host = Host()
    host.hold = asyncio.Event()
    async with signalling(kind, host) as endpoint, opened(endpoint, kind) as signaller:
        for _ in range(2):  # the second round is a renegotiation
            host.met.clear()
            host.hold.clear()
            offer = asyncio.create_task(signaller.offer(OFFER))
            await eventually(("offered", OFFER), host)
            await signaller.send_candidate(CANDIDATE)
            await asyncio.sleep(0.02)
            assert ("candidate", CANDIDATE) not in host.met
            host.hold.set()
            assert await offer == ANSWER
            await eventually(("candidate", CANDIDATE), host)


@KINDS
@pytest.mark.parametrize("token", ["hush", None])
async def test_a_wrong_token_and_none_are_refused(kind: Kind, token: str | None) -> None:
    host = Host(token="right")
    async with signalling(kind, host) as endpoint:
        with pytest.raises(AuthenticationFailed) as caught:
            async with opened(endpoint, kind, token=token):
                pass
    assert "hush" not in str(caught.value)
    assert host.met == []


REFUSALS = [
    (Code.PEER_NOT_FOUND, RemoteUnavailable),
    (Code.SESSION_LIMIT, RemoteOverloaded),
    (Code.OFFER_INVALID, InvalidRequest),
    (Code.ANSWER_INVALID, InvalidRequest),
    (Code.CANDIDATE_INVALID, InvalidRequest),
    (Code.NEGOTIATION_IN_PROGRESS, RemoteUnavailable),
    (Code.CONNECTION_TIMEOUT, RemoteTimeout),
    (Code.CODEC_MISMATCH, InvalidRequest),
    (Code.INVALID_PARAMS, InvalidRequest),
    (Code.INTERNAL_ERROR, RemoteUnavailable),
]


@KINDS
async def test_each_code_is_the_error_it_means(kind: Kind) -> None:
    host = Host()
    async with signalling(kind, host) as endpoint, opened(endpoint, kind) as signaller:
        for code, meant in REFUSALS:
            host.refuse_offer = SignallingError(code, "said the host")
            with pytest.raises(RpeError, match="said the host") as caught:
                await signaller.offer(OFFER)
            assert (type(caught.value), caught.value.endpoint) == (meant, endpoint)
        host.refuse_offer = None
        assert await signaller.offer(OFFER) == ANSWER


@KINDS
@pytest.mark.parametrize(
    ("refusal", "meant"),
    [
        (SignallingError(Code.SESSION_LIMIT, "full"), RemoteOverloaded),
        (Refusal(StatusCode.RESOURCE_EXHAUSTED, "full"), RemoteOverloaded),
        (Refusal(StatusCode.UNAUTHENTICATED, "who?"), AuthenticationFailed),
        (Refusal(StatusCode.UNAVAILABLE, "not now"), RemoteUnavailable),
        (ConnectionCut(), ConnectionLost),
    ],
)
async def test_a_host_may_refuse_a_peer(kind: Kind, refusal: Exception, meant: type[RpeError]) -> None:
    host = Host()
    host.refuse_admission = refusal
    async with signalling(kind, host) as endpoint:
        with pytest.raises(meant):
            async with opened(endpoint, kind):
                pass
        host.refuse_admission = None
        async with opened(endpoint, kind):  # nothing of the refused one is in its way
            pass


@KINDS
async def test_what_a_host_raises_by_mistake_stays_at_the_server(
    kind: Kind, caplog: pytest.LogCaptureFixture
) -> None:
    host = Host()
    host.refuse_offer = ZeroDivisionError("the secret inside")
    async with signalling(kind, host) as endpoint, opened(endpoint, kind) as signaller:
        with pytest.raises(RemoteUnavailable) as caught:
            await signaller.offer(OFFER)
    assert "secret" not in str(caught.value)
    assert "the secret inside" in caplog.text


@KINDS
async def test_a_host_that_never_answers_is_given_up(kind: Kind) -> None:
    host = Host()
    host.hold = asyncio.Event()
    serving = signalling(kind, host, negotiation_timeout_s=0.05)
    async with serving as endpoint, opened(endpoint, kind) as signaller:
        with pytest.raises(RemoteTimeout):
            await signaller.offer(OFFER)


@KINDS
async def test_a_second_offer_waits_for_the_first(kind: Kind) -> None:
    host = Host()
    host.hold = asyncio.Event()
    async with signalling(kind, host) as endpoint, opened(endpoint, kind) as signaller:
        first = asyncio.create_task(signaller.offer(OFFER))
        await eventually(("offered", OFFER), host)
        with pytest.raises(RemoteUnavailable, match="-32005"):
            await signaller.offer(OFFER)
        host.hold.set()
        assert await first == ANSWER


@KINDS
async def test_a_bad_offer_never_reaches_the_host(kind: Kind) -> None:
    host = Host()
    async with signalling(kind, host) as endpoint, opened(endpoint, kind) as signaller:
        for bad in ("", "hello", "v=0\r\ns=-\r\n"):
            with pytest.raises(InvalidRequest, match="-32002"):
                await signaller.offer(bad)
    assert [what for what, _ in host.met if what == "offered"] == []


@KINDS
async def test_a_cancelled_offer_leaves_the_connection_whole(kind: Kind) -> None:
    host = Host()
    host.hold = asyncio.Event()
    async with signalling(kind, host) as endpoint, opened(endpoint, kind) as signaller:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await signaller.offer(OFFER)
        host.hold.set()
        await asyncio.sleep(0.05)  # the answer that nobody waits for arrives
        assert await signaller.offer(OFFER) == ANSWER
        assert not signaller.lost.is_set()


@KINDS
async def test_a_server_that_stops_is_noticed(kind: Kind) -> None:
    host = Host()
    host.hold = asyncio.Event()
    async with signalling(kind, host) as endpoint:
        settings = SignallingSettings(kind=kind)
        signaller = await open_signalling(endpoint, settings, peer_id="p", capabilities=[])
        offer = asyncio.create_task(signaller.offer(OFFER))
        receiving = asyncio.create_task(signaller.receive())
        await eventually(("offered", OFFER), host)
    with pytest.raises(ConnectionLost):
        await offer
    assert await receiving is None
    assert await signaller.receive() is None
    async with asyncio.timeout(2):
        await signaller.lost.wait()
    for use in (signaller.offer(OFFER), signaller.send_candidate(CANDIDATE)):
        with pytest.raises(ConnectionLost):
            await use
    await signaller.close()
    await signaller.close()
    assert ("lost", "p") in host.met


@KINDS
async def test_a_host_may_break_the_connection(kind: Kind) -> None:
    host = Host()
    async with signalling(kind, host) as endpoint, opened(endpoint, kind) as signaller:
        host.peers["p"].abort()
        async with asyncio.timeout(2):
            await signaller.lost.wait()
        await eventually(("lost", "p"), host)
        host.peers["p"].abort()
        await host.peers["p"].send_candidate(CANDIDATE)


@KINDS
async def test_no_server_is_a_failed_connection(kind: Kind) -> None:
    async with signalling(kind, Host()) as endpoint:
        pass
    with pytest.raises(ConnectFailed) as caught:
        async with opened(endpoint, kind):
            pass
    assert caught.value.endpoint == endpoint
    assert not caught.value.maybe_executed


@KINDS
async def test_a_taken_name_and_a_bad_one_are_refused(kind: Kind) -> None:
    async with signalling(kind, Host()) as endpoint, opened(endpoint, kind, peer_id="p"):
        for name in ("p", "remotemedia-server", "", "x" * 300):
            with pytest.raises(InvalidRequest):
                async with opened(endpoint, kind, peer_id=name):
                    pass


@KINDS
async def test_opening_can_be_cancelled_anywhere(kind: Kind) -> None:
    async with signalling(kind, Host()) as endpoint:
        for turns in range(1000):
            opening = asyncio.create_task(
                open_signalling(endpoint, SignallingSettings(kind=kind), peer_id=f"p{turns}", capabilities=[])
            )
            for _ in range(turns):
                await asyncio.sleep(0)
            if opening.done():
                await (await opening).close()
                break
            opening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await opening
        assert turns > 5
        async with opened(endpoint, kind):
            pass
    assert our_tasks() == []


@KINDS
async def test_tls_both_ways(kind: Kind, tmp_path: Path) -> None:
    server, client = make_pair("localhost", tmp_path), make_pair("client", tmp_path)
    certificates: dict[str, Any] = {
        "certificate_chain": server.certificate,
        "private_key": server.key,
        "client_root_certificates": client.certificate,
    }
    tls = TlsSettings(server.certificate, client.certificate, client.key, server_name="localhost")
    async with signalling(kind, Host(), **certificates) as endpoint:
        async with opened(endpoint, kind, tls=tls) as signaller:
            assert await signaller.offer(OFFER) == ANSWER
        with pytest.raises(RpeError):
            async with opened(endpoint, kind, tls=TlsSettings(client.certificate)):
                pass


async def test_unusable_settings_are_told() -> None:
    for settings in ({"kind": "post"}, {"path": "ws"}, {"max_message_bytes": 0}):
        with pytest.raises(ConfigurationError):
            SignallingSettings(**settings)
    assert "hush" not in repr(SignallingSettings(token="hush"))
    tls = TlsSettings(b"no certificate")
    with pytest.raises(ConfigurationError):
        await open_signalling("127.0.0.1:1", SignallingSettings(tls=tls), peer_id="p", capabilities=[])


@KINDS
async def test_a_taken_port_and_bad_certificates_are_told(kind: Kind) -> None:
    async with signalling(kind, Host()) as endpoint:
        with pytest.raises(ConfigurationError):
            async with signalling(kind, Host(), port=int(endpoint.rpartition(":")[2])):
                pass
    for bad in ({"certificate_chain": b"x"}, {"certificate_chain": b"x", "private_key": b"y"}):
        with pytest.raises(ConfigurationError):
            async with signalling(kind, Host(), **bad):
                pass


async def test_a_server_starts_again_at_its_port() -> None:
    server = WebSocketSignalling(SignallingHub(Host()))
    await server.start()
    await server.start()
    first = server.endpoint
    await server.stop()
    await server.stop()
    again = WebSocketSignalling(SignallingHub(Host()), port=int(first.rpartition(":")[2]))
    async with again, opened(first):
        pass
