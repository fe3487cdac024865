"""The receiving end of an audio track."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from aiortc import RTCRtpReceiver
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame

from rpe.data import Audio
from rpe.transport.webrtc.media.frames import read_frame

__all__ = ["AudioSink", "deliver_at_once"]


class AudioSink:
    """Gives what a remote track sounds like, as `Audio` of 48 kHz in chunks of 20 ms.

    `timestamp_us` counts microseconds from the first frame, by the sender's clock. One task
    at a time; cancelling it loses nothing.

    Arguments:
        channels: 1 or 2, whatever the track has.
    """

    def __init__(self, track: MediaStreamTrack, channels: int = 1) -> None:
        self._track = track
        self._channels = channels

    async def receive(self) -> Audio | None:
        """Return the next chunk; None once the track has ended."""
        while True:
            try:
                frame = await self._track.recv()
            except MediaStreamError:
                return None
            if isinstance(frame, AudioFrame):
                return read_frame(frame, self._channels)

    async def __aiter__(self) -> AsyncIterator[Audio]:
        while (audio := await self.receive()) is not None:
            yield audio


def deliver_at_once(receiver: RTCRtpReceiver) -> None:
    """Let a receiver hand over a frame as soon as it is complete.

    aiortc holds audio back by four frames (80 ms) for a smooth sound from a loudspeaker. A
    pipeline is no loudspeaker: the buffer keeps the order without that too.
    """
    buffer: Any = getattr(receiver, "_RTCRtpReceiver__jitter_buffer", None)
    if hasattr(buffer, "_prefetch"):
        buffer._prefetch = 1
