"""The server's side of signalling: what stands behind a signalling server, and whom it meets there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from rpe.transport.webrtc.signalling.port import RemoteCandidate

__all__ = ["PeerHost", "SignalledPeer"]


class SignalledPeer(Protocol):
    """A peer as its signalling connection shows it. Compared by identity: one per announcement.

    peer_id: its own name for itself.
    address: the other end of its signalling connection, as `ip:port`.
    capabilities: which of `audio`, `video` and `data` it announced.
    metadata: what came with the connection (HTTP headers, gRPC metadata), keys in lower case.
        `authorization` is in it as `Bearer ...`, also where the token came in the announcement.
    announced_leaving: it said goodbye (`peer.disconnect`), rather than lost its connection.
    """

    @property
    def peer_id(self) -> str: ...  # noqa: D102

    @property
    def address(self) -> str: ...  # noqa: D102

    @property
    def capabilities(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def metadata(self) -> Mapping[str, str]: ...  # noqa: D102

    @property
    def announced_leaving(self) -> bool: ...  # noqa: D102

    async def send_candidate(self, candidate: RemoteCandidate) -> None:
        """Tell the peer one of the pipeline's candidates. Nothing happens where its connection has ended."""
        ...

    def abort(self) -> None:
        """Break its signalling connection with no goodbye, as a crash would. Harmless where it has ended."""
        ...


class PeerHost(Protocol):
    """Answers the peers that come to the pipeline itself.

    A coroutine may raise `SignallingError`, whose code and message the peer is told, or
    `rpe.transport.serving.Refusal`: UNAUTHENTICATED becomes 401 at the handshake, the gRPC status,
    or the error for wrong credentials; RESOURCE_EXHAUSTED the one for too many peers. Anything else
    that it raises is logged, and the peer is told of an internal error.
    """

    async def authenticate(self, metadata: Mapping[str, str], address: str) -> None:
        """Look at credentials before an announcement, or raise Refusal.

        Called at a WebSocket's handshake where it brings an `authorization` header (without one the
        token may still come with the announcement), and at each gRPC call.
        """
        ...

    async def admit(self, peer: SignalledPeer) -> None:
        """Let an announced peer in, or raise. Its credentials are complete now, so they are checked here."""
        ...

    async def offered(self, peer: SignalledPeer, sdp: str) -> str:
        """Answer an offer, also a later one of the same peer (renegotiation). Not called twice at once."""
        ...

    async def candidate(self, peer: SignalledPeer, candidate: RemoteCandidate) -> None:
        """Take a candidate of a peer. Never called before `offered` has returned."""
        ...

    async def left(self, peer: SignalledPeer) -> None:
        """Learn that an admitted peer said goodbye, or that its signalling connection ended. Called once."""
        ...

    def serving(self) -> bool:
        """Say whether the signalling service's health check is to be answered with `healthy`."""
        ...
