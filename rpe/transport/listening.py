"""Addresses to listen at: each belongs to one server alone."""

from __future__ import annotations

import socket

from rpe.errors import ConfigurationError

__all__ = ["BACKLOG", "bracketed", "listening_socket"]

BACKLOG = 1024
"""How many connections may wait to be accepted."""


def bracketed(host: str) -> str:
    """Return a host as it stands before a port: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def listening_socket(host: str, port: int, what: str = "a server") -> socket.socket:
    """Return a non-blocking socket that listens at one address; port 0 takes a free one.

    A name with several addresses is taken at the first: asyncio would take all of them, each at a
    port of its own. `what` is who cannot be started. Raises ConfigurationError where that is so.
    """
    sock: socket.socket | None = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind, protocol)
        # A port can be taken again at once, though connections of a server before linger on it.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setblocking(False)
        sock.bind(address)
        # Two sockets may bind one port with that option; only one of them can listen.
        sock.listen(BACKLOG)
    except OSError as error:
        if sock is not None:
            sock.close()
        raise ConfigurationError(
            f"{what} cannot be started: {error.strerror or error}",
            endpoint=f"{bracketed(host)}:{port}",
            hint="choose another port, or 0 for any free one",
        ) from error
    return sock
