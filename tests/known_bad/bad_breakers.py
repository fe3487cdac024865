"""Clients whose circuit breakers do not do their work."""

from __future__ import annotations

from rpe.chaos.subject import BreakerRequest, SubjectOperation
from rpe.errors import RemoteTimeout
from rpe.policy.outcome import Outcome
from tests.known_bad.base import BaseClient
from tests.known_bad.breaker import Breaker, OnChange
from tests.known_bad.pool import Endpoint
from tests.known_bad.stream import Stream

__all__ = [
    "BreakerNeverOpens",
    "CutSessionsCountAsSuccess",
    "HealthChecksCloseBreakers",
    "NeverTriedAgain",
    "OpensForCallerErrors",
    "ProbeStampede",
    "StuckHalfOpen",
    "TimeoutsNeverCount",
]


class BreakerNeverOpens(BaseClient):
    """Its breaker counts nothing, so a server that fails every call keeps its full share of them.

    Whatever is counted by the wrong rule never adds up, and a failing provider is never shed:
    infinidysk/infinidysk#682.
    """

    def make_breaker(self, asked: BreakerRequest, on_change: OnChange) -> Breaker:
        return Breaker(asked.model_copy(update={"failure_threshold": 10**9}), on_change)


class StuckHalfOpen(BaseClient):
    """A probe that times out never gives its place back, so no further probe goes out: half-open for ever.

    Reported of one breaker after another; one service refused nearly fifty thousand calls in six days:
    diegosouzapw/OmniRoute#13836, resilience4j/resilience4j#935, App-vNext/Polly#1979.
    """

    def settle(
        self, endpoint: Endpoint, op: str, number: int, probe: bool, error: BaseException | None
    ) -> None:
        super().settle(endpoint, op, number, probe, error)
        if probe and isinstance(error, RemoteTimeout):
            endpoint.breaker.probing = True


class NeverTriedAgain(BaseClient):
    """An endpoint that was ejected is hidden from the choice, and only a call to it would bring it back.

    The step from open to half-open runs only inside a call that is never made: zentinelproxy/zentinel#261.
    """

    def make_breaker(self, asked: BreakerRequest, on_change: OnChange) -> Breaker:
        return _NeverDue(asked, on_change)


class _NeverDue(Breaker):
    def due(self, now_s: float) -> bool:
        return False


class TimeoutsNeverCount(BaseClient):
    """Its timeouts stand outside of the breaker, which sees a cancelled call and shrugs.

    A server that hangs is the worst kind, and the one that such breakers never notice:
    resilience4j/resilience4j#1624, envoyproxy/envoy#41985, MervinPraison/PraisonAI#4969.
    """

    def outcome(self, error: BaseException | None) -> Outcome:
        return Outcome.NEUTRAL if isinstance(error, RemoteTimeout) else super().outcome(error)


class OpensForCallerErrors(BaseClient):
    """Whatever is not a success is a failure to it: a wrong token opens the breaker of every server in
    turn.

    One caller with bad requests took healthy servers away from all the others: sgl-project/sglang#25811,
    vllm-project/router#60, lagom/lagom#964.
    """

    def outcome(self, error: BaseException | None) -> Outcome:
        told = super().outcome(error)
        return Outcome.FAILURE if told is Outcome.NEUTRAL and error is not None else told


class ProbeStampede(BaseClient):
    """Half-open checks the state and not the number of callers: all of them are probes at once.

    The state is checked and the number of callers is not, so a server that has just come up is hit by all
    at once: nodeshift/opossum#119, App-vNext/Polly#216, Skyscanner/pyfailsafe#31.
    """

    def make_breaker(self, asked: BreakerRequest, on_change: OnChange) -> Breaker:
        return _OpenDoor(asked, on_change)


class _OpenDoor(Breaker):
    def begin(self, now_s: float) -> bool:
        probe = super().begin(now_s)
        self.probing = False
        return probe


class HealthChecksCloseBreakers(BaseClient):
    """A passed health check closes the breaker of a server whose calls all fail.

    A server that answers checks and fails at its work came back into rotation again and again:
    envoyproxy/envoy#28303.
    """

    def checked(self, endpoint: Endpoint, well: bool) -> None:
        super().checked(endpoint, well)
        if well:
            endpoint.breaker.close("a health check passed")


class CutSessionsCountAsSuccess(BaseClient):
    """It books a session as a success once it is open, whatever becomes of it later.

    Streams that broke after a few items were booked as successes, so their server was never ejected:
    ferro-labs/ai-gateway#136, jaseci-labs/jac#8430.
    """

    def stream(self, endpoint: Endpoint, operation: SubjectOperation, number: int) -> Stream:
        return _BookedEarly(self, endpoint, operation, number)


class _BookedEarly(Stream):
    def end(self, error: BaseException | None) -> None:
        super().end(None)
