"""Signalling for tests: a host that writes down whom it met, and servers in front of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Literal

from rpe.transport.serving import Refusal, StatusCode
from rpe.transport.webrtc.signalling.grpc_server import GrpcSignalling
from rpe.transport.webrtc.signalling.hosting import SignalledPeer
from rpe.transport.webrtc.signalling.hub import SignallingHub
from rpe.transport.webrtc.signalling.opening import open_signalling
from rpe.transport.webrtc.signalling.port import (
    RemoteCandidate,
    Signaller,
    SignallingSettings,
)
from rpe.transport.webrtc.signalling.websocket_server import WebSocketSignalling

__all__ = ["ANSWER", "CANDIDATE", "OFFER", "Host", "Kind", "eventually", "opened", "our_tasks", "signalling"]

Kind = Literal["websocket", "grpc"]

OFFER = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"
)
ANSWER = OFFER.replace("o=- 1", "o=- 2")
CANDIDATE = RemoteCandidate("candidate:1 1 udp 2130706431 127.0.0.1 50000 typ host", "0", 0)


class Host:
    """A PeerHost whose answers a test can set. `met` is what happened to it, in order.

    Each of `refuse_admission`, `refuse_offer` and `refuse_candidate` is raised where it is set. `hold`,
    where set, keeps an offer waiting.
    """

    def __init__(self, token: str | None = None) -> None:
        self.token = token
        self.met: list[tuple[str, Any]] = []
        self.peers: dict[str, SignalledPeer] = {}
        self.refuse_admission: Exception | None = None
        self.refuse_offer: Exception | None = None
        self.refuse_candidate: Exception | None = None
        self.hold: asyncio.Event | None = None
        self.is_serving = True

    async def authenticate(self, metadata: Mapping[str, str], address: str) -> None:
        if self.token is not None and metadata.get("authorization") != f"Bearer {self.token}":
            raise Refusal(StatusCode.UNAUTHENTICATED, "the token is missing or wrong")

    async def admit(self, peer: SignalledPeer) -> None:
        await self.authenticate(peer.metadata, peer.address)
        if self.refuse_admission is not None:
            raise self.refuse_admission
        self.peers[peer.peer_id] = peer
        self.met.append(("admitted", peer.peer_id))

    async def offered(self, peer: SignalledPeer, sdp: str) -> str:
        self.met.append(("offered", sdp))
        if self.hold is not None:
            await self.hold.wait()
        if self.refuse_offer is not None:
            raise self.refuse_offer
        return ANSWER

    async def candidate(self, peer: SignalledPeer, candidate: RemoteCandidate) -> None:
        if self.refuse_candidate is not None:
            raise self.refuse_candidate
        self.met.append(("candidate", candidate))

    async def left(self, peer: SignalledPeer) -> None:
        self.met.append(("left" if peer.announced_leaving else "lost", peer.peer_id))

    def serving(self) -> bool:
        return self.is_serving


@asynccontextmanager
async def signalling(kind: Kind, host: Host, **settings: Any) -> AsyncIterator[str]:
    """Serve signalling of one kind, and give its endpoint."""
    hub = SignallingHub(host, negotiation_timeout_s=settings.pop("negotiation_timeout_s", 30.0))
    server = WebSocketSignalling(hub, **settings) if kind == "websocket" else GrpcSignalling(hub, **settings)
    async with server:
        yield server.endpoint


@asynccontextmanager
async def opened(
    endpoint: str, kind: Kind = "websocket", peer_id: str = "p", **settings: Any
) -> AsyncIterator[Signaller]:
    """Open our own client's signalling, and close it."""
    made = SignallingSettings(kind=kind, **settings)
    signaller = await open_signalling(endpoint, made, peer_id=peer_id, capabilities=["data"])
    try:
        yield signaller
    finally:
        await signaller.close()


async def eventually(entry: tuple[str, Any], host: Host) -> None:
    """Wait until something has happened to the host."""
    async with asyncio.timeout(5):
        while entry not in host.met:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def our_tasks() -> list[asyncio.Task[Any]]:
    """The running tasks whose code is ours; a bare server of a test has its own ways to end."""
    return [task for task in asyncio.all_tasks() if "rpe.transport" in _module(task)]


def _module(task: asyncio.Task[Any]) -> str:
    frame = getattr(task.get_coro(), "cr_frame", None)
    return "" if frame is None else str(frame.f_globals.get("__name__", ""))
