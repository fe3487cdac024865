"""Requests of one client: one pool of connections, one try each, and only errors of rpe come out."""

from __future__ import annotations

import io
import math
import ssl
from collections.abc import Mapping
from typing import NamedTuple

import aiohttp
from multidict import CIMultiDictProxy
from yarl import URL

from rpe.errors import ConnectionLost, InvalidRequest, ProtocolViolation, RemoteTimeout, RpeError
from rpe.transport.credentials import Bearer
from rpe.transport.http.connector import FreshConnector
from rpe.transport.http.interrupting import Interrupted, Waits
from rpe.transport.http.keys import TIMEOUT_KEY
from rpe.transport.http.settings import HttpSettings
from rpe.transport.http.status import answer_error, closed_error, network_error
from rpe.transport.http.tls import client_context
from rpe.transport.ports import NO_METADATA, Metadata

__all__ = ["FOREIGN", "HttpAnswer", "HttpExchange"]

FOREIGN = (aiohttp.ClientError, TimeoutError, OSError)
"""What aiohttp raises where the network, the server or the deadline ends a request."""

_LARGEST_AS_BYTES = 256 * 1024
"""aiohttp writes bytes at one go, and a stream in pieces with other work in between."""

_UNUSED_HEADERS = ("Accept", "User-Agent")


