"""A peer that is announced at a signalling server, and the connection that it came by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from rpe.transport.webrtc.signalling.errors import Code, SignallingError
from rpe.transport.webrtc.signalling.messages import CandidateReceived, Event, PeerState, PeerView
from rpe.transport.webrtc.signalling.port import SERVER_PEER, RemoteCandidate

__all__ = ["Guest", "Link", "bearer"]

MOST_EARLY_CANDIDATES = 256


class Link(Protocol):
    """One client's connection, on whichever wire. `metadata` has its keys in lower case."""

    address: str
    metadata: Mapping[str, str]

    def tell(self, peer_id: str, event: Event) -> None:
        """Send an event to the peer of that id, which came by this connection, without waiting.

        Nothing happens where the connection has ended.
        """
        ...

    def abort(self) -> None:
        """Break the connection with no goodbye. Harmless where it has ended."""
        ...


class Guest:
    """Fills `rpe.transport.webrtc.signalling.hosting.SignalledPeer`; the rest of it is the hub's.

    A candidate that comes before the pipeline has answered the first offer is kept until then.
    """

    def __init__(self, link: Link, view: PeerView, token: str | None) -> None:
        self.view = view
        self.metadata = dict(link.metadata)
        if token is not None:
            self.metadata["authorization"] = bearer(token)
        self.announced_leaving = False
        self.admitted = False
        self.negotiating = False
        self._answered = False
        self._early: list[RemoteCandidate] | None = []
        self._link = link

    @property
    def peer_id(self) -> str:
        """Its own name for itself."""
        return self.view.peer_id

    @property
    def capabilities(self) -> tuple[str, ...]:
        """Which of `audio`, `video` and `data` it announced."""
        return self.view.capabilities

    @property
    def address(self) -> str:
        """The other end of its signalling connection, as `ip:port`."""
        return self._link.address

    async def send_candidate(self, candidate: RemoteCandidate) -> None:
        """Tell the peer one of the pipeline's candidates."""
        self._link.tell(self.peer_id, CandidateReceived(SERVER_PEER, candidate))

    def tell(self, event: Event) -> None:
        """Tell the peer of something that another one did."""
        self._link.tell(self.peer_id, event)

    def abort(self) -> None:
        """Break its signalling connection with no goodbye."""
        self._link.abort()

    def set_state(self, state: PeerState) -> None:
        """Say whether it may be called."""
        view = self.view
        self.view = PeerView(view.peer_id, view.capabilities, state, view.user_data)

    def begin_offer(self) -> None:
        """Hold candidates back from now on: they belong to an offer that is being answered."""
        self.negotiating = True
        if self._early is None:
            self._early = []

    def end_offer(self, answered: bool) -> None:
        """Note how the offer ended; where it failed, its candidates are forgotten."""
        self.negotiating = False
        self._answered = self._answered or answered
        if not answered:
            self._early = None if self._answered else []

    def keep(self, candidate: RemoteCandidate) -> bool:
        """Hold a candidate back; False where it need not be. Raises SignallingError past a bound."""
        if self._early is None:
            return False
        if len(self._early) >= MOST_EARLY_CANDIDATES:
            raise SignallingError(Code.CANDIDATE_INVALID, "too many candidates before an offer was answered")
        self._early.append(candidate)
        return True

    def take_early(self) -> RemoteCandidate | None:
        """Return the next candidate that was held back; with None, from then on none is."""
        if not self._answered or self.negotiating:
            return None
        if self._early:
            return self._early.pop(0)
        self._early = None
        return None

    def __repr__(self) -> str:
        return f"<Guest {self.peer_id!r} from {self.address}>"


def bearer(token: str) -> str:
    """Return a token as the `authorization` value, also where it is one already."""
    return token if token[:7].lower() == "bearer " else f"Bearer {token}"
