"""The WebRTC client of one endpoint: one peer for all its calls, connected when it is needed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Mapping

from rpe.data import Audio, RuntimeData
from rpe.errors import RpeError
from rpe.manifest.model import Manifest
from rpe.transport.credentials import Bearer
from rpe.transport.ports import (
    NO_METADATA,
    ClientStreamSession,
    ExecutionResult,
    HealthReport,
    Metadata,
    ServingStatus,
    VersionReport,
)
from rpe.transport.webrtc.calls import HealthCall, UnaryCall
from rpe.transport.webrtc.framing import FrameType, encode
from rpe.transport.webrtc.media.session import MediaSession
from rpe.transport.webrtc.media.sessions import MediaSessions
from rpe.transport.webrtc.peer import ConnectSignalling, Peer
from rpe.transport.webrtc.requests import check_size, init_bytes, open_frame, request_messages
from rpe.transport.webrtc.results import read_answer
from rpe.transport.webrtc.session import WebrtcClientSession
from rpe.transport.webrtc.settings import WebrtcSettings
from rpe.transport.webrtc.shared import Shared
from rpe.transport.webrtc.signalling.opening import open_signalling
from rpe.transport.webrtc.status import late

__all__ = ["WebrtcPipelineClient"]

_MEANS = "data channel"


class WebrtcPipelineClient:
    """Fills `rpe.transport.ports.PipelineClient` in pipeline mode.

    A peer that died is replaced by the next call. A call costs no task and no timer but its own.
    """

    def __init__(
        self, endpoint: str, settings: WebrtcSettings, *, connect: ConnectSignalling = open_signalling
    ) -> None:
        settings.check_token(endpoint)
        self.endpoint = endpoint
        self._settings = settings
        self._bearer = Bearer(settings.token, endpoint)
        self._shared = Shared(endpoint, lambda: self._connect(connect))
        self._media = MediaSessions(endpoint, settings, connect, self._bearer)

    async def execute(
        self,
        manifest: Manifest,
        inputs: Mapping[str, RuntimeData],
        *,
        timeout_s: float,
        metadata: Metadata = NO_METADATA,
    ) -> ExecutionResult:
        """Run a pipeline once (see the port). Cancelling it cancels the call at the server."""
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + timeout_s
        payload = init_bytes(manifest, inputs)
        check_size(payload, self._settings.max_message_bytes, self.endpoint)
        peer = self._shared.current or await self._peer(timeout_s)
        call = UnaryCall(self._settings.max_message_bytes)
        calls, limit = peer.calls, peer.link.limit
        number = calls.add(call)
        timer = loop.call_at(ends_s, _expire, call.answer, self.endpoint)
        try:
            left_s = max(ends_s - loop.time(), 0.0)
            opening = open_frame(
                number, "execute", left_s, metadata, limit=limit, endpoint=self.endpoint, lossy=False
            )
            calls.write(number, request_messages(number, opening, payload, limit=limit))
            return read_answer(await call.answer, self.endpoint)
        except RpeError as error:
            peer.judge(error)
            raise
        finally:
            timer.cancel()
            calls.forget(number)

    async def open_stream(
        self,
        manifest: Manifest,
        *,
        timeout_s: float,
        open_timeout_s: float,
        metadata: Metadata = NO_METADATA,
    ) -> ClientStreamSession:
        """Open a session and wait until the server says that it is ready (see the port)."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        peer = self._shared.current or await self._peer(min(timeout_s, open_timeout_s))
        spent_s = loop.time() - began_s
        session = WebrtcClientSession(peer, self._settings)
        await session.open(
            manifest,
            timeout_s=timeout_s - spent_s,
            open_timeout_s=open_timeout_s - spent_s,
            metadata=metadata,
        )
        return session

    async def open_media(
        self,
        manifest: Manifest,
        source: AsyncIterable[Audio],
        *,
        timeout_s: float,
        open_timeout_s: float,
        metadata: Metadata = NO_METADATA,
    ) -> MediaSession:
        """Open a session whose sound travels on audio tracks, over a peer connection of its own.

        What `source` gives goes out in real time, as Opus of 48 kHz, and reaches the pipeline's
        input node in chunks of 20 ms. `timeout_s` bounds the whole session, `open_timeout_s` its
        opening with the connection.

        Raises what `open_stream` raises, and ProtocolViolation where the server takes no track.
        Nothing is left behind then.
        """
        return await self._media.open(
            manifest, source, timeout_s=timeout_s, open_timeout_s=open_timeout_s, metadata=metadata
        )

    async def check_health(self, *, timeout_s: float) -> HealthReport:
        """Ask over the data channel, which is opened if need be (see the port)."""
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + timeout_s
        peer = self._shared.current or await self._peer(timeout_s)
        call = HealthCall()
        number = peer.calls.add(call)
        timer = loop.call_at(ends_s, _expire, call.answer, self.endpoint)
        try:
            peer.calls.write(number, iter((encode(FrameType.PING, number),)))
            serving = await call.answer
        finally:
            timer.cancel()
            peer.calls.forget(number)
        if serving is None:
            # As for any server without a health service: that it answers has to do.
            return HealthReport(ServingStatus.SERVING, _MEANS, "it answers, and says nothing of its health")
        status = ServingStatus.SERVING if serving else ServingStatus.NOT_SERVING
        return HealthReport(status, means=_MEANS)

    async def get_version(self, *, timeout_s: float) -> VersionReport:
        """Check health, since a data channel has no question for the version (see the port)."""
        await self.check_health(timeout_s=timeout_s)
        return VersionReport("v1", "", (), True, "this wire has no version call")

    async def close(self) -> None:
        """Close the peer; running calls end with ConnectionLost."""
        try:
            await self._media.close()
        finally:
            await self._shared.close()

    async def _peer(self, timeout_s: float) -> Peer:
        """Return a peer that was opened meanwhile, or open one (see `Shared.get` for what it raises)."""
        # The opening is everybody's, and asks again; but the wait for a token is the caller's own.
        _, left_s = await self._bearer.ask(timeout_s)
        return await self._shared.get(left_s)

    async def _connect(self, connect: ConnectSignalling) -> Peer:
        grant, _ = await self._bearer.ask(self._settings.connect_timeout_s)
        return await Peer.open(self.endpoint, self._settings, connect, grant=grant)

    def __repr__(self) -> str:
        return f"WebrtcPipelineClient({self.endpoint!r})"


def _expire(answer: asyncio.Future[bytes] | asyncio.Future[bool | None], endpoint: str) -> None:
    if not answer.done():
        answer.set_exception(late(endpoint))
