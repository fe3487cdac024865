from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rpe.data import Text
from rpe.errors import ErrorKind, ManifestInvalid
from rpe.fakes import FakeServer, Kind
from rpe.node import NodeFailed, RunContext
from tests.node.remote.pipelines import inline, pipeline, remote, served, texts
from tests.support.handlers import Handler

BROKEN: dict[str, Any] = {"error": {"status": "unavailable"}}


async def test_the_second_pool_answers_over_another_wire() -> None:
    async with FakeServer("a", "grpc", BROKEN) as a, FakeServer("b", "http") as b:
        node = remote(
            a.endpoint,
            fallback=[{"name": "spare", "transport": "http", "endpoint": b.endpoint}],
            manifest=inline("UpperCase"),
        )
        async with pipeline(node) as runner:
            assert texts((await runner.run(Text("x")))["r"]) == ["X"]
            figures = runner.metrics()["r"].remote
    assert figures is not None
    assert (figures.calls, figures.successes, figures.answered) == (1, 1, {"spare": 1})
    assert figures.endpoints[a.endpoint].errors == {"network": 1}
    assert figures.endpoints[b.endpoint].successes == 1


async def test_no_credentials_of_the_first_pool_reach_the_second() -> None:
    async with FakeServer("a", behaviour=BROKEN) as a, FakeServer("b", behaviour={"token": "other"}) as b:
        step = {"endpoint": b.endpoint}
        for own, answered in (({}, False), ({"auth_token": "other"}, True)):
            node = remote(a.endpoint, auth_token="other", fallback=[step | own])
            runner = pipeline(node)
            if answered:
                assert texts((await runner.run(Text("x")))["r"]) == ["x"]
            else:
                with pytest.raises(NodeFailed) as caught:
                    await runner.run(Text("x"))
                assert "authentication_failed" in str(caught.value.__cause__)


async def test_a_pipeline_here_answers_after_all_pools() -> None:
    async with FakeServer("a", behaviour=BROKEN) as a:
        far = {"version": "v1", "nodes": [{"id": "n", "node_type": "Reverse", "params": {}}]}
        here = {
            "version": "v1",
            "metadata": {"name": "here"},
            "nodes": [
                {"id": "u", "node_type": "UpperCase", "params": {}},
                {"id": "s", "node_type": "Strip", "params": {}},
            ],
            "connections": [{"from": "u", "to": "s"}],
        }
        for step, answer in (
            ({"node_type": "Replace", "params": {"find": " "}}, "ab"),
            ({"manifest": here}, "A B"),
        ):
            runner = pipeline(remote(a.endpoint, manifest=far, fallback=[step]))
            assert texts((await runner.run(Text(" a b" if "manifest" in step else "a b")))["r"]) == [answer]


async def test_the_last_good_answer_is_given_again() -> None:
    async with FakeServer("a") as a:
        node = remote(a.endpoint, fallback=[{"cached": {"max_age_ms": 60_000}}], manifest=inline("UpperCase"))
        async with pipeline(node) as runner:
            assert texts((await runner.run(Text("x")))["r"]) == ["X"]
            await a.set_behaviour(BROKEN)
            assert texts((await runner.run(Text("x")))["r"]) == ["X"]
            with pytest.raises(NodeFailed) as caught:
                await runner.run(Text("y"))
            figures = runner.metrics()["r"].remote
    assert (caught.value.kind, caught.value.node) == (ErrorKind.NETWORK, "r")
    assert a.endpoint in str(caught.value)
    assert figures is not None
    assert figures.answered == {"primary": 1, "cached": 1}


async def test_the_whole_chain_has_one_timeout() -> None:
    async with FakeServer("a", behaviour={"hang": {}}) as a, FakeServer("b", behaviour={"hang": {}}) as b:
        node = remote(a.endpoint, fallback=[{"endpoint": b.endpoint}], timeout_ms=400, check_node_types=False)
        with pytest.raises(NodeFailed) as caught:
            async with asyncio.timeout(3):
                await pipeline(node).run(Text("x"))
    assert caught.value.kind in (ErrorKind.TIMEOUT, ErrorKind.NETWORK)
    tried = {attempt.endpoint for attempt in caught.value.attempts}
    # On a busy machine the second one may find no time left.
    assert {a.endpoint} <= tried <= {a.endpoint, b.endpoint}


