"""The server around the methods: its port, health, reflection, and asking it for calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from rpe.errors import ConfigurationError
from rpe.fakes.definition.fake import ProtoFake

Open = Callable[..., Any]
Define = Callable[..., Any]
RULES = [{"answer": {"message": {"id": "7"}}}]


async def test_a_reflection_client_reads_the_contract(define: Define) -> None:
    def read(endpoint: str) -> None:
        with grpc.insecure_channel(endpoint) as channel:
            database = ProtoReflectionDescriptorDatabase(channel)
            assert sorted(database.get_services()) == [
                "grpc.health.v1.Health",
                "grpc.reflection.v1.ServerReflection",
                "grpc.reflection.v1alpha.ServerReflection",
                "shop.v1.Shop",
            ]
            pool = DescriptorPool(database)
            for service in database.get_services():
                assert pool.FindServiceByName(service).methods
            method = pool.FindServiceByName("shop.v1.Shop").methods_by_name["Chat"]
            assert "by_number" in method.input_type.fields_by_name
            with pytest.raises(KeyError):
                pool.FindServiceByName("shop.v1.Gone")

    async with ProtoFake(define(GetItem=RULES)) as fake:
        await asyncio.to_thread(read, fake.endpoint)


async def test_health_knows_the_server_and_its_services(define: Define) -> None:
    async with (
        ProtoFake(define(GetItem=RULES)) as fake,
        grpc.aio.insecure_channel(fake.endpoint) as channel,
    ):
        stub: Any = health_pb2_grpc.HealthStub(channel)
        for name in ("", "shop.v1.Shop"):
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.aio.AioRpcError, match="NOT_FOUND"):
            await stub.Check(health_pb2.HealthCheckRequest(service="gone"))


async def test_no_other_server_can_share_its_port(define: Define) -> None:
    async with ProtoFake(define()) as fake:
        port = int(fake.endpoint.rpartition(":")[2])
        other = ProtoFake(define(), port=port)
        with pytest.raises(ConfigurationError, match="cannot be started"):
            await other.start()
        assert other.endpoint == ""
        # Nor one that would share it: the listener itself has sharing off.
        with pytest.raises(RuntimeError):
            grpc.aio.server(options=[("grpc.so_reuseport", 1)]).add_insecure_port(fake.endpoint)


async def test_a_stopped_fake_starts_again_and_leaves_no_task(define: Define) -> None:
    before = len(asyncio.all_tasks())
    fake = ProtoFake(define(GetItem=RULES))
    for _ in range(2):
        await fake.start()
        await fake.start()
        await fake.stop()
        await fake.stop()
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == before


async def test_stopping_gives_running_calls_their_grace_and_a_cancel_ends_it(open_shop: Open) -> None:
    slow = [{"answer": {"messages": [{"message": {}}, {"message": {}, "delay_s": 60}]}}]
    async with open_shop(ListItems=slow) as (fake, call):
        running = call("ListItems")
        assert await running.read() is not grpc.aio.EOF
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await fake.stop(grace_s=60)
        [noted] = await fake.wait_for_calls(1)
        assert noted.code == "CANCELLED"


async def test_a_method_that_no_service_has_is_no_empty_list(define: Define) -> None:
    fake = ProtoFake(define(GetItem=RULES))
    assert fake.calls("GetItem") == fake.calls("shop.v1.Shop/GetItem") == fake.calls() == []
    for name in ("GetIten", "shop.v1.Shop/GetIten", "shop.Shop/GetItem"):
        with pytest.raises(ConfigurationError, match="has a method"):
            fake.calls(name)


async def test_the_journal_keeps_the_newest_calls_or_none(open_shop: Open) -> None:
    async with open_shop(options={"journal_limit": 2}, GetItem=RULES) as (fake, call):
        for id_ in "abc":
            await call.one("GetItem", {"id": id_})
        assert [noted.requests for noted in fake.calls()] == [[{"id": "b"}], [{"id": "c"}]]
        assert [noted.number for noted in fake.calls()] == [2, 3]
    async with open_shop(options={"journal_limit": 0}, GetItem=RULES) as (fake, call):
        assert await call.one("GetItem") == {"id": "7"}
        assert fake.calls() == []


async def test_a_request_that_cannot_be_parsed_is_told_and_noted(define: Define) -> None:
    each: list[Any] = [{"answer": {"each": [{"message": {}}]}}]
    async with (
        ProtoFake(define(GetItem=RULES, Chat=each)) as fake,
        grpc.aio.insecure_channel(fake.endpoint) as channel,
    ):
        unary: Any = channel.unary_unary("/shop.v1.Shop/GetItem")
        stream: Any = channel.stream_stream("/shop.v1.Shop/Chat")
        for call in (unary(b"\x0a\xff"), stream(iter([b"\x0a\xff"])).read()):
            with pytest.raises(grpc.aio.AioRpcError, match="cannot be parsed") as caught:
                await call
            assert caught.value.code() is grpc.StatusCode.INTERNAL
        ended = await fake.wait_for_calls(2)  # both were sent at once
        assert {(noted.method, noted.code) for noted in ended} == {
            ("GetItem", "INTERNAL"),
            ("Chat", "INTERNAL"),
        }


async def test_waiting_for_calls_that_do_not_come_ends(define: Define) -> None:
    async with ProtoFake(define(GetItem=RULES)) as fake:
        with pytest.raises(TimeoutError):
            await fake.wait_for_calls(1, timeout_s=0.01)


async def test_many_calls_at_once_are_each_noted_whole(open_shop: Open) -> None:
    each = [{"answer": {"each": [{"message": {"id": "${request.id}"}}]}}]
    async with open_shop(Chat=each) as (fake, call):
        sent = [[{"id": f"{number}.{at}"} for at in range(5)] for number in range(20)]
        got = await asyncio.gather(*(call.all("Chat", requests) for requests in sent))
        assert got == sent
        assert sorted(noted.requests[0]["id"] for noted in fake.calls()) == sorted(s[0]["id"] for s in sent)
        assert all(noted.requests == noted.answers and noted.code == "OK" for noted in fake.calls())
