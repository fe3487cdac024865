"""Sessions of a fake over HTTP: by a plain caller, by the journal, and by our own client."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from rpe.data import Text
from rpe.errors import DataValidationError
from rpe.fakes import FakeServer, Kind
from rpe.manifest.model import Manifest
from rpe.transport.http.client import HttpPipelineClient
from rpe.transport.http.settings import HttpSettings
from rpe.transport.ports import ClientStreamSession
from rpe.wire.json import decode_transport
from tests.support.http_caller import Caller, calling, read_event, read_events

ECHO = Manifest.single("echo", node_type="Echo")


@asynccontextmanager
async def opened(
    script: dict[str, Any] | None = None,
) -> AsyncIterator[tuple[FakeServer, Caller, str, aiohttp.ClientResponse]]:
    async with FakeServer(transport="http", behaviour=script) as fake, calling(fake.endpoint) as caller:
        key = await caller.open()
        async with caller.output(key, rpe_wire="v1") as output:
            yield fake, caller, key, output


def told(event: dict[str, str]) -> str:
    return str(json.loads(event["data"])["data"]["Text"])


async def close(caller: Caller, key: str) -> None:
    assert (await caller.ask("DELETE", f"/stream/{key}"))[0] == 200


async def test_an_honest_session() -> None:
    async with opened() as (fake, caller, key, output):
        assert key == "a-1"
        for sequence in range(3):
            await caller.put(key, f"c{sequence}", sequence)
            assert told(await read_event(output)) == f"c{sequence}"
        await close(caller, key)
        (last,) = await read_events(output)
        assert last["event"] == "closed"
    kinds = [entry.kind for entry in fake.journal]
    assert kinds == [Kind.RECEIVED, Kind.READY, *[Kind.CHUNK, Kind.RESULT] * 3, Kind.SENT]


@pytest.mark.parametrize("how", ["reset", "status", "end"])
async def test_a_session_is_cut(how: str) -> None:
    script = {"stream": {"cut_after": 1, "how": how, "status": "resource_exhausted"}}
    async with opened(script) as (fake, caller, key, output):
        await caller.put(key, "a", 0)
        assert told(await read_event(output)) == "a"
        if how == "reset":
            with pytest.raises(aiohttp.ClientError):
                await read_events(output)
        elif how == "status":
            (last,) = await read_events(output)
            assert json.loads(last["data"])["rpe_http_status"] == 429
        else:
            assert await read_events(output) == []
    assert [entry.detail for entry in fake.journal.entries(fault="cut")] == [f"{how} after 1 results"]


async def test_a_silent_session_says_nothing_and_ends_with_its_caller() -> None:
    script = {"stream": {"cut_after": 0, "how": "silence"}}
    async with opened(script) as (fake, caller, key, output):
        await caller.put(key, "a", 0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await output.content.readany()
        assert (await caller.ask("DELETE", f"/stream/{key}", rpe_cancel="1"))[0] == 200
        await fake.journal.wait_for(lambda entry: entry.kind is Kind.CANCELLED)


async def test_an_error_in_the_stream() -> None:
    async with opened({"stream": {"error_after": 1}}) as (_, caller, key, output):
        await caller.put(key, "a", 0)
        result, error = await read_events(output)
        assert told(result) == "a"
        assert error["event"] == "error"
        fields = json.loads(error["data"])
        assert (fields["error_type"], fields["rpe_error_type"]) == ("execution", "node_execution")


async def test_results_drip() -> None:
    async with opened({"stream": {"drip_s": 0.05}}) as (_, caller, key, output):
        for sequence in range(3):
            await caller.put(key, "x", sequence)
        arrivals = []
        for _ in range(3):
            await read_event(output)
            arrivals.append(asyncio.get_running_loop().time())
    assert all(later - earlier > 0.03 for earlier, later in itertools.pairwise(arrivals))


@pytest.mark.parametrize("mode", ["truncated_message", "bad_utf8", "short_audio", "empty_oneof", "garbage"])
async def test_the_first_result_is_corrupted(mode: str) -> None:
    async with opened({"corrupt": {"mode": mode}}) as (fake, caller, key, output):
        await caller.put(key, "a", 0)
        await caller.put(key, "b", 1)
        await fake.journal.wait_for(lambda entry: entry.kind is Kind.RESULT and entry.sequence == 1)
        await close(caller, key)
        async with asyncio.timeout(5):
            body = await output.read()
    first, _, rest = body.partition(b"\n\nid: 2\ndata: ")
    with pytest.raises(DataValidationError):
        decode_transport(first.partition(b"data: ")[2])
    assert decode_transport(rest.partition(b"\n\n")[0]).data == Text("b")
    assert len(fake.journal.entries(fault="corrupt")) == 1


@pytest.mark.parametrize(
    ("how", "order"),
    [("slow", "abcd"), ("duplicate", "abbcdd"), ("late", "acb")],
    ids=["slow", "twice", "late"],
)
async def test_results_are_disturbed(how: str, order: str) -> None:
    async with opened({"http": {"events": {"how": how, "every": 2}}}) as (fake, caller, key, output):
        for sequence, said in enumerate("abcd"):
            await caller.put(key, said, sequence)
        events = [told(await read_event(output)) for _ in order]
        assert "".join(events) == order
    faults = fake.journal.entries(fault="http_event")
    assert [(entry.detail, entry.sequence) for entry in faults] == [(how, 1), (how, 3)]


async def test_each_session_counts_its_own_results() -> None:
    script = {"http": {"events": {"how": "duplicate", "first": 1}}}
    async with FakeServer(transport="http", behaviour=script) as fake, calling(fake.endpoint) as caller:
        for _ in range(2):
            key = await caller.open()
            async with caller.output(key) as output:
                await caller.put(key, "a", 0)
                await caller.put(key, "b", 1)
                assert [told(await read_event(output)) for _ in range(3)] == ["a", "a", "b"]
    assert len(fake.journal.entries(fault="http_event")) == 2


async def test_which_results_depends_on_the_seed() -> None:
    async def disturbed(seed: int) -> list[int | None]:
        script = {"http": {"events": {"how": "duplicate", "rate": 0.5}}}
        async with FakeServer(transport="http", behaviour=script, seed=seed) as fake:
            async with calling(fake.endpoint) as caller:
                key = await caller.open()
                async with caller.output(key):
                    for sequence in range(24):
                        await caller.put(key, "x", sequence)
                    await fake.journal.wait_for(
                        lambda entry: entry.kind is Kind.RESULT and entry.sequence == 23
                    )
            return [entry.sequence for entry in fake.journal.entries(fault="http_event")]

    first = await disturbed(1)
    assert 0 < len(first) < 24
    assert await disturbed(1) == first
    assert await disturbed(2) != first


# --- what our own client makes of it --------------------------------------------------------------------


async def answers(script: dict[str, Any], count: int) -> list[tuple[int, str]]:
    """Send so many chunks with our client, finish, and return everything that it gets."""
    async with FakeServer(transport="http", behaviour=script) as fake:
        client = HttpPipelineClient(fake.endpoint, HttpSettings())
        session: ClientStreamSession = await client.open_stream(ECHO, timeout_s=5.0, open_timeout_s=5.0)
        for sequence in range(count):
            await session.send(Text(str(sequence)), node_id="echo", sequence=sequence)
        await session.finish()
        results = []
        while (result := await session.receive()) is not None:
            assert isinstance(result.output, Text)
            results.append((result.sequence, result.output.text))
        await client.close()
        return results


async def test_our_client_reads_slow_events_and_drops_what_comes_twice() -> None:
    whole = [(n, str(n)) for n in range(4)]
    assert await answers({"http": {"events": {"how": "slow", "every": 2}}}, 4) == whole
    assert await answers({"http": {"events": {"how": "duplicate"}}}, 4) == whole


async def test_our_client_takes_up_events_whose_connection_was_cut() -> None:
    got = await answers({"http": {"events": {"how": "cut", "every": 3}}}, 10)
    assert got == [(n, str(n)) for n in range(10)]


async def test_our_client_gives_late_events_as_they_come() -> None:
    got = await answers({"http": {"events": {"how": "late", "first": 1}}}, 3)
    assert got == [(1, "1"), (0, "0"), (2, "2")]
