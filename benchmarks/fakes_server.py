"""A server for the figures of the fakes, in a process of its own: `bare`, `fake` or `proto FILE`.

`bare` is a grpc.aio server of the small contract; `fake` is a `FakeServer` and `proto` a `ProtoFake`, with
their journals in memory, as a test has them. The first line of the output is the address.
"""

from __future__ import annotations

import asyncio
import os
import sys

__all__ = ["main"]


async def _bare() -> None:
    import grpc

    from benchmarks.fakes_contract import bare_handler

    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((bare_handler(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    await _serving(f"127.0.0.1:{port}")
    await server.stop(None)


async def _fake() -> None:
    from rpe.fakes import FakeServer

    async with FakeServer() as fake:
        await _serving(fake.endpoint)


async def _proto(file: str) -> None:
    from rpe.fakes.definition import ProtoFake

    async with ProtoFake(file) as fake:
        await _serving(fake.endpoint)


async def _serving(endpoint: str) -> None:
    print(endpoint, os.getpid(), flush=True)
    # The parent closes our input when it is done with us, also when it dies.
    await asyncio.to_thread(sys.stdin.read)


def main(what: str, *arguments: str) -> None:
    if what == "proto":
        asyncio.run(_proto(*arguments))
    else:
        asyncio.run({"bare": _bare, "fake": _fake}[what]())


if __name__ == "__main__":
    main(*sys.argv[1:])
