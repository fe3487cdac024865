"""Faults that heal by themselves: after a time, after a number of calls, or when they are taken away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rpe.clock import Clock
from rpe.errors import ConfigurationError

__all__ = ["DEFAULT_FOR_S", "Faults", "Lasting", "OpenFault", "take_lasting"]

DEFAULT_FOR_S = 60.0
"""How long a fault lasts of which nobody says how long: nobody shall be left with a forgotten one."""

MOST_OPEN = 100
_LONGEST_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Lasting:
    """How long a fault lasts: so many seconds, so many calls, or what ends first."""

    for_s: float | None
    calls: int | None


@dataclass(slots=True, eq=False)
class OpenFault:
    """One fault: what it does (`content` as the fake needs it, `form` as it may be shown), when it heals
    by itself, and how many calls it has met.
    """

    id: str
    content: Any = field(repr=False)
    form: Mapping[str, Any]
    until_s: float | None
    calls: int | None
    met: int = 0
    healed: bool = False

    @property
    def spent(self) -> bool:
        """Whether it has met all the calls that it was for."""
        return self.calls is not None and self.met >= self.calls


def take_lasting(form: dict[str, Any]) -> Lasting:
    """Take `for_s` and `calls` out of what somebody asks for. Raises ConfigurationError."""
    for_s, calls = form.pop("for_s", None), form.pop("calls", None)
    if for_s is not None and (
        isinstance(for_s, bool) or not isinstance(for_s, int | float) or not 0 < for_s <= _LONGEST_S
    ):
        raise ConfigurationError(f"for_s: it is a number of seconds, at most {_LONGEST_S:.0f}")
    if calls is not None and (isinstance(calls, bool) or not isinstance(calls, int) or calls < 1):
        raise ConfigurationError("calls: it is a number of calls, at least 1")
    if for_s is None and calls is None:
        for_s = DEFAULT_FOR_S
    return Lasting(None if for_s is None else float(for_s), calls)


class Faults:
    """The faults that are open.

    `changed` is called after some have healed, and puts that into effect; `unused` for one whose time
    is over without its having met a call. Each fault that heals by time has a task, which `close` ends.
    """

    def __init__(self, clock: Clock, changed: Callable[[], None], unused: Callable[[], None]) -> None:
        self._clock = clock
        self._unused = unused
        self._changed = changed
        self._open: dict[str, OpenFault] = {}
        self._expiring: dict[str, asyncio.Task[None]] = {}
        self._given = 0

    @property
    def open(self) -> tuple[OpenFault, ...]:
        """The faults that are open, in the order in which they came."""
        return tuple(fault for fault in self._open.values() if not fault.spent)

    def new(self, content: Any, form: Mapping[str, Any], lasting: Lasting) -> OpenFault:
        """Make a fault that is not open yet. Raises ConfigurationError where too many are open."""
        if len(self._open) >= MOST_OPEN:
            raise ConfigurationError(f"{MOST_OPEN} faults are open", hint="DELETE /faults heals them all")
        self._given += 1
        until_s = None if lasting.for_s is None else self._clock.now() + lasting.for_s
        return OpenFault(str(self._given), content, form, until_s, lasting.calls)

    def add(self, fault: OpenFault) -> None:
        """Open a fault, in a running loop. Whoever opens it puts it into effect."""
        self._open[fault.id] = fault
        if fault.until_s is not None:
            self._expiring[fault.id] = asyncio.create_task(self._expire(fault, fault.until_s))

    def find(self, fault_id: str) -> OpenFault:
        """Return an open fault. Raises KeyError."""
        return {fault.id: fault for fault in self.open}[fault_id]

    def heal(self, *faults: OpenFault) -> None:
        """End faults now, and put that into effect. Harmless for those that have healed."""
        healed = [fault for fault in faults if self._open.pop(fault.id, None) is not None]
        for fault in healed:
            fault.healed = True
            task = self._expiring.pop(fault.id, None)
            if task is not None and task is not asyncio.current_task():
                task.cancel()
        if healed:
            self._changed()

    def form(self, fault: OpenFault) -> dict[str, Any]:
        """Return a fault as the API shows it."""
        shown: dict[str, Any] = {"id": fault.id, **fault.form, "met": fault.met}
        if fault.until_s is not None:
            shown["left_s"] = round(max(fault.until_s - self._clock.now(), 0.0), 3)
        if fault.calls is not None:
            shown["left_calls"] = max(fault.calls - fault.met, 0)
        return shown

    async def close(self) -> None:
        """End what waits for faults to heal; none is left."""
        tasks = list(self._expiring.values())
        self._open.clear()
        self._expiring.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _expire(self, fault: OpenFault, until_s: float) -> None:
        await self._clock.sleep_until(until_s)
        if not fault.met:
            self._unused()
        self.heal(fault)
