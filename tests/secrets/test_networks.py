"""Nobody there, no answer, a wrong answer, a machine behind the server: what an error shows of a token."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

import rpe
from rpe.data import Text
from rpe.errors import RpeError
from rpe.manifest.model import Manifest
from rpe.node import PipelineRunner
from rpe.node.remote.options import RemoteOptions
from rpe.node.serving import serve_pipelines
from rpe.transport.registry import get_transport
from tests.secrets.test_echoing_servers import FORMS, Careless
from tests.support.secrets import Planted

pytestmark = pytest.mark.usefixtures("listening")

WIRES = ("grpc", "http", "webrtc")
ECHO = Manifest.single("echo", node_type="Echo")

Talk = Callable[[str], bytes]

GARBAGE: dict[str, Talk] = {
    "no words": lambda token: b"",
    "no protocol": lambda token: f"you sent {token}\r\n\r\n".encode(),
    "no status": lambda token: f"HTTP/1.1 {token}\r\n\r\n".encode(),
    "its reason": lambda token: f"HTTP/1.1 500 {token}\r\nContent-Length: 0\r\n\r\n".encode(),
    "a bad header": lambda token: f"HTTP/1.1 200 OK\r\n{token}\r\n\r\n".encode(),
    "its type": lambda token: (
        f"HTTP/1.1 200 OK\r\nContent-Type: {token}\r\nContent-Length: 0\r\n\r\n".encode()
    ),
    "its coding": lambda token: (
        f"HTTP/1.1 200 OK\r\nContent-Encoding: {token}\r\nContent-Length: 0\r\n\r\n".encode()
    ),
    "a bad chunk": lambda token: f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{token}\r\n".encode(),
    "a redirect": lambda token: (
        f"HTTP/1.1 302 Found\r\nLocation: http://x/{token}\r\nContent-Length: 0\r\n\r\n".encode()
    ),
    "bad JSON": lambda token: (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        + f"Content-Length: {len(token) + 13}\r\n\r\n{{'output': {token}}}".encode()
    ),
}


@asynccontextmanager
async def saying(answer: bytes | None) -> AsyncIterator[str]:
    """The address of a server that answers whatever comes with these bytes; None for silence."""

    talking: set[asyncio.Task[None] | None] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talking.add(asyncio.current_task())
        try:
            await reader.read(1)
            if answer is not None:
                writer.write(answer)
            else:
                await reader.read()
        except ConnectionError:
            pass  # the client has had enough
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        host, port = server.sockets[0].getsockname()
        yield f"{host}:{port}"
    finally:
        server.close()
        if left := [task for task in talking if task is not None and not task.done()]:
            await asyncio.wait(left)


async def calls(endpoint: str, wire: str, token: str, planted: Planted, timeout_s: float) -> None:
    """Check the errors of each kind of call."""
    client = get_transport(wire).create_client(endpoint, {"token": token})
    ask: tuple[Callable[[], Awaitable[object]], ...] = (
        lambda: client.execute(ECHO, {"echo": Text("hello")}, timeout_s=timeout_s),
        lambda: client.open_stream(ECHO, timeout_s=timeout_s, open_timeout_s=timeout_s),
        lambda: client.check_health(timeout_s=timeout_s),
        lambda: client.get_version(timeout_s=timeout_s),
    )
    try:
        failures: list[RpeError] = []
        for call in ask:
            try:
                await call()
            except RpeError as error:
                failures.append(error)
        assert len(failures) >= 2  # of HTTP's health check, the status is all that counts
        for failed in failures:
            planted.check_error(failed)
    finally:
        await client.close()


@pytest.mark.parametrize("wire", WIRES)
async def test_nobody_there(wire: str, secret: str, planted: Planted) -> None:
    async with saying(None) as endpoint:
        pass
    await calls(endpoint, wire, secret, planted, 1.0)


@pytest.mark.parametrize("wire", WIRES)
async def test_no_answer(wire: str, planted: Planted) -> None:
    async with saying(None) as endpoint:
        await calls(endpoint, wire, planted["signs"], planted, 0.1)


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=list(GARBAGE))
@pytest.mark.parametrize("wire", ["http", "webrtc"])
async def test_what_is_no_answer(wire: str, garbage: Talk, secret: str, planted: Planted) -> None:
    async with saying(garbage(secret)) as endpoint:
        await calls(endpoint, wire, secret, planted, 1.0)


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("form", [FORMS["quoted"], FORMS["bare"]])
async def test_a_remote_node_whose_server_quotes_it(
    wire: str, form: str, secret: str, planted: Planted
) -> None:
    handler = Careless(form)
    async with get_transport(wire).create_server(handler, {"host": "127.0.0.1", "port": 0}) as server:
        manifest = remote_manifest(wire, server.endpoint, "${TOKEN}")
        async with PipelineRunner(manifest, remote=RemoteOptions(environment={"TOKEN": secret})) as runner:
            with pytest.raises(RpeError) as failed:
                await runner.run({"far": [Text("hello")]})
            planted.check_error(failed.value)
            planted.check_shown(runner)
    assert handler.header == f"Bearer {secret}"


@pytest.mark.parametrize("wire", WIRES)
async def test_a_server_between_does_not_hand_it_on(wire: str, planted: Planted) -> None:
    secret = planted["signs"]
    handler = Careless(FORMS["bare"])
    async with (
        get_transport(wire).create_server(handler, {"host": "127.0.0.1", "port": 0}) as far,
        serve_pipelines(
            wire, token=planted["mixed"], remote=RemoteOptions(environment={"T": secret})
        ) as near,
        rpe.connect([near.endpoint], transport=wire, token=planted["mixed"]) as client,
    ):
        planted.check_shown(near, near.service)
        for token in ("${T}", "${MISSING}"):
            with pytest.raises(RpeError) as failed:
                await client.execute(remote_manifest(wire, far.endpoint, token), Text("hello"), timeout_s=5)
            planted.check_error(failed.value)
    assert handler.header == f"Bearer {secret}"


def remote_manifest(wire: str, endpoint: str, token: str) -> Manifest:
    return Manifest.single(
        "far",
        node_type="RemotePipelineNode",
        transport=wire,
        endpoint=endpoint,
        auth_token=token,
        manifest=ECHO.to_dict(),
        check_node_types=False,
        timeout_ms=3000,
        retry={"max_retries": 0},
    )
