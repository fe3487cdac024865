"""The parts of signalling as JSON-RPC parameters: candidates, peers, and what a server tells unasked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rpe.transport.webrtc.signalling.errors import Code, SignallingError
from rpe.transport.webrtc.signalling.jsonrpc import call_text
from rpe.transport.webrtc.signalling.messages import (
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

__all__ = ["candidate_params", "event_text", "peer_object", "read_candidate"]


def candidate_params(from_peer: str, to: str, candidate: RemoteCandidate) -> dict[str, Any]:
    """Return the parameters of `peer.ice_candidate`."""
    params: dict[str, Any] = {"from": from_peer, "to": to, "candidate": candidate.candidate}
    if candidate.sdp_mid is not None:
        params["sdp_mid"] = candidate.sdp_mid
    if candidate.sdp_mline_index is not None:
        params["sdp_m_line_index"] = candidate.sdp_mline_index
    return params


def read_candidate(params: Mapping[str, Any]) -> RemoteCandidate:
    """Read the parameters of `peer.ice_candidate`. Raises SignallingError where their shape is wrong."""
    text, mid, index = params.get("candidate"), params.get("sdp_mid"), params.get("sdp_m_line_index")
    if not isinstance(text, str) or not isinstance(mid, str | None):
        raise SignallingError(Code.CANDIDATE_INVALID, "candidate and sdp_mid must be text")
    if index is not None and (
        not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < 65536
    ):
        raise SignallingError(Code.CANDIDATE_INVALID, "sdp_m_line_index must be a whole number from 0")
    return RemoteCandidate(text, mid, index)


def peer_object(peer: PeerView) -> dict[str, Any]:
    """Return a peer as `peer.list` and `peer.state_change` show it."""
    return {
        "peer_id": peer.peer_id,
        "capabilities": list(peer.capabilities),
        "state": peer.state.value,
        "user_data": dict(peer.user_data),
    }


def event_text(event: Event, to: str) -> str:
    """Write what happened as a notification to the peer called `to`."""
    if isinstance(event, PeerJoined):
        return call_text("peer.state_change", peer_object(event.peer))
    if isinstance(event, PeerLeft):
        left = {"peer_id": event.peer_id, "state": PeerState.OFFLINE.value, "reason": event.reason}
        return call_text("peer.state_change", left)
    if isinstance(event, OfferReceived):
        offer = {"from": event.from_peer, "to": to, "sdp": event.sdp, "offer_id": event.offer_id}
        return call_text("peer.offer", offer)
    if isinstance(event, AnswerReceived):
        return call_text("peer.answer", {"from": event.from_peer, "to": to, "sdp": event.sdp})
    if isinstance(event, CandidateReceived):
        return call_text("peer.ice_candidate", candidate_params(event.from_peer, to, event.candidate))
    return call_text("peer.state_change", {"peer_id": event.peer_id, "state": event.state.value})
