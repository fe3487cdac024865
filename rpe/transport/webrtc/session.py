"""The caller's end of a session in pipeline mode: numbered chunks out, results in."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from rpe.data import RuntimeData
from rpe.errors import (
    ConnectionLost,
    InvalidRequest,
    ProtocolViolation,
    RemoteTimeout,
    RpeError,
    SessionClosed,
    StreamBroken,
)
from rpe.manifest.model import Manifest
from rpe.transport.failures import check_rising
from rpe.transport.messages.chunks import chunk_bytes
from rpe.transport.messages.errors import application_error
from rpe.transport.ports import ChunkResult, Metadata
from rpe.transport.webrtc.calls import StreamCall
from rpe.transport.webrtc.framing import split
from rpe.transport.webrtc.peer import Peer
from rpe.transport.webrtc.reorder import Reorder
from rpe.transport.webrtc.requests import CLOSE, check_size, init_bytes, open_frame
from rpe.transport.webrtc.results import read_outputs, read_response
from rpe.transport.webrtc.settings import WebrtcSettings
from rpe.transport.webrtc.status import late
from rpe.wire.generated.remotemedia.v1 import streaming_pb2

__all__ = ["WebrtcClientSession"]


class WebrtcClientSession:
    """Fills `rpe.transport.ports.ClientStreamSession` over one call of a peer.

    Cancelling `send` ends the session, since a chunk may be halfway out; it says SessionClosed
    from then on. Cancelling `receive` does not: nothing is lost by it.

    With `server_numbers` the server numbers what it hears by itself, so that results may answer
    more chunks than were sent here.
    """

    def __init__(self, peer: Peer, settings: WebrtcSettings, *, server_numbers: bool = False) -> None:
        self.endpoint = peer.endpoint
        self.session_id = ""
        self.last_answered: int | None = None
        self.metrics: streaming_pb2.StreamMetrics | None = None
        self._peer = peer
        self._most_bytes = settings.max_message_bytes
        self._lossy = peer.link.has_lossy
        self._call = StreamCall(
            settings.max_message_bytes,
            Reorder(settings.reorder_window_s) if self._lossy else None,
        )
        self._number = peer.calls.add(self._call)
        self._deadline: asyncio.TimerHandle | None = None
        self._sent = 0
        self._last_sent = -1
        self._server_numbers = server_numbers
        self._early: list[streaming_pb2.StreamResponse] = []
        self._finished = False
        self._closed = False
        self._error: RpeError | None = None

    async def open(
        self, manifest: Manifest, *, timeout_s: float, open_timeout_s: float, metadata: Metadata
    ) -> None:
        """Send `init` and wait for `ready`. On any failure the call is cancelled and the error raised."""
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(timeout_s, self._time_is_up)
        try:
            opening = open_frame(
                self._number,
                "stream",
                timeout_s,
                metadata,
                limit=self._peer.link.limit,
                endpoint=self.endpoint,
                lossy=self._lossy,
            )
            async with asyncio.timeout(open_timeout_s):
                await self._write(init_bytes(manifest, {}), head=opening)
                response = await self._first()
        except TimeoutError as error:
            raise self._fail(
                RemoteTimeout(
                    "the session was not ready in time", endpoint=self.endpoint, maybe_executed=False
                )
            ) from error
        except BaseException:
            self.cancel()
            raise
        kind = response.WhichOneof("response") if response is not None else None
        if kind == "ready" and response is not None:
            self.session_id = response.ready.session_id
        elif kind == "error" and response is not None:
            raise self._fail(application_error(response.error, self.endpoint))
        elif response is None:
            raise self._fail(
                ConnectionLost(
                    "the session ended before it was ready", endpoint=self.endpoint, maybe_executed=False
                )
            )
        else:
            raise self._fail(
                ProtocolViolation(
                    f"the first answer of a session is {kind or 'empty'}", endpoint=self.endpoint
                )
            )

    async def send(
        self,
        data: RuntimeData | Mapping[str, RuntimeData],
        *,
        node_id: str,
        sequence: int,
        timestamp_ms: int = 0,
    ) -> None:
        """Send one chunk (see the port). Raises SessionClosed after `finish`, or the session's own error."""
        if self._finished or self._error is not None:
            raise self._dead()
        check_rising(sequence, self._last_sent, self.endpoint)
        payload = chunk_bytes(data, node_id=node_id, sequence=sequence, timestamp_ms=timestamp_ms)
        self._last_sent = sequence
        await self._write(payload, lossy=self._lossy)

    async def receive(self) -> ChunkResult | None:
        """Return the next result (see the port). Metrics that come unasked are kept in `metrics`."""
        while True:
            if self._closed:
                return None
            if self._error is not None:
                raise self._error
            response = self._early.pop(0) if self._early else await self._read()
            if response is None:
                raise self._fail(
                    StreamBroken(
                        "the stream ended without being closed",
                        endpoint=self.endpoint,
                        last_sequence=self.last_answered,
                    )
                )
            kind = response.WhichOneof("response")
            if kind == "result":
                return self._read_result(response.result)
            if kind == "metrics":
                self.metrics = response.metrics
            elif kind == "closed":
                self._closed = True
                self._release()
            elif kind == "error":
                raise self._fail(application_error(response.error, self.endpoint))
            else:
                what = "a second `ready`" if kind == "ready" else "an empty message"
                raise self._fail(ProtocolViolation(f"{what} in a session", endpoint=self.endpoint))

    async def finish(self) -> None:
        """Ask the server to flush and close; results still come until `receive` returns None."""
        if self._finished or self._error is not None:
            return
        self._finished = True
        await self._write(CLOSE, last=True)

    def cancel(self) -> None:
        """End the session at once; harmless when it has ended."""
        if self._error is None and not self._closed:
            self._error = SessionClosed("the session was cancelled", endpoint=self.endpoint)
        self._release()
        self._call.fail(self._dead())

    async def _write(
        self, payload: bytes, *, head: bytes = b"", last: bool = False, lossy: bool = False
    ) -> None:
        try:
            check_size(payload, self._most_bytes, self.endpoint)
        except InvalidRequest as error:
            raise self._fail(error) from None
        limit = self._peer.link.limit
        messages = split(self._number, self._sent, payload, limit=limit, head=head, last=last)
        self._sent += 1
        # What has to be split would be lost as a whole with any of its parts.
        lossy = lossy and len(payload) < limit // 2
        try:
            waiting = self._peer.calls.write(self._number, messages, lossy=lossy)
            if waiting is not None:
                await waiting
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and not task.cancelling():
                # It is the wait that was cancelled, since the call has ended.
                raise self._broken(self._ended_by()) from None
            self.cancel()
            raise
        except RpeError as error:
            raise self._broken(error) from self._peer.grant.cause(error)
        except Exception as error:
            raise self._broken(self._ended_by()) from error

    async def _first(self) -> streaming_pb2.StreamResponse | None:
        """Return the first answer; results that have overtaken it on the lossy channel wait."""
        while True:
            response = await self._read()
            if response is None or not self._lossy or response.WhichOneof("response") != "result":
                return response
            self._early.append(response)

    async def _read(self) -> streaming_pb2.StreamResponse | None:
        try:
            payload = await self._call.read()
        except RpeError as error:
            raise self._broken(error) from None
        if payload is None:
            return None
        try:
            return read_response(payload, self.endpoint)
        except ProtocolViolation as error:
            raise self._fail(error) from None

    def _read_result(self, result: streaming_pb2.ChunkResult) -> ChunkResult:
        if result.sequence > max(self._last_sent, 0) and not self._server_numbers:
            raise self._fail(
                ProtocolViolation(
                    f"an answer to chunk {result.sequence}, but {self._last_sent} was the last one sent",
                    endpoint=self.endpoint,
                )
            )
        try:
            outputs = read_outputs(result, self.endpoint)
        except ProtocolViolation as error:
            raise self._fail(error) from None
        self.last_answered = result.sequence
        return ChunkResult(result.sequence, outputs, result.processing_time_ms)

    def _ended_by(self) -> RpeError:
        error = self._call.error
        return error if isinstance(error, RpeError) else ConnectionLost("no peer", endpoint=self.endpoint)

    def _broken(self, error: RpeError) -> RpeError:
        """Make what ended the call the session's error."""
        if self._error is None and type(error) is ConnectionLost and self.session_id:
            error = StreamBroken(error.message, endpoint=self.endpoint, last_sequence=self.last_answered)
        elif isinstance(error, StreamBroken) and error.last_sequence is None:
            error.last_sequence = self.last_answered
        return self._fail(error)

    def _time_is_up(self) -> None:
        error = self._fail(late(self.endpoint))
        self._call.fail(error)

    def _fail(self, error: RpeError) -> RpeError:
        if self._error is None:
            self._error = self._peer.judge(error, begun=self._last_sent >= 0)
        self._release()
        return self._error

    def _release(self) -> None:
        """Let go of the call; the server is told where it still runs."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self._peer.calls.forget(self._number)
        self._call.discard()

    def _dead(self) -> RpeError:
        return self._error or SessionClosed("the session is closed", endpoint=self.endpoint)
