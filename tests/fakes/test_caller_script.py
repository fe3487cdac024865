"""Scripts that callers bring: one shared fake, and for each call what its own script says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

import rpe
from rpe.errors import (
    AuthenticationFailed,
    ConfigurationError,
    InvalidRequest,
    RemoteExecutionFailed,
    RpeError,
    StreamBroken,
)
from rpe.fakes import FakeServer, Kind
from rpe.fakes.caller_script import SCRIPT_KEY, caller_script, script_of
from rpe.policy import BackoffSettings, RetrySettings
from rpe.transport.serving import Refusal, ServerCall, StatusCode

ECHO = rpe.Manifest.single("n", node_type="Echo")
X = rpe.Text("x")
IMPATIENT = rpe.ClientSettings(retry=RetrySettings(backoff=BackoffSettings(initial_s=0.001, max_s=0.01)))


@asynccontextmanager
async def shared(
    transport: str = "grpc", **settings: Any
) -> AsyncIterator[tuple[FakeServer, rpe.ReliableClient]]:
    settings = {"allow_scripts": True} | settings
    async with (
        FakeServer(transport=transport, **settings) as fake,
        rpe.connect([fake.endpoint], transport=transport, settings=IMPATIENT) as client,
    ):
        yield fake, client


@pytest.mark.parametrize("transport", ["grpc", "http", "webrtc"])
async def test_a_script_holds_for_its_call_and_for_no_other(transport: str) -> None:
    script = caller_script({"application_error": {"message": "as the caller wants it"}})
    async with shared(transport) as (fake, client):

        async def scripted() -> None:
            with pytest.raises(RemoteExecutionFailed, match="as the caller wants it"):
                await client.execute(ECHO, X, metadata=script)

        async def plain() -> None:
            assert (await client.execute(ECHO, X)).outputs == {"output": X}

        async with asyncio.TaskGroup() as group:
            for _ in range(5):
                group.create_task(scripted())
                group.create_task(plain())
        assert len(fake.journal.entries(Kind.FAULT, fault="application_error")) == 5


@pytest.mark.parametrize("transport", ["grpc", "http"])
async def test_a_script_that_counts_counts_the_attempts_of_its_operation(transport: str) -> None:
    script = caller_script({"error": {"first": 2}})
    async with shared(transport) as (fake, client):
        for name in ("a", "b"):
            await client.execute(ECHO, X, metadata=script, operation_id=name, repeatable=True, max_retries=2)
        told = [(entry.operation_id, entry.attempt) for entry in fake.journal.entries(Kind.FAULT)]
    assert told == [("a", 1), ("a", 2), ("b", 1), ("b", 2)]


async def test_a_script_takes_the_place_of_the_fakes_own_and_does_not_disturb_its_count() -> None:
    async with shared(behaviour={"error": {"first": 1}}) as (_, client):
        await client.execute(ECHO, X, metadata=caller_script({}), max_retries=0)
        with pytest.raises(RpeError):
            await client.execute(ECHO, X, max_retries=0)
        await client.execute(ECHO, X, max_retries=0)


@pytest.mark.parametrize("transport", ["grpc", "http"])
async def test_a_script_holds_for_a_whole_session(transport: str) -> None:
    script = caller_script({"stream": {"cut_after": 1}})
    async with shared(transport) as (_, client):
        async with await client.open_stream(ECHO, metadata=script, repeatable=False) as session:
            await session.send(X)
            with pytest.raises(StreamBroken):
                while await session.receive():
                    pass
        async with await client.open_stream(ECHO) as session:
            await session.send(X)
            await session.send(X)
            await session.finish()
            assert len([result async for result in session]) == 2


async def test_the_part_for_http_serves_on_http_only() -> None:
    script = caller_script({"http": {"status": {"code": 418}}})
    async with shared("http") as (fake, client):
        with pytest.raises(RpeError):
            await client.execute(ECHO, X, metadata=script, max_retries=0)
        assert [entry.detail for entry in fake.journal.entries(Kind.FAULT)] == ["418"]
    async with shared() as (_, client):
        with pytest.raises(InvalidRequest, match=r"http\.status: the grpc transport cannot do that"):
            await client.execute(ECHO, X, metadata=script)


async def test_a_fake_that_allows_none_takes_no_notice() -> None:
    async with shared(allow_scripts=False) as (_, client):
        for text in ('{"error": {}}', "no JSON"):
            await client.execute(ECHO, X, metadata=[(SCRIPT_KEY, text)], max_retries=0)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", SCRIPT_KEY),
        ("[]", "a behaviour is a mapping"),
        ('{"eror": {}}', "eror is unknown"),
        ('{"latency": {"fixed_s": "long"}}', "latency.fixed_s"),
        ('{"token": "planted-one"}', "token is the server's"),
        ('{"other_token": "planted-one"}', "other_token is the server's"),
        ('{"recheck_token": false}', "recheck_token is the server's"),
        ('{"health": "hang"}', "health is the server's"),
        ('{"capacity": {"workers": 1}}', "capacity is the server's"),
        ('{"overload": {"above_in_flight": 0}}', "overload is the server's"),
        ('{"version": {}}', "version is the server's"),
        ('{"http": {"idle_close_s": 1}}', "http.idle_close_s is the server's"),
    ],
)
async def test_what_cannot_be_followed_is_an_invalid_argument(text: str, told: str) -> None:
    async with shared() as (fake, client):
        with pytest.raises(InvalidRequest, match=told) as caught:
            await client.execute(ECHO, X, metadata=[(SCRIPT_KEY, text)])
        assert "planted-one" not in str(caught.value)
        (entry,) = fake.journal.entries(Kind.FAILED)
        assert entry.detail.startswith("invalid_argument")


@pytest.mark.parametrize("script", [{"error": {}}, {"token": "mine"}])
async def test_no_script_lets_a_caller_in_without_the_fakes_token(script: Mapping[str, Any]) -> None:
    async with FakeServer(behaviour={"token": "right"}, allow_scripts=True) as fake:
        pairs = [(SCRIPT_KEY, '{"token": "mine"}' if "token" in script else '{"error": {}}')]
        async with rpe.connect([fake.endpoint], token="mine") as client:
            with pytest.raises(AuthenticationFailed):
                await client.execute(ECHO, X, metadata=pairs)


@pytest.mark.parametrize(
    "script", [{"token": "t"}, {"health": "hang"}, {"eror": {}}, {"version": {"message": "m"}}]
)
def test_a_caller_is_told_at_once_what_it_cannot_send(script: Mapping[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        caller_script(script)
    assert "'t'" not in str(caught.value)


def test_a_script_is_short_and_survives_the_way() -> None:
    ((key, text),) = caller_script({"error": {"first": 2, "status": "ABORTED"}, "stream": {"how": "reset"}})
    assert (key, text) == ("rpe-fake-script", '{"error":{"first":2,"status":"aborted"}}')


def test_an_unreadable_script_is_refused_where_one_is_read_and_nowhere_else() -> None:
    call = ServerCall("execute", "peer", {SCRIPT_KEY: "{"}, None)
    assert script_of(call, None) is None
    with pytest.raises(Refusal) as caught:
        script_of(call, lambda form: pytest.fail("it is no JSON"))
    assert caught.value.status is StatusCode.INVALID_ARGUMENT
