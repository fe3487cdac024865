from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rpe.data import Text
from rpe.errors import (
    DataValidationError,
    InvalidRequest,
    RemoteExecutionFailed,
    RemoteOverloaded,
    RemoteTimeout,
    RpeError,
)
from rpe.manifest.model import Manifest
from rpe.node import NodeCall, NodeType, PipelineNode
from rpe.node.serving import ServiceLimits
from rpe.transport.ports import ClientStreamSession, PipelineClient
from tests.support.served import chain, graph, registry, texts

DIAMOND = graph(
    {"in": ("Echo", {}), "fast": ("UpperCase", {}), "slow": ("Slow", {"seconds": 0.02})},
    ("in", "fast"),
    ("in", "slow"),
)


async def opened(client: PipelineClient, manifest: Manifest, timeout_s: float = 20.0) -> ClientStreamSession:
    return await client.open_stream(manifest, timeout_s=timeout_s, open_timeout_s=5)


async def said(session: ClientStreamSession, *chunks: tuple[int, str], node: str) -> list[tuple[int, str]]:
    """Send chunks, finish, and return all results of the output `output`."""
    for sequence, content in chunks:
        await session.send(Text(content), node_id=node, sequence=sequence)
    await session.finish()
    return [(sequence, outputs["output"]) for sequence, outputs in await texts(session)]


@pytest.mark.parametrize(
    ("types", "results"),
    [
        (["UpperCase"], [(0, "AB"), (3, ""), (4, "C"), (9, "D")]),
        (["Letters", "UpperCase"], [(0, "A"), (0, "B"), (4, "C"), (9, "D")]),
        (["Pairs"], [(3, "ab+"), (9, "c+d")]),
        (["Letters", "Pairs"], [(0, "a+b"), (9, "c+d")]),
        (["Slow", "Letters", "UpperCase"], [(0, "A"), (0, "B"), (4, "C"), (9, "D")]),
        (["Letters", "Slow", "Pairs"], [(0, "a+b"), (9, "c+d")]),
    ],
)
async def test_results_carry_the_numbers_of_their_chunks(
    serve: Any, connect: Any, types: list[str], results: list[tuple[int, str]]
) -> None:
    session = await opened(connect(await serve()), chain(*types, slow={"seconds": 0.005}))
    chunks = [(0, "ab"), (3, ""), (4, "c"), (9, "d")]
    assert await said(session, *chunks, node=types[0].lower()) == results


async def test_a_result_comes_when_it_is_there_and_not_with_the_next_chunk(serve: Any, connect: Any) -> None:
    session = await opened(connect(await serve()), chain("Strip", "UpperCase"))
    for sequence in range(5):
        await session.send(Text(f" chunk {sequence} "), node_id="strip", sequence=sequence)
        async with asyncio.timeout(5):
            result = await session.receive()
        assert result is not None
        assert (result.sequence, result.output) == (sequence, Text(f"CHUNK {sequence}"))
    await session.finish()
    assert await session.receive() is None


async def test_what_is_left_at_the_end_comes_before_the_close(serve: Any, connect: Any) -> None:
    session = await opened(connect(await serve()), chain("Echo", "Collect", "UpperCase"))
    assert await said(session, (0, "a"), (1, "b"), (2, "c"), node="echo") == [(2, "A B C")]


async def test_the_results_of_unequal_branches_stay_in_the_order_of_their_chunks(
    serve: Any, connect: Any
) -> None:
    session = await opened(connect(await serve()), DIAMOND)
    for sequence in range(6):
        await session.send(Text(f"t{sequence}"), node_id="in", sequence=sequence)
    await session.finish()
    given = await texts(session)
    assert [sequence for sequence, _ in given] == sorted(2 * list(range(6)))
    for sequence in range(6):
        of_chunk = [outputs for number, outputs in given if number == sequence]
        assert {"fast": f"T{sequence}"} in of_chunk and {"slow": f"t{sequence}"} in of_chunk


