"""The server under test, as a check sees it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlsplit

from rpe.clock import Clock
from rpe.errors import ConfigurationError
from rpe.testing.fidelity.model import Violation
from rpe.transport.addresses import is_loopback

__all__ = ["Address", "Target", "read_address"]


class Address(NamedTuple):
    """Where a server listens; `prefix` is the path that its routes begin with, for HTTP."""

    host: str
    port: int
    prefix: str = ""


@dataclass(slots=True)
class Target:
    """What a check is given.

    Attributes:
        endpoint, address: the server.
        node_type: the node that gives back what it gets.
        limit_s: how long a check may take, in seconds.
        silence_s: how long the server may send nothing before it has to give a sign of life; None
            where that is not known.
        token: the bearer token, where the server wants one.
        clock: the time that deadlines are kept by.
        waiting_for: what the check waits for just now; told where its time is over.
    """

    endpoint: str
    address: Address
    node_type: str
    limit_s: float
    clock: Clock
    token: str | None = field(default=None, repr=False)
    silence_s: float | None = None
    waiting_for: str = ""

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """Open a TCP connection for the time inside. Raises Violation where it is not taken."""
        self.waiting_for = "a connection"
        try:
            reader, writer = await asyncio.open_connection(self.address.host, self.address.port)
        except OSError as error:
            raise Violation(f"no connection: {error.strerror or type(error).__name__}") from error
        try:
            yield reader, writer
        finally:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()


def read_address(endpoint: str, transport: str, token: str | None) -> Address:
    """Read `host:port`, or for HTTP also a URL.

    Raises ConfigurationError where it is neither, where it is a URL of HTTPS, and where a
    token would travel in clear text beyond this machine.
    """
    has_scheme = "://" in endpoint
    try:
        parts = urlsplit(endpoint if has_scheme else f"//{endpoint}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
        parts = urlsplit("")
    if has_scheme and parts.scheme == "http":
        port = port or 80
    if not host or not port or (has_scheme and (transport != "http" or parts.scheme != "http")):
        raise ConfigurationError(
            f"{endpoint!r} is no address to check over {transport}",
            hint="give host:port, or an http:// URL for HTTP; checks are made in clear text only",
        )
    if token and not is_loopback(endpoint):
        raise ConfigurationError(
            "a token would travel in clear text beyond this machine",
            endpoint=endpoint,
            hint="forward a port of this machine to the server, and check that",
        )
    return Address(host, port, parts.path.rstrip("/"))
