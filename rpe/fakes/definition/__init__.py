"""Fakes of any gRPC service: descriptors instead of generated code, a definition in YAML, a server.

Importing this package is cheap: its names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rpe.fakes.definition.calls import Call
    from rpe.fakes.definition.details import Status
    from rpe.fakes.definition.fake import ProtoFake
    from rpe.fakes.definition.functions import CallInfo
    from rpe.fakes.definition.generating import Written, generate
    from rpe.fakes.definition.loading import Definitions, load_definitions, parse_definition
    from rpe.fakes.definition.problems import DefinitionInvalid
    from rpe.fakes.definition.scenarios import Scenarios

__all__ = [
    "Call",
    "CallInfo",
    "DefinitionInvalid",
    "Definitions",
    "ProtoFake",
    "Scenarios",
    "Status",
    "Written",
    "generate",
    "load_definitions",
    "parse_definition",
]

_HOMES = {
    "Call": "calls",
    "CallInfo": "functions",
    "DefinitionInvalid": "problems",
    "Definitions": "loading",
    "ProtoFake": "fake",
    "Scenarios": "scenarios",
    "Status": "details",
    "Written": "generating",
    "generate": "generating",
    "load_definitions": "loading",
    "parse_definition": "loading",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
