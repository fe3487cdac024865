"""What a server says of a failure behind it, on its way through every wire."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpe.data import Text
from rpe.errors import (
    AuthenticationFailed,
    Downstream,
    ErrorKind,
    HopLimitExceeded,
    InvalidRequest,
    RemoteExecutionFailed,
    RpeError,
)
from rpe.manifest.model import Manifest
from rpe.transport.downstream import LARGEST_CONTEXT, read_context, write_context
from rpe.transport.failures import pipeline_error
from rpe.transport.ports import PipelineClient
from rpe.transport.registry import get_transport
from rpe.transport.serving import ApplicationError, ErrorType, ServerSession
from tests.support.handlers import Handler

FAR = Downstream(ErrorKind.TIMEOUT, "remote_timeout", 3, "call_c", "10.0.0.3:1", True, False)
FORM = json.loads(write_context(FAR))["rpe_downstream"]
ECHO = Manifest.single("echo", node_type="Echo")


class Failing(Handler):
    """Fails every execution and every session with the same error."""

    def __init__(self, error: ApplicationError) -> None:
        super().__init__(error)
        self.error = error

    async def talk(self, session: ServerSession) -> None:
        await session.ready("s-1")
        await session.receive()
        await session.send_error(self.error)


@pytest.fixture(params=["grpc", "http", "webrtc"])
async def caller(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    handler = Failing(ApplicationError(ErrorType.NODE_EXECUTION, ""))
    plugin = get_transport(request.param)
    async with plugin.create_server(handler, {}) as server:
        client = plugin.create_client(server.endpoint, {})
        try:
            yield handler, client
        finally:
            await client.close()


async def unary(client: PipelineClient) -> RpeError:
    with pytest.raises(RpeError) as failed:
        await client.execute(ECHO, {"echo": Text("a")}, timeout_s=5)
    return failed.value


async def streamed(client: PipelineClient) -> RpeError:
    session = await client.open_stream(ECHO, timeout_s=5, open_timeout_s=5)
    await session.send(Text("a"), node_id="echo", sequence=0)
    with pytest.raises(RpeError) as failed:
        await session.receive()
    return failed.value


@pytest.mark.parametrize("ask", [unary, streamed])
async def test_it_arrives_as_it_was_sent(caller: Any, ask: Any) -> None:
    handler, client = caller
    handler.error = handler.reply = ApplicationError(
        ErrorType.NODE_EXECUTION, "hop 3: slow", "call_b", write_context(FAR)
    )
    error = await ask(client)
    assert isinstance(error, RemoteExecutionFailed)
    assert (error.downstream, error.node, error.endpoint) == (FAR, "call_b", client.endpoint)
    assert (error.retryable, error.maybe_executed) == (True, False)
    assert "hop 3: slow" in error.message and "10.0.0.3:1" in error.hint


@pytest.mark.parametrize("context", ["", "who knows", '{"trace": 1}', "[" * 500, '{"rpe_downstream": 7}'])
async def test_what_strangers_write_there_changes_nothing(caller: Any, context: str) -> None:
    handler, client = caller
    handler.error = handler.reply = ApplicationError(ErrorType.NODE_EXECUTION, "broke", "n", context)
    for ask in (unary, streamed):
        error = await ask(client)
        assert isinstance(error, RemoteExecutionFailed)
        assert (error.downstream, error.retryable, error.maybe_executed) == (None, True, True)
        assert error.message == "node_execution: broke"


WRONG = [
    {"kind": "weather"},
    {"kind": 3},
    {"code": "Not A Code"},
    {"code": None},
    {"hop": 0},
    {"hop": True},
    {"hop": 10**9},
    {"hop": "3"},
    {"retryable": "no"},
    {"maybe_executed": None},
]


@pytest.mark.parametrize("wrong", WRONG, ids=json.dumps)
def test_one_that_is_not_whole_is_none(wrong: Any) -> None:
    assert read_context(json.dumps({"rpe_downstream": FORM})) == FAR
    assert read_context(json.dumps({"rpe_downstream": FORM | wrong})) is None


def test_names_that_are_none_are_left_out_and_long_ones_cut() -> None:
    strange = FORM | {"node": 5, "endpoint": "x" * 1000}
    read = read_context(json.dumps({"rpe_downstream": strange}))
    assert read == replace(FAR, node=None, endpoint="x" * 200)
    assert read_context(json.dumps({"rpe_downstream": FORM, "more": "x" * LARGEST_CONTEXT})) is None


def test_neither_end_lets_secrets_or_control_characters_through() -> None:
    spoilt = replace(FAR, node="n\x1b[2J\n", endpoint="https://joe:hunter2@host/?token=abc")
    written = write_context(spoilt)
    assert "hunter2" not in written and "abc" not in written
    raw = json.dumps({"rpe_downstream": FORM | {"node": spoilt.node, "endpoint": spoilt.endpoint}})
    read = read_context(raw)
    assert read is not None and read.node == "n?[2J?"
    assert read.endpoint == "https://host/?token=[redacted]"


@given(st.text(), st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_nothing_that_is_written_there_raises(text: str, value: Any) -> None:
    for context in (text, f'{{"rpe_downstream": {text}', json.dumps({"rpe_downstream": value})):
        assert read_context(context) is None


def test_only_a_failed_execution_lies_behind() -> None:
    context = write_context(FAR)

    def error(kind: str, context: str = context) -> RpeError:
        return pipeline_error(kind, "m", node=None, endpoint="e", context=context)

    assert type(error("validation")) is InvalidRequest
    assert type(error("authentication")) is AuthenticationFailed
    limit = error("validation", write_context(replace(FAR, code="hop_limit_exceeded", hop=11)))
    assert isinstance(limit, HopLimitExceeded) and (limit.hops, limit.retryable) == (11, False)
