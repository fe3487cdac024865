"""The params of a node: declared once, then read with every problem told, each with its path."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["AnyParams", "Param", "ParamReader", "Params", "flag", "integer", "number", "text"]

_REQUIRED: Any = object()


class ParamReader(Protocol):
    """Whatever makes settings out of the params of a manifest's node."""

    def read(self, raw: Mapping[str, Any], where: str) -> tuple[Any, list[str]]:
        """Return the settings and every problem, a sentence each that begins with a path below `where`.

        The settings are used only where there is no problem. A problem tells no value that could be secret.
        """
        ...


@dataclass(frozen=True, slots=True)
class Param:
    """One param: its name, the kind of its value, its default (none: it must be given), and its limits.

    least, most: the bounds of a number, both allowed; of a text, those of its length in characters.
    """

    name: str
    kind: str
    default: Any
    least: float | None = None
    most: float | None = None

    def problem(self, value: Any) -> str:
        """What is wrong with the value, or nothing."""
        if self.kind == "flag":
            return "" if isinstance(value, bool) else f"must be true or false, not {_type(value)}"
        if self.kind == "text":
            return self._limits(len(value), " characters") if isinstance(value, str) else self._not(value)
        whole = self.kind == "integer"
        fits = isinstance(value, int) if whole else isinstance(value, int | float)
        if not fits or isinstance(value, bool):
            return self._not(value)
        return self._limits(value, "") if math.isfinite(value) else f"must be finite, not {value}"

    def _not(self, value: Any) -> str:
        article = "an" if self.kind == "integer" else "a"
        return f"must be {article} {self.kind}, not {_type(value)}"

    def _limits(self, amount: float, unit: str) -> str:
        if self.least is not None and amount < self.least:
            return f"must be at least {self.least:g}{unit}, not {amount:g}"
        if self.most is not None and amount > self.most:
            return f"must be at most {self.most:g}{unit}, not {amount:g}"
        return ""


def number(
    name: str, default: Any = _REQUIRED, *, least: float | None = None, most: float | None = None
) -> Param:
    """A finite number."""
    return Param(name, "number", default, least, most)


def integer(
    name: str, default: Any = _REQUIRED, *, least: int | None = None, most: int | None = None
) -> Param:
    """A whole number."""
    return Param(name, "integer", default, least, most)


def text(name: str, default: Any = _REQUIRED, *, least: int | None = None, most: int | None = None) -> Param:
    """A text, of `least` to `most` characters."""
    return Param(name, "text", default, least, most)


def flag(name: str, default: Any = _REQUIRED) -> Param:
    """True or false."""
    return Param(name, "flag", default)


class Params:
    """The params that a node knows; it takes no others."""

    def __init__(self, *params: Param) -> None:
        self._params = {param.name: param for param in params}

    def read(self, raw: Mapping[str, Any], where: str) -> tuple[Mapping[str, Any], list[str]]:
        """Return every param by its name, defaults filled in, and the problems."""
        known = ", ".join(self._params) or "none"
        problems = [f"{where}.{name} is unknown (known: {known})" for name in raw if name not in self._params]
        values = {}
        for name, param in self._params.items():
            value = values[name] = raw.get(name, param.default)
            if value is _REQUIRED:
                problems.append(f"{where}.{name} is missing")
            elif name in raw and (problem := param.problem(value)):
                problems.append(f"{where}.{name} {problem}")
        return values, problems


class AnyParams:
    """Takes whatever is given, as it is: for nodes that look at their params themselves."""

    def read(self, raw: Mapping[str, Any], where: str) -> tuple[Mapping[str, Any], list[str]]:
        """Return the params, and no problem."""
        return raw, []


def _type(value: Any) -> str:
    return "null" if value is None else type(value).__name__
