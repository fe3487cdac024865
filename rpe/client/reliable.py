"""The reliable client: pool, policies and one deadline around any transport."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random
from types import TracebackType
from typing import Any, Self, TypeVar

from rpe.client.classify import operation_outcome, outcome_of, pushback_of
from rpe.client.operation import Execution, Opening, Operation
from rpe.client.pool import EndpointPool, Lease
from rpe.client.prober import Prober
from rpe.client.session import ReliableSession
from rpe.client.settings import ClientSettings
from rpe.client.statistics import ClientStatistics, Tally
from rpe.clock import SYSTEM_CLOCK, Clock
from rpe.data import Payload, RuntimeData
from rpe.errors import RpeError, SessionClosed
from rpe.manifest.model import Manifest
from rpe.policy.budget import RetryBudget
from rpe.policy.deadline import attempt_timeout_s
from rpe.policy.outcome import OperationOutcome
from rpe.policy.pick import Refusal
from rpe.telemetry.record import Observer, OperationRecord
from rpe.transport.ports import NO_METADATA, ExecutionResult, Metadata
from rpe.transport.registry import get_transport

__all__ = ["ReliableClient", "connect"]

T = TypeVar("T")


def connect(
    endpoints: Sequence[str],
    *,
    transport: str = "grpc",
    settings: ClientSettings | None = None,
    observers: Sequence[Observer] = (),
    clock: Clock = SYSTEM_CLOCK,
    seed: int | None = None,
    **transport_config: Any,
) -> ReliableClient:
    """Return a client of a pool of endpoints; use it as `async with rpe.connect([...]) as client`.

    Arguments:
        endpoints: addresses of the pool, in the form that the transport takes (`host:port`).
        transport: the name of a registered transport.
        settings: the policies and the deadlines.
        observers: sinks that are told of attempts, operations, breakers and health.
        clock, seed: time and chance, for tests; None draws a seed from the machine.
        transport_config: settings of the transport, such as `token` or `tls`.

    Raises UnknownTransport and ConfigurationError; nothing is sent before the first call.
    """
    plugin = get_transport(transport)
    plugin.validate_config(transport_config)
    chosen = settings or ClientSettings()
    rng = Random(seed)
    pool = EndpointPool(
        endpoints,
        chosen,
        lambda endpoint: plugin.create_client(endpoint, transport_config),
        rng=rng,
        observers=observers,
    )
    return ReliableClient(pool, chosen, clock=clock, rng=rng)


class ReliableClient:
    """Runs pipelines on a pool of endpoints. Make one with `rpe.connect`.

    Safe for any number of concurrent calls on one event loop. Closing it, or leaving its
    context, stops the health checks and closes every connection.
    """

    def __init__(self, pool: EndpointPool, settings: ClientSettings, *, clock: Clock, rng: Random) -> None:
        self.settings = settings
        self._pool = pool
        self._clock = clock
        self._rng = rng
        self._budget = RetryBudget(settings.budget)
        self._tally = Tally()
        self._prober = Prober(pool, settings.health, clock, rng)
        self._probing: asyncio.Task[None] | None = None
        self._closed = False

    async def execute(
        self,
        manifest: Manifest,
        data: RuntimeData | Mapping[str, RuntimeData],
        *,
        timeout_s: float | None = None,
        repeatable: bool | None = None,
        max_retries: int | None = None,
        operation_id: str | None = None,
        metadata: Metadata = NO_METADATA,
    ) -> ExecutionResult:
        """Run a pipeline once, on whichever endpoint serves it, and return its result.

        Arguments:
            manifest: the pipeline.
            data: the input of the pipeline's entry node, or inputs by node id.
            timeout_s: the deadline of it all, from now; the settings' own where it is None.
            repeatable: whether doing it twice is harmless; the settings' own where it is None.
            max_retries: attempts after the first one, at most; the settings' own where it is None.
            operation_id: a name for this operation, in records, and sent with each attempt so
                that servers can tell which belong together.
            metadata: further pairs that travel with each attempt.

        Raises an error of `rpe.errors` that lists the attempts made. Cancelling it cancels
        the running attempt; the endpoint is not blamed.
        """
        settings = self.settings
        operation = Execution(
            manifest,
            operation_id,
            metadata,
            self._clock.now(),
            settings.timeout_s if timeout_s is None else timeout_s,
            settings.repeatable if repeatable is None else repeatable,
            settings.retry if max_retries is None else replace(settings.retry, max_retries=max_retries),
        )
        operation.inputs = {manifest.entry: data} if isinstance(data, Payload) else data
        lease, result = await self._attempt(operation, settings.attempt_timeout_s)
        now_s = self._clock.now()
        lease.succeed(now_s)
        self._succeeded(operation, now_s, lease)
        return result

    async def open_stream(
        self,
        manifest: Manifest,
        *,
        timeout_s: float | None = None,
        operation_id: str | None = None,
        metadata: Metadata = NO_METADATA,
    ) -> ReliableSession:
        """Open a session on whichever endpoint takes it; use it as an async context manager.

        Opening is retried elsewhere, since nothing has been sent yet. An open session is
        bound to its endpoint: when that fails, StreamBroken tells the last chunk answered.
        `timeout_s` is the deadline of the whole session.
        """
        settings = self.settings
        operation = Opening(
            manifest,
            operation_id,
            metadata,
            self._clock.now(),
            settings.stream_timeout_s if timeout_s is None else timeout_s,
            repeatable=True,
            retry=settings.retry,
        )
        lease, session = await self._attempt(operation, settings.open_timeout_s)
        lease.vouch(self._clock.now())

        def on_end(error: BaseException | None) -> None:
            now_s = self._clock.now()
            if error is None:
                self._succeeded(operation, now_s, lease)
            else:
                self._failed(operation, now_s, error, lease)

        return ReliableSession(session, lease, manifest.entry, self._clock, on_end)

    def statistics(self) -> ClientStatistics:
        """Return what has been counted, and how each endpoint stands now."""
        endpoints = self._pool.statistics()
        return ClientStatistics(
            operations=self._tally.operations(),
            errors=dict(self._tally.errors),
            retries=self._tally.retries,
            in_flight=sum(endpoint.in_flight for endpoint in endpoints.values()),
            endpoints=endpoints,
        )

    def add_endpoint(self, endpoint: str) -> None:
        """Add an endpoint to the pool; it is used from the next pick on."""
        self._pool.add(endpoint)

    def remove_endpoint(self, endpoint: str) -> None:
        """Take an endpoint out of the pool; what runs on it goes on."""
        self._pool.remove(endpoint)

    async def close(self) -> None:
        """Stop health checks and close connections. Closing twice is harmless."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._probing is not None:
                self._probing.cancel()
                await asyncio.gather(self._probing, return_exceptions=True)
        finally:
            await self._pool.close()

    async def __aenter__(self) -> Self:
        if self.settings.health.enabled:
            self._probing = asyncio.create_task(self._prober.run(), name="rpe health checks")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"ReliableClient({', '.join(self._pool.selector.members)})"

    async def _attempt(self, operation: Operation[T], bound_s: float | None) -> tuple[Lease, T]:
        """Try until an attempt succeeds, and return it, still running, with what it gave.

        Whatever else ends the operation is raised, after it was recorded; every attempt
        before has then ended with its outcome.
        """
        if self._closed:
            raise SessionClosed("the client is closed")
        max_retries = operation.retry.max_retries
        pool = self._pool
        selector = pool.selector
        now_s = operation.started_s
        self._budget.deposit(now_s)
        try:
            while True:
                limit_s = attempt_timeout_s(
                    operation.deadline_s - now_s,
                    per_attempt_s=bound_s,
                    retries_left=max_retries - operation.attempts,
                    splittable=operation.repeatable,
                )
                # The last attempt, and one that cannot be made again, is not risked on a probe.
                careful = operation.attempts >= max_retries or not operation.repeatable
                pick = selector.pick(now_s, operation.tried, no_probe=careful, lease_s=limit_s)
                if isinstance(pick, Refusal):
                    raise operation.refused(pick, now_s)
                operation.attempts += 1
                lease = Lease(pool, operation, pick, now_s, limit_s)
                try:
                    if pool.observers:
                        pool.announce(lease)
                    return lease, await operation.send(pool.clients[pick.member.key], now_s, limit_s)
                except RpeError as error:
                    now_s = await self._after(operation, lease, error)
                except BaseException as error:
                    lease.fail(outcome_of(error), self._clock.now(), None)
                    raise
        except BaseException as error:
            self._failed(operation, self._clock.now(), error, None)
            raise

    async def _after(self, operation: Operation[Any], lease: Lease, error: RpeError) -> float:
        """Wait before the next attempt and return the time; raise the final error where there is none."""
        now_s = self._clock.now()
        pushback_s = pushback_of(error)
        record = lease.fail(outcome_of(error), now_s, error, pushback_s)
        member = lease.pick.member
        elsewhere = self._pool.selector.untried((*operation.tried, member), now_s)
        decision = operation.decide(record, member, self._rng, elsewhere=elsewhere, pushback_s=pushback_s)
        if not decision.retry:
            raise operation.failed() from error
        if not self._budget.try_withdraw(now_s):
            raise operation.failed(budget_empty=True) from error
        self._tally.retries += 1
        if decision.delay_s > 0:
            await self._clock.sleep(decision.delay_s)
        return self._clock.now()

    def _succeeded(self, operation: Operation[Any], now_s: float, lease: Lease) -> None:
        self._tally.ok += 1
        if self._pool.observers:
            self._tell(operation, now_s, OperationOutcome.OK, "ok", None, lease)

    def _failed(
        self, operation: Operation[Any], now_s: float, error: BaseException, lease: Lease | None
    ) -> None:
        outcome = operation_outcome(error)
        known = error if isinstance(error, RpeError) else None
        code = "cancelled" if known is None else known.code
        self._tally.add_error(outcome, code)
        if self._pool.observers:
            self._tell(operation, now_s, outcome, code, known, lease)

    def _tell(
        self,
        operation: Operation[Any],
        now_s: float,
        outcome: OperationOutcome,
        code: str,
        error: RpeError | None,
        lease: Lease | None,
    ) -> None:
        record = OperationRecord(
            operation.identity or "",
            operation.kind,
            operation.started_s,
            now_s,
            outcome,
            code,
            operation.attempts,
            None if lease is None else lease.pick.member.key,
            error,
        )
        for observer in self._pool.observers:
            observer.on_operation(record)
