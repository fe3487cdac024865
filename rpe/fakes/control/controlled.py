"""What the control API can do with a fake, whatever the fake speaks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from rpe.errors import ConfigurationError
from rpe.fakes.control.faults import Faults, OpenFault
from rpe.fakes.control.metrics import Metrics

__all__ = ["Bell", "Controlled", "JournalQuery", "Verdict", "mapping", "merged"]

Json = Any
"""Plain data, as JSON has it."""


@dataclass(frozen=True, slots=True)
class JournalQuery:
    """Which entries of a journal are asked for: those after number `since` that fit, at most `limit`."""

    method: str | None = None
    kind: str | None = None
    since: int = 0
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of an expectation: how many calls or entries met it, and what came nearest to it."""

    passed: bool
    found: int
    wanted: str
    nearest: str = ""


class Bell:
    """Wakes all who wait for the next news."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def ring(self) -> None:
        """Tell of news."""
        event, self._next = self._next, asyncio.Event()
        event.set()

    async def wait(self) -> None:
        """Wait for the next news."""
        await self._next.wait()


class Controlled(Protocol):
    """A fake that the control API can show, change and judge.

    What a caller gives and cannot be used raises ConfigurationError, and changes nothing.
    """

    @property
    def faults(self) -> Faults:
        """The faults that are open for a while."""
        ...

    @property
    def metrics(self) -> Metrics:
        """What has been counted."""
        ...

    @property
    def news(self) -> Bell:
        """What rings when the journal has got something new."""
        ...

    def about(self) -> Mapping[str, Json]:
        """Return what is served, and where."""
        ...

    def rules(self) -> Json:
        """Return the rules that hold, without what is secret."""
        ...

    async def put_rules(self, form: Json) -> None:
        """Put other rules in the place of those that hold."""
        ...

    async def patch_rules(self, form: Json) -> None:
        """Change the rules that hold by what is given."""
        ...

    def fault(self, form: Json) -> OpenFault:
        """Open the fault that a form describes, for its time or its number of calls."""
        ...

    def entries(self, query: JournalQuery) -> list[Mapping[str, Json]]:
        """Return the entries of the journal that are asked for, oldest first; each has its `number`."""
        ...

    def forget(self) -> None:
        """Forget the journal, as far as it is shown here and judged by."""
        ...

    def reset(self) -> None:
        """Forget the journal, and begin anew whatever depends on the calls before."""
        ...

    def verify(self, form: Json) -> Verdict:
        """Judge an expectation by the journal."""
        ...

    def scenarios(self) -> Mapping[str, str]:
        """Return the states of the scenarios by their names."""
        ...

    def set_scenarios(self, states: Mapping[str, str]) -> None:
        """Put scenarios into states."""
        ...

    def health(self) -> Mapping[str, str]:
        """Return what health checks are told, by the name of the service; '' is the server."""
        ...

    def health_statuses(self) -> tuple[str, ...]:
        """Return the statuses that health can have here."""
        ...

    def set_health(self, service: str | None, status: str) -> None:
        """Tell health checks something else from now on."""
        ...


def merged(base: Json, over: Json) -> Json:
    """Merge plain data as RFC 7386 has it: mappings key by key, None takes away, all else replaces."""
    if not isinstance(over, Mapping):
        return over
    result = dict(base) if isinstance(base, Mapping) else {}
    for key, value in over.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def mapping(form: Json, what: str) -> dict[str, Json]:
    """Return plain data that must be a mapping. Raises ConfigurationError."""
    if not isinstance(form, Mapping):
        raise ConfigurationError(f"{what} is a mapping of keys and values")
    return dict(form)
