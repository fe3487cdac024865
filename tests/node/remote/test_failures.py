from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rpe.data import Text
from rpe.errors import AllEndpointsFailed, ErrorKind, RemoteExecutionFailed
from rpe.fakes import FakeServer
from rpe.manifest.model import Connection, Manifest, Node
from rpe.node import NodeFailed, PipelineRunner
from tests.node.remote.pipelines import pipeline, remote, texts


async def failure_of(runner: PipelineRunner) -> NodeFailed:
    with pytest.raises(NodeFailed) as caught:
        async with asyncio.timeout(15):
            await runner.run({"in": Text("x")})
    return caught.value


@pytest.mark.parametrize(
    ("behaviour", "params", "kind"),
    [
        ({"error": {"status": "unavailable"}}, {}, ErrorKind.NETWORK),
        ({"hang": {}}, {"timeout_ms": 300}, ErrorKind.TIMEOUT),
        ({"application_error": {"error_type": "node_execution"}}, {}, ErrorKind.REMOTE_EXECUTION),
        ({"corrupt": {"mode": "garbage"}}, {}, ErrorKind.DATA_VALIDATION),
        ({"error": {"status": "invalid_argument"}}, {}, ErrorKind.DATA_VALIDATION),
        ({"token": "right"}, {"auth_token": "wrong"}, ErrorKind.CONFIGURATION),
    ],
)
async def test_whose_fault_it_is_is_told_with_node_and_endpoint(
    wire: str, behaviour: dict[str, Any], params: dict[str, Any], kind: ErrorKind
) -> None:
    async with FakeServer("a", wire, behaviour) as fake:
        node = remote(fake.endpoint, wire, node_id="org-b", check_node_types=False, **params)
        error = await failure_of(pipeline(node, edges=["in org-b", "org-b out"]))
    assert (error.kind, error.node, error.endpoint) == (kind, "org-b", fake.endpoint)
    assert "node org-b" in str(error)
    assert fake.endpoint in str(error)
    assert len(error.attempts) == 1


async def test_a_server_that_is_gone(wire: str) -> None:
    async with FakeServer("a", wire) as fake:
        pass
    error = await failure_of(pipeline(remote(fake.endpoint, wire, timeout_ms=3000), edges=["in r"]))
    assert (error.kind, error.node, error.endpoint) == (ErrorKind.NETWORK, "r", fake.endpoint)


async def test_every_attempt_is_told(wire: str) -> None:
    script = {"error": {"status": "unavailable"}}
    async with FakeServer("a", wire, script) as a, FakeServer("b", wire, script) as b:
        retry = {"max_retries": 3, "backoff_ms": 1}
        node = remote([a.endpoint, b.endpoint], wire, retry=retry)
        error = await failure_of(pipeline(node, edges=["in r"]))
    assert isinstance(error.__cause__, AllEndpointsFailed)
    assert len(error.attempts) == 4
    assert {attempt.endpoint for attempt in error.attempts} == {a.endpoint, b.endpoint}
    assert error.endpoint is not None
    assert set(error.endpoint.split(", ")) == {a.endpoint, b.endpoint}


async def test_the_failing_node_inside_the_remote_pipeline_is_named(wire: str) -> None:
    script = {"application_error": {"error_type": "node_execution", "node_id": "far"}}
    async with FakeServer("a", wire, script) as fake:
        error = await failure_of(pipeline(remote(fake.endpoint, wire), edges=["in r"]))
    assert isinstance(error.__cause__, RemoteExecutionFailed)
    assert error.node == "r"
    assert "in node far" in str(error)


async def test_what_is_not_repeatable_is_not_done_twice(wire: str) -> None:
    # An answer that cannot be read was executed, as far as anybody knows.
    script = {"corrupt": {"mode": "garbage"}}
    async with FakeServer("a", wire, script) as a, FakeServer("b", wire) as b:
        endpoints = [a.endpoint, b.endpoint]
        careful = remote(endpoints, wire, retry={"max_retries": 3}, repeatable=False)
        free = remote(endpoints, wire, retry={"max_retries": 3})
        assert (await failure_of(pipeline(careful, edges=["in r"]))).kind is ErrorKind.DATA_VALIDATION
        assert texts((await pipeline(free).run(Text("x")))["r"]) == ["x"]


async def test_an_error_port_takes_what_failed_and_the_node_goes_on(wire: str) -> None:
    async with FakeServer("a", wire, {"application_error": {"first": 1}}) as fake:
        manifest = Manifest(
            nodes=(remote(fake.endpoint, wire), Node("r.error", "ErrorPort"), Node("out", "Echo")),
            connections=(Connection("r", "out"),),
        )
        given = await PipelineRunner(manifest).run({"r": [Text("a", metadata={"id": "7"}), Text("b")]})
    assert texts(given["out"]) == ["b"]
    (told,) = given["r.error"]
    assert told.metadata == {"id": "7"}
    assert told.value["kind"] == "remote_execution"  # type: ignore[union-attr]