async def test_chunks_without_a_result_hold_nothing_up(serve: Any, connect: Any) -> None:
    session = await opened(connect(await serve()), chain("Letters"))
    for sequence in range(500):
        await session.send(Text(""), node_id="letters", sequence=sequence)
    assert await said(session, (500, "x"), node="letters") == [(500, "x")]


async def test_more_chunks_than_fit_wait_for_the_reader(serve: Any, connect: Any) -> None:
    session = await opened(connect(await serve()), chain("Echo", "UpperCase"))

    async def send() -> None:
        for sequence in range(200):
            await session.send(Text(f"t{sequence}"), node_id="echo", sequence=sequence)
        await session.finish()

    sending = asyncio.create_task(send())
    assert await texts(session) == [(i, {"output": f"T{i}"}) for i in range(200)]
    await sending


async def test_a_chunk_may_go_to_any_node(serve: Any, connect: Any) -> None:
    session = await opened(connect(await serve()), chain("Strip", "UpperCase"))
    assert await said(session, (0, " a "), node="uppercase") == [(0, " A ")]


async def test_a_chunk_for_nobody_ends_the_session(serve: Any, connect: Any) -> None:
    session = await opened(connect(await serve()), chain("Strip"))
    with pytest.raises(InvalidRequest, match="there is no node 'elsewhere'"):
        await said(session, (0, "a"), node="elsewhere")


async def test_a_node_that_fails_ends_the_session_with_its_name(serve: Any, connect: Any) -> None:
    session = await opened(connect(await serve()), chain("Letters", "Fail"))
    await session.send(Text(""), node_id="letters", sequence=0)
    await session.send(Text("x"), node_id="letters", sequence=1)
    with pytest.raises(RemoteExecutionFailed, match="node fail: ValueError: it broke") as failed:
        await session.receive()
    assert failed.value.node == "fail"


async def test_a_pipeline_that_cannot_run_is_told_at_the_opening(serve: Any, connect: Any) -> None:
    client = connect(await serve())
    with pytest.raises(InvalidRequest, match="NoSuchType"):
        await opened(client, chain("NoSuchType"))


async def test_a_broken_rule_ends_the_session(serve: Any, connect: Any, wire: str) -> None:
    session = await opened(connect(await serve()), chain("Echo"))
    await session.send(Text("a"), node_id="echo", sequence=4)
    with pytest.raises(DataValidationError):
        await session.send(Text("b"), node_id="echo", sequence=4)
    session.cancel()


async def test_sessions_above_the_limit_are_told_to_come_back(serve: Any, connect: Any) -> None:
    client = connect(await serve(limits=ServiceLimits(sessions=1, retry_after_s=0.5)))
    first = await opened(client, chain("Echo"))
    with pytest.raises(RemoteOverloaded) as refused:
        await opened(client, chain("Echo"))
    assert refused.value.retry_after_s == 0.5
    assert await said(first, (0, "a"), node="echo") == [(0, "a")]
    async with asyncio.timeout(5):
        while True:  # the server sees the end of a session a moment after its client
            try:
                second = await opened(client, chain("Echo"))
                break
            except RemoteOverloaded:
                await asyncio.sleep(0.01)
    assert await said(second, (0, "b"), node="echo") == [(0, "b")]


@pytest.mark.parametrize("how", ["cancel", "deadline", "stop"])
async def test_a_session_that_ends_early_takes_its_nodes_with_it(serve: Any, connect: Any, how: str) -> None:
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
    session = await opened(client, chain("Stuck"), timeout_s=0.4 if how == "deadline" else 20)
    await session.send(Text("a"), node_id="stuck", sequence=0)
    async with asyncio.timeout(5):
        await entered.wait()
        if how == "cancel":
            session.cancel()
        elif how == "stop":
            await client.close()
        else:
            with pytest.raises(RpeError) as ended:
                await session.receive()
            assert isinstance(ended.value, RemoteTimeout)
        await closed.wait()
