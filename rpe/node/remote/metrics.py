"""What a remote node counts and times: its executions and sessions, and the attempts behind them."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from rpe.errors import RpeError
from rpe.node.latencies import KEPT_LATENCIES, nearest_rank
from rpe.policy.outcome import Outcome
from rpe.telemetry.record import AttemptRecord, BreakerRecord, Observer

__all__ = ["EndpointMetrics", "RemoteMeter", "RemoteMetrics"]


@dataclass(frozen=True, slots=True)
class EndpointMetrics:
    """The attempts at one endpoint: how many, how they ended, and the state of its breaker.

    errors: the attempts that failed, by the kind of their error.
    busy_s: the seconds that attempts took, all together.
    """

    attempts: int = 0
    successes: int = 0
    errors: Mapping[str, int] = field(default_factory=dict)
    busy_s: float = 0.0
    breaker: str = "closed"


@dataclass(frozen=True, slots=True)
class RemoteMetrics:
    """One remote node's figures at one moment, over all runs of its runner.

    calls: the executions that have ended; of a node that streams, the sessions.
    successes: those that gave an answer, from whichever step.
    partial: the answers that their server called a partial success.
    errors: the calls that failed, by the kind of their error.
    codes: the same, by the code of the error.
    answered: the answers by the step that gave them; `primary` is the node's own pool.
    attempts: attempts at endpoints; those of calls that run are counted as they end.
    endpoints: the same, by endpoint.
    latencies_s: the seconds of the last calls that gave an answer, the oldest first; of a node that
        streams, from each chunk to its first result.
    """

    calls: int = 0
    successes: int = 0
    partial: int = 0
    errors: Mapping[str, int] = field(default_factory=dict)
    codes: Mapping[str, int] = field(default_factory=dict)
    answered: Mapping[str, int] = field(default_factory=dict)
    attempts: int = 0
    endpoints: Mapping[str, EndpointMetrics] = field(default_factory=dict)
    latencies_s: tuple[float, ...] = field(default=(), repr=False)

    @property
    def success_rate(self) -> float | None:
        """The share of calls that gave an answer; None before the first. Cancelled ones are not counted."""
        return self.successes / self.calls if self.calls else None

    def latency_s(self, percent: float) -> float | None:
        """The percentile of the latencies by nearest rank, in seconds; None where there are none."""
        return nearest_rank(self.latencies_s, percent)


class _Endpoint:
    __slots__ = ("attempts", "breaker", "busy_s", "errors", "successes")

    def __init__(self) -> None:
        self.attempts = self.successes = 0
        self.busy_s = 0.0
        self.errors: Counter[str] = Counter()
        self.breaker = "closed"


class RemoteMeter(Observer):
    """Collects the figures of one remote node; an observer of its clients."""

    def __init__(self) -> None:
        self._calls = self._successes = self._partial = 0
        self._errors: Counter[str] = Counter()
        self._codes: Counter[str] = Counter()
        self._answered: Counter[str] = Counter()
        self._endpoints: dict[str, _Endpoint] = {}
        self._latencies_s: deque[float] = deque(maxlen=KEPT_LATENCIES)

    def opened(self) -> None:
        """The node was opened: its clients are new, and so are their breakers."""
        for endpoint in self._endpoints.values():
            endpoint.breaker = "closed"

    def answered(self, step: str, *, partial: bool = False) -> None:
        """A call got its answer from that step."""
        self._calls += 1
        self._successes += 1
        self._partial += partial
        self._answered[step] += 1

    def failed(self, error: RpeError) -> None:
        """A call has failed for good."""
        self._calls += 1
        self._errors[error.kind.value] += 1
        self._codes[error.code] += 1

    def took(self, latency_s: float) -> None:
        """An answer took so long."""
        self._latencies_s.append(latency_s)

    def on_attempt(self, record: AttemptRecord) -> None:
        """Count an attempt by its endpoint."""
        endpoint = self._endpoint(record.endpoint)
        endpoint.attempts += 1
        endpoint.busy_s += record.ended_s - record.started_s
        if record.outcome is Outcome.SUCCESS:
            endpoint.successes += 1
        elif record.error is not None:
            endpoint.errors[record.error.kind.value] += 1

    def on_breaker(self, record: BreakerRecord) -> None:
        """Keep how the breaker of an endpoint stands."""
        self._endpoint(record.endpoint).breaker = record.after

    def snapshot(self) -> RemoteMetrics:
        """Return the figures as they are now."""
        return RemoteMetrics(
            calls=self._calls,
            successes=self._successes,
            partial=self._partial,
            errors=dict(self._errors),
            codes=dict(self._codes),
            answered=dict(self._answered),
            attempts=sum(endpoint.attempts for endpoint in self._endpoints.values()),
            endpoints={
                name: EndpointMetrics(one.attempts, one.successes, dict(one.errors), one.busy_s, one.breaker)
                for name, one in self._endpoints.items()
            },
            latencies_s=tuple(self._latencies_s),
        )

    def _endpoint(self, name: str) -> _Endpoint:
        return self._endpoints.setdefault(name, _Endpoint())
