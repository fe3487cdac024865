"""Our WebSocket client against servers that nobody here wrote: one by the book, and several that are not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import WSMsgType, web

from rpe.errors import (
    AuthenticationFailed,
    ConnectFailed,
    ConnectionLost,
    InvalidRequest,
    ProtocolViolation,
    RemoteUnavailable,
    RpeError,
)
from rpe.transport.webrtc.signalling.opening import open_signalling
from rpe.transport.webrtc.signalling.port import RemoteCandidate, SignallingSettings
from tests.support.signalling import ANSWER, CANDIDATE, OFFER, opened, our_tasks

Script = Callable[[web.WebSocketResponse], Awaitable[None]]


@asynccontextmanager
async def serving(script: Script, seen: list[web.Request] | None = None) -> AsyncIterator[str]:
    """A WebSocket server at /ws that follows a script once it is connected."""

    async def handle(request: web.Request) -> web.WebSocketResponse:
        if seen is not None:
            seen.append(request)
        ws = web.WebSocketResponse(timeout=0.2)
        await ws.prepare(request)
        await script(ws)
        return ws

    app = web.Application()
    app.router.add_get("/ws", handle)
    async with listening(app) as endpoint:
        yield endpoint


@asynccontextmanager
async def listening(app: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(app, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def take_announcement(ws: web.WebSocketResponse) -> dict[str, Any]:
    """Read the announcement and take it."""
    request: dict[str, Any] = await ws.receive_json()
    result = {"success": True, "peer_id": request["params"]["peer_id"], "peers_count": 1, "other_peers": []}
    await ws.send_json({"jsonrpc": "2.0", "id": request["id"], "result": result})
    return request


async def test_what_goes_out_is_the_protocol_to_the_letter() -> None:
    received: list[dict[str, Any]] = []

    async def script(ws: web.WebSocketResponse) -> None:
        received.append(await take_announcement(ws))
        offer = await ws.receive_json()
        received.append(offer)
        await ws.send_json({"jsonrpc": "2.0", "id": offer["id"], "result": {"type": "answer", "sdp": ANSWER}})
        params = {"from": "remotemedia-server", "to": "p", "candidate": "", "sdp_mid": "0"}
        await ws.send_json({"jsonrpc": "2.0", "method": "peer.ice_candidate", "params": params})
        received.append(await ws.receive_json())
        received.append(await ws.receive_json())
        await ws.receive()

    seen: list[web.Request] = []
    async with (
        serving(script, seen) as endpoint,
        opened(endpoint, token="t", metadata=(("X-Room", "5"),)) as signaller,
    ):
        assert await signaller.offer(OFFER) == ANSWER
        assert await signaller.receive() == RemoteCandidate("", "0", None)
        await signaller.send_candidate(CANDIDATE)
    assert seen[0].headers["Authorization"] == "Bearer t"
    assert seen[0].headers["X-Room"] == "5"
    announce, offer, candidate, disconnect = received
    assert announce["jsonrpc"] == "2.0"
    assert announce["method"] == "peer.announce"
    assert announce["params"] == {
        "peer_id": "p",
        "capabilities": ["data"],
        "user_data": {"auth_token": "t"},
    }
    assert offer["method"] == "peer.offer"
    assert offer["params"] == {"from": "p", "to": "remotemedia-server", "sdp": OFFER}
    assert "id" not in candidate
    assert candidate["method"] == "peer.ice_candidate"
    assert candidate["params"] == {
        "from": "p",
        "to": "remotemedia-server",
        "candidate": CANDIDATE.candidate,
        "sdp_mid": "0",
        "sdp_m_line_index": 0,
    }
    assert disconnect["method"] == "peer.disconnect"
    assert disconnect["params"]["peer_id"] == "p"


@pytest.mark.parametrize("result", [ANSWER, {"sdp": ANSWER}, {"answer": ANSWER}, {"answer": {"sdp": ANSWER}}])
async def test_an_answer_may_have_several_shapes(result: object) -> None:
    async def script(ws: web.WebSocketResponse) -> None:
        await take_announcement(ws)
        offer = await ws.receive_json()
        await ws.send_json({"jsonrpc": "2.0", "id": offer["id"], "result": result})
        await ws.receive()

    async with serving(script) as endpoint, opened(endpoint) as signaller:
        assert await signaller.offer(OFFER) == ANSWER


async def test_what_a_client_does_not_know_is_passed_over() -> None:
    answers: list[Any] = []

    async def script(ws: web.WebSocketResponse) -> None:
        await take_announcement(ws)
        await ws.send_json({"jsonrpc": "2.0", "method": "peer.state_change", "params": {"peer_id": "q"}})
        await ws.send_json({"jsonrpc": "2.0", "method": "peer.offer", "params": {"from": "q", "sdp": OFFER}})
        stranger = {"from": "q", "candidate": "candidate:9"}
        await ws.send_json({"jsonrpc": "2.0", "method": "peer.ice_candidate", "params": stranger})
        await ws.send_json({"jsonrpc": "2.0", "id": 12345, "result": "for a request that was never made"})
        await ws.send_json({"jsonrpc": "2.0", "id": 1, "method": "peer.offer", "params": {}})
        answers.append(await ws.receive_json())
        offer = await ws.receive_json()
        await ws.send_json({"jsonrpc": "2.0", "id": offer["id"], "result": {"sdp": ANSWER}})
        await ws.receive()

    async with serving(script) as endpoint, opened(endpoint) as signaller:
        assert await signaller.offer(OFFER) == ANSWER
    assert answers[0]["error"]["code"] == -32601


def says(frame: str | bytes) -> Script:
    """A server that answers whatever it gets with the same frame, in which $ID stands for the request's."""

    async def script(ws: web.WebSocketResponse) -> None:
        async for message in ws:
            number = str(json.loads(message.data).get("id", "null"))
            if isinstance(frame, bytes):
                await ws.send_bytes(frame)
            else:
                await ws.send_str(frame.replace("$ID", number))

    return script


