"""Our own pipelines, recorded from a fake server by our own client, and replayed to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rpe
from rpe.data import content_hash
from rpe.errors import RpeError
from rpe.fakes import FakeServer
from rpe.fakes.cassette import Recorder, Replay, read_cassette
from rpe.manifest.model import Manifest
from rpe.transport.grpc.client import GrpcPipelineClient
from rpe.transport.grpc.settings import GrpcSettings
from rpe.transport.http.client import HttpPipelineClient
from rpe.transport.http.settings import HttpSettings
from rpe.transport.ports import ClientStreamSession, PipelineClient

ECHO = Manifest.single("echo", node_type="Echo")
WIRES = ["grpc", "http"]
Work = Callable[[PipelineClient], Any]


def client_of(wire: str, endpoint: str) -> PipelineClient:
    if wire == "grpc":
        return GrpcPipelineClient(endpoint, GrpcSettings())
    return HttpPipelineClient(endpoint, HttpSettings())


async def done(wire: str, endpoint: str, work: Work) -> Any:
    client = client_of(wire, endpoint)
    try:
        return await work(client)
    finally:
        await client.close()


async def recorded(wire: str, cassette: Path, work: Work, script: Any = None) -> Any:
    async with (
        FakeServer(transport=wire, behaviour=script) as fake,
        Recorder(f"{wire}://{fake.endpoint}", path=cassette) as recorder,
    ):
        return await done(wire, recorder.endpoint, work)


async def executing(client: PipelineClient) -> list[str]:
    heard = []
    for said in ("one", "two", "one"):
        answer = await client.execute(ECHO, {"echo": rpe.Text(said)}, timeout_s=5)
        heard += [content_hash(output) for output in answer.outputs.values()]
    return heard


async def opened(client: PipelineClient) -> ClientStreamSession:
    return await client.open_stream(ECHO, timeout_s=5, open_timeout_s=5)


async def talking(client: PipelineClient) -> list[tuple[int, str]]:
    """A session in which each chunk is answered before the next is sent."""
    heard = []
    session = await opened(client)
    try:
        for sequence in range(4):
            await session.send(rpe.Text(f"chunk {sequence}"), node_id="echo", sequence=sequence)
            result = await session.receive()
            assert result is not None
            heard += [(result.sequence, content_hash(output)) for output in result.outputs.values()]
        await session.finish()
        assert await session.receive() is None
    finally:
        session.cancel()
    return heard


async def failing(client: PipelineClient) -> list[str]:
    heard = []
    for _ in range(3):
        try:
            await client.execute(ECHO, {"echo": rpe.Text("x")}, timeout_s=5)
            heard.append("served")
        except RpeError as error:
            heard.append(f"{type(error).__name__} {error.message} {error.retryable}")
    return heard


@pytest.mark.parametrize("wire", WIRES)
async def test_executions_are_the_same(wire: str, cassette: Path) -> None:
    live = await recorded(wire, cassette, executing)
    async with Replay(cassette, speed=0) as replay:
        assert await done(wire, replay.endpoint, executing) == live
        assert {call.by for call in replay.calls} == {"content"}


@pytest.mark.parametrize("wire", WIRES)
async def test_sessions_are_the_same_and_in_the_same_order(wire: str, cassette: Path) -> None:
    live = await recorded(wire, cassette, talking)
    assert [sequence for sequence, _ in live] == [0, 1, 2, 3]
    async with Replay(cassette, speed=0) as replay:
        assert await done(wire, replay.endpoint, talking) == live
        assert all(call.recorded for call in replay.calls)


@pytest.mark.parametrize("wire", WIRES)
async def test_failures_are_the_same(wire: str, cassette: Path) -> None:
    script = {"error": {"status": "unavailable", "message": "not now", "first": 2}}
    live = await recorded(wire, cassette, failing, script)
    assert len(set(live)) == 2 and live[2] == "served"
    async with Replay(cassette, speed=0) as replay:
        assert await done(wire, replay.endpoint, failing) == live


@pytest.mark.parametrize("wire", WIRES)
async def test_a_session_that_broke_breaks_again(wire: str, cassette: Path) -> None:
    async def breaking(client: PipelineClient) -> tuple[list[int], str]:
        heard: list[int] = []
        session = await opened(client)
        try:
            for sequence in range(2):
                await session.send(rpe.Text(f"chunk {sequence}"), node_id="echo", sequence=sequence)
            while (result := await session.receive()) is not None:
                heard.append(result.sequence)
        except RpeError as error:
            return heard, type(error).__name__
        finally:
            session.cancel()
        raise AssertionError("it did not break")

    live = await recorded(wire, cassette, breaking, {"stream": {"cut_after": 2, "how": "status"}})
    assert live == ([0, 1], live[1])
    async with Replay(cassette, speed=0) as replay:
        assert await done(wire, replay.endpoint, breaking) == live


async def test_a_fault_that_is_spliced_into_a_session_meets_the_client(cassette: Path) -> None:
    await recorded("grpc", cassette, talking)
    [call] = read_cassette(cassette).calls
    async with Replay(cassette, speed=0, splice="cut,method=StreamPipeline,at_message=3") as replay:
        with pytest.raises(rpe.errors.StreamBroken):
            await done("grpc", replay.endpoint, talking)
        assert replay.calls[0].faults == ["cut at message 3"]
        assert replay.calls[0].recorded == call.number
