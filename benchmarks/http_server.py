"""A plain aiohttp server that speaks the HTTP wire on several ports, nothing of rpe's serving side.

It is the same for every arm. A pipeline of one `Pour` node does not wait for input: its
output is as many ready-made events as its parameters say, as fast as they are read.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

from aiohttp import web

from benchmarks.harness import run_on

POURED = {"data": {"Text": "x" * 120}, "sequence": 0, "metadata": {}}
_AT_ONCE = 250
"""How many poured events go out in one write."""


class Sessions:
    """Open sessions: what each has to put out yet, and what it was opened with."""

    def __init__(self) -> None:
        self._queues: dict[str, asyncio.Queue[bytes | None]] = {}
        self._pours: dict[str, int] = {}
        self._opened = 0

    async def open(self, request: web.Request) -> web.Response:
        node = json.loads(await request.read())["manifest"]["nodes"][0]
        self._opened += 1
        session_id = f"s{self._opened}"
        self._queues[session_id] = asyncio.Queue()
        if node["node_type"] == "Pour":
            self._pours[session_id] = node["params"]["events"]
        return web.json_response({"session_id": session_id})

    async def input(self, request: web.Request) -> web.Response:
        data = json.loads(await request.read())["data"]
        self._queues[request.match_info["id"]].put_nowait(_event(data))
        return web.Response()

    async def output(self, request: web.Request) -> web.StreamResponse:
        session_id = request.match_info["id"]
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            if (left := self._pours.pop(session_id, 0)) > 0:
                events = _event(POURED) * _AT_ONCE
                for _ in range(left // _AT_ONCE):
                    await response.write(events)
            queue = self._queues[session_id]
            while (event := await queue.get()) is not None:
                await response.write(event)
            await response.write_eof()
        except ConnectionError:
            pass  # its reader has seen enough
        return response

    async def close(self, request: web.Request) -> web.Response:
        self._queues[request.match_info["id"]].put_nowait(None)
        return web.Response()


def _event(data: Any) -> bytes:
    return f"data: {json.dumps(data)}\n\n".encode()


async def execute(request: web.Request) -> web.Response:
    return web.json_response({"output": json.loads(await request.read())["input"]})


async def health(request: web.Request) -> web.Response:
    return web.Response()


async def main(ports: int) -> None:
    runners = []
    addresses = []
    for _ in range(ports):
        sessions = Sessions()
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_get("/health", health)
        app.router.add_post("/execute", execute)
        app.router.add_post("/stream", sessions.open)
        app.router.add_post("/stream/{id}/input", sessions.input)
        app.router.add_get("/stream/{id}/output", sessions.output)
        app.router.add_delete("/stream/{id}", sessions.close)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        addresses.append(f"{host}:{port}")
        runners.append(runner)
    print(*addresses, os.getpid(), flush=True)
    # The parent closes our input when it is done with us, also when it dies.
    await asyncio.to_thread(sys.stdin.read)
    for runner in runners:
        await runner.cleanup()


if __name__ == "__main__":
    run_on("".join(sys.argv[2:]), main(int(sys.argv[1])))
