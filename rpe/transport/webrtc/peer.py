"""One peer of a client: its signalling, its connection, and the calls on it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, Self

from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import candidate_from_sdp

from rpe.errors import AuthenticationFailed, ConnectFailed, ProtocolViolation, RpeError
from rpe.transport.credentials import NO_GRANT, Grant
from rpe.transport.webrtc.calls import Calls
from rpe.transport.webrtc.framing import Frame
from rpe.transport.webrtc.ice import close_connection, make_connection, set_local
from rpe.transport.webrtc.link import CONTROL_LABEL, LOSSY_PROTOCOL, PIPELINE_LABEL, Death, Link
from rpe.transport.webrtc.media.tracks import Tracks
from rpe.transport.webrtc.settings import WebrtcSettings, is_loopback
from rpe.transport.webrtc.signalling.opening import open_signalling
from rpe.transport.webrtc.signalling.port import (
    RemoteCandidate,
    Signaller,
    SignallingSettings,
)

__all__ = ["ConnectSignalling", "Negotiated", "Peer", "add_candidate", "negotiate"]

_LOG = logging.getLogger(__name__)


class ConnectSignalling(Protocol):
    """How signalling is connected: `open_signalling`, or a test's own."""

    def __call__(  # noqa: D102
        self, endpoint: str, settings: SignallingSettings, *, peer_id: str, capabilities: Sequence[str]
    ) -> Awaitable[Signaller]: ...


class Negotiated:
    """A peer connection whose offer was answered, and the signalling that it was made over.

    Candidates that the server sends later are taken by a task, until the signalling ends.
    """

    def __init__(self, connection: RTCPeerConnection, signaller: Signaller, lost: Callable[[], None]) -> None:
        self.connection = connection
        self.signaller = signaller
        self._lost = lost
        self._trickle = asyncio.create_task(self._take_candidates())

    async def _take_candidates(self) -> None:
        try:
            while (candidate := await self.signaller.receive()) is not None:
                await add_candidate(self.connection, candidate)
        except RpeError as error:
            _LOG.debug("signalling ended: %s", error.code)
        self._lost()

    async def close(self) -> None:
        """Say goodbye and let go of the signalling."""
        self._trickle.cancel()
        await asyncio.wait([self._trickle])
        await self.signaller.close("closed by the client")


async def negotiate(
    connection: RTCPeerConnection,
    endpoint: str,
    settings: WebrtcSettings,
    connect: ConnectSignalling,
    capabilities: Sequence[str],
    lost: Callable[[], None],
    grant: Grant,
) -> Negotiated:
    """Offer a connection, with the channels and tracks that it has, and take the answer.

    Candidates are gathered while signalling connects, and all go into the offer. Raises the
    errors of signalling, and ProtocolViolation where the answer is no answer to this offer.
    The connection is the caller's to close; nothing else is left behind after an error.
    """
    signalling = SignallingSettings(
        kind=settings.signalling,
        token=grant.token,
        tls=settings.tls,
        path=settings.signalling_path,
    )
    gathering = asyncio.ensure_future(set_local(connection, settings.ice, loopback=is_loopback(endpoint)))
    try:
        peer_id = f"rpe-{secrets.token_hex(8)}"
        signaller = await connect(endpoint, signalling, peer_id=peer_id, capabilities=capabilities)
        try:
            offer = await gathering
            if "a=candidate:" not in offer:
                raise ConnectFailed(
                    "no ICE candidate was found to offer",
                    endpoint=endpoint,
                    hint="where only relays are allowed, check the TURN server's address and credentials",
                )
            answer = await signaller.offer(offer)
            await _take_answer(connection, answer, endpoint)
        except BaseException:
            await signaller.close("not connected")
            raise
    except RpeError as error:
        grant.judge(error)
        raise
    finally:
        gathering.cancel()
        await asyncio.wait([gathering])
    return Negotiated(connection, signaller, lost)


async def _take_answer(connection: RTCPeerConnection, answer: str, endpoint: str) -> None:
    try:
        await connection.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
    except Exception as error:
        # A parser of foreign text fails in many ways; each of them means the same.
        raise ProtocolViolation(
            f"the answer of the server is none: {_told(error)}", endpoint=endpoint, maybe_executed=False
        ) from error


