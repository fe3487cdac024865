"""What an answer costs the server: fakes beside bare grpc.aio servers that parse and serialise the same.

Each server has a process of its own, whose CPU time is read before and after; one client drives
them in turn. A bare server keeps no journal and knows no rules; one of pipelines looks at no
manifest. `rpe fake serve` notes the end of each call, and for pipelines the hash of each content.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import grpc

from benchmarks.bare.grpc import audio_chunk
from benchmarks.chunks import ECHO, TEXT
from benchmarks.fakes_contract import LISTED, SERVICE, Item, request, write_definition
from benchmarks.fakes_process import BARE, FAKE_SERVE, SERVER, Served, cpu_s, served
from benchmarks.harness import Row, median, server_process
from rpe.wire.generated.remotemedia.v1 import (
    common_pb2,
    execution_pb2,
    streaming_pb2,
    streaming_pb2_grpc,
)
from rpe.wire.manifest import encode_manifest

__all__ = ["run"]

CONCURRENCY = 16
CALLS = 800
LISTINGS = 4
ROUNDS = 7
CHUNKS = 400
AIM = 0.9

_CLOSE = streaming_pb2.StreamRequest(
    control=streaming_pb2.StreamControl(command=streaming_pb2.StreamControl.COMMAND_CLOSE)
)

Work = Callable[[], Awaitable[int]]
"""Does a share of the work of an arm; returns how many answers it got."""


@dataclass
class Arm:
    """One server with one kind of work, and what came of it: CPU of the server, and time, per answer."""

    work: Work
    pid: int
    cpu_s: list[float] = field(default_factory=list)
    wall_s: list[float] = field(default_factory=list)

    async def once(self) -> None:
        cpu, began_s = cpu_s(self.pid), time.perf_counter()
        answers = await self.work()
        self.wall_s.append((time.perf_counter() - began_s) / answers)
        self.cpu_s.append((cpu_s(self.pid) - cpu) / answers)


def _unary(channel: grpc.aio.Channel, path: str, payload: bytes, check: Callable[[bytes], bool]) -> Work:
    """Calls at `CONCURRENCY`; bytes come and go, and the first answer is looked at."""
    call: Any = channel.unary_unary(path)

    async def worker() -> None:
        for _ in range(CALLS // CONCURRENCY):
            await call(payload)

    async def work() -> int:
        if not check(await call(payload)):
            raise RuntimeError(f"{path} answered something else")
        await asyncio.gather(*(worker() for _ in range(CONCURRENCY)))
        return CALLS + 1

    return work


def _listed(channel: grpc.aio.Channel) -> Work:
    """A few calls of a server's stream, one after the other."""
    call: Any = channel.unary_stream(f"/{SERVICE}/List")
    payload = request().SerializeToString()

    async def work() -> int:
        answers = 0
        for _ in range(LISTINGS):
            async for _message in call(payload):
                answers += 1
        if answers != LISTINGS * LISTED:
            raise RuntimeError(f"{answers} messages came")
        return answers

    return work


def _session(channel: grpc.aio.Channel) -> Work:
    """One session of 20 ms chunks, as fast as they are taken; a fake sends metrics after every tenth."""
    stub: Any = streaming_pb2_grpc.StreamingPipelineServiceStub(channel)
    init = streaming_pb2.StreamRequest(init=streaming_pb2.StreamInit(manifest=encode_manifest(ECHO)))
    chunks = [audio_chunk(sequence) for sequence in range(CHUNKS)]

    async def work() -> int:
        call = stub.StreamPipeline()

        async def send() -> None:
            for chunk in chunks:
                await call.write(chunk)
            await call.write(_CLOSE)
            await call.done_writing()

        await call.write(init)
        sending = asyncio.create_task(send())
        try:
            results = [message.result.sequence async for message in call if message.HasField("result")]
        finally:
            sending.cancel()
        if results != list(range(CHUNKS)):
            raise RuntimeError(f"{len(results)} of {CHUNKS} chunks came back")
        return CHUNKS

    return work


