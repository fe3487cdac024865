from __future__ import annotations

import asyncio

import pytest

from rpe.errors import ManifestInvalid
from rpe.manifest.cycles import find_remote_cycles
from rpe.manifest.model import Manifest, Node
from rpe.manifest.sources import FetchSettings, ManifestFetcher
from tests.manifest.sources.hostile import Request, Servers, response


async def test_a_cycle_across_three_servers_is_found_before_anything_runs(serve: Servers) -> None:
    """URL, name with endpoint, and predefined name, each served for real."""
    bodies: dict[str, bytes] = {}

    async def script(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(response(bodies[request.path]))

    server = await serve(script)
    root = remote("A", pipeline_name="B", manifest_endpoint=server.url("/org-b"))
    bodies["/org-b/manifests/B"] = remote("B", manifest_url=server.url("/c.json")).to_json().encode()
    bodies["/c.json"] = remote("C", manifest_source={"type": "name", "name": "A"}).to_json().encode()
    settings = FetchSettings(allowed_networks=("127.0.0.1",))
    async with ManifestFetcher(settings, pipelines={"A": root}) as fetcher:
        with pytest.raises(ManifestInvalid, match="A -> B -> C -> A"):
            await find_remote_cycles(root, fetcher.fetch)
    assert [request.path for request in server.requests] == ["/org-b/manifests/B", "/c.json"]


def remote(name: str, **params: object) -> Manifest:
    return Manifest(name=name, nodes=(Node("far", "RemotePipeline", {"endpoint": "h:1", **params}),))
