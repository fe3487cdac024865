"""The HTTP server: the routes of the contract on one aiohttp server."""

from __future__ import annotations

import asyncio
import socket
import ssl
from types import TracebackType
from typing import Self

from aiohttp import web

from rpe.transport.http.idle import IdleConnections
from rpe.transport.http.running import RunningRequests
from rpe.transport.http.serving_calls import Routes
from rpe.transport.http.sessions import Sessions
from rpe.transport.http.tls import server_context
from rpe.transport.listening import BACKLOG, bracketed, listening_socket
from rpe.transport.serving import PipelineHandler, ServerSettings

__all__ = ["HttpPipelineServer"]

_CLOSING_S = 0.1
"""How long aiohttp may take to end its own tasks, when all of ours have ended."""

_BACKLOG = 1024


class HttpPipelineServer:
    """Fills `rpe.transport.ports.PipelineServer`.

    `endpoint` is empty before the first `start`. A stopped server can be started again;
    with port 0 it is then bound to another port.

    Arguments:
        comment_s: how often a silent output of a session gets a keep-alive comment.
        resume_s: how long a session waits for its caller to take up an output that broke.
    """

    def __init__(
        self,
        handler: PipelineHandler,
        settings: ServerSettings,
        *,
        comment_s: float = 5.0,
        resume_s: float = 5.0,
    ) -> None:
        self.endpoint = ""
        self._handler = handler
        self._settings = settings
        self._comment_s = comment_s
        self._runner: web.AppRunner | None = None
        self._requests = RunningRequests()
        self._sessions = Sessions(handler, resume_s=resume_s)
        self._idle = IdleConnections(handler)

    async def start(self) -> None:
        """Bind and serve. Harmless where it runs already.

        Raises ConfigurationError where the address cannot be bound or the certificates are
        unusable; nothing runs then.
        """
        if self._runner is not None:
            return
        settings = self._settings
        context = server_context(settings)
        sock = listening_socket(settings.host, settings.port, "an HTTP server")
        runner = web.AppRunner(
            self._application(), handler_cancellation=True, access_log=None, shutdown_timeout=_CLOSING_S
        )
        try:
            await runner.setup()
            await _listen(runner, sock, context)
        except BaseException:
            sock.close()
            await runner.cleanup()
            raise
        self._runner = runner
        self.endpoint = f"{bracketed(settings.host)}:{sock.getsockname()[1]}"

    async def stop(self, grace_s: float = 0.0) -> None:
        """Take no more calls, give running ones `grace_s` seconds, then cancel them and wait for their end.

        No task and no connection of the server is left afterwards; cancelling this ends the
        grace. Harmless where the server does not run.
        """
        runner, self._runner = self._runner, None
        if runner is None:
            return
        try:
            for site in list(runner.sites):
                await site.stop()
            if runner.server is not None:
                runner.server.pre_shutdown()
            if grace_s > 0:
                async with asyncio.TaskGroup() as graces:
                    graces.create_task(self._sessions.wait(grace_s))
                    graces.create_task(self._requests.wait(grace_s))
        finally:
            await self._sessions.stop()
            await self._requests.cancel_all()
            self._idle.stop()
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _application(self) -> web.Application:
        app = web.Application(client_max_size=self._settings.max_message_bytes)
        routes = Routes(self._handler, self._requests, self._sessions, self._idle, comment_s=self._comment_s)
        routes.add_to(app, health=self._settings.health)
        return app


async def _listen(runner: web.AppRunner, sock: socket.socket, context: ssl.SSLContext | None) -> None:
    await web.SockSite(runner, sock, ssl_context=context, backlog=BACKLOG).start()
