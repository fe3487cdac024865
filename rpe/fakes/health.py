"""What health checks are told, now and over time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from rpe.clock import Clock
from rpe.errors import ConfigurationError

__all__ = ["SERVING_STATUSES", "HealthBoard", "HealthChange", "play", "read_timeline"]

SERVING_STATUSES = {"UNKNOWN": 0, "SERVING": 1, "NOT_SERVING": 2, "SERVICE_UNKNOWN": 3}
"""The statuses of `grpc.health.v1` by their names, with their numbers on the wire."""

_LONGEST_S = 86_400.0


class HealthBoard:
    """The status of each service, and of the server as a whole under the empty name.

    Each change reaches each watcher, also where several come before it has read the first one.
    """

    def __init__(self) -> None:
        self._statuses: dict[str, str] = {"": "SERVING"}
        self._watchers: dict[str, set[asyncio.Queue[str]]] = {}

    @property
    def statuses(self) -> Mapping[str, str]:
        """The statuses by the names of the services."""
        return dict(self._statuses)

    def status(self, service: str) -> str | None:
        """Return the status of a service; None where there is none of that name."""
        return self._statuses.get(service)

    def set(self, service: str | None, status: str) -> None:
        """Set the status of a service, or with None of all of them and of the server.

        Raises ConfigurationError where the service or the status does not exist.
        """
        status = status.upper()
        if status not in SERVING_STATUSES:
            raise ConfigurationError(
                f"{status} is no status of health", hint=f"it is one of {', '.join(SERVING_STATUSES)}"
            )
        if service is not None and service not in self._statuses:
            known = ", ".join(repr(name) for name in self._statuses)
            raise ConfigurationError(f"health knows no service {service!r}", hint=f"it knows {known}")
        for name in self._statuses if service is None else (service,):
            self._tell(name, status)

    def follow(self, services: Iterable[str]) -> None:
        """Know these services: a new one is SERVING, one that is gone is unknown to its watchers."""
        names = {"", *services}
        for gone in self._statuses.keys() - names:
            self._tell(gone, "SERVICE_UNKNOWN")
            del self._statuses[gone]
        for name in sorted(names - self._statuses.keys()):
            self._tell(name, "SERVING")

    async def watch(self, service: str) -> AsyncIterator[str]:
        """Yield the status of a service now, and then each other one that it gets. Never ends by itself."""
        changes: asyncio.Queue[str] = asyncio.Queue()
        watchers = self._watchers.setdefault(service, set())
        watchers.add(changes)
        try:
            last = self._statuses.get(service, "SERVICE_UNKNOWN")
            yield last
            while True:
                status = await changes.get()
                if status != last:
                    yield status
                last = status
        finally:
            watchers.discard(changes)
            if not watchers:
                self._watchers.pop(service, None)

    def _tell(self, service: str, status: str) -> None:
        self._statuses[service] = status
        for changes in self._watchers.get(service, ()):
            changes.put_nowait(status)


@dataclass(frozen=True, slots=True)
class HealthChange:
    """One change of a timeline: `at_s` seconds after its beginning; `service` None is all of them."""

    at_s: float
    status: str
    service: str | None = None


def read_timeline(form: Any, known: Iterable[str]) -> tuple[HealthChange, ...]:
    """Read `[{at_s, status, service}, ...]`; `known` are the statuses that there are.

    Raises ConfigurationError that says which change is wrong, and how.
    """
    if not isinstance(form, list) or not form:
        raise ConfigurationError("a timeline of health is a list of {at_s, status}, and not an empty one")
    statuses = tuple(known)
    changes = [_change(item, f"health[{at}]", statuses) for at, item in enumerate(form)]
    if any(later.at_s < earlier.at_s for earlier, later in pairwise(changes)):
        raise ConfigurationError("the changes of a timeline of health stand in the order of at_s")
    return tuple(changes)


def _change(item: Any, where: str, known: tuple[str, ...]) -> HealthChange:
    if not isinstance(item, Mapping) or not {"status"} <= item.keys() <= {"at_s", "status", "service"}:
        raise ConfigurationError(f"{where}: a change of health has status, and may have at_s and service")
    at_s, status, service = item.get("at_s", 0), item["status"], item.get("service")
    if isinstance(at_s, bool) or not isinstance(at_s, int | float) or not 0 <= at_s <= _LONGEST_S:
        raise ConfigurationError(f"{where}.at_s: it is a number of seconds, from 0 to {_LONGEST_S:.0f}")
    if not isinstance(status, str) or status.upper() not in known:
        raise ConfigurationError(f"{where}.status: it is one of {', '.join(known)}")
    if service is not None and not isinstance(service, str):
        raise ConfigurationError(f"{where}.service: it is the name of a service")
    return HealthChange(float(at_s), status.upper(), service)


async def play(
    timeline: Iterable[HealthChange], change: Callable[[str | None, str], None], clock: Clock
) -> None:
    """Make the changes of a timeline, each at its time from now; without those of services that are gone."""
    began_s = clock.now()
    for item in timeline:
        await clock.sleep_until(began_s + item.at_s)
        with suppress(ConfigurationError):
            change(item.service, item.status)
