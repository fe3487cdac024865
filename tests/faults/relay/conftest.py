"""Plain UDP ends for the relay: an echo server, and clients that collect what they get."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest

Address = tuple[str, int]


class End(asyncio.DatagramProtocol):
    """One UDP socket: keeps what arrives, with its source; echoes where told to."""

    def __init__(self, *, echoes: bool = False) -> None:
        self.echoes = echoes
        self.got: list[tuple[bytes, Address]] = []
        self._arrived = asyncio.Event()
        self._transport: asyncio.DatagramTransport | None = None

    @classmethod
    async def open(cls, *, echoes: bool = False) -> End:
        loop = asyncio.get_running_loop()
        _, end = await loop.create_datagram_endpoint(lambda: cls(echoes=echoes), ("127.0.0.1", 0))
        return end

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.got.append((data, addr))
        self._arrived.set()
        if self.echoes:
            self.send(data, addr)

    @property
    def address(self) -> Address:
        assert self._transport is not None
        host, port = self._transport.get_extra_info("sockname")
        return host, port

    def send(self, data: bytes, to: Address) -> None:
        assert self._transport is not None
        self._transport.sendto(data, to)

    async def wait_for(self, count: int, *, timeout_s: float = 2.0) -> list[bytes]:
        """Wait until so many datagrams have arrived, and return them."""
        async with asyncio.timeout(timeout_s):
            while len(self.got) < count:
                self._arrived.clear()
                await self._arrived.wait()
        return [data for data, _ in self.got]

    async def stays_silent(self, for_s: float = 0.05) -> bool:
        """Say whether nothing more arrives for a while."""
        before = len(self.got)
        await asyncio.sleep(for_s)
        return len(self.got) == before

    def close(self) -> None:
        assert self._transport is not None
        self._transport.close()


@pytest.fixture
async def server() -> AsyncIterator[End]:
    end = await End.open(echoes=True)
    yield end
    end.close()


@pytest.fixture
async def client() -> AsyncIterator[End]:
    end = await End.open()
    yield end
    end.close()


@pytest.fixture
async def stranger() -> AsyncIterator[End]:
    end = await End.open()
    yield end
    end.close()
