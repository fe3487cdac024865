"""What a fake costs a test: start, first reply, stop, beside a bare server that does the same.

Each time has the caller's channel or session in it, new as its server is; definitions are loaded
before. One at a time, in an order shuffled call by call.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import grpc
from aiohttp import web

from benchmarks.chunks import ECHO
from benchmarks.fakes_contract import SERVICE, bare_handler, request, write_definition
from benchmarks.harness import Row, Sample, measure_shuffled
from rpe.fakes.definition import ProtoFake, load_definitions
from rpe.fakes.mouth import RawGrpcServer
from rpe.testing import FakePipeline

__all__ = ["run"]

CALLS = 40
AIM_S = 0.01
_GET = f"/{SERVICE}/Get"
_VERSION = "/remotemedia.v1.PipelineExecutionService/GetVersion"
_BODY = {
    "manifest": ECHO.to_dict(),
    "input": {"data": {"Text": "hello"}, "sequence": None, "metadata": {}},
}


async def _reply(address: str, path: str, payload: bytes = b"") -> None:
    async with grpc.aio.insecure_channel(address) as channel:
        call: Any = channel.unary_unary(path)
        await call(payload, timeout=5)


async def _http_reply(address: str) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"http://{address}/execute", json=_BODY) as response,
    ):
        response.raise_for_status()
        await response.json()


async def _bare_grpc() -> None:
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((bare_handler(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    await _reply(f"127.0.0.1:{port}", _GET, _PAYLOAD)
    await server.stop(None)


async def _bare_http() -> None:
    async def execute(asked: web.Request) -> web.Response:
        return web.json_response({"output": json.loads(await asked.read())["input"]})

    app = web.Application()
    app.router.add_post("/execute", execute)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    await _http_reply(f"{host}:{port}")
    await runner.cleanup()


_PAYLOAD = request().SerializeToString()


async def _pipeline() -> None:
    async with FakePipeline() as fake:
        await _reply(fake.endpoint, _VERSION)


async def _pipeline_http() -> None:
    async with FakePipeline(transport="http") as fake:
        await _http_reply(fake.endpoint)


async def _raw() -> None:
    async with RawGrpcServer() as server:
        await _reply(server.endpoint, _VERSION)


def _proto(folder: str) -> Callable[[], Awaitable[None]]:
    definitions = load_definitions(write_definition(Path(folder), listed=2))

    async def use() -> None:
        async with ProtoFake(definitions) as fake:
            await _reply(fake.endpoint, _GET, _PAYLOAD)

    return use


async def _measure(folder: str) -> dict[str, Sample]:
    arms = {
        "bare grpc.aio": _bare_grpc,
        "bare grpc.aio again": _bare_grpc,
        "ProtoFake": _proto(folder),
        "FakePipeline": _pipeline,
        "RawGrpcServer": _raw,
        "bare aiohttp": _bare_http,
        "FakePipeline on HTTP": _pipeline_http,
    }
    return await measure_shuffled(arms, calls=CALLS)


def run() -> list[Row]:
    with TemporaryDirectory() as folder:
        samples = asyncio.run(_measure(folder))
    rows = []
    for name, sample in samples.items():
        bare = samples["bare aiohttp" if "HTTP" in name else "bare grpc.aio"]
        told = f"{sample.p50_s * 1000:.1f} ms"
        if "bare" in name:
            what = "null arm: " if "again" in name else ""
            rows.append(Row(f"{what}start, first reply, stop: {name}", told))
        else:
            told += f" ({(sample.p50_s - bare.p50_s) * 1000:+.1f} ms)"
            what = f"start, first reply, stop: {name} (beside bare)"
            rows.append(Row(what, told, f"<= {AIM_S * 1000:.0f} ms", sample.p50_s <= AIM_S))
    return rows


if __name__ == "__main__":
    from benchmarks.harness import table

    print(table(run()))