class HttpAnswer(NamedTuple):
    """An answer that has been read whole."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes


class HttpExchange:
    """Asks one server. Connections are made at the first request, in the loop that it runs on.

    A token that is always the same is among the headers of every request; one that changes is
    given with each of them, among its metadata.

    Compression is neither asked for nor taken: a small body could then be any size.
    """

    def __init__(self, endpoint: str, settings: HttpSettings) -> None:
        settings.check_token(endpoint)
        self.endpoint = endpoint
        self.base = settings.base_url(endpoint)
        self.settings = settings
        self.bearer = Bearer(settings.token, endpoint, settings.headers.values())
        self.waits = Waits()
        self._context = client_context(settings.tls) if self.base.startswith("https:") else True
        self._server_name = settings.tls.server_name if settings.tls is not None else None
        self._calls: aiohttp.ClientSession | None = None
        self._outputs: aiohttp.ClientSession | None = None
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether the client was closed."""
        return self._closed

    def url(self, path: str) -> URL:
        """Return the URL of a path, whose parts are quoted already."""
        return URL(self.base + path, encoded=True)

    async def ask(
        self,
        method: str,
        url: URL,
        body: bytes | None = None,
        *,
        timeout_s: float,
        metadata: Metadata = NO_METADATA,
    ) -> HttpAnswer:
        """Send one request and read its answer, whatever its status.

        Arguments:
            body: JSON, or None for no body.
            timeout_s: the time for all of it; what the server is told of the deadline.
            metadata: further headers.

        Raises the error of rpe that fits; the request is broken off then, and on cancel.
        """
        try:
            with self.waits.one():
                response = await self.open(method, url, body, timeout_s=timeout_s, metadata=metadata)
                try:
                    content = await self._read(response)
                except BaseException:
                    response.close()
                    raise
        except Interrupted as error:
            raise ConnectionLost("the client was closed under the call", endpoint=self.endpoint) from error
        except FOREIGN as error:
            raise network_error(error, self.endpoint) from error
        return HttpAnswer(response.status, response.headers, content)

    async def open(
        self,
        method: str,
        url: URL,
        body: bytes | None = None,
        *,
        timeout_s: float,
        metadata: Metadata = NO_METADATA,
        silence_s: float | None = None,
    ) -> aiohttp.ClientResponse:
        """Send one request and return its answer as soon as its headers are there; the caller closes it.

        With `silence_s` the answer is the output of a session, which may be silent for so long.
        It has a connection of its own beside `max_connections`: sessions that held them all
        would have none left to send by.

        Raises what aiohttp raises (`FOREIGN`), or InvalidRequest where the request cannot be sent.
        """
        session = self._session(of_outputs=silence_s is not None)
        if timeout_s <= 0:
            raise RemoteTimeout(
                "the deadline had passed before the request", endpoint=self.endpoint, maybe_executed=False
            )
        headers = {**dict(metadata), TIMEOUT_KEY: str(math.ceil(timeout_s * 1000))}
        data: bytes | io.BytesIO | None = body
        if body is not None:
            headers["Content-Type"] = "application/json"
            if len(body) > self.settings.max_message_bytes:
                raise InvalidRequest(
                    f"the request is too large: {len(body)} bytes, of {self.settings.max_message_bytes}",
                    endpoint=self.endpoint,
                    hint="send less, or raise max_message_bytes",
                )
            if len(body) > _LARGEST_AS_BYTES:
                data = io.BytesIO(body)
        try:
            response = await session.request(
                method,
                url,
                data=data,
                headers=headers,
                allow_redirects=False,
                server_hostname=self._server_name,
                timeout=aiohttp.ClientTimeout(
                    total=timeout_s,
                    sock_connect=self.settings.connect_timeout_s,
                    sock_read=silence_s,
                    ceil_threshold=math.inf,  # aiohttp would round longer ones up to whole seconds
                ),
            )
        except (ValueError, RuntimeError) as error:
            if self._closed:
                raise closed_error(self.endpoint) from error
            if isinstance(error, aiohttp.ClientError | RuntimeError):
                raise
            raise InvalidRequest(
                f"the request cannot be sent: {error}", endpoint=self.endpoint, hint="mend its metadata"
            ) from error
        if (announced := response.headers.get("Keep-Alive")) is not None:
            connector = session.connector
            if isinstance(connector, FreshConnector):
                connector.learn_keepalive(announced)
        return response

    def expect(self, answer: HttpAnswer, kind: str = "application/json") -> bytes:
        """Return the body of a good answer of that content type. Raises the error that another one means."""
        if answer.status != 200:
            raise answer_error(answer.status, answer.headers, answer.body, self.endpoint)
        self.check_kind(answer.headers, kind)
        return answer.body

    def check_kind(self, headers: Mapping[str, str], kind: str) -> None:
        """Raise ProtocolViolation where an answer is not of that content type."""
        told = headers.get("Content-Type", "")
        if told.partition(";")[0].strip().lower() != kind:
            raise ProtocolViolation(
                f"the answer is {told[:80] or 'of no content type'}, not {kind}", endpoint=self.endpoint
            )

    def too_large(self, what: str) -> RpeError:
        """Return the error of an answer that is above `max_message_bytes`."""
        return ProtocolViolation(
            f"{what} is too large: more than {self.settings.max_message_bytes} bytes",
            endpoint=self.endpoint,
            retryable=False,
            hint="raise max_message_bytes on this side",
        )

    async def close(self) -> None:
        """Break off what is under way, and close every connection. Closing twice is harmless."""
        self._closed = True
        self.waits.interrupt()
        sessions = [session for session in (self._calls, self._outputs) if session is not None]
        self._calls = self._outputs = None
        for session in sessions:
            await session.close()

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        encoding = response.headers.get("Content-Encoding", "identity")
        if encoding.lower() != "identity":
            raise ProtocolViolation(
                f"the answer is compressed ({encoding[:40]}), unasked", endpoint=self.endpoint
            )
        limit = self.settings.max_message_bytes
        announced = response.content_length
        if announced is not None:
            if announced > limit:
                raise self.too_large("the answer")
            return await response.read()
        pieces = bytearray()
        while piece := await response.content.readany():
            pieces += piece
            if len(pieces) > limit:
                raise self.too_large("the answer")
        return bytes(pieces)

    def _session(self, *, of_outputs: bool) -> aiohttp.ClientSession:
        if self._closed:
            raise closed_error(self.endpoint)
        if of_outputs:
            self._outputs = self._outputs or self._connect(limit=0)
            return self._outputs
        self._calls = self._calls or self._connect(limit=self.settings.max_connections)
        return self._calls

    def _connect(self, *, limit: int) -> aiohttp.ClientSession:
        """Make a pool of so many connections at once; 0 is any number."""
        settings = self.settings
        headers = {**settings.headers, "Accept-Encoding": "identity"}
        if (fixed := self.bearer.fixed) is not None and fixed.token is not None:
            headers["Authorization"] = f"Bearer {fixed.token}"
        context: ssl.SSLContext | bool = self._context
        return aiohttp.ClientSession(
            connector=FreshConnector(context=context, keepalive_s=settings.keepalive_s, limit=limit),
            headers=headers,
            skip_auto_headers=_UNUSED_HEADERS,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )
