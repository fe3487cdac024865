"""Fake pipeline servers: one brain that follows a script and remembers everything, a mouth per wire.

Importing this package is cheap: its names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rpe.fakes.behaviour import Behaviour, parse_behaviour
    from rpe.fakes.brain import Brain
    from rpe.fakes.handle import FakeHandle
    from rpe.fakes.journal import Entry, Journal, Kind
    from rpe.fakes.nodes import NodeCall, NodeFailed, node
    from rpe.fakes.process import FakeProcess
    from rpe.fakes.server import FakeServer

__all__ = [
    "Behaviour",
    "Brain",
    "Entry",
    "FakeHandle",
    "FakeProcess",
    "FakeServer",
    "Journal",
    "Kind",
    "NodeCall",
    "NodeFailed",
    "node",
    "parse_behaviour",
]

_HOMES = {
    "Behaviour": "behaviour",
    "Brain": "brain",
    "Entry": "journal",
    "FakeHandle": "handle",
    "FakeProcess": "process",
    "FakeServer": "server",
    "Journal": "journal",
    "Kind": "journal",
    "NodeCall": "nodes",
    "NodeFailed": "nodes",
    "node": "nodes",
    "parse_behaviour": "behaviour",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