RUBBISH: list[tuple[str | bytes, type[RpeError]]] = [
    ("hello", ProtocolViolation),
    ("", ProtocolViolation),
    (b"\x00\x01", ProtocolViolation),
    ("[]", ProtocolViolation),
    ("{}", ProtocolViolation),
    ("null", ProtocolViolation),
    ('{"id": $ID, "result": {}}', ProtocolViolation),
    ('{"jsonrpc": "2.0", "result": {"success": true}}', ProtocolViolation),
    ('{"jsonrpc": "2.0", "id": $ID}', ProtocolViolation),
    ('{"jsonrpc": "2.0", "id": $ID, "result": 1, "error": {"code": 1, "message": ""}}', ProtocolViolation),
    ('{"jsonrpc": "2.0", "id": $ID, "error": {"message": "no code"}}', ProtocolViolation),
    ('{"jsonrpc": "2.0", "id": $ID, "error": {"code": -32601, "message": "what?"}}', ProtocolViolation),
    ('{"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "what?"}}', ProtocolViolation),
    ('{"jsonrpc": "2.0", "id": $ID, "result": [1]}', ProtocolViolation),
    ('{"jsonrpc": "2.0", "id": $ID, "result": {"success": false}}', ProtocolViolation),
    ('{"jsonrpc": "2.0", "id": $ID, "error": {"code": -32602, "message": "no"}}', InvalidRequest),
    ('{"jsonrpc": "2.0", "id": $ID, "error": {"code": -32050, "message": "busy"}}', RemoteUnavailable),
    (
        '{"jsonrpc": "2.0", "id": $ID, "error": {"code": 401, "message": "Unauthorized"}}',
        AuthenticationFailed,
    ),
    ("x" * 5000, ProtocolViolation),
]


@pytest.mark.parametrize(("frame", "meant"), RUBBISH, ids=lambda value: str(value)[:40])
async def test_rubbish_instead_of_an_answer(frame: str | bytes, meant: type[RpeError]) -> None:
    async with serving(says(frame)) as endpoint, asyncio.timeout(5):
        with pytest.raises(meant) as caught:
            async with opened(endpoint, max_message_bytes=4096):
                pass
        assert type(caught.value) is meant
        assert caught.value.endpoint == endpoint
    assert our_tasks() == []


@pytest.mark.parametrize("answer", ['"hello"', "{}", "5", "null", '{"sdp": 5}', '{"sdp": "no sdp"}'])
async def test_an_answer_without_sdp(answer: str) -> None:
    async def script(ws: web.WebSocketResponse) -> None:
        await take_announcement(ws)
        await says(f'{{"jsonrpc": "2.0", "id": $ID, "result": {answer}}}')(ws)

    async with serving(script) as endpoint, opened(endpoint) as signaller:
        with pytest.raises(ProtocolViolation):
            await signaller.offer(OFFER)
        assert not signaller.lost.is_set()


