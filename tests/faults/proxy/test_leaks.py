"""Nothing is left when the proxy stops: no task, no socket, no timer, whatever its connections were doing."""

from __future__ import annotations

import asyncio
import gc
import resource
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rpe.errors import ConfigurationError
from rpe.faults.driver import ToxiproxyDriver
from rpe.faults.proxy import EmbeddedProxy
from rpe.faults.proxy import proxy as proxy_module
from rpe.faults.proxy.addresses import bind, resolve
from rpe.faults.proxy.proxy import Proxy
from rpe.faults.proxy.stats import ProxyStats
from tests.support.proxied import setting
from tests.support.wires import Upstream, connect

if TYPE_CHECKING:
    from tests.faults.proxy.conftest import Run


def open_files() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


def timers() -> list[asyncio.TimerHandle]:
    """Return what is still to happen on the running loop; uvloop does not tell."""
    scheduled = getattr(asyncio.get_running_loop(), "_scheduled", [])
    return [timer for timer in scheduled if not timer.cancelled()]


TOXICS = {
    "latency": {"latency": 60_000},
    "bandwidth": {"rate": 0},
    "slicer": {"average_size": 1, "delay": 60_000_000},
    "timeout": {"timeout": 60_000},
    "reset_peer": {"timeout": 60_000},
    "slow_close": {"delay": 60_000},
}


def test_stopping_leaves_nothing(run: Run) -> None:
    async def work() -> None:
        upstream = Upstream()
        async with EmbeddedProxy():
            pass  # libuv keeps a file of its own from the first listener on
        tasks, files = asyncio.all_tasks(), open_files()
        async with EmbeddedProxy() as proxy, ToxiproxyDriver(proxy.url) as driver:
            clients = []
            for kind, attributes in TOXICS.items():
                state = await driver.create_proxy(kind, upstream=upstream.address)
                client = await connect(state.host, state.port)
                server = await upstream.accept()
                await driver.add_toxic(kind, kind, attributes=attributes)
                await server.send(b"held")
                server.half_close()
                clients.append((client, server))
            idle = await driver.create_proxy("idle", upstream=upstream.address)
            clients.append((await connect(idle.host, idle.port), await upstream.accept()))
            client, server = await connect(idle.host, idle.port), await upstream.accept()
            flood = asyncio.create_task(client.send(bytes(32 * 1024 * 1024)))
            clients.append((client, server))
            await asyncio.sleep(0.05)
            await driver.close()
            async with asyncio.timeout(2):
                await proxy.stop()
            with pytest.raises(ConnectionError):
                await flood
            assert asyncio.all_tasks() == tasks
            assert [
                timer for timer in timers() if timer.when() > asyncio.get_running_loop().time() + 30
            ] == []
            for client, server in clients:
                client.close()
                server.close()
            assert open_files() == files
        upstream.close()

    run(work())


def test_many_short_connections_leave_nothing(run: Run) -> None:
    async def work() -> None:
        async with setting() as here:
            files = open_files()
            for number in range(150):
                await here.driver.add_toxic("p", "latency", name=str(number % 3))
                client = await here.client()
                client.close() if number % 2 else client.reset()
                (await here.upstream.accept()).close()
                await here.driver.remove_toxic("p", str(number % 3))
            await here.all_closed()
            assert open_files() == files

    run(work())


def test_a_connection_that_is_stopped_before_it_began_is_closed(run: Run) -> None:
    async def work() -> None:
        proxy = Proxy("p", "127.0.0.1:0", "127.0.0.1:1", seed=0, stats=ProxyStats())
        await proxy.start()
        host, _, port = proxy.listen.rpartition(":")
        with socket.create_connection((host, int(port))) as client:
            proxy._accept()
            await proxy.stop()
            client.settimeout(2)
            assert client.recv(1) == b""

    run(work())


def test_a_start_that_fails_leaves_nothing(run: Run) -> None:
    async def work() -> None:
        taken = bind(await resolve("127.0.0.1:0"))
        tasks, files = asyncio.all_tasks(), open_files()
        proxy = EmbeddedProxy(port=taken.getsockname()[1])
        with pytest.raises(ConfigurationError, match="address already in use"):
            await proxy.start()
        await proxy.stop()
        assert (asyncio.all_tasks(), open_files()) == (tasks, files)
        taken.close()

    run(work())


async def test_a_proxy_can_be_started_again_but_not_twice() -> None:
    proxy = EmbeddedProxy()
    with pytest.raises(ConfigurationError, match="not running"):
        _ = proxy.url
    for _ in range(2):
        async with proxy, ToxiproxyDriver(proxy.url) as driver:
            with pytest.raises(ConfigurationError, match="running already"):
                await proxy.start()
            assert await driver.proxies() == {}
            await driver.create_proxy("p", upstream="u:1")
    assert "not running" in repr(proxy)
    await proxy.stop()


def test_running_out_of_files_is_survived(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(proxy_module, "ACCEPT_PAUSE_S", 0.02)

    async def work() -> None:
        async with setting() as here:
            await here.stats()  # the driver's connection is open now
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            client = await here.client()
            await here.upstream.accept()
            probe = socket.socket()
            resource.setrlimit(resource.RLIMIT_NOFILE, (probe.fileno() + 2, hard))
            try:
                late = await here.client()
                await asyncio.sleep(0.06)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
                probe.close()
            server = await here.upstream.accept()
            await late.send(b"x")
            assert await server.exactly(1) == b"x"
            client.close()

    run(work())
    assert any("accepts nothing for a second" in record.message for record in caplog.records)
    assert all(record.levelname == "WARNING" for record in caplog.records)
