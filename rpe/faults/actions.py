"""What a fault does, as frozen records: decided by a fault kind, carried out and undone by a world.

An action says what is to be done to one server or to the link before it; each can be
undone. A `Step` puts an action on the fault's own time axis. Most faults have all their
steps at offset zero; schedules (flapping, rolling restarts) have more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

__all__ = [
    "Action",
    "CutLink",
    "SetBehaviour",
    "SetToxic",
    "Signal",
    "SignalKind",
    "Step",
    "Stream",
    "ToxicKind",
    "as_json",
    "needs_process",
    "switched_on",
]

Stream = Literal["upstream", "downstream"]
"""A direction in Toxiproxy's words: upstream is from the client to the server."""

ToxicKind = Literal["latency", "bandwidth", "slow_close", "timeout", "reset_peer", "slicer", "limit_data"]

SignalKind = Literal["kill", "pause", "stop"]
"""`kill` is SIGKILL, `pause` is SIGSTOP, `stop` is SIGTERM with the time to end in good order."""


@dataclass(frozen=True, slots=True)
class SetToxic:
    """Put one toxic on the link of a server; undone by removing it.

    `attributes` are in Toxiproxy's units, made by `rpe.faults.toxics` and nowhere else.
    `toxicity` is 1 or 0, never between: a proxy's own dice cannot be replayed.
    """

    needs_process: ClassVar[bool] = False
    server: str
    kind: ToxicKind
    stream: Stream
    attributes: Mapping[str, int] = field(default_factory=dict)
    toxicity: float = 1.0


@dataclass(frozen=True, slots=True)
class CutLink:
    """Take the listener of a server's link away: connections drop, new ones are refused."""

    needs_process: ClassVar[bool] = False
    server: str


@dataclass(frozen=True, slots=True)
class Signal:
    """Send a signal to a server's process; undone by starting or continuing it."""

    needs_process: ClassVar[bool] = True
    server: str
    what: SignalKind


@dataclass(frozen=True, slots=True)
class SetBehaviour:
    """Give a scripted server another script; undone by giving the earlier one back."""

    needs_process: ClassVar[bool] = False
    server: str
    behaviour: Mapping[str, Any]


Action = SetToxic | CutLink | Signal | SetBehaviour


@dataclass(frozen=True, slots=True)
class Step:
    """At `offset_s` seconds after the fault began, an action is applied (`on`) or undone.

    `key` names the action within its fault; the step that undoes it carries the same key.
    """

    offset_s: float
    key: str
    action: Action
    on: bool = True


def switched_on(actions: Iterable[Action], *, offset_s: float = 0.0) -> tuple[Step, ...]:
    """Return steps that apply every action at one moment, keyed by their position."""
    return tuple(Step(offset_s, str(index), action) for index, action in enumerate(actions))


def needs_process(steps: Iterable[Step]) -> bool:
    """Say whether any of the steps can only be done to a server in a process of its own."""
    return any(step.action.needs_process for step in steps)


def as_json(step: Step) -> dict[str, Any]:
    """Return the step as plain JSON data, as a run's plan shows it."""
    action = step.action
    names = type(action).__dataclass_fields__
    settings = {name: getattr(action, name) for name in names if name != "needs_process"}
    settings = {
        name: dict(value) if isinstance(value, Mapping) else value for name, value in settings.items()
    }
    return {
        "offset_s": step.offset_s,
        "key": step.key,
        "on": step.on,
        "action": type(action).__name__,
        **settings,
    }
