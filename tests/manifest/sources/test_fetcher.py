from __future__ import annotations

import asyncio
import ssl
import sys
from pathlib import Path

import pytest

from rpe.errors import ConfigurationError, ManifestFetchFailed, ManifestInvalid
from rpe.manifest.model import Manifest
from rpe.manifest.sources import FetchSettings, InlineSource, ManifestFetcher, NamedSource, UrlSource
from rpe.manifest.sources.urls import parse_url
from tests.manifest.sources.hostile import (
    GOOD,
    MANIFEST,
    HandClock,
    Request,
    Servers,
    redirects,
    response,
    says,
)
from tests.support.certificates import make_pair

HERE = FetchSettings(allowed_networks=("127.0.0.1",))
OTHER = Manifest.single("other", node_type="Echo")
NOT_MODIFIED = b"HTTP/1.1 304 Not Modified\r\n\r\n"


def source(url: str, auth: str | None = None) -> UrlSource:
    return UrlSource(parse_url(url), auth)


async def test_a_manifest_is_kept_for_its_time(serve: Servers) -> None:
    server, clock = await serve(says(response(), response(OTHER.to_json().encode()))), HandClock()
    async with ManifestFetcher(HERE, clock=clock) as fetcher:
        assert await fetcher.fetch(source(server.url())) == MANIFEST
        clock.ahead_s = 59
        assert await fetcher.fetch(source(server.url())) == MANIFEST
        assert len(server.requests) == 1
        clock.ahead_s = 61
        assert await fetcher.fetch(source(server.url())) == OTHER
    assert len(server.requests) == 2
    assert "if-none-match" not in server.requests[1].headers


async def test_a_server_with_etags_is_asked_for_changes(serve: Servers) -> None:
    server, clock = await serve(says(response(ETag='"v1"'), NOT_MODIFIED)), HandClock()
    async with ManifestFetcher(HERE, clock=clock) as fetcher:
        first = await fetcher.fetch(source(server.url()))
        clock.ahead_s = 61
        assert await fetcher.fetch(source(server.url())) is first
        clock.ahead_s = 120
        assert await fetcher.fetch(source(server.url())) is first
        assert len(server.requests) == 2, "not modified begins the time anew"
        server.script = says(response(OTHER.to_json().encode(), ETag='"v2"'))
        clock.ahead_s = 122
        assert await fetcher.fetch(source(server.url())) == OTHER
    assert [r.headers.get("if-none-match") for r in server.requests] == [None, '"v1"', '"v1"']


async def test_an_etag_goes_only_to_the_url_that_gave_it(serve: Servers) -> None:
    last, clock = await serve(says(response(ETag='"v1"'), NOT_MODIFIED)), HandClock()
    first = await serve(redirects(last.url("/last")))
    async with ManifestFetcher(HERE, clock=clock) as fetcher:
        await fetcher.fetch(source(first.url()))
        clock.ahead_s = 61
        assert await fetcher.fetch(source(first.url())) == MANIFEST
    assert ["if-none-match" in r.headers for r in first.requests + last.requests] == [
        False,
        False,
        False,
        True,
    ]


async def test_what_one_credential_got_is_not_given_to_another(serve: Servers) -> None:
    server = await serve(says(response(), response(b"", status="403 Forbidden")))
    async with ManifestFetcher(HERE) as fetcher:
        await fetcher.fetch(source(server.url(), "Bearer good"))
        with pytest.raises(ManifestFetchFailed, match="answered 403"):
            await fetcher.fetch(source(server.url(), "Bearer bad"))


async def test_failures_are_not_kept(serve: Servers) -> None:
    server = await serve(says(response(b"", status="503 Busy"), response()))
    async with ManifestFetcher(HERE) as fetcher:
        with pytest.raises(ManifestFetchFailed) as caught:
            await fetcher.fetch(source(server.url()))
        assert caught.value.retryable
        assert await fetcher.fetch(source(server.url())) == MANIFEST


async def test_the_oldest_goes_where_too_many_are_kept(serve: Servers) -> None:
    server = await serve(says(response()))
    settings = FetchSettings(allowed_networks=("127.0.0.1",), max_entries=2)
    async with ManifestFetcher(settings) as fetcher:
        for path in ("/a", "/b", "/c", "/c", "/b", "/a"):
            await fetcher.fetch(source(server.url(path)))
    assert [r.path for r in server.requests] == ["/a", "/b", "/c", "/a"]


class Gate:
    """A script that answers when it is told to."""

    def __init__(self) -> None:
        self.asked, self.open = asyncio.Event(), asyncio.Event()

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        self.asked.set()
        await self.open.wait()
        writer.write(response())


