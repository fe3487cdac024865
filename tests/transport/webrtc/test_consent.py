"""A plain peer has no heartbeat: its ICE agent is asked, and silence is noticed within the grace."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from rpe.data import Text
from rpe.errors import ConnectionLost
from rpe.transport.webrtc.consent import ConsentWatch
from rpe.transport.webrtc.ice import close_connection, make_connection
from rpe.transport.webrtc.settings import IceSettings
from tests.support.handlers import Handler
from tests.support.plain_server import against, echo, run
from tests.support.webrtc import none_left, others, peers, raw_peer, silence, sockets, until

FAST = {"heartbeat_interval_s": 0.1, "grace_s": 0.8}


@pytest.fixture(autouse=True)
async def nothing_is_left() -> AsyncIterator[None]:
    before, tasks = sockets(), others()
    yield
    assert others() - tasks == set()
    await none_left(before)


async def test_a_server_that_falls_silent_is_given_up_and_what_waits_is_told() -> None:
    async with against(lambda channel, message: None, **FAST) as (client, server):
        call = asyncio.create_task(run(client, Text("x"), timeout_s=30.0))
        await until(lambda: server.channels)
        await asyncio.sleep(0.3)
        heal = silence(server.connection)
        began_s = time.monotonic()
        with pytest.raises(ConnectionLost, match="nothing was heard"):
            await call
        assert 0.5 <= time.monotonic() - began_s < 10
        heal()


async def test_a_server_that_answers_its_agent_lives_however_silent_its_pipeline_is() -> None:
    async with against(echo, **FAST) as (client, _):
        assert await run(client, Text("a")) == Text("a")
        await asyncio.sleep(1.5)
        assert await run(client, Text("b")) == Text("b")


async def test_a_silence_shorter_than_the_grace_is_forgiven() -> None:
    async with against(echo, heartbeat_interval_s=0.1, grace_s=3.0) as (client, server):
        assert await run(client, Text("a")) == Text("a")
        heal = silence(server.connection)
        await asyncio.sleep(0.7)
        heal()
        assert await run(client, Text("b")) == Text("b")


async def test_a_server_lets_go_of_a_plain_peer_that_vanished() -> None:
    handler = Handler()
    async with peers(handler, **FAST) as signalling, raw_peer(signalling, "data") as peer:
        await until(lambda: handler.calls)
        silence(peer.connection)
        await until(handler.cancelled.is_set)
        await until(lambda: not any(signalling.host._peers.values()))


async def test_a_connection_that_never_comes_about_is_told_of_once() -> None:
    told: list[str] = []
    connection = make_connection(IceSettings())
    watch = ConsentWatch(connection, interval_s=0.01, grace_s=0.05, silent=told.append)
    await asyncio.sleep(0.1)
    # Whoever connects has a time limit of its own: nothing is asked, and so nothing is missed.
    assert told == []
    await watch.stop()
    await watch.stop()
    await close_connection(connection)
