"""The signalling server itself, whichever wire its peers come by: who is there, and who talks to whom."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rpe.clock import SYSTEM_CLOCK, Clock
from rpe.transport.serving import ConnectionCut, Refusal
from rpe.transport.webrtc.signalling.errors import Code, SignallingError, from_refusal
from rpe.transport.webrtc.signalling.guest import Guest, Link
from rpe.transport.webrtc.signalling.hosting import PeerHost
from rpe.transport.webrtc.signalling.messages import (
    AnswerReceived,
    CandidateReceived,
    Event,
    OfferReceived,
    PeerJoined,
    PeerLeft,
    PeerState,
    PeerView,
    StateChanged,
    check_answer,
    check_candidate,
    check_offer,
    check_peer_id,
    read_capabilities,
)
from rpe.transport.webrtc.signalling.port import SERVER_PEER, RemoteCandidate

__all__ = ["SignallingHub"]

_LOG = logging.getLogger(__name__)


class SignallingHub:
    """Knows the announced peers, hands the pipeline's share to its host, and routes the rest between peers.

    What a client asks for in vain ends in `SignallingError`, whose code and message are its answer.

    Arguments:
        host: what answers as SERVER_PEER.
        negotiation_timeout_s: how long an offer may stay unanswered, in seconds. The pipeline's own
            answer is given up then; between peers the offer no longer keeps a second one away.
    """

    def __init__(
        self, host: PeerHost, *, negotiation_timeout_s: float = 30.0, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self.host = host
        self._clock = clock
        self._timeout_s = negotiation_timeout_s
        self._guests: dict[str, Guest] = {}
        self._open_offers: dict[tuple[str, str], float] = {}
        self._offers = 0
        self._started_s = clock.now()

    @property
    def uptime_s(self) -> float:
        """Seconds since it was made."""
        return self._clock.now() - self._started_s

    def peers(self, but: Guest | None = None) -> list[PeerView]:
        """Return who is announced, but for one."""
        return [guest.view for guest in self._guests.values() if guest.admitted and guest is not but]

    async def authenticate(self, link: Link) -> None:
        """Let the host look at what credentials a connection brings. Raises SignallingError."""
        with _hosted(link):
            await self.host.authenticate(link.metadata, link.address)

    async def announce(
        self,
        link: Link,
        peer_id: object,
        capabilities: object,
        user_data: Mapping[str, Any],
        token: str | None = None,
    ) -> Guest:
        """Let a peer in and tell the others. Cancelled, it has not come in."""
        name, able = check_peer_id(peer_id), read_capabilities(capabilities)
        if name == SERVER_PEER or name in self._guests:
            raise SignallingError(Code.INVALID_PARAMS, f"the peer id {name!r} is taken")
        guest = Guest(link, PeerView(name, able, user_data=user_data), token)
        self._guests[name] = guest
        try:
            with _hosted(guest):
                await self.host.admit(guest)
        except BaseException:
            del self._guests[name]
            raise
        guest.admitted = True
        self._tell_others(guest, PeerJoined(guest.view))
        return guest

    async def offer(self, guest: Guest, to: object, sdp: object) -> str | None:
        """Return the pipeline's answer to an offer; None where it went to another peer, who answers later.

        `settle` is due once the answer is on its way.
        """
        offered = check_offer(sdp)
        if to != SERVER_PEER:
            self._route_offer(guest, self._other(to), offered)
            return None
        if guest.negotiating:
            raise SignallingError(Code.NEGOTIATION_IN_PROGRESS, "your last offer is not answered yet")
        guest.begin_offer()
        answer = None
        try:
            async with self._clock.deadline(self._clock.now() + self._timeout_s):
                with _hosted(guest):
                    answer = await self.host.offered(guest, offered)
        except TimeoutError as error:
            raise _too_late() from error
        finally:
            guest.end_offer(answered=answer is not None)
        return answer

    async def settle(self, guest: Guest) -> None:
        """Hand the host the candidates that were held back until its answer."""
        while (candidate := guest.take_early()) is not None:
            try:
                with _hosted(guest):
                    await self.host.candidate(guest, candidate)
            except SignallingError as error:
                _LOG.debug("a candidate of %r was refused: %s", guest, error)

    def answer(self, guest: Guest, to: object, sdp: object) -> None:
        """Pass an answer on to the peer whose offer it answers."""
        answered = check_answer(sdp)
        if to == SERVER_PEER:
            raise SignallingError(Code.ANSWER_INVALID, "the pipeline made no offer")
        other = self._other(to)
        if self._open_offers.pop((other.peer_id, guest.peer_id), None) is None:
            raise SignallingError(Code.ANSWER_INVALID, f"{other.peer_id!r} waits for no answer of yours")
        other.tell(AnswerReceived(guest.peer_id, answered))

    async def candidate(self, guest: Guest, to: object, candidate: RemoteCandidate) -> None:
        """Pass a candidate on."""
        check_candidate(candidate)
        if to != SERVER_PEER:
            self._other(to).tell(CandidateReceived(guest.peer_id, candidate))
        elif not guest.keep(candidate):
            with _hosted(guest):
                await self.host.candidate(guest, candidate)

    def change_state(self, guest: Guest, state: PeerState) -> None:
        """Note whether a peer may be called, and tell the others."""
        if state is not guest.view.state:
            guest.set_state(state)
            self._tell_others(guest, StateChanged(guest.peer_id, state))

    async def leave(self, guest: Guest, *, lost: bool, reason: str = "") -> None:
        """Let a peer go: it said goodbye, or (`lost`) its connection ended. Once per guest."""
        guest.announced_leaving = not lost
        del self._guests[guest.peer_id]
        self._open_offers = {pair: at for pair, at in self._open_offers.items() if guest.peer_id not in pair}
        self._tell_others(guest, PeerLeft(guest.peer_id, lost, reason))
        try:
            with _hosted(guest):
                await self.host.left(guest)
        except SignallingError as error:
            _LOG.debug("%r left: %s", guest, error)

    def _route_offer(self, guest: Guest, other: Guest, sdp: str) -> None:
        pair, now = (guest.peer_id, other.peer_id), self._clock.now()
        if (since := self._open_offers.get(pair)) is not None and now < since + self._timeout_s:
            raise SignallingError(
                Code.NEGOTIATION_IN_PROGRESS, f"{other.peer_id!r} has not answered your last offer yet"
            )
        self._open_offers[pair] = now
        self._offers += 1
        other.tell(OfferReceived(guest.peer_id, f"offer-{self._offers}", sdp))

    def _other(self, peer_id: object) -> Guest:
        guest = self._guests.get(peer_id) if isinstance(peer_id, str) else None
        if guest is None or not guest.admitted:
            raise SignallingError(Code.PEER_NOT_FOUND, "there is no such peer")
        return guest

    def _tell_others(self, guest: Guest, event: Event) -> None:
        for other in self._guests.values():
            if other.admitted and other is not guest:
                other.tell(event)


def _too_late() -> SignallingError:
    return SignallingError(Code.CONNECTION_TIMEOUT, "the pipeline did not answer in time")


@contextmanager
def _hosted(connection: Link | Guest) -> Iterator[None]:
    """Turn whatever the host raises into SignallingError; its text stays here where it is a mistake."""
    try:
        yield
    except Refusal as refusal:
        raise from_refusal(refusal) from refusal
    except ConnectionCut as cut:
        connection.abort()
        raise SignallingError(Code.INTERNAL_ERROR, "connection reset") from cut
    except SignallingError:
        raise
    except TimeoutError as error:
        raise _too_late() from error
    except Exception as error:
        _LOG.exception("the host of a signalling server failed")
        raise SignallingError(Code.INTERNAL_ERROR, "the server failed") from error
