"""A fault as a guard: entering applies it, leaving heals it, whatever happens in between.

Entering applies the steps at the fault's start and lets the world confirm each by
reading it back. Leaving undoes what is applied, in reverse order, also after an error and
under cancellation: healing runs to its end and is bounded in time. Nothing that goes
wrong while healing is swallowed: every error is recorded and raised together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from rpe.chaos.shielding import bring_to_end
from rpe.chaos.world.world import World
from rpe.clock import SYSTEM_CLOCK, Clock
from rpe.errors import ErrorKind, RpeError
from rpe.faults.actions import Step

__all__ = ["FaultApplyError", "FaultGuard", "HealError", "Record", "ScriptedFault"]

Record = Callable[..., None]
"""Takes the name of an event and its fields, and writes them into the history."""

HEAL_TIMEOUT_S = 15.0
"""How long the undoing of one action may take: long enough to start a process again on a busy machine."""


class FaultApplyError(RpeError):
    """A fault could not be brought into force, so what follows would prove nothing."""

    code = "fault_not_applied"
    kind = ErrorKind.NETWORK
    default_hint = "the run proves nothing; look at the proxy and at the servers"


class HealError(RpeError):
    """A fault may still be in force although it was to be healed; every problem is listed."""

    code = "heal_failed"
    kind = ErrorKind.NETWORK
    default_hint = "look at the proxy for what is left of the run, and remove it"

    def __init__(self, message: str, *, problems: Sequence[str] = (), **details: Any) -> None:
        super().__init__("; ".join([message, *problems]), **details)
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class ScriptedFault:
    """One fault of a plan, decided: its name, kind and servers, and its steps in order of time."""

    name: str
    kind: str
    targets: tuple[str, ...]
    steps: tuple[Step, ...]


class FaultGuard:
    """Keeps one fault in force in one world. Enter it once.

    Arguments:
        world: where the fault is done.
        fault: what is done.
        record: is told `fault.apply`, `fault.applied`, `fault.heal`, `fault.healed`, `fault.failed`.
        clock: the clock of the steps' offsets.
        heal_timeout_s: how long the undoing of one action may take, in seconds.
    """

    def __init__(
        self,
        world: World,
        fault: ScriptedFault,
        record: Record,
        *,
        clock: Clock = SYSTEM_CLOCK,
        heal_timeout_s: float = HEAL_TIMEOUT_S,
    ) -> None:
        self._world = world
        self._fault = fault
        self._record = record
        self._clock = clock
        self._heal_timeout_s = heal_timeout_s
        self._applied: dict[str, None] = {}
        self._began_s = 0.0
        self.verified = True
        self.heal_error: HealError | None = None

    def __repr__(self) -> str:
        return f"FaultGuard({self._fault.name!r}, active={list(self._applied)})"

    @property
    def active(self) -> int:
        """How many actions of this fault are in force, or may be."""
        return len(self._applied)

    async def __aenter__(self) -> Self:
        self._began_s = self._clock.now()
        self._record(
            "fault.apply", fault=self._fault.name, kind=self._fault.kind, on=list(self._fault.targets)
        )
        try:
            for step in self._fault.steps:
                if step.offset_s <= 0:
                    await self._take(step)
        except Exception as error:
            failure = self._not_applied(error)
            await self._leave(failure)
            raise failure from error
        except BaseException as error:
            await self._leave(error)
            raise
        self._record("fault.applied", fault=self._fault.name, verified=self.verified)
        return self

    async def play(self) -> None:
        """Take the later steps at their times. Returns after the last one, at once where there is none.

        Raises FaultApplyError where a step fails; leaving the guard heals what is in force.
        """
        for step in self._fault.steps:
            if step.offset_s > 0:
                await self._clock.sleep_until(self._began_s + step.offset_s)
                try:
                    await self._take(step)
                except Exception as error:
                    raise self._not_applied(error) from error

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._leave(error)

    async def _take(self, step: Step) -> None:
        name = self._key(step.key)
        if step.on:
            # Noted before it is asked for: an answer that never comes may hide a fault in force.
            self._applied[name] = None
            self.verified &= await self._world.apply(name, step.action)
        else:
            await self._world.undo(name)
            self._applied.pop(name, None)

    async def _leave(self, error: BaseException | None) -> None:
        """Heal, and raise what went wrong beside `error`; a cancellation stays a cancellation."""
        try:
            await bring_to_end(self._heal())
        except HealError as problem:
            if error is None:
                raise
            if isinstance(error, asyncio.CancelledError):
                error.add_note(str(problem))
                return
            raise BaseExceptionGroup(
                f"the fault {self._fault.name!r} ended badly", [error, problem]
            ) from problem

    async def _heal(self) -> None:
        self._record("fault.heal", fault=self._fault.name)
        problems: list[str] = []
        for name in reversed(tuple(self._applied)):
            try:
                async with self._clock.deadline(self._clock.now() + self._heal_timeout_s):
                    await self._world.undo(name)
                del self._applied[name]
            except TimeoutError:
                problems.append(f"{name}: not undone within {self._heal_timeout_s} s")
            except Exception as problem:
                problems.append(f"{name}: {problem}")
        if problems:
            self.heal_error = HealError(
                f"the fault {self._fault.name!r} may still be in force", problems=problems
            )
            self._record("fault.failed", fault=self._fault.name, error=str(self.heal_error))
            raise self.heal_error
        self._record("fault.healed", fault=self._fault.name)

    def _not_applied(self, error: Exception) -> FaultApplyError:
        self._record("fault.failed", fault=self._fault.name, error=str(error))
        return FaultApplyError(f"the fault {self._fault.name!r} could not be brought into force: {error}")

    def _key(self, step_key: str) -> str:
        return f"{self._fault.name}.{step_key}"
