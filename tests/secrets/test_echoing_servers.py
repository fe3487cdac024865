"""A careless server puts the token that it was sent into its own error text; no error shows it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

import rpe
from rpe.data import RuntimeData, Text
from rpe.errors import ErrorKind, RpeError
from rpe.manifest.model import Manifest
from rpe.telemetry.log import LogObserver
from rpe.transport.ports import PipelineClient
from rpe.transport.registry import get_transport
from rpe.transport.serving import (
    ApplicationError,
    ErrorType,
    Refusal,
    Reply,
    ServerCall,
    ServerSession,
    StatusCode,
    VersionAnswer,
)
from tests.support.handlers import Handler
from tests.support.secrets import Planted

pytestmark = pytest.mark.usefixtures("listening")

WIRES = ("grpc", "http", "webrtc")
ECHO = Manifest.single("echo", node_type="Echo")

FORMS = {
    "as it came": "the header was {header}",
    "bare": "unknown key: {token}",
    "quoted": "no such user '{token}', see {header}.",
    "cut off": "." * 475 + " {token}",
}
"""How a server words it; the last one runs into the limit at which texts are cut off."""

STATUSES = (
    StatusCode.UNAUTHENTICATED,
    StatusCode.PERMISSION_DENIED,
    StatusCode.INTERNAL,
    StatusCode.UNAVAILABLE,
    StatusCode.RESOURCE_EXHAUSTED,
    StatusCode.INVALID_ARGUMENT,
    StatusCode.UNIMPLEMENTED,
    StatusCode.ABORTED,
)


class Careless(Handler):
    """Fails every call in one way, with the caller's token in all that it says."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.form = form
        self.status: StatusCode | None = None
        self.at_the_door = False
        self.header = ""

    def text(self, call: ServerCall) -> str:
        # Over a peer connection the token comes once, with the signalling.
        self.header = call.metadata.get("authorization", self.header)
        return self.form.format(header=self.header, token=self.header.removeprefix("Bearer "))

    def failure(self, call: ServerCall) -> ApplicationError:
        """The pipeline's error, or the refusal that a status asks for."""
        text = self.text(call)
        if self.status is not None:
            raise Refusal(self.status, text)
        said = {"kind": ErrorKind.NETWORK.value, "code": "connect_failed", "hop": 1, "node": text}
        said |= {"endpoint": text, "retryable": False, "maybe_executed": False}
        return ApplicationError(ErrorType.NODE_EXECUTION, text, text, json.dumps({"rpe_downstream": said}))

    async def execute(self, call: ServerCall, manifest: Manifest, inputs: Mapping[str, RuntimeData]) -> Reply:
        return self.failure(call)

    async def stream(self, call: ServerCall, session: ServerSession) -> None:
        if manifest_asks_for_more := session.manifest.name == "later":
            await session.ready("s-1")
            await session.receive()
        assert manifest_asks_for_more or session.manifest.name == "echo"
        await session.send_error(self.failure(call))

    async def version(self, call: ServerCall) -> VersionAnswer:
        self.failure(call)
        return VersionAnswer(message=self.text(call), runtime_version=self.text(call))

    async def admit(self, call: ServerCall) -> None:
        text = self.text(call)
        if self.at_the_door:
            raise Refusal(self.status or StatusCode.INTERNAL, text)


@asynccontextmanager
async def answered_by(
    handler: Handler, wire: str, **settings: Any
) -> AsyncIterator[tuple[PipelineClient, str]]:
    """A client of a wire, and the address of the server that it talks to."""
    plugin = get_transport(wire)
    async with plugin.create_server(handler, {"host": "127.0.0.1", "port": 0}) as server:
        client = plugin.create_client(server.endpoint, settings)
        try:
            yield client, server.endpoint
        finally:
            await client.close()


