"""Who gets in: the bearer token of a call, and how many calls are worked on at once."""

from __future__ import annotations

import hmac
import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rpe.errors import ConfigurationError
from rpe.transport.serving import Refusal, ServerCall, StatusCode

__all__ = ["Places", "ServiceLimits", "TokenCheck", "TokenRule", "check_token"]

TokenCheck = Callable[[str], bool | Awaitable[bool]]
"""Says whether a token lets its bearer in; it is given "" where a caller brings none."""

TokenRule = str | Iterable[str] | TokenCheck | None
"""The token that callers must have, or several that are all good, or a check; None lets everybody in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLimits:
    """How much a service takes on.

    Arguments:
        runs: unary executions at once; those above are refused before anything is done.
        sessions: sessions at once, in the same way.
        retry_after_s: when refused callers are told to come back, in seconds.
        pipelines: how many pipelines are kept ready for their next call, with their connections.
    """

    runs: int = 64
    sessions: int = 64
    retry_after_s: float = 1.0
    pipelines: int = 32

    def __post_init__(self) -> None:
        for name in ("runs", "sessions", "pipelines"):
            if not getattr(self, name) >= 1:
                raise ConfigurationError(f"{name} is {getattr(self, name)}, but must be at least 1")
        if not 0 <= self.retry_after_s < float("inf"):
            raise ConfigurationError(f"retry_after_s is {self.retry_after_s}, but must be 0 or more seconds")


class Places:
    """So many calls of one kind may run at once; `taken` do."""

    def __init__(self, what: str, limit: int, retry_after_s: float) -> None:
        self.taken = 0
        self._what = what
        self._limit = limit
        self._retry_after_s = retry_after_s

    @contextmanager
    def one(self) -> Iterator[None]:
        """Inside, a place is taken. Raises Refusal where none is free."""
        if self.taken >= self._limit:
            raise Refusal(
                StatusCode.RESOURCE_EXHAUSTED,
                f"{self._limit} {self._what} run, and no more are taken",
                retry_after_s=self._retry_after_s,
            )
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1


def check_token(rule: TokenRule) -> Callable[[ServerCall], Awaitable[None]]:
    """Return what lets a call in, or raises Refusal.

    Tokens are compared in constant time, each with all that are good: how long it takes says
    nothing of how near a wrong one is.
    """
    if rule is None:
        return _let_in
    check: TokenCheck
    if callable(rule):
        check = rule
    else:
        good = [token.encode() for token in ([rule] if isinstance(rule, str) else rule)]
        if not all(good):
            raise ConfigurationError("a token is empty", hint="leave the token out to let everybody in")

        def check(token: str) -> bool:
            sent = token.encode()
            return sum(hmac.compare_digest(sent, one) for one in good) > 0

    async def let_in(call: ServerCall) -> None:
        said = check(_bearer(call))
        if not (await said if inspect.isawaitable(said) else said):
            raise Refusal(StatusCode.UNAUTHENTICATED, "the token is missing or wrong")

    return let_in


async def _let_in(call: ServerCall) -> None:
    """Let everybody in."""


def _bearer(call: ServerCall) -> str:
    """The token a call brings (RFC 6750, section 2.1), the scheme in any case (RFC 9110, section 11.1)."""
    scheme, _, token = call.metadata.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
