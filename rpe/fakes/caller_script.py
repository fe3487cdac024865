"""A script that the caller brings along: it holds for that one call, and the server keeps nothing.

So one fake can serve many tests at once, each with troubles of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from rpe.data.json_value import parse_json
from rpe.errors import ConfigurationError, DataValidationError
from rpe.fakes.behaviour import Behaviour, parse_behaviour
from rpe.transport.ports import Metadata
from rpe.transport.serving import Refusal, ServerCall, StatusCode

__all__ = ["SCRIPT_KEY", "ReadScript", "caller_script", "script_of"]

SCRIPT_KEY = "rpe-fake-script"
"""The metadata key (gRPC) or header (HTTP) that carries the script, as JSON."""

ReadScript = Callable[[Mapping[str, Any]], Behaviour]
"""Reads a script for the wire that a fake is on. Raises ConfigurationError."""

_OF_THE_SERVER = (
    "token",
    "other_token",
    "recheck_token",
    "overload",
    "capacity",
    "health",
    "version",
    "http.idle_close_s",
)
"""What is the whole server's, and so no caller's: who is let in, how many, and what it says of itself."""


def caller_script(behaviour: Behaviour | Mapping[str, Any]) -> Metadata:
    """Return the pairs that carry a script, for the `metadata` of one call.

    Raises ConfigurationError where the script cannot be read, or has a part that is the server's.
    """
    script = behaviour if isinstance(behaviour, Behaviour) else parse_behaviour(behaviour)
    form = script.model_dump(mode="json", exclude_defaults=True)
    _refuse_parts_of_the_server(form)
    return ((SCRIPT_KEY, json.dumps(form, separators=(",", ":"))),)


def script_of(call: ServerCall, read: ReadScript | None) -> Behaviour | None:
    """Return the script that a call brings; None where it brings none, or the fake takes none (`read`).

    Raises Refusal (INVALID_ARGUMENT) where it cannot be read, or has a part that is the server's.
    """
    text = call.metadata.get(SCRIPT_KEY)
    if text is None or read is None:
        return None
    try:
        form = parse_json(text, SCRIPT_KEY)
        if not isinstance(form, Mapping):
            raise ConfigurationError("a behaviour is a mapping")
        _refuse_parts_of_the_server(form)
        return read(form)
    except (ConfigurationError, DataValidationError) as error:
        raise Refusal(StatusCode.INVALID_ARGUMENT, f"{SCRIPT_KEY}: {error.message}") from error


def _refuse_parts_of_the_server(form: Mapping[str, Any]) -> None:
    for path in _OF_THE_SERVER:
        part: Any = form
        for key in path.split("."):
            part = part.get(key) if isinstance(part, Mapping) else None
        if part is not None:
            raise ConfigurationError(f"{path} is the server's, and no caller's to set")
