"""The client's end of a session: numbered chunks out by posts, results in as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from urllib.parse import quote

from rpe.data import RuntimeData
from rpe.data.json_value import parse_json
from rpe.errors import (
    ConnectFailed,
    ConnectionLost,
    DataValidationError,
    ProtocolViolation,
    RemoteTimeout,
    RpeError,
    SessionClosed,
    StreamBroken,
)
from rpe.manifest.model import Manifest
from rpe.transport.credentials import NO_GRANT
from rpe.transport.failures import check_rising
from rpe.transport.http.exchange import HttpExchange
from rpe.transport.http.interrupting import Interrupted, Waits
from rpe.transport.http.keys import (
    CANCEL_KEY,
    CLOSED_EVENT,
    ERROR_EVENT,
    MORE_KEY,
    NODE_KEY,
    OUTPUT_KEY,
    TIMESTAMP_KEY,
)
from rpe.transport.http.labels import check_labels, own_data
from rpe.transport.http.output import SessionOutput
from rpe.transport.http.sse import Event
from rpe.transport.http.status import answer_error, event_error
from rpe.transport.ports import ChunkResult, Metadata
from rpe.wire.json import decode_transport, encode_input, encode_stream_request

__all__ = ["HttpClientSession"]

_LONGEST_ID = 512


class HttpClientSession:
    """Fills `rpe.transport.ports.ClientStreamSession`.

    `send` ends when the server has taken the chunk: that is how this wire pushes back.
    A server that does not speak our names beside the contract's ends a session well by
    ending its output after `finish`; ours says so in the output itself.

    Arguments:
        timeout_s: how long the session may take, from now.
        metadata: headers of every request of the session.
        say_goodbye: called with path and headers of the DELETE that tells the server so, where it
            does not know yet that the session has ended.
    """

    def __init__(
        self,
        exchange: HttpExchange,
        *,
        timeout_s: float,
        metadata: Metadata,
        say_goodbye: Callable[[str, Metadata], None],
    ) -> None:
        self.endpoint = exchange.endpoint
        self.session_id = ""
        self.last_answered: int | None = None
        self._exchange = exchange
        self._waits = Waits()
        self._metadata = metadata
        self._grant = NO_GRANT
        self._ends_s = asyncio.get_running_loop().time() + timeout_s
        self._say_goodbye = say_goodbye
        self._output: SessionOutput | None = None
        self._path = ""
        self._entry = ""
        self._parts: dict[str, RuntimeData] = {}
        self._unnumbered = 0  # the chunk that the next result without a number is taken to answer
        self._last_sent = -1
        self._finished = False
        self._closed = False
        self._error: RpeError | None = None

    async def open(self, manifest: Manifest, *, open_timeout_s: float) -> None:
        """Make the session and connect to its output. Where that fails, the server is told so."""
        try:
            with self._waits.one():
                left_s = await self._authorize(min(open_timeout_s, self._remaining_s()))
                async with asyncio.timeout(left_s):
                    await self._open(manifest)
        except TimeoutError as error:
            late = RemoteTimeout(
                "the session was not ready in time", endpoint=self.endpoint, maybe_executed=False
            )
            raise self._fail(late) from error
        except Interrupted as error:
            raise self._dead() from error
        except RpeError as error:
            self._fail(error)
            raise
        except BaseException:
            self.cancel()
            raise

    async def send(
        self,
        data: RuntimeData | Mapping[str, RuntimeData],
        *,
        node_id: str,
        sequence: int,
        timestamp_ms: int = 0,
    ) -> None:
        """Send one chunk (see the port). Raises SessionClosed after `finish`, or the session's own error.

        This wire carries one buffer with a chunk: raises DataValidationError for several.
        """
        if self._finished or self._closed or self._error is not None:
            raise self._dead()
        if isinstance(data, Mapping):
            raise DataValidationError(
                "holds several buffers, but a chunk has one on this wire",
                field="data",
                endpoint=self.endpoint,
                hint="send them one by one, or use a transport that carries named buffers",
            )
        check_rising(sequence, self._last_sent, self.endpoint)
        check_labels(data)
        beside = {} if node_id == self._entry else {NODE_KEY: node_id}
        if timestamp_ms:
            beside[TIMESTAMP_KEY] = str(timestamp_ms)
        payload = encode_input(data, sequence=sequence, metadata=beside)
        if self._last_sent < 0:
            self._unnumbered = sequence
        self._last_sent = sequence
        await self._post("POST", f"{self._path}/input", payload)

    async def receive(self) -> ChunkResult | None:
        """Return the next result (see the port). Cancelling it ends the session."""
        while True:
            if self._error is not None:
                raise self._error
            if self._closed:
                return None
            event = await self._next_event()
            if event is None:
                self._end_of_output()
            elif event.event == ERROR_EVENT:
                raise self._fail(event_error(event.data, self.endpoint), told=True)
            elif event.event == CLOSED_EVENT:
                self._close()
            elif event.event == "message" and (result := self._read(event)) is not None:
                return result

    async def finish(self) -> None:
        """Say that no chunk follows; results still come until `receive` returns None."""
        if self._finished or self._closed or self._error is not None:
            return
        self._finished = True
        await self._post("DELETE", self._path, None)

    def cancel(self) -> None:
        """End the session at once; harmless when it has ended."""
        self.end(SessionClosed("the session was cancelled", endpoint=self.endpoint))

    def end(self, error: RpeError) -> None:
        """End the session at once, with `error` for whoever uses it after that."""
        if self._error is None and not self._closed:
            self._fail(error)
            self._waits.interrupt()

    async def _authorize(self, timeout_s: float) -> float:
        """Take a token for the whole session: a server knows by it whose session that is."""
        bearer = self._exchange.bearer
        self._grant, left_s = await bearer.ask(timeout_s)
        if bearer.fixed is None:
            self._metadata = (*self._grant.pairs, *self._metadata)
        return left_s

    async def _open(self, manifest: Manifest) -> None:
        exchange, self._entry = self._exchange, manifest.entry
        answer = await exchange.ask(
            "POST",
            exchange.url("/stream"),
            encode_stream_request(manifest),
            timeout_s=self._remaining_s(),
            metadata=self._metadata,
        )
        body = exchange.expect(answer)
        try:
            reply = parse_json(body, "the answer")
        except DataValidationError as error:
            raise ProtocolViolation(error.message, endpoint=self.endpoint) from error
        session_id = reply.get("session_id") if isinstance(reply, dict) else None
        if not isinstance(session_id, str) or not 0 < len(session_id) <= _LONGEST_ID:
            raise ProtocolViolation("the answer names no session", endpoint=self.endpoint)
        self.session_id = session_id
        self._path = f"/stream/{quote(session_id, safe='')}"
        url = exchange.url(f"{self._path}/output")
        self._output = SessionOutput(exchange, url, self._metadata, self._ends_s)
        await self._output.connect()

    async def _post(self, method: str, path: str, payload: bytes | None) -> None:
        exchange = self._exchange
        try:
            with self._waits.one():
                answer = await exchange.ask(
                    method,
                    exchange.url(path),
                    payload,
                    timeout_s=self._remaining_s(),
                    metadata=self._metadata,
                )
        except Interrupted as error:
            raise self._dead() from error
        except RpeError as error:
            raise self._fail(self._in_session(error)) from self._grant.cause(error)
        except BaseException:
            self.cancel()
            raise
        if answer.status != 200:
            if self._closed and method == "DELETE":
                return
            refused = answer_error(answer.status, answer.headers, answer.body, self.endpoint)
            raise self._fail(self._gone(refused, answer.status), told=answer.status in (404, 409, 410))

    async def _next_event(self) -> Event | None:
        output = self._output
        assert output is not None
        if (event := output.ready()) is not None:
            return event
        try:
            with self._waits.one():
                return await output.next()
        except Interrupted as error:
            raise self._dead() from error
        except RpeError as error:
            raise self._fail(self._in_session(error)) from self._grant.cause(error)
        except BaseException:
            self.cancel()
            raise

    def _read(self, event: Event) -> ChunkResult | None:
        """Return the result of an event, None where it goes on in the next one."""
        try:
            transport = decode_transport(event.data)
        except DataValidationError as error:
            raise self._fail(
                ProtocolViolation(f"an answer is corrupted: {error.message}", endpoint=self.endpoint)
            ) from self._grant.cause(error)
        sequence = self._unnumbered if transport.sequence is None else transport.sequence
        if sequence > max(self._last_sent, 0):
            raise self._fail(
                ProtocolViolation(
                    f"an answer to chunk {sequence}, but {self._last_sent} was the last one sent",
                    endpoint=self.endpoint,
                )
            )
        self._parts[transport.metadata.get(OUTPUT_KEY, "output")] = own_data(transport)
        if transport.metadata.get(MORE_KEY):
            return None
        outputs, self._parts = self._parts, {}
        self._unnumbered += 1
        self.last_answered = max(sequence, self.last_answered or 0)
        return ChunkResult(sequence, outputs)

    def _end_of_output(self) -> None:
        """The output has ended: well where that was asked for, and the server did not owe a last word."""
        output = self._output
        if self._finished and not self._parts and output is not None and not output.agreed:
            self._close()
            return
        raise self._fail(
            StreamBroken(
                "the stream ended without being closed",
                endpoint=self.endpoint,
                last_sequence=self.last_answered,
            ),
            told=True,
        )

    def _in_session(self, error: RpeError) -> RpeError:
        """Return what an error of the network means once the session stands."""
        if not isinstance(error, ConnectionLost | ConnectFailed):
            return error
        return StreamBroken(error.message, endpoint=self.endpoint, last_sequence=self.last_answered)

    def _gone(self, error: RpeError, status: int) -> RpeError:
        if status not in (404, 409, 410):
            return error
        return StreamBroken(
            f"the server has ended the session: {error.message}",
            endpoint=self.endpoint,
            last_sequence=self.last_answered,
        )

    def _fail(self, error: RpeError, *, told: bool = False) -> RpeError:
        """End the session with an error. `told`: the server knows that it has ended."""
        if self._error is None:
            self._error = self._grant.judge(error, begun=self._last_sent >= 0)
            self._release()
            if self._path and not told and not isinstance(error, StreamBroken):
                self._say_goodbye(self._path, (*self._metadata, (CANCEL_KEY, "1")))
        return self._error

    def _close(self) -> None:
        self._closed = True
        self._release()

    def _release(self) -> None:
        if self._output is not None:
            self._output.close()

    def _remaining_s(self) -> float:
        return self._ends_s - asyncio.get_running_loop().time()

    def _dead(self) -> RpeError:
        return self._error or SessionClosed("the session is closed", endpoint=self.endpoint)
