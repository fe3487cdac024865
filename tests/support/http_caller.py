"""A plain aiohttp caller that knows the HTTP contract, and nothing of our client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

__all__ = ["MANIFEST", "Caller", "calling", "read_event", "read_events", "text"]

MANIFEST: dict[str, Any] = {
    "version": "v1",
    "metadata": {"name": "test"},
    "nodes": [{"id": "n0", "node_type": "Echo", "params": {}}],
    "connections": [],
}


def text(said: str, sequence: int | None = None, **metadata: str) -> dict[str, Any]:
    """Return a TransportData with a text; an underscore in the name of a label is a dash."""
    return {"data": {"Text": said}, "sequence": sequence, "metadata": dashed(metadata)}


def dashed(names: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in names.items()}


class Caller:
    """Asks one server."""

    def __init__(self, endpoint: str, session: aiohttp.ClientSession) -> None:
        self.base = f"http://{endpoint}"
        self.session = session

    async def ask(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, Any, dict[str, str]]:
        """Ask, and return the status, the body, and the headers.

        The body is read where it says that it is JSON, unless `read_json` is given. An
        underscore in the name of a header is a dash.
        """
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = self.session.request(method, self.base + path, data=data, headers=dashed(headers))
        async with request as response:
            content: Any = await response.read()
            if response.content_type == "application/json" and content and "read_json" not in headers:
                content = json.loads(content)
            return response.status, content, dict(response.headers)

    async def execute(self, said: str = "hi", **headers: str) -> tuple[int, Any, Any]:
        """Execute the manifest with a text."""
        return await self.ask("POST", "/execute", {"manifest": MANIFEST, "input": text(said)}, **headers)

    async def open(self, **headers: str) -> str:
        """Open a session and return its id."""
        status, body, _ = await self.ask("POST", "/stream", {"manifest": MANIFEST}, **headers)
        assert status == 200, body
        return str(body["session_id"])

    async def put(self, key: str, said: str, sequence: int | None, **headers: str) -> tuple[int, Any]:
        """Post one chunk."""
        body = {"data": text(said, sequence)}
        status, answer, _ = await self.ask("POST", f"/stream/{key}/input", body, **headers)
        return status, answer

    @asynccontextmanager
    async def output(self, key: str, **headers: str) -> AsyncIterator[aiohttp.ClientResponse]:
        """The output of a session, open."""
        url = f"{self.base}/stream/{key}/output"
        async with self.session.get(url, headers=dashed(headers)) as response:
            yield response


async def read_event(response: aiohttp.ClientResponse) -> dict[str, str]:
    """Read one event or comment, field by field; an empty one at the end of the output."""
    fields: dict[str, str] = {}
    async with asyncio.timeout(5):
        while line := (await response.content.readline()).decode("utf-8", "replace").rstrip("\n"):
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
    return fields


async def read_events(response: aiohttp.ClientResponse) -> list[dict[str, str]]:
    """Read everything to the end of the output, without the comments."""
    events = []
    while event := await read_event(response):
        if set(event) != {""}:
            events.append(event)
    return events


@asynccontextmanager
async def calling(endpoint: str) -> AsyncIterator[Caller]:
    """A caller of a server; leaving closes its connections."""
    async with aiohttp.ClientSession() as session:
        yield Caller(endpoint, session)