async def _measure(small: Mapping[str, Served], pipelines: Mapping[str, Served]) -> dict[str, Arm]:
    arms: dict[str, Arm] = {}
    async with AsyncExitStack() as stack:

        async def channel(to: Served) -> grpc.aio.Channel:
            made = grpc.aio.insecure_channel(to.address, options=[("grpc.use_local_subchannel_pool", 1)])
            return await stack.enter_async_context(made)

        payload = request().SerializeToString()
        for name, server in small.items():
            to = await channel(server)
            for method in ("Get", "Fixed"):
                work = _unary(to, f"/{SERVICE}/{method}", payload, _is_text)
                arms[f"{method}: {name}"] = Arm(work, server.pid)
            arms[f"List: {name}"] = Arm(_listed(to), server.pid)
        for name, server in pipelines.items():
            to = await channel(server)
            path = "/remotemedia.v1.PipelineExecutionService/ExecutePipeline"
            arms[f"execute: {name}"] = Arm(_unary(to, path, _execute(), _is_echo), server.pid)
            arms[f"session: {name}"] = Arm(_session(to), server.pid)
        for bare in [name for name in arms if name.endswith(": bare")]:
            arms[f"{bare} again"] = Arm(arms[bare].work, arms[bare].pid)
        for arm in arms.values():
            await arm.work()
        order = list(arms.values())
        rng = Random(7)
        for _ in range(ROUNDS):
            rng.shuffle(order)
            for arm in order:
                await arm.once()
    return arms


def _is_text(answer: bytes) -> bool:
    return bool(Item.FromString(answer).text == "x" * 1024)


def _execute() -> bytes:
    buffer = common_pb2.DataBuffer(text=common_pb2.TextBuffer(text_data=TEXT.encode()))
    asked = execution_pb2.ExecuteRequest(
        manifest=encode_manifest(ECHO), data_inputs={"echo": buffer}, client_version="v1"
    )
    return asked.SerializeToString()


def _is_echo(answer: bytes) -> bool:
    outputs = execution_pb2.ExecuteResponse.FromString(answer).result.data_outputs
    return bool(outputs["output"].text.text_data.decode() == TEXT)


_WHAT = {
    "Get": "unary 1 KB, answer filled from the request",
    "Fixed": "unary 1 KB, a fixed answer",
    "List": f"server's stream of {LISTED} messages of 640 bytes",
    "execute": "unary pipeline, 1 KB of text",
    "session": "session, a chunk of 640 bytes and its result",
}


def _rows(arms: Mapping[str, Arm]) -> list[Row]:
    rows = []
    for kind, what in _WHAT.items():
        bare = arms[f"{kind}: bare"]
        rows.append(Row(f"{what}: bare server's CPU, an answer", f"{median(bare.cpu_s) * 1e6:.0f} us"))
        for name, arm in arms.items():
            if not name.startswith(f"{kind}: ") or arm is bare:
                continue
            who = name.removeprefix(f"{kind}: ")
            ratio = _ratio(bare.cpu_s, arm.cpu_s)
            told = f"{ratio:.2f} ({median(arm.cpu_s) * 1e6:.0f} us)"
            told += f"; answers/s {_ratio(bare.wall_s, arm.wall_s):.2f}"
            if who == "bare again":
                rows.append(Row(f"null arm: {what}, answers per CPU-second over bare", told))
            else:
                name = f"{who}: {what}, answers per CPU-second over bare"
                rows.append(Row(name, told, f">= {AIM}", ratio >= AIM))
    return rows


def _ratio(bare: list[float], ours: list[float]) -> float:
    return median([one / other for one, other in zip(bare, ours, strict=True)])


def run() -> list[Row]:
    with TemporaryDirectory() as folder, ExitStack() as stack:
        file = write_definition(Path(folder))
        small = {
            "bare": stack.enter_context(served(*BARE)),
            "`rpe fake serve FILE`": stack.enter_context(served(*FAKE_SERVE, str(file), "--grpc-port", "0")),
            "`ProtoFake`": stack.enter_context(served(*SERVER, "proto", str(file))),
        }
        address, pid = stack.enter_context(server_process("benchmarks.echo_server", "1"))
        pipelines = {
            "bare": Served(address, int(pid), 0.0),
            "`rpe fake serve echo`": stack.enter_context(served(*FAKE_SERVE, "echo", "--grpc-port", "0")),
            "`FakeServer`": stack.enter_context(served(*SERVER, "fake")),
        }
        return _rows(asyncio.run(_measure(small, pipelines)))


if __name__ == "__main__":
    from benchmarks.harness import table

    print(table(run()))
