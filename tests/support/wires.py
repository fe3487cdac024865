"""Both ends of a TCP connection in a test's hands."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from typing import Self

__all__ = ["PATIENCE_S", "Stopwatch", "Upstream", "Wire", "connect"]

PATIENCE_S = 5.0


class Wire:
    """One end of a TCP connection, in a test's hands. Whatever does not come in time is a TimeoutError."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock

    async def send(self, data: bytes) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def receive(self, most: int = 65536) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            return await asyncio.get_running_loop().sock_recv(self.sock, most)

    async def exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = await self.receive(size - len(data))
            assert piece, f"the stream ended after {len(data)} of {size} bytes"
            data += piece
        return data

    async def rest(self) -> bytes:
        data = b""
        while piece := await self.receive():
            data += piece
        return data

    async def silent(self, for_s: float) -> bool:
        """Say whether nothing comes, not even an end, for so long."""
        try:
            async with asyncio.timeout(for_s):
                await asyncio.get_running_loop().sock_recv(self.sock, 1)
        except TimeoutError:
            return True
        return False

    def half_close(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.sock.close()

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class Upstream:
    """A server that does nothing by itself: a test accepts its connections and speaks for it."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self._wires: list[Wire] = []
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"

    async def accept(self) -> Wire:
        async with asyncio.timeout(PATIENCE_S):
            sock, _ = await asyncio.get_running_loop().sock_accept(self._listener)
        return self.keep(Wire(sock))

    def keep(self, wire: Wire) -> Wire:
        self._wires.append(wire)
        return wire

    def close(self) -> None:
        self._listener.close()
        for wire in self._wires:
            wire.close()


async def connect(host: str, port: int) -> Wire:
    """Connect to an address, of either IP version."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    wire = Wire(sock)
    try:
        await asyncio.get_running_loop().sock_connect(sock, (host, port))
    except BaseException:
        wire.close()
        raise
    return wire


class Stopwatch:
    def __enter__(self) -> Self:
        self._began_s = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self.took_s = time.monotonic() - self._began_s
