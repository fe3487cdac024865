"""Checks of gRPC over HTTP/2: headers, message framing, trailers and statuses."""

from __future__ import annotations

from rpe.data import Text
from rpe.testing.fidelity.grpc.calls import (
    OK,
    UNIMPLEMENTED,
    GrpcCall,
    call,
    header,
    parse,
)
from rpe.testing.fidelity.grpc.http2 import DATA, END_STREAM, HEADERS, Http2
from rpe.testing.fidelity.grpc.messages import (
    EXECUTE,
    STREAM,
    VERSION,
    execute,
    execute_request,
    init,
    output_of,
)
from rpe.testing.fidelity.grpc.sessions import Session
from rpe.testing.fidelity.model import Violation
from rpe.testing.fidelity.samples import check_same
from rpe.testing.fidelity.suite import Checks
from rpe.testing.fidelity.target import Target
from rpe.wire.generated.remotemedia.v1 import execution_pb2

__all__ = ["checks"]

checks = Checks("grpc")

_RESPONSES = "gRPC over HTTP/2, Responses"
_GRPC = "application/grpc"
_BROKEN = b"\x0a\xff\xff\xff\xff\x0f" + b"cut"
_UNKNOWN_FIELD = b"\xfa\x7f\x03abc"
_SHORT_S = 0.2
_TOO_LATE = (1, 4)
"""CANCELLED and DEADLINE_EXCEEDED; a caller whose own time is over does not look."""


@checks(
    "response-headers",
    proves="The answer has :status 200 and a content-type of application/grpc, also where it is an error.",
    contract=_RESPONSES,
)
async def _response_headers(target: Target) -> None:
    async with Http2.open(target) as connection:
        for path in (EXECUTE, "/remotemedia.v1.NoSuchService/NoSuchMethod"):
            made = await GrpcCall.start(connection, path)
            await made.send(execute_request(Text("x"), target.node_type), end=True)
            await made.finish()
            told = header(made.stream.headers or [], "content-type")
            if told is None or told.partition("+")[0].partition(";")[0].strip() != _GRPC:
                raise Violation(f"the content-type of {path} is {told!r}")


@checks(
    "message-framing",
    proves="A unary answer is one message, as long as its prefix says, uncompressed, and can be read.",
    contract=f"{_RESPONSES}: Length-Prefixed-Message",
)
async def _message_framing(target: Target) -> None:
    async with Http2.open(target) as connection:
        for text in ("", "x", "y" * 20_000):
            answer = await call(connection, EXECUTE, execute_request(Text(text), target.node_type))
            parse(execution_pb2.ExecuteResponse, answer.only_message())


@checks(
    "trailers-on-success",
    proves="A good call ends with trailers that say grpc-status 0, behind its message.",
    contract=f"{_RESPONSES}: Trailers",
)
async def _trailers_on_success(target: Target) -> None:
    async with Http2.open(target) as connection:
        made = await GrpcCall.start(connection, EXECUTE)
        await made.send(execute_request(Text("x"), target.node_type), end=True)
        answer = await made.finish()
        if answer.status != OK:
            raise Violation(f"the call ended with {answer.told}")
        if made.stream.trailers is None:
            raise Violation("the status is OK, and there are no trailers behind a message")


@checks(
    "trailers-on-error",
    proves="A call that fails ends with a grpc-status other than 0, in HEADERS, and without a message.",
    contract=f"{_RESPONSES}: Trailers-Only",
)
async def _trailers_on_error(target: Target) -> None:
    async with Http2.open(target) as connection:
        answer = await call(connection, EXECUTE, execution_pb2.ExecuteRequest())
        if answer.status == OK or answer.messages:
            raise Violation(f"the status is {answer.told}, and {len(answer.messages)} messages came")


@checks(
    "end-of-stream",
    proves="END_STREAM comes once, on the trailers, and no frame of that stream comes after it.",
    contract=f"{_RESPONSES}; RFC 9113, 5.1",
)
async def _end_of_stream(target: Target) -> None:
    async with Http2.open(target) as connection:
        good = await GrpcCall.start(connection, EXECUTE)
        await good.send(execute_request(Text("x"), target.node_type), end=True)
        await good.finish()
        bad = await GrpcCall.start(connection, EXECUTE)
        await bad.send(execution_pb2.ExecuteRequest(), end=True)
        await bad.finish()
        session = await Session.open(connection)
        await session.exchange(0)
        await session.close()
        await connection.ping(b"whatever")
        for made in (good, bad, session.call):
            frames = [frame for frame in made.stream.frames if frame.kind in (DATA, HEADERS)]
            ends = [number for number, frame in enumerate(frames) if frame.flags & END_STREAM]
            if ends != [len(frames) - 1]:
                raise Violation(f"END_STREAM is on frames {ends} of {len(frames)}")
            if frames[-1].kind != HEADERS:
                raise Violation("END_STREAM is on a DATA frame, and not on the trailers")


@checks(
    "unknown-method",
    proves="A method, or a service, that does not exist is refused with UNIMPLEMENTED.",
    contract="gRPC status codes: UNIMPLEMENTED",
)
async def _unknown_method(target: Target) -> None:
    async with Http2.open(target) as connection:
        for path in (f"{EXECUTE}s", "/remotemedia.v1.NoSuchService/ExecutePipeline"):
            answer = await call(connection, path, b"")
            if answer.status != UNIMPLEMENTED:
                raise Violation(f"{path} was answered with {answer.told}")


@checks(
    "broken-protobuf",
    proves="A request that is no message of its kind fails alone: by a status, and the connection lives on.",
    contract="gRPC status codes; execution.proto",
)
async def _broken_protobuf(target: Target) -> None:
    async with Http2.open(target) as connection:
        for path in (EXECUTE, VERSION):
            answer = await call(connection, path, _BROKEN)
            if answer.status == OK:
                raise Violation(f"a broken request to {path} was answered with OK")
        sent = Text("after it")
        check_same(sent, await execute(connection, sent), "the text after it")


@checks(
    "unknown-fields",
    proves="A field that the server does not know is passed over, so that newer callers are understood.",
    contract="proto3: unknown fields",
)
async def _unknown_fields(target: Target) -> None:
    async with Http2.open(target) as connection:
        sent = Text("x")
        request = execute_request(sent, target.node_type).SerializeToString() + _UNKNOWN_FIELD
        answer = await call(connection, EXECUTE, request)
        check_same(sent, output_of(answer.only_message()), "the text")


@checks(
    "deadline",
    proves="A session that is still open when its grpc-timeout is over is ended by the server.",
    contract="gRPC over HTTP/2, Requests: Timeout",
)
async def _deadline(target: Target) -> None:
    clock = target.clock
    async with Http2.open(target) as connection:
        began_s = clock.now()
        session = await GrpcCall.start(connection, STREAM, timeout=f"{int(_SHORT_S * 1000)}m")
        await session.send(init(target.node_type))
        stream = session.stream
        await stream.wait(lambda: False, f"the end of a call with {_SHORT_S:g} s to live")
        took_s = clock.now() - began_s
        if took_s < _SHORT_S / 2:
            raise Violation(f"a call with {_SHORT_S:g} s to live was ended after {took_s:.3f} s")
        if stream.reset is None and (status := session.status()[0]) not in _TOO_LATE:
            raise Violation(f"the call was ended with status {status} when its time was over")
