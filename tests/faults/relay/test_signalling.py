"""The WebSocket in the middle: what reaches the server as it was said, and what ends how."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from rpe.errors import ConfigurationError
from rpe.faults.relay.link import RelayLink
from rpe.faults.relay.signalling import SignallingRelay

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def upstream(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield "{}:{}".format(*runner.addresses[0])
    finally:
        await runner.cleanup()


@asynccontextmanager
async def relayed(handler: Handler) -> AsyncIterator[tuple[SignallingRelay, aiohttp.ClientSession]]:
    link = RelayLink("a")
    async with (
        upstream(handler) as address,
        SignallingRelay(link, address) as relay,
        aiohttp.ClientSession() as session,
    ):
        yield relay, session
    link.close()


async def echo(request: web.Request) -> web.WebSocketResponse:
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    async for message in ws:
        if message.type is WSMsgType.TEXT:
            await ws.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await ws.send_bytes(message.data)
    return ws


async def nobody_left(relay: SignallingRelay) -> None:
    """Wait until every connection has ended."""
    for _ in range(400):
        if not relay.open:
            return
        await asyncio.sleep(0.005)
    raise AssertionError(f"{relay.open} connections are left")


async def test_text_bytes_and_pings_go_through() -> None:
    async with relayed(echo) as (relay, session):
        async with session.ws_connect(f"http://{relay.endpoint}/ws", autoping=False) as ws:
            assert relay.open == 1
            await ws.send_str("not JSON")
            assert await ws.receive_str() == "not JSON"
            await ws.send_bytes(b"\x00\xff")
            assert await ws.receive_bytes() == b"\x00\xff"
            await ws.ping(b"are you there")
            assert (await ws.receive()).data == b"are you there"
        assert relay.opened == 1


async def test_path_query_headers_and_subprotocol_reach_the_server() -> None:
    seen: list[web.Request] = []

    async def handler(request: web.Request) -> web.WebSocketResponse:
        seen.append(request)
        ws = web.WebSocketResponse(protocols=("b",))
        await ws.prepare(request)
        await ws.close()
        return ws

    async with relayed(handler) as (relay, session):
        url = f"http://{relay.endpoint}/ws?room=a%20b"
        headers = {"Authorization": "Bearer secret", "X-Trace": "7"}
        async with session.ws_connect(url, headers=headers, protocols=("a", "b")) as ws:
            assert ws.protocol == "b"
            assert (await ws.receive()).type is WSMsgType.CLOSE
    assert seen[0].path_qs == "/ws?room=a%20b"
    assert seen[0].headers["Authorization"] == "Bearer secret"
    assert seen[0].headers["X-Trace"] == "7"


async def test_a_refusal_reaches_the_client() -> None:
    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=401, headers={"WWW-Authenticate": "Bearer"})

    async with relayed(refuse) as (relay, session):
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await session.ws_connect(f"http://{relay.endpoint}/ws")
    assert caught.value.status == 401
    assert caught.value.headers is not None
    assert caught.value.headers["WWW-Authenticate"] == "Bearer"


async def test_a_server_that_is_not_there_is_a_connection_that_drops() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = "{}:{}".format(*free.getsockname())
    link = RelayLink("a")
    async with SignallingRelay(link, address) as relay, aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.ws_connect(f"http://{relay.endpoint}/ws")
        assert relay.opened == 0
    link.close()


async def test_only_websockets_go_through() -> None:
    async with relayed(echo) as (relay, session), session.get(f"http://{relay.endpoint}/ws") as response:
        assert response.status == 426


@pytest.mark.parametrize("by_server", [True, False])
async def test_a_goodbye_reaches_the_other_end_with_code_and_reason(by_server: bool) -> None:
    ended: asyncio.Queue[tuple[int | None, str | None]] = asyncio.Queue()

    async def handler(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(autoclose=False)
        await ws.prepare(request)
        if by_server:
            await ws.close(code=4001, message=b"go away")
        else:
            message = await ws.receive()
            ended.put_nowait((message.data, message.extra))
            await ws.close()
        return ws

    async with relayed(handler) as (relay, session):
        ws = await session.ws_connect(f"http://{relay.endpoint}/ws", autoclose=False)
        if by_server:
            message = await ws.receive()
            assert (message.type, message.data, message.extra) == (WSMsgType.CLOSE, 4001, "go away")
            await ws.close()
        else:
            await ws.close(code=4002, message=b"bye")
            async with asyncio.timeout(1):
                assert await ended.get() == (4002, "bye")
        await nobody_left(relay)


@pytest.mark.parametrize("by_server", [True, False])
async def test_an_end_without_a_goodbye_is_one_on_the_other_side(by_server: bool) -> None:
    ended = asyncio.Event()

    async def handler(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        assert request.transport is not None
        try:
            if by_server:
                request.transport.abort()
            else:
                await ws.receive()
        finally:
            ended.set()
        return ws

    async with relayed(handler) as (relay, _):
        session = aiohttp.ClientSession()
        try:
            ws = await session.ws_connect(f"http://{relay.endpoint}/ws")
            if by_server:
                async with asyncio.timeout(1):
                    message = await ws.receive()
                assert message.type in (WSMsgType.CLOSED, WSMsgType.ERROR)
                assert ws.close_code != 1000 or message.type is WSMsgType.CLOSED
        finally:
            await session.close()
        async with asyncio.timeout(1):
            await ended.wait()
        await nobody_left(relay)


async def test_a_client_that_gives_up_while_the_server_stands_still_leaves_nothing() -> None:
    arrived, left = asyncio.Event(), asyncio.Event()

    async def stand_still(request: web.Request) -> web.Response:
        arrived.set()
        try:
            await asyncio.sleep(30)
        finally:
            left.set()
        raise AssertionError

    async with relayed(stand_still) as (relay, _):
        host, port = relay.endpoint.split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
        )
        async with asyncio.timeout(2):
            await arrived.wait()
            assert relay.open == 1
            writer.close()
            await left.wait()
        await nobody_left(relay)


async def test_stopping_ends_open_connections_and_every_task() -> None:
    before = asyncio.all_tasks()
    async with relayed(echo) as (relay, session):
        ws = await session.ws_connect(f"http://{relay.endpoint}/ws")
        await relay.stop()
        await relay.stop()
        assert relay.open == 0
        async with asyncio.timeout(1):
            assert (await ws.receive()).type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.ERROR)
        with pytest.raises(ConfigurationError):
            _ = relay.endpoint
    assert asyncio.all_tasks() == before
