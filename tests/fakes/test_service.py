"""How long the work of a fake takes: by the data, by the load, cold and warm, and by which clock."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from rpe.clock import ScaledClock
from rpe.data import Audio, RuntimeData, Text
from rpe.errors import ConfigurationError
from rpe.fakes import Brain, FakeServer, Kind, parse_behaviour
from rpe.fakes.caller_script import SCRIPT_KEY
from rpe.fakes.media_play import play
from rpe.fakes.service import CallService, ServerLoad
from rpe.fakes.service_script import ServiceModel
from rpe.manifest.model import Manifest
from rpe.testing.clock import ManualClock
from rpe.transport.serving import Answer, Refusal, ServerCall
from tests.support.raw_grpc import execute_request, raw, text

ECHO = Manifest.single("echo", node_type="Echo")
SECOND = Audio(np.zeros(16_000, np.float32), 16_000)
STEREO = Audio(np.zeros(16_000, np.float32), 16_000, 2)


def brain_of(script: dict[str, Any], clock: ManualClock) -> Brain:
    return Brain(parse_behaviour(script), clock=clock, read_script=parse_behaviour)


async def execute(brain: Brain, data: RuntimeData, **metadata: str) -> None:
    call = ServerCall("execute", "here", metadata, None, "op", 1)
    assert isinstance(await brain.execute(call, ECHO, {"echo": data}), Answer)


def spent(brain: Brain) -> list[float]:
    return [float(entry.detail) for entry in brain.journal.entries(fault="service")]


@pytest.mark.parametrize(
    ("model", "data", "takes_s"),
    [
        ({"base_s": 0.25}, [Text("abc")], 0.25),
        ({"real_time_factor": 0.5}, [SECOND], 0.5),
        ({"real_time_factor": 0.5}, [STEREO], 0.25),
        ({"real_time_factor": 0.5, "base_s": 1.0}, [SECOND, STEREO, Text("abc")], 1.75),
        ({"per_character_s": 0.5}, [SECOND, Text("abc")], 1.5),
        ({}, [SECOND], 0.0),
    ],
)
def test_it_goes_by_the_data(model: dict[str, Any], data: list[RuntimeData], takes_s: float) -> None:
    service = CallService(ServiceModel(**model), ServerLoad(working=1), 0, 0.0)
    assert service.takes_s(data, 0.0) == takes_s


def test_it_goes_by_the_load() -> None:
    load = ServerLoad()
    service = CallService(ServiceModel(base_s=2.0, per_concurrent=0.25), load, 0, 0.0)
    taken = []
    for load.working in (0, 1, 2, 5):
        taken.append(service.takes_s([], 0.0))
    assert taken == [2.0, 2.0, 2.5, 4.0]


def test_it_is_slow_while_it_is_cold() -> None:
    by_calls = ServiceModel.model_validate({"base_s": 1.0, "warm_up": {"calls": 2, "factor": 3}})
    taken = [CallService(by_calls, ServerLoad(), number, 0.0).takes_s([], 9.0) for number in range(4)]
    assert taken == [3.0, 3.0, 1.0, 1.0]
    by_time = ServiceModel.model_validate({"base_s": 1.0, "warm_up": {"for_s": 2.0}})
    service = CallService(by_time, ServerLoad(), 7, 100.0)
    assert [service.takes_s([], now_s) for now_s in (100.0, 101.9, 102.0, 200.0)] == [5.0, 5.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("service", "said"),
    [
        ({"warm_up": {}}, "service.warm_up: give one of calls and for_s"),
        ({"warm_up": {"calls": 1, "for_s": 1.0}}, "give one of calls and for_s"),
        ({"real_time_factor": -1}, "service.real_time_factor: "),
        ({"rtf": 1}, "service.rtf is unknown"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(service: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_behaviour({"service": service})
    assert said in str(caught.value)


async def test_a_unary_call_takes_its_time_and_latency_is_added() -> None:
    clock = ManualClock()
    brain = brain_of(
        {"service": {"base_s": 0.5, "real_time_factor": 0.25}, "latency": {"fixed_s": 1.0}}, clock
    )
    await clock.run(execute(brain, SECOND))
    assert clock.now() == 1.75
    told = [(entry.fault, entry.detail, entry.at_s) for entry in brain.journal.entries(Kind.FAULT)]
    assert told == [("latency", "1.000000", 0.0), ("service", "0.750000", 1.0)]


async def test_calls_that_fail_do_no_work() -> None:
    clock = ManualClock()
    brain = brain_of({"service": {"base_s": 0.5}, "error": {"first": 1}}, clock)
    with pytest.raises(Refusal):
        await clock.run(execute(brain, SECOND))
    assert (clock.now(), spent(brain)) == (0.0, [])
    await clock.run(execute(brain, SECOND))
    assert clock.now() == 0.5


async def test_each_chunk_of_a_session_takes_its_time_and_open_sessions_are_load() -> None:
    clock = ManualClock()
    brain = brain_of({"service": {"base_s": 1.0, "per_concurrent": 0.5}}, clock)

    async def both() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(play(brain, ECHO, [SECOND] * 3, every_s=10.0, clock=clock))
            await clock.sleep(5.0)
            group.create_task(execute(brain, SECOND))

    await clock.run(both())
    assert spent(brain) == [1.0, 1.5, 1.0, 1.0]
    assert [entry.sequence for entry in brain.journal.entries(fault="service")] == [0, None, 1, 2]
    await clock.run(execute(brain, SECOND))
    assert spent(brain)[-1] == 1.0  # whoever has ended is no load


async def test_who_waits_for_a_worker_is_no_load() -> None:
    clock = ManualClock()
    brain = brain_of({"service": {"base_s": 1.0, "per_concurrent": 1.0}, "capacity": {"workers": 2}}, clock)

    async def five() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(5):
                group.create_task(execute(brain, SECOND))

    await clock.run(five())
    # The second comes while the first works, and so on: two at a time, and the last one beside its elder.
    assert spent(brain) == [1.0, 2.0, 2.0, 2.0, 2.0]
    assert brain.journal.in_flight == 0


async def test_a_call_that_is_given_up_is_no_load_any_more() -> None:
    clock = ManualClock()
    brain = brain_of({"service": {"base_s": 5.0, "per_concurrent": 1.0}}, clock)
    call = asyncio.create_task(execute(brain, SECOND))
    await clock.advance(1.0)
    call.cancel()
    await asyncio.wait([call])
    await clock.run(execute(brain, SECOND))
    assert spent(brain) == [5.0, 5.0]
    assert len(brain.journal.entries(Kind.CANCELLED)) == 1


async def test_another_script_makes_it_cold_again() -> None:
    clock = ManualClock()
    script = {"service": {"base_s": 1.0, "warm_up": {"for_s": 2.5, "factor": 2}}}
    brain = brain_of(script, clock)
    for _ in range(3):
        await clock.run(execute(brain, SECOND))
    await clock.advance(100.0)
    brain.set_behaviour(parse_behaviour(script))
    await clock.advance(100.0)
    await clock.run(execute(brain, SECOND))
    assert spent(brain) == [2.0, 2.0, 1.0, 2.0]


async def test_the_script_of_a_caller_warms_up_alone() -> None:
    clock = ManualClock()
    brain = brain_of({"service": {"base_s": 1.0, "warm_up": {"calls": 1, "factor": 2}}}, clock)
    brought = {SCRIPT_KEY: '{"service": {"base_s": 10.0, "warm_up": {"calls": 1, "factor": 2}}}'}
    for metadata in ({}, {}, brought, brought):
        await clock.run(execute(brain, SECOND, **metadata))
    assert spent(brain) == [2.0, 1.0, 20.0, 20.0]


async def test_a_fake_on_a_wire_plays_ten_times_as_fast() -> None:
    script = {"service": {"base_s": 1.0}, "latency": {"fixed_s": 0.5}}
    async with FakeServer(behaviour=script, clock=ScaledClock(20)) as fake, raw(fake.endpoint) as client:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        await client.echo()
        took_s = loop.time() - began_s
        received, *_, sent = fake.journal.entries()
    assert 0.075 <= took_s < 1.0
    assert 1.5 <= sent.at_s - received.at_s <= took_s * 20


async def test_a_fast_fake_knows_the_deadline_of_its_caller_in_its_own_seconds() -> None:
    async with (
        FakeServer(behaviour={"hang": {}}, clock=ScaledClock(10)) as fake,
        raw(fake.endpoint) as client,
    ):
        call = client.execute(execute_request(text("x")), timeout=0.2)
        assert (await call.code()).name == "DEADLINE_EXCEEDED"
        end = await fake.journal.wait_for(lambda entry: entry.kind is Kind.CANCELLED, timeout_s=20.0)
        early = client.execute(execute_request(text("x")), timeout=30)
        await fake.journal.wait_for(lambda entry: entry.fault == "hang" and entry.call == 2, timeout_s=20.0)
        early.cancel()
        given_up = await fake.journal.wait_for(
            lambda entry: entry.kind is Kind.CANCELLED and entry.call == 2, timeout_s=20.0
        )
        (received, _) = fake.journal.entries(Kind.RECEIVED)
    assert received.remaining_s is not None and 1.0 < received.remaining_s < 2.2
    assert (end.detail, given_up.detail) == ("deadline", "cancelled")
