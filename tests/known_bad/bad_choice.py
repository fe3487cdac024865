"""Clients that choose the wrong endpoint."""

from __future__ import annotations

from collections.abc import Sequence

from rpe.chaos.subject import SubjectContext
from rpe.errors import CircuitBreakerOpen
from tests.known_bad.base import BaseClient
from tests.known_bad.pool import Endpoint, choose

__all__ = [
    "EverythingEjected",
    "FirstEndpointOnly",
    "IgnoresHealthChecks",
    "PrefersTheIdle",
    "SkipsToTheNeighbour",
]


class FirstEndpointOnly(BaseClient):
    """It is given a list of endpoints and only ever uses the first.

    With two hosts configured and the first one down, the second was never tried: stompgem/stomp#150,
    ggrandes/jrinetd#2.
    """

    def pick(self, tried: Sequence[Endpoint]) -> Endpoint:
        return self.endpoints[0]


class SkipsToTheNeighbour(BaseClient):
    """Its round robin steps from a dead endpoint to the next one, which so does the work of two.

    Round robin that steps on to the next healthy slot gives whoever stands behind a dead server twice the
    load: apple/servicetalk#3021, ContentSquare/chproxy#82, mosn/mosn#1665.
    """

    def __init__(self, context: SubjectContext) -> None:
        super().__init__(context)
        self._slot = 0

    def pick(self, tried: Sequence[Endpoint]) -> Endpoint:
        chosen = super().pick(tried)
        if not chosen.breaker.closed():
            return chosen
        self._slot += 1
        now_s, count = self.now_s(), len(self.endpoints)
        around = (self.endpoints[(self._slot + step) % count] for step in range(count))
        return next((end for end in around if end.usable(now_s) and end not in tried), chosen)


class IgnoresHealthChecks(BaseClient):
    """It asks its servers for their health, and does nothing with the answers.

    One odd exception ended the loop of the checker, and its last verdict stood from then on:
    azkaban/azkaban#2528.
    """

    def checked(self, endpoint: Endpoint, well: bool) -> None:
        super().checked(endpoint, True)


class EverythingEjected(BaseClient):
    """It refuses all calls while every breaker is open, and waits out their full time.

    Without a panic mode a pool whose members have all been ejected refuses everything, long after they are
    well: istio/istio#20135, linkerd/linkerd2#11493, BerriAI/litellm#3646.
    """

    def pick(self, tried: Sequence[Endpoint]) -> Endpoint:
        chosen = choose(self.endpoints, tried, self.now_s())
        if chosen is None:
            raise CircuitBreakerOpen("every endpoint is ejected")
        return chosen


class PrefersTheIdle(BaseClient):
    """It prefers whoever has the fewest calls under way, and who refuses at once never has any.

    Balancers by load or by latency sent most of the traffic to the one broken server, for nothing is as
    fast as an error: ExpediaGroup/styx#94, Netflix/astyanax#17.
    """

    def pick(self, tried: Sequence[Endpoint]) -> Endpoint:
        chosen = super().pick(tried)
        if not chosen.breaker.closed():
            return chosen
        now_s = self.now_s()
        free = [endpoint for endpoint in self.endpoints if endpoint.usable(now_s) and endpoint not in tried]
        return min(free, key=lambda endpoint: (endpoint.in_flight, endpoint.turn), default=chosen)
