"""Opening a signalling connection of either kind; each kind is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence

from rpe.transport.webrtc.signalling.port import Signaller, SignallingSettings

__all__ = ["open_signalling"]


async def open_signalling(
    endpoint: str, settings: SignallingSettings, *, peer_id: str, capabilities: Sequence[str]
) -> Signaller:
    """Connect to the signalling server at `host:port` and announce a peer.

    Nothing is left behind where this raises or is cancelled.

    Raises:
        ConnectFailed: no connection (refused, no such host, handshake refused).
        AuthenticationFailed: the token is missing or wrong.
        RemoteOverloaded: the server takes no more peers.
        RemoteUnavailable, RemoteTimeout: it cannot serve now.
        InvalidRequest: it refused the announcement as wrong in itself.
        ProtocolViolation: what it says is not this protocol.
        ConnectionLost: the connection ended before the announcement was answered.
    """
    if settings.kind == "grpc":
        from rpe.transport.webrtc.signalling.grpc import GrpcSignaller

        return await GrpcSignaller.open(endpoint, settings, peer_id=peer_id, capabilities=capabilities)
    from rpe.transport.webrtc.signalling.websocket import WebSocketSignaller

    return await WebSocketSignaller.open(endpoint, settings, peer_id=peer_id, capabilities=capabilities)
