"""Two aiortc peers and a small signalling server between them, which knows nothing of the project."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web
from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription

__all__ = ["EchoPeers", "RawPeer", "loopback_connection", "server_addresses"]

LOOPBACK = "127.0.0.1"


def loopback_connection() -> RTCPeerConnection:
    """A peer connection that uses no ICE server and gathers 127.0.0.1, which aioice skips by itself."""
    return RTCPeerConnection(RTCConfiguration(iceServers=[]))


def _gather_loopback(connection: RTCPeerConnection) -> None:
    transports = {connection.sctp.transport.transport} if connection.sctp else set()
    for transport in transports:
        ice = transport.iceGatherer._connection
        original = ice.get_component_candidates

        async def on_loopback(
            component: int, addresses: list[str], timeout: int = 5, *, inner: Any = original
        ) -> Any:
            return await inner(component=component, addresses=[LOOPBACK], timeout=timeout)

        ice.get_component_candidates = on_loopback  # type: ignore[method-assign]


@dataclass
class EchoPeers:
    """A signalling server at `endpoint` that answers every offer with a peer that echoes its channels."""

    endpoint: str = ""
    connections: list[RTCPeerConnection] = field(default_factory=list)
    offers: list[str] = field(default_factory=list)
    candidates: list[str] = field(default_factory=list)
    sockets: set[web.WebSocketResponse] = field(default_factory=set)

    @classmethod
    @asynccontextmanager
    async def serve(cls) -> AsyncIterator[EchoPeers]:
        peers = cls()
        app = web.Application()
        app.router.add_get("/ws", peers._signal)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        await web.TCPSite(runner, LOOPBACK, 0).start()
        peers.endpoint = "{}:{}".format(*runner.addresses[0])
        try:
            yield peers
        finally:
            for socket in list(peers.sockets):
                await socket.close()
            await runner.cleanup()
            await asyncio.gather(*(connection.close() for connection in peers.connections))

    async def _signal(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.add(socket)
        async for message in socket:
            said = json.loads(message.data)
            if said["method"] == "peer.ice_candidate":
                self.candidates.append(said["params"]["candidate"])
                continue
            sdp = await self._answer(said["params"]["sdp"])
            await socket.send_json({"jsonrpc": "2.0", "id": said["id"], "result": {"sdp": sdp}})
        self.sockets.discard(socket)
        return socket

    async def _answer(self, offer: str) -> str:
        self.offers.append(offer)
        connection = loopback_connection()
        self.connections.append(connection)

        @connection.on("datachannel")
        def _echo(channel: RTCDataChannel) -> None:
            channel.on("message", channel.send)

        await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        _gather_loopback(connection)
        await connection.setLocalDescription(await connection.createAnswer())
        return str(connection.localDescription.sdp)


class RawPeer:
    """A client of `EchoPeers`: one data channel; `ask` sends a message and waits for its echo."""

    def __init__(self) -> None:
        self.connection = loopback_connection()
        self.channel = self.connection.createDataChannel("echo")
        self.echoes: asyncio.Queue[Any] = asyncio.Queue()
        self.answer = ""
        self._open = asyncio.Event()
        self.channel.on("open", self._open.set)
        self.channel.on("message", self.echoes.put_nowait)
        _gather_loopback(self.connection)

    async def connect(self, endpoint: str, *, timeout_s: float = 10.0) -> None:
        await self.connection.setLocalDescription(await self.connection.createOffer())
        offer = {"from": "c", "to": "remotemedia-server", "sdp": self.connection.localDescription.sdp}
        async with aiohttp.ClientSession() as session, session.ws_connect(f"http://{endpoint}/ws") as socket:
            await socket.send_json({"jsonrpc": "2.0", "id": 1, "method": "peer.offer", "params": offer})
            self.answer = (await socket.receive_json())["result"]["sdp"]
        await self.connection.setRemoteDescription(RTCSessionDescription(self.answer, "answer"))
        async with asyncio.timeout(timeout_s):
            await self._open.wait()

    async def ask(self, text: str, *, timeout_s: float = 10.0) -> str:
        self.channel.send(text)
        async with asyncio.timeout(timeout_s):
            return str(await self.echoes.get())

    async def close(self) -> None:
        await self.connection.close()


def server_addresses(sdp: str) -> set[tuple[str, int]]:
    """The addresses of the candidates in a description."""
    candidates = [line.split() for line in sdp.splitlines() if line.startswith("a=candidate:")]
    return {(fields[4], int(fields[5])) for fields in candidates}
