"""The audio of one peer of a server: what its track sounds like, and what its session answers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiortc import RTCPeerConnection
from aiortc.mediastreams import MediaStreamTrack

from rpe.data import Audio
from rpe.transport.serving import ServerSession
from rpe.transport.webrtc.media.frames import FRAME_S
from rpe.transport.webrtc.media.serving_session import MediaServerSession
from rpe.transport.webrtc.media.sink import AudioSink, deliver_at_once
from rpe.transport.webrtc.media.source import AudioSource

__all__ = ["ServingMedia"]

_KEPT_S: Final = 2.0
"""How much of what was said is kept for a session that is slow to listen; what is older is dropped."""


class ServingMedia:
    """Answers the first audio track that a peer offers, and gives both directions to one session.

    Further tracks, and those of video, are declined. `tasks` has what the owner of the peer
    has to wait for; `cancel` ends it.
    """

    def __init__(self, connection: RTCPeerConnection) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        self.source: AudioSource | None = None
        self.heard: deque[Audio] = deque(maxlen=round(_KEPT_S / FRAME_S))
        self.listening = asyncio.Event()
        """Set whenever something was heard."""
        self._connection = connection
        self._taken = False
        connection.on("track", self._track)

    @asynccontextmanager
    async def attached(self, session: ServerSession) -> AsyncIterator[ServerSession]:
        """Give a session that has the audio too, where there is any and no other session has it."""
        if self.source is None or self._taken:
            yield session
            return
        self._taken = True
        merged = MediaServerSession(session, self.source, self.heard, self.listening)
        reading = asyncio.create_task(merged.read_channel())
        try:
            yield merged
        finally:
            reading.cancel()
            await asyncio.wait([reading])

    def cancel(self) -> None:
        """Stop listening and speaking."""
        for task in self.tasks:
            task.cancel()
        if self.source is not None:
            self.source.stop()

    def _track(self, track: MediaStreamTrack) -> None:
        transceiver = next(
            (item for item in self._connection.getTransceivers() if item.receiver.track is track), None
        )
        if transceiver is None:
            return
        if track.kind != "audio" or self.source is not None:
            # What nobody reads would be decoded and kept for ever.
            transceiver.direction = "inactive"
            return
        self.source = AudioSource()
        transceiver.sender.replaceTrack(self.source)
        transceiver.direction = "sendrecv"
        deliver_at_once(transceiver.receiver)
        task = asyncio.get_running_loop().create_task(self._listen(AudioSink(track)))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _listen(self, sink: AudioSink) -> None:
        async for audio in sink:
            self.heard.append(audio)
            self.listening.set()
