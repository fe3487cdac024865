"""The data path on real sockets, on asyncio and on uvloop: nothing lost or reordered, flow held back."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from rpe.faults.proxy import connection
from tests.support.proxied import setting
from tests.support.wires import connect

if TYPE_CHECKING:
    from tests.faults.proxy.conftest import Run

FLOOD = bytes(range(256)) * 4 * 1024 * 32  # 32 MiB


@contextmanager
def speaks_first(greeting: bytes) -> Iterator[str]:
    """A server in a thread of its own, which greets at once: its bytes race with the proxy's connecting."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=100)

    def serve() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            sock.sendall(greeting)
            sock.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def test_a_server_that_speaks_at_once_is_heard(run: Run) -> None:
    async def work(address: str) -> None:
        async with setting(address) as here:
            for _ in range(60):
                client = await here.client()
                assert await client.rest() == b"greeting"
                client.close()

    with speaks_first(b"greeting") as address:
        run(work(address))


def test_what_a_client_sends_before_the_server_is_reached_arrives(run: Run) -> None:
    async def work() -> None:
        async with setting() as here:
            # A name must be looked up, in a thread: the client's bytes and end are there long before.
            port = here.upstream.address.rpartition(":")[2]
            await here.driver.update_proxy("p", upstream=f"localhost:{port}")
            for _ in range(20):
                client = await here.client()
                await client.send(b"early")
                client.half_close()
                server = await here.upstream.accept()
                assert await server.rest() == b"early"
                await server.send(b"late")
                server.close()
                assert await client.rest() == b"late"

    run(work())


@pytest.mark.parametrize("toxic", [None, "noop", "latency", "slicer", "bandwidth"])
def test_a_flood_arrives_whole_and_its_end_behind_it(run: Run, toxic: str | None) -> None:
    attributes = {
        "slicer": {"average_size": 4000},
        "bandwidth": {"rate": 1_000_000},
        "latency": {"latency": 5},
    }

    async def work() -> None:
        async with setting() as here:
            if toxic:
                await here.driver.add_toxic(
                    "p", toxic, stream="upstream", attributes=attributes.get(toxic, {})
                )
            client, server = await here.wires()
            data = FLOOD[: 4 * 1024 * 1024]
            receiving = asyncio.create_task(server.rest())
            await client.send(data)
            client.close()
            assert await receiving == data

    run(work())


@pytest.mark.parametrize("toxic", [None, "noop", "bandwidth"])
def test_a_receiver_that_does_not_read_holds_the_sender_back(run: Run, toxic: str | None) -> None:
    async def work() -> None:
        async with setting() as here:
            if toxic:
                await here.driver.add_toxic("p", toxic, stream="upstream", attributes={"rate": 10_000_000})
            client, server = await here.wires()
            sending = asyncio.create_task(client.send(FLOOD))
            earlier = -1
            while (received := await here.upstream_received()) != earlier:
                earlier = received
                await asyncio.sleep(0.05)
            assert not sending.done()
            # What the proxy took is in the kernel's buffers, but for a read or two.
            assert received < len(FLOOD) // 2
            assert await server.exactly(len(FLOOD)) == FLOOD
            await sending

    run(work())


def test_a_stage_that_is_full_holds_the_sender_back(run: Run) -> None:
    async def work() -> None:
        async with setting() as here:
            await here.driver.add_toxic("p", "bandwidth", stream="upstream", attributes={"rate": 0})
            client, _ = await here.wires()
            sending = asyncio.create_task(client.send(FLOOD))
            await asyncio.sleep(0.1)
            assert not sending.done()
            assert 0 < await here.upstream_received() < 1024 * 1024
            await here.driver.update_proxy("p", enabled=False)
            with pytest.raises(ConnectionError):
                await sending

    run(work())


def test_one_large_read_passes_a_limit_only_once(run: Run) -> None:
    async def work() -> None:
        async with setting() as here:
            await here.driver.add_toxic("p", "limit_data", stream="upstream", attributes={"bytes": 1})
            await here.driver.add_toxic("p", "latency", stream="upstream", attributes={"latency": 30})
            client, server = await here.wires()
            try:
                await client.send(FLOOD[: 1024 * 1024])
            except ConnectionError:
                pass
            assert await server.rest() == FLOOD[:1]

    run(work())


def test_a_client_that_dies_before_the_server_is_reached(run: Run) -> None:
    async def work() -> None:
        async with setting() as here:
            port = here.upstream.address.rpartition(":")[2]
            await here.driver.update_proxy("p", upstream=f"localhost:{port}")
            await here.driver.add_toxic("p", "timeout", attributes={"timeout": 60_000})
            for _ in range(10):
                client = await here.client()
                client.reset()
                assert await (await here.upstream.accept()).rest() == b""
            await here.all_closed()

    run(work())


