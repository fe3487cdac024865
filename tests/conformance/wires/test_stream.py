"""Sessions: numbered chunks in, results out in order, ends in good order or with an error that says so."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from rpe.data import Audio, Text
from rpe.errors import (
    DataValidationError,
    InvalidRequest,
    NetworkError,
    ProtocolViolation,
    RemoteExecutionFailed,
    RemoteTimeout,
    RpeError,
    SessionClosed,
    StreamBroken,
)
from rpe.fakes import Kind
from rpe.transport.ports import ChunkResult, ClientStreamSession
from tests.support.wire_pairs import Pairs, pipeline


async def read_all(session: ClientStreamSession) -> list[ChunkResult]:
    found = []
    while (result := await session.receive()) is not None:
        found.append(result)
    return found


async def send_texts(session: ClientStreamSession, *texts: str) -> None:
    for sequence, text in enumerate(texts):
        await session.send(Text(text), node_id="node", sequence=sequence)


async def test_chunks_are_answered_in_order_and_the_session_closes(pairs: Pairs) -> None:
    pair = await pairs()
    session = await pair.open(pipeline("UpperCase"))
    assert session.session_id
    await send_texts(session, "a", "b", "c")
    await session.finish()
    results = await read_all(session)
    assert [(result.sequence, result.output) for result in results] == [
        (0, Text("A")),
        (1, Text("B")),
        (2, Text("C")),
    ]
    assert await session.receive() is None
    assert (await pair.ended("stream")).kind is Kind.SENT


async def test_answers_come_while_chunks_go(pairs: Pairs) -> None:
    pair = await pairs()
    session = await pair.open()
    for sequence in (0, 1, 5, 9):
        chunk = Audio(np.full(320, sequence, np.float32), 16_000)
        await session.send(chunk, node_id="node", sequence=sequence)
        result = await session.receive()
        assert result is not None
        assert (result.sequence, result.output) == (sequence, chunk)
    await session.finish()
    assert await read_all(session) == []


async def test_a_chunk_may_give_several_results_or_none(pairs: Pairs) -> None:
    def letters(data: Any, call: Any) -> list[Text]:
        return [Text(letter) for letter in data.text]

    pair = await pairs(nodes={"Letters": letters})
    session = await pair.open(pipeline("Letters"))
    await send_texts(session, "abc", "", "d")
    await session.finish()
    results = await read_all(session)
    assert [(result.sequence, result.output) for result in results] == [
        (0, Text("a")),
        (0, Text("b")),
        (0, Text("c")),
        (2, Text("d")),
    ]


async def test_a_number_that_does_not_rise_is_refused_before_it_is_sent(pairs: Pairs) -> None:
    pair = await pairs()
    session = await pair.open()
    await session.send(Text("a"), node_id="node", sequence=3)
    with pytest.raises(DataValidationError, match="sequence"):
        await session.send(Text("b"), node_id="node", sequence=3)
    await session.send(Text("c"), node_id="node", sequence=4)
    await session.finish()
    assert [result.sequence for result in await read_all(session)] == [3, 4]


async def test_after_finish_nothing_can_be_sent(pairs: Pairs) -> None:
    pair = await pairs()
    session = await pair.open()
    await session.finish()
    with pytest.raises(SessionClosed):
        await session.send(Text("a"), node_id="node", sequence=0)
    assert await read_all(session) == []


async def test_cancel_reaches_the_server(pairs: Pairs) -> None:
    pair = await pairs()
    session = await pair.open(pipeline("Delay", delay_ms=60_000))
    await session.send(Text("a"), node_id="node", sequence=0)
    await pair.fake.journal.wait_for(lambda entry: entry.kind is Kind.CHUNK, timeout_s=10.0)
    session.cancel()
    session.cancel()
    with pytest.raises(SessionClosed):
        await session.receive()
    with pytest.raises(SessionClosed):
        await session.send(Text("b"), node_id="node", sequence=1)
    assert (await pair.ended("stream")).kind is Kind.CANCELLED
    assert pair.fake.journal.in_flight == 0


CUTS: Mapping[str, tuple[dict[str, Any], type[RpeError]]] = {
    "reset": ({"cut_after": 2, "how": "reset"}, StreamBroken),
    "end": ({"cut_after": 2, "how": "end"}, StreamBroken),
    "status": ({"cut_after": 2, "how": "status", "status": "unavailable"}, NetworkError),
    "error": ({"error_after": 2}, RemoteExecutionFailed),
}


@pytest.mark.parametrize(("script", "error"), CUTS.values(), ids=CUTS.keys())
async def test_a_session_that_is_cut_says_so(pairs: Pairs, script: Any, error: type[RpeError]) -> None:
    pair = await pairs({"stream": script})
    session = await pair.open()
    seen = 0
    with pytest.raises(error) as caught:
        for sequence in range(50):
            # Only what was received says why: a chunk that meets the end on its way is told less.
            if sequence < 2 or script.get("how") == "reset":
                await session.send(Text("x"), node_id="node", sequence=sequence)
            if await session.receive() is None:
                break
            seen += 1
    # A reset may overtake what was sent just before it.
    assert seen <= 2 if script.get("how") == "reset" else seen == 2
    assert caught.value.endpoint == pair.client.endpoint
    with pytest.raises(type(caught.value)):
        await session.receive()
    again = await (await pairs()).open()
    await again.finish()
    assert await read_all(again) == []


async def test_a_silent_session_ends_with_its_deadline(pairs: Pairs) -> None:
    pair = await pairs({"stream": {"cut_after": 1, "how": "silence"}})
    session = await pair.open(timeout_s=0.5)
    await session.send(Text("a"), node_id="node", sequence=0)
    assert await session.receive() is not None
    with pytest.raises(RemoteTimeout):
        await session.receive()


async def test_a_session_that_is_never_ready_times_out(pairs: Pairs) -> None:
    pair = await pairs({"hang": {}})
    with pytest.raises(RemoteTimeout) as caught:
        await pair.open(open_timeout_s=0.4)
    assert not caught.value.maybe_executed


async def test_a_pipeline_that_does_not_exist_is_refused_at_the_opening(pairs: Pairs) -> None:
    pair = await pairs()
    with pytest.raises((InvalidRequest, RemoteExecutionFailed)):
        await pair.open(pipeline("NoSuchNode"))


@pytest.mark.parametrize("mode", ["truncated_message", "bad_utf8", "short_audio", "empty_oneof", "garbage"])
async def test_a_broken_result_is_never_taken_for_a_whole_one(pairs: Pairs, mode: str) -> None:
    pair = await pairs({"corrupt": {"mode": mode}})
    session = await pair.open()
    await session.send(Text("a"), node_id="node", sequence=0)
    with pytest.raises(ProtocolViolation):
        await session.receive()


async def test_many_sessions_share_a_client(pairs: Pairs) -> None:
    pair = await pairs()

    async def talk(number: int) -> None:
        session = await pair.open()
        await send_texts(session, *(f"{number}.{n}" for n in range(5)))
        await session.finish()
        assert [result.output for result in await read_all(session)] == [
            Text(f"{number}.{n}") for n in range(5)
        ]

    async with asyncio.TaskGroup() as tasks:
        for number in range(12):
            tasks.create_task(talk(number))
    assert pair.fake.journal.in_flight == 0