async def failures(client: PipelineClient) -> list[RpeError]:
    """The errors of one call of each kind."""
    later = Manifest(name="later", nodes=ECHO.nodes)
    found: list[RpeError] = []
    with pytest.raises(RpeError) as unary:
        await client.execute(ECHO, {"echo": Text("hello")}, timeout_s=5)
    found.append(unary.value)
    for manifest in (ECHO, later):
        with pytest.raises(RpeError) as streamed:
            session = await client.open_stream(manifest, timeout_s=5, open_timeout_s=5)
            await session.send(Text("hello"), node_id="echo", sequence=0)
            await session.receive()
        found.append(streamed.value)
    for ask in (client.get_version, client.check_health):
        try:
            await ask(timeout_s=5)
        except RpeError as error:
            found.append(error)
    return found


@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
@pytest.mark.parametrize("wire", ["grpc", "http"])
async def test_no_status_and_no_error_of_a_pipeline_shows_it(
    wire: str, form: str, secret: str, planted: Planted
) -> None:
    handler = Careless(form)
    async with answered_by(handler, wire, token=secret) as (client, _):
        for handler.status in (*STATUSES, None):
            for error in await failures(client):
                planted.check_error(error)
    assert handler.header == f"Bearer {secret}"


@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
async def test_nor_one_that_comes_over_a_peer_connection(form: str, secret: str, planted: Planted) -> None:
    handler = Careless(form)
    async with answered_by(handler, "webrtc", token=secret) as (client, _):
        for handler.status in (StatusCode.UNAUTHENTICATED, StatusCode.INTERNAL, None):
            for error in await failures(client):
                planted.check_error(error)
    assert handler.header == f"Bearer {secret}"


@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
@pytest.mark.parametrize("signalling", ["websocket", "grpc"])
async def test_nor_one_of_the_signalling(signalling: str, form: str, secret: str, planted: Planted) -> None:
    handler = Careless(form)
    handler.at_the_door = True
    plugin = get_transport("webrtc")
    config = {"host": "127.0.0.1", "port": 0, "signalling": [signalling]}
    async with plugin.create_server(handler, config) as server:
        client = plugin.create_client(server.endpoint, {"token": secret, "signalling": signalling})
        try:
            for handler.status in (
                StatusCode.UNAUTHENTICATED,
                StatusCode.INTERNAL,
                StatusCode.INVALID_ARGUMENT,
            ):
                with pytest.raises(RpeError) as refused:
                    await client.check_health(timeout_s=5)
                planted.check_error(refused.value)
        finally:
            await client.close()
    assert handler.header == f"Bearer {secret}"


async def test_what_a_server_says_of_itself(secret: str, planted: Planted) -> None:
    handler = Careless(FORMS["quoted"])
    async with answered_by(handler, "grpc", token=secret) as (client, _):
        planted.check_shown(await client.get_version(timeout_s=5), await client.check_health(timeout_s=5))
    assert handler.header == f"Bearer {secret}"


@pytest.mark.parametrize("wire", WIRES)
async def test_nor_the_reliable_client_with_all_that_it_reports(
    wire: str, secret: str, planted: Planted
) -> None:
    handler = Careless(FORMS["quoted"])
    handler.status = StatusCode.UNAVAILABLE
    records: list[object] = []

    class Keeping(LogObserver):
        def on_attempt(self, record: Any) -> None:
            records.append(record)
            super().on_attempt(record)

        def on_operation(self, record: Any) -> None:
            records.append(record)
            super().on_operation(record)

    async with get_transport(wire).create_server(handler, {"host": "127.0.0.1", "port": 0}) as server:
        settings = rpe.ClientSettings()
        client = rpe.connect(
            [server.endpoint], transport=wire, token=secret, settings=settings, observers=[Keeping()]
        )
        async with client:
            with pytest.raises(RpeError) as failed:
                await client.execute(ECHO, Text("hello"), timeout_s=1.5, repeatable=True)
            planted.check_error(failed.value)
            planted.check_shown(client, settings, client.statistics(), *records)
    assert records
    assert handler.header == f"Bearer {secret}"
