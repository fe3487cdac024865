"""The token of one client: what it sends now, and what follows once a server refused it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from rpe.clock import SYSTEM_CLOCK
from rpe.errors import AuthenticationFailed, RpeError
from rpe.hiding import Secrets
from rpe.transport.credentials.source import FixedToken, TokenSource, as_token_source
from rpe.transport.ports import NO_METADATA, Metadata

__all__ = ["NO_GRANT", "Bearer", "Grant"]

E = TypeVar("E", bound=RpeError)

_HINT = "see to the source of the tokens: no server was asked"


class Grant:
    """A token as it is sent with one call, one session or one connection; `token` is None for none.

    `pairs` are the metadata that carry it, `beside` other credentials that go with it.
    """

    __slots__ = ("_secrets", "_source", "pairs", "token")

    def __init__(
        self, token: str | None = None, source: TokenSource | None = None, beside: Iterable[str] = ()
    ) -> None:
        self.token = token
        self.pairs: Metadata = NO_METADATA if token is None else (("authorization", f"Bearer {token}"),)
        self._source = source
        self._secrets = Secrets((*beside, *(() if token is None else (token,))))

    def judge(self, error: E, *, begun: bool = False) -> E:
        """Return the error of what this token was sent with, after telling the source of a refusal.

        Where the token was refused, `retryable` says whether there may be another one now, and
        `maybe_executed` is set where the work had `begun` by then. No credential is left in it.
        """
        self.hide(error)
        if self._source is not None and isinstance(error, AuthenticationFailed) and error.token_refused:
            error.retryable = self._source.refused(self.token or "")
            error.maybe_executed = error.maybe_executed or begun
        return error

    def hide(self, error: E) -> E:
        """Return the error without the credentials that it, or what caused it, may quote."""
        self._secrets.hide_in(error)
        return error

    def cause(self, error: BaseException) -> BaseException | None:
        """Return an error as the cause of one of ours; None where it is foreign and shows a credential."""
        return self._secrets.cause(error)

    def hidden(self, text: str) -> str:
        """Return a text of the server without the credentials that it may quote."""
        return self._secrets.hide(text)

    def __repr__(self) -> str:
        return "Grant(...)" if self.token is not None else "Grant()"


NO_GRANT = Grant()


class Bearer:
    """Asks a source for the token of each call to one endpoint.

    `fixed` is the grant where it is always the same, so that nothing has to be awaited for
    it; where it is None, `ask` has to be asked. `beside` are other credentials that are sent
    with it: they are taken out of errors as it is.
    """

    __slots__ = ("_beside", "_endpoint", "_source", "fixed")

    def __init__(self, token: str | TokenSource | None, endpoint: str, beside: Iterable[str] = ()) -> None:
        source, beside = as_token_source(token), tuple(beside)
        self.fixed: Grant | None = None
        if source is None:
            self.fixed = Grant(beside=beside) if beside else NO_GRANT
        elif isinstance(source, FixedToken):
            self.fixed = Grant(source.value, source, beside)
        self._beside = beside
        self._source = source
        self._endpoint = endpoint

    async def ask(self, timeout_s: float) -> tuple[Grant, float]:
        """Return the grant of what is sent now, and what is left of `timeout_s`, in seconds.

        Raises, naming the endpoint, AuthenticationFailed or ConfigurationError where the source
        gives no token within that time. The endpoint is not to blame for it.
        """
        if (fixed := self.fixed) is not None or self._source is None:
            return fixed or NO_GRANT, timeout_s
        ends_s = SYSTEM_CLOCK.now() + timeout_s
        try:
            async with SYSTEM_CLOCK.deadline(ends_s):
                grant = Grant(await self._source.token(), self._source, self._beside)
            return grant, ends_s - SYSTEM_CLOCK.now()
        except TimeoutError:
            late = SYSTEM_CLOCK.now() >= ends_s
            why = f"it took longer than {timeout_s:.3f} s" if late else "TimeoutError"
        except RpeError as error:
            error.endpoint = error.endpoint or self._endpoint
            raise
        except Exception as error:
            why = type(error).__name__
        # Raised out here, without the foreign error, whose text may hold anything.
        raise AuthenticationFailed(
            f"the source of tokens gave none: {why}", endpoint=self._endpoint, hint=_HINT
        )

    def __repr__(self) -> str:
        return f"Bearer({self._source!r})"
