"""What a fault does, as frozen records: decided by a fault kind, carried out and undone by a world.

An action says what is to be done to one server or to the link before it; each can be
undone. A `Step` puts an action on the fault's own time axis. Most faults have all their
steps at offset zero; schedules (flapping, rolling restarts) have more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal

__all__ = [
    "Action",
    "CutLink",
    "CutSignalling",
    "ImpairmentKind",
    "Rebind",
    "SetBehaviour",
    "SetImpairment",
    "SetToxic",
    "Signal",
    "SignalKind",
    "Step",
    "Stream",
    "ToxicKind",
    "as_json",
    "has_effect",
    "needs_process",
    "switched_on",
]

Stream = Literal["upstream", "downstream"]
"""A direction in Toxiproxy's words: upstream is from the client to the server."""

ToxicKind = Literal["latency", "bandwidth", "slow_close", "timeout", "reset_peer", "slicer", "limit_data"]

ImpairmentKind = Literal[
    "loss", "burst_loss", "duplicate", "corruption", "bandwidth", "delay", "reorder", "partition"
]
"""What can be done to datagrams, in the words of `rpe.faults.relay.impairments`."""

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
class SetImpairment:
    """Put one impairment on the datagrams of a server; undone by taking it away.

    `attributes` are the settings of the relay's impairment, with units in their names.
    """

    needs_process: ClassVar[bool] = False
    server: str
    kind: ImpairmentKind
    stream: Stream
    attributes: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rebind:
    """Let the clients of a server send from new addresses, as when a NAT on the way forgets them.

    There is nothing to undo: the old addresses are gone for good.
    """

    needs_process: ClassVar[bool] = False
    server: str


@dataclass(frozen=True, slots=True)
class CutSignalling:
    """Cut the connection to a server and refuse new ones, while datagrams pass as before."""

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
    behaviour: Mapping[str, Any] = field(repr=False)


Action = SetToxic | CutLink | SetImpairment | Rebind | CutSignalling | Signal | SetBehaviour

TOXICS_OF_DATAGRAMS: tuple[ToxicKind, ...] = ("latency", "bandwidth")
"""The toxics that mean something to datagrams too, beside the one that discards everything."""


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


def has_effect(action: Action, *, datagrams: bool) -> bool:
    """Say whether an action does what it means on a wire whose data travels in datagrams, or on one without.

    Streams of bytes can be cut into slices, closed late or reset; datagrams can be lost one by one.
    """
    match action:
        case SetImpairment() | Rebind() | CutSignalling():
            return datagrams
        case SetToxic(kind=kind, attributes=attributes) if datagrams:
            discards = kind == "timeout" and attributes.get("timeout") == 0
            return kind in TOXICS_OF_DATAGRAMS or discards
        case _:
            return True


def as_json(step: Step) -> dict[str, Any]:
    """Return the step as plain JSON data, as a run's plan shows it."""
    action = step.action
    settings = {setting.name: getattr(action, setting.name) for setting in fields(action)}
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
