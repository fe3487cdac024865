"""Signalling without a wire, and WebRTC peers made of bare aiortc: what our ends meet in tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from aiortc import RTCDataChannel, RTCPeerConnection, RTCSessionDescription

from rpe.manifest.model import Manifest
from rpe.transport.webrtc.client import WebrtcPipelineClient
from rpe.transport.webrtc.framing import Frame, decode
from rpe.transport.webrtc.ice import close_connection, make_connection, set_local
from rpe.transport.webrtc.link import Link
from rpe.transport.webrtc.serving import ServingPeers
from rpe.transport.webrtc.settings import IceSettings, WebrtcServerSettings, WebrtcSettings
from rpe.transport.webrtc.signalling.port import RemoteCandidate, Signaller, SignallingSettings
from tests.support.handlers import Handler

__all__ = [
    "ECHO",
    "Guest",
    "LocalSignalling",
    "RawPeer",
    "ScriptedSignaller",
    "none_left",
    "others",
    "peers",
    "raw_peer",
    "served",
    "silence",
    "sockets",
    "until",
]

ECHO = Manifest.single("n0", node_type="Echo")
PATIENCE_S = 10.0


def others() -> set[asyncio.Task[Any]]:
    return asyncio.all_tasks() - {asyncio.current_task()}


def sockets() -> int:
    """How many sockets this process has open."""
    count = 0
    for entry in Path("/proc/self/fd").iterdir():
        try:
            count += str(entry.readlink()).startswith("socket:")
        except OSError:
            continue
    return count


async def none_left(before: int, within_s: float = 2.0) -> None:
    """Wait until no more sockets are open than before: a transport that closes gives its own back later."""
    async with asyncio.timeout(within_s):
        while sockets() > before:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def until(condition: Callable[[], object], within_s: float = PATIENCE_S) -> None:
    """Wait for what nobody announces."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


class Guest:
    """A peer as a server's signalling shows it."""

    def __init__(self, peer_id: str, metadata: Mapping[str, str]) -> None:
        self.peer_id = peer_id
        self.address = "127.0.0.1:4000"
        self.capabilities = ("data",)
        self.metadata = metadata
        self.announced_leaving = False
        self.lost = asyncio.Event()
        self.candidates: list[RemoteCandidate] = []

    async def send_candidate(self, candidate: RemoteCandidate) -> None:
        self.candidates.append(candidate)

    def abort(self) -> None:
        self.lost.set()


class ScriptedSignaller:
    """Answers an offer by a function of the test's own."""

    def __init__(self, answer: Callable[[str], Any]) -> None:
        self.lost = asyncio.Event()
        self.closed: list[str] = []
        self.inbox: asyncio.Queue[RemoteCandidate | None] = asyncio.Queue()
        self._answer = answer

    async def offer(self, sdp: str) -> str:
        answer = self._answer(sdp)
        return str(await answer if asyncio.iscoroutine(answer) else answer)

    async def send_candidate(self, candidate: RemoteCandidate) -> None:
        raise AssertionError("every candidate is in the offer")

    async def receive(self) -> RemoteCandidate | None:
        return await self.inbox.get()

    async def close(self, reason: str = "") -> None:
        self.closed.append(reason)
        self.lost.set()

    def connect(self) -> Any:
        async def connect(
            endpoint: str, settings: SignallingSettings, *, peer_id: str, capabilities: Sequence[str]
        ) -> Signaller:
            return self

        return connect


