from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from rpe.data import Audio, Text
from rpe.errors import (
    AuthenticationFailed,
    HopLimitExceeded,
    InvalidRequest,
    RemoteExecutionFailed,
    RemoteOverloaded,
    RemoteTimeout,
    RpeError,
)
from rpe.manifest.model import Manifest
from rpe.node import NodeCall, NodeType, PipelineNode, node
from rpe.node.serving import ServiceLimits
from rpe.transport.ports import HOPS_KEY, Metadata, PipelineClient
from tests.support.served import chain, graph, registry

UPPER = chain("UpperCase")


async def run(
    client: PipelineClient,
    manifest: Manifest = UPPER,
    *,
    timeout_s: float = 10.0,
    metadata: Metadata = (),
    **inputs: Any,
) -> Any:
    given = inputs or {manifest.entry: Text("hi")}
    return await client.execute(manifest, given, timeout_s=timeout_s, metadata=metadata)


async def test_a_pipeline_runs_on_the_nodes_of_the_registry(serve: Any, connect: Any) -> None:
    client = connect(await serve())
    manifest = chain("Strip", "UpperCase", "Replace", replace={"find": "L", "replacement": "_"})
    result = await run(client, manifest, strip=Text("  hello "))
    assert result.outputs == {"output": Text("HE__O")}
    assert result.wall_time_ms > 0


async def test_several_results_are_numbered_and_several_outputs_named(
    serve: Any, connect: Any, wire: str
) -> None:
    client = connect(await serve())
    manifest = graph(
        {"start": ("Letters", {}), "up": ("UpperCase", {}), "all": ("Collect", {})},
        ("start", "up"),
        ("start", "all"),
    )
    outputs = (await run(client, manifest, start=Text("abc"))).outputs
    every = {"up": Text("A"), "up.1": Text("B"), "up.2": Text("C"), "all": Text("a b c")}
    assert outputs == (every if wire != "http" else {"all": every["all"]})  # HTTP has room for one


@pytest.mark.parametrize(
    ("manifest", "inputs", "told"),
    [
        (chain("NoSuchType"), {}, "no node type is named 'NoSuchType'"),
        (chain("Gain", gain={"gian": 2}), {}, "gian"),
        (UPPER, {"elsewhere": Text("hi")}, "there is no node 'elsewhere'"),
        (UPPER, {"uppercase": Audio(np.zeros(80, np.float32), sample_rate=8000)}, "node uppercase: "),
    ],
)
async def test_what_is_wrong_in_the_request_is_told_and_nobody_is_blamed(
    serve: Any, connect: Any, manifest: Manifest, inputs: Any, told: str
) -> None:
    client = connect(await serve())
    with pytest.raises(InvalidRequest) as failed:
        await run(client, manifest, **inputs)
    assert told in failed.value.message


async def test_a_node_that_fails_is_named_and_secrets_stay_here(serve: Any, connect: Any) -> None:
    client = connect(await serve())
    manifest = chain("Strip", "Fail", fail={"message": "no luck, token=hush-hush"})
    with pytest.raises(RemoteExecutionFailed) as failed:
        await run(client, manifest)
    error = failed.value
    assert (error.node, error.error_type, error.downstream) == ("fail", "node_execution", None)
    assert "node fail: " in error.message and "ValueError: no luck" in error.message
    assert "hush" not in str(error) and "Traceback" not in str(error)


async def test_a_token_is_asked_for_in_all_places_but_the_health_check(
    serve: Any, connect: Any, wire: str
) -> None:
    server = await serve(token=["one", "two"])
    assert (await run(connect(server, token="two"))).output == Text("HI")
    for config in ({}, {"token": "three"}):
        client = connect(server, **config)
        with pytest.raises(AuthenticationFailed):
            await run(client)
        with pytest.raises(AuthenticationFailed):
            await client.open_stream(UPPER, timeout_s=5, open_timeout_s=5)
        if wire == "grpc":
            with pytest.raises(AuthenticationFailed):
                await client.get_version(timeout_s=5)
        if wire != "webrtc":  # where whoever shakes hands has shown its token already
            assert (await client.check_health(timeout_s=5)).status == "serving"


