"""An aiohttp server for any request at all, with a port that is its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from yarl import URL

from rpe.transport.listening import BACKLOG, bracketed, listening_socket

__all__ = ["Listening", "path_of"]

_CLOSING_S = 0.1

Serve = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Listening:
    """Serves every request by one function, whatever its method and path."""

    def __init__(self, serve: Serve, *, host: str, port: int) -> None:
        self.endpoint = ""
        self._serve = serve
        self._host = host
        self._port = port
        self._runner: web.ServerRunner | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Bind and serve. Raises ConfigurationError where the address cannot be bound."""
        sock = listening_socket(self._host, self._port)
        # The raw bytes of bodies: what is compressed stays so.
        server = web.Server(self._run, handler_cancellation=True, access_log=None, auto_decompress=False)
        runner = web.ServerRunner(server, shutdown_timeout=_CLOSING_S)
        try:
            await runner.setup()
            await web.SockSite(runner, sock, backlog=BACKLOG).start()
        except BaseException:
            sock.close()
            await runner.cleanup()
            raise
        self._runner = runner
        self.endpoint = f"{bracketed(self._host)}:{sock.getsockname()[1]}"

    async def stop(self) -> None:
        """Break off what runs, and wait until nothing is left. Harmless twice."""
        runner, self._runner = self._runner, None
        if runner is None:
            return
        for site in list(runner.sites):
            await site.stop()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks))
        await runner.cleanup()

    async def _run(self, request: web.BaseRequest) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            return await self._serve(request)
        finally:
            self._tasks.discard(task)


def path_of(request: web.BaseRequest) -> str:
    """Return the path and query of a request, whose caller may have sent a whole URL."""
    target = request.raw_path
    return target if target.startswith("/") else URL(target, encoded=True).raw_path_qs
