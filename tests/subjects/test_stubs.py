"""The subjects without a reliability layer: what they send, and that they hide no failure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest

from rpe.chaos.subject import (
    BudgetRequest,
    ClientRequest,
    HealthRequest,
    RetryRequest,
    SubjectContext,
    SubjectOperation,
    load_subject,
)
from rpe.data import Text
from rpe.errors import ConfigurationError
from rpe.fakes import FakeServer
from rpe.fakes.journal import Kind
from rpe.manifest.model import Manifest
from rpe.subjects import bare, grpc_native
from rpe.subjects.grpc_native import service_config
from rpe.subjects.stubs import PipelineFailed, StubSubject

MANIFEST = Manifest.single("echo", node_type="Echo")
Create = Callable[[SubjectContext], Awaitable[StubSubject]]

both = pytest.mark.parametrize("create", [bare.create, grpc_native.create])


def context(
    *servers: FakeServer, transport: str = "grpc", manifest: Manifest = MANIFEST, **request: Any
) -> SubjectContext:
    return SubjectContext(
        endpoints={server.name: server.endpoint for server in servers},
        transport=transport,
        request=ClientRequest(**request),
        manifest=manifest,
        seed=0,
        report=lambda event, fields: None,
    )


def operation(number: int = 0, timeout_s: float = 2.0) -> SubjectOperation:
    return SubjectOperation(f"calls-{number}", {"echo": Text(f"hello {number}")}, timeout_s, True)


@both
async def test_an_operation_carries_its_id_its_deadline_and_the_token(create: Create) -> None:
    async with FakeServer("a", behaviour={"token": "good"}) as server:
        subject = await create(context(server, token="good"))
        assert await subject.execute(operation()) == {"output": Text("hello 0")}
        assert subject.in_flight() == 0
        await subject.close()
        (received,) = [entry for entry in server.journal.entries(Kind.RECEIVED) if entry.operation_id]
        assert (received.operation_id, received.attempt) == ("calls-0", 1)
        assert 1 < (received.remaining_s or 0) < 2.2  # gRPC rounds up


@both
async def test_failures_come_through_as_they_are(create: Create) -> None:
    async with FakeServer("a", behaviour={"error": {"status": "internal"}}) as server:
        subject = await create(context(server))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await subject.execute(operation())
        assert caught.value.code() is grpc.StatusCode.INTERNAL
        await server.set_behaviour({"application_error": {"message": "no such luck"}})
        with pytest.raises(PipelineFailed, match="no such luck"):
            await subject.execute(operation())
        assert subject.in_flight() == 0
        await subject.close()


@both
async def test_a_session_carries_chunks_both_ways_and_ends(create: Create) -> None:
    async with FakeServer("a") as server:
        subject = await create(context(server))
        session = await subject.open_stream(operation())
        for sequence in range(3):
            await session.send(sequence, Text(str(sequence)))
        answers = [await session.receive() for _ in range(3)]
        assert answers == [(number, {"output": Text(str(number))}) for number in range(3)]
        await session.finish()
        assert await session.receive() is None
        await subject.close()


@both
async def test_a_session_that_is_cut_raises_and_never_ends_as_if_complete(create: Create) -> None:
    for how in ("reset", "status", "end"):
        async with FakeServer("a", behaviour={"stream": {"cut_after": 1, "how": how}}) as server:
            subject = await create(context(server))
            session = await subject.open_stream(operation())
            await session.send(0, Text("0"))
            assert await session.receive() == (0, {"output": Text("0")})
            with pytest.raises((grpc.aio.AioRpcError, PipelineFailed)):
                await session.receive()
            session.cancel()
            await subject.close()


async def test_bare_knows_one_endpoint_and_native_uses_all() -> None:
    async with FakeServer("a") as a, FakeServer("b") as b:
        for create, used in ((bare.create, {"a"}), (grpc_native.create, {"a", "b"})):
            subject = await create(context(a, b))
            # Round robin begins with whichever connection is up first.
            for number in range(20):
                await subject.execute(operation(number))
            await subject.close()
            assert {server.name for server in (a, b) if server.journal.entries(Kind.SENT)} == used


async def test_native_retries_what_is_unavailable_as_often_as_asked() -> None:
    async with FakeServer("a", behaviour={"error": {"status": "unavailable", "first": 2}}) as server:
        subject = await grpc_native.create(context(server, retry=RetryRequest(initial_backoff_s=0.01)))
        assert await subject.execute(operation()) == {"output": Text("hello 0")}
        await subject.close()
        assert len([e for e in server.journal.entries(Kind.RECEIVED) if e.operation_id]) == 3


def test_the_service_config_says_what_grpc_can_be_told() -> None:
    assert service_config(ClientRequest()) == {"loadBalancingConfig": [{"round_robin": {}}]}
    config = service_config(
        ClientRequest(
            retry=RetryRequest(max_retries=9, initial_backoff_s=0, max_backoff_s=2.5, multiplier=3),
            budget=BudgetRequest(ratio=0.25),
            health=HealthRequest(),
        )
    )
    assert config["methodConfig"][0]["retryPolicy"] == {
        "maxAttempts": 5,
        "initialBackoff": "0.001s",
        "maxBackoff": "2.500s",
        "backoffMultiplier": 3,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    assert config["retryThrottling"] == {"maxTokens": 10, "tokenRatio": 0.25}
    assert config["healthCheckConfig"] == {"serviceName": ""}
    assert "methodConfig" not in service_config(ClientRequest(retry=RetryRequest(max_retries=0)))


async def test_native_refuses_other_wires() -> None:
    async with FakeServer("a") as server:
        with pytest.raises(ConfigurationError, match="gRPC only"):
            await grpc_native.create(context(server, transport="http"))


@pytest.mark.parametrize(("name", "create"), [("bare", bare.create), ("grpc-native", grpc_native.create)])
def test_they_are_found_by_name(name: str, create: Create) -> None:
    assert load_subject(name) is create