@pytest.mark.parametrize(
    "params",
    [{}, {"candidate": 5}, {"candidate": "", "sdp_mid": 1}, {"candidate": "", "sdp_m_line_index": "0"}],
)
async def test_a_candidate_of_a_wrong_shape_ends_the_connection(params: dict[str, Any]) -> None:
    async def script(ws: web.WebSocketResponse) -> None:
        await take_announcement(ws)
        await ws.send_json({"jsonrpc": "2.0", "method": "peer.ice_candidate", "params": params})
        await ws.receive()

    async with serving(script) as endpoint, opened(endpoint) as signaller, asyncio.timeout(5):
        assert await signaller.receive() is None
        with pytest.raises(ConnectionLost, match="no signalling"):
            await signaller.offer(OFFER)


async def test_a_flood_of_candidates_ends_the_connection() -> None:
    async def script(ws: web.WebSocketResponse) -> None:
        await take_announcement(ws)
        try:
            while not ws.closed:
                params = {"candidate": CANDIDATE.candidate}
                await ws.send_json({"jsonrpc": "2.0", "method": "peer.ice_candidate", "params": params})
        except ConnectionError:
            pass

    async with serving(script) as endpoint, opened(endpoint) as signaller, asyncio.timeout(5):
        await signaller.lost.wait()


async def test_a_server_that_never_answers_is_left_in_time() -> None:

    async def script(ws: web.WebSocketResponse) -> None:
        while (await ws.receive()).type not in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED):
            pass

    async with serving(script) as endpoint:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), opened(endpoint):
                pass
    assert our_tasks() == []


async def test_closing_is_bounded_where_the_server_does_not_close() -> None:
    async def script(ws: web.WebSocketResponse) -> None:
        await take_announcement(ws)
        await asyncio.sleep(30)

    async with serving(script) as endpoint, asyncio.timeout(5):
        begun = asyncio.get_running_loop().time()
        async with opened(endpoint):
            pass
        assert asyncio.get_running_loop().time() - begun < 2


async def test_closing_may_be_cancelled() -> None:
    async def script(ws: web.WebSocketResponse) -> None:
        await take_announcement(ws)
        await asyncio.sleep(30)

    async with serving(script) as endpoint:
        signaller = await open_signalling(endpoint, SignallingSettings(), peer_id="p", capabilities=[])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await signaller.close()
        assert our_tasks() == []


@pytest.mark.parametrize("how", ["close", "abort"])
async def test_a_connection_that_ends_during_an_offer(how: str) -> None:
    async def script(ws: web.WebSocketResponse) -> None:
        await take_announcement(ws)
        await ws.receive()
        if how == "abort":
            ws.get_extra_info("socket").shutdown(2)
        else:
            await ws.close(code=1011)

    async with serving(script) as endpoint, opened(endpoint) as signaller:
        with pytest.raises(ConnectionLost):
            await signaller.offer(OFFER)
        assert signaller.lost.is_set()


@pytest.mark.parametrize(
    ("status", "meant"),
    [(401, AuthenticationFailed), (403, AuthenticationFailed), (404, ConnectFailed), (200, ConnectFailed)],
)
async def test_a_refused_handshake(status: int, meant: type[RpeError]) -> None:
    async def handle(request: web.Request) -> web.Response:
        return web.Response(status=status)

    app = web.Application()
    app.router.add_get("/ws", handle)
    async with listening(app) as endpoint:
        with pytest.raises(meant):
            async with opened(endpoint):
                pass


@pytest.mark.parametrize(
    ("greeting", "meant"),
    [(b"SSH-2.0-OpenSSH_9\r\n\r\n", ProtocolViolation), (b"", ConnectFailed), (None, TimeoutError)],
)
async def test_a_server_that_speaks_no_http(greeting: bytes | None, meant: type[Exception]) -> None:

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if greeting is None:
            await reader.read()
        else:
            writer.write(greeting)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        with pytest.raises(meant):
            async with asyncio.timeout(0.3), opened(f"{host}:{port}"):
                pass
        await asyncio.sleep(0.01)
    assert our_tasks() == []


@pytest.mark.parametrize("endpoint", ["nowhere.invalid:1", "127.0.0.1:no", "", "::::"])
async def test_an_address_that_is_none(endpoint: str) -> None:
    with pytest.raises(ConnectFailed):
        async with asyncio.timeout(5), opened(endpoint):
            pass
