"""The driver's errors and habits; what it does to servers is tested against both of them in conformance/."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from rpe.errors import ErrorKind, RpeError
from rpe.faults.driver import ProxyControlError, ProxyUnreachable, ToxiproxyDriver
from rpe.faults.driver_state import ProxyState
from rpe.faults.proxy import EmbeddedProxy


@asynccontextmanager
async def server(answer: bytes | None) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that answers every request with these bytes (None: with silence), and records them."""
    requests: list[bytes] = []
    release = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readuntil(b"\r\n\r\n"))
        if answer is None:
            await release.wait()
        else:
            writer.write(answer)
        writer.close()
        await writer.wait_closed()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", requests
    finally:
        release.set()
        await asyncio.sleep(0.01)
        listening.close()
        await listening.wait_closed()


def http(status: str, body: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()


async def test_a_server_that_is_not_there() -> None:
    async with ToxiproxyDriver("http://127.0.0.1:1/") as driver:
        with pytest.raises(ProxyUnreachable) as caught:
            await driver.create_proxy("p", upstream="u:1")
    error = caught.value
    assert isinstance(error, ProxyControlError)
    assert isinstance(error, RpeError)
    assert (error.kind, error.status, error.retryable, error.maybe_executed) == (
        ErrorKind.NETWORK,
        None,
        True,
        False,
    )
    assert "http://127.0.0.1:1" in str(error)
    assert "rpe proxy" in str(error)


async def test_a_server_that_never_answers() -> None:
    async with server(None) as (url, _), ToxiproxyDriver(url, timeout_s=0.05) as driver:
        with pytest.raises(ProxyUnreachable, match=r"did not answer POST /reset within 0\.05 s") as caught:
            await driver.reset()
    assert caught.value.maybe_executed


async def test_a_server_that_hangs_up() -> None:
    async with server(b"") as (url, _), ToxiproxyDriver(url) as driver:
        with pytest.raises(ProxyUnreachable) as caught:
            await driver.reset()
    assert caught.value.maybe_executed


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        ("404 Not Found", '{"error":"proxy not found","status":404}', "proxy not found"),
        ("409 Conflict", '{"title":"from an old server","status":409}', "from an old server"),
        ("503 Service Unavailable", "<html>Timeout</html>", "<html>Timeout</html>"),
        ("403 Forbidden", "User agent not allowed\n", "User agent not allowed"),
        ("302 Found", "", ""),
    ],
)
async def test_every_answer_but_success_raises(status: str, body: str, message: str) -> None:
    async with server(http(status, body)) as (url, _), ToxiproxyDriver(url) as driver:
        with pytest.raises(ProxyControlError) as caught:
            await driver.get_proxy("p")
    error = caught.value
    assert (error.status, error.server_message, error.kind) == (
        int(status[:3]),
        message,
        ErrorKind.CONFIGURATION,
    )
    assert not isinstance(error, ProxyUnreachable)
    assert status[:3] in str(error)
    assert message in str(error)


async def test_an_answer_that_is_no_json() -> None:
    async with server(http("200 OK", "<html>")) as (url, _), ToxiproxyDriver(url) as driver:
        with pytest.raises(ProxyControlError, match="not JSON"):
            await driver.proxies()


async def test_a_failing_stats_endpoint_is_not_taken_for_a_missing_one() -> None:
    async with server(http("500 Oops", "")) as (url, _), ToxiproxyDriver(url) as driver:
        with pytest.raises(ProxyControlError):
            await driver.stats()


@pytest.mark.parametrize(
    ("name", "path"),
    [("a b", b"a%20b"), ("a/b", b"a%2Fb"), ("ä?#%", b"%C3%A4%3F%23%25"), ("..", b"%2E%2E"), ("a.b", b"a.b")],
)
async def test_names_are_encoded(name: str, path: bytes) -> None:
    async with server(http("204 No Content", "")) as (url, requests), ToxiproxyDriver(url) as driver:
        await driver.delete_proxy(name)
    assert requests[0].split()[1] == b"/proxies/" + path


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    async with EmbeddedProxy() as proxy, ToxiproxyDriver(proxy.url) as driver:
        assert await driver.proxies() == {}


async def test_it_can_be_closed_twice_and_used_again() -> None:
    async with EmbeddedProxy() as proxy:
        driver = ToxiproxyDriver(proxy.url)
        assert await driver.version() == "2.12.0"
        await driver.close()
        await driver.close()
        assert await driver.version() == "2.12.0"
        await driver.close()
        assert proxy.url in repr(driver)


async def test_only_what_is_given_is_changed() -> None:
    async with EmbeddedProxy() as proxy, ToxiproxyDriver(proxy.url) as driver:
        await driver.create_proxy("p", upstream="u:1")
        await driver.add_toxic("p", "latency", name="t", toxicity=0.5, attributes={"latency": 1, "jitter": 2})
        assert (await driver.update_toxic("p", "t")).toxicity == 0.5
        toxic = await driver.update_toxic("p", "t", attributes={"jitter": 3})
        assert (toxic.toxicity, dict(toxic.attributes)) == (0.5, {"latency": 1, "jitter": 3})
        assert (await driver.update_toxic("p", "t", toxicity=0)).toxicity == 0
        state = await driver.update_proxy("p", enabled=False)
        assert (state.upstream, state.enabled, state.toxics[0].name) == ("u:1", False, "t")


def test_the_parts_of_a_listen_address() -> None:
    four = ProxyState("p", "127.0.0.1:80", "u", True)
    six = ProxyState("p", "[::]:8474", "u", True)
    assert (four.host, four.port) == ("127.0.0.1", 80)
    assert (six.host, six.port) == ("::", 8474)
    assert four.toxic("none") is None
