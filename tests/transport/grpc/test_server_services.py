"""What the gRPC server offers beside the pipeline: health, reflection, TLS."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from rpe.fakes import FakeServer
from tests.support.certificates import Pair
from tests.support.handlers import Handler, serve
from tests.support.raw_grpc import Raw, chunk, raw, read_all

STATUS = health_pb2.HealthCheckResponse
SERVICES = [
    "remotemedia.v1.PipelineExecutionService",
    "remotemedia.v1.StreamingPipelineService",
]


def health(client: Raw) -> Any:
    stub: Any = health_pb2_grpc.HealthStub(client.channel)
    return stub


def asks(service: str = "") -> health_pb2.HealthCheckRequest:
    return health_pb2.HealthCheckRequest(service=service)


@pytest.mark.parametrize("service", ["", "grpc.health.v1.Health", *SERVICES])
async def test_check(service: str) -> None:
    handler = Handler()
    async with serve(handler) as server, raw(server.endpoint) as client:
        assert (await health(client).Check(asks(service))).status == STATUS.SERVING
        handler.is_serving = False
        assert (await health(client).Check(asks(service))).status == STATUS.NOT_SERVING


async def test_check_of_an_unknown_service() -> None:
    async with serve(Handler()) as server, raw(server.endpoint) as client:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await health(client).Check(asks("nobody"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_watch_tells_each_change_and_nothing_else() -> None:
    async with FakeServer() as fake, raw(fake.endpoint) as client:
        watch = health(client).Watch(asks(), timeout=5)
        told = [(await watch.read()).status]
        for said in ("not_serving", "not_serving", "serving"):
            await fake.set_behaviour({"health": said})
            await asyncio.sleep(0.02)
        told += [(await watch.read()).status for _ in range(2)]
        watch.cancel()
    assert told == [STATUS.SERVING, STATUS.NOT_SERVING, STATUS.SERVING]


async def test_watch_of_an_unknown_service_stays_open() -> None:
    async with FakeServer() as fake, raw(fake.endpoint) as client:
        watch = health(client).Watch(asks("nobody"), timeout=5)
        assert (await watch.read()).status == STATUS.SERVICE_UNKNOWN
        await fake.set_behaviour({"health": "not_serving"})
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(watch.read(), 0.05)


async def test_without_the_health_service() -> None:
    async with serve(Handler(), health=False) as server, raw(server.endpoint) as client:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await health(client).Check(asks())
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert await client.echo() == "hi"


def _listed(endpoint: str) -> tuple[list[str], set[str]]:
    with grpc.insecure_channel(endpoint) as channel:
        known = ProtoReflectionDescriptorDatabase(channel)
        pool = DescriptorPool(known)
        execution = pool.FindServiceByName(SERVICES[0])
        pool.FindServiceByName("grpc.health.v1.Health")
        return list(known.get_services()), {method.name for method in execution.methods}


async def test_reflection_names_every_service_and_describes_it() -> None:
    async with serve(Handler()) as server:
        services, methods = await asyncio.to_thread(_listed, server.endpoint)
    assert set(services) == {
        *SERVICES,
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    assert methods == {"ExecutePipeline", "GetVersion"}


async def test_reflection_answers_in_its_first_version_too() -> None:
    """The two versions differ in nothing but their package, so the messages of one do for both."""
    async with serve(Handler()) as server, raw(server.endpoint) as client:
        method: Any = client.channel.stream_stream(
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        call = method()
        await call.write(reflection_pb2.ServerReflectionRequest(file_containing_symbol="nobody.Knows"))
        assert (await call.read()).error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]
        await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        assert len((await call.read()).list_services_response.service) == 5
        await call.done_writing()


async def test_without_reflection() -> None:
    async with serve(Handler(), reflection=False) as server:
        with pytest.raises(grpc.RpcError):
            await asyncio.to_thread(_listed, server.endpoint)


async def test_tls(certificates: Callable[[str], Pair]) -> None:
    own = certificates("server")
    async with serve(Handler(), certificate_chain=own.certificate, private_key=own.key) as server:
        async with raw(server.endpoint, grpc.ssl_channel_credentials(own.certificate)) as client:
            assert await client.echo() == "hi"
        stranger = grpc.ssl_channel_credentials(certificates("stranger").certificate)
        for credentials in (stranger, None):
            async with raw(server.endpoint, credentials) as client:
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await client.echo()
                assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_mutual_tls(certificates: Callable[[str], Pair]) -> None:
    own, known, stranger = (certificates(owner) for owner in ("server", "client", "stranger"))
    settings = {
        "certificate_chain": own.certificate,
        "private_key": own.key,
        "client_root_certificates": known.certificate,
    }
    async with FakeServer(**settings) as fake:  # type: ignore[arg-type]
        for pair, welcome in ((known, True), (stranger, False), (None, False)):
            shown = (pair.key, pair.certificate) if pair else (None, None)
            async with raw(fake.endpoint, grpc.ssl_channel_credentials(own.certificate, *shown)) as client:
                if welcome:
                    assert await client.echo() == "hi"
                    continue
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await client.echo()
                assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_cut_also_breaks_an_encrypted_connection(certificates: Callable[[str], Pair]) -> None:
    own = certificates("server")
    script = {"stream": {"cut_after": 1}}
    async with (
        FakeServer(behaviour=script, certificate_chain=own.certificate, private_key=own.key) as fake,
        raw(fake.endpoint, grpc.ssl_channel_credentials(own.certificate)) as client,
    ):
        call = await client.session()
        await call.write(chunk(0))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await read_all(call)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