async def test_equal_fetches_are_one_request(serve: Servers) -> None:
    gate = Gate()
    server = await serve(gate)
    async with ManifestFetcher(HERE) as fetcher, asyncio.TaskGroup() as group:
        tasks = [group.create_task(fetcher.fetch(source(server.url("/p#part")))) for _ in range(5)]
        await gate.asked.wait()
        tasks[0].cancel()  # whoever came first may go: the others wait on
        await asyncio.sleep(0)
        gate.open.set()
    assert tasks[0].cancelled()
    assert [task.result() for task in tasks[1:]] == [MANIFEST] * 4
    assert len(server.requests) == 1


async def test_a_fetch_that_nobody_waits_for_ends(serve: Servers) -> None:
    gate = Gate()
    server = await serve(gate)
    async with ManifestFetcher(HERE) as fetcher:
        before = asyncio.all_tasks()
        task = asyncio.create_task(fetcher.fetch(source(server.url())))
        await gate.asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert {t for t in asyncio.all_tasks() - before if "serve" not in repr(t.get_coro())} == set()
        gate.open.set()
        assert await fetcher.fetch(source(server.url())) == MANIFEST
    assert len(server.requests) == 2


async def test_closing_ends_what_is_under_way(serve: Servers) -> None:
    gate = Gate()
    server = await serve(gate)
    fetcher = ManifestFetcher(HERE)
    task = asyncio.create_task(fetcher.fetch(source(server.url())))
    await gate.asked.wait()
    await fetcher.close()
    with pytest.raises(ManifestFetchFailed, match="closed"):
        await task
    with pytest.raises(ManifestFetchFailed, match="closed"):
        await fetcher.fetch(source(server.url()))
    await fetcher.close()


async def test_inline_and_predefined_manifests_need_no_network() -> None:
    async with ManifestFetcher(pipelines={"echo": MANIFEST}) as fetcher:
        assert await fetcher.fetch(InlineSource(OTHER)) is OTHER
        assert await fetcher.fetch(NamedSource("echo")) is MANIFEST
        with pytest.raises(ConfigurationError, match=r"'nope' is predefined; known: echo"):
            await fetcher.fetch(NamedSource("nope"))


@pytest.mark.parametrize("body", [b"{", b'{"version": "v1", "nodes": []}', b"\xff\xfe", b"[" * 5000])
async def test_what_is_no_manifest_names_its_url(serve: Servers, body: bytes) -> None:
    server = await serve(says(response(body)))
    async with ManifestFetcher(HERE) as fetcher:
        with pytest.raises(ManifestInvalid, match=rf"127\.0\.0\.1:{server.port}/p\.json\?\.\.\.") as caught:
            await fetcher.fetch(source(server.url("/p.json?key=planted-secret")))
    assert "planted-secret" not in str(caught.value)


@pytest.mark.parametrize("header", ["Bearer ${TOKEN}", "Bearer x\r\nHost: evil", "Bearer \u00e9"])
async def test_a_header_that_cannot_be_sent(header: str) -> None:
    async with ManifestFetcher(HERE) as fetcher:
        with pytest.raises(ConfigurationError) as caught:
            await fetcher.fetch(source("http://127.0.0.1:1/", header))
    assert "Bearer" not in str(caught.value)


async def test_https_checks_the_certificate_and_does_not_go_back_to_http(tmp_path: Path) -> None:
    make_pair("localhost", tmp_path)
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(tmp_path / "localhost.pem", tmp_path / "localhost.key")
    trust = ssl.create_default_context(cafile=str(tmp_path / "localhost.pem"))
    answers = [response(), response(b"", status="302 Found", Location="http://localhost/p")]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answers.pop(0))
        await writer.drain()
        writer.close()

    async def lookup(host: str) -> list[str]:
        return ["127.0.0.1"]

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=serving)
    url = f"https://localhost:{server.sockets[0].getsockname()[1]}/p"
    async with server, ManifestFetcher(HERE, lookup=lookup) as fetcher:
        with pytest.raises(ManifestFetchFailed, match="certificate"):
            await fetcher.fetch(source(url))
        async with ManifestFetcher(HERE, lookup=lookup, ssl_context=trust) as trusting:
            assert await trusting.fetch(source(url)) == MANIFEST
            with pytest.raises(ManifestFetchFailed, match="from https to http"):
                await trusting.fetch(source(url + "2"))


async def test_without_aiohttp_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    monkeypatch.delitem(sys.modules, "rpe.manifest.sources.exchange", raising=False)
    async with ManifestFetcher(HERE) as fetcher:
        with pytest.raises(ConfigurationError, match="needs aiohttp") as caught:
            await fetcher.fetch(source("http://127.0.0.1:1/"))
    assert "rpe[http]" in caught.value.hint


async def test_json_with_parameters_and_suffix_is_read(serve: Servers) -> None:
    server = await serve(
        says(
            response(type="Application/JSON; charset=utf-8"),
            response(GOOD, type="application/x.pipeline+json"),
        )
    )
    async with ManifestFetcher(HERE) as fetcher:
        assert await fetcher.fetch(source(server.url("/1"))) == MANIFEST
        assert await fetcher.fetch(source(server.url("/2"))) == MANIFEST
