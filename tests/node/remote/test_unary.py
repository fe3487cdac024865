from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from rpe.clock import SYSTEM_CLOCK
from rpe.data import Audio, Control, RuntimeData, Text
from rpe.data.control import BatchHint
from rpe.errors import ConfigurationError, ErrorKind, HopLimitExceeded
from rpe.fakes import FakeServer, Kind
from rpe.fakes.nodes import BUILT_IN
from rpe.manifest.model import Manifest
from rpe.node import NodeFailed, RunContext
from rpe.node.remote.outputs import in_order
from tests.node.remote.pipelines import inline, pipeline, remote, served, texts
from tests.support.handlers import Handler


def letters(data: Any, call: Any) -> list[Text]:
    """Text, letter by letter."""
    return [Text(letter) for letter in data.text]


LETTERS = {**BUILT_IN, "Letters": letters}


async def test_each_item_is_one_execution(wire: str) -> None:
    async with FakeServer("a", wire) as fake:
        runner = pipeline(remote(fake.endpoint, wire, manifest=inline("UpperCase")), edges=["in r", "r out"])
        items: list[RuntimeData] = [
            Text("a", metadata={"id": "1"}),
            Control(BatchHint(4)),
            Text("b", language="en"),
        ]
        given = await runner.run({"in": items})
    # The control message passes by here, in its place.
    assert given["out"] == [Text("A", metadata={"id": "1"}), Control(BatchHint(4)), Text("B", language="en")]
    calls = fake.journal.entries(Kind.RECEIVED)
    assert [entry.method for entry in calls].count("execute") == 2


async def test_the_alias_is_the_same_node(wire: str) -> None:
    async with FakeServer("a", wire) as fake:
        runner = pipeline(remote(fake.endpoint, wire, manifest=inline("Reverse"), alias=True))
        assert texts((await runner.run(Text("abc")))["r"]) == ["cba"]


@pytest.mark.parametrize("wire", ["grpc", "webrtc"])  # an answer over HTTP has one output
async def test_all_outputs_come_in_order(wire: str) -> None:
    async with FakeServer("a", wire, nodes=LETTERS) as fake:
        runner = pipeline(remote(fake.endpoint, wire, manifest=inline("Letters")))
        given = await runner.run({"r": [Text("abcdefghijkl"), Text("m")]})
    assert "".join(texts(given["r"])) == "abcdefghijklm"


def test_outputs_are_ordered_by_their_names() -> None:
    ids = ["b", "a", "x.y"]
    manifest = Manifest.from_dict(
        {"version": "v1", "nodes": [{"id": node_id, "node_type": "Echo", "params": {}} for node_id in ids]}
    )
    names = ["x.y.2", "a.10", "zz", "a", "b.1", "x.y", "a.2", "b"]
    ordered = in_order({name: Text(name) for name in names}, manifest)
    assert texts(ordered) == ["b", "b.1", "a", "a.2", "a.10", "x.y", "x.y.2", "zz"]
    lone = in_order({name: Text(name) for name in ["output.11", "output.2", "output"]}, manifest)
    assert texts(lone) == ["output", "output.2", "output.11"]


@pytest.mark.parametrize("wire", ["grpc", "webrtc"])  # an answer over HTTP has one output
async def test_a_pipeline_with_several_outputs_gives_them_all(wire: str) -> None:
    far = {
        "version": "v1",
        "nodes": [
            {"id": "in", "node_type": "Echo", "params": {}},
            {"id": "up", "node_type": "UpperCase", "params": {}},
            {"id": "back", "node_type": "Reverse", "params": {}},
        ],
        "connections": [{"from": "in", "to": "up"}, {"from": "in", "to": "back"}],
    }
    async with FakeServer("a", wire) as fake:
        given = await pipeline(remote(fake.endpoint, wire, manifest=far)).run(Text("ab"))
    assert texts(given["r"]) == ["AB", "ba"]


