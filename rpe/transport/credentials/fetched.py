"""A token that a function fetches, kept until it is about to expire or is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from rpe.clock import SYSTEM_CLOCK, Clock
from rpe.errors import AuthenticationFailed, ConfigurationError, RpeError
from rpe.transport.credentials.source import check_token

__all__ = ["FetchedToken", "Token"]

_FOR_EVER: Final = float("inf")
_HINT: Final = "see to what gives the tokens out: no server was asked"


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it was given out; `expires_in_s` seconds from then it is of no more use."""

    value: str = field(repr=False)
    expires_in_s: float


class FetchedToken:
    """Fetches the token at the first call, and again before it expires or once it was refused.

    However many calls wait, one of them fetches and the others wait for it. Where that one
    is cancelled, the next one begins anew; no task is made. While the old token is still good,
    only the call that finds a refresh due waits for it, and a refresh that fails changes
    nothing but the time of the next one.

    Arguments:
        fetch: gives a text, which is kept until it is refused, or a `Token`. What it raises is
            told by its type alone, since its text may hold anything; an error of rpe is told as it is.
        refresh_before_s: how long before its end a token is replaced, in seconds; at most half
            of its life.
        timeout_s: how long one fetch may take.
        pause_s: the least time from a fetch that failed to the next one; calls that need it
            in between fail with the same error.
        clock: the time by which tokens expire.

    One source serves the clients of one event loop.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[str | Token]],
        *,
        refresh_before_s: float = 30.0,
        timeout_s: float = 10.0,
        pause_s: float = 1.0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        if not callable(fetch):
            raise ConfigurationError("fetch cannot be called", hint="give an async function")
        for name, value in (("refresh_before_s", refresh_before_s), ("pause_s", pause_s)):
            if not value >= 0:
                raise ConfigurationError(f"{name} is {value}, but must not be negative")
        if not timeout_s > 0:
            raise ConfigurationError(f"timeout_s is {timeout_s}, but must be above 0")
        self._fetch = fetch
        self._refresh_before_s = refresh_before_s
        self._timeout_s = timeout_s
        self._pause_s = pause_s
        self._clock = clock
        self._turn = asyncio.Lock()
        self._value: str | None = None
        self._expires_s = _FOR_EVER
        self._due_s = _FOR_EVER
        self._failure: AuthenticationFailed | None = None
        self._not_before_s = -_FOR_EVER
        self._replaces_refused = False
        self._refusable_s = -_FOR_EVER

    async def token(self) -> str:
        """Return the token, fetching it where that is due.

        Raises AuthenticationFailed where there is none and none could be fetched.
        """
        now_s = self._clock.now()
        if (value := self._good(now_s)) is not None:
            if now_s < self._due_s or self._turn.locked():
                return value
            return await self._refresh(value)
        async with self._turn:
            # Whoever held the turn before may have got one, or failed for all who waited.
            now_s = self._clock.now()
            if (value := self._good(now_s)) is not None:
                return value
            if self._failure is not None and now_s < self._not_before_s:
                raise _again(self._failure)
            return await self._replace()

    def refused(self, token: str) -> bool:
        """Drop a token that a server refused, so that the next call fetches another one.

        Returns False where the token was itself fetched in place of a refused one, less than
        `pause_s` ago: a server that takes no token at all would otherwise make every call a fetch.
        """
        if token != self._value:
            return True
        if self._clock.now() < self._refusable_s:
            return False
        self._value = None
        self._replaces_refused = True
        return True

    def _good(self, now_s: float) -> str | None:
        return self._value if now_s < self._expires_s else None

    async def _refresh(self, value: str) -> str:
        """Replace a token that is still good; where that fails, return the old one.

        A call that is cancelled here has put off the refresh, so that a fetch that hangs
        does not take one call after the other with it.
        """
        async with self._turn:
            self._due_s = self._clock.now() + self._pause_s
            try:
                return await self._replace()
            except AuthenticationFailed:
                return self._good(self._clock.now()) or value

    async def _replace(self) -> str:
        """Fetch a token and keep it. The turn is the caller's. Raises AuthenticationFailed."""
        asked_s = self._clock.now()
        error: AuthenticationFailed
        try:
            async with self._clock.deadline(asked_s + self._timeout_s):
                given = await self._fetch()
            return self._keep(given, asked_s)
        except TimeoutError:
            late = self._clock.now() >= asked_s + self._timeout_s
            error = _failed(f"it took longer than {self._timeout_s:g} s" if late else "TimeoutError")
        except RpeError as told:
            error = _failed(told.message)
        except Exception as foreign:
            error = _failed(type(foreign).__name__)
        # Raised out here, so that nothing of the foreign error hangs on it.
        self._failure = error
        self._not_before_s = self._clock.now() + self._pause_s
        raise _again(error)

    def _keep(self, given: object, asked_s: float) -> str:
        """Keep what was fetched; its life is counted from the asking, which is the safe side."""
        life_s = given.expires_in_s if isinstance(given, Token) else _FOR_EVER
        value = check_token(given.value if isinstance(given, Token) else given, "the fetched token")
        if not life_s > 0:
            raise ConfigurationError(f"the fetched token expires in {life_s} s")
        now_s = self._clock.now()
        if now_s >= asked_s + life_s:
            raise ConfigurationError(f"the fetched token lives {life_s:g} s, and fetching it took as long")
        self._value = value
        self._expires_s = asked_s + life_s
        self._due_s = self._expires_s - min(self._refresh_before_s, life_s / 2)
        self._failure = None
        self._refusable_s = now_s + self._pause_s if self._replaces_refused else now_s
        self._replaces_refused = False
        return value

    def __repr__(self) -> str:
        return "FetchedToken()"


def _failed(why: str) -> AuthenticationFailed:
    return AuthenticationFailed(f"no token could be fetched: {why}", hint=_HINT)


def _again(error: AuthenticationFailed) -> AuthenticationFailed:
    """Return the error as one of the caller's own, which may add to it."""
    return AuthenticationFailed(error.message, hint=error.hint)
