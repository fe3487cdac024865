"""What a source of tokens is, what a token may be made of, and the simplest source."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from rpe.errors import ConfigurationError

__all__ = ["FixedToken", "TokenSource", "as_token_source", "check_token"]

_HINT = "give the token alone, without the word Bearer"


@runtime_checkable
class TokenSource(Protocol):
    """Where the token of each call comes from. One source may serve many clients of one event loop.

    A source of your own fills these two; let neither its text nor its repr hold a token.
    """

    async def token(self) -> str:
        """Return the token to send now, fetched or refreshed where that is due.

        May be cancelled at any wait, and is at the deadline of the call that asks.
        Raises AuthenticationFailed or ConfigurationError where there is none.
        """
        ...

    def refused(self, token: str) -> bool:
        """Learn that a server refused this token; return whether `token` may give another one now."""
        ...


class FixedToken:
    """A token that is given once. A client sends it as cheaply as it would no token.

    Raises ConfigurationError where it cannot be sent as a bearer token.
    """

    __slots__ = ("value",)

    def __init__(self, value: str) -> None:
        self.value = check_token(value, "the token")

    async def token(self) -> str:
        """Return it."""
        return self.value

    def refused(self, token: str) -> bool:
        """Return False: there is no other."""
        return False

    def __repr__(self) -> str:
        return "FixedToken(...)"


def as_token_source(token: str | TokenSource | None) -> TokenSource | None:
    """Return the source of what a transport's `token` setting holds, None where it holds nothing.

    Raises ConfigurationError where it is neither a token nor a source of them.
    """
    if token is None:
        return None
    if isinstance(token, str):
        return FixedToken(token)
    if not isinstance(token, TokenSource):
        raise ConfigurationError(
            f"token is of type {type(token).__name__}",
            hint="give a text, or a source such as FileToken, EnvironmentToken or FetchedToken",
        )
    return token


def check_token(value: object, where: str) -> str:
    """Return a token that can be sent: printable ASCII without whitespace (RFC 6750, section 2.1).

    Raises ConfigurationError that names `where` it came from, and never what it holds.
    """
    if not isinstance(value, str):
        raise ConfigurationError(f"{where} is of type {type(value).__name__}, not text")
    if not value:
        raise ConfigurationError(f"{where} is empty")
    if any(not "!" <= sign <= "~" for sign in value):
        raise ConfigurationError(
            f"{where} holds whitespace, or signs that are not printable ASCII", hint=_HINT
        )
    return value
