"""One peer of a plain-mode client: its signalling, its connection, and its channels."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final, Self

from aiortc import RTCPeerConnection

from rpe.errors import ConnectFailed, ConnectionLost, RpeError, SessionClosed
from rpe.transport.credentials import NO_GRANT, Grant
from rpe.transport.webrtc.consent import ConsentWatch
from rpe.transport.webrtc.ice import close_connection, make_connection
from rpe.transport.webrtc.peer import ConnectSignalling, Negotiated, negotiate
from rpe.transport.webrtc.plain_channel import PlainChannel
from rpe.transport.webrtc.settings import WebrtcSettings
from rpe.transport.webrtc.signalling.opening import open_signalling

__all__ = ["PLAIN_LABEL", "PlainPeer"]

PLAIN_LABEL: Final = "data"


class PlainPeer:
    """An open peer in plain mode: one channel for unary calls, and one more for each session.

    `grant` holds the token of its signalling, `retired` says that nothing new is to begin here.
    """

    def __init__(
        self,
        endpoint: str,
        settings: WebrtcSettings,
        connection: RTCPeerConnection,
        grant: Grant = NO_GRANT,
    ) -> None:
        self.endpoint = endpoint
        self.grant = grant
        self.retired = False
        self.turn = asyncio.Lock()
        """Held by the one unary call that is under way."""
        self._connection = connection
        self._settings = settings
        self._negotiated: Negotiated | None = None
        self._channels: set[PlainChannel] = set()
        self._dropped = asyncio.Event()
        self._unary: PlainChannel | None = None
        self._watch: ConsentWatch | None = None
        self._dead = False
        connection.on("connectionstatechange", self._connection_changed)

    @classmethod
    async def open(
        cls,
        endpoint: str,
        settings: WebrtcSettings,
        connect: ConnectSignalling = open_signalling,
        grant: Grant = NO_GRANT,
    ) -> Self:
        """Connect a new peer. Raises and leaves behind what `Peer.open` does."""
        peer = cls(endpoint, settings, make_connection(settings.ice), grant)
        try:
            async with asyncio.timeout(settings.connect_timeout_s):
                await peer._connect(settings, connect)
        except TimeoutError as error:
            await peer.close()
            raise ConnectFailed(
                f"no data channel within {settings.connect_timeout_s:g} s", endpoint=endpoint
            ) from error
        except BaseException:
            await peer.close()
            raise
        return peer

    async def _connect(self, settings: WebrtcSettings, connect: ConnectSignalling) -> None:
        channel = self._unary = self._make_channel()
        self._negotiated = await negotiate(
            self._connection, self.endpoint, settings, connect, ("data",), lambda: None, self.grant
        )
        await channel.opened.wait()
        if channel.error is not None:
            raise ConnectFailed(f"no data channel: {channel.error.message}", endpoint=self.endpoint)
        self._watch = ConsentWatch(
            self._connection,
            interval_s=settings.heartbeat_interval_s,
            grace_s=settings.grace_s,
            silent=self._die,
        )

    @property
    def usable(self) -> bool:
        """Whether anything can be sent here."""
        return not (self._dead or self.retired)

    async def unary_channel(self) -> PlainChannel:
        """Return the channel of unary calls, a new one where the last is of no more use."""
        if self._unary is None or self._unary.error is not None:
            self._unary = await self.open_channel()
        return self._unary

    async def open_channel(self) -> PlainChannel:
        """Open another channel. Raises ConnectionLost where the peer is gone."""
        if self._dead:
            raise self._lost()
        channel = self._make_channel()
        try:
            await channel.opened.wait()
        except asyncio.CancelledError:
            self.drop(channel)
            raise
        if channel.error is not None:
            self.drop(channel)
            raise channel.error
        return channel

    def drop(self, channel: PlainChannel, error: RpeError | None = None) -> None:
        """Close a channel, whatever may still come on it."""
        self._channels.discard(channel)
        self._dropped.set()
        channel.close(error or SessionClosed("the channel was closed", endpoint=self.endpoint))

    def _make_channel(self) -> PlainChannel:
        channel = PlainChannel(
            self._connection.createDataChannel(PLAIN_LABEL),
            self.endpoint,
            2 * self._settings.max_message_bytes,
        )
        self._channels.add(channel)
        return channel

    def _connection_changed(self) -> None:
        if self._connection.connectionState in ("failed", "closed"):
            self._die("the peer connection is gone")

    def _die(self, reason: str) -> None:
        self._dead = True
        channels, self._channels = self._channels, set()
        self._dropped.set()
        for channel in channels:
            channel.fail(ConnectionLost(f"the peer is lost: {reason}", endpoint=self.endpoint))

    def _lost(self) -> RpeError:
        return ConnectionLost("the peer is lost", endpoint=self.endpoint, maybe_executed=False)

    async def retire(self) -> None:
        """Let nothing new begin, and close once the last call and the last session have ended."""
        self.retired = True
        async with self.turn:  # behind every call that waits for it
            while self._channels - {self._unary}:
                self._dropped.clear()
                await self._dropped.wait()
        await self.close()

    async def close(self) -> None:
        """End everything, say goodbye, and wait until nothing is left."""
        self._die("the client was closed")
        try:
            if self._watch is not None:
                await self._watch.stop()
        finally:
            await self._close_connection()

    async def _close_connection(self) -> None:
        try:
            await close_connection(self._connection)
        finally:
            if self._negotiated is not None:
                with contextlib.suppress(RpeError):
                    await self._negotiated.close()
