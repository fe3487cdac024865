"""The WebRTC client in plain mode: bare DataBuffers out, what the server's own manifest makes of them in."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from rpe.data import RuntimeData
from rpe.errors import InvalidRequest, RemoteTimeout
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
from rpe.transport.webrtc.peer import ConnectSignalling
from rpe.transport.webrtc.plain_peer import PlainPeer
from rpe.transport.webrtc.plain_session import PlainClientSession
from rpe.transport.webrtc.settings import WebrtcSettings
from rpe.transport.webrtc.shared import Shared
from rpe.transport.webrtc.signalling.opening import open_signalling
from rpe.transport.webrtc.status import late

__all__ = ["PlainPipelineClient"]

_MEANS = "data channel"


class PlainPipelineClient:
    """Fills `rpe.transport.ports.PipelineClient` in plain mode.

    The server runs the manifest that it was started with, so that of a call is not sent, and
    neither are its metadata. Nothing in an output says what it answers: the next one to arrive
    is the answer, and so unary calls go one at a time. There is no heartbeat either, since
    nothing obliges such a server to answer one. Nor can it say that a token is of no more use:
    once the source of tokens gives another one, another peer is connected.
    """

    def __init__(
        self, endpoint: str, settings: WebrtcSettings, *, connect: ConnectSignalling = open_signalling
    ) -> None:
        settings.check_token(endpoint)
        self.endpoint = endpoint
        self._settings = settings
        self._bearer = Bearer(settings.token, endpoint)
        self._shared = Shared(endpoint, lambda: self._connect(connect))

    async def execute(
        self,
        manifest: Manifest,
        inputs: Mapping[str, RuntimeData],
        *,
        timeout_s: float,
        metadata: Metadata = NO_METADATA,
    ) -> ExecutionResult:
        """Send the one input, and return the next output (see the port)."""
        if len(inputs) != 1:
            raise InvalidRequest(
                f"plain mode sends one input, not {len(inputs)}", endpoint=self.endpoint, maybe_executed=False
            )
        (data,) = inputs.values()
        sent = False
        peer, left_s = await self._peer(timeout_s)
        try:
            async with asyncio.timeout(left_s):
                async with peer.turn:
                    channel = await peer.unary_channel()
                    try:
                        await channel.send(data)
                        sent = True
                        output = await channel.receive()
                    except InvalidRequest:
                        raise
                    except BaseException:
                        # Its answer may come yet, and must not be taken for that of the next call.
                        peer.drop(channel)
                        raise
        except TimeoutError as error:
            if sent:
                raise late(self.endpoint) from error
            raise RemoteTimeout(
                "no turn within the deadline", endpoint=self.endpoint, maybe_executed=False
            ) from error
        return ExecutionResult({"output": output})

    async def open_stream(
        self,
        manifest: Manifest,
        *,
        timeout_s: float,
        open_timeout_s: float,
        metadata: Metadata = NO_METADATA,
    ) -> ClientStreamSession:
        """Open a channel of its own for a session (see the port)."""
        ends_s = asyncio.get_running_loop().time() + timeout_s
        peer, left_s = await self._peer(min(timeout_s, open_timeout_s))
        try:
            async with asyncio.timeout(left_s):
                return PlainClientSession(peer, await peer.open_channel(), ends_s)
        except TimeoutError as error:
            raise RemoteTimeout(
                "the session was not ready in time", endpoint=self.endpoint, maybe_executed=False
            ) from error

    async def check_health(self, *, timeout_s: float) -> HealthReport:
        """Say that the server serves where a data channel is open or can be opened (see the port)."""
        await self._peer(timeout_s)
        return HealthReport(ServingStatus.SERVING, _MEANS, "plain mode tells no more than that it is open")

    async def get_version(self, *, timeout_s: float) -> VersionReport:
        """Check health, since a data channel has no question for the version (see the port)."""
        await self.check_health(timeout_s=timeout_s)
        return VersionReport("v1", "", (), True, "this wire has no version call")

    async def close(self) -> None:
        """Close the peer; running calls end with ConnectionLost."""
        await self._shared.close()

    async def _peer(self, timeout_s: float) -> tuple[PlainPeer, float]:
        """Return an open peer with the token of now, and what is left of `timeout_s`, in seconds.

        Raises what `Bearer.ask` and `Shared.get` raise.
        """
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + timeout_s
        grant, left_s = await self._bearer.ask(timeout_s)
        current = self._shared.current
        if current is not None and current.grant.token != grant.token:
            current.retired = True
        peer = await self._shared.get(left_s)
        return peer, ends_s - loop.time()

    async def _connect(self, connect: ConnectSignalling) -> PlainPeer:
        grant, _ = await self._bearer.ask(self._settings.connect_timeout_s)
        return await PlainPeer.open(self.endpoint, self._settings, connect, grant)

    def __repr__(self) -> str:
        return f"PlainPipelineClient({self.endpoint!r})"
