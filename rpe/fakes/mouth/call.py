"""One call at the raw server: what its answer reads and sends, and the frames that this becomes."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, NoReturn

from rpe.fakes.journal import Kind
from rpe.fakes.mouth.breaking import break_call, break_message
from rpe.fakes.mouth.encoding import (
    STATUS_NUMBERS,
    Headers,
    prefixed,
    pushback,
    status_message,
)
from rpe.fakes.mouth.holding import Holding
from rpe.fakes.mouth.reading import Requests
from rpe.fakes.mouth.script import CallFault, GoAway, StopReading
from rpe.transport.serving import Refusal, StatusCode

if TYPE_CHECKING:
    from google.protobuf.descriptor_pool import DescriptorPool

    from rpe.fakes.mouth.connection import Connection

__all__ = ["HALF_CLOSED", "Answer", "RawCall"]

_LOG = logging.getLogger(__name__)
_GRPC = "application/grpc"

HALF_CLOSED = "half_closed"
"""How the journal tells that a caller sends no more: the detail of an entry of kind CHUNK."""


class RawCall:
    """A call as its answer holds it, for unary and streaming methods alike.

    `path` is the full method name, `metadata` what the caller sent beside it, without the
    headers of HTTP/2 itself; `remaining_s` is what its deadline left on arrival, or None.
    `pool` knows what its messages are; with `trace`, the journal tells of each of them.
    """

    def __init__(
        self,
        connection: Connection,
        stream_id: int,
        number: int,
        headers: Mapping[str, str],
        remaining_s: float | None,
        fault: CallFault | None,
        *,
        pool: DescriptorPool | None = None,
        trace: bool = False,
    ) -> None:
        self.path = headers.get(":path", "")
        self.metadata = {key: value for key, value in headers.items() if not key.startswith(":")}
        self.remaining_s = remaining_s
        self.connection = connection
        self.stream_id = stream_id
        self.number = number
        self.content_type: str | None = _GRPC
        self.encoding: str | None = None
        self.headers_sent = False
        self.pool = pool
        stops = fault if isinstance(fault, StopReading) else None
        self._pending = None if stops is not None else fault
        self._trace = trace
        self._sent = 0
        self._ended = False
        self._gone = False
        self.first_window_bytes = connection.window_of(None if stops is None else stops.window_bytes)
        self._holding = None if stops is None else self._hold(stops)
        self._requests = Requests(self, self._holding, self._open_window)
        self._task: asyncio.Task[None] | None = None

    # --- what an answer uses ---------------------------------------------------------------------------

    async def read(self) -> bytes | None:
        """Return the next message of the request; None once there are no more."""
        return await self._requests.read()

    async def send(self, message: bytes) -> None:
        """Send one message of the answer, waiting as long as the caller's window is shut.

        Does not return where the script ends the call here: it is then cancelled, as it is
        where the caller goes away.
        """
        fault = None
        if self._pending is not None and self._pending.after_messages == self._sent:
            fault = self._take_fault()
            if fault.ends:
                await break_call(fault, self)
                fault = None
        if self._trace:
            self.connection.note(Kind.RESULT, self, sequence=self._sent, content=_content(message))
        self._sent += 1
        if fault is None:
            await self.write(prefixed(message))
        else:
            await break_message(fault, self, message)

    # --- what a fault uses -----------------------------------------------------------------------------

    async def write(self, data: bytes, *, end: bool = False) -> None:
        """Send bytes in DATA frames, after the headers of the answer."""
        self.send_headers()
        await self.connection.send_data(self.stream_id, data, end=end)

    def send_headers(self) -> None:
        """Send the headers of the answer, unless they have gone out."""
        if not self.headers_sent:
            self.headers_sent = True
            headers = [(":status", "200")]
            if self.content_type is not None:
                headers.append(("content-type", self.content_type))
            if self.encoding is not None:
                headers.append(("grpc-encoding", self.encoding))
            self.connection.send_headers(self.stream_id, headers, end=False)

    def send_status(self, number: int, message: str = "", more: Headers | None = None) -> None:
        """End the stream with a status: in trailers only, where nothing has been sent before."""
        trailers = [("grpc-status", str(number)), *(more or [])]
        if message:
            trailers.insert(1, ("grpc-message", status_message(message)))
        if not self.headers_sent:
            trailers = [(":status", "200"), ("content-type", self.content_type or _GRPC), *trailers]
        self.headers_sent = True
        self.connection.send_headers(self.stream_id, trailers, end=True)

    def note_fault(self, fault: CallFault, detail: str = "") -> None:
        """Write down that the script takes effect on this call."""
        self.note(fault.kind, detail)

    def note(self, fault: str, detail: str = "") -> None:
        """Write down something about a fault of this call."""
        self.connection.note(Kind.FAULT, self, fault=fault, detail=detail)

    def note_end(self, kind: Kind, detail: str = "") -> None:
        """Write down how the call has ended, once."""
        if not self._ended:
            self._ended = True
            self.connection.note(kind, self, detail=detail)

    async def stop_here(self) -> NoReturn:
        """End the work on this call by cancelling it. Never returns."""
        assert self._task is not None
        self._task.cancel()
        while True:
            await asyncio.get_running_loop().create_future()

    # --- what the connection uses ----------------------------------------------------------------------

    @property
    def holds(self) -> bool:
        """Whether the call gives its caller its window back by itself."""
        return self._holding is not None

    def begin(self) -> None:
        """Take the place in the connection, before the first byte of the request."""
        self._requests.begin()

    def feed(self, data: bytes, cost_bytes: int) -> None:
        """Take what came in a DATA frame, and how much of the caller's window that took."""
        self._requests.feed(data, cost_bytes)

    def feed_end(self) -> None:
        """Take the end of the request."""
        self._requests.feed_end()

    def cancel(self, why: str) -> None:
        """End the work on this call: its caller has gone."""
        self._gone = True
        self.note_end(Kind.CANCELLED, why)
        self._requests.close()
        if self._task is not None:
            self._task.cancel()

    def message_in(self, number: int, message: bytes) -> None:
        """Write down that a message of the request is complete."""
        if self._trace:
            self.connection.note(Kind.CHUNK, self, sequence=number, content=_content(message))

    def half_closed(self) -> None:
        """Write down that the caller sends no more."""
        if self._trace:
            self.connection.note(Kind.CHUNK, self, detail=HALF_CLOSED)

    async def serve(self, answer: Answer) -> None:
        """Answer the call, as far as the script lets it be answered."""
        if self._gone:
            return
        self._task = asyncio.current_task()
        try:
            await self._serve(answer)
        except asyncio.CancelledError:
            self.note_end(Kind.CANCELLED, "the server has stopped")
            raise
        except OSError as error:
            self.note_end(Kind.CANCELLED, f"the connection is gone: {type(error).__name__}")
        finally:
            self._requests.close()

    async def _serve(self, answer: Answer) -> None:
        if self._pending is not None and self._pending.ends and self._pending.after_messages == 0:
            await self._requests.wait_for_more()
            await break_call(self._take_fault(), self)
        number, message, more = 0, "", Headers()
        try:
            reply = await answer(self)
            if reply is not None:
                await self.send(reply)
        except Refusal as refusal:
            number, message = STATUS_NUMBERS[refusal.status], refusal.message
            more = [*refusal.metadata.items(), *pushback(refusal.retry_after_s)]
        except OSError:
            raise
        except Exception:
            _LOG.exception("the answer to a call failed")
            number, message = STATUS_NUMBERS[StatusCode.INTERNAL], "the server failed"
        last = self._pending if self._pending is not None and self._pending.after_messages is None else None
        if last is not None and not isinstance(last, GoAway):
            await break_call(last, self)
        self.note_end(Kind.FAILED if number else Kind.SENT, message)
        if not number:
            self.send_headers()
        self.send_status(number, message, more)
        if last is not None:
            await break_call(last, self)

    def _take_fault(self) -> CallFault:
        fault, self._pending = self._pending, None
        assert fault is not None
        return fault

    def _hold(self, fault: StopReading) -> Holding:
        connection = self.connection
        return Holding(fault, self.first_window_bytes, connection.clock, self.note, connection.begin)

    def _open_window(self, size: int) -> None:
        self.connection.open_window(self.stream_id, size)


def _content(message: bytes) -> dict[str, str]:
    return {"message": hashlib.sha256(message).hexdigest()[:16]}


Answer = Callable[[RawCall], Awaitable[bytes | None]]
"""What answers a call: it reads and sends, and returns a last message or None. `Refusal` is a status."""