class LocalSignalling:
    """Joins clients and a server's peers in one process. `guests` and `signallers` are what it made."""

    def __init__(self, host: ServingPeers) -> None:
        self.host = host
        self.guests: list[Guest] = []
        self.signallers: list[ScriptedSignaller] = []
        self.pause_s = 0.0

    async def __call__(
        self, endpoint: str, settings: SignallingSettings, *, peer_id: str, capabilities: Sequence[str]
    ) -> Signaller:
        metadata = {"authorization": f"Bearer {settings.token}"} if settings.token else {}
        guest = Guest(peer_id, metadata)
        await asyncio.sleep(self.pause_s)
        await self.host.admit(guest)
        self.guests.append(guest)
        signaller = ScriptedSignaller(lambda sdp: self.host.offered(guest, sdp))
        close = signaller.close

        async def goodbye(reason: str = "") -> None:
            if not signaller.lost.is_set():
                await close(reason)
                guest.announced_leaving = True
                await self.host.left(guest)

        signaller.close = goodbye  # type: ignore[method-assign]
        self.signallers.append(signaller)
        return signaller

    async def lose(self, *, client: bool = True, server: bool = True) -> None:
        """Let every signalling connection end, seen from either side."""
        for guest, signaller in zip(self.guests, self.signallers, strict=True):
            signaller.lost.set()
            if client:
                signaller.inbox.put_nowait(None)
            if server:
                await self.host.left(guest)


@asynccontextmanager
async def peers(handler: Any, **settings: Any) -> AsyncIterator[LocalSignalling]:
    """A server's peers, without the server."""
    host = ServingPeers(handler, WebrtcServerSettings(**settings))
    try:
        yield LocalSignalling(host)
    finally:
        await host.close()


@asynccontextmanager
async def served(
    handler: Any = None, *, server: Mapping[str, Any] | None = None, **config: Any
) -> AsyncIterator[tuple[WebrtcPipelineClient, LocalSignalling]]:
    """A client and the server's peers behind it."""
    async with peers(handler or Handler(), **(server or {})) as signalling:
        settings = WebrtcSettings(**config)
        client = WebrtcPipelineClient("127.0.0.1:4000", settings, connect=signalling)
        try:
            yield client, signalling
        finally:
            await client.close()


def silence(end: Link | RTCPeerConnection) -> Callable[[], None]:
    """Let no datagram of an end come or go any more. Returns what heals it."""
    connection = end.connection if isinstance(end, Link) else end
    assert connection.sctp is not None
    protocols: list[Any] = connection.sctp.transport.transport._connection._protocols
    sockets_: list[Any] = [protocol.transport for protocol in protocols]
    received = [protocol.datagram_received for protocol in protocols]
    sent = [transport.sendto for transport in sockets_]
    for protocol, transport in zip(protocols, sockets_, strict=True):
        protocol.datagram_received = lambda *_: None
        transport.sendto = lambda *_: None

    def heal() -> None:
        for protocol, transport, hear, send in zip(protocols, sockets_, received, sent, strict=True):
            protocol.datagram_received = hear
            transport.sendto = send

    return heal


class RawPeer:
    """A client of bare aiortc with one channel, which the test speaks on."""

    def __init__(self, connection: RTCPeerConnection, channel: RTCDataChannel) -> None:
        self.connection = connection
        self.channel = channel
        self.messages: asyncio.Queue[bytes] = asyncio.Queue()
        self.closed = asyncio.Event()
        channel.on("message", self.messages.put_nowait)
        channel.on("close", self.closed.set)

    async def message(self) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            return await self.messages.get()

    async def frames(self) -> list[Frame]:
        return decode(await self.message())


@asynccontextmanager
async def raw_peer(signalling: LocalSignalling, label: str, **options: Any) -> AsyncIterator[RawPeer]:
    """Connect a channel of bare aiortc to a server's peers."""
    async with AsyncExitStack() as stack:
        connection = make_connection(IceSettings())
        stack.push_async_callback(close_connection, connection)
        channel = connection.createDataChannel(label, **options)
        opened = asyncio.Event()
        channel.on("open", opened.set)
        peer = RawPeer(connection, channel)
        signaller = await signalling("raw", SignallingSettings(), peer_id="raw", capabilities=("data",))
        stack.push_async_callback(signaller.close)
        answer = await signaller.offer(await set_local(connection, IceSettings(), loopback=True))
        await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        async with asyncio.timeout(PATIENCE_S):
            await opened.wait()
        yield peer
