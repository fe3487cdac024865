"""What a client counts. Counts of attempts are the selector's own: nothing is counted twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from rpe.policy.health import HealthVerdict
from rpe.policy.member import MemberStatistics
from rpe.policy.outcome import OperationOutcome

__all__ = ["ClientStatistics", "EndpointStatistics", "Tally"]


@dataclass(frozen=True, slots=True)
class EndpointStatistics:
    """One endpoint, as its client sees it now. `latency_s` is the smoothed duration of its successes."""

    endpoint: str
    breaker: str
    healthy: bool
    in_flight: int
    attempts: int
    probes: int
    successes: int
    failures: int
    throttles: int
    neutrals: int
    latency_s: float

    @classmethod
    def of(cls, member: MemberStatistics) -> EndpointStatistics:
        """Translate what the selector knows of a member."""
        return cls(
            endpoint=member.key,
            breaker=str(member.state),
            healthy=member.verdict is not HealthVerdict.UNHEALTHY,
            in_flight=member.in_flight,
            attempts=member.attempts,
            probes=member.probes,
            successes=member.successes,
            failures=member.failures,
            throttles=member.throttles,
            neutrals=member.neutrals,
            latency_s=member.latency_s,
        )

    @property
    def success_ratio(self) -> float | None:
        """Successes among the attempts that say something of the endpoint; None before the first."""
        judged = self.successes + self.failures + self.throttles
        return self.successes / judged if judged else None


@dataclass(frozen=True, slots=True)
class ClientStatistics:
    """A client's counts since it was made, and its endpoints as they are now.

    `retries` counts every attempt after an operation's first one, `moves` the sessions that
    were moved to another endpoint, each time that they were.
    """

    operations: Mapping[OperationOutcome, int]
    errors: Mapping[str, int]
    retries: int
    in_flight: int
    endpoints: Mapping[str, EndpointStatistics]
    moves: int = 0


class Tally:
    """The running counts of operations."""

    __slots__ = ("errors", "moves", "ok", "outcomes", "retries")

    def __init__(self) -> None:
        self.ok = 0
        self.outcomes: Counter[OperationOutcome] = Counter()
        self.errors: Counter[str] = Counter()
        self.retries = 0
        self.moves = 0

    def add_error(self, outcome: OperationOutcome, code: str) -> None:
        """Count an operation that did not succeed."""
        self.outcomes[outcome] += 1
        self.errors[code] += 1

    def operations(self) -> dict[OperationOutcome, int]:
        """Return the operations by their outcome."""
        return {outcome: self.outcomes[outcome] for outcome in OperationOutcome} | {
            OperationOutcome.OK: self.ok
        }
