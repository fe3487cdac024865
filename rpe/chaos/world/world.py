"""The port of a world: servers by name, actions applied and undone, and the proof that they acted."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from rpe.faults.actions import Action

__all__ = ["Evidence", "JournalLine", "Means", "World"]


class Means(enum.StrEnum):
    """By what it can be told that an action acted.

    OBSERVED: the world saw it itself, and `Evidence.count` says how often.
    TRAFFIC: by what reached the server, or was tried at it, meanwhile.
    FAILURES: by what failed at the server meanwhile.
    SCRIPTED: by what the server's journal says its script did meanwhile.
    """

    OBSERVED = "observed"
    TRAFFIC = "traffic"
    FAILURES = "failures"
    SCRIPTED = "scripted"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a world knows of the acting of one action, over all the times it was applied.

    `spans` are the times it was in force, from and to, on the monotonic clock. `count` is
    what the world saw itself; the history adds what `means` names.
    """

    server: str
    means: Means
    spans: tuple[tuple[float, float], ...] = ()
    count: int = 0
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JournalLine:
    """One line of a server's journal: its time on the monotonic clock, and its fields."""

    server: str
    kind: str
    at_s: float
    fields: Mapping[str, Any]


class World(Protocol):
    """The servers of one run. Entering starts them, leaving stops them and takes everything back."""

    @property
    def endpoints(self) -> Mapping[str, str]:
        """The address of each server as the client sees it, by name."""
        ...

    async def apply(self, key: str, action: Action) -> bool:
        """Apply an action under a name of the caller's choice; say whether a read-back confirmed it.

        Returns False where the world cannot read back. Raises an RpeError where it failed
        or was not confirmed; it may then be in force all the same, so undo it.
        """
        ...

    async def undo(self, key: str) -> None:
        """Undo what was applied under that name, and read back that it is gone.

        Harmless where nothing is applied under it. Raises an RpeError where it may still be in force.
        """
        ...

    def active(self) -> tuple[str, ...]:
        """Return the names of all actions that are in force now, or may be."""
        ...

    async def evidence(self, key: str) -> Evidence | None:
        """Return what is known of the acting of what was applied under a name; None for a name never used."""
        ...

    async def journal(self) -> Sequence[JournalLine]:
        """Return what the servers wrote since the run began, in order of time."""
        ...
