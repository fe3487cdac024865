"""The fallback chain: an answer from the first step that has one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from types import TracebackType
from typing import Self

from rpe.client.fallback.cache import CachedStep
from rpe.client.fallback.course import Course, Place
from rpe.client.fallback.judging import ends_the_chain, outcome_of_step
from rpe.client.fallback.statistics import ChainOutcome, ChainStatistics
from rpe.client.fallback.steps import LONE_INPUT, FallbackStep, FunctionStep, PoolStep, StepCall
from rpe.client.fallback.streams import ChainLegs, SessionTasks
from rpe.client.moving import MovingSession
from rpe.client.session import ReliableSession, StreamSession
from rpe.client.settings import ClientSettings
from rpe.clock import SYSTEM_CLOCK, Clock
from rpe.data import Payload, RuntimeData
from rpe.errors import ConfigurationError, RpeError
from rpe.policy._settings import check_number
from rpe.policy.chain import ChainHealth
from rpe.policy.chain_step import ChainSettings, Turn
from rpe.policy.outcome import Outcome
from rpe.telemetry.record import ChainRecord, Observer
from rpe.transport.ports import NO_METADATA, ExecutionResult, Metadata

__all__ = ["FallbackChain"]


class FallbackChain:
    """Answers an operation by the first of its steps that can.

    Safe for any number of concurrent operations on one event loop. It owns nothing: the clients of
    its steps are closed by whoever made them.

    Arguments:
        steps: in order of preference, such as the primary pool, the secondary pool, a local
            pipeline, kept answers.
        settings: when a step is left, and how it is returned to.
        clock, seed: time and chance, for tests; None draws a seed from the machine.
        observers: sinks that are told when a step goes down or comes up.

    Raises:
        ConfigurationError: no step executes, two have one name, or kept answers come before
            any step that could give them.
    """

    def __init__(
        self,
        steps: Sequence[FallbackStep],
        settings: ChainSettings | None = None,
        *,
        clock: Clock = SYSTEM_CLOCK,
        observers: Sequence[Observer] = (),
        seed: int | None = None,
    ) -> None:
        _check(steps)
        self.settings = settings or ChainSettings()
        self.steps = tuple(steps)
        self._observers = tuple(observers)
        self._clock = clock
        self._places = tuple(_place(number, step) for number, step in enumerate(steps))
        self._caches = [place for place in self._places if not place.executes]
        executing = [place.executes for place in self._places]
        self._health = ChainHealth(self.settings, executing, rng=Random(seed), now=clock.now())
        self._answered = self._failed = self._cancelled = 0
        self._sessions = SessionTasks()
        for step in steps:
            if isinstance(step, CachedStep):
                step.claim()

    async def execute(
        self,
        inputs: RuntimeData | Mapping[str, RuntimeData],
        *,
        timeout_s: float,
        repeatable: bool = False,
        operation_id: str | None = None,
        metadata: Metadata = NO_METADATA,
    ) -> ChainOutcome:
        """Return the answer of the first step that gives one, within one deadline for all of them.

        Arguments:
            inputs: the input of each pipeline's entry node, or inputs by node id.
            timeout_s: the deadline of it all, from now, in seconds.
            repeatable: whether doing it twice is harmless. Where it is not, what may have been
                executed at one step is not tried at another; a kept answer may still be given.
            operation_id, metadata: as in `ReliableClient.execute`.

        Raises:
            AllStepsFailed: no step gave an answer; each is listed with its reason.
            DataValidationError, ConfigurationError: the request is wrong in itself, as a step found.

        Cancelling it cancels the step that is tried; nobody is blamed.
        """
        check_number("timeout_s", timeout_s, above=0.0)
        now_s = self._clock.now()
        course = Course(
            self._places,
            {LONE_INPUT: inputs} if isinstance(inputs, Payload) else inputs,
            started_s=now_s,
            timeout_s=timeout_s,
            repeatable=repeatable,
            operation_id=operation_id,
            metadata=metadata,
            max_attempts=self.settings.max_attempts,
        )
        try:
            while line := self._health.line(now_s, course.barred, careful=not repeatable):
                place = self._places[line[0]]
                call = course.call(line, now_s)
                turn = self._health.begin(place.number, now_s, lease_s=call.timeout_s)
                try:
                    result, age_s = await _ask(place.step, call)
                except BaseException as error:
                    ended_s = self._clock.now()
                    self._finish(turn, _outcome_of(place, error), ended_s)
                    if not isinstance(error, RpeError) or ends_the_chain(error):
                        raise
                    course.failed(place, error, now_s, ended_s)
                    now_s = ended_s
                else:
                    self._finish(turn, Outcome.SUCCESS, self._clock.now())
                    self._keep(place, call, result)
                    self._answered += 1
                    return ChainOutcome(result, place.step.name, age_s, course.failures)
            raise course.error()
        except Exception:
            self._failed += 1
            raise
        except BaseException:
            self._cancelled += 1
            raise

    async def open_stream(
        self,
        *,
        timeout_s: float,
        repeatable: bool = False,
        operation_id: str | None = None,
        metadata: Metadata = NO_METADATA,
    ) -> StreamSession:
        """Open a session at the first pool of the chain that takes it; use it as an async context manager.

        Steps that are no pools are passed by: neither a function nor kept answers have sessions.
        Chunks go to the entry node of each pool's pipeline unless they are sent to another one.

        Arguments:
            timeout_s: the deadline of the whole session, from now, in seconds.
            repeatable: whether the results of a chunk depend on that chunk alone. The session then
                moves when its endpoint fails: to another one of its pool, and to the next
                pool where its own gives none. Otherwise it is bound to its endpoint.
            operation_id, metadata: as in `ReliableClient.open_stream`.

        Raises:
            AllStepsFailed: no pool takes it; each is listed with its reason.
            ConfigurationError: the chain has no pool.
        """
        check_number("timeout_s", timeout_s, above=0.0)
        clock = self._clock
        if not any(isinstance(step, PoolStep) for step in self.steps):
            raise ConfigurationError("a session needs a pool, and this chain has none")
        legs = ChainLegs(
            self._places,
            self._health,
            self._finish,
            clock,
            deadline_s=clock.now() + timeout_s,
            operation_id=operation_id,
            metadata=metadata,
            max_attempts=self.settings.max_attempts,
        )
        leg = await legs.open()
        if not repeatable:
            return ReliableSession(
                leg.session, leg.lease, LONE_INPUT, clock, lambda error: legs.ended(leg, error)
            )
        settings = legs.step.client.settings if legs.step is not None else ClientSettings()
        return MovingSession(legs, leg, LONE_INPUT, settings, clock, self._sessions.start)

    async def close(self) -> None:
        """End the sessions that are open. A chain that has opened none need not be closed."""
        await self._sessions.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def statistics(self) -> ChainStatistics:
        """Return what has been counted, and how each step stands now."""
        steps = zip(self.steps, self._health.statistics(), strict=True)
        return ChainStatistics(
            self._answered,
            self._failed,
            self._cancelled,
            {step.name: statistics for step, statistics in steps},
        )

    def _finish(self, turn: Turn, outcome: Outcome, now_s: float) -> None:
        switch = self._health.finish(turn, outcome, now_s)
        if switch is not None and self._observers:
            name = self.steps[switch.step].name
            record = ChainRecord(name, str(switch.before), str(switch.after), str(switch.cause), now_s)
            for observer in self._observers:
                observer.on_chain(record)

    def _keep(self, place: Place, call: StepCall, result: ExecutionResult) -> None:
        """Let the kept answers that stand behind a step in the chain have its answer."""
        for cache in self._caches:
            if place.executes and cache.number > place.number and isinstance(cache.step, CachedStep):
                cache.step.record(call, result)

    def __repr__(self) -> str:
        return f"FallbackChain({' -> '.join(step.name for step in self.steps)})"


async def _ask(step: FallbackStep, call: StepCall) -> tuple[ExecutionResult, float | None]:
    """Return a step's answer, and its age where it is a kept one."""
    if isinstance(step, CachedStep):
        return step.recall(call)
    return await step.execute(call), None


def _outcome_of(place: Place, error: BaseException) -> Outcome:
    """Return what an ended turn says of its step; what is no error of rpe came from this side."""
    if place.executes and isinstance(error, RpeError):
        return outcome_of_step(error)
    return Outcome.NEUTRAL


def _place(number: int, step: FallbackStep) -> Place:
    executes = not isinstance(step, CachedStep)
    timeout_s: float | None = getattr(step, "timeout_s", None)
    return Place(number, step, timeout_s, executes, executes and not isinstance(step, FunctionStep))


def _check(steps: Sequence[FallbackStep]) -> None:
    names = [step.name for step in steps]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigurationError(f"two steps of the chain are called {', '.join(twice)}")
    if not steps or isinstance(steps[0], CachedStep):
        raise ConfigurationError(
            "a chain begins with a step that executes", hint="kept answers come from the steps before them"
        )
