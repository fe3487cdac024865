"""The media sessions of one client: opened here, and closed with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable

from rpe.data import Audio
from rpe.errors import RemoteTimeout
from rpe.manifest.model import Manifest
from rpe.transport.credentials import Bearer
from rpe.transport.ports import Metadata
from rpe.transport.webrtc.media.session import MediaSession
from rpe.transport.webrtc.media.tracks import Tracks
from rpe.transport.webrtc.peer import ConnectSignalling, Peer
from rpe.transport.webrtc.settings import WebrtcSettings
from rpe.transport.webrtc.status import closed_client

__all__ = ["MediaSessions"]


class MediaSessions:
    """Opens media sessions, each with a peer connection of its own, and knows those that are open."""

    def __init__(
        self, endpoint: str, settings: WebrtcSettings, connect: ConnectSignalling, bearer: Bearer
    ) -> None:
        self._endpoint = endpoint
        self._settings = settings
        self._connect = connect
        self._bearer = bearer
        self._sessions: set[MediaSession] = set()
        self._closed = False

    async def open(
        self,
        manifest: Manifest,
        sound: AsyncIterable[Audio],
        *,
        timeout_s: float,
        open_timeout_s: float,
        metadata: Metadata,
    ) -> MediaSession:
        """Connect, and open a session (see `WebrtcPipelineClient.open_media`)."""
        if self._closed:
            raise closed_client(self._endpoint)
        loop, tracks = asyncio.get_running_loop(), Tracks()
        began_s = loop.time()
        grant, left_s = await self._bearer.ask(min(timeout_s, open_timeout_s))
        try:
            async with asyncio.timeout(left_s):
                peer = await Peer.open(self._endpoint, self._settings, self._connect, tracks, grant)
        except TimeoutError as error:
            raise RemoteTimeout(
                "no connection within the deadline", endpoint=self._endpoint, maybe_executed=False
            ) from error
        spent_s = loop.time() - began_s
        try:
            session = await MediaSession.open(
                peer,
                self._settings,
                tracks,
                sound,
                manifest,
                timeout_s=timeout_s - spent_s,
                open_timeout_s=open_timeout_s - spent_s,
                metadata=metadata,
                gone=self._sessions.discard,
            )
        except BaseException:
            await peer.close()
            raise
        self._sessions.add(session)
        if self._closed:
            await session.close()
            raise closed_client(self._endpoint)
        return session

    async def close(self) -> None:
        """Close every session, and wait until nothing of any is left. Harmless twice."""
        self._closed = True
        await asyncio.gather(*(session.close() for session in list(self._sessions)))
