"""One peer connection with the channels of this protocol on it: what both ends have in common."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from aiortc import RTCDataChannel, RTCPeerConnection
from aiortc.exceptions import InvalidStateError

from rpe.transport.webrtc.framing import (
    LARGEST_CHANNEL_MESSAGE,
    NOT_SERVING,
    SERVING,
    SMALLEST_CHANNEL_MESSAGE,
    Frame,
    FrameType,
    FramingError,
    decode,
    encode,
)
from rpe.transport.webrtc.heartbeat import Heartbeat, PeerState
from rpe.transport.webrtc.ice import close_connection, close_silently, packets_received
from rpe.transport.webrtc.outbox import Outbox

__all__ = ["CONTROL_LABEL", "LOSSY_PROTOCOL", "PIPELINE_LABEL", "Death", "Link", "LinkEnd", "LinkStats"]

PIPELINE_LABEL: Final = "remotemedia-pipeline"
CONTROL_LABEL: Final = "remotemedia-control"
LOSSY_PROTOCOL: Final = "lossy"
"""The subprotocol of the second pipeline channel, which does not wait for what was lost."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Death:
    """Why a link is no more. `violation` says that the other end broke the protocol."""

    reason: str
    violation: bool = False


@dataclass(slots=True)
class LinkStats:
    """What a link has carried so far; channel messages and their bytes."""

    received_messages: int = 0
    received_bytes: int = 0
    received_frames: int = 0
    sent_messages: int = 0
    sent_bytes: int = 0
    pings_sent: int = 0
    pongs_received: int = 0


class LinkEnd(Protocol):
    """Who uses a link. None of this may raise, and none of it waits."""

    def frame(self, frame: Frame, lossy: bool) -> None:
        """Take a frame of a call."""
        ...

    def serving(self) -> bool | None:
        """Say whether this end serves, for those that ask; None says nothing of it."""
        ...

    def died(self, death: Death) -> None:
        """Learn that the link is no more, once. Closing it is still to be done."""
        ...


