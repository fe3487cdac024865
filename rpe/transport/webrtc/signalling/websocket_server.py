"""Signalling by JSON-RPC 2.0 over a WebSocket: the server."""

from __future__ import annotations

import ssl
from types import TracebackType
from typing import Self

from aiohttp import WSCloseCode, web

from rpe.clock import SYSTEM_CLOCK
from rpe.errors import ConfigurationError
from rpe.transport.listening import bracketed
from rpe.transport.webrtc.signalling.certificates import server_context
from rpe.transport.webrtc.signalling.errors import Code, SignallingError
from rpe.transport.webrtc.signalling.hub import SignallingHub
from rpe.transport.webrtc.signalling.websocket_connection import WebSocketConnection

__all__ = ["WebSocketSignalling"]

_GOODBYE_S = 0.5
_HEARTBEAT_S = 15.0
"""How often a client is asked for a sign of life, so that one that vanished is let go."""


class WebSocketSignalling:
    """A hub's mouth for browsers and the like. `endpoint` is empty before the first `start`.

    A request whose `Authorization` header is wrong is answered with 401. Without that header
    the connection opens, since the token may come in the announcement.

    Arguments:
        host, port, path: where it listens; port 0 takes any free one.
        certificate_chain, private_key: PEM, for TLS; with client_root_certificates, mutual TLS.
        max_message_bytes: a longer message ends its connection.
    """

    def __init__(
        self,
        hub: SignallingHub,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        path: str = "/ws",
        certificate_chain: bytes | None = None,
        private_key: bytes | None = None,
        client_root_certificates: bytes | None = None,
        max_message_bytes: int = 1024 * 1024,
    ) -> None:
        self.endpoint = ""
        self._hub = hub
        self._host, self._port, self._path = host, port, path
        self._certificates = (certificate_chain, private_key, client_root_certificates)
        self._max_message_bytes = max_message_bytes
        self._runner: web.AppRunner | None = None
        self._connections: set[WebSocketConnection] = set()

    async def start(self) -> None:
        """Bind and serve. Harmless where it runs already.

        Raises ConfigurationError where the address cannot be bound or the certificates are
        unusable; nothing runs then.
        """
        if self._runner is not None:
            return
        context = self._context()
        app = web.Application()
        app.router.add_get(self._path, self._serve)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=_GOODBYE_S)
        where = f"{bracketed(self._host)}:{self._port}"
        try:
            await runner.setup()
            await web.TCPSite(runner, self._host, self._port, ssl_context=context).start()
        except OSError as error:
            await runner.cleanup()
            raise ConfigurationError(
                f"a signalling server cannot be started: {error.strerror or error}",
                endpoint=where,
                hint="choose another port, or 0 for any free one",
            ) from error
        except BaseException:
            await runner.cleanup()
            raise
        self._runner = runner
        self.endpoint = f"{bracketed(self._host)}:{runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Say goodbye to every client, within half a second, and stop. Harmless where it does not run.

        No task and no connection is left afterwards, also where this is cancelled.
        """
        runner, self._runner = self._runner, None
        if runner is None:
            return
        try:
            for site in list(runner.sites):
                await site.stop()
            for connection in self._connections:
                connection.close(WSCloseCode.GOING_AWAY)
            async with SYSTEM_CLOCK.deadline(SYSTEM_CLOCK.now() + _GOODBYE_S):
                for connection in list(self._connections):
                    await connection.ended.wait()
        except TimeoutError:
            pass
        finally:
            for connection in self._connections:
                connection.abort()
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse(
            heartbeat=_HEARTBEAT_S, timeout=_GOODBYE_S, max_msg_size=self._max_message_bytes
        )
        connection = WebSocketConnection(self._hub, request, ws)
        if "authorization" in connection.metadata:
            try:
                await self._hub.authenticate(connection)
            except SignallingError as error:
                return _refused(error)
        await ws.prepare(request)
        self._connections.add(connection)
        try:
            await connection.serve()
        finally:
            self._connections.discard(connection)
        return ws

    def _context(self) -> ssl.SSLContext | None:
        chain, key, roots = self._certificates
        if chain is None and key is None and roots is None:
            return None
        if chain is None or key is None:
            raise ConfigurationError(
                "TLS needs both certificate_chain and private_key",
                hint="give both as PEM, or neither for clear text",
            )
        return server_context(chain, key, roots)


def _refused(error: SignallingError) -> web.Response:
    if error.code == Code.UNAUTHENTICATED:
        return web.Response(status=401, text=error.message, headers={"WWW-Authenticate": "Bearer"})
    return web.Response(status=503, text=error.message)
