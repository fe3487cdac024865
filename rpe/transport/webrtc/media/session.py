"""A session whose sound travels on a track: the caller's end."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, Callable
from types import TracebackType
from typing import Final, Self

from rpe.data import Audio
from rpe.errors import ProtocolViolation, RpeError, SessionClosed
from rpe.manifest.model import Manifest
from rpe.transport.ports import ChunkResult, Metadata
from rpe.transport.webrtc.media.frames import FRAME_S
from rpe.transport.webrtc.media.tracks import Tracks
from rpe.transport.webrtc.peer import Peer
from rpe.transport.webrtc.session import WebrtcClientSession
from rpe.transport.webrtc.settings import WebrtcSettings

__all__ = ["MediaSession"]

_KEPT_S: Final = 10.0
"""How much sound waits for a caller who is slow to receive; what is older is dropped."""


class MediaSession:
    """One session with a peer connection of its own. Made by `WebrtcPipelineClient.open_media`.

    The sound of the source goes out in real time; where it ends, the session finishes by
    itself. What comes back on the track is silence too, where the pipeline says nothing.

    Exactly one task may receive at a time; cancelling it loses nothing. After an error the
    session is dead, and every further call raises the same error. `close` has to be called in
    any case (`async with` does, and so does closing the client).
    """

    def __init__(
        self,
        peer: Peer,
        session: WebrtcClientSession,
        tracks: Tracks,
        sound: AsyncIterable[Audio],
        gone: Callable[[MediaSession], None],
    ) -> None:
        self.session_id = session.session_id
        self.dropped = 0
        """How many chunks of sound were dropped because nobody received them."""
        self._peer = peer
        self._session = session
        self._source = tracks.source
        self._sink = tracks.sink
        self._gone = gone
        self._arrived = asyncio.Event()
        self._heard: deque[Audio] = deque()
        self._results: deque[ChunkResult] = deque()
        self._error: Exception | None = None
        self._ended = False
        self._feeding = asyncio.create_task(self._feed(sound))
        self._tasks = [
            self._feeding,
            asyncio.create_task(self._read_results()),
            asyncio.create_task(self._listen()),
        ]
        self._closing: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls,
        peer: Peer,
        settings: WebrtcSettings,
        tracks: Tracks,
        sound: AsyncIterable[Audio],
        manifest: Manifest,
        *,
        timeout_s: float,
        open_timeout_s: float,
        metadata: Metadata,
        gone: Callable[[MediaSession], None],
    ) -> Self:
        """Open a session on a connected peer. On any failure the peer is the caller's to close.

        Raises what `WebrtcClientSession.open` raises, and ProtocolViolation where the server
        took no track.
        """
        if tracks.sink is None:
            raise ProtocolViolation("the server answered without an audio track", endpoint=peer.endpoint)
        session = WebrtcClientSession(peer, settings, server_numbers=True)
        await session.open(manifest, timeout_s=timeout_s, open_timeout_s=open_timeout_s, metadata=metadata)
        return cls(peer, session, tracks, sound, gone)

    async def receive(self) -> Audio | ChunkResult | None:
        """Return the next chunk of sound, or the next result of another kind; None at the end.

        Sound is 48 kHz, in chunks of 20 ms; results come on the channel, and are numbered by the
        chunks that the server made of the track.
        """
        while True:
            self._arrived.clear()
            if self._results:
                return self._results.popleft()
            if self._heard:
                return self._heard.popleft()
            if self._error is not None:
                raise self._error
            if self._ended:
                return None
            await self._arrived.wait()

    async def finish(self) -> None:
        """Take nothing more from the source, and close in good order once all of it was heard.

        What the pipeline answers still comes, until `receive` returns None.
        """
        self._feeding.cancel()
        await asyncio.wait([self._feeding])
        if self._error is None and not self._ended:
            await self._finish()

    def cancel(self) -> None:
        """End the session at once; harmless when it has ended. `close` still has to be awaited."""
        self._fail(SessionClosed("the session was cancelled", endpoint=self._peer.endpoint))
        self._session.cancel()
        self._source.stop()

    async def close(self) -> None:
        """End the session, close its peer connection, and wait until nothing is left. Harmless twice."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        await asyncio.shield(self._closing)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"MediaSession({self.session_id!r} at {self._peer.endpoint!r})"

    async def _close(self) -> None:
        if not self._ended:
            self.cancel()
        self._source.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        await self._peer.close()
        self._gone(self)

    async def _feed(self, sound: AsyncIterable[Audio]) -> None:
        try:
            await self._source.feed(sound)
            await self._finish()
        except Exception as error:
            self._fail(error)
            self._session.cancel()

    async def _finish(self) -> None:
        await self._source.drain()
        await self._session.finish()

    async def _read_results(self) -> None:
        try:
            while (result := await self._session.receive()) is not None:
                self._results.append(result)
                self._arrived.set()
            self._ended = True
            self._arrived.set()
        except RpeError as error:
            self._fail(error)

    async def _listen(self) -> None:
        assert self._sink is not None
        async for audio in self._sink:
            if self._ended or self._error is not None:
                return
            if len(self._heard) >= _KEPT_S / FRAME_S:
                self._heard.popleft()
                self.dropped += 1
            self._heard.append(audio)
            self._arrived.set()

    def _fail(self, error: Exception) -> None:
        if self._error is None and not self._ended:
            self._error = error
        self._arrived.set()
