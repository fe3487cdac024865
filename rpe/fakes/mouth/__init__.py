"""A raw gRPC server on HTTP/2 frames: it breaks the wire in ways that a normal server never would.

Importing this package is cheap: its names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rpe.fakes.mouth.answers import brain_answer
    from rpe.fakes.mouth.call import RawCall
    from rpe.fakes.mouth.script import WireScript, parse_wire_script
    from rpe.fakes.mouth.server import RawGrpcServer

__all__ = ["RawCall", "RawGrpcServer", "WireScript", "brain_answer", "parse_wire_script"]

_HOMES = {
    "RawCall": "call",
    "RawGrpcServer": "server",
    "WireScript": "script",
    "brain_answer": "answers",
    "parse_wire_script": "script",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
