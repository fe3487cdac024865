"""The engine on the test's own loop, with servers beside it: what it reports, and when."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict
from typing import Any

import pytest

from rpe import ClientSettings, RuntimeData, Text
from rpe.fakes import FakeServer, Kind
from rpe.load.messages import unpack_outputs
from rpe.load.schedules import Schedule
from tests.load.owners import ALWAYS, engine, nth, of_a_call, served


async def test_a_call_is_reported_with_its_attempt() -> None:
    async with served() as (owner, fake):
        owner.execute(5)
        answer = await owner.answer(5)
        assert unpack_outputs(answer.body) == {"output": Text("chunk 0")}
        found = await owner.measured()
        (attempt, call) = found.samples
        assert (attempt.kind, attempt.name) == ("attempt", f"e @ {fake.endpoint}")
        assert (call.kind, call.name, call.size, call.bad) == ("execute", "e", 7, [])
        assert call.good_us[0] >= attempt.good_us[0] > 0
        assert answer.head["latency_s"] == pytest.approx(call.good_us[0] / 1e6, abs=1e-6)
        row = next(row for row in found.rows if row.kind == "execute")
        assert (row.name, row.count, row.bytes, row.missed) == ("e", 1, 7, 0)


async def test_a_latency_is_what_the_server_took_at_least() -> None:
    async with served({"latency": {"fixed_s": 0.1}}) as (owner, _):
        owner.execute(5)
        answer = await owner.answer(5)
        assert answer.head["latency_s"] >= 0.1
        found = await owner.measured()
        assert all(found.good_ms(kind)[0] >= 100 for kind in ("execute", "attempt"))


async def test_only_what_was_asked_for_is_reported() -> None:
    async with FakeServer() as fake, engine() as owner:
        await owner.connect(fake.endpoint, report=("chunk",))
        owner.execute(5)
        owner.stream(6)
        await owner.answer(5)
        await owner.answer(6)
        assert (await owner.measured()).counts == {"chunk": 5}


async def test_a_failed_call_is_an_answer_with_all_that_is_known() -> None:
    async with served({"error": {"status": "invalid_argument", "message": "no 7"}}) as (owner, fake):
        owner.execute(5, keep=False)
        answer = await owner.answer(5)
        assert "no #" in answer.head["error"]
        assert fake.endpoint in answer.head["text"]
        found = await owner.measured()
        assert found.errors("execute") == found.errors("attempt") == [answer.head["error"]]


async def test_a_call_that_is_cancelled_is_cancelled_at_the_server_and_never_reported() -> None:
    async with served({"hang": {}}) as (owner, fake):
        owner.execute(5)
        await fake.journal.wait_for(of_a_call(Kind.RECEIVED))
        owner.send({"op": "cancel", "call": 5})
        await fake.journal.wait_for(of_a_call(Kind.CANCELLED))
        await fake.set_behaviour({})
        owner.execute(6)
        await owner.answer(6)
        assert (await owner.measured()).counts == {"attempt": 1, "execute": 1}
        assert 5 not in owner.answers


async def test_calls_that_run_end_with_the_owner() -> None:
    async with FakeServer(behaviour={"hang": {}}) as fake:
        async with engine() as owner:
            await owner.connect(fake.endpoint)
            owner.execute(5)
            await fake.journal.wait_for(of_a_call(Kind.RECEIVED))
        await fake.journal.wait_for(of_a_call(Kind.CANCELLED))


async def test_wrong_settings_are_an_answer() -> None:
    async with engine() as owner:
        told = await owner.connect("127.0.0.1:1", connect_timeout_s=-1.0)
        assert "connect_timeout_s" in told.head["text"]


async def test_a_session_reports_its_opening_its_chunks_its_attempt_and_itself() -> None:
    async with served() as (owner, _):
        owner.stream(5, every_s=0.02)
        answer = await owner.answer(5)
        assert (await owner.measured()).counts == {"open": 1, "chunk": 5, "attempt": 1, "stream": 1}
        assert (answer.head["sent"], answer.head["answered"]) == (5, 5)
        assert answer.head["latency_s"] >= 4 * 0.02
        sequences: list[int] = []
        texts: list[RuntimeData] = []
        start = 0
        for sequence, length in answer.head["results"]:
            sequences.append(sequence)
            texts += unpack_outputs(answer.body[start : start + length]).values()
            start += length
        assert sequences == [0, 1, 2, 3, 4]
        assert texts == [Text(f"chunk {number}") for number in range(5)]


async def test_a_chunk_that_waits_behind_a_slow_one_is_late_from_when_it_was_due() -> None:
    # Two chunks may be without an answer, so the sender is held up by a server that takes 50 ms for each.
    settings = ClientSettings(repeatable=True, replay_chunks=2)
    async with FakeServer(behaviour={"stream": {"drip_s": 0.05}}) as fake, engine() as owner:
        await owner.connect(fake.endpoint, settings=settings)
        owner.stream(5, every_s=0.01)
        await owner.answer(5)
        chunks = (await owner.measured()).good_ms("chunk")
        assert len(chunks) == 5
        # The last one is due after 40 ms, and answered after 200 ms at the earliest.
        assert chunks[-1] >= 4 * 50 - 40


async def test_a_session_that_breaks_fails_with_the_chunks_that_have_no_answer() -> None:
    async with served({"stream": {"cut_after": 2, "drip_s": 0.05}}) as (owner, _):
        owner.stream(5)
        answer = await owner.answer(5)
        assert answer.head["error"].startswith("stream_broken")
        found = await owner.measured()
        assert found.errors("stream") == found.errors("attempt") == [answer.head["error"]]
        assert len(found.good_ms("chunk")) == 2
        assert found.errors("chunk")


async def test_a_session_that_is_not_opened_is_an_opening_that_failed() -> None:
    async with served({"error": {"status": "invalid_argument", "message": "not here"}}) as (owner, _):
        owner.stream(5)
        answer = await owner.answer(5)
        found = await owner.measured()
        assert found.errors("open") == found.errors("stream") == [answer.head["error"]]
        assert found.errors("chunk") == []


@pytest.mark.parametrize("data", [99, {"echo": 99}])
async def test_a_fault_of_its_own_is_told_to_who_waits(data: Any) -> None:
    async with served() as (owner, _):
        owner.execute(5, data=data)
        answer = await owner.answer(5)
        assert answer.head["error"].startswith("KeyError")


async def test_a_call_that_was_described_is_made_by_its_number_until_its_data_is_dropped() -> None:
    async with served() as (owner, fake):
        owner.send(ALWAYS | {"op": "order", "id": 7, "name": "again", "data": 11, "keep": True})
        for number in (50, 51):
            owner.again(number, 7)
            answer = await owner.answer(number)
            assert unpack_outputs(answer.body) == {"output": Text("chunk 1")}
        owner.send({"op": "drop", "id": 11, "orders": [7]})
        assert (await owner.measured()).counts == {"attempt": 2, "execute": 2}
        assert len([entry for entry in fake.journal.entries() if of_a_call(Kind.RECEIVED)(entry)]) == 2


async def test_arrivals_are_made_at_their_rate_whatever_they_take() -> None:
    async with served({"latency": {"fixed_s": 0.2}}) as (owner, _):
        owner.arrive(5, rate_per_s=50.0, stop_s=0.3)
        started_s = time.monotonic()
        answer = await owner.answer(5)
        # One after the other they would take three seconds.
        assert 0.28 + 0.2 <= time.monotonic() - started_s < 2.0
        assert (answer.head["tally"]["started"], answer.head["tally"]["missed"]) == (15, 0)
        found = await owner.measured()
        assert found.counts == {"attempt": 15, "execute": 15}
        assert min(found.good_ms("execute")) >= 200


@pytest.mark.parametrize(("kind", "first"), [("execute", "execute"), ("stream", "open")])
async def test_an_engine_that_was_held_up_calls_late_and_says_so(kind: str, first: str) -> None:
    async with served() as (owner, _):
        owner.arrive(5, kind, rate_per_s=100.0, stop_s=0.2)
        async with asyncio.timeout(10):
            while not (await owner.measured()).counts:
                pass
        time.sleep(0.3)  # noqa: ASYNC251 - this is the loop of the engine
        assert (await owner.answer(5)).head["tally"]["started"] == 20
        found = await owner.measured()
        assert found.counts[kind] == 20
        for measured in {kind, first}:
            assert max(found.good_ms(measured)) >= 150


async def test_sessions_arrive_too() -> None:
    async with served() as (owner, _):
        owner.arrive(5, "stream", rate_per_s=50.0, stop_s=0.1)
        await owner.answer(5)
        assert (await owner.measured()).counts == {"attempt": 5, "open": 5, "chunk": 10, "stream": 5}


async def test_arrivals_that_cannot_start_are_counted_as_missed() -> None:
    async with served({"hang": {}}) as (owner, fake):
        owner.arrive(5, rate_per_s=100.0, stop_s=0.2, max_in_flight=3)
        async with asyncio.timeout(10):
            while sum(row.missed for row in (await owner.measured()).rows) < 17:
                pass
        assert sum(each.missed for each in owner.samples if (each.kind, each.name) == ("execute", "a")) == 17
        owner.send({"op": "cancel", "call": 5})
        for number in range(3):
            await fake.journal.wait_for(nth(of_a_call(Kind.CANCELLED), number))
        assert (await owner.measured()).counts == {}
        assert 5 not in owner.answers


async def test_arrivals_that_are_halted_have_their_answers_first() -> None:
    async with served({"latency": {"fixed_s": 0.2}}) as (owner, fake):
        owner.arrive(5, rate_per_s=100.0)
        await fake.journal.wait_for(of_a_call(Kind.RECEIVED))
        owner.send({"op": "halt", "call": 5})
        tally = (await owner.answer(5)).head["tally"]
        assert (await owner.measured()).counts == {"attempt": tally["started"], "execute": tally["started"]}


async def test_a_new_test_counts_its_seconds_from_its_own_start() -> None:
    async with served() as (owner, _):
        owner.execute(5)
        await owner.answer(5)
        owner.send({"op": "clock", "zero_s": time.monotonic() - 7.5})
        owner.execute(6)
        await owner.answer(6)
        found = await owner.measured()
        assert found.counts == {"attempt": 1, "execute": 1}  # the first call was of the last test
        assert {row.slot for row in found.rows} <= {7, 8}


async def test_a_work_that_cannot_be_made_is_told_and_ends_the_source() -> None:
    async with served() as (owner, _):
        owner.arrive(5, rate_per_s=100.0)
        order = {"op": "arrive", "call": 6, "client": 1, "name": "arrivals", "max_in_flight": 1}
        work = ALWAYS | {"op": "execute", "name": "a", "data": 99, "keep": False}
        owner.send(order | {"works": [work], "schedule": asdict(Schedule())})
        assert (await owner.answer(6)).head["error"].startswith("KeyError")
        assert 5 not in owner.answers
