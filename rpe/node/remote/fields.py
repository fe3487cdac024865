"""Reads one object of params, key by key; every problem is kept, with its path and without the value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

__all__ = ["Fields"]


class Fields:
    """The keys of one object in the params. What is null counts as left out.

    Arguments:
        raw: the object, of any type: it may come from anybody's JSON.
        where: its path.
        problems: where the problems go.
    """

    def __init__(self, raw: Any, where: str, problems: list[str]) -> None:
        self.where = where
        self.problems = problems
        self._known: dict[str, None] = {}
        if not isinstance(raw, Mapping):
            self.problems.append(f"{where} must be an object, not {_type(raw)}")
            raw = {}
        self.raw: Mapping[str, Any] = raw

    def __contains__(self, name: str) -> bool:
        return self.raw.get(name) is not None

    def know(self, *names: str) -> None:
        """Take keys for known that somebody else reads."""
        self._known |= dict.fromkeys(names)

    def one_of(self, *names: str) -> tuple[str, Any]:
        """The value that stands under one of these spellings, and its path; None where there is none."""
        self.know(*names)
        given = [name for name in names if name in self]
        if len(given) > 1:
            self.tell(given[0], f"and {' and '.join(given[1:])} say the same thing: give one of them")
        return (
            (f"{self.where}.{given[0]}", self.raw[given[0]]) if given else (f"{self.where}.{names[0]}", None)
        )

    def tell(self, name: str, problem: str) -> None:
        """Keep a problem of a key."""
        self.problems.append(f"{self.where}.{name} {problem}")

    def number(
        self,
        *names: str,
        default: float,
        least: float | None = None,
        above: float | None = None,
        most: float | None = None,
        whole: bool = True,
    ) -> float:
        """A number, whole unless said otherwise."""
        path, value = self.one_of(*names)
        if value is None:
            return default
        fits = isinstance(value, int) or (not whole and isinstance(value, float) and math.isfinite(value))
        if not fits or isinstance(value, bool):
            wanted = "a whole number" if whole else "a finite number"
            self.problems.append(f"{path} must be {wanted}, not {_type(value)}")
            return default
        limits = [
            *([] if least is None or value >= least else [f"at least {least:g}"]),
            *([] if above is None or value > above else [f"above {above:g}"]),
            *([] if most is None or value <= most else [f"at most {most:g}"]),
        ]
        if limits:
            self.problems.append(f"{path} must be {limits[0]}, not {value}")
            return default
        return float(value)

    def integer(self, *names: str, default: int, least: int | None = None, most: int | None = None) -> int:
        """A whole number."""
        return int(self.number(*names, default=default, least=least, most=most))

    def ms(self, *names: str, default_s: float, least: int = 1, most: int | None = None) -> float:
        """A time that is written in whole milliseconds, in seconds."""
        return self.number(*names, default=default_s * 1000, least=least, most=most) / 1000

    def text(self, *names: str) -> str | None:
        """A text that is not blank."""
        path, value = self.one_of(*names)
        if value is None:
            return None
        if not isinstance(value, str) or not value.strip():
            self.problems.append(f"{path} must be a text{' that is not blank' * isinstance(value, str)}")
            return None
        return value

    def choice(self, *names: str, among: tuple[str, ...], default: str) -> str:
        """One of some words, in any case."""
        path, value = self.one_of(*names)
        if value is None:
            return default
        word = value.lower() if isinstance(value, str) else None
        if word not in among:
            self.problems.append(f"{path} must be one of {', '.join(among)}")
            return default
        return word

    def flag(self, *names: str, default: bool) -> bool:
        """True or false."""
        path, value = self.one_of(*names)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.problems.append(f"{path} must be true or false, not {_type(value)}")
            return default
        return value

    def object(self, *names: str) -> Fields | None:
        """An object, to be read key by key."""
        path, value = self.one_of(*names)
        return None if value is None else Fields(value, path, self.problems)

    def list(self, *names: str) -> list[tuple[str, Any]]:
        """The items of a list, each with its path."""
        path, value = self.one_of(*names)
        if value is None:
            return []
        if not isinstance(value, list | tuple):
            self.problems.append(f"{path} must be a list, not {_type(value)}")
            return []
        return [(f"{path}[{index}]", item) for index, item in enumerate(value)]

    def end(self) -> None:
        """Tell every key that nobody asked for."""
        known = ", ".join(sorted(self._known))
        for name in self.raw:
            if name not in self._known:
                shown = name if name.isprintable() else repr(name)
                self.problems.append(f"{self.where}.{shown[:40]} is unknown (known: {known})")


def _type(value: Any) -> str:
    return "null" if value is None else type(value).__name__
