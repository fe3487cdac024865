"""Steps that are left and come back, and what a chain says of them."""

from __future__ import annotations

import pytest

from rpe.client.fallback import AllStepsFailed, CachedStep, FallbackChain
from rpe.errors import (
    ConfigurationError,
)
from rpe.telemetry import ChainRecord, LogObserver
from tests.client.fallback.scripted_steps import Bench, Scripted
from tests.support.scripted import VirtualClock


async def test_a_primary_that_died_is_passed_by_probed_and_returned_to() -> None:
    bench = Bench(2)
    bench.fail("a")
    for _ in range(20):
        assert (await bench.execute()).step == "b"
    assert bench.calls()["a"] == 3
    bench.clock.time_s += 5.0
    assert (await bench.execute()).failures[0].step == "a", "the one that probes is covered by the next step"
    assert bench.calls()["a"] == 4
    bench.fail()
    assert (await bench.execute()).step == "b"
    bench.clock.time_s += 5.0
    for _ in range(10):
        assert (await bench.execute()).step == "a"
    assert bench.chain.statistics().steps["a"].probes == 3
    assert [(record.step, record.before, record.after, record.cause) for record in bench.log.records] == [
        ("a", "up", "down", "tripped"),
        ("a", "down", "up", "returned"),
    ]


async def test_when_all_steps_are_down_all_are_tried_and_the_first_that_is_well_answers() -> None:
    bench = Bench(3)
    bench.fail("a", "b", "c")
    for _ in range(3):
        with pytest.raises(AllStepsFailed):
            await bench.execute()
    assert {bench.state(name) for name in "abc"} == {"down"}
    bench.fail("a")
    assert (await bench.execute()).step == "b"
    assert bench.state("b") == "down", "it came back before its shortest stay"


async def test_a_step_that_is_down_is_a_last_resort_before_a_kept_answer() -> None:
    bench = Bench(2, cached_s=60.0)
    await bench.execute()
    bench.fail("a")
    for _ in range(3):
        await bench.execute()
    bench.fail("b")
    outcome = await bench.execute()
    assert outcome.step == "a"
    assert [failure.step for failure in outcome.failures] == ["b"]


async def test_what_is_not_repeatable_leaves_the_probe_to_others_for_a_while() -> None:
    bench = Bench(2)
    bench.fail("a")
    for _ in range(3):
        await bench.execute(repeatable=False)
    bench.clock.time_s += 5.0
    before = bench.calls()["a"]
    await bench.execute(repeatable=False)
    assert bench.calls()["a"] == before
    bench.clock.time_s += 5.0
    await bench.execute(repeatable=False)
    assert bench.calls()["a"] == before + 1


async def test_statistics_count_operations_and_how_each_step_stands() -> None:
    bench = Bench(2, cached_s=1.0)
    await bench.execute()
    bench.fail("a", "b")
    await bench.execute()
    bench.clock.time_s += 2.0
    with pytest.raises(AllStepsFailed):
        await bench.execute()
    statistics = bench.chain.statistics()
    assert (statistics.answered, statistics.failed, statistics.cancelled) == (2, 1, 0)
    assert {name: (step.answers, step.falls) for name, step in statistics.steps.items()} == {
        "a": (1, 2),
        "b": (0, 2),
        "cached": (1, 0),
    }
    bench.clock.time_s += 1.0
    with pytest.raises(AllStepsFailed):
        await bench.execute()
    now = bench.chain.statistics().steps["a"]
    assert (now.state, now.stay_s) == ("down", 5.0)
    assert now.since_s == pytest.approx(bench.clock.now() - 0.01)
    assert bench.log.records[0] == ChainRecord("a", "up", "down", "tripped", now.since_s)


async def test_the_log_tells_when_a_step_goes_down(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(2)
    bench.chain._observers = (LogObserver(),)
    bench.fail("a")
    with caplog.at_level("WARNING", "rpe.client"):
        for _ in range(3):
            await bench.execute()
    assert caplog.messages == ["fallback step a: up -> down (tripped)"]


@pytest.mark.parametrize("names", [[], ["a", "a"]])
def test_a_chain_that_makes_no_sense_is_refused(names: list[str]) -> None:
    with pytest.raises(ConfigurationError):
        FallbackChain([Scripted(name, VirtualClock()) for name in names])


def test_kept_answers_need_a_step_before_them_and_belong_to_one_chain() -> None:
    clock = VirtualClock()
    with pytest.raises(ConfigurationError, match="begins with a step that executes"):
        FallbackChain([CachedStep(max_age_s=1.0), Scripted("a", clock)])
    cache = CachedStep(max_age_s=1.0)
    FallbackChain([Scripted("a", clock), cache])
    with pytest.raises(ConfigurationError, match="another chain"):
        FallbackChain([Scripted("a", clock), cache])


async def test_a_deadline_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="timeout_s"):
        await Bench().execute(timeout_s=0.0)
