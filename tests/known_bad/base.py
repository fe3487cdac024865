"""The base client: small, decent, hand-written, and without any of the known defects.

Round robin over raw stubs, retries at another endpoint within one deadline and a budget, a
breaker for each endpoint, health checks, respect for pushback, sessions that move where they
are asked to. Each known-bad client overrides one of its methods. It shares no policy and no
transport with the client that this project ships, so that a scenario is not judged by what that
one happens to do.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from random import Random

import grpc

from rpe.chaos.subject import (
    BreakerRequest,
    HealthRequest,
    RetryRequest,
    SubjectContext,
    SubjectOperation,
    SubjectStream,
)
from rpe.data import RuntimeData
from rpe.errors import (
    AuthenticationFailed,
    CircuitBreakerOpen,
    DataValidationError,
    InvalidRequest,
    ProtocolViolation,
    RemoteExecutionFailed,
    RemoteOverloaded,
    RpeError,
    SessionClosed,
)
from rpe.policy.outcome import Outcome
from rpe.transport.ports import ATTEMPT_KEY, OPERATION_KEY
from rpe.wire.generated.remotemedia.v1.common_pb2 import DataBuffer
from rpe.wire.protobuf import decode
from tests.known_bad.breaker import Breaker, OnChange
from tests.known_bad.moving import MovingStream
from tests.known_bad.pool import Endpoint, choose, guess
from tests.known_bad.stream import Stream
from tests.known_bad.wire import execute_request, failure

__all__ = ["BaseClient"]

BUDGET_TOKENS = 20.0
"""How many retries may be saved up; each costs one token, and each success earns a part of one."""

BUDGET_RATIO = 0.2


class BaseClient:
    """Fills `rpe.chaos.subject.Subject`."""

    def __init__(self, context: SubjectContext) -> None:
        self.context = context
        request = context.request
        self.retry = request.retry or RetryRequest()
        self.endpoints = [self._endpoint(name, address) for name, address in context.endpoints.items()]
        self.tokens = BUDGET_TOKENS
        self._rng = Random(context.seed)
        self._turn = 0
        health = request.health or HealthRequest()
        self._checks = [
            asyncio.create_task(self.check(endpoint, health), name=f"checks of {endpoint.name}")
            for endpoint in (self.endpoints if health.enabled else ())
        ]

    # --- the subject port --------------------------------------------------------------------------------

    async def execute(self, operation: SubjectOperation) -> Mapping[str, RuntimeData]:
        """Do one operation, at as many endpoints as it takes."""
        started_s = self.now_s()
        tried: list[Endpoint] = []
        while True:
            endpoint = self.pick(tried)
            limit_s = self.limit_s(operation, self.left_s(operation, started_s), len(tried))
            try:
                return await self.attempt(endpoint, operation, len(tried) + 1, limit_s)
            except RpeError as error:
                tried.append(endpoint)
                pause_s = self.pause_s(tried, error)
                if not self.again(operation, error, tried, pause_s, started_s):
                    raise
            await asyncio.sleep(pause_s)

    async def open_stream(self, operation: SubjectOperation) -> SubjectStream:
        """Open a session at the first endpoint that takes it."""
        tried: list[Endpoint] = []
        while True:
            endpoint = self.pick(tried)
            stream = self.stream(endpoint, operation, len(tried) + 1)
            try:
                await stream.open()
            except RpeError:
                tried.append(endpoint)
                if len(tried) > self.retry.max_retries:
                    raise
            else:
                return stream

    def in_flight(self) -> int:
        """Return the attempts under way."""
        return sum(endpoint.in_flight for endpoint in self.endpoints)

    async def close(self) -> None:
        """Stop the checks and close every channel."""
        checks, self._checks = self._checks, []
        for check in checks:
            check.cancel()
        await asyncio.gather(*checks, return_exceptions=True)
        for endpoint in self.endpoints:
            await endpoint.wire.close()

    # --- one attempt -------------------------------------------------------------------------------------

    async def attempt(
        self, endpoint: Endpoint, operation: SubjectOperation, number: int, limit_s: float | None
    ) -> Mapping[str, RuntimeData]:
        """Make one attempt, and account for it whatever ends it."""
        probe = self.begin(endpoint, operation.op, number, limit_s)
        error: BaseException | None = None
        try:
            return await self.call(endpoint, operation, number, limit_s)
        except BaseException as caught:
            error = caught
            raise
        finally:
            self.settle(endpoint, operation.op, number, probe, error)
            # An error that is kept would keep the call that it came from.
            error = None

    async def call(
        self, endpoint: Endpoint, operation: SubjectOperation, number: int, limit_s: float | None
    ) -> Mapping[str, RuntimeData]:
        """Send the request, and read the answer. Raises RpeError."""
        request = execute_request(self.context.manifest, operation.inputs)
        try:
            answer = await endpoint.wire.execute(
                request, timeout=limit_s, metadata=self.metadata(operation.op, number)
            )
        except grpc.aio.AioRpcError as error:
            raise failure(error) from None
        kind = None if answer is None else answer.WhichOneof("outcome")
        if kind == "error":
            raise RemoteExecutionFailed(answer.error.message)
        if kind != "result":
            raise ProtocolViolation("the answer is not a message of this protocol")
        return self.outputs(answer.result.data_outputs)

    def outputs(self, buffers: Mapping[str, DataBuffer]) -> Mapping[str, RuntimeData]:
        """Read what an answer holds; an answer that breaks its contract is the endpoint's failure."""
        try:
            return {name: self.read(buffer) for name, buffer in buffers.items()}
        except DataValidationError as error:
            raise ProtocolViolation(f"the answer is corrupted: {error.message}") from None

    def read(self, buffer: DataBuffer) -> RuntimeData:
        """Read one piece of data."""
        return decode(buffer)

    def begin(self, endpoint: Endpoint, op: str, number: int, limit_s: float | None) -> bool:
        """An attempt begins; returns whether it is a probe."""
        probe = endpoint.breaker.begin(self.now_s())
        endpoint.in_flight += 1
        self._turn += 1
        endpoint.turn = self._turn
        told = {"op": op, "attempt": number, "endpoint": endpoint.name, "probe": probe, "timeout_s": limit_s}
        self.context.report("attempt.start", told)
        return probe

    def settle(
        self, endpoint: Endpoint, op: str, number: int, probe: bool, error: BaseException | None
    ) -> None:
        """An attempt has ended: the one place where its outcome is accounted for."""
        outcome = self.outcome(error)
        endpoint.in_flight -= 1
        endpoint.breaker.record(outcome, self.now_s(), probe=probe)
        if isinstance(error, RemoteOverloaded) and error.retry_after_s is not None:
            self.rest(endpoint, error.retry_after_s)
        if error is None:
            self.tokens = min(self.tokens + BUDGET_RATIO, BUDGET_TOKENS)
        code = "ok" if error is None else getattr(error, "code", type(error).__name__)
        told = {"op": op, "attempt": number, "endpoint": endpoint.name, "probe": probe}
        self.context.report("attempt.end", {**told, "outcome": str(outcome), "code": code})

    # --- decisions ---------------------------------------------------------------------------------------

    def make_breaker(self, asked: BreakerRequest, on_change: OnChange) -> Breaker:
        """Make the breaker of one endpoint."""
        return Breaker(asked, on_change)

    def pick(self, tried: Sequence[Endpoint]) -> Endpoint:
        """Choose the endpoint of the next attempt. Raises CircuitBreakerOpen where there is none."""
        if self.mostly_unhealthy():
            for endpoint in self.endpoints:
                endpoint.failed_checks = 0
        now_s = self.now_s()
        return choose(self.endpoints, tried, now_s) or guess(self.endpoints, now_s)

    def mostly_unhealthy(self) -> bool:
        """Whether so many fail their checks that more probably the checks are wrong."""
        return 2 * sum(endpoint.healthy for endpoint in self.endpoints) < len(self.endpoints)

    def left_s(self, operation: SubjectOperation, started_s: float) -> float:
        """How much of the operation's deadline is left."""
        return started_s + operation.timeout_s - self.now_s()

    def limit_s(self, operation: SubjectOperation, left_s: float, tried: int) -> float | None:
        """How long the next attempt may take: while a retry may follow, half of what is left."""
        asked_s = self.context.request.attempt_timeout_s
        if asked_s is not None:
            return min(asked_s, left_s)
        return left_s / 2 if self.repeatable(operation) and tried < self.retry.max_retries else left_s

    def pause_s(self, tried: Sequence[Endpoint], error: RpeError) -> float:
        """How long to wait before the next attempt: not at all while another endpoint is free."""
        now_s = self.now_s()
        if any(endpoint.usable(now_s) for endpoint in self.endpoints if endpoint not in tried):
            return 0.0
        grown_s = self.retry.initial_backoff_s * self.retry.multiplier ** (len(tried) - 1)
        return min(grown_s, self.retry.max_backoff_s) * self._rng.uniform(0.5, 1.0)

    def again(
        self,
        operation: SubjectOperation,
        error: RpeError,
        tried: Sequence[Endpoint],
        pause_s: float,
        started_s: float,
    ) -> bool:
        """Whether another attempt follows. It costs a token of the budget."""
        return (
            self.retryable(error)
            and (self.repeatable(operation) or not error.maybe_executed)
            and len(tried) <= self.retry.max_retries
            and self.left_s(operation, started_s) > pause_s
            and self.spend()
        )

    def retryable(self, error: RpeError) -> bool:
        """Whether trying again can help."""
        return not isinstance(error, AuthenticationFailed | InvalidRequest | CircuitBreakerOpen)

    def repeatable(self, operation: SubjectOperation) -> bool:
        """Whether the operation may be done twice."""
        return operation.repeatable

    def spend(self) -> bool:
        """Take a token of the retry budget, where there is one."""
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True

    def outcome(self, error: BaseException | None) -> Outcome:
        """What an attempt that ended like this says of its endpoint."""
        if error is None:
            return Outcome.SUCCESS
        if isinstance(error, RemoteOverloaded):
            return Outcome.THROTTLE
        callers_own = (AuthenticationFailed, InvalidRequest, SessionClosed)
        if not isinstance(error, RpeError) or isinstance(error, callers_own):
            return Outcome.NEUTRAL
        return Outcome.FAILURE

    def rest(self, endpoint: Endpoint, pause_s: float) -> None:
        """Leave an endpoint alone for as long as it asked."""
        endpoint.rest_until_s = self.now_s() + max(pause_s, 0.0)

    # --- health, streams, small things -------------------------------------------------------------------

    async def check(self, endpoint: Endpoint, asked: HealthRequest) -> None:
        """Check the health of one endpoint for ever."""
        while True:
            self.checked(endpoint, await endpoint.wire.healthy(asked.timeout_s))
            await asyncio.sleep(asked.interval_s * self._rng.uniform(0.8, 1.2))

    def checked(self, endpoint: Endpoint, well: bool) -> None:
        """Take in the answer of a health check."""
        was_healthy = endpoint.healthy
        endpoint.failed_checks = 0 if well else endpoint.failed_checks + 1
        if endpoint.healthy != was_healthy:
            self.context.report("health", {"endpoint": endpoint.name, "healthy": endpoint.healthy})

    def stream(self, endpoint: Endpoint, operation: SubjectOperation, number: int) -> Stream:
        """Make a session that is not open yet; one that moves, where that is asked for and harmless."""
        moves = self.context.request.move_sessions and self.repeatable(operation)
        return (MovingStream if moves else Stream)(self, endpoint, operation, number)

    def metadata(self, op: str, number: int) -> tuple[tuple[str, str], ...]:
        """What travels beside a request."""
        token = self.context.request.token
        own = () if token is None else (("authorization", f"Bearer {token}"),)
        return (*own, (OPERATION_KEY, op), (ATTEMPT_KEY, str(number)))

    def now_s(self) -> float:
        """The monotonic time, in seconds."""
        return time.monotonic()

    def _endpoint(self, name: str, address: str) -> Endpoint:
        def on_change(before: str, after: str, cause: str) -> None:
            told = {"endpoint": name, "before": before, "after": after, "cause": cause}
            self.context.report("breaker", told)

        asked = self.context.request.breaker or BreakerRequest()
        return Endpoint(name, address, self.make_breaker(asked, on_change))
