"""Kept answers: to equal inputs only, good ones only, fresh ones only, so many and so much only."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpe.client.fallback import AllStepsFailed, AnswerNotKept, CachedStep, FallbackChain, StepCall
from rpe.client.fallback.keys import input_key, size_bytes
from rpe.data import (
    Audio,
    BatchHint,
    Binary,
    Control,
    DeadlineWarning,
    File,
    Image,
    ImageFormat,
    Json,
    Numpy,
    RuntimeData,
    Tensor,
    Text,
)
from rpe.errors import ConfigurationError
from rpe.transport.ports import ExecutionResult, Metadata, NodeMetrics
from tests.client.fallback.scripted_steps import Bench, Scripted, lost, refused
from tests.support.scripted import VirtualClock

FLOATS = np.arange(6, dtype=np.float32)
SAMPLES: list[RuntimeData] = [
    Text("a"),
    Text("b"),
    Text("a", language="en"),
    Text("a", channel="log"),
    Text("a", metadata={"x": "1"}),
    Json("a"),
    Json({"a": [1]}),
    Json({"a": 1}),
    Binary(b"a"),
    Binary(b"a", "audio/wav"),
    Audio(FLOATS, 16000),
    Audio(FLOATS, 8000),
    Audio(FLOATS, 16000, channels=2),
    Audio(FLOATS, 16000, timestamp_us=1),
    Audio(FLOATS, 16000, stream_id="s"),
    Audio(FLOATS.astype(np.int16), 16000),
    Audio(FLOATS.astype(np.int32), 16000),
    Tensor(FLOATS),
    Tensor(FLOATS.reshape(2, 3)),
    Tensor(FLOATS.reshape(3, 2)),
    Tensor(FLOATS, layout="N"),
    Tensor(FLOATS, annotations={"k": 1}),
    Numpy(FLOATS),
    Numpy(FLOATS.astype("<f8")),
    Numpy(FLOATS.astype(">f4")),
    Numpy(np.array(["2026-01-01"], dtype="datetime64[D]")),
    Image(b"a", ImageFormat.PNG),
    Image(b"a", ImageFormat.JPEG),
    Control(BatchHint(1)),
    Control(DeadlineWarning(1)),
]


INPUTS = {"in": Text("a")}


def call(inputs: Mapping[str, RuntimeData], metadata: Metadata = ()) -> StepCall:
    return StepCall(inputs, 1.0, metadata=metadata)


def answer(text: str = "answer", **details: Any) -> ExecutionResult:
    return ExecutionResult({"output": Text(text)}, **details)


def cached(**settings: Any) -> tuple[CachedStep, VirtualClock]:
    clock = VirtualClock()
    return CachedStep(**{"max_age_s": 60.0, "clock": clock, **settings}), clock


# --- equal inputs -------------------------------------------------------------------------------------------


def test_two_inputs_share_a_key_only_if_they_are_equal() -> None:
    keys = [input_key({"in": data}, ()) for data in SAMPLES]
    assert None not in keys
    for i, one in enumerate(SAMPLES):
        for j, other in enumerate(SAMPLES):
            assert (keys[i] == keys[j]) is (one == other), (one, other)


def test_an_equal_copy_has_the_same_key() -> None:
    for data in SAMPLES:
        assert input_key({"in": dataclasses.replace(data)}, ()) == input_key({"in": data}, ())
    inputs = {"a": Text("1"), "b": Text("2")}
    assert input_key(inputs, ()) == input_key(dict(reversed(inputs.items())), ())


@pytest.mark.parametrize(
    ("inputs", "metadata"),
    [
        ({"other": Text("1")}, ()),
        ({"a": Text("1"), "b": Text("2")}, ()),
        ({"a": Text("1")}, (("x-tenant", "t"),)),
        ({}, ()),
    ],
)
def test_names_and_metadata_count(inputs: dict[str, RuntimeData], metadata: Metadata) -> None:
    assert input_key(inputs, metadata) != input_key({"a": Text("1")}, ())


def test_what_a_file_holds_is_not_known_so_it_has_no_key() -> None:
    assert input_key({"a": File("/data/x.wav")}, ()) is None


@given(
    st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3),
    st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3),
)
def test_no_way_of_cutting_the_parts_makes_two_inputs_one(one: dict[str, str], other: dict[str, str]) -> None:
    keys = [input_key({name: Text(text) for name, text in texts.items()}, ()) for texts in (one, other)]
    assert (keys[0] == keys[1]) is (one == other)


def test_bytes_that_look_like_a_second_input_are_not_one() -> None:
    one: dict[str, RuntimeData] = {"a": Binary(b"x"), "b": Binary(b"y")}
    other: dict[str, RuntimeData] = {"a": Binary(b"x''{}bbinaryy")}
    assert input_key(one, ()) != input_key(other, ())


def test_a_size_counts_what_is_heavy() -> None:
    assert size_bytes({"o": Audio(np.zeros(1000, np.float32), 16000)}) >= 4000
    assert size_bytes({"o": Binary(b"x" * 5000)}) >= 5000
    assert size_bytes({"o": Text("x" * 300), "p": Json(["y" * 200])}) >= 500
    assert size_bytes({"o": Text("x")}) < 100


# --- what is kept, and for how long ------------------------------------------------------------------------


async def test_the_last_good_answer_is_given_again_with_its_age() -> None:
    step, clock = cached()
    step.record(call(INPUTS), answer("old"))
    clock.time_s += 10.0
    step.record(call(INPUTS), answer("new"))
    clock.time_s += 2.5
    result, age_s = step.recall(call({"in": Text("a")}))
    assert (result.output, age_s) == (Text("new"), 2.5)
    assert (await step.execute(call(INPUTS))).output == Text("new")
    assert len(step) == 1


def test_other_inputs_have_no_answer() -> None:
    step, _ = cached()
    step.record(call(INPUTS), answer())
    others: list[RuntimeData] = [Text("b"), Text("a", language="en"), File("x")]
    for other in others:
        with pytest.raises(AnswerNotKept, match="no good answer"):
            step.recall(call({"in": other}))


def test_an_answer_that_is_too_old_is_refused_and_forgotten() -> None:
    step, clock = cached(max_age_s=10.0)
    step.record(call(INPUTS), answer())
    clock.time_s += 10.0
    assert step.recall(call(INPUTS))[1] == 10.0
    clock.time_s += 0.1
    with pytest.raises(AnswerNotKept, match=r"10\.1 s old, above 10 s"):
        step.recall(call(INPUTS))
    assert (len(step), step.bytes) == (0, 0)


def test_only_outputs_are_kept() -> None:
    step, _ = cached()
    step.record(call(INPUTS), answer(wall_time_ms=5.0, node_metrics={"n": NodeMetrics(1.0)}))
    result, _ = step.recall(call(INPUTS))
    assert result == answer()


def test_a_partial_success_is_not_kept_and_does_not_replace_a_good_one() -> None:
    step, _ = cached()
    step.record(call(INPUTS), answer("good"))
    step.record(call(INPUTS), answer("half", partial=True))
    assert step.recall(call(INPUTS))[0].output == Text("good")


def test_the_least_recently_used_answer_goes_first() -> None:
    step, _ = cached(max_entries=2)
    for text in "ab":
        step.record(call({"in": Text(text)}), answer(text))
    step.recall(call({"in": Text("a")}))
    step.record(call({"in": Text("c")}), answer("c"))
    assert len(step) == 2
    for text in "ac":
        step.recall(call({"in": Text(text)}))
    with pytest.raises(AnswerNotKept):
        step.recall(call({"in": Text("b")}))


def test_the_bytes_are_bounded_and_an_answer_too_large_is_not_kept_at_all() -> None:
    step, _ = cached(max_bytes=10_000)
    for number in range(20):
        step.record(call({"in": Text(str(number))}), ExecutionResult({"o": Binary(b"x" * 3000)}))
        assert step.bytes <= 10_000
    assert len(step) == 3
    step.record(call({"in": Text("19")}), ExecutionResult({"o": Binary(b"x" * 20_000)}))
    assert len(step) == 2, "an older answer stayed in the place of one that is too large"
    with pytest.raises(AnswerNotKept):
        step.recall(call({"in": Text("19")}))
    step.clear()
    assert (len(step), step.bytes) == (0, 0)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 400), st.booleans()), max_size=60))
def test_the_books_are_in_order_whatever_comes(steps: list[tuple[int, int, bool]]) -> None:
    step, clock = cached(max_entries=4, max_bytes=1000, max_age_s=5.0)
    for key, size, recall in steps:
        clock.time_s += 1.0
        inputs = {"in": Text(str(key))}
        if recall:
            try:
                assert step.recall(call(inputs))[1] <= 5.0
            except AnswerNotKept:
                pass
        else:
            step.record(call(inputs), ExecutionResult({"o": Binary(b"x" * size)}))
        assert len(step) <= 4
        assert step.bytes <= 1000
        assert step.bytes == sum(kept.size_bytes for kept in step._kept.values())


@pytest.mark.parametrize(
    "settings", [{"max_age_s": 0.0}, {"max_entries": 0}, {"max_bytes": 0}, {"name": ""}], ids=str
)
def test_settings_that_keep_nothing_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        cached(**settings)


# --- in a chain ---------------------------------------------------------------------------------------------


async def test_an_error_is_never_kept() -> None:
    bench = Bench(1, cached_s=60.0)
    bench.fail("a", error=lost)
    for _ in range(2):
        with pytest.raises(AllStepsFailed):
            await bench.execute()
    assert len(bench.cache) == 0


async def test_a_kept_answer_is_not_made_young_by_giving_it() -> None:
    bench = Bench(1, cached_s=60.0)
    await bench.execute()
    bench.fail("a")
    ages = []
    for _ in range(3):
        bench.clock.time_s += 10.0
        ages.append((await bench.execute()).age_s)
    assert ages == pytest.approx([10.01, 20.02, 30.03])


async def test_a_partial_answer_is_given_but_not_kept() -> None:
    bench = Bench(1, cached_s=60.0)
    bench.steps[0].partial = True
    assert (await bench.execute()).result.partial
    assert len(bench.cache) == 0


async def test_the_miss_stands_in_the_error() -> None:
    bench = Bench(1, cached_s=60.0)
    await bench.execute("one")
    bench.fail("a")
    with pytest.raises(AllStepsFailed, match="step cached: answer_not_kept: no good answer"):
        await bench.execute("other")


async def test_what_a_later_step_answers_is_not_kept_by_the_answers_before_it() -> None:
    clock = VirtualClock()
    one, two = Scripted("one", clock), Scripted("two", clock)
    early = CachedStep("early", max_age_s=60.0, clock=clock)
    late = CachedStep("late", max_age_s=60.0, clock=clock)
    chain = FallbackChain([one, early, two, late], clock=clock)
    one.fails = lambda number: refused()
    assert (await chain.execute(INPUTS, timeout_s=1.0)).step == "two"
    assert (len(early), len(late)) == (0, 1)
    one.fails = lambda number: None
    await chain.execute(INPUTS, timeout_s=1.0)
    assert (len(early), len(late)) == (1, 1)
    one.fails = lambda number: refused()
    assert (await chain.execute(INPUTS, timeout_s=1.0)).step == "early"
