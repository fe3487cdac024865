"""Other rules without a restart, gRPC's own services beside them, and TLS."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from rpe.errors import ConfigurationError
from rpe.fakes.certificates import Authority
from rpe.fakes.definition.fake import ProtoFake
from rpe.fakes.definition.loading import parse_definition

Define = Callable[..., Any]
Open = Callable[..., Any]
PING = """
syntax = "proto3";
package ping.v1;
service Ping { rpc Ping(Empty) returns (Empty); }
message Empty {}
"""


def answering(id_: str) -> list[Any]:
    return [{"answer": {"message": {"id": id_}}}]


@pytest.fixture(scope="module")
def ping(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("ping")
    (folder / "ping.proto").write_text(PING, encoding="utf-8")
    rules: Any = {"Ping": [{"answer": {"message": {}}}]}
    source = {"protos": ["ping.proto"]}
    return parse_definition({"descriptors": source, "service": "ping.v1.Ping", "methods": rules}, folder)


async def test_new_calls_follow_the_new_rules_and_the_journal_goes_on(
    open_shop: Open, define: Define
) -> None:
    async with open_shop(GetItem=answering("old")) as (fake, call):
        assert await call.one("GetItem") == {"id": "old"}
        fake.replace(define(GetItem=answering("new")))
        assert await call.one("GetItem") == {"id": "new"}
        assert [noted.number for noted in fake.calls("GetItem")] == [1, 2]
        fake.replace(define(GetItem=answering("newer")), reset=True)
        assert fake.calls() == []
        assert await call.one("GetItem") == {"id": "newer"}
        assert [noted.number for noted in fake.calls("GetItem")] == [1]


async def test_a_running_call_goes_on_by_the_rules_that_it_began_with(
    open_shop: Open, define: Define
) -> None:
    async with open_shop(Chat=[{"answer": {"each": [{"message": {"id": "old"}}]}}]) as (fake, call):
        stream = call("Chat")
        await stream.write(call.message("Chat", {}))
        assert (await stream.read()).id == "old"
        fake.replace(define(Chat=[{"answer": {"each": [{"message": {"id": "new"}}]}}]))
        await stream.write(call.message("Chat", {}))
        assert (await stream.read()).id == "old"
        await stream.done_writing()
        assert await stream.read() is grpc.aio.EOF
        assert await call.all("Chat", [{}]) == [{"id": "new"}]


async def test_states_of_scenarios_stay_and_sequences_of_shared_methods_too(
    open_shop: Open, define: Define
) -> None:
    rules = [
        {"when": {"scenario": {"name": "order", "state": "paid"}}, "answer": {"message": {"id": "paid"}}},
        {"answer": {"message": {"id": "new"}}, "then": {"scenario": "order", "state": "paid"}},
    ]
    counted = [{"answer": {"sequence": [{"messages": [{"message": {"id": i}}]} for i in "abc"]}}]
    definitions = define(GetItem=rules, ListItems=counted)
    async with open_shop(definitions) as (fake, call):
        assert (await call.one("GetItem"), await call.all("ListItems")) == ({"id": "new"}, [{"id": "a"}])
        fake.replace(definitions)
        assert (await call.one("GetItem"), await call.all("ListItems")) == ({"id": "paid"}, [{"id": "b"}])
        fake.replace(define(GetItem=rules, ListItems=counted))
        assert (await call.one("GetItem"), await call.all("ListItems")) == ({"id": "paid"}, [{"id": "a"}])
        assert fake.scenarios.states() == {"order": "paid"}
        fake.reset()
        assert fake.scenarios.states() == {"order": "started"}


async def test_services_come_and_go_with_their_health_and_their_reflection(
    open_shop: Open, define: Define, ping: Any
) -> None:
    def services(endpoint: str) -> list[str]:
        with grpc.insecure_channel(endpoint) as channel:
            database = ProtoReflectionDescriptorDatabase(channel)
            pool = DescriptorPool(database)
            names = [name for name in database.get_services() if not name.startswith("grpc.")]
            assert all(pool.FindServiceByName(name).methods for name in names)
            return names

    async with (
        open_shop(GetItem=answering("7")) as (fake, call),
        grpc.aio.insecure_channel(fake.endpoint) as channel,
    ):
        health: Any = health_pb2_grpc.HealthStub(channel)
        watch = health.Watch(health_pb2.HealthCheckRequest(service="ping.v1.Ping"), timeout=5)
        told = [(await watch.read()).status]
        assert await asyncio.to_thread(services, fake.endpoint) == ["shop.v1.Shop"]
        fake.replace(ping)
        told.append((await watch.read()).status)
        assert fake.services == ("ping.v1.Ping",)
        assert await asyncio.to_thread(services, fake.endpoint) == ["ping.v1.Ping"]
        with pytest.raises(grpc.aio.AioRpcError, match="UNIMPLEMENTED"):
            await call.one("GetItem")
        ask: Any = channel.unary_unary("/ping.v1.Ping/Ping")
        assert await ask(b"") == b""
        fake.replace(define(GetItem=answering("7")))
        told.append((await watch.read()).status)
        assert told == [3, 1, 3]  # SERVICE_UNKNOWN, SERVING, and unknown again
        with pytest.raises(grpc.aio.AioRpcError, match="NOT_FOUND"):
            await health.Check(health_pb2.HealthCheckRequest(service="ping.v1.Ping"))


async def test_what_cannot_be_used_changes_nothing(open_shop: Open, tmp_path: Path) -> None:
    async with open_shop(GetItem=answering("7")) as (fake, call):
        with pytest.raises(ConfigurationError):
            fake.replace(tmp_path / "gone.yaml")
        assert await call.one("GetItem") == {"id": "7"}


async def test_every_change_of_health_reaches_a_watcher_that_reads_slowly(define: Define) -> None:
    async with ProtoFake(define()) as fake, grpc.aio.insecure_channel(fake.endpoint) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        watch = health.Watch(health_pb2.HealthCheckRequest(service="shop.v1.Shop"), timeout=5)
        told = [(await watch.read()).status]
        fake.set_health(None, "NOT_SERVING")
        fake.set_health("shop.v1.Shop", "not_serving")
        fake.set_health("shop.v1.Shop", "SERVING")
        told += [(await watch.read()).status for _ in range(2)]
        assert told == [1, 2, 1]
        listed = await health.List(health_pb2.HealthListRequest())
        assert {name: answer.status for name, answer in listed.statuses.items()} == {"": 2, "shop.v1.Shop": 1}
        for wrong in (("shop.v1.Shop", "WELL"), ("gone", "SERVING")):
            with pytest.raises(ConfigurationError):
                fake.set_health(*wrong)


async def test_reflection_speaks_version_1_and_describes_it(define: Define) -> None:
    async with ProtoFake(define()) as fake, grpc.aio.insecure_channel(fake.endpoint) as channel:
        # What version 1 sends has the form of the older version's messages.
        info: Any = channel.stream_stream(
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        asked = [
            reflection_pb2.ServerReflectionRequest(list_services=""),
            reflection_pb2.ServerReflectionRequest(
                file_containing_symbol="grpc.reflection.v1.ServerReflection"
            ),
            reflection_pb2.ServerReflectionRequest(file_by_filename="grpc_reflection/v1/reflection.proto"),
            reflection_pb2.ServerReflectionRequest(file_containing_symbol="shop.v1.Nothing"),
        ]
        listed, described, by_name, missing = [answer async for answer in info(iter(asked))]
        names = [service.name for service in listed.list_services_response.service]
        assert "grpc.reflection.v1.ServerReflection" in names and "shop.v1.Shop" in names
        [file] = described.file_descriptor_response.file_descriptor_proto
        assert by_name.file_descriptor_response.file_descriptor_proto == [file]
        pool = DescriptorPool()
        pool.AddSerializedFile(file)
        method = pool.FindServiceByName("grpc.reflection.v1.ServerReflection").methods[0]
        assert method.input_type.full_name == "grpc.reflection.v1.ServerReflectionRequest"
        assert missing.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


async def test_channelz_is_served_where_it_is_asked_for(define: Define) -> None:
    for wanted in (True, False):
        async with (
            ProtoFake(define(), channelz=wanted) as fake,
            grpc.aio.insecure_channel(fake.endpoint) as channel,
        ):
            stub: Any = channelz_pb2_grpc.ChannelzStub(channel)
            try:
                found = await stub.GetServers(channelz_pb2.GetServersRequest(start_server_id=0))
            except grpc.aio.AioRpcError as error:
                assert not wanted and error.code() is grpc.StatusCode.UNIMPLEMENTED
            else:
                assert wanted and found.server


async def test_calls_come_by_tls_and_with_an_authority_only_with_a_certificate(define: Define) -> None:
    authority = Authority()
    server, caller = authority.issue("fake"), authority.issue("caller")
    options: Any = {"certificate_chain": server.chain, "private_key": server.key}
    trusted = grpc.ssl_channel_credentials(authority.certificate)
    known = grpc.ssl_channel_credentials(authority.certificate, caller.key, caller.chain)
    definitions = define(GetItem=answering("7"))

    async def ask(endpoint: str, credentials: grpc.ChannelCredentials) -> bytes:
        async with grpc.aio.secure_channel(endpoint, credentials) as channel:
            call: Any = channel.unary_unary("/shop.v1.Shop/GetItem")
            answer: bytes = await call(b"", timeout=5)
            return answer

    async with ProtoFake(definitions, **options) as fake:
        assert await ask(fake.endpoint, trusted) == b"\x0a\x017"
    async with ProtoFake(definitions, client_root_certificates=authority.certificate, **options) as fake:
        assert await ask(fake.endpoint, known) == b"\x0a\x017"
        with pytest.raises(grpc.aio.AioRpcError, match="UNAVAILABLE"):
            await ask(fake.endpoint, trusted)
    wrong: Any
    for wrong in ({"private_key": server.key}, {"client_root_certificates": authority.certificate}):
        with pytest.raises(ConfigurationError, match="needs both"):
            ProtoFake(definitions, **wrong)


async def test_both_wires_share_rules_and_journal_and_start_together_or_not_at_all(define: Define) -> None:
    import aiohttp

    definitions = define(GetItem=answering("old"))
    async with ProtoFake(definitions, http_port=0) as fake, aiohttp.ClientSession() as session:
        fake.replace(define(GetItem=answering("7")))
        url = f"http://{fake.http_endpoint}/shop.v1.Shop/GetItem"
        async with session.post(url, json={"id": "1"}) as response:
            assert await response.json() == {"id": "7"}
        async with grpc.aio.insecure_channel(fake.endpoint) as channel:
            call: Any = channel.unary_unary("/shop.v1.Shop/GetItem")
            assert await call(b"") == b"\x0a\x017"
        assert [noted.requests for noted in fake.calls("GetItem")] == [[{"id": "1"}], [{}]]
        taken = int(fake.http_endpoint.rpartition(":")[2])
        other = ProtoFake(definitions, http_port=taken)
        with pytest.raises(ConfigurationError):
            await other.start()
        assert other.endpoint == other.http_endpoint == ""
    async with ProtoFake(definitions, port=None, http_port=0) as fake:
        assert fake.endpoint == "" and fake.http_endpoint
