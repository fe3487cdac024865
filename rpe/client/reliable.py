"""The reliable client: pool, policies and one deadline around any transport."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random
from types import TracebackType
from typing import Any, Self

from rpe.client.attempts import Attempts
from rpe.client.legs import Journey, Leg, PoolLegs
from rpe.client.moving import MovingSession
from rpe.client.moving_core import Mover
from rpe.client.operation import Execution, Opening
from rpe.client.pool import EndpointPool
from rpe.client.prober import Prober
from rpe.client.session import ReliableSession, StreamSession
from rpe.client.settings import ClientSettings
from rpe.client.statistics import ClientStatistics
from rpe.clock import SYSTEM_CLOCK, Clock
from rpe.data import Payload, RuntimeData
from rpe.manifest.model import Manifest
from rpe.policy.budget import RetryBudget
from rpe.telemetry.record import Observer
from rpe.transport.ports import NO_METADATA, ExecutionResult, Metadata
from rpe.transport.registry import get_transport

__all__ = ["ReliableClient", "connect"]


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
        self._attempts = Attempts(pool, RetryBudget(settings.budget), clock, rng)
        self._moving: set[asyncio.Task[None]] = set()
        self._prober = Prober(pool, settings.health, clock, rng)
        self._probing: asyncio.Task[None] | None = None

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
        attempts = self._attempts
        attempts.begin(operation)
        try:
            lease, result = await attempts.run(operation, settings.attempt_timeout_s, operation.started_s)
        except BaseException as error:
            attempts.failed(operation, self._clock.now(), error, None)
            raise
        now_s = self._clock.now()
        lease.succeed(now_s)
        attempts.succeeded(operation, now_s, lease)
        return result

    async def open_stream(
        self,
        manifest: Manifest,
        *,
        timeout_s: float | None = None,
        repeatable: bool | None = None,
        operation_id: str | None = None,
        metadata: Metadata = NO_METADATA,
    ) -> StreamSession:
        """Open a session on whichever endpoint takes it; use it as an async context manager.

        Opening is retried elsewhere, since nothing has been sent yet. What follows when the
        endpoint fails later depends on `repeatable`.

        Arguments:
            manifest: the pipeline.
            timeout_s: the deadline of the whole session, from now; the settings' own where it is None.
            repeatable: whether the results of a chunk depend on that chunk alone (None: as the
                settings say). The session is then a MovingSession: when its endpoint fails, what
                was not answered is sent again to another one. Otherwise it is a ReliableSession,
                bound to its endpoint: when that fails, StreamBroken tells the last chunk answered.
            operation_id, metadata: as for `execute`.

        Raises an error of `rpe.errors` that lists the attempts made.
        """
        settings = self.settings
        arguments = (
            manifest,
            operation_id,
            metadata,
            self._clock.now(),
            settings.stream_timeout_s if timeout_s is None else timeout_s,
        )
        if settings.repeatable if repeatable is None else repeatable:
            return await self._open_moving(Journey(*arguments, settings.retry))
        return await self._open_bound(Opening(*arguments, repeatable=True, retry=settings.retry))

    async def open_legs(self, journey: Journey) -> tuple[PoolLegs, Leg]:
        """Open the first leg of a session whose owner moves it: return where the next ones come from, and it.

        The owner tells the legs how the session ends. Raises what `open_stream` does.
        """
        attempts = self._attempts
        attempts.begin(journey)
        legs = PoolLegs(attempts, journey, self.settings.open_timeout_s)
        try:
            return legs, await legs.open()
        except BaseException as error:
            attempts.failed(journey, self._clock.now(), error, None)
            raise

    def statistics(self) -> ClientStatistics:
        """Return what has been counted, and how each endpoint stands now."""
        endpoints, tally = self._pool.statistics(), self._attempts.tally
        return ClientStatistics(
            operations=tally.operations(),
            errors=dict(tally.errors),
            retries=tally.retries,
            in_flight=sum(endpoint.in_flight for endpoint in endpoints.values()),
            endpoints=endpoints,
            moves=tally.moves,
        )

    @property
    def pool_size(self) -> int:
        """How many endpoints the pool has now."""
        return len(self._pool.clients)

    def add_endpoint(self, endpoint: str) -> None:
        """Add an endpoint to the pool; it is used from the next pick on."""
        self._pool.add(endpoint)

    def remove_endpoint(self, endpoint: str) -> None:
        """Take an endpoint out of the pool; what runs on it goes on."""
        self._pool.remove(endpoint)

    async def close(self) -> None:
        """Stop health checks, end sessions that move, close connections. Closing twice is harmless."""
        if self._attempts.closed:
            return
        self._attempts.closed = True
        tasks = [*self._moving] if self._probing is None else [self._probing, *self._moving]
        try:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
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

    async def _open_bound(self, operation: Opening) -> ReliableSession:
        attempts, clock = self._attempts, self._clock
        attempts.begin(operation)
        try:
            lease, session = await attempts.run(operation, self.settings.open_timeout_s, operation.started_s)
        except BaseException as error:
            attempts.failed(operation, clock.now(), error, None)
            raise
        lease.vouch(clock.now())

        def on_end(error: BaseException | None) -> None:
            now_s = clock.now()
            if error is None:
                attempts.succeeded(operation, now_s, lease)
            else:
                attempts.failed(operation, now_s, error, lease)

        return ReliableSession(session, lease, operation.manifest.entry, clock, on_end)

    async def _open_moving(self, journey: Journey) -> MovingSession:
        legs, leg = await self.open_legs(journey)
        return MovingSession(legs, leg, journey.manifest.entry, self.settings, self._clock, self._keep_moving)

    def _keep_moving(self, mover: Mover) -> asyncio.Task[None]:
        task = asyncio.create_task(mover.run(), name="rpe moving session")
        self._moving.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._moving.discard(task)
            mover.leave()  # a task that is cancelled before it began has ended nothing

        task.add_done_callback(ended)
        return task
