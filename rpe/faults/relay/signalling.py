"""A WebSocket between a client and a signalling server that puts the relay between the two agents."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple, Self

import aiohttp
from aiohttp import WSMsgType, web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from rpe.errors import ConfigurationError
from rpe.faults.relay.link import RelayLink
from rpe.faults.relay.rewriting import Passed, Rewriter

__all__ = ["SignallingRelay"]

CLOSE_S = 2.0
"""How long a peer may take to answer a goodbye."""

STOP_S = 1.0
LARGEST_MESSAGE_BYTES = 64 * 1024 * 1024
"""What is passed on; what is too large for the end that it is meant for, that end refuses itself."""

NO_CODE = 1005
"""What stands for "no code was given" (RFC 6455, section 7.4.1), and must not be sent."""

OWN_HEADERS = frozenset(
    ("host", "connection", "upgrade", "content-length", "transfer-encoding", "keep-alive", "proxy-connection")
)
"""Headers of one connection: each of the two has its own, as it has all that begin with `sec-websocket`."""

_Socket = web.WebSocketResponse | aiohttp.ClientWebSocketResponse


class _Ending(NamedTuple):
    """A goodbye: the code and the reason of a close frame."""

    code: int
    reason: bytes


class SignallingRelay:
    """Stands before the signalling server at `upstream` ("host:port") and serves at `endpoint`.

    Path, query, headers and subprotocols reach the server as the client sent them, and the
    server's refusal (such as 401) reaches the client. Where the server cannot be reached, the
    connection is closed without an answer, as a TCP proxy does. Pings, pongs and closes go
    through; an end without a goodbye on one side is one on the other.

    Flows outlive the connection that made them, as peers outlive their signalling.
    """

    def __init__(self, link: RelayLink, upstream: str, *, host: str = "127.0.0.1") -> None:
        self.link = link
        self.upstream = upstream
        self.opened = 0
        self._host = host
        self._runner: web.AppRunner | None = None
        self._endpoint = ""
        self._running: set[asyncio.Task[object]] = set()

    def __repr__(self) -> str:
        return f"SignallingRelay({self._endpoint or 'not running'} -> {self.upstream}, open={self.open})"

    @property
    def endpoint(self) -> str:
        """Where it serves, as "host:port". Raises ConfigurationError where it does not."""
        if not self._endpoint:
            raise ConfigurationError("the signalling relay is not running", hint="use it as `async with`")
        return self._endpoint

    @property
    def open(self) -> int:
        """How many signalling connections there are now."""
        return len(self._running)

    async def start(self) -> None:
        """Serve on a free port. Raises OSError, and leaves nothing open, where none can be had."""
        app = web.Application()
        app.router.add_get("/{path:.*}", self._serve, allow_head=False)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=STOP_S)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, 0).start()
        except BaseException:
            await runner.cleanup()
            raise
        self._runner = runner
        host, port = runner.addresses[0][:2]
        self._endpoint = f"{host}:{port}"

    async def stop(self) -> None:
        """End every connection and wait for that; harmless when it is not running. The link stays open."""
        self._endpoint = ""
        runner, self._runner = self._runner, None
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        if runner is not None:
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    # --- one connection -------------------------------------------------------------------------------------

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if not web.WebSocketResponse().can_prepare(request):
            return web.Response(status=426, text="only WebSockets go through here\n")
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        rewriter = Rewriter(self.link.open_flow)
        try:
            # A session of its own, so that its end is the end of the connection.
            async with aiohttp.ClientSession(trust_env=False) as session:
                return await self._connect(session, request, rewriter)
        finally:
            rewriter.release()
            self._running.discard(task)

    async def _connect(
        self, session: aiohttp.ClientSession, request: web.Request, rewriter: Rewriter
    ) -> web.StreamResponse:
        try:
            server = await session.ws_connect(
                URL(f"http://{self.upstream}{request.raw_path}", encoded=True),
                headers=_passed_headers(request.headers),
                protocols=_subprotocols(request),
                autoclose=False,
                autoping=False,
                max_msg_size=LARGEST_MESSAGE_BYTES,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_S),
            )
        except aiohttp.WSServerHandshakeError as error:
            headers = CIMultiDictProxy(CIMultiDict(error.headers or {}))
            return web.Response(status=error.status, headers=_passed_headers(headers))
        except (aiohttp.ClientError, OSError):
            _abort(request)
            return web.Response(status=502)  # which nobody reads
        try:
            client = _answering(server.protocol)
            await client.prepare(request)
            self.opened += 1
            await _join(request, client, server, rewriter)
            return client
        finally:
            # First the socket, then what sits on it: where no goodbye was said, none is said now.
            await session.close()
            await server.close()


def _answering(protocol: str | None) -> web.WebSocketResponse:
    return web.WebSocketResponse(
        timeout=CLOSE_S,
        autoclose=False,
        autoping=False,
        max_msg_size=LARGEST_MESSAGE_BYTES,
        compress=False,
        protocols=(protocol,) if protocol else (),
    )


async def _join(
    request: web.Request,
    client: web.WebSocketResponse,
    server: aiohttp.ClientWebSocketResponse,
    rewriter: Rewriter,
) -> None:
    """Pass messages both ways until one side has ended, then end the other in the same way."""
    async with asyncio.TaskGroup() as tasks:
        up = tasks.create_task(_pump(client, server, rewriter.from_client))
        down = tasks.create_task(_pump(server, client, rewriter.from_server))
        up.add_done_callback(lambda _: down.cancel())
        down.add_done_callback(lambda _: up.cancel())
    goodbye = next((done.result() for done in (up, down) if not done.cancelled()), None)
    if goodbye is None:
        _abort(request)
        return
    await server.close(code=goodbye.code, message=goodbye.reason)
    await client.close(code=goodbye.code, message=goodbye.reason)


async def _pump(source: _Socket, sink: _Socket, rewrite: Callable[[str], Passed]) -> _Ending | None:
    """Pass one direction on until it ends; return its goodbye, or None where it had none."""
    while True:
        message = await source.receive()
        try:
            match message.type:
                case WSMsgType.TEXT:
                    passed = rewrite(message.data)
                    if passed.on is not None:
                        await sink.send_str(passed.on)
                    if passed.back is not None:
                        await source.send_str(passed.back)
                case WSMsgType.BINARY:
                    await sink.send_bytes(message.data)
                case WSMsgType.PING:
                    await sink.ping(message.data)
                case WSMsgType.PONG:
                    await sink.pong(message.data)
                case WSMsgType.CLOSE:
                    code = message.data if message.data and message.data != NO_CODE else 1000
                    return _Ending(code, (message.extra or "").encode())
                case _:
                    return None
        except (aiohttp.ClientError, OSError):
            return None


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


def _passed_headers(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    return CIMultiDict(
        (name, value)
        for name, value in headers.items()
        if name.lower() not in OWN_HEADERS and not name.lower().startswith("sec-websocket")
    )


def _subprotocols(request: web.Request) -> tuple[str, ...]:
    offered = ",".join(request.headers.getall("Sec-WebSocket-Protocol", []))
    return tuple(name for name in (part.strip() for part in offered.split(",")) if name)