async def test_connections_join_local_and_remote_nodes_in_every_number() -> None:
    async with FakeServer("a") as fake:
        up = remote(fake.endpoint, node_id="up", manifest=inline("UpperCase"))
        back = remote(fake.endpoint, node_id="back", manifest=inline("Reverse"))
        # One to many, many to one, and many to many: two remote nodes between four local ones.
        runner = pipeline(
            up,
            back,
            edges=[
                "in up",
                "in back",
                "side up",
                "side back",
                "up x",
                "back x",
                "up y",
                "back y",
                "x all",
                "y all",
            ],
        )
        given = await runner.run({"in": Text("ab"), "side": Text("cd")})
    assert sorted(texts(given["all"])) == sorted(["AB", "CD", "ba", "dc"] * 2)


async def test_remote_nodes_follow_each_other_over_all_wires() -> None:
    async with FakeServer("a", "grpc") as a, FakeServer("b", "http") as b, FakeServer("c", "webrtc") as c:
        runner = pipeline(
            remote(a.endpoint, "grpc", node_id="a", manifest=inline("UpperCase")),
            remote(b.endpoint, "http", node_id="b", manifest=inline("Reverse")),
            remote(c.endpoint, "webrtc", node_id="c"),
            edges=["a b", "b c"],
        )
        assert texts((await runner.run({"a": [Text("ab"), Text("cd")]}))["c"]) == ["BA", "DC"]


async def test_hops_and_metadata_travel_with_each_call(wire: str) -> None:
    handler = Handler()
    async with served(handler, wire) as endpoint:
        runner = pipeline(remote(endpoint, wire, metadata={"Tenant": "blue"}))
        await runner.run(Text("x"))
        await runner.run(Text("x"), context=RunContext(hops=4))
    calls = [call for call in handler.calls if "rpe-hops" in call.metadata]
    assert [call.metadata["rpe-hops"] for call in calls] == ["1", "5"]
    assert {call.metadata["tenant"] for call in calls} == {"blue"}


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_hop_too_many_is_not_sent(streaming: bool) -> None:
    async with FakeServer("a") as fake:
        runner = pipeline(remote(fake.endpoint, streaming=streaming, check_node_types=False))
        await runner.run(Text("x"), context=RunContext(hops=9))
        before = len(fake.journal.entries(Kind.RECEIVED))
        with pytest.raises(NodeFailed) as caught:
            await runner.run(Text("x"), context=RunContext(hops=10))
        assert isinstance(caught.value.__cause__, HopLimitExceeded)
        assert (caught.value.retryable, caught.value.maybe_executed) == (False, False)
        assert len(fake.journal.entries(Kind.RECEIVED)) == before


async def test_the_deadline_of_the_run_is_kept(wire: str) -> None:
    async with FakeServer("a", wire, {"hang": {}}) as fake:
        runner = pipeline(remote(fake.endpoint, wire, check_node_types=False))
        started_s = SYSTEM_CLOCK.now()
        with pytest.raises(NodeFailed) as caught:
            async with asyncio.timeout(10):
                await runner.run(Text("x"), context=RunContext(deadline_s=started_s + 0.3))
    assert (caught.value.kind, caught.value.node) == (ErrorKind.TIMEOUT, "r")
    assert SYSTEM_CLOCK.now() - started_s < 5


async def test_nothing_is_sent_after_the_deadline() -> None:
    async with FakeServer("a") as fake:
        runner = pipeline(remote(fake.endpoint, check_node_types=False))
        with pytest.raises(NodeFailed) as caught:
            await runner.run(Text("x"), context=RunContext(deadline_s=SYSTEM_CLOCK.now() - 1))
        assert fake.journal.entries(Kind.RECEIVED) == []
    assert (caught.value.kind, caught.value.maybe_executed) == (ErrorKind.TIMEOUT, False)


