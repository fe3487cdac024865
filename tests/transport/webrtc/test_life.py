"""How a peer's death is noticed, what it does not take for death, and that the next call finds another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from rpe.data import Binary, Text
from rpe.errors import ConnectionLost, RpeError, StreamBroken
from rpe.transport.serving import ConnectionCut
from rpe.transport.webrtc.client import WebrtcPipelineClient
from rpe.transport.webrtc.heartbeat import PeerState
from rpe.transport.webrtc.link import Link
from rpe.transport.webrtc.peer import Peer
from tests.support.handlers import Handler
from tests.support.webrtc import (
    ECHO,
    LocalSignalling,
    none_left,
    others,
    served,
    silence,
    sockets,
    until,
)

QUICK = {"heartbeat_interval_s": 0.1, "grace_s": 0.5}


@pytest.fixture(autouse=True)
async def nothing_is_left() -> AsyncIterator[None]:
    before, tasks = sockets(), others()
    yield
    assert others() - tasks == set()
    await none_left(before)


async def echo(client: WebrtcPipelineClient, said: str, timeout_s: float = 10.0) -> str:
    result = await client.execute(ECHO, {"n0": Text(said)}, timeout_s=timeout_s)
    assert isinstance(result.output, Text)
    return result.output.text


def peer_of(client: WebrtcPipelineClient) -> Peer:
    peer = client._shared.current
    assert peer is not None
    return peer


def links(client: WebrtcPipelineClient, signalling: LocalSignalling) -> tuple[Link, Link]:
    """The two ends of the one connection."""
    (serving,) = signalling.host._peers.values()
    assert serving is not None
    return peer_of(client).link, serving.link


class Waiting(Handler):
    """Holds unary calls until it is told to let them go."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = asyncio.Event()

    async def wait(self) -> None:
        self.entered.set()
        try:
            await self.let_go.wait()
        finally:
            self.ended.set()


async def test_a_peer_that_falls_silent_fails_its_calls_and_the_next_one_finds_another() -> None:
    handler = Waiting()
    async with served(handler, server=QUICK, **QUICK) as (client, signalling):
        session = await client.open_stream(ECHO, timeout_s=30, open_timeout_s=5)
        call = asyncio.create_task(echo(client, "x", timeout_s=30))
        await handler.entered.wait()
        ours, theirs = links(client, signalling)
        silence(theirs)
        began_s = asyncio.get_running_loop().time()
        with pytest.raises(ConnectionLost, match="nothing was heard") as caught:
            await call
        assert 0.4 < asyncio.get_running_loop().time() - began_s < 3
        assert caught.value.maybe_executed
        with pytest.raises(StreamBroken):
            await session.receive()
        assert ours.death is not None
        # The server notices by itself, cancels what it did for the caller, and forgets the peer.
        async with asyncio.timeout(5):
            await handler.ended.wait()
            await handler.cancelled.wait()
        handler.let_go.set()
        assert await echo(client, "next") == "next"
        assert len(signalling.signallers) == 2


async def test_a_loss_shorter_than_the_grace_is_survived() -> None:
    handler = Waiting()
    settings = {"heartbeat_interval_s": 0.1, "grace_s": 5.0}
    async with served(handler, server=settings, **settings) as (client, signalling):
        call = asyncio.create_task(echo(client, "x", timeout_s=30))
        await handler.entered.wait()
        ours, theirs = links(client, signalling)
        heal = silence(theirs)
        await until(lambda: ours.state is PeerState.DISCONNECTED)
        # A call that is made meanwhile is tried; what it sends is sent again once there is a way.
        second = asyncio.create_task(echo(client, "y", timeout_s=30))
        await asyncio.sleep(0.1)
        heal()
        handler.let_go.set()
        assert await call == "x"
        assert await second == "y"
        await until(lambda: ours.state is PeerState.LIVE)
        assert len(signalling.signallers) == 1


async def test_an_idle_peer_is_asked_and_answers() -> None:
    async with served(server=QUICK, **QUICK) as (client, signalling):
        await echo(client, "x")
        ours, theirs = links(client, signalling)
        await asyncio.sleep(0.8)
        assert ours.death is None and theirs.death is None
        assert ours.stats.pings_sent + theirs.stats.pings_sent >= 3
        assert ours.stats.pongs_received + theirs.stats.pongs_received >= 3
        assert await echo(client, "y") == "y"


