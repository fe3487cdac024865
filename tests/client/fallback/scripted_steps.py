"""Steps that answer by script, on a clock that the test owns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rpe.client.fallback import CachedStep, ChainOutcome, ChainSettings, FallbackChain, FallbackStep, StepCall
from rpe.data import Text
from rpe.errors import AttemptSummary, ConnectFailed, ConnectionLost, RemoteTimeout, RpeError
from rpe.telemetry.record import ChainRecord, Observer
from rpe.transport.ports import ExecutionResult
from tests.support.scripted import VirtualClock

__all__ = ["Bench", "Log", "Scripted", "attempted", "lost", "refused", "until"]

INPUTS = {"input": Text("hello")}


def attempted(error: RpeError, number: int = 1, outcome: str = "failure") -> RpeError:
    """The error, as a client raises it after so many attempts."""
    error.attempts = tuple(
        AttemptSummary(n + 1, "e:1", outcome, error.code, error.message, 0.01 * n, 0.01)
        for n in range(number)
    )
    return error


def refused(attempts: int = 1) -> RpeError:
    return attempted(ConnectFailed("no connection: refused", endpoint="e:1"), attempts)


def lost(attempts: int = 1) -> RpeError:
    return attempted(ConnectionLost("cut", endpoint="e:1"), attempts)


@dataclass
class Scripted:
    """A step: `fails` gives its error for the number of the call, `takes_s` is how long it works."""

    name: str
    clock: VirtualClock
    fails: Callable[[int], RpeError | None] = lambda number: None
    takes_s: float = 0.01
    timeout_s: float | None = None
    partial: bool = False
    calls: list[StepCall] = field(default_factory=list)
    at_s: list[float] = field(default_factory=list)
    gate: asyncio.Event | None = None
    cancelled: int = 0

    async def execute(self, call: StepCall) -> ExecutionResult:
        number = len(self.calls)
        self.calls.append(call)
        self.at_s.append(self.clock.now())
        if self.gate is not None:
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        if self.takes_s > call.timeout_s:
            self.clock.time_s += call.timeout_s
            raise attempted(RemoteTimeout("no answer"))
        self.clock.time_s += self.takes_s
        error = self.fails(number)
        if error is not None:
            raise error
        return ExecutionResult({"output": Text(f"{self.name} {number}")}, 1.5, partial=self.partial)


class Log(Observer):
    """Keeps what is told of steps."""

    def __init__(self) -> None:
        self.records: list[ChainRecord] = []

    def on_chain(self, record: ChainRecord) -> None:
        self.records.append(record)


class Bench:
    """A chain of scripted steps `a`, `b`, `c` ... and kept answers, if asked for."""

    def __init__(
        self,
        count: int = 2,
        *,
        cached_s: float | None = None,
        timeouts_s: Sequence[float | None] = (),
        **settings: Any,
    ) -> None:
        self.clock = VirtualClock()
        self.steps = [Scripted(name, self.clock) for name in "abcdef"[:count]]
        for step, timeout_s in zip(self.steps, timeouts_s, strict=False):
            step.timeout_s = timeout_s
        self.log = Log()
        steps: list[FallbackStep] = [*self.steps]
        if cached_s is not None:
            self.cache = CachedStep(max_age_s=cached_s, clock=self.clock)
            steps.append(self.cache)
        self.chain = FallbackChain(
            steps,
            ChainSettings(**{"jitter": 0.0, **settings}),
            clock=self.clock,
            observers=[self.log],
            seed=1,
        )

    async def execute(self, text: str = "hello", **options: Any) -> ChainOutcome:
        return await self.chain.execute(
            {"input": Text(text)}, **{"timeout_s": 8.0, "repeatable": True, **options}
        )

    def fail(self, *names: str, error: Callable[[], RpeError] = refused) -> None:
        """Let just these steps fail from now on."""
        for step in self.steps:
            failing = step.name in names
            step.fails = (lambda number: error()) if failing else (lambda number: None)

    def calls(self) -> dict[str, int]:
        return {step.name: len(step.calls) for step in self.steps}

    def state(self, name: str) -> str:
        return str(self.chain.statistics().steps[name].state)


async def until(holds: Callable[[], bool]) -> None:
    """Let the loop turn until something holds."""
    for _ in range(1000):
        if holds():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to hold")
