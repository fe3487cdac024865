"""A client in virtual time: all policies together, round endpoints that are a function each."""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from random import Random
from typing import Any, NamedTuple

import pytest

from rpe.policy import (
    BackoffSettings,
    BreakerSettings,
    BudgetSettings,
    HealthSettings,
    Outcome,
    Refusal,
    RetryBudget,
    RetryReason,
    RetrySettings,
    Selector,
    attempt_timeout_s,
    decide_retry,
)

Behaviour = Callable[[str, float], tuple[Outcome, float]]
"""How an attempt at an endpoint that begins at a time would end, and after how many seconds."""


class Attempt(NamedTuple):
    """One attempt as its endpoint saw it; `timeout_s` is the deadline sent along."""

    operation: int
    endpoint: str
    at_s: float
    timeout_s: float


class Result(NamedTuple):
    """One operation as its caller saw it."""

    operation: int
    ok: bool
    began_s: float
    ended_s: float


class Traffic:
    """Operations over a pool of endpoints "0", "1" ...; everything that happens is kept in order."""

    def __init__(
        self,
        size: int,
        behave: Behaviour,
        *,
        deadline_s: float = 10.0,
        per_attempt_s: float | None = None,
        retry: RetrySettings | None = None,
        budget: BudgetSettings | None = None,
        seed: int = 1,
        **selector: Any,
    ) -> None:
        self.rng = Random(seed)
        options = {"breaker": BreakerSettings(), "health": HealthSettings(), "rng": self.rng, **selector}
        self.selector = Selector(**options)
        for number in range(size):
            self.selector.add(str(number))
        self.behave = behave
        self.deadline_s = deadline_s
        self.per_attempt_s = per_attempt_s
        self.retry = retry or RetrySettings(backoff=BackoffSettings(initial_s=0.1))
        self.budget = RetryBudget(budget)
        self.now = 0.0
        self.attempts: list[Attempt] = []
        self.results: list[Result] = []
        self._agenda: list[tuple[float, int, Generator[float, None, None]]] = []
        self._sequence = itertools.count()

    def open_loop(self, rate_per_s: float, seconds: float) -> None:
        """Begin `rate_per_s` operations a second whatever happens, and run until all have ended."""
        for number in range(int(rate_per_s * seconds)):
            self._schedule(self.now + number / rate_per_s, self._operation(number))
        self._run()

    def closed_loop(self, concurrency: int, operations: int) -> None:
        """Keep `concurrency` operations running until `operations` have ended."""
        numbers = iter(range(operations))
        for _ in range(concurrency):
            self._schedule(self.now, self._caller(numbers))
        self._run()

    def shares(self, since_s: float = 0.0) -> dict[str, float]:
        """Return which part of the attempts since then each endpoint got."""
        counts = Counter(attempt.endpoint for attempt in self.attempts if attempt.at_s >= since_s)
        return {key: counts[key] / max(counts.total(), 1) for key in self.selector.members}

    def success(self, since_s: float = 0.0, until_s: float = float("inf")) -> float:
        """Return which part of the operations begun in that time was served."""
        served = [result.ok for result in self.results if since_s <= result.began_s < until_s]
        return sum(served) / len(served)

    def _run(self) -> None:
        while self._agenda:
            self.now, _, actor = heapq.heappop(self._agenda)
            for until_s in actor:
                self._schedule(until_s, actor)
                break

    def _schedule(self, at_s: float, actor: Generator[float, None, None]) -> None:
        heapq.heappush(self._agenda, (at_s, next(self._sequence), actor))

    def _caller(self, numbers: Iterable[int]) -> Generator[float, None, None]:
        for number in numbers:
            yield from self._operation(number)

    def _operation(self, number: int) -> Generator[float, None, None]:
        began_s = self.now
        ok = yield from self._attempts(number, began_s + self.deadline_s)
        self.results.append(Result(number, ok, began_s, self.now))

    def _attempts(self, number: int, until_s: float) -> Generator[float, None, bool]:
        self.budget.deposit(self.now)
        tried: tuple[Any, ...] = ()
        rounds = 0
        for attempts_made in itertools.count(1):
            left = self.retry.max_retries + 1 - attempts_made
            timeout_s = attempt_timeout_s(
                until_s - self.now, per_attempt_s=self.per_attempt_s, retries_left=left, splittable=True
            )
            pick = self.selector.pick(self.now, tried, no_probe=left == 0, lease_s=timeout_s)
            if isinstance(pick, Refusal):
                return False
            self.attempts.append(Attempt(number, pick.member.key, self.now, timeout_s))
            outcome, duration_s = self.behave(pick.member.key, self.now)
            yield self.now + min(duration_s, timeout_s)
            if duration_s > timeout_s:
                outcome = Outcome.FAILURE
            self.selector.finish(pick, outcome, self.now, latency_s=duration_s)
            if outcome is Outcome.SUCCESS:
                return True
            tried = (*tried, pick.member)
            elsewhere = self.selector.untried(tried, self.now)
            rounds += not elsewhere
            decision = decide_retry(
                self.retry,
                attempts_made=attempts_made,
                retryable=outcome is not Outcome.NEUTRAL,
                maybe_executed=False,
                repeatable=True,
                pushback_s=None,
                elsewhere=elsewhere,
                remaining_s=until_s - self.now,
                rng=self.rng,
                rounds_made=max(rounds, 1),
            )
            if not decision.retry or not self.budget.try_withdraw(self.now):
                return False
            if decision.reason is RetryReason.RETRY_AFTER_BACKOFF:
                tried = ()
                yield self.now + decision.delay_s
        raise AssertionError("unreachable: the retries are counted")


@pytest.fixture
def traffic() -> type[Traffic]:
    """The client in virtual time."""
    return Traffic
