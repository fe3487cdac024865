"""Telling how a call broke from what the libraries say of it."""

from __future__ import annotations

import re
from typing import NamedTuple

from rpe.fakes.cassette.lines import How

__all__ = ["Broken", "grpc_broken", "http_broken"]

_RESET = re.compile(r"Received RST_STREAM with error code (\d+)")
_HTTP = re.compile(r"Received http2 header with status: (\d+)")
_NO_TRAILERS = "Data frame with END_STREAM flag received"
_LOST = ("Stream removed", "Socket closed", "Connection reset", "Broken pipe", "GOAWAY received", "recvmsg:")
_UNREACHED = ("failed to connect to all addresses", "DNS resolution failed", "errors resolving")


class Broken(NamedTuple):
    """How it broke, with the number that was told with it."""

    how: How
    number: int | None = None


def grpc_broken(details: str) -> Broken | None:
    """Read the text that gRPC's core makes up where no status came; None for a status that did.

    gRPC turns all of that into statuses, and tells the difference only in their text.
    """
    if found := _RESET.search(details):
        return Broken("reset", int(found[1]))
    if found := _HTTP.search(details):
        return Broken("http_status", int(found[1]))
    if _NO_TRAILERS in details:
        return Broken("no_trailers")
    if any(words in details for words in _UNREACHED):
        return Broken("unreached")
    if any(details.startswith(words) for words in _LOST):
        return Broken("lost")
    return None


def http_broken(error: BaseException) -> Broken:
    """Return whether a connection was reset, or closed before its time."""
    # aiohttp wraps a reset in an error of its own, which tells of it in its text only.
    reset = isinstance(error, ConnectionResetError) or "ConnectionResetError" in str(error)
    return Broken("reset" if reset or "reset by peer" in str(error) else "lost")
