"""The `--filter` expression: which cells of the scenarios are meant.

Reads like the `-k` of pytest: words joined by `and`, `or`, `not` and parentheses; a word
is true where it is part of the scenario's name, its theme or one of its matrix values,
whatever the case. `not` binds closest, then `and`, then `or`.

    expression = conjunction { "or" conjunction }
    conjunction = negation { "and" negation }
    negation = "not" negation | "(" expression ")" | word
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable

from rpe.errors import ConfigurationError

__all__ = ["FilterError", "compile_filter"]

Matcher = Callable[[Collection[str]], bool]

_TOKEN = re.compile(r"\s*(?:(?P<parenthesis>[()])|(?P<word>[^\s()]+))")
_OPERATORS = frozenset({"and", "or", "not"})


class FilterError(ConfigurationError):
    """A filter expression cannot be read; the text shows where."""

    code = "filter"
    default_hint = "words, joined by and, or, not and parentheses: 'failover and not (grpc or slow)'"


def compile_filter(expression: str) -> Callable[[Iterable[str]], bool]:
    """Return a function that says whether the words of a cell match the expression.

    An empty expression matches everything. Raises FilterError, with the place of the
    mistake, where the expression cannot be read.
    """
    if not expression.strip():
        return lambda words: True
    try:
        matcher = _Parser(expression).parse()
    except RecursionError as error:
        raise FilterError("the filter cannot be read: it is nested too deeply") from error

    def matches(words: Iterable[str]) -> bool:
        return matcher([word.lower() for word in words])

    return matches


class _Parser:
    """One pass of recursive descent over the tokens of one expression."""

    def __init__(self, expression: str) -> None:
        self._expression = expression
        self._tokens = [(found.group().strip(), found.end()) for found in _TOKEN.finditer(expression)]
        self._next = 0

    def parse(self) -> Matcher:
        matcher = self._disjunction()
        if self._next < len(self._tokens):
            raise self._error("expected 'and' or 'or' before")
        return matcher

    def _disjunction(self) -> Matcher:
        parts = [self._conjunction()]
        while self._take("or"):
            parts.append(self._conjunction())
        return parts[0] if len(parts) == 1 else lambda words: any(part(words) for part in parts)

    def _conjunction(self) -> Matcher:
        parts = [self._negation()]
        while self._take("and"):
            parts.append(self._negation())
        return parts[0] if len(parts) == 1 else lambda words: all(part(words) for part in parts)

    def _negation(self) -> Matcher:
        if self._take("not"):
            inner = self._negation()
            return lambda words: not inner(words)
        if self._take("("):
            inner = self._disjunction()
            if not self._take(")"):
                raise self._error("expected ')'")
            return inner
        token = self._peek()
        if token is None or token == ")" or token.lower() in _OPERATORS:
            raise self._error("expected a word")
        self._next += 1
        needle = token.lower()
        return lambda words: any(needle in word for word in words)

    def _peek(self) -> str | None:
        return self._tokens[self._next][0] if self._next < len(self._tokens) else None

    def _take(self, token: str) -> bool:
        found = self._peek()
        if found is None or found.lower() != token:
            return False
        self._next += 1
        return True

    def _error(self, expected: str) -> FilterError:
        if self._next < len(self._tokens):
            token, end = self._tokens[self._next]
            where = f"{token!r} at character {end - len(token) + 1}"
            message = f"{expected} {where}" if expected.endswith("before") else f"{expected}, found {where}"
        else:
            message = f"{expected}, found the end"
        return FilterError(f"the filter {self._expression!r} cannot be read: {message}")
