"""The endpoints of the hand-written client, and the choice among them."""

from __future__ import annotations

from collections.abc import Sequence

from rpe.errors import CircuitBreakerOpen
from tests.known_bad.breaker import Breaker
from tests.known_bad.wire import Wire

__all__ = ["UNHEALTHY_AFTER", "Endpoint", "choose", "guess", "least_recent"]

UNHEALTHY_AFTER = 2
"""Failed health checks in a row that take an endpoint out of use."""


class Endpoint:
    """One server as the client sees it."""

    def __init__(self, name: str, address: str, breaker: Breaker) -> None:
        self.name = name
        self.address = address
        self.wire = Wire(address)
        self.breaker = breaker
        self.in_flight = 0
        self.failed_checks = 0
        self.rest_until_s = 0.0
        self.turn = 0

    @property
    def healthy(self) -> bool:
        """False only once checks have failed."""
        return self.failed_checks < UNHEALTHY_AFTER

    def usable(self, now_s: float) -> bool:
        """Whether it may get an ordinary attempt."""
        return self.breaker.closed() and self.healthy and now_s >= self.rest_until_s


def choose(endpoints: Sequence[Endpoint], tried: Sequence[Endpoint], now_s: float) -> Endpoint | None:
    """Choose an endpoint in good order: a due probe for a first attempt, else whoever waited longest."""
    fresh = [endpoint for endpoint in endpoints if endpoint not in tried]
    due = [endpoint for endpoint in fresh if endpoint.healthy and endpoint.breaker.due(now_s)]
    if due and not tried:
        return due[0]
    for group in (fresh, endpoints):
        if usable := [endpoint for endpoint in group if endpoint.usable(now_s)]:
            return least_recent(usable)
    return due[0] if due else None


def guess(endpoints: Sequence[Endpoint], now_s: float) -> Endpoint:
    """Choose when none is in good order. Raises CircuitBreakerOpen where each is being probed already."""
    possible = [endpoint for endpoint in endpoints if endpoint.breaker.closed()]
    possible = possible or [endpoint for endpoint in endpoints if not endpoint.breaker.probing]
    if not possible:
        raise CircuitBreakerOpen("every endpoint is being probed")
    return least_recent(possible)


def least_recent(endpoints: Sequence[Endpoint]) -> Endpoint:
    """Round robin that stays fair whoever is missing: the one that has waited longest."""
    return min(endpoints, key=lambda endpoint: endpoint.turn)
