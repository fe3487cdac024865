"""The output of one session: server-sent events, over as many connections as it takes."""

from __future__ import annotations

import asyncio
from collections import deque

import aiohttp
from yarl import URL

from rpe.errors import (
    AuthenticationFailed,
    ConnectFailed,
    ConnectionLost,
    RemoteTimeout,
    RpeError,
    StreamBroken,
)
from rpe.transport.http.exchange import FOREIGN, HttpExchange
from rpe.transport.http.keys import SPEAKS, WIRE_KEY
from rpe.transport.http.sse import Event, EventParser
from rpe.transport.http.status import answer_error, network_error
from rpe.transport.ports import Metadata

__all__ = ["SessionOutput"]

_RETRY_S = 0.05
"""How long to wait before the output is asked for again, where the server has not said."""

_REMEMBERED = 1024
"""How many numbers of events are kept, to know one that comes again."""

_ERROR_BODY_BYTES = 64 * 1024


class SessionOutput:
    """Reads the events of a session, and takes the reading up again where the connection broke.

    That needs a server that numbers its events (`id:`), so that it can be told which was
    the last one; an event that comes again is dropped. Otherwise a break is the end.

    `agreed` says that the server speaks the names of `rpe.transport.http.keys`.
    """

    def __init__(self, exchange: HttpExchange, url: URL, metadata: Metadata, ends_s: float) -> None:
        self.agreed = False
        self._exchange = exchange
        self._url = url
        self._metadata = metadata
        self._ends_s = ends_s
        self._response: aiohttp.ClientResponse | None = None
        self._events: deque[Event] = deque()
        self._parser = self._new_parser()
        self._reconnects_left = exchange.settings.reconnects
        self._last_id: str | None = None
        self._seen: set[str] = set()
        self._order: deque[str] = deque()

    async def connect(self) -> None:
        """Ask for the output. Raises what the server's answer, or the network, means."""
        exchange = self._exchange
        headers = [*self._metadata, (WIRE_KEY, SPEAKS), ("Accept", "text/event-stream")]
        if self._last_id:
            headers.append(("Last-Event-ID", self._last_id))
        self.close()
        try:
            response = await exchange.open(
                "GET",
                self._url,
                timeout_s=self._remaining_s(),
                metadata=headers,
                silence_s=exchange.settings.silence_s,
            )
        except FOREIGN as error:
            raise self._network_error(error) from error
        self._response = response
        try:
            if response.status != 200:
                body = await response.content.read(_ERROR_BODY_BYTES)
                raise answer_error(response.status, response.headers, body, exchange.endpoint)
            exchange.check_kind(response.headers, "text/event-stream")
        except FOREIGN as error:
            self.close()
            raise self._network_error(error) from error
        except BaseException:
            self.close()
            raise
        self.agreed = response.headers.get(WIRE_KEY) == SPEAKS

    def ready(self) -> Event | None:
        """Return the next event where it is here already, without waiting."""
        while self._events:
            event = self._events.popleft()
            if self._is_new(event):
                return event
        return None

    async def next(self) -> Event | None:
        """Return the next event, None where the server has ended the output in good HTTP order.

        Raises ConnectionLost where the connection broke and cannot be taken up again,
        RemoteTimeout once the session's time is over, AuthenticationFailed where the token is of
        no more use when it is taken up again, ProtocolViolation where what comes is no stream
        of events.
        """
        while True:
            if (event := self.ready()) is not None:
                return event
            try:
                piece = await self._read()
            except ConnectionLost as lost:
                await self._resume(lost)
                continue
            # At its end, too: what is wrong with its last event is told then.
            self._events.extend(self._parser.feed(piece))
            if not piece:
                return None

    def close(self) -> None:
        """Close the connection; harmless where there is none."""
        response, self._response = self._response, None
        if response is not None:
            response.close()

    async def _read(self) -> bytes:
        response = self._response
        if response is None:
            raise ConnectionLost("the output is not connected", endpoint=self._exchange.endpoint)
        try:
            return await response.content.readany()
        except FOREIGN as error:
            if left := _left_in(response.content):
                return left  # the next reading raises the error again
            raise self._network_error(error) from error

    async def _resume(self, lost: RpeError) -> None:
        """Connect again, and again while there are attempts left. Raises `lost` where that is no use."""
        while True:
            if self._reconnects_left <= 0 or not (self._last_id or self.agreed):
                raise lost
            self._reconnects_left -= 1
            self._parser, parser = self._new_parser(), self._parser
            wait_s = _RETRY_S if parser.retry_ms is None else parser.retry_ms / 1000
            if wait_s >= self._remaining_s():
                raise lost
            await asyncio.sleep(wait_s)
            try:
                await self.connect()
            except (ConnectionLost, ConnectFailed):
                continue
            except (RemoteTimeout, AuthenticationFailed):
                raise
            except RpeError as refused:
                raise StreamBroken(
                    f"{lost.message}, and it could not be taken up again: {refused.message}",
                    endpoint=self._exchange.endpoint,
                ) from refused
            return

    def _is_new(self, event: Event) -> bool:
        if not event.id:
            return True
        if event.id in self._seen:
            return False
        self._last_id = event.id
        self._seen.add(event.id)
        self._order.append(event.id)
        if len(self._order) > _REMEMBERED:
            self._seen.discard(self._order.popleft())
        return True

    def _network_error(self, error: BaseException) -> RpeError:
        if isinstance(error, aiohttp.SocketTimeoutError):
            silence_s = self._exchange.settings.silence_s
            return ConnectionLost(
                f"the output was silent for {silence_s:g} s", endpoint=self._exchange.endpoint
            )
        return network_error(error, self._exchange.endpoint)

    def _remaining_s(self) -> float:
        return self._ends_s - asyncio.get_running_loop().time()

    def _new_parser(self) -> EventParser:
        exchange = self._exchange
        return EventParser(exchange.settings.max_message_bytes, endpoint=exchange.endpoint)


def _left_in(content: aiohttp.StreamReader) -> bytes:
    """Return what had come before a connection broke: aiohttp raises first, and would never hand it over."""
    try:
        return content._read_nowait(-1)
    except TimeoutError:
        return b""
