"""What a test expects to be called, and the telling of what came in its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from rpe.errors import ConfigurationError, redact
from rpe.fakes.caller_script import SCRIPT_KEY
from rpe.testing.calls import Call

__all__ = ["Check", "Expectation", "ExpectationsUnmet", "Wanted", "checks"]

_SHOWN = 3
"""So many near misses are told of each expectation."""

_UNSPOKEN = {"authorization", "cookie", "proxy-authorization", "x-api-key", SCRIPT_KEY}
"""Metadata whose values are told to nobody."""


class ExpectationsUnmet(AssertionError):
    """Raised by `verify`: expectations that were not met, with what came nearest, and handlers that broke."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is wanted of a call. `got` says what the call had in its place."""

    field: str
    wanted: str
    fits: Callable[[Call], bool]
    got: Callable[[Call], str]

    def miss(self, call: Call) -> str:
        """Say how a call differs."""
        return f"{self.field}: wanted {self.wanted}, got {self.got(call)}"


class Wanted(TypedDict, total=False):
    """What `FakePipeline.expect` can be told of a call; all that is given has to fit."""

    node_type: str
    method: str
    text: str
    text_contains: str
    text_matches: str
    params: Mapping[str, Any]
    metadata: Mapping[str, str]
    operation_id: str
    attempt: int
    where: Callable[[Call], bool]


class Expectation:
    """So many calls that fit all of its checks, from when it was made on. Made by `FakePipeline.expect`.

    Attributes:
        at_least, at_most: how many; at_most is None where there may be any number more.
        after: the number of the last call that came before it.
    """

    def __init__(self, wanted: Sequence[Check], at_least: int, at_most: int | None, after: int) -> None:
        self.at_least = at_least
        self.at_most = at_most
        self.after = after
        self._checks = tuple(wanted)

    def fits(self, call: Call) -> bool:
        """Whether a call is one of those that are meant, whenever it came."""
        return all(check.fits(call) for check in self._checks)

    def problem(self, calls: Iterable[Call]) -> str:
        """Say what is wrong, with what came nearest; empty where the expectation is met."""
        all_calls = list(calls)
        seen = [call for call in all_calls if call.number > self.after]
        fitting = [call for call in seen if self.fits(call)]
        if self.at_least <= len(fitting) and (self.at_most is None or len(fitting) <= self.at_most):
            return ""
        lines = [f"expected {self}: {len(fitting)} came, of {_calls(len(seen))} in all"]
        if len(fitting) < self.at_least:
            lines += self._nearest([call for call in seen if call not in fitting])
            early = sum(self.fits(call) for call in all_calls if call.number <= self.after)
            if early:
                lines.append(f"  {_calls(early)} like it came before it was expected")
        else:
            lines += [f"  it was {call}" for call in fitting[-_SHOWN:]]
        return "\n".join(lines)

    def _nearest(self, calls: list[Call]) -> list[str]:
        """Tell of the calls that miss the fewest checks; of several alike, of the newest."""
        misses = [(call, [check for check in self._checks if not check.fits(call)]) for call in calls]
        misses.sort(key=lambda miss: (len(miss[1]), -miss[0].number))
        lines: list[str] = []
        for call, missed in misses[:_SHOWN]:
            lines.append(f"  nearest: {call}" if not lines else f"  then: {call}")
            lines += [f"    {check.miss(call)}" for check in missed]
        return lines

    def __str__(self) -> str:
        told = " and ".join(f"{check.field} {check.wanted}" for check in self._checks)
        return f"{_how_many(self.at_least, self.at_most)}{f' with {told}' if told else ''}"

    def __repr__(self) -> str:
        return f"<Expectation: {self}>"


def checks(
    *,
    node_type: str | None = None,
    method: str | None = None,
    text: str | None = None,
    text_contains: str | None = None,
    text_matches: str | None = None,
    params: Mapping[str, Any] | None = None,
    metadata: Mapping[str, str] | None = None,
    operation_id: str | None = None,
    attempt: int | None = None,
    where: Callable[[Call], bool] | None = None,
) -> list[Check]:
    """Return what is wanted of a call, as `FakePipeline.expect` is told it.

    Raises ConfigurationError where the regular expression, or the method, is none.
    """
    if method not in (None, "execute", "stream"):
        raise ConfigurationError(f"there is no method {method!r}", hint="it is execute or stream")
    wanted: list[Check] = []
    if node_type is not None:
        wanted.append(
            Check(
                "node_type",
                repr(node_type),
                lambda call: node_type in call.node_types,
                lambda call: ", ".join(map(repr, call.node_types)),
            )
        )
    if method is not None:
        wanted.append(_equal("method", method, lambda call: call.method))
    if text is not None:
        wanted.append(_text(f"{text!r}", lambda given: given == text))
    if text_contains is not None:
        wanted.append(_text(f"one containing {text_contains!r}", lambda given: text_contains in given))
    if text_matches is not None:
        try:
            pattern = re.compile(text_matches)
        except re.error as error:
            raise ConfigurationError(f"text_matches is no regular expression: {error}") from error
        wanted.append(
            _text(f"one matching /{text_matches}/", lambda given: pattern.search(given) is not None)
        )
    wanted += [_param(key, value, node_type) for key, value in (params or {}).items()]
    wanted += [_pair(key.lower(), value) for key, value in (metadata or {}).items()]
    if operation_id is not None:
        wanted.append(_equal("operation_id", operation_id, lambda call: call.operation_id))
    if attempt is not None:
        wanted.append(_equal("attempt", attempt, lambda call: call.attempt))
    if where is not None:
        name = getattr(where, "__name__", "where")
        wanted.append(Check("where", f"{name} to hold", where, lambda call: "that it does not"))
    return wanted


def _equal(field: str, value: object, read: Callable[[Call], object]) -> Check:
    return Check(field, repr(value), lambda call: read(call) == value, lambda call: repr(read(call)))


def _text(wanted: str, fits: Callable[[str], bool]) -> Check:
    def got(call: Call) -> str:
        return ", ".join(_brief(text) for text in call.texts[-_SHOWN:]) or "no text"

    return Check("text", wanted, lambda call: any(map(fits, call.texts)), got)


def _param(key: str, value: object, node_type: str | None) -> Check:
    """Return a check of a parameter: of the nodes of the type, where one is wanted, else of any node."""

    def given(call: Call) -> list[object]:
        nodes = (node for node in call.manifest.nodes if node_type in (None, node.node_type))
        return [node.params[key] for node in nodes if key in node.params]

    def got(call: Call) -> str:
        return ", ".join(map(_brief, given(call))) or "none of that name"

    return Check(f"params.{key}", repr(value), lambda call: value in given(call), got)


def _pair(key: str, value: str) -> Check:
    def got(call: Call) -> str:
        if key not in call.metadata:
            return "none"
        return "another" if key in _UNSPOKEN else _brief(call.metadata[key])

    wanted = "the one expected" if key in _UNSPOKEN else repr(value)
    return Check(f"metadata.{key}", wanted, lambda call: call.metadata.get(key) == value, got)


def _brief(value: object, most: int = 80) -> str:
    shown = redact(repr(value))
    return shown if len(shown) <= most else f"{shown[: most - 3]}..."


def _how_many(at_least: int, at_most: int | None) -> str:
    if at_most == 0:
        return "no call"
    if at_least == at_most:
        return _calls(at_least)
    return f"at least {_calls(at_least)}" if at_most is None else f"{at_least} to {_calls(at_most)}"


def _calls(number: int) -> str:
    return "1 call" if number == 1 else f"{number} calls"