async def add_candidate(connection: RTCPeerConnection, candidate: RemoteCandidate) -> bool:
    """Take a candidate of the other side. Returns False, and does no harm, where it is of no use."""
    text = candidate.candidate.strip().removeprefix("a=").removeprefix("candidate:")
    try:
        if not text:
            await connection.addIceCandidate(None)
            return True
        found = candidate_from_sdp(text)
        found.sdpMid = candidate.sdp_mid
        found.sdpMLineIndex = candidate.sdp_mline_index
        if found.sdpMid is None and found.sdpMLineIndex is None:
            found.sdpMLineIndex = 0
        await connection.addIceCandidate(found)
    except Exception as error:
        _LOG.debug("a candidate was left out: %s", type(error).__name__)
        return False
    return True


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


class Peer:
    """An open peer in pipeline mode. Made by `open`; `calls` are what it is for.

    All of them come with the token of its signalling, `grant`.
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
        self.link = Link(
            connection,
            self,
            heartbeat_interval_s=settings.heartbeat_interval_s,
            grace_s=settings.grace_s,
        )
        self.calls = Calls(self.link, endpoint)
        self._negotiated: Negotiated | None = None

    @classmethod
    async def open(
        cls,
        endpoint: str,
        settings: WebrtcSettings,
        connect: ConnectSignalling = open_signalling,
        tracks: Tracks | None = None,
        grant: Grant = NO_GRANT,
    ) -> Self:
        """Connect a new peer, with audio tracks where they are given, and wait until calls can be made.

        Raises ConnectFailed where no data channel comes about within `connect_timeout_s`, and
        what `negotiate` raises. Nothing is left behind then, nor after a cancel.
        """
        connection = make_connection(settings.ice)
        peer = cls(endpoint, settings, connection, grant)
        try:
            async with asyncio.timeout(settings.connect_timeout_s):
                await peer._connect(settings, connect, tracks)
        except TimeoutError as error:
            await peer.close()
            raise ConnectFailed(
                f"no data channel within {settings.connect_timeout_s:g} s", endpoint=endpoint
            ) from error
        except BaseException:
            await peer.close()
            raise
        return peer

    async def _connect(
        self, settings: WebrtcSettings, connect: ConnectSignalling, tracks: Tracks | None
    ) -> None:
        connection = self.link.connection
        if tracks is not None:
            tracks.add_to(connection)
        self.link.adopt(connection.createDataChannel(PIPELINE_LABEL))
        self.link.adopt(connection.createDataChannel(CONTROL_LABEL, ordered=False, maxRetransmits=0))
        if settings.stream_channel == "lossy":
            self.link.adopt(
                connection.createDataChannel(
                    PIPELINE_LABEL,
                    ordered=False,
                    maxRetransmits=settings.max_retransmits,
                    protocol=LOSSY_PROTOCOL,
                )
            )
        capabilities = ("data",) if tracks is None else ("audio", "data")
        self._negotiated = await negotiate(
            connection, self.endpoint, settings, connect, capabilities, self.link.signalling_lost, self.grant
        )
        await self.link.opened.wait()
        if (death := self.link.death) is not None:
            kind = ProtocolViolation if death.violation else ConnectFailed
            raise kind(f"no data channel: {death.reason}", endpoint=self.endpoint, maybe_executed=False)

    @property
    def usable(self) -> bool:
        """Whether another call can be made here."""
        return self.calls.usable

    def judge(self, error: RpeError, *, begun: bool = False) -> RpeError:
        """Return the error of a call, which was the last one where the source has another token now."""
        self.grant.judge(error, begun=begun)
        if isinstance(error, AuthenticationFailed) and error.retryable:
            self.calls.draining = True
        return error

    def frame(self, frame: Frame, lossy: bool) -> None:
        """Take a frame of the server (for the link)."""
        self.calls.frame(frame, lossy)

    def serving(self) -> bool | None:
        """Say nothing of serving: a client serves nobody."""
        return None

    def died(self, death: Death) -> None:
        """Fail every call (for the link)."""
        self.calls.died(death)

    async def retire(self) -> None:
        """Take no more calls, and close once the last one has ended."""
        await self.calls.wait_idle()
        await self.close()

    async def close(self) -> None:
        """End every call, say goodbye, and wait until nothing is left."""
        self.link.die("the client was closed")
        if self._negotiated is None:
            await close_connection(self.link.connection)
            return
        try:
            await self.link.close()
        finally:
            with contextlib.suppress(RpeError):
                await self._negotiated.close()