def test_a_connection_whose_client_is_dead_is_closed_though_its_server_keeps_silent(run: Run) -> None:
    async def work() -> None:
        async with setting() as here:
            client, server = await here.wires()
            client.reset()
            assert await server.rest() == b""
            await here.all_closed()

    run(work())


def test_closing_by_a_toxic_does_not_wait_for_the_other_direction(run: Run) -> None:
    async def work() -> None:
        async with setting() as here:
            await here.driver.add_toxic("p", "bandwidth", stream="upstream", attributes={"rate": 0})
            await here.driver.add_toxic("p", "timeout", attributes={"timeout": 50})
            client, _ = await here.wires()
            await client.send(b"stuck")
            assert await client.rest() == b""
            with pytest.raises(ConnectionError):
                for _ in range(100):
                    await client.send(b"nobody listens")
                    await asyncio.sleep(0.01)

    run(work())


def test_each_direction_can_end_by_itself(run: Run) -> None:
    async def work() -> None:
        async with setting() as here:
            client, server = await here.wires()
            client.half_close()
            assert await server.rest() == b""
            for _ in range(3):
                await server.send(b"still")
                assert await client.exactly(5) == b"still"
            server.close()
            assert await client.rest() == b""

            client, server = await here.wires()
            server.half_close()
            assert await client.rest() == b""
            await client.send(b"still")
            assert await server.exactly(5) == b"still"
            client.close()
            assert await server.rest() == b""

    run(work())


def test_when_one_peer_dies_the_other_gets_what_was_on_its_way(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def work() -> None:
        async with setting() as here:
            await here.driver.add_toxic("p", "latency", stream="upstream", attributes={"latency": 100})
            client, server = await here.wires()
            await client.send(b"last words")
            await asyncio.sleep(0.01)
            client.reset()
            for _ in range(8):
                await server.send(b"nobody hears this")
                await asyncio.sleep(0.001)
            assert await server.exactly(10) == b"last words"

    run(work())
    assert caplog.records == [], "it was written to a socket that is gone"


def test_closing_by_a_toxic_delivers_what_the_other_direction_holds(run: Run) -> None:
    async def work() -> None:
        async with setting() as here:
            await here.driver.add_toxic("p", "latency", stream="upstream", attributes={"latency": 80})
            await here.driver.add_toxic("p", "limit_data", attributes={"bytes": 1})
            client, server = await here.wires()
            await client.send(b"on its way")
            await asyncio.sleep(0.02)
            await server.send(b"12")
            assert await client.rest() == b"1"
            assert await server.rest() == b"on its way"

    run(work())


def test_an_upstream_that_does_not_answer_keeps_no_other_client_waiting(run: Run) -> None:
    async def work() -> None:
        black_hole = socket.create_server(("127.0.0.1", 0), backlog=0)
        address = f"127.0.0.1:{black_hole.getsockname()[1]}"
        fillers = [await connect("127.0.0.1", int(address.rpartition(":")[2]))]
        async with setting(address) as here:
            stuck = [await here.client() for _ in range(3)]
            assert await stuck[0].silent(0.1)
            async with asyncio.timeout(2):
                await here.driver.update_proxy("p", upstream=here.upstream.address)
            for client in stuck:
                assert await client.receive() == b""
            client, server = await here.wires()
            await client.send(b"x")
            assert await server.exactly(1) == b"x"
        for wire in fillers:
            wire.close()
        black_hole.close()

    run(work())


def test_an_upstream_that_does_not_answer_is_given_up(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CONNECT_TIMEOUT_S", 0.05)

    async def work() -> None:
        black_hole = socket.create_server(("127.0.0.1", 0), backlog=0)
        address = f"127.0.0.1:{black_hole.getsockname()[1]}"
        filler = await connect("127.0.0.1", int(address.rpartition(":")[2]))
        async with setting(address) as here:
            client = await here.client()
            assert await client.receive() == b""
            stats = await here.stats()
            assert (stats.refused_upstream, stats.open) == (1, 0)
        filler.close()
        black_hole.close()

    run(work())


@pytest.mark.parametrize(
    "upstream", ["nonsense", "127.0.0.1:99999", "a..b:1", "[::1", "no-such-host.invalid:1"]
)
def test_an_upstream_that_means_nothing_fails_per_connection(run: Run, upstream: str) -> None:
    async def work() -> None:
        async with setting(upstream) as here:
            for _ in range(2):
                client = await here.client()
                assert await client.receive() == b""

    run(work())
