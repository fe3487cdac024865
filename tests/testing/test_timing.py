"""The timing of a session: exact from entries of known times, and true for real servers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from typing import Any

import pytest

import rpe
from rpe.data import Text
from rpe.errors import ConfigurationError, RemoteUnavailable
from rpe.fakes import FakeServer
from rpe.fakes.behaviour import parse_behaviour
from rpe.fakes.brain import Brain
from rpe.fakes.journal import Entry, Kind
from rpe.fakes.media_play import play
from rpe.fakes.mouth import RawGrpcServer
from rpe.manifest.model import Manifest
from rpe.policy.backoff import BackoffSettings
from rpe.policy.retry import RetrySettings
from rpe.testing import ManualClock, SessionTiming, timing_of

ECHO = Manifest.single("echo", node_type="Echo")
BEGAN_S = 1000.0

Line = tuple[float, str, int | None]


def entries(*lines: Line, call: int = 1, operation: str = "", content: str = "") -> list[Entry]:
    """Make the entries of one call: seconds since the beginning, kind, sequence."""
    return [
        Entry(
            Kind(kind),
            BEGAN_S + at_s,
            "a",
            call,
            "stream",
            operation,
            sequence=sequence,
            content={"output": f"{content}{sequence}"} if kind == "result" else {},
        )
        for at_s, kind, sequence in lines
    ]


OPENED: list[Line] = [(0.0, "received", None), (0.5, "ready", None)]
STEADY = entries(
    *OPENED,
    *((1.0 + n, "chunk", n) for n in range(4)),
    *((1.25 + n + (0.5 if n == 3 else 0), "result", n) for n in range(4)),
    (5.0, "sent", None),
)


def test_what_a_steady_session_says() -> None:
    timing = timing_of(STEADY)
    assert timing.first_result_s == 1.25 and timing.ready_after_s == 0.5
    assert timing.first_result_after_ready_s == 0.75
    assert [gap.length_s for gap in timing.gaps] == [1.0, 1.0, 1.5]
    assert (timing.gap_p50_s, timing.gap_p99_s, timing.longest_gap_s) == (1.0, 1.5, 1.5)
    assert timing.latencies_s == {0: 0.25, 1: 0.25, 2: 0.25, 3: 0.75}
    assert timing.sequences == (0, 1, 2, 3) and timing.in_order and timing.duplicates == {}
    stall = timing.longest_stall
    assert stall is not None and (stall.after, stall.before, stall.length_s) == ("chunk 3", "result 3", 0.75)
    timing.assert_in_order()
    timing.assert_no_duplicates()
    timing.assert_first_result_within(1.25)
    timing.assert_first_result_within(0.75, of_ready=True)
    timing.assert_longest_gap(1.5)
    timing.assert_gap_p99(1.5)
    timing.assert_longest_stall(0.75)
    timing.assert_latency_within(0.75)


@pytest.mark.parametrize(
    ("check", "told"),
    [
        (
            lambda timing: timing.assert_first_result_within(1.2),
            r"first result came 1\.250 s after the session was received, and not within 1\.2 s \(4 results",
        ),
        (
            lambda timing: timing.assert_first_result_within(0.7, of_ready=True),
            r"0\.750 s after the session was ready",
        ),
        (
            lambda timing: timing.assert_longest_gap(1.0),
            r"1 of 3 gaps longer than 1 s, the longest 1\.500 s between result 2 \(at 3\.250 s\) and res",
        ),
        (lambda timing: timing.assert_gap_p99(1.4), r"99th percentile of 3 gaps is 1\.500 s"),
        (
            lambda timing: timing.assert_longest_stall(0.5),
            r"1 of 4 stalls longer than 0\.5 s, the longest 0\.750 s between chunk 3 \(at 4\.000 s\) and r",
        ),
        (
            lambda timing: timing.assert_latency_within(0.3),
            r"1 of 4 chunks waited longer than 0\.3 s for their result: chunk 3 0\.750 s \(4 results in",
        ),
    ],
)
def test_what_a_failure_says(check: Callable[[SessionTiming], None], told: str) -> None:
    with pytest.raises(AssertionError, match=told):
        check(timing_of(STEADY))


def test_the_script_is_named_where_it_caused_a_gap() -> None:
    fault = Entry(Kind.FAULT, BEGAN_S + 4.2, "a", 1, fault="drip", sequence=3)
    early = Entry(Kind.FAULT, BEGAN_S + 1.0, "a", 1, fault="latency")
    with pytest.raises(AssertionError, match=r"meanwhile: drip at 4\.200 s \("):
        timing_of([*STEADY, fault, early]).assert_longest_gap(1.2)


def test_a_session_without_results() -> None:
    timing = timing_of(entries(*OPENED, (1.0, "chunk", 0), (4.0, "failed", None)))
    assert timing.first_result_s is None and timing.longest_gap_s == 0 and timing.gap_p99_s == 0
    with pytest.raises(AssertionError, match=r"no result came \(0 results in 4\.000 s; failed"):
        timing.assert_first_result_within(99)
    with pytest.raises(AssertionError, match=r"3\.000 s between chunk 0 \(at 1\.000 s\) and failed"):
        timing.assert_longest_stall(2.9)
    timing.assert_longest_gap(0)


def test_silence_of_the_caller_is_a_gap_and_no_stall() -> None:
    lines: list[Line] = [(1.0, "chunk", 0), (1.1, "result", 0), (9.0, "chunk", 1), (9.1, "result", 1)]
    timing = timing_of(entries(*OPENED, *lines, (20.0, "sent", None)))
    timing.assert_longest_stall(0.11)
    assert timing.longest_gap_s == 8.0


def test_a_result_answers_the_chunks_before_it() -> None:
    lines: list[Line] = [(1.0, "chunk", 0), (2.0, "chunk", 1), (3.0, "result", 1), (50.0, "sent", None)]
    stall = timing_of(entries(*OPENED, *lines)).longest_stall
    assert stall is not None and (stall.length_s, stall.after) == (2.0, "chunk 0")


def test_order_is_within_an_attempt_and_duplicates_are_over_all_of_them() -> None:
    first = entries(*OPENED, (1.0, "result", 0), (2.0, "result", 1), (3.0, "failed", None), operation="o")
    second = entries((4.0, "received", None), (5.0, "result", 0), (6.0, "result", 2), call=2, operation="o")
    timing = timing_of([*second, *first], operation_id="o")
    assert len(timing.attempts) == 2 and timing.sequences == (0, 1, 0, 2)
    timing.assert_in_order()
    for attempt in timing.attempts:
        attempt.assert_no_duplicates()
    with pytest.raises(
        AssertionError, match=r"chunk 0 2 times \(4 results in 6\.000 s, 2 attempts; failed\)"
    ):
        timing.assert_no_duplicates()
    mixed = timing_of(entries(*OPENED, (1.0, "result", 1), (2.0, "result", 0)))
    with pytest.raises(AssertionError, match=r"out of order: result 0 after result 1 \(at 2\.000 s\)"):
        mixed.assert_in_order()


def test_a_chunk_may_have_several_results_that_differ() -> None:
    one = entries(*OPENED, (1.0, "result", 0), content="a")
    other = entries((2.0, "result", 0), content="b")
    timing_of([*one, *other]).assert_no_duplicates()
    assert timing_of([*one, *one]).duplicates == {0: 2}


def test_a_stall_goes_on_through_a_change_of_servers() -> None:
    first = entries(*OPENED, (1.0, "chunk", 0), (2.0, "failed", None), operation="o")
    second = entries((6.0, "received", None), (6.5, "chunk", 0), (7.0, "result", 0), operation="o")
    timing = timing_of(first, second, operation_id="o")
    stall = timing.longest_stall
    assert stall is not None and stall.length_s == 6.0
    assert timing.latencies_s == {0: 6.0}
    assert len(timing.attempts) == 2


def test_which_session_is_meant() -> None:
    one = entries(*OPENED, (1.0, "result", 0), operation="o")
    two = entries((0.0, "received", None), (2.0, "result", 0), call=2, operation="p")
    health = entries((0.0, "received", None), (0.0, "sent", None), call=3)
    assert timing_of([*one, *two, *health], operation_id="p").first_result_s == 2.0
    assert timing_of([*one, *two, *health], call=1).first_result_s == 1.0
    assert timing_of([*one, *health]).first_result_s == 1.0
    cases: Iterable[tuple[dict[str, Any], str]] = (
        ({}, "2 sessions fit"),
        ({"operation_id": "q"}, "operations: o, p"),
        ({"call": 3}, "no journal has a session"),
    )
    for wanted, told in cases:
        with pytest.raises(ConfigurationError, match=told):
            timing_of([*one, *two, *health], **wanted)
    with pytest.raises(ConfigurationError, match="2 sessions fit"):
        timing_of(entries((1.0, "chunk", 0)), entries((1.0, "chunk", 0)))
    with pytest.raises(ConfigurationError):
        SessionTiming.of([])


async def test_times_are_exact_where_the_test_owns_the_clock() -> None:
    """A minute of chunks, of which each takes three seconds of work: those that come meanwhile wait."""
    clock = ManualClock()
    brain = Brain(parse_behaviour({"latency": {"fixed_s": 3.0}}), clock=clock)
    chunks = [Text(f"chunk {number}") for number in range(30)]
    await clock.run(play(brain, ECHO, chunks, every_s=2.0, clock=clock))
    timing = timing_of(brain.journal)
    assert timing.sequences == tuple(range(30))
    assert {gap.length_s for gap in timing.gaps} == {3.0}
    assert timing.latencies_s == dict.fromkeys(range(30), 3.0)  # from when the server reads the chunk
    timing.assert_longest_gap(3.0)
    with pytest.raises(AssertionError, match=r"29 of 29 gaps longer than 2\.9 s"):
        timing.assert_longest_gap(2.9)


async def talk(session: Any, count: int) -> list[int]:
    got = []
    async with session, asyncio.TaskGroup() as group:

        async def send() -> None:
            for number in range(count):
                await session.send(Text(f"chunk {number}"))
            await session.finish()

        group.create_task(send())
        while (result := await session.receive()) is not None:
            got.append(result.sequence)
    return got


async def test_a_session_that_is_made_slow() -> None:
    script = {"stream": {"drip_s": 0.05}}
    async with FakeServer(behaviour=script) as fake, rpe.connect([fake.endpoint]) as client:
        assert await talk(await client.open_stream(ECHO, operation_id="slow"), 4) == [0, 1, 2, 3]
        timing = timing_of(fake.journal, operation_id="slow")
    timing.assert_in_order()
    timing.assert_no_duplicates()
    assert min(gap.length_s for gap in timing.gaps) > 0.04
    with pytest.raises(AssertionError, match=r"3 of 3 gaps.* the script did meanwhile: drip at"):
        timing.assert_longest_gap(0.04)


async def test_a_session_that_moves_has_repeats_at_the_server_and_none_for_its_caller() -> None:
    """The chunk that was answered last is sent once more: only the client can know that it has come."""
    retry = RetrySettings(max_retries=2, backoff=BackoffSettings(initial_s=0.01, max_s=0.01))
    settings = rpe.ClientSettings(retry=retry)
    cut = {"stream": {"cut_after": 2}}
    async with FakeServer("one", behaviour=cut) as one, FakeServer("two") as two:
        async with rpe.connect([one.endpoint, two.endpoint], settings=settings) as client:
            for number in range(20):
                operation_id = f"o{number}"
                session = await client.open_stream(ECHO, repeatable=True, operation_id=operation_id)
                if session.endpoint == one.endpoint:
                    break
                await talk(session, 0)
            assert await talk(session, 4) == [0, 1, 2, 3]
        timing = timing_of(one.journal, two.journal, operation_id=operation_id)
    assert len(timing.attempts) == 2
    assert timing.duplicates == {1: 2}
    timing.assert_in_order()
    with pytest.raises(AssertionError, match=re.escape("of chunk 1 2 times")):
        timing.assert_no_duplicates()
    for attempt in timing.attempts:
        attempt.assert_no_duplicates()


async def test_the_raw_server_has_the_timing_of_messages_where_it_traces_them() -> None:
    script = {"calls": [{"kind": "status", "after_messages": 3}]}
    async with (
        RawGrpcServer(script, trace=True) as server,
        rpe.connect([server.endpoint]) as client,
    ):
        session = await client.open_stream(ECHO, operation_id="raw")
        async with session:
            for _ in range(2):
                await session.send(Text("same"))
                await session.receive()
            await session.send(Text("more"))
            with pytest.raises(RemoteUnavailable):
                await session.receive()
        timing = timing_of(server.journal, operation_id="raw")
    assert timing.sequences == (0, 1, 2)
    assert set(timing.latencies_s) == {0, 1, 2}
    stall = timing.longest_stall
    assert stall is not None and stall.length_s < 5
    timing.assert_no_duplicates()
