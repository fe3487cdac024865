"""Taking what a client sent as its credentials out of errors that others worded.

A careless server, or a gateway before it, quotes the header that it was sent in its own error
text. No pattern finds a bare token there, but whoever sent it knows what to look for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final
from urllib.parse import quote

from rpe.errors import Downstream, RpeError, redact

__all__ = ["HIDDEN", "Secrets", "credentials"]

HIDDEN: Final = "[redacted]"

_SHORTEST: Final = 4
"""What is shorter is no secret, and hiding it would make texts unreadable."""

_PIECE: Final = 8
"""So many characters of the beginning are hidden as well: texts are cut off, and then end within a secret."""

_ENDS: Final = "\"',;&}"
"""Where `redact`, which does not know the secret, takes its end to be."""

_TEXTS: Final = ("message", "node", "hint", "error_type")


class Secrets:
    """Credentials that one client sends, known by their text. Its repr shows none."""

    __slots__ = ("_forms", "_known")

    def __init__(self, secrets: Iterable[str]) -> None:
        self._known = tuple(secret for secret in secrets if len(secret) >= _SHORTEST)
        self._forms: tuple[str, ...] | None = None

    def hide(self, text: str) -> str:
        """Return a text without them, as they are, percent-encoded, or written in JSON."""
        if self._forms is None:  # not before an error asks for it: one of these is made for each token
            self._forms = _forms(self._known)
        for form in self._forms:
            text = text.replace(form, HIDDEN)
        for form in self._forms:
            text = _without_ends(_without_beginnings(text, form), form)
        return text

    def cause(self, error: BaseException) -> BaseException | None:
        """Return an error as the cause of one of ours; None where it is foreign and its text holds one."""
        self.hide_in(error)
        return error if isinstance(error, RpeError) or not self._shows(error) else None

    def hide_in(self, error: BaseException) -> None:
        """Take them out of an error and of what caused it.

        Errors of rpe are mended; any other is let go of where its text holds a credential.
        """
        left, seen = [error], {id(error)}
        while left:
            found = left.pop()
            if isinstance(found, RpeError):
                self._mend(found)
            for link in ("__cause__", "__context__"):
                inner: BaseException | None = getattr(found, link)
                if inner is None or id(inner) in seen:
                    continue
                if not isinstance(inner, RpeError) and self._shows(inner):
                    setattr(found, link, None)
                else:
                    seen.add(id(inner))
                    left.append(inner)

    def _shows(self, error: BaseException) -> bool:
        text = f"{error} {error!r}"
        return redact(text) != text or self.hide(text) != text

    def _mend(self, error: RpeError) -> None:
        if not self._known:
            return
        for name in _TEXTS:
            text = getattr(error, name, None)
            if isinstance(text, str) and (clean := self.hide(text)) != text:
                setattr(error, name, clean)
        problems = getattr(error, "problems", None)
        if isinstance(problems, tuple):
            error.problems = tuple(self.hide(str(problem)) for problem in problems)  # type: ignore[attr-defined]
        error.args = tuple(self.hide(part) if isinstance(part, str) else part for part in error.args)
        behind: Downstream | None = getattr(error, "downstream", None)
        if behind is not None:
            mended = replace(
                behind,
                code=self.hide(behind.code),
                node=behind.node and self.hide(behind.node),
                endpoint=behind.endpoint and self.hide(behind.endpoint),
            )
            error.downstream = mended  # type: ignore[attr-defined]  # it has one, so it is of that class

    def __repr__(self) -> str:
        return f"Secrets({len(self._known)} of them)"


def credentials(header: str | None) -> tuple[str, ...]:
    """Return what is secret in the value of an `Authorization` header: it, and what follows its scheme."""
    return () if not header else (header, header.rpartition(" ")[2])


def _forms(secrets: Iterable[str]) -> tuple[str, ...]:
    forms = {
        form for secret in secrets for form in (secret, quote(secret, safe=""), secret.replace("/", "\\/"))
    }
    return tuple(sorted(forms, key=len, reverse=True))


def _without_beginnings(text: str, secret: str) -> str:
    if len(secret) <= _PIECE:
        return text
    beginning, at = secret[:_PIECE], 0
    while (at := text.find(beginning, at)) >= 0:
        end = at + _PIECE
        if text.startswith(HIDDEN, max(at - 1, 0)):  # it is our own mark that begins like the secret
            at = end
            continue
        while end < len(text) and end - at < len(secret) and text[end] == secret[end - at]:
            end += 1
        text = f"{text[:at]}{HIDDEN}{text[end:]}"
        at += len(HIDDEN)
    return text


def _without_ends(text: str, secret: str) -> str:
    """Take out what follows where `redact` has stopped within a secret."""
    if HIDDEN not in text:
        return text
    for at, sign in enumerate(secret):
        if sign in _ENDS:
            text = text.replace(HIDDEN + secret[at:], HIDDEN)
    return text
