"""The subjects where the pipeline runs in the client: what they run, report, and leave behind."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from rpe.chaos.subject import ClientRequest, SubjectContext, SubjectOperation
from rpe.data import Text
from rpe.errors import ConfigurationError, ErrorKind
from rpe.fakes import FakeServer, Kind
from rpe.manifest.model import Manifest
from rpe.node import NodeFailed
from rpe.subjects import bare, grpc_native, reliable
from rpe.subjects.pipeline import PipelineSubject, without_reliability

ECHO = {"version": "v1", "nodes": [{"id": "x", "node_type": "Echo"}]}
UNAVAILABLE = {"error": {"status": "unavailable"}}


def manifest(*servers: FakeServer, **params: Any) -> Manifest:
    """Text in capitals here, then a remote node of which both servers are the pool."""
    endpoints = [server.endpoint for server in servers] or ["127.0.0.1:1", "127.0.0.1:2"]
    remote = {"transport": "grpc", "endpoints": endpoints, "manifest": ECHO, **params}
    return Manifest.from_dict(
        {
            "version": "v1",
            "nodes": [
                {"id": "capitals", "node_type": "UpperCase"},
                {"id": "away", "node_type": "RemotePipelineNode", "params": remote},
            ],
            "connections": [{"from": "capitals", "to": "away"}],
        }
    )


class Reports(list[tuple[str, Mapping[str, Any]]]):
    def __call__(self, event: str, fields: Mapping[str, Any]) -> None:
        self.append((event, fields))

    def attempts(self) -> list[tuple[str, str]]:
        return [(told["endpoint"], told["outcome"]) for event, told in self if event == "attempt.end"]


def context(*servers: FakeServer, report: Any = lambda event, fields: None, **params: Any) -> SubjectContext:
    return SubjectContext(
        endpoints={server.name: server.endpoint for server in servers},
        transport="grpc",
        request=ClientRequest(),
        manifest=manifest(*servers, **params),
        seed=0,
        report=report,
        pipeline=True,
    )


def operation(timeout_s: float = 5.0) -> SubjectOperation:
    return SubjectOperation("calls-0", {"capitals": Text("hello")}, timeout_s, True)


def received(server: FakeServer) -> list[str]:
    """The operations that the server was asked to execute, by their ids."""
    entries = server.journal.entries(Kind.RECEIVED)
    return [entry.operation_id for entry in entries if entry.method == "execute"]


async def test_the_pipeline_runs_here_and_its_remote_node_tries_the_whole_pool() -> None:
    reports = Reports()
    async with FakeServer("a", behaviour=UNAVAILABLE) as a, FakeServer("b") as b:
        subject = await reliable.create(context(a, b, report=reports, retry={"max_retries": 1}))
        assert isinstance(subject, PipelineSubject)
        for _ in range(2):
            assert await subject.execute(operation()) == {"away": Text("HELLO")}
        assert subject.in_flight() == 0
        await subject.close()
        assert len(received(b)) == 2
        assert all(op.startswith("calls-0") for op in received(b)), "the journals can tell whose it was"
    assert ("a", "failure") in reports.attempts()
    assert reports.attempts().count(("b", "success")) == 2


async def test_the_error_names_the_node_and_keeps_its_kind() -> None:
    async with FakeServer("a", behaviour=UNAVAILABLE) as a:
        subject = await reliable.create(context(a, retry={"max_retries": 0}))
        with pytest.raises(NodeFailed) as caught:
            await subject.execute(operation())
        await subject.close()
    assert (caught.value.node, caught.value.kind) == ("away", ErrorKind.NETWORK)
    assert caught.value.endpoint == a.endpoint


async def test_the_deadline_is_that_of_the_operation_and_a_run_is_counted_while_it_lasts() -> None:
    async with FakeServer("a", behaviour={"hang": {}}) as a:
        subject = await reliable.create(context(a, timeout_ms=30_000))
        running = asyncio.create_task(subject.execute(operation(timeout_s=0.3)))
        await asyncio.sleep(0)
        assert subject.in_flight() == 1
        with pytest.raises(NodeFailed) as caught:
            await running
        assert caught.value.kind is ErrorKind.TIMEOUT
        assert subject.in_flight() == 0
        await subject.close()
        told_s = [entry.remaining_s for entry in a.journal.entries(Kind.RECEIVED) if entry.operation_id]
        assert told_s and max(remaining_s or 0 for remaining_s in told_s) < 0.4  # gRPC rounds up


async def test_what_comes_out_beside_the_first_piece_is_numbered() -> None:
    both = {"version": "v1", "nodes": [{"id": "all", "node_type": "Echo"}]}
    subject = await PipelineSubject(context(), Manifest.from_dict(both)).open()
    twice = SubjectOperation("calls-0", {"all": [Text("one"), Text("two")]}, 5.0, True)  # type: ignore[dict-item]
    assert await subject.execute(twice) == {"all": Text("one"), "all.1": Text("two")}
    await subject.close()


async def test_there_are_no_sessions() -> None:
    subject = PipelineSubject(context(), manifest())
    with pytest.raises(NotImplementedError):
        await subject.open_stream(operation())


async def test_bare_tries_once_at_the_first_server() -> None:
    async with FakeServer("a", behaviour=UNAVAILABLE) as a, FakeServer("b") as b:
        subject = await bare.create(context(a, b, retry={"max_retries": 3}))
        for _ in range(2):
            with pytest.raises(NodeFailed):
                await subject.execute(operation())
        await subject.close()
        assert (len(received(a)), len(received(b))) == (2, 0)


async def test_grpc_native_runs_no_pipelines() -> None:
    with pytest.raises(ConfigurationError, match="runs no pipelines"):
        await grpc_native.create(context())


def test_without_reliability_only_that_is_left_out() -> None:
    whole = manifest(
        timeout_ms=700,
        retry={"max_retries": 3},
        circuit_breaker={"failure_threshold": 1},
        health_check={"interval_ms": 1000},
        load_balance="random",
        fallback=[{"name": "here", "node_type": "Echo"}],
    )
    capitals, away = without_reliability(whole).to_dict()["nodes"]
    assert capitals == whole.to_dict()["nodes"][0]
    params = away["params"]
    assert params.pop("manifest") == whole.to_dict()["nodes"][1]["params"]["manifest"]
    assert params == {
        "transport": "grpc",
        "endpoints": ["127.0.0.1:1"],
        "timeout_ms": 700,
        "retry": {"max_retries": 0},
        "repeatable": False,
    }
    assert "fallback" in whole.to_dict()["nodes"][1]["params"], "left as it was"
