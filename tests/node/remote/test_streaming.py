from __future__ import annotations

import asyncio

import pytest

from rpe.data import Control, RuntimeData, Text
from rpe.data.control import BatchHint, DeadlineWarning
from rpe.errors import ErrorKind, RemoteTimeout, StreamBroken
from rpe.fakes import FakeServer, Kind
from rpe.node import NodeFailed, Output, RunContext
from rpe.transport.serving import ServerSession
from tests.node.remote.pipelines import inline, pipeline, remote, served, texts
from tests.support.handlers import Handler


class Keeper(Handler):
    """Says nothing before the caller has closed, unless told to close early or to hang."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.taken = 0

    async def talk(self, session: ServerSession) -> None:
        await session.ready("s-1")
        kept: list[RuntimeData] = []
        while (received := await session.receive()) is not None:
            self.taken += 1
            assert not isinstance(received.data, dict)
            kept.append(received.data)  # type: ignore[arg-type]
            if self.how == "closes early":
                await session.closed("enough")
                return
        if self.how == "hangs":
            await asyncio.sleep(60)
        for item in kept:
            await session.send(0, {"output": item})
        await session.closed("done")


async def test_results_come_while_the_input_goes_on(wire: str) -> None:
    async with FakeServer("a", wire) as fake:
        node = remote(fake.endpoint, wire, streaming=True, manifest=inline("UpperCase"))
        async with (
            asyncio.timeout(10),
            pipeline(node, edges=["in r", "r out"]) as runner,
            runner.stream() as stream,
        ):
            for word in ("one", "two", "three"):
                await stream.send(Text(word, metadata={"n": word}))
                assert await anext(stream) == Output("out", Text(word.upper(), metadata={"n": word}))
            await stream.finish()
            assert [output async for output in stream] == []
    chunks = fake.journal.entries(Kind.CHUNK)
    assert [entry.sequence for entry in chunks] == [0, 1, 2]
    assert len({entry.call for entry in chunks}) == 1


async def test_control_messages_are_forwarded_in_their_place(wire: str) -> None:
    async with FakeServer("a", wire) as fake:
        runner = pipeline(remote(fake.endpoint, wire, streaming=True), edges=["in r", "r out"])
        items: list[RuntimeData] = [
            Text("a"),
            Control(BatchHint(4), segment_id="s"),
            Text("b"),
            Control(DeadlineWarning(9)),
        ]
        given = await runner.run({"in": items})
    assert given["out"] == items
    assert [entry.sequence for entry in fake.journal.entries(Kind.CHUNK)] == [0, 1, 2, 3]


async def test_hints_of_kinds_leave_control_messages_alone() -> None:
    from dataclasses import replace

    from rpe.manifest.nodes import DataTypeHint

    async with FakeServer("a") as fake:
        node = replace(
            remote(fake.endpoint, streaming=True),
            input_types=(DataTypeHint.TEXT,),
            output_types=(DataTypeHint.TEXT,),
        )
        items: list[RuntimeData] = [Text("a"), Control(BatchHint(4))]
        assert (await pipeline(node).run({"r": items}))["r"] == items
    assert len(fake.journal.entries(Kind.CHUNK)) == 2


async def test_timestamps_and_hops_go_along(wire: str) -> None:
    import numpy as np

    from rpe.data import Audio

    handler = Handler()
    audio = Audio(np.zeros(160, np.float32), 16_000, timestamp_us=1_234_567)
    async with served(handler, wire) as endpoint:
        runner = pipeline(remote(endpoint, wire, streaming=True))
        items: list[RuntimeData] = [audio, Control(BatchHint(1), timestamp_ms=99), Text("x")]
        await runner.run({"r": items}, context=RunContext(hops=2))
    assert [chunk.timestamp_ms for chunk in handler.seen] == [1234, 99, 0]
    assert [call.metadata["rpe-hops"] for call in handler.calls if "rpe-hops" in call.metadata] == ["3"]


async def test_a_run_without_input_opens_no_session() -> None:
    async with FakeServer("a") as fake:
        assert (
            await pipeline(remote(fake.endpoint, streaming=True, check_node_types=False)).run({"r": []})
        ) == {"r": []}
        assert fake.journal.entries(Kind.RECEIVED) == []


async def test_the_end_of_the_input_waits_for_late_results(wire: str) -> None:
    async with served(Keeper("late"), wire) as endpoint:
        runner = pipeline(remote(endpoint, wire, streaming=True, repeatable=False))
        given = await runner.run({"r": [Text(str(number)) for number in range(5)]})
    assert texts(given["r"]) == list("01234")


async def test_full_queues_push_back_to_the_source() -> None:
    sent = count = 0
    async with (
        FakeServer("a") as fake,
        asyncio.timeout(20),
        pipeline(remote(fake.endpoint, streaming=True)) as runner,
        runner.stream() as stream,
    ):

        async def source() -> None:
            nonlocal sent
            for _ in range(2000):
                await stream.send(Text("x" * 50_000))
                sent += 1
            await stream.finish()

        sending = asyncio.create_task(source())
        # Nobody reads: what is on the way fills up, and then the source stands still.
        before = -1
        while sent != before:
            before = sent
            await asyncio.sleep(0.3)
        assert not sending.done()
        assert 0 < sent < 1500
        async for _ in stream:
            count += 1
        await sending
    assert count == 2000


async def test_a_failure_inside_names_node_and_endpoint(wire: str) -> None:
    async with FakeServer("a", wire, {"stream": {"error_after": 1}}) as fake:
        runner = pipeline(remote(fake.endpoint, wire, streaming=True), edges=["in r", "r out"])
        with pytest.raises(NodeFailed) as caught:
            await runner.run({"in": [Text(str(number)) for number in range(5)]})
    assert (caught.value.node, caught.value.kind) == ("r", ErrorKind.REMOTE_EXECUTION)
    assert fake.endpoint in str(caught.value)


async def test_a_session_bound_to_its_endpoint_breaks_with_it(wire: str) -> None:
    async with FakeServer("a", wire, {"stream": {"cut_after": 2}}) as fake:
        node = remote(fake.endpoint, wire, streaming=True, repeatable=False, extra_config=_impatient(wire))
        with pytest.raises(NodeFailed) as caught:
            async with asyncio.timeout(15):
                await pipeline(node).run({"r": [Text(str(number)) for number in range(9)]})
    assert (caught.value.node, caught.value.endpoint) == ("r", fake.endpoint)
    assert isinstance(caught.value.__cause__, StreamBroken)
    assert caught.value.kind is ErrorKind.NETWORK


def _impatient(wire: str) -> dict[str, object]:
    return {"reconnects": 0} if wire == "http" else {}


async def test_a_repeatable_session_moves_to_the_next_endpoint(wire: str) -> None:
    async with FakeServer("a", wire, {"stream": {"cut_after": 2}}) as a, FakeServer("b", wire) as b:
        node = remote(
            [a.endpoint, b.endpoint],
            wire,
            streaming=True,
            retry={"max_retries": 3},
            extra_config=_impatient(wire),
        )
        words = [str(number) for number in range(9)]
        async with asyncio.timeout(20), pipeline(node) as runner:
            given = [await runner.run({"r": map(Text, words)}) for _ in range(2)]
            figures = runner.metrics()["r"].remote
    assert [texts(one["r"]) for one in given] == [words, words]
    assert figures is not None
    assert (figures.calls, figures.successes) == (2, 2)
    assert figures.endpoints[a.endpoint].errors == {"network": 1}


async def test_a_server_that_closes_too_early_has_failed() -> None:
    async with served(Keeper("closes early"), "grpc") as endpoint:
        runner = pipeline(remote(endpoint, streaming=True, repeatable=False))
        with pytest.raises(NodeFailed, match="closed the session while its input went on") as caught:
            async with asyncio.timeout(5), runner.stream() as stream:
                await stream.send(Text("a"))
                await anext(stream)
    assert (caught.value.node, caught.value.endpoint) == ("r", endpoint)


async def test_a_server_that_owes_results_may_not_be_silent_for_ever() -> None:
    async with served(Keeper("hangs"), "grpc") as endpoint:
        runner = pipeline(remote(endpoint, streaming=True, repeatable=False, timeout_ms=300))
        with pytest.raises(NodeFailed, match="had all chunks and was silent") as caught:
            async with asyncio.timeout(5):
                await runner.run(Text("a"))
    assert isinstance(caught.value.__cause__, RemoteTimeout)
    assert (caught.value.kind, caught.value.endpoint) == (ErrorKind.TIMEOUT, endpoint)


async def test_a_server_may_be_silent_while_the_input_rests() -> None:
    handler = Keeper("late")
    async with (
        served(handler, "grpc") as endpoint,
        pipeline(remote(endpoint, streaming=True, repeatable=False, timeout_ms=100)) as runner,
        asyncio.timeout(5),
        runner.stream() as stream,
    ):
        await stream.send(Text("a"))
        await asyncio.sleep(0.35)
        await stream.finish()
        assert [output.data async for output in stream] == [Text("a")]


async def test_a_cancelled_run_cancels_the_session(wire: str) -> None:
    handler = Handler()
    async with (
        asyncio.timeout(10),
        served(handler, wire) as endpoint,
        pipeline(remote(endpoint, wire, streaming=True)) as runner,
    ):
        async with runner.stream() as stream:
            await stream.send(Text("a"))
            await anext(stream)
        await handler.cancelled.wait()
        figures = runner.metrics()["r"].remote
    assert figures is not None
    assert (figures.calls, figures.errors) == (0, {})


async def test_a_session_that_cannot_be_opened_says_where(wire: str) -> None:
    async with FakeServer("a", wire) as fake:
        gone = fake.endpoint
    node = remote(gone, wire, streaming=True, timeout_ms=2000)
    with pytest.raises(NodeFailed) as caught:
        async with asyncio.timeout(10):
            await pipeline(node).run(Text("x"))
    assert (caught.value.node, caught.value.endpoint, caught.value.kind) == ("r", gone, ErrorKind.NETWORK)


async def test_an_error_port_gets_the_failure_and_the_rest_opens_a_new_session() -> None:
    from rpe.manifest.model import Connection, Manifest, Node
    from rpe.node import PipelineRunner

    async with FakeServer("a", behaviour={"error": {"first": 1, "status": "invalid_argument"}}) as fake:
        manifest = Manifest(
            nodes=(remote(fake.endpoint, streaming=True), Node("r.error", "ErrorPort"), Node("out", "Echo")),
            connections=(Connection("r", "out"),),
        )
        given = await PipelineRunner(manifest).run({"r": [Text("a"), Text("b"), Text("c")]})
    assert texts(given["out"]) == ["b", "c"]
    (told,) = given["r.error"]
    assert told.value["node"] == "r"  # type: ignore[union-attr]
    assert told.value["kind"] == "data_validation"  # type: ignore[union-attr]