async def test_a_check_of_ones_own_may_wait(serve: Any, connect: Any) -> None:
    asked = []

    async def check(token: str) -> bool:
        asked.append(token)
        await asyncio.sleep(0)
        return token == "now"

    server = await serve(token=check)
    assert (await run(connect(server, token="now"))).output == Text("HI")
    with pytest.raises(AuthenticationFailed):
        await run(connect(server))
    assert {"now", ""} == set(asked)


async def test_executions_above_the_limit_are_told_to_come_back(serve: Any, connect: Any) -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    @node("Wait")
    async def wait(data: Any, call: NodeCall) -> Any:
        entered.set()
        await leave.wait()
        return data

    limits = ServiceLimits(runs=1, retry_after_s=0.25)
    client = connect(await serve(registry=registry(wait), limits=limits))
    first = asyncio.create_task(run(client, chain("Wait")))
    try:
        await entered.wait()
        with pytest.raises(RemoteOverloaded) as refused:
            await run(client)
        assert refused.value.retry_after_s == 0.25
    finally:
        leave.set()
    assert (await first).output == Text("hi")
    assert (await run(client)).output == Text("HI")


async def test_a_run_that_takes_too_long_is_given_up_before_the_caller_does(serve: Any, connect: Any) -> None:
    client = connect(await serve())
    with pytest.raises(RemoteTimeout):
        await run(client, chain("Slow", slow={"seconds": 30}), timeout_s=0.3)


async def test_a_caller_that_leaves_takes_its_run_with_it(serve: Any, connect: Any) -> None:
    entered, closed = asyncio.Event(), asyncio.Event()

    class Stuck(PipelineNode):
        def __init__(self, call: NodeCall) -> None:
            pass

        async def process(self, data: Any, emit: Any) -> None:
            entered.set()
            await asyncio.get_running_loop().create_future()

        async def close(self) -> None:
            closed.set()

    client = connect(await serve(registry=registry(NodeType("Stuck", Stuck))))
    task = asyncio.create_task(run(client, chain("Stuck")))
    await entered.wait()
    task.cancel()
    async with asyncio.timeout(5):
        await closed.wait()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("hops", [None, "1", "10"])
async def test_the_run_knows_how_far_away_it_began(serve: Any, connect: Any, hops: str | None) -> None:
    @node("Hops")
    def tell(data: Any, call: NodeCall) -> Text:
        remaining_s = call.context.remaining_s(call.clock.now())
        assert remaining_s is not None and 8 < remaining_s <= 9.9
        return Text(str(call.context.hops))

    client = connect(await serve(registry=registry(tell)))
    pairs = [] if hops is None else [(HOPS_KEY, hops)]
    assert (await run(client, chain("Hops"), metadata=pairs)).output == Text(hops or "0")


async def test_a_call_that_came_too_far_is_refused(serve: Any, connect: Any) -> None:
    client = connect(await serve())
    for opening in (
        run(client, metadata=[(HOPS_KEY, "11")]),
        client.open_stream(UPPER, timeout_s=5, open_timeout_s=5, metadata=[(HOPS_KEY, "11")]),
    ):
        with pytest.raises(HopLimitExceeded) as refused:
            await opening
        error = refused.value
        assert (error.hops, error.retryable, error.maybe_executed) == (11, False, False)
        assert error.endpoint == client.endpoint


@pytest.mark.parametrize("hops", ["", "-1", "1.5", "x", "9" * 40])
async def test_a_number_of_hops_that_is_none_is_refused(serve: Any, connect: Any, hops: str) -> None:
    client = connect(await serve("grpc"))
    with pytest.raises(RpeError) as refused:
        await run(client, metadata=[(HOPS_KEY, hops)])
    assert isinstance(refused.value, InvalidRequest)


async def test_it_says_what_it_has_and_when_it_stops(serve: Any, connect: Any, wire: str) -> None:
    server = await serve()
    client = connect(server)
    if wire == "grpc":
        assert "UpperCase" in (await client.get_version(timeout_s=5)).node_types
    assert (await client.check_health(timeout_s=5)).status == "serving"
    server.service.drain()
    assert (await client.check_health(timeout_s=5)).status == "not_serving"
