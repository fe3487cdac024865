"""The tracks of a peer connection that is about to be offered: the caller's end of them."""

from __future__ import annotations

from aiortc import RTCPeerConnection
from aiortc.mediastreams import MediaStreamTrack

from rpe.transport.webrtc.media.sink import AudioSink, deliver_at_once
from rpe.transport.webrtc.media.source import AudioSource

__all__ = ["Tracks"]


class Tracks:
    """The two directions of sound of a peer connection that is about to be offered."""

    def __init__(self) -> None:
        self.source = AudioSource()
        self.sink: AudioSink | None = None
        """What comes back, once the offer was answered with a track."""

    def add_to(self, connection: RTCPeerConnection) -> None:
        """Offer sound both ways."""
        deliver_at_once(connection.addTransceiver(self.source, direction="sendrecv").receiver)
        connection.on("track", self._take)

    def _take(self, track: MediaStreamTrack) -> None:
        if track.kind == "audio" and self.sink is None:
            self.sink = AudioSink(track)
