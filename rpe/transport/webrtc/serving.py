"""All peers of a server, as signalling brings them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping

from rpe.transport.serving import PipelineHandler, Refusal, StatusCode
from rpe.transport.webrtc.serving_calls import server_call
from rpe.transport.webrtc.serving_peer import ServingPeer
from rpe.transport.webrtc.settings import WebrtcServerSettings
from rpe.transport.webrtc.signalling.errors import Code, SignallingError
from rpe.transport.webrtc.signalling.hosting import SignalledPeer
from rpe.transport.webrtc.signalling.port import RemoteCandidate

__all__ = ["ServingPeers"]

_LOG = logging.getLogger(__name__)


class ServingPeers:
    """Fills `rpe.transport.webrtc.signalling.hosting.PeerHost`.

    A peer counts from its admission until both its signalling and its connection are gone,
    or it has said goodbye.
    """

    def __init__(self, handler: PipelineHandler, settings: WebrtcServerSettings) -> None:
        self._handler = handler
        self._settings = settings
        self._peers: dict[SignalledPeer, ServingPeer | None] = {}
        self._left: set[SignalledPeer] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._stopping = False

    def __len__(self) -> int:
        return len(self._peers)

    async def authenticate(self, metadata: Mapping[str, str], address: str) -> None:
        """Ask the handler before an announcement (see the port)."""
        await self._handler.admit(server_call("connect", address, metadata))

    async def admit(self, peer: SignalledPeer) -> None:
        """Let a peer in where there is room for it and the handler agrees (see the port)."""
        if self._stopping:
            raise Refusal(StatusCode.UNAVAILABLE, "the server is stopping")
        if len(self._peers) >= self._settings.max_peers:
            raise SignallingError(Code.SESSION_LIMIT, "there is no room for more peers")
        await self._handler.admit(server_call("connect", peer.address, peer.metadata))
        self._peers[peer] = None

    async def offered(self, peer: SignalledPeer, sdp: str) -> str:
        """Answer an offer: for the connection that there is, or for a new one that takes its place."""
        if self._stopping or peer not in self._peers:
            raise SignallingError(Code.PEER_NOT_FOUND, "the server takes no offers of this peer")
        serving = self._peers[peer]
        if serving is not None:
            if serving.same_as(sdp):
                return await serving.answer(sdp)
            self._peers[peer] = None
            serving.link.die("the peer offered a new connection")
        serving = ServingPeer(peer, self._handler, self._settings, self._gone)
        self._peers[peer] = serving
        try:
            return await serving.answer(sdp)
        except BaseException:
            serving.link.die("its offer could not be answered")
            raise

    async def candidate(self, peer: SignalledPeer, candidate: RemoteCandidate) -> None:
        """Take a candidate of a peer (see the port)."""
        serving = self._peers.get(peer)
        if serving is not None:
            await serving.candidate(candidate)

    async def left(self, peer: SignalledPeer) -> None:
        """Close a peer that said goodbye, or is not connected; keep one that only lost its signalling."""
        if peer not in self._peers:
            return
        serving = self._peers[peer]
        if serving is None or peer.announced_leaving:
            del self._peers[peer]
            if serving is not None:
                serving.link.die("the peer said goodbye")
        elif not serving.connected:
            # It cannot be told any more where to find this end, and nobody waits for it to give up.
            serving.link.die("the peer left before it was connected")
        else:
            self._left.add(peer)
            serving.link.signalling_lost()

    def serving(self) -> bool:
        """Say what signalling's health check is answered with."""
        return self._handler.serving()

    def drain(self) -> None:
        """Take no new peers and no new calls."""
        self._stopping = True
        for serving in self._peers.values():
            if serving is not None:
                serving.drain()

    async def finish(self, grace_s: float) -> None:
        """Give calls under way `grace_s` seconds."""
        tasks = {task for serving in self._peers.values() if serving is not None for task in serving.tasks}
        if tasks and grace_s > 0:
            await asyncio.wait(tasks, timeout=grace_s)

    async def close(self) -> None:
        """Close every peer, and wait until nothing of any is left. Harmless twice."""
        self._stopping = True
        peers, self._peers = self._peers, {}
        for serving in peers.values():
            if serving is not None:
                serving.link.die("the server stopped")
        cancelled = False
        while self._closing:
            try:
                await asyncio.wait(self._closing)
            except asyncio.CancelledError:
                cancelled = True
        if cancelled:
            raise asyncio.CancelledError

    def _gone(self, serving: ServingPeer) -> None:
        peer = serving.signalled
        if self._peers.get(peer) is serving:
            if peer in self._left:
                del self._peers[peer]
            else:
                self._peers[peer] = None
        self._left.discard(peer)
        closing = asyncio.get_running_loop().create_task(_close(serving))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)


async def _close(serving: ServingPeer) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        try:
            await serving.close()
        except Exception:
            _LOG.exception("a peer could not be closed in good order")
