"""Manifests are fetched with a credential; whatever the server does with it, no error shows it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from aiohttp import web

from rpe.errors import RpeError
from rpe.manifest.sources.fetcher import ManifestFetcher
from rpe.manifest.sources.settings import FetchSettings
from rpe.manifest.sources.source import UrlSource, read_source
from tests.support.secrets import Planted

pytestmark = pytest.mark.usefixtures("listening")

Answer = Callable[[str], web.Response]


def _echoed(header: str) -> str:
    return f"you sent {header}, or {header.removeprefix('Bearer ')}"


ANSWERS: dict[str, Answer] = {
    "not found": lambda header: web.Response(status=404, text=_echoed(header)),
    "forbidden": lambda header: web.Response(status=403, reason=_echoed(header)),
    "failed": lambda header: web.Response(status=500, text=_echoed(header)),
    "a page": lambda header: web.Response(text=_echoed(header), content_type="text/html"),
    "its type": lambda header: web.Response(
        text="{}", headers={"Content-Type": f"{header.removeprefix('Bearer ')}/x"}
    ),
    "not JSON": lambda header: web.Response(text=_echoed(header), content_type="application/json"),
    "not YAML": lambda header: web.Response(
        text=f"nodes: [{_echoed(header)}: : {{", content_type="application/yaml"
    ),
    "no manifest": lambda header: web.json_response(
        {"version": "v1", "nodes": [{"id": header, "node_type": 7}], header: header}
    ),
    "compressed": lambda header: web.Response(text="{}", headers={"Content-Encoding": header[-20:]}),
    "elsewhere": lambda header: web.Response(
        status=302, headers={"Location": f"ftp://user:{header.removeprefix('Bearer ')}@127.0.0.2/x"}
    ),
    "in a circle": lambda header: web.Response(status=302, headers={"Location": "/again"}),
}


async def fetch(source: object, answer: Answer) -> tuple[BaseException | None, list[str]]:
    """The error of a fetch from a server that answers so, and the headers that the server saw."""
    seen: list[str] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers.get("Authorization", ""))
        return answer(seen[0])

    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        make: Callable[[int], UrlSource] = source  # type: ignore[assignment]
        settings = FetchSettings(allowed_networks=("127.0.0.0/8",))
        async with ManifestFetcher(settings) as fetcher:
            with pytest.raises(RpeError) as failed:
                await fetcher.fetch(make(runner.addresses[0][1]))
        return failed.value, seen
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=list(ANSWERS))
async def test_what_the_server_says_of_it(answer: Answer, secret: str, planted: Planted) -> None:
    def source(port: int) -> UrlSource:
        params = {
            "manifest_url": f"http://127.0.0.1:{port}/a?key={secret}",
            "auth_header": "Bearer ${HEADER_TOKEN}",
        }
        read = read_source(params).expanded({"HEADER_TOKEN": secret})
        assert isinstance(read, UrlSource)
        planted.check_shown(read, read.url)
        return read

    error, seen = await fetch(source, answer)
    assert error is not None
    planted.check_error(error)
    assert seen[0] == f"Bearer {secret}"


async def test_nobody_there(secret: str, planted: Planted) -> None:
    source = read_source(
        {"manifest_url": f"http://127.0.0.1:9/?key={secret}", "auth_header": f"Bearer {secret}"}
    )
    async with ManifestFetcher(FetchSettings(allowed_networks=("127.0.0.0/8",))) as fetcher:
        with pytest.raises(RpeError) as failed:
            await fetcher.fetch(source)
        planted.check_error(failed.value)
        planted.check_shown(fetcher)


def test_wrong_params_beside_it(secret: str, planted: Planted) -> None:
    for wrong in (
        {"manifest_url": f"http://user:{secret}@127.0.0.1/a"},
        {"manifest_url": f"ftp://user:{secret}@127.0.0.1/a"},
        {"manifest_url": f"http://user:{secret}@[127.0.0.1/a"},
        {"manifest_url": f"http://user:{secret}@127.0.0.1:port/a"},
        {"manifest_url": 7, "auth_header": secret},
        {"manifest_url": "http://127.0.0.1/", "auth_header": [secret]},
        {"pipeline_name": "a", "manifest_endpoint": f"http://{secret}@127.0.0.1/?x={secret}"},
        {"manifest": {"nodes": [{"id": 7, "params": {"auth_token": secret}}]}, "auth_header": secret},
        {"manifest_source": {"type": secret}},
        {"manifest_source": secret},
    ):
        with pytest.raises(RpeError) as refused:
            read_source(wrong)
        planted.check_error(refused.value)


async def test_variables(secret: str, planted: Planted) -> None:
    for text in ("${MISSING}", "${", "${HEADER_TOKEN} ${MISSING}", f"{secret} ${{MISSING}}", f"{secret} ${{"):
        source = read_source({"manifest_url": "http://127.0.0.1/", "auth_header": text})
        with pytest.raises(RpeError) as refused:
            source.expanded({"HEADER_TOKEN": secret})
        planted.check_error(refused.value)
    source = read_source({"manifest_url": "http://127.0.0.1/", "auth_header": f"{secret}\r\nx: y"})
    async with ManifestFetcher() as fetcher:
        with pytest.raises(RpeError) as unsendable:
            await fetcher.fetch(source)
    planted.check_error(unsendable.value)