async def test_a_token_comes_from_the_environment_or_a_file(wire: str, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("s3cret\n")
    async with FakeServer("a", wire, {"token": "s3cret"}) as fake:
        sources: tuple[dict[str, Any], ...] = (
            {"auth_token": "${TOKEN}"},
            {"auth_token": "s3${PART}"},
            {"auth_token_file": str(file)},
        )
        for params in sources:
            node = remote(fake.endpoint, wire, **params)
            runner = pipeline(node, environment={"TOKEN": "s3cret", "PART": "cret"})
            assert texts((await runner.run(Text("x")))["r"]) == ["x"]
        with pytest.raises(NodeFailed, match="authentication_failed") as caught:
            await pipeline(remote(fake.endpoint, wire, auth_token="wr0ng")).run(Text("x"))
    assert caught.value.endpoint == fake.endpoint
    assert "wr0ng" not in str(caught.value)


async def test_unknown_variables_are_named_all_at_once_and_nothing_is_sent() -> None:
    async with FakeServer("a") as fake:
        runner = pipeline(
            remote(fake.endpoint, node_id="one", auth_token="Bearer ${NO_SUCH}"),
            remote(fake.endpoint, node_id="two", auth_token="${NOT_THIS} ${KNOWN}"),
            environment={"KNOWN": "s3cret"},
        )
        with pytest.raises(ConfigurationError) as caught:
            await runner.run({"one": Text("x")})
        assert fake.journal.entries(Kind.RECEIVED) == []
    told = str(caught.value)
    assert "node one" in told
    assert "NO_SUCH" in told
    assert "node two" in told
    assert "NOT_THIS" in told
    assert "nodes[0].params.auth_token" in told
    assert "s3cret" not in told


@pytest.mark.parametrize(
    "params", [{"auth_token_file": "/etc/hostname"}, {"tls": {"ca_file": "/etc/hostname"}}]
)
async def test_a_process_may_forbid_files(params: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"nodes\[0\]\.params\.\S+ names a file"):
        await pipeline(remote("127.0.0.1:1", **params), files=False).run(Text("x"))


async def test_a_file_that_is_missing_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"tls\.key_file: /no/such cannot be read") as caught:
        files = {"cert_file": "/etc/hostname", "key_file": "/no/such"}
        await pipeline(remote("127.0.0.1:1", tls=files)).run(Text("x"))
    assert caught.value.node == "r"


async def test_a_token_in_clear_text_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(ConfigurationError, match="clear text") as caught:
        await pipeline(remote("192.0.2.1:1", auth_token="s3cret")).run(Text("x"))
    assert (caught.value.node, caught.value.endpoint) == ("r", "192.0.2.1:1")


async def test_audio_goes_through_a_remote_node_unchanged(wire: str) -> None:
    import numpy as np

    audio = Audio(np.linspace(-1, 1, 480, dtype=np.float32), 16_000, timestamp_us=1_500_000)
    async with FakeServer("a", wire) as fake:
        (given,) = (await pipeline(remote(fake.endpoint, wire)).run(audio))["r"]
    assert given == audio


async def test_a_cancelled_run_cancels_the_execution(wire: str) -> None:
    handler = Handler()
    handler.busy_s = 30
    async with served(handler, wire) as endpoint, pipeline(remote(endpoint, wire)) as runner:
        running = asyncio.create_task(runner.run(Text("x")))
        await handler.entered.wait()
        running.cancel()
        await asyncio.wait([running])
        assert running.cancelled()
        async with asyncio.timeout(5):
            await handler.ended.wait()
        figures = runner.metrics()["r"].remote
    assert figures is not None
    assert (figures.calls, figures.errors) == (0, {})


async def test_calls_carry_the_name_of_their_operation_with_node_and_number(wire: str) -> None:
    async with FakeServer("a", wire) as fake:
        runner = pipeline(remote(fake.endpoint, wire, manifest=inline("UpperCase")))
        await runner.run({"r": [Text("a"), Text("b")]}, context=RunContext(operation_id="op-7"))
        await runner.run({"r": [Text("c")]})
    named = [entry.operation_id for entry in fake.journal.entries(Kind.RECEIVED) if entry.method == "execute"]
    assert named == ["op-7/r/0", "op-7/r/1", ""]
