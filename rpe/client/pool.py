"""The endpoint pool: the selector's decisions joined to one transport client per endpoint.

An attempt is a `Lease`. It is taken before anything is sent and ended exactly once,
whatever ends the attempt; ending it is what tells breaker, balancer, statistics and
observers, all by the same words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from rpe.client.operation import Operation
from rpe.client.settings import ClientSettings
from rpe.client.statistics import EndpointStatistics
from rpe.errors import ConfigurationError, RpeError
from rpe.policy.breaker import Transition
from rpe.policy.member import Member
from rpe.policy.outcome import Outcome
from rpe.policy.pick import Pick
from rpe.policy.selection import Selector
from rpe.telemetry.record import AttemptRecord, AttemptStart, BreakerRecord, HealthRecord, Observer
from rpe.transport.ports import PipelineClient

__all__ = ["EndpointPool", "Lease"]


class Lease:
    """One attempt at one endpoint, from the pick to its one outcome."""

    __slots__ = ("_pool", "limit_s", "number", "operation", "pick", "started_s")

    def __init__(
        self, pool: EndpointPool, operation: Operation[Any], pick: Pick, started_s: float, limit_s: float
    ) -> None:
        self._pool = pool
        self.operation = operation
        self.pick = pick
        self.number = operation.attempts
        self.started_s = started_s
        self.limit_s = limit_s

    @property
    def ended(self) -> bool:
        """Whether the outcome has been written."""
        return self.pick.finished

    def succeed(self, now_s: float) -> None:
        """Write the outcome SUCCESS. Where nobody observes, only the selector has to be told."""
        pool = self._pool
        if pool.observers:
            pool.settle(self, Outcome.SUCCESS, now_s, self.record(Outcome.SUCCESS, now_s))
        else:
            pool.selector.finish(self.pick, Outcome.SUCCESS, now_s, latency_s=now_s - self.started_s)

    def vouch(self, now_s: float) -> None:
        """Say that the attempt goes on well: a breaker that leased it as a probe need not await its end."""
        self._pool.vouch(self.pick, now_s)

    def fail(
        self, outcome: Outcome, now_s: float, error: RpeError | None, pushback_s: float | None = None
    ) -> AttemptRecord:
        """Write any other outcome; `error` is None where the caller cancelled."""
        record = self.record(outcome, now_s, error)
        self._pool.settle(self, outcome, now_s, record, pushback_s)
        return record

    def record(self, outcome: Outcome, now_s: float, error: RpeError | None = None) -> AttemptRecord:
        """Return the record of this attempt as it ended."""
        return AttemptRecord(
            self.operation.identity or "",
            self.number,
            self.pick.member.key,
            self.operation.kind,
            self.started_s,
            now_s,
            self.limit_s,
            self.pick.probe,
            outcome,
            "ok" if outcome is Outcome.SUCCESS else error.code if error is not None else "cancelled",
            error,
        )


class EndpointPool:
    """Endpoints, their transport clients, and the decisions between them."""

    def __init__(
        self,
        endpoints: Sequence[str],
        settings: ClientSettings,
        make_client: Callable[[str], PipelineClient],
        *,
        rng: Random,
        observers: Sequence[Observer] = (),
    ) -> None:
        self.selector = Selector(
            balancer=settings.load_balance,
            breaker=settings.breaker,
            health=settings.health,
            panic_threshold=settings.panic_threshold,
            rng=rng,
        )
        self.observers = tuple(observers)
        self._make_client = make_client
        self.clients: dict[str, PipelineClient] = {}
        self._retired: list[PipelineClient] = []
        for endpoint in endpoints:
            self.add(endpoint)
        if not self.clients:
            raise ConfigurationError("a pool needs at least one endpoint")

    def add(self, endpoint: str) -> None:
        """Add an endpoint. Raises ConfigurationError where it is there already."""
        if endpoint in self.clients:
            raise ConfigurationError("the endpoint is in the pool twice", endpoint=endpoint)
        self.clients[endpoint] = self._make_client(endpoint)
        self.selector.add(endpoint)

    def remove(self, endpoint: str) -> None:
        """Take an endpoint out; attempts that run on it go on, and its client is closed with the pool."""
        client = self.clients.pop(endpoint, None)
        if client is None:
            raise ConfigurationError("the endpoint is not in the pool", endpoint=endpoint)
        self.selector.remove(endpoint)
        self._retired.append(client)

    def announce(self, lease: Lease) -> None:
        """Tell the observers that an attempt begins."""
        pick, operation = lease.pick, lease.operation
        if pick.transition is not None:
            self._tell_breaker(pick.member, pick.transition, lease.started_s)
        start = AttemptStart(
            operation.identity or "",
            lease.number,
            pick.member.key,
            operation.kind,
            lease.started_s,
            lease.limit_s,
            pick.probe,
        )
        for observer in self.observers:
            observer.on_attempt_start(start)

    def settle(
        self,
        lease: Lease,
        outcome: Outcome,
        now_s: float,
        record: AttemptRecord,
        pushback_s: float | None = None,
    ) -> None:
        """Let every part read how an attempt ended (called by its lease, once)."""
        transition = self.selector.finish(
            lease.pick, outcome, now_s, latency_s=now_s - lease.started_s, pushback_s=pushback_s
        )
        for observer in self.observers:
            observer.on_attempt(record)
        if transition is not None:
            self._tell_breaker(lease.pick.member, transition, now_s)

    def vouch(self, pick: Pick, now_s: float) -> None:
        """Take a probe that goes on for a good one (called by its lease)."""
        transition = self.selector.vouch(pick, now_s)
        if transition is not None and self.observers:
            self._tell_breaker(pick.member, transition, now_s)

    def report_health(self, member: Member, ok: bool, now_s: float, detail: str) -> None:
        """Take the answer of one active health check."""
        if self.selector.report_health(member, ok, now_s):
            for observer in self.observers:
                observer.on_health(HealthRecord(member.key, ok, now_s, detail))

    def client_of(self, member: Member) -> PipelineClient | None:
        """Return the transport client of a member, None where it has been removed."""
        return self.clients.get(member.key)

    def statistics(self) -> dict[str, EndpointStatistics]:
        """Return how each endpoint stands."""
        return {
            key: EndpointStatistics.of(member.statistics()) for key, member in self.selector.members.items()
        }

    async def close(self) -> None:
        """Close every transport client, also those of removed endpoints; every one is tried."""
        clients = [*self.clients.values(), *self._retired]
        self._retired.clear()
        errors = []
        for client in clients:
            try:
                await client.close()
            except Exception as error:
                errors.append(error)
        if errors:
            raise ExceptionGroup("closing the clients of a pool", errors)

    def _tell_breaker(self, member: Member, transition: Transition, now_s: float) -> None:
        record = BreakerRecord(
            member.key, str(transition.before), str(transition.after), str(transition.cause), now_s
        )
        for observer in self.observers:
            observer.on_breaker(record)
