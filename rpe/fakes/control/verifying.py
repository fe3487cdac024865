"""Expectations: what should have come to a fake, how often, and what came nearest to it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from rpe.errors import ConfigurationError
from rpe.fakes.control.controlled import Verdict, mapping

__all__ = ["Expectation", "judge", "misses_of", "read_expectation"]

T = TypeVar("T")

_COUNTS = ("exactly", "at_least", "at_most")
_CONDITIONS = ("equal", "contains", "regex", "present")
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Expectation:
    """So many calls of a method that fulfil all conditions; `highest` None is any number."""

    method: str | None
    fields: Mapping[str, Any]
    metadata: Mapping[str, Any]
    kind: str | None
    code: str | None
    lowest: int
    highest: int | None

    @property
    def wanted(self) -> str:
        """How many are wanted, in words."""
        if self.highest is None:
            return f"at least {self.lowest}"
        return f"exactly {self.lowest}" if self.highest == self.lowest else f"at most {self.highest}"


def read_expectation(form: Any, keys: Iterable[str]) -> Expectation:
    """Read `{method, fields, ..., exactly | at_least | at_most}`; without a count, one or more are wanted.

    `keys` are those that the fake at hand can judge by. Raises ConfigurationError.
    """
    given = mapping(form, "an expectation")
    known = {*keys, *_COUNTS}
    if unknown := given.keys() - known:
        raise ConfigurationError(
            f"an expectation here has no {', '.join(sorted(unknown))}",
            hint=f"it has {', '.join(sorted(known))}",
        )
    counts = {name: given[name] for name in _COUNTS if given.get(name) is not None}
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            raise ConfigurationError(f"{name}: it is a number, from 0")
    if len(counts) > 1:
        raise ConfigurationError(f"give one of {', '.join(_COUNTS)}")
    for name in ("method", "kind", "code"):
        if not isinstance(given.get(name, ""), str):
            raise ConfigurationError(f"{name}: it is a name")
    exactly, at_most = counts.get("exactly"), counts.get("at_most")
    return Expectation(
        given.get("method"),
        mapping(given.get("fields", {}), "fields"),
        mapping(given.get("metadata", {}), "metadata"),
        given.get("kind"),
        given.get("code"),
        exactly if exactly is not None else 0 if at_most is not None else counts.get("at_least", 1),
        exactly if exactly is not None else at_most,
    )


def judge(
    expectation: Expectation,
    candidates: Iterable[T],
    misses: Callable[[T], list[str]],
    named: Callable[[T], str],
) -> Verdict:
    """Count the candidates that miss nothing. Where the count is wrong, tell of the nearest in words."""
    found: list[T] = []
    nearest: tuple[int, T, str] | None = None
    seen = 0
    for candidate in candidates:
        seen += 1
        missed = misses(candidate)
        if not missed:
            found.append(candidate)
        elif nearest is None or len(missed) <= nearest[0]:  # the later of two that are equally near
            nearest = len(missed), candidate, "; ".join(missed)
    count = len(found)
    too_many = expectation.highest is not None and count > expectation.highest
    if count >= expectation.lowest and not too_many:
        return Verdict(True, count, expectation.wanted)
    what = expectation.method or "any method"
    if too_many:
        told = f"the last of them is {named(found[-1])}" if found else ""
    elif nearest is not None:
        told = f"nearest is {named(nearest[1])}: {nearest[2]}"
    elif seen:
        told = "no other call of it came"
    else:
        told = f"no call of {what} came at all"
    return Verdict(False, count, expectation.wanted, told)


def misses_of(conditions: Mapping[str, Any], form: Any) -> list[str]:
    """Return what plain data misses of conditions by dotted path, in words. Raises ConfigurationError."""
    return [missed for path, wanted in conditions.items() if (missed := _miss(path, wanted, form))]


def _miss(path: str, wanted: Any, form: Any) -> str | None:
    condition = wanted if isinstance(wanted, Mapping) else {"equal": wanted}
    if not condition or condition.keys() - set(_CONDITIONS):
        raise ConfigurationError(f"fields.{path}: a condition is a value, or has {', '.join(_CONDITIONS)}")
    value = _at(form, path)
    if (present := condition.get("present")) is not None and (value is not _MISSING) != present:
        return f"{path} is {'missing' if present else 'there'}"
    if value is _MISSING:
        return None if condition.keys() == {"present"} else f"there is no {path}"
    if "equal" in condition and value != condition["equal"]:
        return f"{path} is {value!r} and not {condition['equal']!r}"
    if "contains" in condition and not _contains(value, condition["contains"]):
        return f"{path} is {value!r}, without {condition['contains']!r}"
    if "regex" in condition and not _matches(path, condition["regex"], value):
        return f"{path} is {value!r} and does not match {condition['regex']!r}"
    return None


def _contains(value: Any, part: Any) -> bool:
    if isinstance(value, str):
        return isinstance(part, str) and part in value
    return isinstance(value, Mapping | list | tuple) and part in value


def _matches(path: str, pattern: Any, value: Any) -> bool:
    try:
        return re.search(pattern, str(value)) is not None
    except (re.error, TypeError) as error:
        raise ConfigurationError(f"fields.{path}.regex: {error}") from error


def _at(form: Any, path: str) -> Any:
    for part in path.split("."):
        if isinstance(form, Mapping) and part in form:
            form = form[part]
        elif isinstance(form, list | tuple) and part.isdigit() and int(part) < len(form):
            form = form[int(part)]
        else:
            return _MISSING
    return form
