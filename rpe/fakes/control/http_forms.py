"""Bodies, numbers and answers of the control API."""

from __future__ import annotations

import json
import math
from typing import Any

from aiohttp import web

from rpe.errors import ConfigurationError
from rpe.lined_yaml import LinedYamlError, load_lined

__all__ = ["LONGEST_WAIT_S", "Refused", "answer", "body", "nothing", "number", "refusal", "seconds"]

LONGEST_WAIT_S = 60.0


class Refused(Exception):
    """A request is answered with a status of HTTP, a text, and what to do about it."""

    def __init__(self, status: int, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.hint = hint


async def body(request: web.Request) -> Any:
    """Return the plain data of a body: JSON, or YAML where it says so or says nothing of JSON.

    Raises ConfigurationError that tells the line.
    """
    raw = await request.read()
    kind = request.headers.get("Content-Type", "").lower()
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"the body is not UTF-8 text: {error.reason} at byte {error.start}"
        ) from error
    if not text.strip():
        raise ConfigurationError("the body is empty")
    if "yaml" not in kind:
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            if "json" in kind:
                line = f" in line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
                raise ConfigurationError(f"the body is not JSON{line}") from None
    try:
        return load_lined(text).data
    except (LinedYamlError, RecursionError) as error:
        raise ConfigurationError(f"the body is neither JSON nor YAML: {error}") from None


def number(text: str | None, name: str, default: int) -> int:
    """Read a whole number from a query. Raises ConfigurationError."""
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise ConfigurationError(f"{name}: it is a whole number, from 0")
    return int(text)


def seconds(text: str | None, name: str) -> float:
    """Read a time to wait from a query; 0 where there is none. Raises ConfigurationError."""
    try:
        value = float(text or 0)
    except ValueError:
        value = math.nan
    if not 0 <= value <= LONGEST_WAIT_S:
        raise ConfigurationError(f"{name}: it is a number of seconds, from 0 to {LONGEST_WAIT_S:.0f}")
    return value


def answer(form: Any, status: int = 200) -> web.Response:
    """Answer with JSON, one readable line after the other."""
    return web.json_response(form, status=status, dumps=lambda data: json.dumps(data, indent=2) + "\n")


def nothing() -> web.Response:
    """Answer that it is done."""
    return web.Response(status=204)


def refusal(status: int, error: str, hint: str = "") -> web.Response:
    """Answer with what is wrong, and what to do about it."""
    return answer({"error": error, "hint": hint}, status)
