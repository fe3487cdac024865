"""One client's connection through a proxy: two sockets, two pipes, and when it is over."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Mapping

from rpe.faults.actions import Stream
from rpe.faults.proxy.addresses import split_host_port
from rpe.faults.proxy.pipe import LinkMaker, Pipe
from rpe.faults.proxy.side import Side
from rpe.faults.proxy.stats import ProxyStats, StreamStats
from rpe.faults.proxy.toxic import Toxic

__all__ = ["Connection"]

CONNECT_TIMEOUT_S = 10.0


class Connection:
    """Lives for as long as `run` does.

    A half-close passes through: when one peer has said all it will, the other direction goes
    on until it ends too. A reset by one peer reaches the other as an end, behind the bytes
    that were accepted before it, as with Toxiproxy.
    """

    def __init__(
        self, upstream: str, toxics: Mapping[str, Toxic], stats: ProxyStats, new_link: LinkMaker
    ) -> None:
        self._upstream = upstream
        self._toxics = toxics
        self._stats = stats
        self._closing = False
        self._counted = False
        self._client = Side(self)
        self._server = Side(self)
        self._up = Pipe(self, "upstream", self._client, self._server, new_link)
        self._down = Pipe(self, "downstream", self._server, self._client, new_link)
        self._pipes = (self._up, self._down)
        # Both sides know each other before the server is called: it may speak at once.
        self._client.outbound = self._server.inbound = self._up
        self._server.outbound = self._client.inbound = self._down

    async def run(self, sock: socket.socket) -> None:
        """Serve the accepted `sock` until both sockets are closed. Cancelling closes them at once."""
        loop = asyncio.get_running_loop()
        self._stats.accepted += 1
        self._stats.open += 1
        try:
            await loop.connect_accepted_socket(lambda: self._client, sock)
            if await self._dial():
                await self._client.gone.wait()
                await self._server.gone.wait()
        finally:
            try:
                await self._abort()
            finally:
                self._stats.open -= 1
                self.count_into(self._stats.bytes)
                self._counted = True

    def count_into(self, totals: Mapping[Stream, StreamStats]) -> None:
        """Add the bytes of this connection, unless they are in its proxy's own counters already."""
        if not self._counted:
            for pipe in self._pipes:
                pipe.count_into(totals[pipe.stream])

    def pipe(self, stream: Stream) -> Pipe:
        """Return the pipe of one direction."""
        return self._up if stream == "upstream" else self._down

    # --- what the sides report ------------------------------------------------------------------------------

    def side_made(self, side: Side) -> None:
        """A socket is there. With the server's, bytes begin to pass."""
        if side is self._server:
            self._up.open(self._toxics_of("upstream"))
            self._down.open(self._toxics_of("downstream"))
        else:
            self._up.balance()

    def side_lost(self, side: Side) -> None:
        """A socket is gone: its stream ends behind what it sent, and nothing reaches it any more."""
        side.inbound.kill()
        side.outbound.finish()
        self.settle()

    # --- what the pipes report ------------------------------------------------------------------------------

    def settle(self) -> None:
        """Pass ends on, and close what nobody needs any more."""
        for pipe, other in ((self._up, self._down), (self._down, self._up)):
            if not pipe.ended:
                continue
            if self._closing or other.ended:
                pipe.sink.close()
            else:
                pipe.sink.write_eof()

    def close(self) -> None:
        """Take nothing more from either peer, deliver what is held, then close both sockets."""
        self._closing = True
        for pipe in self._pipes:
            pipe.shut()
        for pipe in self._pipes:
            pipe.finish()
        self.settle()

    def reset(self) -> None:
        """Drop everything and reset both peers."""
        for pipe in self._pipes:
            pipe.kill()
        self._client.reset()
        self._server.reset()

    async def _dial(self) -> bool:
        """Connect to the server; False if it refuses, cannot be found, or does not answer in time."""
        loop = asyncio.get_running_loop()
        try:
            host, port = split_host_port(self._upstream)
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await loop.create_connection(lambda: self._server, host or "127.0.0.1", port or 0)
        except (OSError, ValueError, OverflowError):
            self._stats.refused_upstream += 1
            return False
        return True

    async def _abort(self) -> None:
        for pipe in self._pipes:
            pipe.kill()
        for side in (self._client, self._server):
            side.abort()
            if side.attached:
                await side.gone.wait()

    def _toxics_of(self, stream: Stream) -> Iterable[Toxic]:
        return [toxic for toxic in self._toxics.values() if toxic.stream == stream]
