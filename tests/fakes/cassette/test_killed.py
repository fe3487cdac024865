"""A recorder that is killed in mid-call leaves a cassette that can be read, and replayed as broken."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rpe.fakes.cassette import read_cassette
from rpe.fakes.mouth import RawCall, RawGrpcServer
from tests.fakes.cassette.calling import ask, channel_to


async def test_a_killed_recorder_leaves_what_had_come(cassette: Path, replaying: Callable[..., Any]) -> None:
    async def echo(call: RawCall) -> None:
        while (message := await call.read()) is not None:
            await call.send(message)

    async with RawGrpcServer(None, echo) as server:
        code = (
            "import asyncio, sys\nfrom pathlib import Path\n"
            "from rpe.fakes.cassette.standalone import record\n"
            "asyncio.run(record(sys.argv[1], Path(sys.argv[2])))"
        )
        command = [sys.executable, "-c", code, f"grpc://{server.endpoint}", str(cassette)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:  # noqa: ASYNC220
            assert child.stdout is not None
            try:
                found = re.search(r" at (127\.0\.0\.1:\d+), into", child.stdout.readline())
                assert found is not None
                async with channel_to(found[1]) as channel:
                    whole = await ask(channel, "/a.B/C", [b"whole"])
                    call: Any = channel.stream_stream("/a.B/C")(timeout=5)
                    await call.write(b"half")
                    assert await call.read() == b"half"
                    child.kill()
                    assert (await call.code()).name == "UNAVAILABLE"
            finally:
                child.kill()
    read = read_cassette(cassette)
    assert [found.number for found in read.unfinished] == [2]
    async with replaying() as (replay, channel):
        assert await ask(channel, "/a.B/C", [b"whole"]) == whole
        broken = await ask(channel, "/a.B/C", [b"half"])
        assert (broken.messages, broken.code) == ([b"half"], "INTERNAL")
        assert [played.ended for played in replay.calls] == ["OK", "unfinished"]
