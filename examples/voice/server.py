"""One server of an organisation, as a process: `python -m examples.voice.server`, told what to be on stdin.

The first line on stdin is JSON: transport, node_types, token, certificate_chain, private_key. It is
answered by `{"endpoint": "HOST:PORT"}`. The process ends when stdin does.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from typing import Any

from rpe.node import NodeRegistry
from rpe.node.serving import serve_pipelines

_LINE_LIMIT = 1024 * 1024


async def _serve() -> None:
    reader = asyncio.StreamReader(_LINE_LIMIT)
    pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    try:
        told: dict[str, Any] = json.loads(await reader.readline())
        # An organisation offers what it is there for, and nothing else that is in the box.
        offered = [NodeRegistry(entry_point_group=None).get(name) for name in told["node_types"]]
        async with serve_pipelines(
            told["transport"],
            registry=NodeRegistry(offered, entry_point_group=None),
            token=told["token"],
            certificate_chain=told["certificate_chain"].encode(),
            private_key=told["private_key"].encode(),
        ) as server:
            sys.stdout.write(json.dumps({"endpoint": server.endpoint}) + "\n")
            sys.stdout.flush()
            await reader.read()
    finally:
        pipe.close()


if __name__ == "__main__":
    # Ctrl-C reaches the whole group of processes; who started this one decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(_serve())
