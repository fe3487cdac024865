"""The connections of one client, and which of them may be used again."""

from __future__ import annotations

import select
import ssl
from typing import Any
from weakref import WeakSet

import aiohttp
from aiohttp.connector import Connection

__all__ = ["FreshConnector"]

_MARGIN = 0.8
"""The part of a server's own idle limit in which a connection is still used again."""


class FreshConnector(aiohttp.TCPConnector):
    """aiohttp's pool, which never hands out a connection that its server is known to have closed.

    aiohttp takes an idle connection as alive until the event loop has read its end. That
    end may wait unread in the socket when a request comes, and the request would fail
    although the server never saw it; sending it twice is not ours to decide (RFC 9110,
    section 9.2.2: only a client that knows the request to be idempotent may). So an idle
    connection is looked at before it is used: whatever came on it, read by the loop or not,
    is its end, or an answer to nothing, which would be taken for that to the next request.
    What stays is the time that an end needs to travel here.
    """

    def __init__(self, *, context: ssl.SSLContext | bool, keepalive_s: float, limit: int) -> None:
        super().__init__(
            ssl=context, limit=limit, keepalive_timeout=keepalive_s, force_close=False, use_dns_cache=False
        )
        self._known: WeakSet[Any] = WeakSet()
        self._announced = ""

    async def connect(self, req: Any, traces: Any, timeout: Any) -> Connection:
        """Return a connection, a new one where no idle one is fit for use."""
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            if protocol not in self._known:
                self._known.add(protocol)
                return connection
            if not (protocol is None or protocol.should_close or _has_something_to_read(connection)):
                return connection
            connection.close()

    def learn_keepalive(self, announced: str) -> None:
        """Take over what a server says in its `Keep-Alive` header, such as `timeout=5, max=100`."""
        if announced == self._announced:
            return
        self._announced = announced
        for part in announced.split(","):
            name, _, value = part.strip().partition("=")
            if name.lower() == "timeout" and value.isascii() and value.isdecimal() and len(value) < 10:
                limit_s = int(value) * _MARGIN
                self._keepalive_timeout = min(self._keepalive_timeout or 0.0, limit_s)


def _has_something_to_read(connection: Connection) -> bool:
    transport = connection.transport
    if transport is None or transport.is_closing():
        return True
    sock = transport.get_extra_info("socket")
    if sock is None:
        return False
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    return bool(poll.poll(0))
