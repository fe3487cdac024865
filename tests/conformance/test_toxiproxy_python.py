"""The published Python client drives the embedded proxy, and a real Toxiproxy, in the same way.

The client is synchronous, so it works in a thread. Its host and port are class-level globals,
and it would go through the proxies named in the environment even to 127.0.0.1.
"""

from __future__ import annotations

import asyncio
import json
import socket
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the package imports what newer Pythons warn of
    from toxiproxy import Toxiproxy
    from toxiproxy.api import APIConsumer
    from toxiproxy.exceptions import InvalidToxic, NotFound, ProxyExists

if TYPE_CHECKING:
    from tests.conformance.conftest import Subject

T = TypeVar("T")
Drive = Callable[[Callable[[Any], T]], Any]


@pytest.fixture
async def drive(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> Drive[Any]:
    """Run a function with the client, in a thread."""
    host, _, port = subject.url.removeprefix("http://").rpartition(":")
    monkeypatch.setattr(APIConsumer, "host", host)
    monkeypatch.setattr(APIConsumer, "port", int(port))
    monkeypatch.setenv("NO_PROXY", "*")

    async def run(work: Callable[[Any], T]) -> T:
        return await asyncio.to_thread(work, Toxiproxy())

    return run


def reachable(listen: str) -> bool:
    host, _, port = listen.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


async def test_create_list_get_and_destroy(subject: Subject, drive: Drive[Any]) -> None:
    def work(client: Any) -> None:
        made = client.create(name="p", upstream=subject.upstream.address)
        assert (made.name, made.upstream, made.enabled) == ("p", subject.upstream.address, True)
        assert reachable(made.listen)
        assert client.get_proxy("p").listen == made.listen
        assert set(client.proxies()) == {"p"}
        assert client.get_proxy("none") is None
        assert client.destroy(made) is True
        assert client.proxies() == {}
        client.create(name="a", upstream="u:1", enabled=False)
        client.create(name="b", upstream="u:1", listen="localhost:0")
        client.destroy_all()
        assert client.proxies() == {}

    await drive(work)


async def test_down_takes_the_proxy_away_and_brings_it_back(subject: Subject, drive: Drive[Any]) -> None:
    def work(client: Any) -> None:
        proxy = client.create(name="p", upstream=subject.upstream.address)
        with proxy.down():
            assert not reachable(proxy.listen)
            assert not client.get_proxy("p").enabled
        assert reachable(proxy.listen)
        proxy.disable()
        assert not reachable(proxy.listen)
        proxy.enable()
        assert client.get_proxy("p").listen == proxy.listen
        assert reachable(proxy.listen)

    await drive(work)


async def test_toxics(subject: Subject, drive: Drive[Any]) -> None:
    def work(client: Any) -> None:
        proxy = client.create(name="p", upstream=subject.upstream.address)
        proxy.add_toxic(type="latency", attributes={"latency": 100})
        proxy.add_toxic(
            type="bandwidth", name="slow", stream="upstream", toxicity=0.5, attributes={"rate": 10}
        )
        assert set(proxy.toxics()) == {"latency_downstream", "slow"}
        toxic = proxy.get_toxic("slow")
        assert (toxic.type, toxic.stream, toxic.toxicity) == ("bandwidth", "upstream", 0.5)
        assert toxic.attributes == {"rate": 10}
        assert proxy.get_toxic("latency_downstream").attributes == {"latency": 100, "jitter": 0}
        assert proxy.destroy_toxic("slow") is True
        assert set(proxy.toxics()) == {"latency_downstream"}

    await drive(work)


async def test_a_toxic_of_this_client_acts(subject: Subject, drive: Drive[Any]) -> None:
    await drive(lambda client: client.create(name="p", upstream=subject.upstream.address))
    client, server = await subject.wires(await subject.driver.get_proxy("p"))
    await drive(lambda each: each.get_proxy("p").add_toxic(type="limit_data", attributes={"bytes": 3}))
    await server.send(b"12345")
    assert await client.rest() == b"123"


async def test_reset_version_and_running(subject: Subject, drive: Drive[Any]) -> None:
    def work(client: Any) -> None:
        proxy = client.create(name="p", upstream=subject.upstream.address)
        proxy.add_toxic(type="latency")
        proxy.disable()
        assert client.reset() is True
        assert client.get_proxy("p").enabled
        assert proxy.toxics() == {}
        assert client.running()
        assert set(json.loads(client.version())) == {"version"}

    await drive(work)


async def test_populate(subject: Subject, drive: Drive[Any]) -> None:
    def work(client: Any) -> None:
        items = [
            {"name": "a", "upstream": "u:1", "listen": "127.0.0.1:0"},
            {"name": "b", "upstream": "u:2", "listen": "127.0.0.1:0"},
        ]
        assert [proxy.name for proxy in client.populate(items)] == ["a", "b"]
        listen = client.get_proxy("a").listen
        assert client.populate([{"name": "a", "upstream": "u:1", "listen": listen}]) == []
        (replaced,) = client.populate([{"name": "a", "upstream": "other:1", "listen": listen}])
        assert (replaced.upstream, replaced.listen) == ("other:1", listen)

    await drive(work)


async def test_the_errors_it_knows(subject: Subject, drive: Drive[Any]) -> None:
    def work(client: Any) -> None:
        proxy = client.create(name="p", upstream="u:1")
        with pytest.raises(ProxyExists):
            client.create(name="p", upstream="u:1")
        with pytest.raises(ProxyExists):
            APIConsumer.post("/proxies", json={"name": "p", "upstream": "u:1"})
        with pytest.raises(InvalidToxic):
            proxy.add_toxic(type="none")
        with pytest.raises(InvalidToxic):
            proxy.add_toxic(type="latency", stream="sideways")
        with pytest.raises(NotFound):
            proxy.destroy_toxic("none")
        with pytest.raises(NotFound):
            APIConsumer.get("/nothing")
        proxy.destroy()
        with pytest.raises(NotFound):
            proxy.disable()

    await drive(work)
