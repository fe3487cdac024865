"""Checks of HTTP/2 beneath gRPC: the connection, its frames, and its streams side by side."""

from __future__ import annotations

from rpe.data import Text
from rpe.testing.fidelity.grpc.calls import GrpcCall, prefixed
from rpe.testing.fidelity.grpc.http2 import ACK, SETTINGS, Http2
from rpe.testing.fidelity.grpc.messages import EXECUTE, execute, execute_request, output_of
from rpe.testing.fidelity.grpc.sessions import Session
from rpe.testing.fidelity.model import NotApplicable, Violation
from rpe.testing.fidelity.samples import check_same
from rpe.testing.fidelity.suite import Checks
from rpe.testing.fidelity.target import Target

__all__ = ["checks"]

checks = Checks("grpc")

_BIG_BYTES = 1024 * 1024
_MANY = 20


@checks(
    "settings-first",
    proves="The first frame of the server is SETTINGS.",
    contract="RFC 9113, 3.4",
)
async def _settings_first(target: Target) -> None:
    async with Http2.open(target) as connection:
        await connection.wait(lambda: bool(connection.frames), "the first frame")
        first = connection.frames[0]
        if first.kind != SETTINGS or first.flags & ACK:
            raise Violation(f"the first frame is of type {first.kind} with flags {first.flags:#x}")


@checks(
    "settings-acknowledged",
    proves="The settings of the caller are acknowledged, once.",
    contract="RFC 9113, 6.5.3",
)
async def _settings_acknowledged(target: Target) -> None:
    async with Http2.open(target) as connection:
        await execute(connection, Text("x"))
        await connection.ping(b"settings")
        acks = [frame for frame in connection.frames if frame.kind == SETTINGS and frame.flags & ACK]
        if len(acks) != 1:
            raise Violation(f"one SETTINGS was sent, and {len(acks)} acknowledgements came")


@checks(
    "ping-answered",
    proves="PING is acknowledged with the same eight bytes, also while a session is open.",
    contract="RFC 9113, 6.7",
)
async def _ping_answered(target: Target) -> None:
    async with Http2.open(target) as connection:
        await connection.ping(b"01234567")
        session = await Session.open(connection)
        await connection.ping(b"76543210")
        await session.close()


@checks(
    "split-message",
    proves="A message is put together from many DATA frames, whose borders lie anywhere, also in its prefix.",
    contract="gRPC over HTTP/2, Requests: DATA frame boundaries have no relation to messages",
)
async def _split_message(target: Target) -> None:
    async with Http2.open(target) as connection:
        sent = Text("in many pieces")
        call = await GrpcCall.start(connection, EXECUTE)
        payload = prefixed(execute_request(sent, target.node_type))
        await call.stream.send(payload, end=True, piece_bytes=3)
        check_same(sent, output_of((await call.finish()).only_message()), "the text")


@checks(
    "big-message",
    proves="A message of 1 MiB goes through in both directions, within the windows of both sides.",
    contract="RFC 9113, 5.2 and 6.9",
)
async def _big_message(target: Target) -> None:
    async with Http2.open(target) as connection:
        sent = Text("0123456789abcdef" * (_BIG_BYTES // 16))
        check_same(sent, await execute(connection, sent), "the text")


@checks(
    "many-calls",
    proves=f"One connection carries {_MANY} calls, whose requests and answers do not get mixed up.",
    contract="RFC 9113, 5 and 5.1.2",
)
async def _many_calls(target: Target) -> None:
    async with Http2.open(target) as connection:
        await execute(connection, Text("the first"))
        at_once = max(1, min(_MANY, connection.most_streams()))
        for start in range(0, _MANY, at_once):
            texts = [Text(f"call {number}") for number in range(start, min(start + at_once, _MANY))]
            calls = [await GrpcCall.start(connection, EXECUTE) for _ in texts]
            for call, text in zip(calls, texts, strict=True):
                await call.send(execute_request(text, target.node_type), end=True)
            for call, text in zip(reversed(calls), reversed(texts), strict=True):
                check_same(
                    text, output_of((await call.finish()).only_message()), "the text of one of many calls"
                )


@checks(
    "cancelled-stream",
    proves="RST_STREAM with CANCEL ends its own stream only: a session beside it goes on.",
    contract="RFC 9113, 5.4.2 and 6.4",
)
async def _cancelled_stream(target: Target) -> None:
    async with Http2.open(target) as connection:
        kept = await Session.open(connection)
        if connection.most_streams() < 2:
            raise NotApplicable("the server takes one stream at a time")
        dropped = await Session.open(connection)
        await kept.exchange(0)
        dropped.call.stream.cancel()
        await kept.exchange(1)
        await kept.close()
        await execute(connection, Text("after it"))