async def test_a_local_pipeline_that_cannot_run_is_told_before_anything_runs() -> None:
    async with FakeServer("a") as a:
        runner = pipeline(remote(a.endpoint, fallback=[{"node_type": "Teleport"}]))
        with pytest.raises(ManifestInvalid, match="Teleport") as caught:
            await runner.run(Text("x"))
        assert a.journal.entries(Kind.RECEIVED) == []
    assert "nodes[0].params.fallback[0]" in str(caught.value)


@pytest.mark.parametrize("step", ["pool", "here"])
async def test_a_session_is_opened_at_the_next_step(step: str) -> None:
    async with FakeServer("a") as gone, FakeServer("b", "http") as b:
        await gone.stop()
        spare = {"transport": "http", "endpoint": b.endpoint, "name": "spare"}
        here = {"node_type": "UpperCase", "name": "spare"}
        node = remote(
            gone.endpoint,
            streaming=True,
            manifest=inline("UpperCase"),
            timeout_ms=3000,
            fallback=[spare if step == "pool" else here],
        )
        async with asyncio.timeout(10), pipeline(node) as runner, runner.stream() as stream:
            for word in ("a", "b"):
                await stream.send(Text(word))
                assert (await anext(stream)).data == Text(word.upper())
            await stream.finish()
            assert [output async for output in stream] == []
            figures = runner.metrics()["r"].remote
    assert figures is not None
    assert figures.answered == {"spare": 1}


async def test_a_session_that_no_step_takes() -> None:
    async with FakeServer("a") as a, FakeServer("b") as b:
        pass
    node = remote(a.endpoint, streaming=True, timeout_ms=3000, fallback=[{"endpoint": b.endpoint}])
    with pytest.raises(NodeFailed, match="all_steps_failed") as caught:
        await pipeline(node).run(Text("x"))
    assert a.endpoint in str(caught.value)
    assert b.endpoint in str(caught.value)


async def test_observers_see_the_clients_and_the_chain() -> None:
    from rpe.telemetry.record import AttemptRecord, ChainRecord, Observer

    class Sink(Observer):
        def __init__(self) -> None:
            self.seen: list[str] = []

        def on_attempt(self, record: AttemptRecord) -> None:
            self.seen.append(record.endpoint)

        def on_chain(self, record: ChainRecord) -> None:
            self.seen.append(record.step)

    sink = Sink()
    async with FakeServer("a", behaviour=BROKEN) as a, FakeServer("b") as b:
        node = remote(a.endpoint, fallback=[{"endpoint": b.endpoint}], failback={"failure_threshold": 1})
        await pipeline(node, observers=[sink]).run(Text("x"))
    assert sink.seen == [a.endpoint, "primary", b.endpoint]


async def test_a_remote_node_in_a_local_fallback_counts_hops_from_the_run() -> None:
    handler = Handler()
    async with FakeServer("a", behaviour=BROKEN) as a, served(handler, "grpc") as endpoint:
        inner = {"id": "deep", "node_type": "RemotePipelineNode", "params": remote(endpoint).params}
        step = {"manifest": {"version": "v1", "nodes": [inner]}}
        runner = pipeline(remote(a.endpoint, fallback=[step]))
        assert texts((await runner.run(Text("x"), context=RunContext(hops=3)))["r"]) == ["x"]
    assert [call.metadata["rpe-hops"] for call in handler.calls] == ["4"]


async def test_a_session_moves_on_to_the_next_pool() -> None:
    words = [str(number) for number in range(6)]
    async with (
        asyncio.timeout(15),
        FakeServer("a") as a,
        FakeServer("b", "http") as b,
        pipeline(
            remote(
                a.endpoint,
                streaming=True,
                fallback=[{"transport": "http", "endpoint": b.endpoint, "name": "spare"}],
            )
        ) as runner,
        runner.stream() as stream,
    ):
        given = []
        for word in words:
            if word == "3":
                await a.stop()
            await stream.send(Text(word))
            given.append((await anext(stream)).data)
        await stream.finish()
        assert [output async for output in stream] == []
        figures = runner.metrics()["r"].remote
    assert texts(given) == words
    assert figures is not None
    assert (figures.calls, figures.answered) == (1, {"spare": 1})
