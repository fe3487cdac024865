"""Our own server of a wire, with the shortest handler there is: everything comes back. `own_server WIRE`."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping

from benchmarks.harness import run_on
from rpe.data import RuntimeData
from rpe.manifest.model import Manifest
from rpe.transport.registry import get_transport
from rpe.transport.serving import Answer, Reply, ServerCall, ServerSession, VersionAnswer


class Echo:
    """Fills `rpe.transport.serving.PipelineHandler`."""

    async def execute(self, call: ServerCall, manifest: Manifest, inputs: Mapping[str, RuntimeData]) -> Reply:
        return Answer({"output": next(iter(inputs.values()))})

    async def stream(self, call: ServerCall, session: ServerSession) -> None:
        await session.ready("echo")
        while (chunk := await session.receive()) is not None:
            outputs = chunk.data if isinstance(chunk.data, Mapping) else {"output": chunk.data}
            await session.send(chunk.sequence, outputs)
        await session.closed()

    async def version(self, call: ServerCall) -> VersionAnswer:
        return VersionAnswer()

    async def admit(self, call: ServerCall) -> None:
        return

    def idle_timeout_s(self) -> float | None:
        return None

    def idle_closed(self) -> None:
        return

    def serving(self) -> bool:
        return True

    async def health(self, call: ServerCall, last: bool | None) -> bool:
        if last is not None:
            await asyncio.Event().wait()  # nothing ever changes
        return True


async def main(wire: str) -> None:
    async with get_transport(wire).create_server(Echo(), {}) as server:
        print(server.endpoint, os.getpid(), flush=True)
        # The parent closes our input when it is done with us, also when it dies.
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    run_on("".join(sys.argv[2:]), main(sys.argv[1]))