class Link:
    """Sends and takes frames, and watches over the life of the connection.

    It is dead from the moment that `death` is set: `died` of its end has been called then,
    and writing raises `InvalidStateError`. `close` has to be called in any case.
    """

    def __init__(
        self, connection: RTCPeerConnection, end: LinkEnd, *, heartbeat_interval_s: float, grace_s: float
    ) -> None:
        self.connection = connection
        self.death: Death | None = None
        self.opened = asyncio.Event()
        """Set once calls can be made, or never will be."""
        self.state = PeerState.LIVE
        self.limit = LARGEST_CHANNEL_MESSAGE
        self._end = end
        self._stats = LinkStats()
        self._loop = asyncio.get_running_loop()
        self._interval_s = heartbeat_interval_s
        self._grace_s = grace_s
        self._heartbeat: Heartbeat | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._packets = 0
        self._pipeline: Outbox | None = None
        self._lossy: Outbox | None = None
        self._control: RTCDataChannel | None = None
        self._awaited: set[RTCDataChannel] = set()
        connection.on("connectionstatechange", self._connection_changed)

    # --- channels -------------------------------------------------------------------------------------

    def adopt(self, channel: RTCDataChannel) -> bool:
        """Take a channel of this protocol, open or not. Returns False where it is none, or one too many."""
        if channel.label == CONTROL_LABEL:
            if self._control is not None:
                return False
            self._control = channel
            channel.on("message", self._control_message)
        elif channel.label == PIPELINE_LABEL and channel.protocol == LOSSY_PROTOCOL:
            if self._lossy is not None:
                return False
            self._lossy = Outbox(channel)
            channel.on("message", self._lossy_message)
        elif channel.label == PIPELINE_LABEL:
            if self._pipeline is not None:
                return False
            self._pipeline = Outbox(channel)
            channel.on("message", self._pipeline_message)
            channel.on("close", lambda: self.die("the other end closed the data channel"))
        else:
            return False
        self._awaited.add(channel)
        channel.on("open", lambda: self._channel_opened(channel))
        if channel.readyState == "open":
            self._channel_opened(channel)
        return True

    def _channel_opened(self, channel: RTCDataChannel) -> None:
        self._awaited.discard(channel)
        if self._pipeline is None or self._awaited or self.opened.is_set() or self.death is not None:
            return
        sctp = self.connection.sctp
        taken = 0 if sctp is None else int(sctp._remote_max_message_size)
        if taken:
            self.limit = min(self.limit, taken)
        if self.limit < SMALLEST_CHANNEL_MESSAGE:
            self.die(f"the other end takes only messages of {taken} bytes", violation=True)
            return
        self._heartbeat = Heartbeat(self._interval_s, self._grace_s, self._loop.time())
        self._timer = self._loop.call_later(self._interval_s / 2, self._beat)
        self.opened.set()

    @property
    def has_lossy(self) -> bool:
        """Whether there is a channel that does not wait for what was lost."""
        return self._lossy is not None

    @property
    def stats(self) -> LinkStats:
        """What the link has carried so far."""
        outboxes = [outbox for outbox in (self._pipeline, self._lossy) if outbox is not None]
        self._stats.sent_messages = sum(outbox.sent_messages for outbox in outboxes)
        self._stats.sent_bytes = sum(outbox.sent_bytes for outbox in outboxes)
        return self._stats

    # --- out ------------------------------------------------------------------------------------------

    def write(
        self, call: int, messages: Iterator[bytes], *, lossy: bool = False
    ) -> asyncio.Future[None] | None:
        """Send channel messages of a call (see `Outbox.write`). Raises InvalidStateError once dead."""
        outbox = self._lossy if lossy else self._pipeline
        if outbox is None or self.death is not None:
            raise InvalidStateError("the link is dead")
        return outbox.write(call, messages)

    def post(self, message: bytes) -> None:
        """Send a small channel message at once; nothing happens where the link is dead."""
        if self._pipeline is None or self.death is not None:
            return
        try:
            self._pipeline.post(message)
        except (InvalidStateError, ValueError):
            _LOG.debug("a message could not be sent", exc_info=True)

    def drop(self, call: int) -> None:
        """Forget what a call has to send yet."""
        for outbox in (self._pipeline, self._lossy):
            if outbox is not None:
                outbox.drop(call)

    def reset(self, call: int, payload: bytes) -> None:
        """Forget what a call has to send yet, and send a RESET."""
        self.drop(call)
        self.post(encode(FrameType.RESET, call, payload=payload))

    # --- in -------------------------------------------------------------------------------------------

    def _pipeline_message(self, message: bytes | str) -> None:
        self._take(message, lossy=False)

    def _lossy_message(self, message: bytes | str) -> None:
        self._take(message, lossy=True)

    def _take(self, message: bytes | str, *, lossy: bool) -> None:
        if self.death is not None:
            return
        stats = self._stats
        stats.received_messages += 1
        stats.received_bytes += len(message)
        try:
            if isinstance(message, str):
                raise FramingError("text came where only frames are allowed")
            for frame in decode(message):
                stats.received_frames += 1
                self._end.frame(frame, lossy)
        except FramingError as error:
            self.die(str(error), violation=True)
        except Exception:
            # It would vanish in the callback, and whoever waits would wait for ever.
            _LOG.exception("a frame could not be dealt with")
            self.die("a frame could not be dealt with")

    def _control_message(self, message: bytes | str) -> None:
        # What is not understood here is left alone: others use a channel of this name too.
        if self.death is not None or isinstance(message, str):
            return
        try:
            frames = decode(message)
        except FramingError:
            return
        for frame in frames:
            if frame.kind is FrameType.PING:
                self._send_control(FrameType.PONG, frame.number, _flags(self._end.serving()))
            elif frame.kind is FrameType.PONG and self._heartbeat is not None:
                self._stats.pongs_received += 1
                self._heartbeat.answered(frame.number, self._loop.time())

    def _send_control(self, kind: FrameType, number: int, flags: int = 0) -> None:
        if self._control is not None and self._control.readyState == "open":
            self._control.send(encode(kind, 0, number, flags=flags))

    # --- life -----------------------------------------------------------------------------------------

    def signalling_lost(self) -> None:
        """Ask for a sign of life at once, and count on no other."""
        if self._heartbeat is None or self.death is not None or self._control is None:
            return
        self._listen(self._loop.time())
        self._heartbeat.signalling_lost(self._loop.time())
        self._beat()

    def _listen(self, now_s: float) -> None:
        """Take every datagram for a sign of life: acknowledgements come while a large message goes out."""
        packets = packets_received(self.connection)
        if packets != self._packets and self._heartbeat is not None:
            self._packets = packets
            self._heartbeat.heard(now_s)

    def _beat(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._heartbeat is None or self.death is not None:
            return
        now_s = self._loop.time()
        self._listen(now_s)
        if self._control is None:
            # The other end has no channel to be asked on, so its silence says nothing.
            self._heartbeat.heard(now_s)
        verdict = self._heartbeat.check(now_s)
        self.state = verdict.state
        if verdict.state is PeerState.DEAD:
            self.die(verdict.reason)
            return
        if verdict.ping:
            self._stats.pings_sent += 1
            self._send_control(FrameType.PING, self._heartbeat.pings)
        self._timer = self._loop.call_later(min(verdict.again_s, self._interval_s / 2), self._beat)

    def _connection_changed(self) -> None:
        state = self.connection.connectionState
        if state in ("failed", "closed"):
            self.die(f"the peer connection {'failed' if state == 'failed' else 'was closed'}")

    def die(self, reason: str, *, violation: bool = False) -> None:
        """Give the link up: everybody who waits for it is told at once. Harmless twice."""
        if self.death is not None:
            return
        self.death = Death(reason, violation)
        self.state = PeerState.DEAD
        if self._timer is not None:
            self._timer.cancel()
        for outbox in (self._pipeline, self._lossy):
            if outbox is not None:
                outbox.fail(InvalidStateError(reason))
        self.opened.set()
        self._end.died(self.death)

    async def close(self, *, silently: bool = False) -> None:
        """Close the connection and wait until nothing of it is left; `silently` as a crash would."""
        self.die("the peer was closed")
        await (close_silently if silently else close_connection)(self.connection)


def _flags(serving: bool | None) -> int:
    if serving is None:
        return 0
    return SERVING if serving else NOT_SERVING
