"""The sign of life of a peer: what is due at a moment, and what the silence so far means. No I/O."""

from __future__ import annotations

import enum
from dataclasses import dataclass

__all__ = ["Heartbeat", "PeerState", "Verdict"]

_PROBES = 5
"""How often a peer whose signalling is lost is asked within `probe_s`; pings may be lost themselves."""


class PeerState(enum.StrEnum):
    """What is thought of a peer: DISCONNECTED may come back, DEAD is final."""

    LIVE = "live"
    DISCONNECTED = "disconnected"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do now: send a ping or not, and when to ask again, in seconds from now."""

    state: PeerState
    ping: bool = False
    again_s: float = 0.0
    reason: str = ""


class Heartbeat:
    """Tells a silent peer from a dead one.

    A ping is due once nothing was heard for `interval_s`, and again after every further
    interval of silence. After two intervals the peer counts as disconnected, after
    `grace_s` as dead. Where its signalling connection is lost, which is what a killed server
    looks like, it is asked at once and several times, and is dead if it does not answer
    within `probe_s`.

    All times are seconds of one monotonic clock.
    """

    def __init__(self, interval_s: float, grace_s: float, now_s: float, *, probe_s: float = 0.5) -> None:
        self.pings = 0
        """How many pings were due so far; the last one has this number."""
        self._interval_s = interval_s
        self._grace_s = grace_s
        self._probe_s = min(probe_s, grace_s)
        self._heard_s = now_s
        self._asked_s = now_s
        self._probed_since_s: float | None = None
        self._pings_before_probe = 0

    def heard(self, now_s: float) -> None:
        """Take note of a sign of life of any kind."""
        self._heard_s = now_s

    def answered(self, ping: int, now_s: float) -> None:
        """Take note of the answer to one of our pings."""
        self._heard_s = now_s
        if ping > self._pings_before_probe:
            self._probed_since_s = None

    def signalling_lost(self, now_s: float) -> None:
        """Take note that the signalling connection has ended; `check` is due at once."""
        self._probed_since_s = now_s
        self._pings_before_probe = self.pings
        self._asked_s = now_s - self._interval_s

    def check(self, now_s: float) -> Verdict:
        """Say what is due now. A ping that is due counts as sent."""
        silent_s = now_s - self._heard_s
        if silent_s >= self._grace_s:
            return Verdict(PeerState.DEAD, reason=f"nothing was heard of it for {silent_s:.1f} s")
        since_s = self._probed_since_s
        if since_s is not None and now_s - since_s >= self._probe_s:
            # What was under way when it died may still come in, but not for so long.
            if self._heard_s <= since_s + self._probe_s / 2:
                return Verdict(PeerState.DEAD, reason="its signalling ended, and it does not answer")
            since_s = self._probed_since_s = None
        every_s = self._interval_s if since_s is None else self._probe_s / _PROBES
        quiet = since_s is not None or silent_s >= self._interval_s
        ping = quiet and now_s - self._asked_s >= every_s
        if ping:
            self._asked_s = now_s
            self.pings += 1
        next_s = self._heard_s + self._grace_s
        if since_s is None:
            next_s = min(next_s, max(self._heard_s, self._asked_s) + every_s)
        else:
            next_s = min(next_s, self._asked_s + every_s, since_s + self._probe_s)
        state = PeerState.DISCONNECTED if silent_s >= 2 * self._interval_s else PeerState.LIVE
        return Verdict(state, ping, max(next_s - now_s, 0.001))
