"""What a signalling server tells its peers, in terms of no wire; and the checks of what peers send it."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rpe.transport.webrtc.signalling.errors import Code, SignallingError
from rpe.transport.webrtc.signalling.port import RemoteCandidate

__all__ = [
    "AnswerReceived",
    "CandidateReceived",
    "Event",
    "OfferReceived",
    "PeerJoined",
    "PeerLeft",
    "PeerState",
    "PeerView",
    "StateChanged",
    "check_answer",
    "check_candidate",
    "check_offer",
    "check_peer_id",
    "read_capabilities",
]

CAPABILITIES = ("audio", "video", "data")
LONGEST_PEER_ID = 256


class PeerState(enum.StrEnum):
    """Whether a peer may be called."""

    AVAILABLE = "available"
    BUSY = "busy"
    AWAY = "away"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class PeerView:
    """A peer as the others see it; `user_data` is what it announced, without its token."""

    peer_id: str
    capabilities: tuple[str, ...] = ()
    state: PeerState = PeerState.AVAILABLE
    user_data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PeerJoined:
    """A peer has announced itself."""

    peer: PeerView


@dataclass(frozen=True, slots=True)
class PeerLeft:
    """A peer has said goodbye, or (`lost`) its connection ended without."""

    peer_id: str
    lost: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StateChanged:
    """A peer has said that it may be called now, or not."""

    peer_id: str
    state: PeerState


@dataclass(frozen=True, slots=True)
class OfferReceived:
    """Another peer offers a session."""

    from_peer: str
    offer_id: str
    sdp: str


@dataclass(frozen=True, slots=True)
class AnswerReceived:
    """Another peer answers an offer."""

    from_peer: str
    sdp: str


@dataclass(frozen=True, slots=True)
class CandidateReceived:
    """Another peer, or the pipeline, has one more candidate."""

    from_peer: str
    candidate: RemoteCandidate


Event = PeerJoined | PeerLeft | StateChanged | OfferReceived | AnswerReceived | CandidateReceived


def check_peer_id(peer_id: object) -> str:
    """Return a peer's id. Raises SignallingError (invalid params) where it is none."""
    if not isinstance(peer_id, str) or not 0 < len(peer_id) <= LONGEST_PEER_ID or not peer_id.isprintable():
        raise SignallingError(
            Code.INVALID_PARAMS, f"a peer id is text of 1 to {LONGEST_PEER_ID} printable characters"
        )
    return peer_id


def read_capabilities(names: object) -> tuple[str, ...]:
    """Return the known ones among announced capabilities, in a fixed order.

    Others are passed over, since a later protocol may have more. Raises SignallingError
    (invalid params) where it is no list of text.
    """
    if not isinstance(names, Iterable) or isinstance(names, str | bytes | Mapping):
        raise SignallingError(Code.INVALID_PARAMS, "capabilities must be a list of text")
    given = list(names)
    if not all(isinstance(name, str) for name in given):
        raise SignallingError(Code.INVALID_PARAMS, "capabilities must be a list of text")
    return tuple(name for name in CAPABILITIES if name in given)


def check_offer(sdp: object) -> str:
    """Return an offer's SDP. Raises SignallingError where it can be none, or offers nothing."""
    return _check_sdp(sdp, "offer", Code.OFFER_INVALID)


def check_answer(sdp: object) -> str:
    """Return an answer's SDP. Raises SignallingError where it can be none."""
    return _check_sdp(sdp, "answer", Code.ANSWER_INVALID)


def check_candidate(candidate: RemoteCandidate) -> RemoteCandidate:
    """Return a candidate whose form is that of RFC 8839, section 5.1, or the empty one.

    Raises SignallingError (candidate invalid) where it is neither.
    """
    fields = candidate.candidate.removeprefix("a=").split()
    if not fields:
        return candidate
    fits = (
        len(fields) >= 8
        and fields[0].startswith("candidate:")
        and fields[1].isdecimal()
        and fields[3].isdecimal()
        and fields[5].isdecimal()
        and len(fields[5]) <= 5
        and int(fields[5]) <= 65535
        and fields[6] == "typ"
    )
    if not fits:
        raise SignallingError(Code.CANDIDATE_INVALID, "this is no ICE candidate")
    return candidate


def _check_sdp(sdp: object, what: str, code: int) -> str:
    if not isinstance(sdp, str) or not sdp.lstrip().startswith("v=0"):
        raise SignallingError(code, f"the {what} is no SDP")
    if not any(line.startswith("m=") for line in sdp.splitlines()):
        raise SignallingError(code, f"the {what} has no media section, so there is nothing to agree on")
    return sdp
