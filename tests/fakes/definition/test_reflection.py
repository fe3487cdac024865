"""Descriptors from live servers: ours, a plain one of gRPC's own, and servers that answer wrongly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from grpc_reflection.v1alpha import reflection, reflection_pb2
from typer.testing import CliRunner

from rpe.errors import (
    AuthenticationFailed,
    ConfigurationError,
    ConnectFailed,
    ProtocolViolation,
    RemoteTimeout,
    RpeError,
)
from rpe.fakes.certificates import Authority
from rpe.fakes.definition.descriptors import Contracts
from rpe.fakes.definition.fake import ProtoFake
from rpe.fakes.definition.generating import generate_from_set
from rpe.fakes.definition.loading import load_definitions
from rpe.fakes.definition.reflection import Reflected, ReflectedServer, fetch_contracts, is_server
from rpe.fakes.server import FakeServer

Define = Callable[..., Any]
Answer = Callable[[Any], Any]
V1, V1ALPHA = "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"


def fetch(endpoint: str, **options: Any) -> Any:
    return fetch_contracts(ReflectedServer.parse(f"grpc://{endpoint}"), **options)


def names_of(found: Reflected) -> set[str]:
    contracts = Contracts()
    contracts.add(found.files.file)
    return {str(service.full_name) for service in contracts.services()}


async def test_a_fake_of_any_service_tells_its_contract(define: Define, tmp_path: Path) -> None:
    async with ProtoFake(define()) as fake:
        found = await fetch(fake.endpoint)
        all_of_it = await fetch(fake.endpoint, own=True)
    assert found.services == ("shop.v1.Shop",)
    assert {"shop.v1.Shop", "grpc.health.v1.Health"} < set(all_of_it.services)
    assert names_of(all_of_it) >= set(all_of_it.services)
    # What is written is served where the server is no more.
    [written] = generate_from_set(found.files, found.services, tmp_path / "out")
    text = written.path.read_text(encoding="utf-8")
    assert "set: descriptors.binpb" in text and "id: id" in text
    async with ProtoFake(load_definitions(tmp_path / "out")) as again:
        assert (await fetch(again.endpoint)).files == found.files
    [kept] = generate_from_set(found.files, found.services, tmp_path / "out")
    assert kept.state == "unchanged"


async def test_a_fake_pipeline_server_tells_its_contract() -> None:
    async with FakeServer() as server:
        found = await fetch(server.endpoint)
    assert names_of(found) >= set(found.services) > {"remotemedia.v1.PipelineExecutionService"}


async def test_a_server_that_has_only_the_older_version(define: Define) -> None:
    server = grpc.aio.server()
    reflection.enable_server_reflection(["shop.v1.Shop", V1ALPHA], server, pool=define().contracts.pool)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        found = await fetch(f"127.0.0.1:{port}")
    finally:
        await server.stop(None)
    assert found.services == ("shop.v1.Shop",) and names_of(found) == {"shop.v1.Shop"}
    assert "google/protobuf/timestamp.proto" in [file.name for file in found.files.file]


@asynccontextmanager
async def scripted(
    answer: Answer,
    *,
    version: str = V1,
    credentials: grpc.ServerCredentials | None = None,
    seen: list[Any] | None = None,
) -> AsyncIterator[str]:
    """A server whose reflection answers each request with what `answer` returns; None ends it."""

    async def info(requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        if seen is not None:
            seen.extend(context.invocation_metadata())
        async for request in requests:
            given = answer(request)
            if given is None:
                return
            if isinstance(given, grpc.StatusCode):
                await context.abort(given, "no: token=abc")
            if isinstance(given, Exception):
                await asyncio.sleep(60)
            yield given

    method = grpc.stream_stream_rpc_method_handler(
        info,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    server = grpc.aio.server()
    handler = grpc.method_handlers_generic_handler(version, {"ServerReflectionInfo": method})
    server.add_generic_rpc_handlers((handler,))
    if credentials is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


def answering(service: str, *files: FileDescriptorProto) -> Answer:
    """Answers from files: the first one is that of the service, and comes alone."""

    def answer(request: Any) -> Any:
        if request.HasField("list_services"):
            listed = reflection_pb2.ServiceResponse(name=service)
            return reflection_pb2.ServerReflectionResponse(
                list_services_response=reflection_pb2.ListServiceResponse(service=[listed])
            )
        wanted = request.file_by_filename or files[0].name
        for file in files:
            if file.name == wanted:
                return described(file.SerializeToString())
        error = reflection_pb2.ErrorResponse(error_code=5, error_message="not here: token=abc")
        return reflection_pb2.ServerReflectionResponse(error_response=error)

    return answer


def described(data: bytes) -> Any:
    found = reflection_pb2.FileDescriptorResponse(file_descriptor_proto=[data])
    return reflection_pb2.ServerReflectionResponse(file_descriptor_response=found)


def file_of(name: str, *imports: str, service: str | None = None) -> FileDescriptorProto:
    file = FileDescriptorProto(name=name, package="a", dependency=imports)
    if service is not None:
        file.service.add(name=service)
    return file


SERVICE = file_of("a.proto", "b.proto", "google/protobuf/duration.proto", service="A")


async def test_files_come_one_by_one_and_those_of_protobuf_may_be_missing() -> None:
    answer = answering("a.A", SERVICE, file_of("b.proto", "c.proto"), file_of("c.proto"))
    asked: list[str] = []

    def counted(request: Any) -> Any:
        asked.append(request.file_by_filename)
        return answer(request)

    async with scripted(counted) as endpoint:
        found = await fetch(endpoint)
    assert names_of(found) == {"a.A"}
    assert sorted(asked) == ["", "", "b.proto", "c.proto", "google/protobuf/duration.proto"]


@pytest.mark.parametrize(
    ("answer", "error", "told"),
    [
        (answering("a.A", SERVICE), ProtocolViolation, "no file b.proto, which a.proto imports: not here"),
        (answering("a.A", file_of("a.proto", "google/protobuf/gone.proto")), ProtocolViolation, "gone.proto"),
        (answering("grpc.health.v1.Health"), ConfigurationError, "no service of its own, only grpc.health"),
        (lambda request: None, ProtocolViolation, "ended without an answer"),
        (lambda request: grpc.StatusCode.UNAVAILABLE, ConnectFailed, "cannot be reached"),
        (lambda request: grpc.StatusCode.CANCELLED, ProtocolViolation, "cancelled|CANCELLED"),
        (lambda request: grpc.StatusCode.UNAUTHENTICATED, AuthenticationFailed, "--header"),
        (lambda request: grpc.StatusCode.UNIMPLEMENTED, ConfigurationError, "no reflection service"),
        (
            lambda request: (
                described(b"\xff") if request.file_containing_symbol else answering("a.A")(request)
            ),
            ProtocolViolation,
            "no descriptor for its service a.A",
        ),
        (
            lambda request: (
                described(file_of("z.proto").SerializeToString())
                if request.file_by_filename
                else answering("a.A", SERVICE)(request)
            ),
            ProtocolViolation,
            "another file for b.proto",
        ),
        (
            lambda request: None if request.file_containing_symbol else answering("a.A")(request),
            ProtocolViolation,
            "ended without an answer",
        ),
    ],
)
async def test_what_a_server_does_wrong_is_told(answer: Answer, error: type[RpeError], told: str) -> None:
    async with scripted(answer) as endpoint:
        with pytest.raises(error, match=told) as raised:
            await fetch(endpoint, timeout_s=5)
    assert raised.value.endpoint == endpoint and "abc" not in str(raised.value)


async def test_files_that_import_each_other_are_told(tmp_path: Path) -> None:
    answer = answering("a.A", file_of("a.proto", "b.proto", service="A"), file_of("b.proto", "a.proto"))
    async with scripted(answer) as endpoint:
        found = await fetch(endpoint)
    with pytest.raises(ConfigurationError, match=r"circle: a\.proto imports b\.proto imports a\.proto"):
        generate_from_set(found.files, found.services, tmp_path / "out")
    with pytest.raises(ConfigurationError, match="lack the services"):
        generate_from_set(FileDescriptorSet(file=[file_of("a.proto", service="A")]), ["a.B"], tmp_path)
    assert not (tmp_path / "out").exists()


def test_a_name_that_a_server_made_up_is_no_path(tmp_path: Path) -> None:
    files = FileDescriptorSet(file=[file_of("a.proto", service="../../A")])
    with pytest.raises(ConfigurationError, match="cannot be used"):
        generate_from_set(files, ["a.../../A"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


async def test_a_server_that_never_answers_is_given_up() -> None:
    async with scripted(lambda request: Exception()) as endpoint:
        async with asyncio.timeout(5):
            with pytest.raises(RemoteTimeout, match=r"longer than 0\.05 s"):
                await fetch(endpoint, timeout_s=0.05)


async def test_a_server_without_reflection_or_none_at_all(define: Define) -> None:
    async with ProtoFake(define(), reflection=False) as fake:
        with pytest.raises(ConfigurationError, match=r"no reflection service(.|\n)*\.proto files"):
            await fetch(fake.endpoint)
    with pytest.raises(ConnectFailed, match="cannot be reached"):
        await fetch(fake.endpoint)


async def test_tls_and_a_token_that_is_never_shown() -> None:
    authority = Authority()
    made = authority.issue("server")
    credentials = grpc.ssl_server_credentials([(made.key, made.chain)])
    answer = answering("a.A", file_of("a.proto", service="A"))
    seen: list[Any] = []
    async with scripted(answer, credentials=credentials, version=V1ALPHA, seen=seen) as endpoint:
        server = ReflectedServer.parse(
            f"grpcs://{endpoint}",
            root_certificates=authority.certificate,
            headers=["Authorization: Bearer abc"],
        )
        assert (await fetch_contracts(server)).services == ("a.A",)
        assert server.metadata == (("authorization", "Bearer abc"),) and "abc" not in repr(server)
        assert ("authorization", "Bearer abc") in seen
        for wrong in (ReflectedServer.parse(f"grpcs://{endpoint}"), ReflectedServer(endpoint)):
            with pytest.raises((ConnectFailed, RemoteTimeout), match="TLS"):
                await fetch_contracts(wrong, timeout_s=2)


def test_what_is_no_server_or_no_header_is_told() -> None:
    assert is_server("grpc://a:1") and is_server("grpcs://a:1") and not is_server("http://a")
    assert not is_server("grpc") and not is_server("protos/a.proto")
    assert ReflectedServer.parse("grpc://[::1]:50051").address == "[::1]:50051"
    for url in ("grpc://a", "grpc://:1", "grpc://a:x", "grpc://a:1/b", "grpc://u:p@a:1", "grpc://a:99999"):
        with pytest.raises(ConfigurationError, match="not the address of a server"):
            ReflectedServer.parse(url)
    with pytest.raises(ConfigurationError, match="clear text"):
        ReflectedServer.parse("grpc://a:1", root_certificates=b"x")
    for header in ("secret", "a b: secret", "a: secret\nb", "a-bin: secret", "a: sécret"):
        with pytest.raises(ConfigurationError, match="NAME: VALUE") as raised:
            ReflectedServer.parse("grpc://a:1", headers=[header])
        assert "cret" not in str(raised.value)


async def test_the_command_writes_what_a_server_tells(define: Define, tmp_path: Path) -> None:
    import typer

    from rpe.cli.fake_generate import generate

    app = typer.Typer()
    app.command()(generate)

    def run(*args: str) -> Any:
        return CliRunner().invoke(app, [*args, "-o", str(tmp_path)])

    async with ProtoFake(define()) as fake:
        url = f"grpc://{fake.endpoint}"
        done = await asyncio.to_thread(run, url, "--header", "authorization: Bearer abc")
        assert (done.exit_code, done.stdout) == (0, f"written {tmp_path / 'shop.v1.Shop.yaml'}\n")
        assert load_definitions(tmp_path).services.keys() == {"shop.v1.Shop"}
        for args, told in (
            ((url, "a.proto"), "asked alone"),
            ((url, "-I", "."), "asked alone"),
            (("a.proto", "--own"), "are for a server"),
            ((url, "--ca", str(tmp_path / "gone")), "No such file"),
            (("grpc://a",), "not the address"),
        ):
            done = await asyncio.to_thread(run, *args)
            assert done.exit_code == 2 and told in done.stderr
