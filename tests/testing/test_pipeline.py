from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

import rpe
from rpe.errors import ConfigurationError, RemoteExecutionFailed
from rpe.fakes import FakeServer, NodeCall
from rpe.policy import BackoffSettings, RetrySettings
from rpe.testing import ExpectationsUnmet, FakePipeline

TRANSCRIBE = rpe.Manifest.single("stt", node_type="Transcribe", language="en")
IMPATIENT = rpe.ClientSettings(retry=RetrySettings(backoff=BackoffSettings(initial_s=0.001, max_s=0.01)))


@asynccontextmanager
async def client_of(fake: FakeServer) -> AsyncIterator[rpe.ReliableClient]:
    async with rpe.connect([fake.endpoint], transport=fake.transport, settings=IMPATIENT) as client:
        yield client


@pytest.mark.parametrize("transport", ["grpc", "http", "webrtc"])
async def test_a_call_is_seen_with_all_that_came_beside_it(transport: str) -> None:
    async with (
        FakePipeline(transport=transport, nodes={"Transcribe": rpe.Text("hi")}) as fake,
        client_of(fake) as client,
    ):
        result = await client.execute(
            TRANSCRIBE, rpe.Text("audio"), operation_id="op-7", metadata=[("x-tenant", "t")], timeout_s=9
        )
        call = await fake.calls.next(1)
    assert result.outputs["output"] == rpe.Text("hi")
    assert (call.method, call.operation_id, call.attempt, call.node_types) == (
        "execute",
        "op-7",
        1,
        ("Transcribe",),
    )
    assert call.metadata["x-tenant"] == "t" and "x-tenant" not in repr(call)
    assert call.call.remaining_s is not None and 0 < call.call.remaining_s < 10
    assert str(call) == "call 1 (execute of Transcribe, operation op-7, attempt 1)"


@pytest.mark.parametrize("transport", ["grpc", "http", "webrtc"])
async def test_the_chunks_of_a_session_are_seen_as_they_come(transport: str) -> None:
    async with FakePipeline(transport=transport) as fake, client_of(fake) as client:

        @fake.handle("Transcribe")
        def transcribe(data: rpe.Text, node: NodeCall) -> list[rpe.Text]:
            return [rpe.Text(f"{node.params['language']} {data.text}")] * 2

        async with await client.open_stream(TRANSCRIBE) as session:
            await session.send(rpe.Text("one"))
            assert (first := await session.receive()) and first.outputs == {"output": rpe.Text("en one")}
            call = await fake.calls.next(1)
            assert call.method == "stream" and list(call.texts) == ["one"]
            await session.send(rpe.Text("two"))
            await session.finish()
            assert len([result async for result in session]) == 3
    assert list(call.texts) == ["one", "two"]
    runs = [await transcribe.next(1) for _ in range(transcribe.count)]
    assert [run.data for run in runs] == [rpe.Text("one"), rpe.Text("two")]
    assert all(run.call is call and run.node_id == "stt" for run in runs)


async def test_calls_that_are_refused_are_seen_too_and_each_attempt_by_itself() -> None:
    async with FakePipeline(behaviour={"error": {"first": 2}}) as fake, client_of(fake) as client:
        fake.expect(times=3, node_type="Echo")
        fake.expect(attempt=3)
        await client.execute(
            rpe.Manifest.single("n", node_type="Echo"),
            rpe.Text("x"),
            repeatable=True,
            max_retries=2,
            operation_id="o",
        )
    assert [call.attempt for call in fake.calls.all] == [1, 2, 3]


async def test_what_is_unmet_is_raised_when_the_block_ends_and_only_once() -> None:
    fake = FakePipeline("stt")
    with pytest.raises(
        ExpectationsUnmet, match=r"(?s)^fake stt:\nexpected 1 call with text 'a'.*\nexpected no call"
    ):
        async with fake, client_of(fake) as client:
            fake.expect(text="a")
            fake.expect(times=0)
            fake.expect(at_least=1)
            await client.execute(rpe.Manifest.single("n", node_type="Echo"), rpe.Text("b"))
    fake.verify()


