from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rpe.data import Json, RuntimeData, Text
from rpe.errors import ErrorKind, RemoteTimeout
from rpe.manifest.model import Connection, Manifest, Node
from rpe.node import Emit, NodeCall, NodeFailed, NodeRegistry, NodeType, PipelineNode, PipelineRunner, node

CLOSED: list[str] = []


class Touchy(PipelineNode):
    """Fails where the text, its params or the end of the input tell it to."""

    def __init__(self, call: NodeCall) -> None:
        self._call = call
        self._fail_in("make")

    def _fail_in(self, place: str) -> None:
        if self._call.params.get("fail_in") == place:
            raise RuntimeError(f"cannot {place}, token=s3cret")

    async def process(self, data: RuntimeData, emit: Emit) -> None:
        assert isinstance(data, Text)
        await emit(data)
        if self._call.params.get("calm"):
            return
        if data.text == "bad":
            raise RuntimeError("bad text")
        if data.text == "late":
            raise RemoteTimeout("no answer", endpoint="far:1", node="stt", hint="wait")
        if data.text == "cancelled":
            raise asyncio.CancelledError  # such as a library does whose own call was cancelled
        if data.text == "wrong":
            await emit("just a str")  # type: ignore[arg-type]

    async def flush(self, emit: Emit) -> None:
        self._fail_in("flush")

    async def close(self) -> None:
        CLOSED.append(self._call.node_id)
        self._fail_in("close")


@node("Number", takes=["text"], gives=["json"])
def number(data: Text, call: NodeCall) -> Json:
    return Json(len(data.text))


REGISTRY = NodeRegistry(entry_point_group=None)
REGISTRY.register(NodeType("Touchy", Touchy, takes=frozenset(["text"]), gives=frozenset(["text"])))
REGISTRY.register(number)


@pytest.fixture(autouse=True)
def none_closed() -> None:
    CLOSED.clear()


def pipeline(*, port: bool = False, **params: Any) -> PipelineRunner:
    nodes = [Node("in", "Touchy"), Node("mid", "Touchy", params), Node("out", "Touchy", {"calm": True})]
    links = [Connection("in", "mid"), Connection("mid", "out")]
    if port:
        nodes += [Node("mid.error", "ErrorPort"), Node("errors", "PassThrough")]
        links.append(Connection("mid.error", "errors"))
    return PipelineRunner(Manifest(nodes=tuple(nodes), connections=tuple(links)), REGISTRY)


async def failure_of(runner: PipelineRunner, *texts: str, to: str = "mid") -> NodeFailed:
    with pytest.raises(NodeFailed) as caught:
        await runner.run({to: [Text(text) for text in texts]})
    return caught.value


async def test_a_failing_node_fails_the_run_with_its_id_and_all_are_closed() -> None:
    error = await failure_of(pipeline(), "ok", "bad", "never")
    assert error.node == "mid"
    assert error.kind is ErrorKind.REMOTE_EXECUTION
    assert "RuntimeError: bad text" in str(error)
    assert "node mid" in str(error)
    assert isinstance(error.__cause__, RuntimeError)
    assert (error.retryable, error.maybe_executed) == (False, True)
    assert sorted(CLOSED) == ["in", "mid", "out"]


async def test_the_blame_of_an_error_of_rpe_is_kept() -> None:
    error = await failure_of(pipeline(), "late")
    assert (error.kind, error.node, error.endpoint) == (ErrorKind.TIMEOUT, "mid", "far:1")
    assert (error.retryable, error.hint) == (True, "wait")
    assert "[remote_timeout] no answer (inside it, in node stt)" in error.message


@pytest.mark.parametrize("place", ["make", "flush", "close"])
async def test_it_may_fail_anywhere(place: str) -> None:
    error = await failure_of(pipeline(fail_in=place), "ok")
    assert (error.node, error.message) == ("mid", f"RuntimeError: cannot {place}, token=[redacted]")


async def test_a_cancellation_that_nobody_asked_for_is_a_failure() -> None:
    async with asyncio.timeout(5):
        assert (await failure_of(pipeline(), "cancelled")).message == "CancelledError"


async def test_data_of_the_wrong_kind_is_refused_on_both_sides() -> None:
    error = await failure_of(pipeline(), "wrong")
    assert error.kind is ErrorKind.DATA_VALIDATION
    assert "gives text, not str" in error.message
    with pytest.raises(NodeFailed, match="takes text, not json") as caught:
        await pipeline().run({"mid": Json(1)})
    assert (caught.value.node, caught.value.kind) == ("mid", ErrorKind.DATA_VALIDATION)


async def test_an_error_port_takes_the_errors_and_the_node_goes_on() -> None:
    runner = pipeline(port=True)
    items = [Text("1"), Text("bad", metadata={"id": "7"}), Text("late"), Text("2")]
    given = await runner.run({"mid": items})
    # What came out before the failure stays out: here the node gives each text first.
    assert [item.text for item in given["out"] if isinstance(item, Text)] == ["1", "bad", "late", "2"]
    first, second = given["errors"]
    assert isinstance(first, Json)
    assert isinstance(second, Json)
    assert first.value == {
        "node": "mid",
        "kind": "remote_execution",
        "message": "RuntimeError: bad text",
        "retryable": False,
        "maybe_executed": True,
        "data_kind": "text",
    }
    assert first.metadata == {"id": "7"}
    assert first.schema_type == "rpe.node_error"
    assert (second.value["kind"], second.value["retryable"]) == ("timeout", True)
    assert runner.metrics()["mid"].errors == 2
    assert runner.metrics()["mid.error"].items_out == 2


@pytest.mark.parametrize("place", ["flush", "close"])
async def test_an_error_port_takes_errors_that_belong_to_no_item(place: str) -> None:
    given = await pipeline(port=True, fail_in=place).run({"mid": Text("1")})
    (error,) = given["errors"]
    assert isinstance(error, Json)
    assert error.value["data_kind"] is None
    assert place in error.value["message"]
    assert given["out"] == [Text("1")]


async def test_an_error_port_helps_its_own_node_only() -> None:
    error = await failure_of(pipeline(port=True), "bad", to="in")
    assert error.node == "in"


async def test_an_error_port_that_leads_nowhere_is_an_output() -> None:
    marked = Manifest(nodes=(Node("n", "Touchy", is_output_node=True), Node("n.error", "ErrorPort")))
    given = await PipelineRunner(marked, REGISTRY).run({"n": Text("bad")})
    assert len(given["n.error"]) == 1


async def test_the_caller_s_own_input_may_fail() -> None:
    def broken() -> Any:
        yield Text("1")
        raise OSError("no more")

    with pytest.raises(OSError, match="no more"):
        await pipeline().run({"in": broken()})
    assert sorted(CLOSED) == ["in", "mid", "out"]
