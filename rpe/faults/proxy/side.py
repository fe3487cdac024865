"""One socket of a proxied connection, as the event loop sees it."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from rpe.faults.proxy.link import discard

if TYPE_CHECKING:
    from rpe.faults.proxy.connection import Connection
    from rpe.faults.proxy.pipe import Pipe

__all__ = ["Side"]

_LINGER_ZERO = struct.pack("ii", 1, 0)


class Side(asyncio.Protocol):
    """The client's or the server's side. What it reads goes to `forward`, what it is given to `write`.

    `outbound` is the pipe that begins here, `inbound` the one that ends here.
    """

    __slots__ = (
        "_connection", "_eof_written", "_reading", "_transport",
        "forward", "gone", "inbound", "lost", "outbound", "received_bytes", "write",
    )  # fmt: skip

    outbound: Pipe
    inbound: Pipe

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._transport: asyncio.Transport | None = None
        self._reading = True
        self._eof_written = False
        self.received_bytes = 0
        self.lost = False
        self.gone = asyncio.Event()
        self.forward: Callable[[bytes], object] = discard
        self.write: Callable[[bytes], object] = discard

    # --- what the loop calls --------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is ready."""
        self._transport = cast(asyncio.Transport, transport)
        self.write = self._transport.write
        self._connection.side_made(self)

    def data_received(self, data: bytes) -> None:
        """Bytes were read."""
        self.received_bytes += len(data)
        self.forward(data)

    def eof_received(self) -> bool:
        """The peer sends no more; true, because it may still receive."""
        self._reading = False
        self.outbound.finish()
        return True

    def pause_writing(self) -> None:
        """The peer takes bytes more slowly than they come."""
        self.inbound.sink_full(True)

    def resume_writing(self) -> None:
        """The peer has caught up."""
        self.inbound.sink_full(False)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed, by whomever."""
        self.lost = True
        self.write = discard
        self.gone.set()
        self._connection.side_lost(self)

    # --- what the connection calls --------------------------------------------------------------------------

    @property
    def attached(self) -> bool:
        """Whether there was ever a socket."""
        return self._transport is not None

    def read(self, wanted: bool) -> None:
        """Read from the socket, or let bytes wait in it."""
        transport = self._transport
        # After the end of the stream there is nothing to read, and asking again would report it twice.
        if wanted is self._reading or self.outbound.finished or transport is None or transport.is_closing():
            return
        self._reading = wanted
        if wanted:
            transport.resume_reading()
        else:
            transport.pause_reading()

    def write_eof(self) -> None:
        """Say to the peer that no more bytes will come; it may still send. Once is enough."""
        if not self._eof_written and self._transport is not None and not self._transport.is_closing():
            self._eof_written = True
            self._transport.write_eof()

    def close(self) -> None:
        """Close the socket when what was written has left."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close the socket at once."""
        if self._transport is not None:
            self._transport.abort()

    def reset(self) -> None:
        """Close the socket at once, with a reset to the peer."""
        if self._transport is not None and not self.lost:
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
            self._transport.abort()
