"""Checks of the sessions of StreamPipeline."""

from __future__ import annotations

from rpe.data import Text
from rpe.testing.fidelity.grpc.calls import INVALID_ARGUMENT, OK, GrpcCall, parse
from rpe.testing.fidelity.grpc.http2 import Http2
from rpe.testing.fidelity.grpc.messages import STREAM, chunk, control, execute, init, strange_pipeline
from rpe.testing.fidelity.grpc.sessions import Session, told
from rpe.testing.fidelity.model import Violation
from rpe.testing.fidelity.samples import check_same
from rpe.testing.fidelity.suite import Checks
from rpe.testing.fidelity.target import Target
from rpe.wire.generated.remotemedia.v1 import streaming_pb2

__all__ = ["checks"]

checks = Checks("grpc")

_CHUNKS = 12
_PROTO = "streaming.proto, StreamPipeline"


@checks(
    "session-ready",
    proves="init is answered by ready, with a session_id of its own for each session, before any chunk.",
    contract=f"{_PROTO}; StreamReady",
)
async def _session_ready(target: Target) -> None:
    async with Http2.open(target) as connection:
        ids = []
        for _ in range(2):
            call = await GrpcCall.start(connection, STREAM)
            session = Session(call)
            await call.send(init(target.node_type))
            response = await session.read()
            if response is None or response.WhichOneof("response") != "ready":
                raise Violation(f"init was answered by {told(response)}")
            ids.append(response.ready.session_id)
            await session.close()
        if not all(ids) or ids[0] == ids[1]:
            raise Violation(f"the session ids are {ids[0]!r} and {ids[1]!r}")


@checks(
    "session-init-first",
    proves="A session that begins with a chunk is told an error, and gets neither ready nor a result.",
    contract=f"{_PROTO}: init comes first",
)
async def _session_init_first(target: Target) -> None:
    async with Http2.open(target) as connection:
        call = await GrpcCall.start(connection, STREAM)
        await call.send(chunk(0), end=True)
        await _check_failed(Session(call))


@checks(
    "session-order",
    proves=f"{_CHUNKS} chunks sent at once come back in their order, each under the sequence of its chunk.",
    contract=f"{_PROTO}; ChunkResult.sequence",
)
async def _session_order(target: Target) -> None:
    async with Http2.open(target) as connection:
        session = await Session.open(connection)
        numbers = [number + number // 4 for number in range(_CHUNKS)]  # with gaps, which are tolerated
        for number in numbers:
            await session.call.send(chunk(number))
        for number in numbers:
            sequence, data = await session.result()
            if sequence != number:
                raise Violation(f"the result of chunk {number} was due, and that of {sequence} came")
            check_same(Text(f"chunk {number}"), data, f"chunk {number}")
        await session.close()


@checks(
    "session-sequence-falls",
    proves="A chunk with a lower sequence than one before it is told as an error.",
    contract="streaming.proto, DataChunk.sequence",
)
async def _session_sequence_falls(target: Target) -> None:
    async with Http2.open(target) as connection:
        session = await Session.open(connection)
        await session.exchange(5)
        await session.call.send(chunk(4), end=True)
        await _check_failed(session)


@checks(
    "session-close",
    proves="COMMAND_CLOSE sends what is under way, then closed, then the status OK, and nothing after it.",
    contract="streaming.proto, StreamControl.COMMAND_CLOSE and StreamClosed",
)
async def _session_close(target: Target) -> None:
    async with Http2.open(target) as connection:
        session = await Session.open(connection)
        for number in range(3):
            await session.call.send(chunk(number))
        await session.call.send(
            control("COMMAND_CLOSE")
        )  # the caller's side stays open: closing is the server's part
        for number in range(3):
            sequence, _ = await session.result()
            if sequence != number:
                raise Violation(f"the result of chunk {number} was due, and that of {sequence} came")
        await session.check_closed()


@checks(
    "session-half-close",
    proves="A caller that ends its side without COMMAND_CLOSE gets its results, closed, and the status OK.",
    contract="streaming.proto, StreamClosed: the last message of a session that ended in order",
)
async def _session_half_close(target: Target) -> None:
    async with Http2.open(target) as connection:
        session = await Session.open(connection)
        await session.exchange(0)
        await session.call.stream.end()
        await session.check_closed()


@checks(
    "session-cancel",
    proves="COMMAND_CANCEL ends the session at once, by a status, and the connection serves on.",
    contract="streaming.proto, StreamControl.COMMAND_CANCEL",
)
async def _session_cancel(target: Target) -> None:
    async with Http2.open(target) as connection:
        session = await Session.open(connection)
        await session.exchange(0)
        await session.call.send(control("COMMAND_CANCEL"))
        await session.call.finish()
        await execute(connection, Text("after it"))


@checks(
    "session-missing-manifest",
    proves="A session whose init has no manifest is refused with INVALID_ARGUMENT.",
    contract=f"{_PROTO}; StreamInit.manifest",
)
async def _session_missing_manifest(target: Target) -> None:
    async with Http2.open(target) as connection:
        call = await GrpcCall.start(connection, STREAM)
        request = streaming_pb2.StreamRequest()
        request.init.client_version = "v1"
        await call.send(request, end=True)
        answer = await call.finish()
        if answer.status != INVALID_ARGUMENT:
            raise Violation(f"it ended with {answer.told}")


@checks(
    "session-invalid-manifest",
    proves="A session with a manifest that is not valid is told so, and never gets ready.",
    contract=f"{_PROTO}; StreamResponse.error",
)
async def _session_invalid_manifest(target: Target) -> None:
    async with Http2.open(target) as connection:
        call = await GrpcCall.start(connection, STREAM)
        request = init(target.node_type)
        request.init.manifest.CopyFrom(strange_pipeline())
        await call.send(request, end=True)
        await _check_failed(Session(call))


async def _check_failed(session: Session) -> None:
    """Check that the session is told an error, inside of the stream or by its status, and no more."""
    answer = await session.call.finish()
    kinds = []
    for payload in answer.messages:
        response = parse(streaming_pb2.StreamResponse, payload)
        kinds.append(response.WhichOneof("response"))
        if kinds[-1] == "error" and not response.error.message:
            raise Violation("the error has no message")
    if strangers := [kind for kind in kinds if kind not in ("error", "metrics")]:
        raise Violation(f"{', '.join(map(str, strangers))} came, and an error was due")
    if "error" not in kinds and answer.status == OK:
        raise Violation("the session ended with OK, and no error was told")
