"""The HTTP server itself: its port, its end, its certificates, and connections on which nothing happens."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from rpe.errors import ConfigurationError
from tests.support.handlers import Handler, serve_http
from tests.support.http_caller import calling


def others() -> set[asyncio.Task[Any]]:
    return asyncio.all_tasks() - {asyncio.current_task()}


async def test_idle_connections_are_closed_where_the_handler_wants_it() -> None:
    handler = Handler()
    handler.idle_s = 0.05

    async def asked_again_after(pause_s: float) -> bool:
        reader, writer = await asyncio.open_connection(*server.endpoint.split(":"))
        request = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
        try:
            for _ in range(2):
                writer.write(request)
                await writer.drain()
                async with asyncio.timeout(5):
                    if not (await reader.read(1000)).startswith(b"HTTP/1.1 200"):
                        return False
                await asyncio.sleep(pause_s)
        except ConnectionError:
            return False
        finally:
            writer.close()
        return True

    async with serve_http(handler) as server:
        assert await asked_again_after(0.0)
        told = handler.idle_closings
        assert not await asked_again_after(0.15)
        assert handler.idle_closings == told + 1
        handler.idle_s = None
        assert await asked_again_after(0.15)
        assert handler.idle_closings == told + 1


async def test_a_connection_is_not_idle_while_a_call_runs() -> None:
    handler = Handler()
    handler.idle_s, handler.busy_s = 0.03, 0.15
    async with serve_http(handler) as server, calling(server.endpoint) as caller:
        assert (await caller.execute())[0] == 200
        assert (await caller.execute())[0] == 200


async def test_a_taken_port_is_said_clearly() -> None:
    async with serve_http(Handler()) as first:
        port = int(first.endpoint.rpartition(":")[2])
        with pytest.raises(ConfigurationError, match=rf"in use.*127\.0\.0\.1:{port}"):
            await serve_http(Handler(), port=port).start()
    async with serve_http(Handler(), port=port) as second, calling(second.endpoint) as caller:
        assert (await caller.execute())[0] == 200


async def test_an_address_that_is_not_this_machines_is_said_clearly() -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be started"):
        await serve_http(Handler(), host="192.0.2.1").start()


async def test_ipv6() -> None:
    async with serve_http(Handler(), host="::1") as server, calling(server.endpoint) as caller:
        assert server.endpoint.startswith("[::1]:")
        assert (await caller.execute())[0] == 200


async def test_stop_leaves_no_task_and_breaks_off_what_runs() -> None:
    before = others()
    handler = Handler()
    handler.busy_s = 60
    server = serve_http(handler)
    await server.start()
    await server.start()  # harmless
    async with calling(server.endpoint) as caller:
        call = asyncio.create_task(caller.execute())
        async with asyncio.timeout(5):
            await handler.entered.wait()
        key = await caller.open()
        async with caller.output(key) as output:
            await server.stop()
            await server.stop()  # harmless
            with pytest.raises(aiohttp.ClientError):
                await call
            with pytest.raises(aiohttp.ClientError):
                await output.read()
        assert handler.ended.is_set()
        assert handler.cancelled.is_set()
        with pytest.raises(aiohttp.ClientConnectorError):
            await caller.execute()
    await asyncio.sleep(0.02)
    assert others() - before == set()


async def test_stop_gives_running_calls_their_grace() -> None:
    handler = Handler()
    handler.busy_s = 0.1
    async with serve_http(handler) as server, calling(server.endpoint) as caller:
        call = asyncio.create_task(caller.execute())
        async with asyncio.timeout(5):
            await handler.entered.wait()
            await server.stop(grace_s=30)  # ends when the call does
        assert (await call)[0] == 200


async def test_cancelling_stop_ends_the_grace() -> None:
    before = others()
    handler = Handler()
    handler.busy_s = 60
    async with serve_http(handler) as server, calling(server.endpoint) as caller:
        call = asyncio.create_task(caller.execute())
        async with asyncio.timeout(5):
            await handler.entered.wait()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await server.stop(grace_s=5)
        assert handler.ended.is_set()
        with pytest.raises(aiohttp.ClientError):
            await call
    assert others() - before == set()


async def test_it_can_be_started_again() -> None:
    server = serve_http(Handler())
    for _ in range(2):
        async with server, calling(server.endpoint) as caller:
            assert (await caller.execute())[0] == 200


@pytest.mark.parametrize(
    "settings",
    [{"certificate_chain": b"x"}, {"private_key": b"x"}, {"client_root_certificates": b"x"}],
)
async def test_half_a_tls_configuration_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="certificate_chain and private_key"):
        await serve_http(Handler(), **settings).start()


async def test_certificates_that_are_none_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="certificates"):
        await serve_http(Handler(), certificate_chain=b"none", private_key=b"none").start()
