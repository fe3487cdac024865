"""The retry loop: attempts one after the other until one succeeds, or nothing may follow."""

from __future__ import annotations

from random import Random
from typing import Any, TypeVar

from rpe.client.classify import operation_outcome, outcome_of, pushback_of
from rpe.client.operation import Operation
from rpe.client.pool import EndpointPool, Lease
from rpe.client.statistics import Tally
from rpe.clock import Clock
from rpe.errors import RpeError, SessionClosed
from rpe.policy.budget import RetryBudget
from rpe.policy.deadline import attempt_timeout_s
from rpe.policy.outcome import OperationOutcome
from rpe.policy.pick import Refusal
from rpe.policy.retry import RetryReason
from rpe.telemetry.record import AttemptRecord, OperationRecord

__all__ = ["Attempts"]

T = TypeVar("T")


class Attempts:
    """Makes the attempts of a client's operations, and counts what became of these.

    An operation is begun by `begin`, and ended by one call of `succeeded` or `failed`.
    """

    def __init__(self, pool: EndpointPool, budget: RetryBudget, clock: Clock, rng: Random) -> None:
        self.pool = pool
        self.clock = clock
        self.tally = Tally()
        self.closed = False
        self._budget = budget
        self._rng = rng

    def begin(self, operation: Operation[Any]) -> None:
        """Pay in for an operation that begins. Raises SessionClosed where the client is closed."""
        if self.closed:
            self.check_open()
        self._budget.deposit(operation.started_s)

    def check_open(self) -> None:
        """Raise SessionClosed where the client is closed."""
        if self.closed:
            raise SessionClosed("the client is closed")

    async def run(self, operation: Operation[T], bound_s: float | None, now_s: float) -> tuple[Lease, T]:
        """Try until an attempt succeeds, and return it, still running, with what it gave.

        `bound_s` is the most one attempt may take, `now_s` the time now. Whatever else ends
        the operation is raised; every attempt before has then ended with its outcome.
        """
        max_retries = operation.retry.max_retries
        pool = self.pool
        selector = pool.selector
        while True:
            limit_s = attempt_timeout_s(
                operation.deadline_s - now_s,
                per_attempt_s=bound_s,
                retries_left=max_retries - operation.tries,
                splittable=operation.repeatable,
            )
            # The last attempt, and one that cannot be made again, is not risked on a probe.
            careful = operation.tries >= max_retries or not operation.repeatable
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
                now_s = self.clock.now()
                record = lease.fail(outcome_of(error), now_s, error, pushback_of(error))
                now_s = await self.pause(operation, lease, record)
            except BaseException as error:
                lease.fail(outcome_of(error), self.clock.now(), None)
                raise

    async def pause(self, operation: Operation[Any], lease: Lease, record: AttemptRecord) -> float:
        """Wait before the attempt that follows a failed one, and return the time.

        Raises the final error of the operation where none may follow.
        """
        error, now_s = record.error, record.ended_s
        member = lease.pick.member
        elsewhere = self.pool.selector.untried((*operation.tried, member), now_s)
        pushback_s = None if error is None else pushback_of(error)
        decision = operation.decide(record, member, self._rng, elsewhere=elsewhere, pushback_s=pushback_s)
        if not decision.retry:
            raise _final(operation.failed(), error)
        free = decision.reason is RetryReason.REAUTHENTICATE  # nothing was done, so nothing is multiplied
        if not free and not self._budget.try_withdraw(now_s):
            raise _final(operation.failed(budget_empty=True), error)
        self.tally.retries += 1
        if decision.delay_s > 0:
            await self.clock.sleep(decision.delay_s)
        return self.clock.now()

    def succeeded(self, operation: Operation[Any], now_s: float, lease: Lease) -> None:
        """Write down that an operation has succeeded, by the attempt of `lease`."""
        self.tally.ok += 1
        if self.pool.observers:
            self._tell(operation, now_s, OperationOutcome.OK, "ok", None, lease)

    def failed(
        self, operation: Operation[Any], now_s: float, error: BaseException, lease: Lease | None
    ) -> None:
        """Write down that an operation has ended with `error`, which its caller is told."""
        outcome = operation_outcome(error)
        known = error if isinstance(error, RpeError) else None
        code = "cancelled" if known is None else known.code
        self.tally.add_error(outcome, code)
        if self.pool.observers:
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
        for observer in self.pool.observers:
            observer.on_operation(record)


def _final(error: RpeError, last: RpeError | None) -> RpeError:
    """Tell by which attempt's error the final one was caused; one that is that error keeps its own cause."""
    if error is not last:
        error.__cause__ = last
    return error
