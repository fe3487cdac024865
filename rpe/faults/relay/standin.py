"""A socket of the relay that stands for one agent's address towards the other agent."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Literal

__all__ = ["Address", "Receive", "Side", "StandIn"]

Address = tuple[str, int]
"""An IPv4 address and a port."""

Side = Literal["client", "server"]
"""An agent, as the one that a socket of the relay faces."""

DATAGRAM_BYTES = 65_535
READ_AT_ONCE = 64
"""How many datagrams are read before others get their turn on the loop."""

BUFFER_BYTES = 1024 * 1024
"""What the kernel keeps for a busy relay, where it lets us have so much: a loss must be one we chose."""

Receive = Callable[["StandIn", bytes, Address], None]
"""Takes a datagram that came to a stand-in, and where it came from."""


class StandIn:
    """Faces one agent, and is for it what `stands_for` is: the other agent's address.

    A plain non-blocking socket rather than an asyncio transport, so that it can be opened and
    replaced in one step, without waiting in between.

    Arguments:
        loop: reads the socket.
        host: the address to bind to; the port is a free one.
        facing: the agent that is to send here.
        stands_for: where what arrives here goes.
        learned: made for a source that nobody had announced.
        receive: is called with everything that arrives.
    """

    __slots__ = (
        "_host",
        "_loop",
        "_receive",
        "_socket",
        "address",
        "facing",
        "learned",
        "stands_for",
        "used_s",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        host: str,
        facing: Side,
        stands_for: Address,
        receive: Receive,
        *,
        learned: bool = False,
    ) -> None:
        self._loop = loop
        self._host = host
        self._receive = receive
        self.facing = facing
        self.stands_for = stands_for
        self.learned = learned
        self.used_s = loop.time()
        self._socket: socket.socket | None = None
        self.address: Address = ("", 0)
        self.rebind()

    def __repr__(self) -> str:
        return f"StandIn({self.address} faces the {self.facing} for {self.stands_for})"

    def rebind(self) -> None:
        """Move to a new port; the old one is closed. Where there is none, raises OSError and stays put."""
        fresh = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            fresh.setblocking(False)
            fresh.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
            fresh.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
            fresh.bind((self._host, 0))
            address = fresh.getsockname()
        except BaseException:
            fresh.close()
            raise
        # The old socket goes last, so that the new one cannot get its port.
        self.close()
        self._socket, self.address = fresh, (address[0], address[1])
        self._loop.add_reader(fresh, self._read)

    def send(self, data: bytes, to: Address) -> bool:
        """Send a datagram; say whether the kernel took it. Like a network, it never waits nor raises."""
        if self._socket is None:
            return False
        try:
            self._socket.sendto(data, to)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Close the socket; harmless twice."""
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _read(self) -> None:
        for _ in range(READ_AT_ONCE):
            if self._socket is None:  # a datagram may have led to its end
                return
            try:
                data, source = self._socket.recvfrom(DATAGRAM_BYTES)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                continue  # an earlier datagram found nobody: the next one is its own
            self.used_s = self._loop.time()
            self._receive(self, data, (source[0], source[1]))
