from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from rpe.data import Text
from rpe.errors import ConfigurationError, ManifestFetchFailed, ManifestInvalid
from rpe.fakes import FakeServer, Kind
from rpe.manifest.model import Manifest
from rpe.manifest.sources.settings import FetchSettings
from rpe.node import NodeFailed, RemoteOptions
from tests.node.remote.pipelines import inline, pipeline, remote, texts

LOOPBACK = FetchSettings(allowed_networks=("127.0.0.0/8",))
UPPER = Manifest.from_dict(inline("UpperCase"))


class Library:
    """A server of manifests, by path, that counts what it is asked for."""

    def __init__(self) -> None:
        self.manifests: dict[str, Any] = {}
        self.asked: list[tuple[str, str]] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append((request.path, request.headers.get("Authorization", "")))
        known = self.manifests.get(request.path)
        return web.Response(status=404) if known is None else web.json_response(known)


@asynccontextmanager
async def library(**manifests: Any) -> AsyncIterator[Library]:
    books = Library()
    books.manifests = {f"/{name}": manifest for name, manifest in manifests.items()}
    app = web.Application()
    app.router.add_get("/{path:.*}", books.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        books.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield books
    finally:
        await runner.cleanup()


async def test_a_manifest_comes_from_a_url_once_for_all_runs() -> None:
    async with FakeServer("a") as fake, library(up=inline("UpperCase")) as books:
        node = remote(fake.endpoint, manifest_url=f"{books.url}/up", auth_header="Bearer ${T}")
        runner = pipeline(node, fetch=LOOPBACK, environment={"T": "s3cret"})
        for _ in range(2):
            assert texts((await runner.run(Text("x")))["r"]) == ["X"]
    assert books.asked == [("/up", "Bearer s3cret")]


async def test_a_manifest_comes_by_name_from_an_endpoint_or_from_this_process() -> None:
    async with FakeServer("a") as fake, library() as books:
        books.manifests["/manifests/up"] = inline("UpperCase")
        there = remote(fake.endpoint, pipeline_name="up", manifest_endpoint=books.url)
        here = remote(fake.endpoint, manifest_source={"type": "name", "name": "up"})
        assert texts((await pipeline(there, fetch=LOOPBACK).run(Text("x")))["r"]) == ["X"]
        assert texts((await pipeline(here, pipelines={"up": UPPER}).run(Text("x")))["r"]) == ["X"]
        with pytest.raises(ConfigurationError, match="no pipeline 'up' is predefined"):
            await pipeline(here).run(Text("x"))


async def test_private_addresses_are_refused_unless_allowed() -> None:
    async with FakeServer("a") as fake, library(up=inline()) as books:
        runner = pipeline(remote(fake.endpoint, manifest_url=f"{books.url}/up"))
        with pytest.raises(ManifestFetchFailed):
            await runner.run(Text("x"))
        assert (books.asked, fake.journal.entries(Kind.RECEIVED)) == ([], [])


def _calls(url: str) -> dict[str, Any]:
    params = {"transport": "grpc", "endpoint": "127.0.0.1:9", "manifest_url": url}
    return {"version": "v1", "nodes": [{"id": "far", "node_type": "RemotePipelineNode", "params": params}]}


@pytest.mark.parametrize("place", ["primary", "fallback"])
async def test_a_circle_is_refused_before_anything_is_sent(place: str) -> None:
    async with FakeServer("a") as fake, library() as books:
        books.manifests = {"/b": _calls(f"{books.url}/c"), "/c": _calls(f"{books.url}/b")}
        source: dict[str, Any] = {"manifest_url": f"{books.url}/b"}
        if place == "primary":
            node = remote(fake.endpoint, **source)
        else:
            node = remote(fake.endpoint, fallback=[{"endpoint": fake.endpoint, **source}])
        with pytest.raises(ManifestInvalid, match="it calls itself"):
            await pipeline(node, edges=["in r"], fetch=LOOPBACK).run({"in": Text("x")})
        assert fake.journal.entries(Kind.RECEIVED) == []
    assert sorted(path for path, _ in books.asked) == ["/b", "/c"]


@pytest.mark.parametrize("streaming", [False, True])
async def test_node_types_that_the_server_lacks_are_told_before_anything_runs(streaming: bool) -> None:
    async with FakeServer("a") as fake:
        node = remote(fake.endpoint, manifest=inline("SpeechToText"), streaming=streaming)
        with pytest.raises(ManifestInvalid, match="it has no node type 'SpeechToText'") as caught:
            await pipeline(node, edges=["in r"]).run({"in": Text("x")})
        assert (caught.value.node, caught.value.endpoint) == ("r", fake.endpoint)
        assert "Echo" in str(caught.value)
        assert [entry.method for entry in fake.journal.entries(Kind.RECEIVED)] == ["version"]


async def test_the_check_of_node_types_can_be_left_out() -> None:
    async with FakeServer("a") as fake:
        runner = pipeline(remote(fake.endpoint, manifest=inline("SpeechToText"), check_node_types=False))
        with pytest.raises(NodeFailed, match="unknown here"):
            await runner.run(Text("x"))
        assert [entry.method for entry in fake.journal.entries(Kind.RECEIVED)] == ["execute"]


async def test_the_first_endpoint_that_answers_will_do_and_is_asked_once() -> None:
    async with FakeServer("a", behaviour={"health": "hang"}) as silent, FakeServer("b") as b:
        async with FakeServer("c") as gone:
            pass
        node = remote([silent.endpoint, gone.endpoint, b.endpoint], retry={"max_retries": 2})
        runner = pipeline(node)
        for _ in range(2):
            async with asyncio.timeout(1.5):
                assert texts((await runner.run(Text("x")))["r"]) == ["x"]
        versions = [entry.method for entry in b.journal.entries(Kind.RECEIVED)]
    assert versions.count("version") == 1


@pytest.mark.parametrize("behaviour", [{"version": {"node_types": []}}, {"health": "not_serving"}])
async def test_servers_that_list_nothing_or_are_not_ready_do_not_stop_a_run(
    behaviour: dict[str, Any],
) -> None:
    async with FakeServer("a", behaviour=behaviour) as fake:
        assert texts((await pipeline(remote(fake.endpoint)).run(Text("x")))["r"]) == ["x"]


async def test_breakers_remember_over_the_runs_of_an_open_runner() -> None:
    breaker = {"failure_threshold": 2, "reset_timeout_ms": 60_000}
    async with (
        FakeServer("a", behaviour={"error": {"status": "unavailable"}}) as fake,
        pipeline(remote(fake.endpoint, circuit_breaker=breaker)) as runner,
    ):
        codes = []
        for _ in range(4):
            with pytest.raises(NodeFailed) as caught:
                await runner.run(Text("x"))
            codes.append(caught.value.message.split()[0])
        figures = runner.metrics()["r"].remote
    assert codes == ["[remote_unavailable]"] * 2 + ["[circuit_breaker_open]"] * 2
    assert caught.value.endpoint == fake.endpoint
    assert figures is not None
    assert (figures.calls, figures.success_rate, figures.errors) == (4, 0.0, {"network": 4})
    assert figures.codes == {"remote_unavailable": 2, "circuit_breaker_open": 2}
    assert (figures.attempts, figures.endpoints[fake.endpoint].breaker) == (2, "open")


async def test_a_runner_that_is_not_open_begins_anew_and_still_counts() -> None:
    breaker = {"failure_threshold": 1, "reset_timeout_ms": 60_000}
    async with FakeServer("a", behaviour={"error": {"status": "unavailable", "first": 1}}) as fake:
        runner = pipeline(remote(fake.endpoint, circuit_breaker=breaker))
        with pytest.raises(NodeFailed):
            await runner.run(Text("x"))
        await runner.run(Text("x"))
        figures = runner.metrics()["r"].remote
    assert figures is not None
    assert (figures.calls, figures.successes, figures.success_rate) == (2, 1, 0.5)
    assert figures.endpoints[fake.endpoint].breaker == "closed"
    assert figures.latency_s(50) is not None


async def test_an_open_runner_serves_runs_at_once_over_one_client() -> None:
    async with (
        FakeServer("a", behaviour={"latency": {"fixed_s": 0.2}}) as fake,
        pipeline(remote(fake.endpoint)) as runner,
        asyncio.timeout(3),
    ):
        given = await asyncio.gather(*(runner.run(Text(str(number))) for number in range(20)))
    assert [texts(one["r"]) for one in given] == [[str(number)] for number in range(20)]


async def test_health_checks_end_with_the_runner() -> None:
    # The fixture of this folder fails where a task is left.
    async with FakeServer("a") as fake:
        node = remote(fake.endpoint, health_check={"interval_ms": 20, "timeout_ms": 20})
        async with pipeline(node) as runner:
            await runner.run(Text("x"))
            await asyncio.sleep(0.1)


def test_importing_nodes_loads_no_wire_and_no_client() -> None:
    heavy = ["grpc", "aiohttp", "aiortc", "pydantic", "rpe.client", "rpe.node.remote.opening"]
    check = f"import rpe.node, sys\nprint(*[name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_options_show_no_secret() -> None:
    assert "s3cret" not in repr(RemoteOptions(environment={"T": "s3cret"}))
