"""One peer of a server: its connection, and what is served on its channels."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from aiortc import RTCDataChannel, RTCSessionDescription

from rpe.transport.serving import PipelineHandler
from rpe.transport.webrtc.consent import ConsentWatch
from rpe.transport.webrtc.framing import Frame
from rpe.transport.webrtc.ice import make_connection, set_local
from rpe.transport.webrtc.link import CONTROL_LABEL, PIPELINE_LABEL, Death, Link
from rpe.transport.webrtc.media.alone import TrackServing
from rpe.transport.webrtc.media.serving import ServingMedia
from rpe.transport.webrtc.peer import add_candidate
from rpe.transport.webrtc.serving_calls import ServedCalls, server_call
from rpe.transport.webrtc.serving_plain import ECHO, PlainServing
from rpe.transport.webrtc.settings import WebrtcServerSettings, is_loopback
from rpe.transport.webrtc.signalling.errors import Code, SignallingError
from rpe.transport.webrtc.signalling.hosting import SignalledPeer
from rpe.transport.webrtc.signalling.port import RemoteCandidate

__all__ = ["ServingPeer"]

_LOG = logging.getLogger(__name__)


class ServingPeer:
    """Answers one peer's offers, and serves its channels until it is gone.

    `gone` is called once, when the connection is dead; the owner then has to `close` it.
    """

    def __init__(
        self,
        signalled: SignalledPeer,
        handler: PipelineHandler,
        settings: WebrtcServerSettings,
        gone: Callable[[ServingPeer], None],
    ) -> None:
        self.signalled = signalled
        self.connection = make_connection(settings.ice)
        self.link = Link(
            self.connection,
            self,
            heartbeat_interval_s=settings.heartbeat_interval_s,
            grace_s=settings.grace_s,
        )
        self._handler = handler
        self._settings = settings
        self._gone = gone
        self._silently = False
        self._media = ServingMedia(self.connection)
        self._calls = ServedCalls(
            self.link, handler, settings, signalled.address, signalled.metadata, self._media, self.cut
        )
        self._plain: list[PlainServing | TrackServing] = []
        self._watch: ConsentWatch | None = None
        self._ufrag = ""
        self._limit = asyncio.get_running_loop().call_later(settings.connect_timeout_s, self._check_connected)
        self.connection.on("datachannel", self._channel)

    def same_as(self, sdp: str) -> bool:
        """Say whether an offer is one for this connection again, rather than for a new one."""
        return self._ufrag != "" and self._ufrag == _ufrag(sdp) and self.link.death is None

    async def answer(self, sdp: str) -> str:
        """Answer an offer with every candidate of ours in it.

        Raises SignallingError where the offer cannot be read, or asks for nothing.
        """
        connection = self.connection
        try:
            await connection.setRemoteDescription(RTCSessionDescription(sdp=sdp, type="offer"))
        except Exception as error:
            # A parser of foreign text fails in many ways; each of them means the same.
            raise SignallingError(Code.OFFER_INVALID, f"the offer cannot be read: {error}") from error
        if connection.sctp is None and not connection.getTransceivers():
            raise SignallingError(Code.OFFER_INVALID, "the offer has neither a data channel nor media")
        self._ufrag = _ufrag(sdp)
        loopback = is_loopback(self.signalled.address)
        try:
            answer = await set_local(connection, self._settings.ice, loopback=loopback)
        except Exception as error:
            raise SignallingError(Code.OFFER_INVALID, f"the offer cannot be answered: {error}") from error
        if connection.sctp is None and self._media.source is not None and not self._plain:
            self._serve_sound_alone()
        return answer

    async def candidate(self, candidate: RemoteCandidate) -> None:
        """Take a candidate of the peer. Raises SignallingError where it is none."""
        if not await add_candidate(self.connection, candidate):
            raise SignallingError(Code.CANDIDATE_INVALID, "the candidate cannot be used")

    @property
    def connected(self) -> bool:
        """Whether datagrams have found their way, whatever channels there are."""
        return self.connection.connectionState == "connected"

    @property
    def tasks(self) -> set[asyncio.Task[None]]:
        """The tasks of everything that is served here."""
        return self._calls.tasks.union(*(plain.tasks for plain in self._plain))

    def drain(self) -> None:
        """Take no more calls, and say so."""
        self._calls.drain()
        for plain in self._plain:
            plain.drain()

    def cut(self) -> None:
        """Break the connection, and that of the signalling, with no goodbye."""
        self._silently = True
        self.signalled.abort()
        self.link.die("the connection was cut")

    def frame(self, frame: Frame, lossy: bool) -> None:
        """Take a frame of the caller (for the link)."""
        self._calls.frame(frame, lossy)

    def serving(self) -> bool | None:
        """Say what a heartbeat is told (for the link)."""
        return self._handler.serving() if self._settings.health else None

    def died(self, death: Death) -> None:
        """Cancel everything that is served here (for the link)."""
        _LOG.debug("peer %s is gone: %s", self.signalled.peer_id, death.reason)
        self._limit.cancel()
        self._calls.cancel_all()
        self._media.cancel()
        for plain in self._plain:
            plain.cancel()
        self._gone(self)

    async def close(self) -> None:
        """End everything that is served here, close the connection, and wait until nothing is left."""
        self.link.die("the server closed the peer")
        try:
            if self._watch is not None:
                await self._watch.stop()
        finally:
            await self.link.close(silently=self._silently)
        while tasks := self.tasks | self._media.tasks:
            await asyncio.wait(tasks)

    def _watch_over(self) -> None:
        """Watch over a peer that has no heartbeat: a plain one, or one with nothing but sound."""
        if self._watch is None and self.link.death is None:
            self._watch = ConsentWatch(
                self.connection,
                interval_s=self._settings.heartbeat_interval_s,
                grace_s=self._settings.grace_s,
                silent=self.link.die,
            )

    def _serve_sound_alone(self) -> None:
        self._watch_over()
        manifest = self._settings.manifest or ECHO
        call = server_call("stream", self.signalled.address, self.signalled.metadata)
        self._plain.append(TrackServing(self._handler, manifest, self._media, call, self.cut))

    def _check_connected(self) -> None:
        if not self.connected:
            self.link.die("it never connected")

    def _channel(self, channel: RTCDataChannel) -> None:
        try:
            if self.link.adopt(channel):
                return
            if channel.label in (PIPELINE_LABEL, CONTROL_LABEL) or self.link.death is not None:
                channel.close()
                return
            plain = PlainServing(
                channel, self._handler, self._settings, self.signalled, self._media, self.cut
            )
            self._plain.append(plain)
            self._watch_over()
            for task in plain.tasks:
                task.add_done_callback(lambda _: self._plain.remove(plain))
        except Exception:
            _LOG.exception("a data channel could not be taken")
            self.link.die("a data channel could not be taken")


def _ufrag(sdp: str) -> str:
    return next((line[12:].strip() for line in sdp.splitlines() if line.startswith("a=ice-ufrag:")), "")