async def test_an_error_of_the_block_is_not_hidden_by_what_is_unmet() -> None:
    with pytest.raises(ZeroDivisionError):
        async with FakePipeline() as fake:
            fake.expect(text="a")
            raise ZeroDivisionError


async def test_calls_that_are_not_kept_are_told_of_where_an_expectation_is_unmet() -> None:
    async with FakePipeline(limit=2) as fake, client_of(fake) as client:
        fake.expect(text="0")
        for number in range(3):
            await client.execute(rpe.Manifest.single("n", node_type="Echo"), rpe.Text(str(number)))
        assert fake.problems().endswith("(1 older calls are not kept, and were not looked at)")
        with pytest.raises(ExpectationsUnmet):
            fake.verify()


async def test_a_handler_that_breaks_fails_the_call_and_the_test() -> None:
    async with FakePipeline() as fake, client_of(fake) as client:

        @fake.handle("Transcribe")
        def transcribe(data: rpe.Text) -> rpe.Text:
            assert data.text == "wanted"
            return data

        with pytest.raises(RemoteExecutionFailed, match="handler of Transcribe raised AssertionError"):
            await client.execute(TRANSCRIBE, rpe.Text("other"))
        with pytest.raises(ExpectationsUnmet, match="handler of Transcribe raised AssertionError") as caught:
            fake.verify()
        assert isinstance(caught.value.__cause__, AssertionError)


async def test_a_handler_may_fail_the_pipeline_on_purpose() -> None:
    async with FakePipeline() as fake, client_of(fake) as client:

        @fake.handle("Transcribe")
        def transcribe(data: rpe.Text, node: NodeCall) -> rpe.Text:
            raise node.failed("no speech in it")

        with pytest.raises(RemoteExecutionFailed, match="no speech in it"):
            await client.execute(TRANSCRIBE, rpe.Text("x"))


@pytest.mark.parametrize("answer", [lambda data: None, lambda data: "text", lambda data: [1]])
async def test_a_handler_that_returns_no_data_is_broken(answer: Any) -> None:
    async with FakePipeline(nodes={"Transcribe": answer}) as fake, client_of(fake) as client:
        with pytest.raises(RemoteExecutionFailed):
            await client.execute(TRANSCRIBE, rpe.Text("x"))
        with pytest.raises(ExpectationsUnmet, match="a handler returns data, or a list of data"):
            fake.verify()


def test_a_function_that_is_no_handler_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="takes neither"):
        FakePipeline(nodes={"Transcribe": lambda: None})


async def test_a_handler_takes_the_place_of_a_built_in_node_and_of_an_earlier_one() -> None:
    async with FakePipeline(nodes={"Echo": rpe.Text("1")}) as fake, client_of(fake) as client:
        echo = rpe.Manifest.single("n", node_type="Echo")
        assert (await client.execute(echo, rpe.Text("x"))).outputs["output"] == rpe.Text("1")
        fake.handle("Echo")([rpe.Text("2"), rpe.Text("3")])
        assert (await client.execute(echo, rpe.Text("x"))).outputs == {
            "output": rpe.Text("2"),
            "output.1": rpe.Text("3"),
        }


async def test_a_cancelled_call_breaks_no_handler_and_leaves_nothing() -> None:
    async with FakePipeline() as fake, client_of(fake) as client:

        @fake.handle("Transcribe")
        async def transcribe(data: rpe.Text) -> rpe.Text:
            await asyncio.get_running_loop().create_future()
            return data

        running = asyncio.ensure_future(client.execute(TRANSCRIBE, rpe.Text("x")))
        await transcribe.next(5)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await fake.journal.wait_for(lambda entry: entry.kind == "cancelled")
        assert fake.journal.in_flight == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("transport", ["grpc", "http"])
async def test_no_two_fakes_share_a_port(transport: str) -> None:
    async with FakePipeline(transport=transport) as first:
        second = FakePipeline(transport=transport, port=int(first.endpoint.rpartition(":")[2]))
        with pytest.raises(ConfigurationError):
            async with second:
                pass
        assert second.endpoint == ""
