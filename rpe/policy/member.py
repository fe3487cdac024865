"""A pool member: all that the policies know of one endpoint, in one object.

Counts belong to the object, never to the key: an attempt at an endpoint that was removed,
or removed and added again, ends on the object it began on and disturbs nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from rpe.policy.breaker import Breaker, BreakerState
from rpe.policy.groups import GONE
from rpe.policy.health import HealthState, HealthVerdict
from rpe.policy.outcome import Outcome
from rpe.policy.timers import NEVER

__all__ = ["FAILURE_PENALTY", "PENALTY_DECAY_S", "Member", "MemberStatistics"]

FAILURE_PENALTY: Final = 10.0
"""A recent failure weighs as much as this many requests in flight (as in Palantir's Dialogue)."""
PENALTY_DECAY_S: Final = 2.0
"""The time constant, in seconds, with which failures are forgotten."""
_FORGOTTEN = 0.5  # a penalty below this never decides against a request in flight: drop it

_LATENCY_WEIGHT = 0.1
_SUCCESS, _FAILURE, _NEUTRAL = Outcome.SUCCESS, Outcome.FAILURE, Outcome.NEUTRAL


@dataclass(frozen=True, slots=True)
class MemberStatistics:
    """A member as it stands.

    `attempts` counts those begun, `probes` the probes among them; `latency_s` is the
    smoothed duration of the good ones, in seconds (0.0 before the first).
    """

    key: str
    state: BreakerState
    verdict: HealthVerdict
    in_flight: int
    attempts: int
    probes: int
    successes: int
    failures: int
    throttles: int
    neutrals: int
    latency_s: float


class Member:
    """One endpoint of a pool. Made by `Selector.add`, changed by its selector only.

    `key` is the endpoint's address, `in_flight` the attempts running, `breaker` and
    `health` what is believed of it.
    """

    __slots__ = (
        "admission", "attempts", "breaker", "cool_until_s", "failures", "force_at_s", "group", "health",
        "in_flight", "index", "key", "latency_s", "neutrals", "penalty", "penalty_at_s", "probes",
        "throttles", "throttles_in_a_row", "timer_s", "troubled",
    )  # fmt: skip

    def __init__(self, key: str, breaker: Breaker, health: HealthState) -> None:
        self.key = key
        self.breaker = breaker
        self.admission = breaker.shared  # kept at hand: None while the breaker is not closed
        self.health = health
        self.in_flight = 0
        self.attempts = 0
        self.probes = 0
        self.failures = self.throttles = self.neutrals = 0  # all other attempts that ended were good
        self.latency_s = 0.0
        self.penalty = 0.0
        self.penalty_at_s = 0.0
        self.throttles_in_a_row = 0
        self.cool_until_s = -NEVER
        self.force_at_s = -NEVER
        self.troubled = False  # `has_trouble()` when an attempt last ended
        # The place in the selector's lists.
        self.group = self.index = GONE
        self.timer_s = NEVER

    @property
    def removed(self) -> bool:
        """Was this member taken out of its pool?"""
        return self.group == GONE

    def load(self, now: float) -> float:
        """Return how busy the member counts as: requests in flight, and what recent failures weigh.

        Without that weight an endpoint that fails at once would always be the least busy.
        """
        return self.in_flight + self._decay(now) if self.penalty else self.in_flight

    def count(self, outcome: Outcome, now: float, latency_s: float) -> None:
        """Take the outcome of an attempt into the member's own counts."""
        if outcome is _SUCCESS:
            self.throttles_in_a_row = 0
            self.penalty = self._decay(now) / 2.0
            self.smooth_latency(latency_s)
        elif outcome is _NEUTRAL:
            self.neutrals += 1
        else:
            self.penalty = self._decay(now) + FAILURE_PENALTY
            if outcome is _FAILURE:
                self.failures += 1
            else:
                self.throttles += 1

    def smooth_latency(self, latency_s: float) -> None:
        """Take the duration of a good attempt into the moving average."""
        if self.latency_s:
            self.latency_s += _LATENCY_WEIGHT * (latency_s - self.latency_s)
        else:
            self.latency_s = latency_s

    def forgive(self) -> None:
        """Forget past failures: the endpoint has shown that it works again."""
        self.penalty = 0.0
        self.throttles_in_a_row = 0

    def has_trouble(self) -> bool:
        """Is anything remembered that a success would change?"""
        breaker = self.breaker
        return (
            breaker.state is not BreakerState.CLOSED
            or breaker.failures > 0
            or self.penalty > 0.0
            or self.throttles_in_a_row > 0
        )

    def statistics(self) -> MemberStatistics:
        """Return the member as it stands."""
        others = self.in_flight + self.failures + self.throttles + self.neutrals
        return MemberStatistics(
            self.key,
            self.breaker.state,
            self.health.verdict,
            self.in_flight,
            self.attempts,
            self.probes,
            self.attempts - others,
            self.failures,
            self.throttles,
            self.neutrals,
            self.latency_s,
        )

    def _decay(self, now: float) -> float:
        """Let the penalty fade until `now`, and return it."""
        elapsed_s = now - self.penalty_at_s
        if elapsed_s > 0.0:
            self.penalty_at_s = now
            self.penalty *= math.exp(-elapsed_s / PENALTY_DECAY_S)
            if self.penalty < _FORGOTTEN:
                self.penalty = 0.0
        return self.penalty

    def __repr__(self) -> str:
        return f"<Member {self.key} {self.breaker.state} {self.health.verdict}, {self.in_flight} in flight>"
