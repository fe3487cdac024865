"""Answers of a raw gRPC server that is well framed, and breaks the contract of its services."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from rpe.fakes.brain import Brain
from rpe.fakes.mouth.answers import brain_answer
from rpe.fakes.mouth.call import Answer, RawCall
from rpe.transport.serving import Refusal, StatusCode
from rpe.wire.generated.remotemedia.v1 import common_pb2, execution_pb2, streaming_pb2

Alter = Callable[[bytes], bytes | None]
"""Changes a message on its way; None swallows it."""


class AlteredCall:
    """A call as an honest answer sees it, with messages changed on their way in and out."""

    def __init__(self, call: RawCall, read: Alter, send: Alter) -> None:
        self.path = call.path
        self.metadata = call.metadata
        self.remaining_s = call.remaining_s
        self._call = call
        self._alter_read = read
        self._alter_send = send

    async def read(self) -> bytes | None:
        while (message := await self._call.read()) is not None:
            if (altered := self._alter_read(message)) is not None:
                return altered
        return None

    async def send(self, message: bytes) -> None:
        if (altered := self._alter_send(message)) is not None:
            await self._call.send(altered)


def _same(message: bytes) -> bytes:
    return message


def honest() -> Answer:
    return brain_answer(Brain(name="bad"))


def altered(path: str, make: Callable[[], tuple[Alter, Alter]]) -> Answer:
    """Answer honestly, but for the messages of one method, changed by what `make` makes for each call."""
    good = honest()

    async def answer(call: RawCall) -> bytes | None:
        if not call.path.endswith(path):
            return await good(call)
        read, send = make()
        given: Any = AlteredCall(call, read, send)
        reply = await good(given)
        return None if reply is None else send(reply)

    return answer


def sent(path: str, alter: Callable[[Any], Any], kind: Any) -> Answer:
    """Answer honestly, but change each message that a method sends; None swallows it."""

    def change(message: bytes) -> bytes | None:
        new = alter(kind.FromString(message))
        return None if new is None else bytes(new.SerializeToString())

    return altered(path, lambda: (_same, change))


def received(path: str, alter: Callable[[Any], Any], kind: Any) -> Answer:
    """Answer honestly to other messages than those that came; None swallows one."""

    def change(message: bytes) -> bytes | None:
        new = alter(kind.FromString(message))
        return None if new is None else bytes(new.SerializeToString())

    return altered(path, lambda: (change, _same))


def wrapped(around: Callable[[Answer, RawCall], Awaitable[bytes | None]]) -> Answer:
    good = honest()

    async def answer(call: RawCall) -> bytes | None:
        return await around(good, call)

    return answer


EXECUTE, STREAM = "ExecutePipeline", "StreamPipeline"
_REQUEST, _RESPONSE = streaming_pb2.StreamRequest, streaming_pb2.StreamResponse


async def _never_fails(good: Answer, call: RawCall) -> bytes | None:
    try:
        return await good(call)
    except Refusal:
        return b""


async def _errors_as_statuses(good: Answer, call: RawCall) -> bytes | None:
    reply = await good(call)
    if call.path.endswith(EXECUTE) and reply is not None:
        response = execution_pb2.ExecuteResponse.FromString(reply)
        if response.HasField("error"):
            raise Refusal(StatusCode.INTERNAL, response.error.message)
    return reply


async def _unknown_is_version(good: Answer, call: RawCall) -> bytes | None:
    try:
        return await good(call)
    except Refusal as refusal:
        if refusal.status is StatusCode.UNIMPLEMENTED:
            return execution_pb2.VersionResponse().SerializeToString()
        raise


async def _cancel_kills_connection(good: Answer, call: RawCall) -> bytes | None:
    try:
        return await good(call)
    except asyncio.CancelledError:
        call.connection.end_writing()
        raise


async def _data_after_trailers(good: Answer, call: RawCall) -> bytes | None:
    reply = await good(call)
    if reply is not None and call.path.endswith(EXECUTE):
        await call.send(reply)
        call.send_status(0)
        call.connection._write(bytes([0, 0, 1, 0, 0]) + call.stream_id.to_bytes(4) + b"x")
        await call.stop_here()
    return reply


async def _not_serving(good: Answer, call: RawCall) -> bytes | None:
    return b"\x08\x02" if call.path.startswith("/grpc.health") else await good(call)


def _no_strangers(message: bytes) -> bytes:
    if message.endswith(b"\xfa\x7f\x03abc"):
        raise Refusal(StatusCode.INVALID_ARGUMENT, "an unknown field")
    return message


def _one_after_another() -> Callable[[Any], Any]:
    """Give each text the number of how many came before it, over all calls."""
    count = 0

    def alter(response: execution_pb2.ExecuteResponse) -> execution_pb2.ExecuteResponse:
        nonlocal count
        count += 1
        for buffer in response.result.data_outputs.values():
            buffer.text.text_data += str(count).encode()
        return response

    return alter


def _swapped() -> tuple[Alter, Alter]:
    """Hold each second result of a session back until the next one has gone out."""
    held: list[bytes] = []

    def send(message: bytes) -> bytes:
        if _RESPONSE.FromString(message).HasField("result"):
            held.append(message)
            return held.pop(0) if len(held) > 2 else held[-1]
        return message

    return _same, send


def _no_id(response: Any) -> Any:
    if response.HasField("ready"):
        response.ready.session_id = "always-this-one"
    return response


def _late_init() -> tuple[Alter, Alter]:
    """Take a chunk that comes first for init."""
    first = True

    def read(message: bytes) -> bytes:
        nonlocal first
        request = _REQUEST.FromString(message)
        if first and request.HasField("data_chunk"):
            request.init.manifest.version = "v1"
            request.init.manifest.nodes.add(id="n", node_type="Echo", params="{}")
        first = False
        return request.SerializeToString()

    return read, _same


def _renumbered() -> tuple[Alter, Alter]:
    """Give chunks the numbers that they should have, and their results those that they had."""
    numbers: dict[int, int] = {}

    def read(message: bytes) -> bytes:
        request = _REQUEST.FromString(message)
        if request.HasField("data_chunk"):
            number = max([*numbers, request.data_chunk.sequence - 1]) + 1
            numbers[number] = request.data_chunk.sequence
            request.data_chunk.sequence = number
        return request.SerializeToString()

    def send(message: bytes) -> bytes:
        response = _RESPONSE.FromString(message)
        if response.HasField("result"):
            response.result.sequence = numbers[response.result.sequence]
        return response.SerializeToString()

    return read, send


def _good_manifest(request: Any) -> Any:
    if request.HasField("init"):
        request.init.manifest.Clear()
        request.init.manifest.version = "v1"
        request.init.manifest.nodes.add(id="n", node_type="Echo", params="{}")
    return request


def _always_the_same() -> Callable[[Any], Any]:
    """Answer every call as the first one was."""
    first: list[Any] = []

    def alter(response: Any) -> Any:
        first.append(response)
        return first[0]

    return alter


def bad_answers() -> dict[str, tuple[Answer, set[str]]]:
    """What each bad server does wrong, and the checks that must see it."""
    response = execution_pb2.ExecuteResponse
    shorten = common_pb2.DataBuffer(text=common_pb2.TextBuffer(text_data=b"shortened"))

    def cut(told: Any) -> Any:
        for buffer in told.result.data_outputs.values():
            if buffer.ByteSize() > 5000:
                buffer.CopyFrom(shorten)
        return told

    return {
        "errors are answered with OK": (
            wrapped(_never_fails),
            {"trailers-on-error", "unknown-method", "broken-protobuf", "missing-manifest"}
            | {"session-missing-manifest"},
        ),
        "application errors are statuses": (
            wrapped(_errors_as_statuses),
            {"invalid-manifest", "unknown-node-type"},
        ),
        "unknown methods are something else": (wrapped(_unknown_is_version), {"unknown-method"}),
        "a cancel ends the connection": (wrapped(_cancel_kills_connection), {"cancelled-stream"}),
        "DATA after the trailers": (wrapped(_data_after_trailers), {"end-of-stream"}),
        "the health is NOT_SERVING": (wrapped(_not_serving), {"health"}),
        "unknown fields are refused": (
            altered(EXECUTE, lambda: (_no_strangers, _same)),
            {"unknown-fields"},
        ),
        "the version is empty": (
            sent("GetVersion", lambda _: execution_pb2.VersionResponse(), execution_pb2.VersionResponse),
            {"version"},
        ),
        "each answer is another": (
            sent(EXECUTE, _one_after_another(), response),
            {"execute", "same-answer", "split-message"},
        ),
        "each answer is the first one": (sent(EXECUTE, _always_the_same(), response), {"many-calls"}),
        "big outputs are cut": (sent(EXECUTE, cut, response), {"big-message"}),
        "nobody is asked for a token": (honest(), {"token"}),
        "deadlines are ignored": (honest(), {"deadline"}),
        "all sessions have one id": (sent(STREAM, _no_id, _RESPONSE), {"session-ready"}),
        "a session may begin with a chunk": (altered(STREAM, _late_init), {"session-init-first"}),
        "results overtake each other": (altered(STREAM, _swapped), {"session-order"}),
        "any sequence will do": (altered(STREAM, _renumbered), {"session-sequence-falls"}),
        "closed is never said": (
            sent(STREAM, lambda told: None if told.HasField("closed") else told, _RESPONSE),
            {"session-close", "session-half-close"},
        ),
        "cancel is not heard": (
            received(STREAM, lambda told: None if told.HasField("control") else told, _REQUEST),
            {"session-cancel", "session-close"},
        ),
        "any manifest will do": (
            received(STREAM, _good_manifest, _REQUEST),
            {"session-missing-manifest", "session-invalid-manifest"},
        ),
    }
