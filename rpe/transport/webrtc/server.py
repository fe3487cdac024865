"""The WebRTC server: its signalling, and the peers that come by it."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Protocol, Self

from rpe.transport.serving import PipelineHandler
from rpe.transport.webrtc.serving import ServingPeers
from rpe.transport.webrtc.settings import SignallingKind, WebrtcServerSettings
from rpe.transport.webrtc.signalling.hub import SignallingHub

__all__ = ["WebrtcPipelineServer"]


class _Signalling(Protocol):
    endpoint: str

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class WebrtcPipelineServer:
    """Fills `rpe.transport.ports.PipelineServer`.

    `endpoint` is where the first kind of signalling listens, `endpoints` has one for each kind;
    both are empty before the first `start`. A stopped server can be started again; with port 0
    it is then bound to another port.
    """

    def __init__(self, handler: PipelineHandler, settings: WebrtcServerSettings) -> None:
        self.endpoint = ""
        self.endpoints: dict[SignallingKind, str] = {}
        self._handler = handler
        self._settings = settings
        self._peers: ServingPeers | None = None
        self._signalling: list[_Signalling] = []

    async def start(self) -> None:
        """Bind and serve. Harmless where it runs already.

        Raises ConfigurationError where an address cannot be bound, the certificates are
        unusable, or a package that a setting asks for is missing; nothing runs then.
        """
        if self._peers is not None:
            return
        peers = ServingPeers(self._handler, self._settings)
        hub = SignallingHub(peers)
        port = self._settings.port
        started: dict[SignallingKind, _Signalling] = {}
        try:
            for kind in self._settings.signalling:
                started[kind] = _make(kind, hub, self._settings, port)
                await started[kind].start()
                port = 0
        except BaseException:
            for signalling in started.values():
                await signalling.stop()
            raise
        self._peers = peers
        self._signalling = list(started.values())
        self.endpoints = {kind: signalling.endpoint for kind, signalling in started.items()}
        self.endpoint = self._signalling[0].endpoint

    async def stop(self, grace_s: float = 0.0) -> None:
        """Take no more peers and calls, give running ones `grace_s` seconds, then cancel them.

        Nothing of the server is left afterwards; cancelling this ends the grace. Harmless
        where the server does not run.
        """
        peers, self._peers = self._peers, None
        if peers is None:
            return
        signalling, self._signalling = self._signalling, []
        try:
            peers.drain()
            # Signalling goes first, so that whoever connects meanwhile learns that nobody is there.
            await asyncio.gather(*(mouth.stop() for mouth in signalling))
            await peers.finish(grace_s)
        finally:
            await peers.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


def _make(kind: SignallingKind, hub: SignallingHub, settings: WebrtcServerSettings, port: int) -> _Signalling:
    options: dict[str, Any] = {
        "host": settings.host,
        "port": port,
        "certificate_chain": settings.certificate_chain,
        "private_key": settings.private_key,
        "client_root_certificates": settings.client_root_certificates,
    }
    if kind == "grpc":
        from rpe.transport.webrtc.signalling.grpc_server import GrpcSignalling

        return GrpcSignalling(hub, **options)
    from rpe.transport.webrtc.signalling.websocket_server import WebSocketSignalling

    return WebSocketSignalling(hub, **options)
