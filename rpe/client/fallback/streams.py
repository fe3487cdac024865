"""Sessions over a chain: their legs come from its pools, in the chain's order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from rpe.client.fallback.course import Course, Place
from rpe.client.fallback.judging import ends_the_chain, outcome_of_step
from rpe.client.fallback.steps import LONE_INPUT, PoolStep
from rpe.client.legs import Journey, Leg, PoolLegs
from rpe.client.moving_core import Mover
from rpe.clock import Clock
from rpe.data import RuntimeData
from rpe.errors import RpeError
from rpe.policy.chain import ChainHealth
from rpe.policy.chain_step import Turn
from rpe.policy.outcome import Outcome
from rpe.transport.ports import ClientStreamSession, Metadata

__all__ = ["ChainLegs", "SessionTasks"]

T = TypeVar("T")


@dataclass(slots=True)
class _Stage:
    """The part of a session that is spent at one pool; `before` counts the tries that are forgiven."""

    place: Place
    step: PoolStep
    journey: Journey
    legs: PoolLegs | None = None
    before: int = 0


class ChainLegs:
    """Where a session gets its legs from: fills `LegSource`.

    A leg that breaks is followed by another one of the same pool, by that pool's policies. Where
    the pool gives none, the session falls through it, as an execution does, to the next pool.
    Once a new result has come, every pool may be tried again. At each pool the session is one
    operation of its client.

    Arguments:
        places: the steps of the chain; those that are no pools are passed by.
        health: who is up; `finish` takes in how a turn at a step ended.
        deadline_s: the end of the whole session, on `clock`.
        operation_id, metadata: as in `ReliableClient.open_stream`.
        max_attempts: attempts in all pools together, from one new result to the next.
    """

    def __init__(
        self,
        places: Sequence[Place],
        health: ChainHealth,
        finish: Callable[[Turn, Outcome, float], None],
        clock: Clock,
        *,
        deadline_s: float,
        operation_id: str | None,
        metadata: Metadata,
        max_attempts: int,
    ) -> None:
        self._places = places
        self._health = health
        self._finish = finish
        self._clock = clock
        self._deadline_s = deadline_s
        self._operation_id = operation_id
        self._metadata = metadata
        self._max_attempts = max_attempts
        self._stage: _Stage | None = None
        self._begin_course()

    @property
    def step(self) -> PoolStep | None:
        """The step that the session is at."""
        return None if self._stage is None else self._stage.step

    async def open(self, failed: Leg | None = None) -> Leg:
        """Open a leg (see the port). Raises AllStepsFailed where no pool gives one."""
        stage = self._stage
        if failed is not None and stage is not None and stage.legs is not None:
            number = stage.place.number
            others = self._health.line(self._clock.now(), self._course.barred | {number})
            self._allow(stage, [number, *others])
            leg = await self._try(stage, stage.legs.open(failed))
            if leg is not None:
                return _led_in(stage, leg)
            self._stage = None
            stage.legs.ended(failed, self._course.failures[-1].error)
        while line := self._health.line(self._clock.now(), self._course.barred):
            stage = self._new_stage(line)
            opened = await self._try(stage, stage.step.client.open_legs(stage.journey))
            if opened is not None:
                stage.legs, leg = opened
                self._stage = stage
                return _led_in(stage, leg)
        raise self._course.error()

    def progressed(self, leg: Leg) -> None:
        """Forgive what failed before, at any pool (see the port)."""
        stage = self._stage
        if stage is None or stage.legs is None:
            return
        stage.legs.progressed(leg)
        stage.before = stage.journey.tries - 1
        if self._course.failures:
            self._begin_course()

    def ended(self, leg: Leg, error: BaseException | None) -> None:
        """End the operation at the pool where the session is, as it has at those it left (see the port)."""
        if self._stage is not None and self._stage.legs is not None:
            self._stage.legs.ended(leg, error)

    async def _try(self, stage: _Stage, opening: Awaitable[T]) -> T | None:
        """Return what a pool gives; None where the session falls through it."""
        turn = self._health.begin(stage.place.number, self._clock.now())
        try:
            opened = await opening
        except RpeError as error:
            now_s = self._clock.now()
            over = now_s >= self._deadline_s  # it was to end now, which is nobody's fault
            self._finish(turn, Outcome.NEUTRAL if over else outcome_of_step(error), now_s)
            if over or ends_the_chain(error):
                raise
            made = stage.journey.tries - stage.before
            self._course.failed(stage.place, error, stage.journey.started_s, now_s, attempts=made)
            return None
        except BaseException:
            self._finish(turn, Outcome.NEUTRAL, self._clock.now())
            raise
        self._finish(turn, Outcome.SUCCESS, self._clock.now())
        return opened

    def _new_stage(self, line: Sequence[int]) -> _Stage:
        """Return how the session would go on at the first step of `line`."""
        now_s = self._clock.now()
        place = self._places[line[0]]
        step = place.step
        if not isinstance(step, PoolStep):
            raise AssertionError("all that is no pool is barred")
        journey = Journey(
            step.manifest,
            self._operation_id,
            self._metadata,
            now_s,
            self._deadline_s - now_s,
            step.client.settings.retry,
        )
        stage = _Stage(place, step, journey)
        self._allow(stage, line)
        return stage

    def _allow(self, stage: _Stage, line: Sequence[int]) -> None:
        """Say how often a session is tried again at the first step of `line` before it goes on."""
        retries = stage.step.retries(self._course.call(line, self._clock.now()))
        retry = stage.step.client.settings.retry
        stage.journey.retry = replace(retry, max_retries=stage.before + retries)

    def _begin_course(self) -> None:
        now_s = self._clock.now()
        self._course = Course(
            self._places,
            {},
            started_s=now_s,
            timeout_s=self._deadline_s - now_s,
            repeatable=True,
            operation_id=self._operation_id,
            metadata=self._metadata,
            max_attempts=self._max_attempts,
        )
        self._course.barred = frozenset(
            place.number for place in self._places if not isinstance(place.step, PoolStep)
        )


class _AtPool:
    """A session whose lone input goes to its own pipeline's entry node, whatever that is called."""

    def __init__(self, session: ClientStreamSession, entry: str) -> None:
        self.session_id = session.session_id
        self.receive = session.receive
        self.finish = session.finish
        self.cancel = session.cancel
        self._session = session
        self._entry = entry

    async def send(
        self,
        data: RuntimeData | Mapping[str, RuntimeData],
        *,
        node_id: str,
        sequence: int,
        timestamp_ms: int = 0,
    ) -> None:
        target = self._entry if node_id == LONE_INPUT else node_id
        await self._session.send(data, node_id=target, sequence=sequence, timestamp_ms=timestamp_ms)


def _led_in(stage: _Stage, leg: Leg) -> Leg:
    manifest = stage.step.manifest
    if manifest.node(LONE_INPUT) is None:
        leg.session = _AtPool(leg.session, manifest.entry)
    return leg


class SessionTasks:
    """Owns the tasks of sessions that move, until each has ended."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, mover: Mover) -> asyncio.Task[None]:
        """Begin the task of a session."""
        task = asyncio.create_task(mover.run(), name="rpe session over a chain")
        self._tasks.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            mover.leave()  # a task that is cancelled before it began has ended nothing

        task.add_done_callback(ended)
        return task

    async def close(self) -> None:
        """End the sessions that are open, and wait until their tasks have ended."""
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
