"""The good tokens of a server, from a file that may change while it serves."""

from __future__ import annotations

import hmac
import logging
from pathlib import Path

from rpe.errors import ConfigurationError

__all__ = ["TokenFile"]

_LOG = logging.getLogger(__name__)


class TokenFile:
    """Fills `rpe.node.serving.TokenCheck` by a file with one good token in each line.

    To rotate tokens without refusing anybody, add the new one, let the callers change over, and
    take the old one out: the file is read again when it has changed. While it cannot be read,
    the last tokens stay good.

    Raises ConfigurationError where it cannot be read at first, or has no token in it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._tokens: tuple[bytes, ...] = ()
        try:
            self._read()
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"the tokens in {path} cannot be read: {_why(error)}", hint="write one token in each line"
            ) from error

    def __call__(self, token: str) -> bool:
        """Say whether a token is good, in a time that is the same for all that are not."""
        try:
            self._read()
        except (OSError, ValueError) as error:
            _LOG.warning(
                "the tokens in %s cannot be read, the last ones stay good: %s", self._path, _why(error)
            )
        sent = token.encode()
        return sum(hmac.compare_digest(sent, good) for good in self._tokens) > 0

    def __repr__(self) -> str:
        return f"TokenFile({str(self._path)!r})"

    def _read(self) -> None:
        state = self._path.stat()
        seen = state.st_mtime_ns, state.st_size
        if seen == self._seen:
            return
        lines = self._path.read_bytes().decode().splitlines()
        tokens = tuple(line.strip().encode() for line in lines if line.strip())
        if not tokens:
            raise ValueError("there is no token in it")
        self._seen, self._tokens = seen, tokens


def _why(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    return (error.strerror or type(error).__name__) if isinstance(error, OSError) else str(error)
