"""The HTTP side of a fake: its services by the Connect protocol, for clients, browsers and curl."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rpe.clock import SYSTEM_CLOCK, Clock
from rpe.transport.listening import bracketed, listening_socket

if TYPE_CHECKING:
    import ssl

    from aiohttp import web

    from rpe.fakes.definition.answering import MethodServer

__all__ = ["ConnectServer"]

_CLOSING_S = 0.1
"""How long aiohttp may take to end its own tasks, when all of ours have ended."""

_LINGER_S = 1.0
"""How long what a caller still sends is read, and thrown away, when its call has ended."""

_LONGEST_LINE = 64 * 1024
"""Of a request: a message in a query makes it long."""


class ConnectServer:
    """Serves methods by the Connect protocol over HTTP/1.1; their rules and their journal are their own.

    It is what `ProtoFake(..., http_port=0)` starts, with `fake.method` to find them by.

    Requests are `POST /package.Service/Method`, or GET where a method has no side effects. Messages
    are JSON or protobuf, streams of each kind are there, bidirectional ones in both directions at once.
    A server stream that is asked for with `Accept: text/event-stream` comes as server-sent events.

    Arguments:
        find: returns what serves a method, by the full name of its service and its own name; None
            where nothing does. Asked at each call.
        host, port: where to listen; port 0 takes a free one. No other server can share the port.
        ssl_context: of a server, to serve HTTPS; None for clear text.
        max_message_bytes: of a request, also when it is unpacked.
        clock: what the time limits of callers are kept by.

    `endpoint` is host and port, "" before the first `start`. A caller that goes away cancels its call.
    """

    def __init__(
        self,
        find: Callable[[str, str], MethodServer | None],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        ssl_context: ssl.SSLContext | None = None,
        max_message_bytes: int = 64 * 1024 * 1024,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.endpoint = ""
        self._find = find
        self._host = host
        self._port = port
        self._ssl_context = ssl_context
        self._max_message_bytes = max_message_bytes
        self._clock = clock
        self._runner: web.AppRunner | None = None
        self._running: set[asyncio.Task[Any]] = set()

    def __repr__(self) -> str:
        return f"ConnectServer({self.endpoint or 'no endpoint yet'})"

    async def start(self) -> None:
        """Bind and serve. Harmless where it runs already.

        Raises ConfigurationError where the address cannot be bound; nothing runs then.
        """
        from aiohttp import web

        if self._runner is not None:
            return
        sock = listening_socket(self._host, self._port, "the HTTP side of the fake")
        runner = web.AppRunner(
            self._application(),
            handler_cancellation=True,
            access_log=None,
            shutdown_timeout=_CLOSING_S,
            lingering_time=_LINGER_S,
            max_line_size=_LONGEST_LINE,
            auto_decompress=False,  # unpacked here, where a bomb meets its limit
        )
        try:
            await runner.setup()
            await web.SockSite(runner, sock, ssl_context=self._ssl_context).start()
        except BaseException:
            sock.close()
            await runner.cleanup()
            raise
        self._runner = runner
        self.endpoint = f"{bracketed(self._host)}:{sock.getsockname()[1]}"

    async def stop(self, grace_s: float = 0.0) -> None:
        """Take no more calls, give running ones `grace_s` seconds, then cancel them. Harmless twice.

        Cancelling this ends the grace; the server has stopped then, too.
        """
        runner, self._runner = self._runner, None
        if runner is None:
            return
        try:
            for site in list(runner.sites):
                await site.stop()
            if runner.server is not None:
                runner.server.pre_shutdown()
            if self._running and grace_s > 0:
                await asyncio.wait(self._running, timeout=grace_s)
        finally:
            running = list(self._running)
            for task in running:
                task.cancel()
            if running:
                await asyncio.wait(running)
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _application(self) -> web.Application:
        from aiohttp import web

        from rpe.fakes.definition.connect_calls import ConnectCalls

        calls = ConnectCalls(self._find, self._max_message_bytes, self._clock)

        async def answer(request: web.Request) -> web.StreamResponse:
            task = asyncio.current_task()
            assert task is not None
            self._running.add(task)
            try:
                return await calls.answer(request)
            finally:
                self._running.discard(task)

        app = web.Application(client_max_size=self._max_message_bytes)
        app.router.add_route("*", "/{path:.*}", answer)
        return app
