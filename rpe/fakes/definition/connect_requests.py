"""What a caller sends by the Connect protocol: its metadata, its time limit, and its requests one by one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from rpe.fakes.definition.connect_wire import (
    COMPRESSED,
    ENVELOPE,
    Codec,
    binary,
    check_encoding,
    unzipped,
)
from rpe.fakes.definition.ending import CallEnded, Metadata

if TYPE_CHECKING:
    from aiohttp import web

__all__ = [
    "BodyRequest",
    "Envelopes",
    "QueryRequest",
    "Requests",
    "caller_metadata",
    "check_version",
    "timeout_s",
]

_LONGEST_TIMEOUT = 10
"""As many digits as a time limit in milliseconds may have."""

_OF_HTTP = (
    *("accept", "accept-encoding", "connection", "content-encoding", "content-length", "content-type"),
    *("expect", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"),
)
"""Headers that are no metadata of a call, beside all that begin with `connect-`."""


class Requests(Protocol):
    """The requests of one call."""

    async def take(self) -> bytes | None:
        """Return the next request on the wire of protobuf; None at the end. Raises CallEnded."""
        ...


def caller_metadata(request: web.Request) -> Metadata:
    """Return the metadata of a call. Raises CallEnded where a value that is to be base64 is not."""
    found: list[tuple[str, str | bytes]] = []
    for header, value in request.headers.items():
        key = header.lower()
        if key in _OF_HTTP or key.startswith("connect-"):
            continue
        if key.endswith("-bin"):
            found += [(key, binary(part.strip())) for part in value.split(",")]
        else:
            found.append((key, value))
    return tuple(found)


def timeout_s(request: web.Request) -> float | None:
    """Return the caller's time limit in seconds; None where it has none. Raises CallEnded."""
    text = request.headers.get("connect-timeout-ms")
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= _LONGEST_TIMEOUT):
        raise CallEnded("INVALID_ARGUMENT", "connect-timeout-ms is a number of at most 10 digits")
    return int(text) / 1000


def check_version(request: web.Request) -> None:
    """Check the version of the protocol where the caller names one. Raises CallEnded for another than 1."""
    version = request.headers.get("connect-protocol-version", "1")
    asked = request.query.get("connect", "v1") if request.method == "GET" else "v1"
    if version != "1" or asked != "v1":
        raise CallEnded("INVALID_ARGUMENT", "version 1 of the Connect protocol is spoken here, and no other")


class BodyRequest:
    """The one request that is the body of a POST."""

    def __init__(self, request: web.Request, codec: Codec, limit: int) -> None:
        self._request: web.Request | None = request
        self._codec = codec
        self._limit = limit

    async def take(self) -> bytes | None:
        """Return the request, and None the second time."""
        request, self._request = self._request, None
        if request is None:
            return None
        compressed = check_encoding(request.headers.get("content-encoding", "identity"))
        body = await _body(request, self._limit)
        if body and compressed:
            body = unzipped(body, self._limit)
        return self._codec.request(body)


class QueryRequest:
    """The one request that is in the query of a GET: `message`, `base64` and `compression`."""

    def __init__(self, request: web.Request, codec: Codec, limit: int, *, default: str | None = None) -> None:
        self._query: dict[str, str] | None = dict(request.query)
        self._codec = codec
        self._limit = limit
        self._default = default

    async def take(self) -> bytes | None:
        """Return the request, and None the second time."""
        query, self._query = self._query, None
        if query is None:
            return None
        compressed = check_encoding(query.get("compression", "identity"))
        text = query.get("message", self._default)
        if text is None:
            raise CallEnded("INVALID_ARGUMENT", "the query has no message")
        message = binary(text, url_safe=True) if query.get("base64") == "1" else text.encode()
        if message and compressed:
            message = unzipped(message, self._limit)
        return self._codec.request(message)


class Envelopes:
    """The requests of a stream, each in an envelope; `single` for methods that take one request."""

    def __init__(self, request: web.Request, codec: Codec, limit: int, *, single: bool) -> None:
        self._request = request
        self._codec = codec
        self._limit = limit
        self._single = single
        self._count = 0

    async def take(self) -> bytes | None:
        """Return the next request as soon as it is complete."""
        head = await self._read(ENVELOPE.size, first=True)
        if head is None:
            if self._single and not self._count:
                raise CallEnded("UNIMPLEMENTED", "this method takes one request, and there was none")
            return None
        if self._single and self._count:
            raise CallEnded("UNIMPLEMENTED", "this method takes one request, and there was another")
        self._count += 1
        flags, length = ENVELOPE.unpack(head)
        if flags & ~COMPRESSED:
            raise CallEnded(
                "INVALID_ARGUMENT", f"the flags {flags:#04x} of an envelope mean nothing in a request"
            )
        if length > self._limit:
            raise CallEnded("RESOURCE_EXHAUSTED", f"the message is larger than {self._limit} bytes")
        message = await self._read(length) if length else b""
        assert message is not None
        if flags:
            if not check_encoding(self._request.headers.get("connect-content-encoding", "identity")):
                raise CallEnded(
                    "INTERNAL", "an envelope says compressed, and connect-content-encoding does not"
                )
            message = unzipped(message, self._limit) if message else b""
        return self._codec.request(message)

    async def _read(self, length: int, *, first: bool = False) -> bytes | None:
        try:
            return await self._request.content.readexactly(length)
        except asyncio.IncompleteReadError as error:
            if first and not error.partial:
                return None
            raise CallEnded("INVALID_ARGUMENT", "the stream ends in the middle of a message") from error
        except ConnectionError as error:
            raise _gone() from error


async def _body(request: web.Request, limit: int) -> bytes:
    from aiohttp import web

    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise CallEnded("RESOURCE_EXHAUSTED", f"the message is larger than {limit} bytes") from error
    except ConnectionError as error:
        raise _gone() from error


def _gone() -> CallEnded:
    return CallEnded("CANCELLED", "the caller has gone")
