"""Recording HTTP: any request, its body and its answer passed on piece by piece, as they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import NoReturn

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from rpe.clock import Clock
from rpe.fakes.cassette.broken import http_broken
from rpe.fakes.cassette.lines import Pair
from rpe.fakes.cassette.listening import Listening, path_of
from rpe.fakes.cassette.pieces import BodyPieces, pieces_of
from rpe.fakes.cassette.upstream import Upstream
from rpe.fakes.cassette.writing import CallWriter, CassetteWriter
from rpe.transport.http.running import break_off

__all__ = ["HttpRecording", "passed_on"]

_HOP_BY_HOP = frozenset(
    {
        "connection", "keep-alive", "proxy-authenticate", "proxy-connection", "te", "trailer",
        "transfer-encoding", "upgrade", "expect",
    }
)  # fmt: skip
"""Of one connection only (RFC 9110, 7.6.1)."""

_CONNECT_S = 10.0


class HttpRecording:
    """A proxy of one HTTP server that writes what passes. `endpoint` is where it listens, once started."""

    def __init__(
        self, upstream: Upstream, writer: CassetteWriter, clock: Clock, *, host: str, port: int
    ) -> None:
        self._upstream = upstream
        self._writer = writer
        self._listening = Listening(self._serve, host=host, port=port)
        self._session: aiohttp.ClientSession | None = None

    @property
    def endpoint(self) -> str:
        """Where it listens, as `host:port`."""
        return self._listening.endpoint

    async def start(self) -> None:
        """Bind and serve. Raises ConfigurationError where the address cannot be bound."""
        await self._listening.start()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=self._upstream.context()),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S),
        )
        # aiohttp would send a request once more by itself, and the cassette would not show it.
        self._session._retry_connection = False

    async def stop(self) -> None:
        """Break off what still runs, and close. Harmless twice."""
        await self._listening.stop()
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        # The host that a caller names is this recorder.
        headers = [(key, value) for key, value in passed_on(request.headers) if key.lower() != "host"]
        writer = self._writer.begin(request.method, path_of(request), headers)
        try:
            if "upgrade" in request.headers.get("Connection", "").lower():
                return _refused(writer, web.HTTPNotImplemented.status_code, "an upgrade is not recorded")
            return await self._pass(request, writer, headers)
        except asyncio.CancelledError:
            writer.end("cancelled")
            raise

    async def _pass(
        self, request: web.BaseRequest, writer: CallWriter, headers: list[Pair]
    ) -> web.StreamResponse:
        assert self._session is not None
        # No encoding is accepted, so that the cassette can be read, and scrubbed.
        sent = CIMultiDict((key, value) for key, value in headers if key.lower() != "accept-encoding")
        url = URL(self._upstream.origin + path_of(request), encoded=True)
        body = self._requests(request, writer) if request.body_exists else None
        if body is None:
            writer.half_close()
        try:
            answer = await self._session.request(
                request.method, url, headers=sent, data=body, allow_redirects=False
            )
        except (aiohttp.ClientConnectorError, aiohttp.ClientSSLError) as error:
            why = getattr(error, "strerror", None) or type(error).__name__
            return _refused(writer, web.HTTPBadGateway.status_code, f"no connection: {why}")
        except (aiohttp.ClientError, OSError) as error:
            await _break(request, writer, error)
        async with answer:
            return await self._pass_answer(request, writer, answer)

    async def _requests(self, request: web.BaseRequest, writer: CallWriter) -> AsyncIterator[bytes]:
        pieces = _pieces(request.headers, writer)
        async for data in request.content.iter_any():
            for piece in pieces.feed(data):
                writer.request(piece)
            yield data
        for piece in pieces.rest(broken=False):
            writer.request(piece)
        writer.half_close()

    async def _pass_answer(
        self, request: web.BaseRequest, writer: CallWriter, answer: aiohttp.ClientResponse
    ) -> web.StreamResponse:
        headers = passed_on(answer.headers)
        writer.headers(headers, answer.status, answer.reason or "")
        response = web.StreamResponse(status=answer.status, reason=answer.reason)
        response.headers.extend(headers)
        await response.prepare(request)
        pieces = _pieces(answer.headers, writer)
        try:
            async for data in answer.content.iter_any():
                for piece in pieces.feed(data):
                    writer.answer(piece)
                await response.write(data)
        except (aiohttp.ClientError, OSError) as error:
            if request.transport is None or request.transport.is_closing():
                writer.end("cancelled")  # it is the caller that has gone
                raise
            for piece in pieces.rest(broken=True):
                writer.answer(piece)
            await _break(request, writer, error)
        except asyncio.CancelledError:
            for piece in pieces.rest(broken=True):
                writer.answer(piece)
            raise
        for piece in pieces.rest(broken=False):
            writer.answer(piece)
        writer.end("complete")
        await response.write_eof()
        return response


def passed_on(headers: Mapping[str, str]) -> list[Pair]:
    """Return the headers that are of the message, and not of its connection."""
    given = list(headers.items())
    named = {
        name.strip().lower()
        for key, value in given
        if key.lower() == "connection"
        for name in value.split(",")
    }
    return [
        (key, value) for key, value in given if key.lower() not in _HOP_BY_HOP and key.lower() not in named
    ]


def _pieces(headers: Mapping[str, str], writer: CallWriter) -> BodyPieces:
    kind, encoding = headers.get("Content-Type", ""), headers.get("Content-Encoding", "")
    return pieces_of(kind, encoding, writer.scrubber, writer.known)


def _refused(writer: CallWriter, status: int, why: str) -> web.Response:
    writer.end("unreached", details=why, number=status)
    return web.Response(status=status, text=f"rpe fake record: {why}\n")


async def _break(request: web.BaseRequest, writer: CallWriter, error: BaseException) -> NoReturn:
    """Break the answer off, as it was broken off here."""
    broken = http_broken(error)
    writer.end(broken.how, details=type(error).__name__)
    await break_off(request, reset=broken.how == "reset")  # type: ignore[arg-type]  # any request has what it uses
