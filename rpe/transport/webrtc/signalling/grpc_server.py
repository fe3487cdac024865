"""Signalling by the gRPC service WebRtcSignaling: the server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

import grpc

from rpe.errors import ConfigurationError
from rpe.transport.grpc.running import Context, RunningCalls
from rpe.transport.webrtc.signalling.grpc_connection import GrpcConnection
from rpe.transport.webrtc.signalling.grpc_messages import SERVICE, peer_messages
from rpe.transport.webrtc.signalling.hub import SignallingHub
from rpe.wire.generated.remotemedia.v1.webrtc import signaling_pb2 as pb

__all__ = ["GrpcSignalling"]


class GrpcSignalling:
    """A hub's mouth for gRPC clients. `endpoint` is empty before the first `start`.

    The token comes in the metadata of a call, so one that lacks it ends with UNAUTHENTICATED.
    HealthCheck answers everybody.

    Arguments:
        host, port: where it listens; port 0 takes any free one.
        certificate_chain, private_key: PEM, for TLS; with client_root_certificates, mutual TLS.
        max_message_bytes: a longer message ends its call with RESOURCE_EXHAUSTED.
    """

    def __init__(
        self,
        hub: SignallingHub,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        certificate_chain: bytes | None = None,
        private_key: bytes | None = None,
        client_root_certificates: bytes | None = None,
        max_message_bytes: int = 1024 * 1024,
    ) -> None:
        self.endpoint = ""
        self._hub = hub
        self._host, self._port = (f"[{host}]" if ":" in host else host), port
        self._certificates = (certificate_chain, private_key, client_root_certificates)
        self._max_message_bytes = max_message_bytes
        self._server: grpc.aio.Server | None = None
        self._calls = RunningCalls()

    async def start(self) -> None:
        """Bind and serve. Harmless where it runs already.

        Raises ConfigurationError where the address cannot be bound or the certificates are
        unusable; nothing runs then.
        """
        if self._server is not None:
            return
        server = grpc.aio.server(
            options=[
                # Linux would let two servers share a port, and clients reach the wrong one.
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", self._max_message_bytes),
            ]
        )
        server.add_generic_rpc_handlers((self._handlers(),))
        address, credentials = f"{self._host}:{self._port}", self._credentials()
        try:
            if credentials is None:
                port = server.add_insecure_port(address)
            else:
                port = server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise ConfigurationError(
                "a signalling server cannot be started: no address, or unusable certificates",
                endpoint=address,
                hint="choose another port, or 0 for any free one",
            ) from error
        await server.start()
        self._server = server
        self.endpoint = f"{self._host}:{port}"

    async def stop(self) -> None:
        """End every call and stop. Harmless where it does not run. No task is left afterwards."""
        server, self._server = self._server, None
        if server is None:
            return
        try:
            await server.stop(None)
        finally:
            await self._calls.cancel_all()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _handlers(self) -> grpc.GenericRpcHandler:
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "Signal": grpc.stream_stream_rpc_method_handler(self._signal),
                "GetPeers": grpc.unary_unary_rpc_method_handler(self._running(self._get_peers)),
                "HealthCheck": grpc.unary_unary_rpc_method_handler(self._running(self._health_check)),
            },
        )

    def _running(self, work: Callable[[Context], Any]) -> Callable[[bytes, Context], Awaitable[bytes | None]]:
        async def call(_: bytes, context: Context) -> bytes | None:
            return await self._calls.run(context, work(context))

        return call

    async def _signal(self, _: Any, context: Context) -> None:
        await self._calls.run(context, GrpcConnection(self._hub, context).serve())

    async def _get_peers(self, context: Context) -> bytes:
        await GrpcConnection(self._hub, context).authenticate()
        peers = peer_messages(self._hub.peers())
        return pb.GetPeersResponse(peers=peers, count=len(peers)).SerializeToString()

    async def _health_check(self, context: Context) -> bytes:
        return pb.HealthCheckResponse(
            status="healthy" if self._hub.host.serving() else "unhealthy",
            uptime_seconds=int(self._hub.uptime_s),
            connected_peers=len(self._hub.peers()),
            metrics="{}",
        ).SerializeToString()

    def _credentials(self) -> grpc.ServerCredentials | None:
        chain, key, roots = self._certificates
        if chain is None and key is None and roots is None:
            return None
        if chain is None or key is None:
            raise ConfigurationError(
                "TLS needs both certificate_chain and private_key",
                hint="give both as PEM, or neither for clear text",
            )
        return grpc.ssl_server_credentials(
            [(key, chain)], root_certificates=roots, require_client_auth=roots is not None
        )
