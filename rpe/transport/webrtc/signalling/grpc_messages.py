"""Signalling's parts as the messages of the WebRtcSignaling service."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from google.protobuf.message import DecodeError

from rpe.transport.webrtc.signalling.errors import Code, SignallingError
from rpe.transport.webrtc.signalling.messages import (
    CAPABILITIES,
    AnswerReceived,
    CandidateReceived,
    Event,
    OfferReceived,
    PeerJoined,
    PeerLeft,
    PeerState,
    PeerView,
)
from rpe.transport.webrtc.signalling.port import RemoteCandidate
from rpe.wire.generated.remotemedia.v1.webrtc import signaling_pb2 as pb

__all__ = [
    "SERVICE",
    "SIGNAL",
    "acknowledged",
    "capabilities_message",
    "code_from_wire",
    "event_message",
    "peer_messages",
    "read_capability_names",
    "read_request",
    "refused",
]

SERVICE = "remotemedia.v1.webrtc.WebRtcSignaling"
SIGNAL = f"/{SERVICE}/Signal"

_STATES = {
    PeerState.AVAILABLE: pb.PEER_STATE_AVAILABLE,
    PeerState.BUSY: pb.PEER_STATE_BUSY,
    PeerState.AWAY: pb.PEER_STATE_AWAY,
    PeerState.OFFLINE: pb.PEER_STATE_OFFLINE,
}


def read_request(payload: bytes) -> pb.SignalingRequest:
    """Read a request. Raises SignallingError (parse error) where the bytes are none."""
    try:
        return pb.SignalingRequest.FromString(payload)
    except DecodeError as error:
        raise SignallingError(Code.PARSE_ERROR, "not a SignalingRequest") from error


def acknowledged(
    request_id: str, message: str, data: Mapping[str, Any] | None = None
) -> pb.SignalingResponse:
    """Return the answer to a request that succeeded; `data` travels as JSON."""
    ack = pb.AckResponse(message=message, data="" if data is None else json.dumps(data))
    return pb.SignalingResponse(request_id=request_id, ack=ack)


def refused(request_id: str, error: SignallingError) -> pb.SignalingResponse:
    """Return the answer to a request that failed. The field has no sign, so the code goes without it."""
    response = pb.ErrorResponse(code=abs(error.code), message=error.message)
    return pb.SignalingResponse(request_id=request_id, error=response)


def code_from_wire(code: int) -> int:
    """Return an error's number: servers write it without its sign, or as the 32 bits of the signed one."""
    return code - 2**32 if code >= 2**31 else -code


def capabilities_message(names: Sequence[str]) -> pb.PeerCapabilities:
    """Write capabilities."""
    return pb.PeerCapabilities(audio="audio" in names, video="video" in names, data="data" in names)


def read_capability_names(message: pb.PeerCapabilities) -> list[str]:
    """Read capabilities."""
    return [name for name in CAPABILITIES if getattr(message, name)]


def peer_messages(peers: Iterable[PeerView]) -> list[pb.PeerInfo]:
    """Write a list of peers. `connected_at` stays empty: nothing here reads the wall clock."""
    return [
        pb.PeerInfo(
            peer_id=peer.peer_id,
            capabilities=capabilities_message(peer.capabilities),
            state=_STATES[peer.state],
            metadata=_strings(peer.user_data),
        )
        for peer in peers
    ]


def event_message(event: Event) -> pb.SignalingResponse | None:
    """Write what happened as a notification; None for a change of state, for which the service has none."""
    note = pb.SignalingNotification()
    if isinstance(event, PeerJoined):
        peer = event.peer
        note.peer_joined.peer_id = peer.peer_id
        note.peer_joined.capabilities.CopyFrom(capabilities_message(peer.capabilities))
        note.peer_joined.metadata.update(_strings(peer.user_data))
    elif isinstance(event, PeerLeft):
        (note.peer_disconnected if event.lost else note.peer_left).peer_id = event.peer_id
    elif isinstance(event, OfferReceived):
        offer = pb.OfferNotification(
            from_peer_id=event.from_peer, offer_id=event.offer_id, sdp=event.sdp, type="offer"
        )
        note.offer.CopyFrom(offer)
    elif isinstance(event, AnswerReceived):
        note.answer.CopyFrom(
            pb.AnswerNotification(from_peer_id=event.from_peer, sdp=event.sdp, type="answer")
        )
    elif isinstance(event, CandidateReceived):
        note.ice_candidate.CopyFrom(_candidate_message(event.from_peer, event.candidate))
    else:
        return None
    return pb.SignalingResponse(notification=note)


def _candidate_message(from_peer: str, candidate: RemoteCandidate) -> pb.IceCandidateNotification:
    return pb.IceCandidateNotification(
        from_peer_id=from_peer,
        candidate=candidate.candidate,
        sdp_mid=candidate.sdp_mid or "",
        sdp_mline_index=candidate.sdp_mline_index or 0,
    )


def _strings(user_data: Mapping[str, Any]) -> dict[str, str]:
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in user_data.items()}
