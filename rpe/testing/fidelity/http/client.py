"""A client of HTTP/1.1 for checks (RFC 9112): one request at a time, and the body as its bytes come."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from rpe.testing.fidelity.model import Violation
from rpe.testing.fidelity.target import Target

__all__ = ["HttpConnection", "HttpResponse", "request"]

_LONGEST_BODY = 64 * 1024 * 1024
_MOST_HEADERS = 200
_PIECE_BYTES = 64 * 1024


class HttpResponse:
    """An answer whose head has come; its body is read piece by piece, or as a whole.

    Header names are in lower case.
    """

    def __init__(
        self, target: Target, reader: asyncio.StreamReader, status: int, headers: Mapping[str, str]
    ) -> None:
        self.status = status
        self.headers = headers
        self._target = target
        self._reader = reader
        self._read = 0
        self._ended = False

    @property
    def length(self) -> int | None:
        """The Content-Length, None where there is none. Raises Violation for one that is no number."""
        told = self.headers.get("content-length")
        if told is not None and not (told.isascii() and told.isdecimal()):
            raise Violation(f"the Content-Length is {told!r}")
        return None if told is None else int(told)

    @property
    def chunked(self) -> bool:
        """Whether the body comes in chunks, which say where it ends."""
        return self.headers.get("transfer-encoding", "").lower() == "chunked"

    async def piece(self) -> bytes:
        """Return the next bytes of the body, b"" at its end. Raises Violation where it ends too early."""
        self._target.waiting_for = "more of a body"
        if self.chunked:
            return await self._chunk()
        if self.length is None:
            return b"" if self.status in (204, 304) else await self._reader.read(_PIECE_BYTES)
        left = self.length - self._read
        data = await self._reader.read(min(left, _PIECE_BYTES)) if left else b""
        if left and not data:
            raise Violation(f"the body ends {left} bytes before its Content-Length")
        self._read += len(data)
        return data

    async def body(self) -> bytes:
        """Return the whole body."""
        whole = bytearray()
        while piece := await self.piece():
            whole += piece
            if len(whole) > _LONGEST_BODY:
                raise Violation(f"the body has more than {_LONGEST_BODY} bytes")
        return bytes(whole)

    async def json(self) -> Any:
        """Return the body as JSON. Raises Violation where it is none, or does not say that it is."""
        payload = await self.body()
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise Violation(f"the content-type of a JSON body is {kind or 'nowhere'!r}")
        try:
            return json.loads(payload)
        except ValueError as error:
            raise Violation(f"a body is no JSON: {payload[:80]!r}") from error

    async def _chunk(self) -> bytes:
        if self._ended:
            return b""
        line = await _line(self._reader, "the size of a chunk")
        try:
            size = int(line.partition(b";")[0], 16)
        except ValueError as error:
            raise Violation(f"the size of a chunk is {line[:40]!r}") from error
        if not size:
            while await _line(self._reader, "the end of the body"):
                pass
            self._ended = True
            return b""
        try:
            piece = await self._reader.readexactly(size + 2)
        except asyncio.IncompleteReadError as error:
            raise Violation("the body ends inside of a chunk") from error
        if piece[-2:] != b"\r\n":
            raise Violation("a chunk does not end with a line break")
        return piece[:-2]


class HttpConnection:
    """One connection; the body of an answer must be read before the next request."""

    def __init__(self, target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.target = target
        self._reader = reader
        self._writer = writer

    @classmethod
    @asynccontextmanager
    async def open(cls, target: Target) -> AsyncIterator[HttpConnection]:
        """Connect for the time inside. Raises Violation without a connection."""
        async with target.connection() as (reader, writer):
            yield cls(target, reader, writer)

    async def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        token: str | None = None,
        pieces: int = 1,
        headers: Mapping[str, str] | None = None,
    ) -> HttpResponse:
        """Send a request, and return its answer once the head has come.

        Arguments:
            path: below the prefix of the endpoint.
            body: JSON.
            token: another bearer token than that of the target; empty for none.
            pieces: in how many parts the body is written; for more than one it is sent chunked.
            headers: sent as well.
        """
        target = self.target
        token = target.token if token is None else token
        lines = [
            f"{method} {target.address.prefix}{path} HTTP/1.1",
            f"host: {target.address.host}:{target.address.port}",
            "accept: application/json, text/event-stream",
        ]
        lines += [f"authorization: Bearer {token}"] if token else []
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if body is not None:
            lines += ["content-type: application/json"]
            lines += ["transfer-encoding: chunked"] if pieces > 1 else [f"content-length: {len(body)}"]
        elif method == "POST":
            lines += ["content-length: 0"]
        self._writer.write("\r\n".join([*lines, "", ""]).encode())
        if body is not None and pieces > 1:
            size = -(-len(body) // pieces)
            for start in range(0, len(body), size):
                part = body[start : start + size]
                self._writer.write(b"%x\r\n%s\r\n" % (len(part), part))
                await self._writer.drain()
            self._writer.write(b"0\r\n\r\n")
        elif body is not None:
            self._writer.write(body)
        await self._writer.drain()
        return await self._head(f"the answer to {method} {path}")

    async def _head(self, what: str) -> HttpResponse:
        self.target.waiting_for = what
        while True:
            first = await _line(self._reader, what)
            parts = first.split(b" ", 2)
            if len(parts) < 2 or not parts[0].startswith(b"HTTP/1.") or not parts[1].isdigit():
                raise Violation(f"the first line of {what} is {first[:60]!r}")
            headers: dict[str, str] = {}
            while line := await _line(self._reader, what):
                name, colon, value = line.decode("latin-1").partition(":")
                if not colon or name != name.strip() or len(headers) > _MOST_HEADERS:
                    raise Violation(f"a header of {what} is {line[:60]!r}")
                headers[name.lower()] = value.strip()
            status = int(parts[1])
            if status >= 200:
                return HttpResponse(self.target, self._reader, status, headers)


@asynccontextmanager
async def request(
    target: Target,
    method: str,
    path: str,
    body: bytes | None = None,
    *,
    token: str | None = None,
) -> AsyncIterator[HttpResponse]:
    """Make one request on a connection of its own, which is open for the time inside."""
    async with HttpConnection.open(target) as connection:
        yield await connection.send(method, path, body, token=token)


async def _line(reader: asyncio.StreamReader, what: str) -> bytes:
    try:
        line = await reader.readuntil(b"\r\n")
    except asyncio.IncompleteReadError as error:
        seen = f" after {error.partial[:40]!r}" if error.partial else ""
        raise Violation(f"the connection was closed{seen} where {what} was due") from error
    except asyncio.LimitOverrunError as error:
        raise Violation(f"a line of {what} is longer than 64 KiB") from error
    return line[:-2]
