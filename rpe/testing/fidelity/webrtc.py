"""The checks of WebRTC: a small set, made through the transport's own client.

What a peer connection is made of (ICE, DTLS, SCTP) is tested by whoever makes it; here it has
to carry a pipeline's calls and sessions.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rpe.data import Text
from rpe.errors import AuthenticationFailed, RpeError
from rpe.testing.fidelity.model import NotApplicable, Violation
from rpe.testing.fidelity.samples import (
    NODE,
    check_same,
    check_same_answers,
    only_output,
    pipeline,
    samples,
)
from rpe.testing.fidelity.suite import Checks
from rpe.testing.fidelity.target import Target
from rpe.transport.ports import PipelineClient, ServingStatus
from rpe.transport.registry import get_transport

__all__ = ["checks"]

checks = Checks("webrtc")

_CHUNKS = 8
_PAGE = "docs/webrtc.md"


@asynccontextmanager
async def _client(target: Target, token: str | None = None) -> AsyncIterator[PipelineClient]:
    told = {"token": target.token if token is None else token or None}
    target.waiting_for = "a peer connection, or an answer on it"
    client = get_transport("webrtc").create_client(target.endpoint, told)
    try:
        yield client
    finally:
        await client.close()


@checks(
    "connect",
    proves="Signalling leads to a peer connection with a data channel, and the server says that it serves.",
    contract=f"{_PAGE}; docs/webrtc-signalling.md",
)
async def _connect(target: Target) -> None:
    async with _client(target) as client:
        told = await client.check_health(timeout_s=target.limit_s)
        if told.status is not ServingStatus.SERVING:
            raise Violation(f"the health is {told.status}")


@checks(
    "execute",
    proves="Text, JSON, bytes and sound come back from the node as they were sent, bit for bit.",
    contract=_PAGE,
)
async def _execute(target: Target) -> None:
    async with _client(target) as client:
        for kind, data in samples().items():
            given = await client.execute(pipeline(target.node_type), {NODE: data}, timeout_s=target.limit_s)
            check_same(data, only_output(given.outputs), kind)


@checks(
    "same-answer",
    proves="Identical requests get identical answers by content, unless their labels say otherwise.",
    contract=_PAGE,
)
async def _same_answer(target: Target) -> None:
    async with _client(target) as client:
        manifest, inputs = pipeline(target.node_type), {NODE: Text("twice")}
        first = await client.execute(manifest, inputs, timeout_s=target.limit_s)
        second = await client.execute(manifest, inputs, timeout_s=target.limit_s)
        check_same_answers(only_output(first.outputs), only_output(second.outputs))


@checks(
    "big-message",
    proves="A message of 256 KiB, more than a data channel takes at once, goes through in both directions.",
    contract=f"{_PAGE}: longer messages are split",
)
async def _big_message(target: Target) -> None:
    async with _client(target) as client:
        data = Text("0123456789abcdef" * (16 * 1024))
        given = await client.execute(pipeline(target.node_type), {NODE: data}, timeout_s=target.limit_s)
        check_same(data, only_output(given.outputs), "the text")


@checks(
    "session-order",
    proves=f"{_CHUNKS} chunks come back in order, each under its sequence, and the session ends well.",
    contract=_PAGE,
)
async def _session_order(target: Target) -> None:
    async with _client(target) as client:
        session = await client.open_stream(
            pipeline(target.node_type), timeout_s=target.limit_s, open_timeout_s=target.limit_s
        )
        target.waiting_for = "a result, or the end of the session"
        for number in range(_CHUNKS):
            await session.send(Text(f"chunk {number}"), node_id=NODE, sequence=number)
        await session.finish()
        for number in range(_CHUNKS):
            result = await session.receive()
            if result is None:
                raise Violation(f"the session was closed where the result of chunk {number} was due")
            if result.sequence != number:
                raise Violation(f"the result of chunk {number} was due, and that of {result.sequence} came")
            check_same(Text(f"chunk {number}"), only_output(result.outputs), f"chunk {number}")
        if (more := await session.receive()) is not None:
            raise Violation(f"a result came after the last one, for chunk {more.sequence}")


@checks(
    "unknown-node-type",
    proves="A node type that the server does not have fails the call with an error, and the peer lives on.",
    contract=_PAGE,
)
async def _unknown_node_type(target: Target) -> None:
    async with _client(target) as client:
        inputs = {NODE: Text("x")}
        try:
            await client.execute(pipeline("NoSuchNodeTypeAnywhere"), inputs, timeout_s=target.limit_s)
        except RpeError:
            pass
        else:
            raise Violation("a node type that does not exist gave an output")
        await client.execute(pipeline(target.node_type), inputs, timeout_s=target.limit_s)


@checks(
    "token",
    proves="A caller without the token, or with another one, is refused.",
    contract="docs/auth.md",
)
async def _token(target: Target) -> None:
    if not target.token:
        raise NotApplicable("no token was given, so the server has nothing to refuse")
    for token in ("", f"not-{target.token}"):
        async with _client(target, token) as client:
            try:
                await client.check_health(timeout_s=target.limit_s)
            except AuthenticationFailed:
                continue
            raise Violation("another token was taken" if token else "a caller without a token was taken")