async def test_a_large_message_on_its_way_is_no_silence() -> None:
    """No message comes back meanwhile, and pings wait behind the large one; acknowledgements count."""
    settings = {"heartbeat_interval_s": 0.05, "grace_s": 0.2}
    async with served(server=settings, **settings) as (client, signalling):
        await echo(client, "warm")
        data = Binary(bytes(3 * 1024 * 1024))
        result = await client.execute(ECHO, {"n0": data}, timeout_s=60)
        assert result.output == data
        assert len(signalling.signallers) == 1


async def test_calls_go_on_without_signalling_as_long_as_the_peer_answers() -> None:
    async with served() as (client, signalling):
        await echo(client, "x")
        ours, theirs = links(client, signalling)
        await signalling.lose()
        await asyncio.sleep(0.7)
        assert ours.death is None and theirs.death is None
        assert await echo(client, "y") == "y"
        assert len(signalling.signallers) == 1
        await client.close()
        # With both gone the server forgets the peer.
        await until(lambda: len(signalling.host) == 0)


@pytest.mark.parametrize("side", ["client", "server"])
async def test_a_peer_that_loses_its_signalling_and_does_not_answer_is_dead_at_once(side: str) -> None:
    handler = Waiting()
    async with served(handler, grace_s=30.0, server={"grace_s": 30.0}) as (client, signalling):
        call = asyncio.create_task(echo(client, "x", timeout_s=30))
        await handler.entered.wait()
        ours, theirs = links(client, signalling)
        silence(theirs if side == "client" else ours)
        began_s = asyncio.get_running_loop().time()
        await signalling.lose(client=side == "client", server=side == "server")
        if side == "client":
            with pytest.raises(ConnectionLost, match="signalling"):
                await call
        else:
            async with asyncio.timeout(5):
                await handler.ended.wait()
            call.cancel()
            await asyncio.wait([call])
        assert asyncio.get_running_loop().time() - began_s < 3


async def test_a_connection_that_is_cut_is_noticed_by_its_silence() -> None:
    handler = Handler(None)
    async with served(handler, grace_s=30.0) as (client, signalling):
        await echo(client, "x")
        ours, _ = links(client, signalling)
        (guest,), (signaller,) = signalling.guests, signalling.signallers
        handler.reply = ConnectionCut()
        call = asyncio.create_task(echo(client, "y"))
        async with asyncio.timeout(5):
            await guest.lost.wait()
        await asyncio.sleep(0.1)
        assert not call.done(), "a goodbye got out"
        assert ours.death is None
        signaller.inbox.put_nowait(None)
        with pytest.raises(ConnectionLost):
            await call
        handler.reply = None
        assert await echo(client, "z") == "z"


async def test_a_server_that_closes_its_peers_says_goodbye() -> None:
    handler = Waiting()
    async with served(handler, grace_s=30.0) as (client, signalling):
        call = asyncio.create_task(echo(client, "x", timeout_s=30))
        await handler.entered.wait()
        await signalling.host.close()
        began_s = asyncio.get_running_loop().time()
        with pytest.raises(ConnectionLost):
            await call
        assert asyncio.get_running_loop().time() - began_s < 0.5


async def test_a_draining_server_ends_what_it_has_and_the_client_looks_for_another() -> None:
    handler = Waiting()
    async with served(handler) as (client, signalling):
        call = asyncio.create_task(echo(client, "x", timeout_s=30))
        await handler.entered.wait()
        old = peer_of(client)
        signalling.host.drain()
        await until(lambda: old.calls.draining)
        # The next call wants another peer, which this server does not admit any more.
        with pytest.raises(Exception, match="stopping"):
            await echo(client, "y")
        handler.let_go.set()
        assert await call == "x"
        await until(lambda: old.link.death is not None)


async def test_a_call_that_meets_a_draining_server_was_not_executed() -> None:
    handler = Handler()
    async with served(handler) as (client, signalling):
        await echo(client, "x")
        signalling.host.drain()
        with pytest.raises(RpeError) as caught:
            await echo(client, "y")
        assert not caught.value.maybe_executed
        assert caught.value.retryable
        assert len(handler.seen) == 1


async def test_what_breaks_inside_a_callback_ends_the_peer_and_is_logged(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served() as (client, _):
        await echo(client, "x")
        peer = peer_of(client)

        def broken(*_: Any) -> None:
            raise RuntimeError("a mistake")

        monkeypatch.setattr(peer.calls, "frame", broken)
        with pytest.raises(ConnectionLost, match="dealt with"):
            await echo(client, "y")
        assert "a mistake" in caplog.text
        assert await echo(client, "z") == "z"
