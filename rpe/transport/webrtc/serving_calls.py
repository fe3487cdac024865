"""The server's end of the multiplexer: the calls of one peer, and the one place where each of them ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

from aiortc.exceptions import InvalidStateError
from google.protobuf.message import DecodeError

from rpe.errors import DataValidationError, ManifestInvalid
from rpe.transport.messages.answers import error_message, result_bytes
from rpe.transport.messages.requests import read_pipeline
from rpe.transport.ports import ATTEMPT_KEY, OPERATION_KEY
from rpe.transport.serving import (
    ApplicationError,
    ConnectionCut,
    ErrorType,
    PipelineHandler,
    RawAnswer,
    Refusal,
    Reply,
    ServerCall,
    SessionBroken,
    StatusCode,
)
from rpe.transport.webrtc.control import Opening, Reset, going_away, refused
from rpe.transport.webrtc.framing import (
    LAST,
    NOT_SERVING,
    SERVING,
    Frame,
    FrameType,
    FramingError,
    Joiner,
    MessageTooLarge,
    NotRead,
    encode,
    split,
)
from rpe.transport.webrtc.inbox import Inbox
from rpe.transport.webrtc.link import Link
from rpe.transport.webrtc.media.serving import ServingMedia
from rpe.transport.webrtc.reorder import Reorder
from rpe.transport.webrtc.serving_session import WebrtcServerSession, is_cancel
from rpe.transport.webrtc.settings import WebrtcServerSettings
from rpe.wire.generated.remotemedia.v1 import streaming_pb2

__all__ = ["ServedCalls", "server_call"]

_LOG = logging.getLogger(__name__)

_Work = Callable[[], Coroutine[Any, Any, None]]


def server_call(
    method: str, address: str, metadata: Mapping[str, str], remaining_s: float | None = None
) -> ServerCall:
    """Return what is known of a call before its request is read."""
    attempt = metadata.get(ATTEMPT_KEY, "")
    return ServerCall(
        method=method,
        peer=f"webrtc:{address}",
        metadata=metadata,
        remaining_s=remaining_s,
        operation_id=metadata.get(OPERATION_KEY, ""),
        attempt=int(attempt) if attempt.isascii() and attempt.isdecimal() and len(attempt) < 10 else 0,
    )


class _Served:
    """One call under way: what arrives for it, and the task that answers it once there is one."""

    def __init__(self, opening: Opening) -> None:
        self.opening = opening
        self.task: asyncio.Task[None] | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.why: Reset | None = None
        """What the caller is told where the task is cancelled; None says nothing."""

    def take(self, frame: Frame, lossy: bool) -> None:
        """Take a MESSAGE frame of the caller."""
        raise FramingError("a message came for a call that takes none")

    def end(self, count: int) -> None:
        """Learn that the caller sends no more than `count` messages."""
        raise FramingError("an END came for a call that takes no messages")

    def cancel(self, why: Reset | None = None) -> None:
        """Cancel the task."""
        if self.task is not None and not self.task.done():
            self.why = why
            self.task.cancel()


class _Execution(_Served):
    def __init__(self, opening: Opening, max_message_bytes: int) -> None:
        super().__init__(opening)
        self.payload: bytes | None = None
        self._joiner = Joiner(max_message_bytes)

    def take(self, frame: Frame, lossy: bool) -> None:
        if self.task is not None:
            raise FramingError("a message came after the end of the request")
        if (payload := self._joiner.add(frame)) is None:
            return
        if self.payload is not None:
            raise FramingError("a unary call has one request, and a second one came")
        self.payload = payload

    def end(self, count: int) -> None:
        if self.task is not None:
            raise FramingError("the end of the request came twice")
        self._joiner.end(count)
        if self.payload is None:
            raise FramingError("the end came without a request")


class _Stream(_Served):
    def __init__(self, opening: Opening, max_message_bytes: int, reorder: Reorder | None) -> None:
        super().__init__(opening)
        self.inbox = Inbox(max_message_bytes, reorder, self._peek)

    def take(self, frame: Frame, lossy: bool) -> None:
        self.inbox.take(frame, lossy)

    def end(self, count: int) -> None:
        self.inbox.end(count)

    def _peek(self, payload: bytes) -> None:
        if is_cancel(payload):
            self.cancel(Reset(StatusCode.CANCELLED, "the caller cancelled the session"))


class ServedCalls:
    """Takes the frames of a caller, runs the handler, and sends its answers.

    Arguments:
        link: the way to the caller.
        handler: who answers.
        address, metadata: what signalling knows of the caller.
        media: the caller's sound, for the first session.
        cut: breaks the caller's connection as a crash would.
    """

    def __init__(
        self,
        link: Link,
        handler: PipelineHandler,
        settings: WebrtcServerSettings,
        address: str,
        metadata: Mapping[str, str],
        media: ServingMedia,
        cut: Callable[[], None],
    ) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        """Those of calls under way; whoever ends the peer waits for them."""
        self._link = link
        self._handler = handler
        self._settings = settings
        self._address = address
        self._metadata = metadata
        self._media = media
        self._cut = cut
        self._calls: dict[int, _Served] = {}
        self._last = 0
        self._draining = False
        self._loop = asyncio.get_running_loop()

    def drain(self) -> None:
        """Take no more calls, and say so; those under way go on."""
        self._draining = True
        self._link.post(encode(FrameType.RESET, 0, payload=going_away().encode()))

    def cancel_all(self) -> None:
        """Cancel every call under way; nobody is told."""
        for task in self.tasks:
            task.cancel()
        for served in self._calls.values():
            if isinstance(served, _Stream):
                served.inbox.discard()

    def frame(self, frame: Frame, lossy: bool) -> None:
        """Take a frame of the caller. Raises FramingError where the peer cannot be trusted any more."""
        number, kind = frame.call, frame.kind
        if kind is FrameType.OPEN:
            self._open(frame)
        elif kind is FrameType.PING:
            self._ask(number)
        elif kind is FrameType.PONG:
            raise FramingError("a caller must not send PONG")
        elif (served := self._calls.get(number)) is not None:
            try:
                self._take(number, served, frame, lossy)
            except FramingError as error:
                self._violated(number, served, error)
        elif number > self._last and kind is not FrameType.RESET:
            self._refuse(number, StatusCode.FAILED_PRECONDITION, f"call {number} was never opened")
            self._last = number

    def _take(self, number: int, served: _Served, frame: Frame, lossy: bool) -> None:
        if frame.kind is FrameType.RESET:
            Reset.decode(frame.payload)
            self._calls.pop(number, None)
            served.cancel()
            return
        message = frame.kind is FrameType.MESSAGE
        if message:
            served.take(frame, lossy)
        if not message or frame.flags & LAST:
            served.end(frame.number + message)
            if isinstance(served, _Execution):
                self._start(number, served, partial(self._execute, number, served))

    # --- beginnings -----------------------------------------------------------------------------------

    def _open(self, frame: Frame) -> None:
        number = frame.call
        if number <= self._last:
            if (served := self._calls.pop(number, None)) is not None:
                served.cancel()
            self._refuse(number, StatusCode.FAILED_PRECONDITION, f"call {number} was opened before")
            return
        self._last = number
        if self._draining:
            self._link.reset(number, going_away().encode())
            return
        try:
            opening = Opening.decode(frame.payload)
        except FramingError as error:
            self._refuse(number, StatusCode.INVALID_ARGUMENT, str(error))
            return
        most_bytes = self._settings.max_message_bytes
        if opening.kind == "execute":
            self._calls[number] = _Execution(opening, most_bytes)
            return
        lossy = opening.lossy and self._link.has_lossy
        reorder = Reorder(self._settings.reorder_window_s) if lossy else None
        stream = self._calls[number] = _Stream(opening, most_bytes, reorder)
        session = WebrtcServerSession(
            self._link, number, stream.inbox, lossy=lossy, max_message_bytes=most_bytes
        )
        self._start(number, stream, partial(self._stream, stream, session))

    def _ask(self, number: int) -> None:
        if number <= self._last:
            raise FramingError(f"a PING came with the used number {number}")
        self._last = number
        if not self._settings.health:
            self._link.post(encode(FrameType.PONG, number))
            return
        served = self._calls[number] = _Served(Opening("execute"))
        self._start(number, served, partial(self._health, number))

    def _start(self, number: int, served: _Served, work: _Work) -> None:
        task = served.task = self._loop.create_task(self._run(number, work))
        self.tasks.add(task)
        # Not left to the task itself: one that is cancelled before its first step never runs.
        task.add_done_callback(partial(self._ended, number, served))
        if (timeout_ms := served.opening.timeout_ms) is not None:
            why = Reset(StatusCode.DEADLINE_EXCEEDED)
            served.timer = self._loop.call_later(timeout_ms / 1000, served.cancel, why)

    # --- the work -------------------------------------------------------------------------------------

    async def _execute(self, number: int, served: _Execution) -> None:
        call = self._call("execute", served.opening)
        payload = served.payload or b""
        try:
            request = streaming_pb2.StreamRequest.FromString(payload)
        except DecodeError as error:
            raise Refusal(StatusCode.INTERNAL, "the request is not a StreamRequest") from error
        if request.WhichOneof("request") != "init":
            raise Refusal(StatusCode.INVALID_ARGUMENT, "a unary request is init, and nothing else")
        if not request.init.HasField("manifest"):
            raise Refusal(StatusCode.INVALID_ARGUMENT, "the request has no manifest")
        reply: Reply
        try:
            manifest, inputs = read_pipeline(request.init.manifest, request.init.data_inputs)
        except (DataValidationError, ManifestInvalid) as error:
            reply = ApplicationError(ErrorType.VALIDATION, error.message)
        else:
            reply = await self._handler.execute(call, manifest, inputs)
        answer = _reply_bytes(reply)
        most_bytes = self._settings.max_message_bytes
        if len(answer) > most_bytes:
            raise Refusal(
                StatusCode.INVALID_ARGUMENT,
                f"an answer of {len(answer)} bytes, and at most {most_bytes} are sent",
            )
        await self._write(number, split(number, 0, answer, limit=self._link.limit, last=True))

    async def _stream(self, served: _Stream, session: WebrtcServerSession) -> None:
        call = self._call("stream", served.opening)
        try:
            if await session.open():
                async with self._media.attached(session) as attached:
                    await self._handler.stream(call, attached)
        except SessionBroken:
            pass
        finally:
            served.inbox.discard()
        self._link.post(session.end_frame())

    async def _health(self, number: int) -> None:
        try:
            serving = await self._handler.health(self._call("health", None), None)
        except Refusal as refusal:
            if refusal.status is not StatusCode.UNIMPLEMENTED:
                raise
            flags = 0
        else:
            flags = SERVING if serving else NOT_SERVING
        self._link.post(encode(FrameType.PONG, number, flags=flags))

    async def _run(self, number: int, work: _Work) -> None:
        """Do the work of one call, and end the call by whatever the work raises.

        `Refusal` becomes its status, `ConnectionCut` a broken connection; any other error is
        INTERNAL and logged, and its text stays here.
        """
        try:
            await work()
        except Refusal as refusal:
            self._reset(number, refused(refusal))
        except ConnectionCut:
            self._cut()
        except InvalidStateError:
            _LOG.debug("an answer found nobody there", exc_info=True)
        except Exception:
            _LOG.exception("the handler of a call failed")
            self._reset(number, Reset(StatusCode.INTERNAL, "the server failed"))

    def _ended(self, number: int, served: _Served, task: asyncio.Task[None]) -> None:
        """Forget a call whose task has ended, and tell the caller why where it was cancelled for a reason."""
        self.tasks.discard(task)
        if served.timer is not None:
            served.timer.cancel()
        if self._calls.get(number) is served:
            del self._calls[number]
        if task.cancelled() and served.why is not None:
            self._reset(number, served.why)

    async def _write(self, number: int, messages: Any) -> None:
        waiting = self._link.write(number, messages)
        if waiting is not None:
            await waiting

    # --- ends -----------------------------------------------------------------------------------------

    def _violated(self, number: int, served: _Served, error: FramingError) -> None:
        self._calls.pop(number, None)
        served.cancel()
        if isinstance(error, NotRead):
            self._refuse(number, StatusCode.RESOURCE_EXHAUSTED, str(error))
        elif isinstance(error, MessageTooLarge):
            self._refuse(number, StatusCode.INVALID_ARGUMENT, str(error))
        else:
            self._refuse(number, StatusCode.FAILED_PRECONDITION, f"the framing was broken: {error}")

    def _refuse(self, number: int, status: StatusCode, message: str) -> None:
        self._reset(number, Reset(status, message))

    def _reset(self, number: int, reset: Reset) -> None:
        self._link.reset(number, reset.encode())

    def _call(self, method: str, opening: Opening | None) -> ServerCall:
        metadata, remaining_s = self._metadata, None
        if opening is not None:
            metadata = {**metadata, **dict(opening.metadata)}
            remaining_s = None if opening.timeout_ms is None else opening.timeout_ms / 1000
        return server_call(method, self._address, metadata, remaining_s)


def _reply_bytes(reply: Reply) -> bytes:
    if isinstance(reply, RawAnswer):
        return reply.payload
    if isinstance(reply, ApplicationError):
        return streaming_pb2.StreamResponse(error=error_message(reply)).SerializeToString()
    return result_bytes(0, reply.outputs, reply.wall_time_ms, 1, reply.damage)
