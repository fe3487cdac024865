"""The planner of audio faults: which frames they mean, what is drawn, and what a trace says."""

from __future__ import annotations

import ast
import inspect
import random
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rpe.errors import ConfigurationError
from rpe.fakes import media, media_effects, media_plan, service
from rpe.fakes.behaviour import Behaviour, parse_behaviour
from rpe.fakes.decide import decide_media
from rpe.fakes.media_plan import MediaClock, MediaPlan, told
from rpe.fakes.media_script import MediaScript

RATES = st.sampled_from([8000, 11_025, 16_000, 22_050, 44_100, 48_000])
FRAMES = st.lists(st.tuples(st.integers(0, 2000), RATES), max_size=30)

FAULTS = st.lists(
    st.one_of(
        st.fixed_dictionaries(
            {"kind": st.sampled_from(["drop", "silence", "duplicate", "half_frame"])},
            optional={"rate": st.sampled_from([0.2, 0.5, 1.0]), "call": st.integers(0, 2)},
        ),
        st.fixed_dictionaries(
            {"kind": st.just("clipping"), "at_s": st.floats(0, 0.5), "for_s": st.floats(0, 0.5)},
            optional={"rate": st.sampled_from([0.3, 1.0])},
        ),
        st.fixed_dictionaries(
            {"kind": st.just("reorder"), "at_result": st.integers(0, 20)},
            optional={"results": st.integers(1, 5), "rate": st.sampled_from([0.3, 1.0])},
        ),
    ),
    max_size=5,
)


def script(*faults: dict[str, Any]) -> MediaScript:
    return parse_behaviour({"media": faults}).media


def plan(faults: MediaScript, seed: int = 0, call: int = 0) -> MediaPlan:
    found = decide_media(faults, seed, "a", call)
    assert found is not None
    return found


def fired(faults: MediaScript, count: int = 50, *, seed: int = 0, call: int = 0) -> list[list[str]]:
    """Return the kinds that fire on each of so many frames of 20 ms."""
    deciding = plan(faults, seed, call)
    return [[fault.kind for fault in deciding.next(320, 16_000).faults] for _ in range(count)]


def frames_of(*faults: dict[str, Any], count: int = 100) -> list[int]:
    return [number for number, kinds in enumerate(fired(script(*faults), count)) if kinds]


@pytest.mark.parametrize(
    ("where", "frames"),
    [
        ({}, range(100)),
        ({"at_s": 1.2}, [60]),
        ({"at_s": 1.2, "for_s": 0.06}, [60, 61, 62]),
        ({"at_s": 1.21}, [60]),
        ({"at_s": 1.21, "for_s": 0.04}, [60, 61, 62]),
        ({"at_s": 1.2, "for_s": 0.0}, []),
        ({"at_s": 0}, [0]),
        ({"at_s": 1.9, "for_s": 60}, range(95, 100)),
        ({"at_s": 2.0}, []),
        ({"at_result": 7}, [7]),
        ({"at_result": 98, "results": 9}, [98, 99]),
        ({"at_result": 3, "call": 1}, []),
        ({"rate": 0}, []),
    ],
)
def test_which_frames_are_meant(where: dict[str, Any], frames: Any) -> None:
    assert frames_of({"kind": "drop", **where}) == list(frames)


@given(FRAMES)
def test_the_media_clock_is_exact(frames: list[tuple[int, int]]) -> None:
    clock = MediaClock()
    exact = Fraction(0)
    for steps, rate in frames:
        assert clock.now_s == exact
        clock.go_on(steps, rate)
        exact += Fraction(steps, rate)
    assert clock.now_s == exact


@given(FRAMES, st.fractions(0, 5).map(float))
def test_a_moment_of_the_stream_is_in_one_frame_and_no_other(
    frames: list[tuple[int, int]], at_s: float
) -> None:
    deciding = plan(script({"kind": "drop", "at_s": at_s}))
    decided = [deciding.next(*frame) for frame in frames]
    total_s = sum((Fraction(*frame) for frame in frames), Fraction(0))
    hit = [frame for frame in decided if frame.faults]
    assert len(hit) == (Fraction(repr(at_s)) < total_s)
    assert all(frame.begin_s <= Fraction(repr(at_s)) < frame.end_s for frame in hit)


@given(FAULTS, st.integers(0, 2**32), st.integers(0, 2))
@settings(max_examples=40)
def test_the_same_seed_gives_the_same_plan_and_its_trace_gives_it_again(
    faults: list[dict[str, Any]], seed: int, call: int
) -> None:
    written = script(*faults)
    if decide_media(written, seed, "a", call) is None:
        return
    first, again = plan(written, seed, call), plan(written, seed, call)
    decided = [first.next(320, 16_000) for _ in range(30)]
    assert [again.next(320, 16_000) for _ in range(30)] == decided
    trace = [told(fault, call, frame) for frame in decided for fault in frame.faults]
    replayed = parse_behaviour({"media": {"trace": trace}}).media
    by_count = script(*[{key: value for key, value in item.items() if key != "media_s"} for item in trace])
    for told_again in (replayed, by_count):
        if not trace:
            continue
        replay = plan(told_again, seed + 1, call)
        kinds = [[fault.kind for fault in replay.next(320, 16_000).faults] for _ in range(30)]
        assert kinds == [[fault.kind for fault in frame.faults] for frame in decided]


@given(FAULTS, st.integers(0, 5), st.integers(0, 1000))
@settings(max_examples=40)
def test_one_fault_more_changes_nothing_about_the_others(
    faults: list[dict[str, Any]], place: int, seed: int
) -> None:
    more = [*faults]
    more.insert(place, {"kind": "wrong_channels", "channels": 7, "rate": 0.5})
    alone = fired(script(*faults), seed=seed) if faults else [[]] * 50
    together = fired(script(*more), seed=seed)
    assert [[kind for kind in kinds if kind != "wrong_channels"] for kinds in together] == alone


def test_rates_are_kept_and_do_not_hang_together() -> None:
    decided = fired(script({"kind": "drop", "rate": 0.3}, {"kind": "silence", "rate": 0.5}), 4000)
    for kind, rate in (("drop", 0.3), ("silence", 0.5)):
        assert abs(sum(kind in kinds for kinds in decided) / 4000 - rate) < 0.03
    assert abs(sum(len(kinds) == 2 for kinds in decided) / 4000 - 0.15) < 0.03


def test_calls_and_fakes_have_draws_of_their_own() -> None:
    faults = script({"kind": "drop", "rate": 0.5})
    drawn = [fired(faults, seed=seed, call=call) for seed, call in ((0, 0), (0, 1), (1, 0))]
    assert drawn[0] != drawn[1] and drawn[0] != drawn[2]


def test_two_faults_that_say_the_same_draw_each_for_itself() -> None:
    twice = fired(script(*[{"kind": "drop", "rate": 0.5}] * 2), 400)
    assert {len(kinds) for kinds in twice} == {0, 1, 2}


def test_the_end_is_drawn_too() -> None:
    ends = [plan(script({"kind": "end_twice", "rate": 0.5}), call=call).end() for call in range(200)]
    assert 70 < sum(end is not None for end in ends) < 130
    assert plan(script({"kind": "end_missing", "call": 1})).end() is None
    both = plan(script({"kind": "end_missing", "hang": True}, {"kind": "end_twice"})).end()
    assert both is not None
    assert told(both, 4) == {"kind": "end_missing", "hang": True, "call": 4}


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        ([{"kind": "drop", "at_s": 1, "at_result": 2}], "faults.0.drop: give one of at_s and at_result"),
        ([{"kind": "drop", "for_s": 1}], "faults.0.drop: for_s belongs to at_s"),
        ([{"kind": "drop"}, {"kind": "silence", "results": 2}], "1.silence: results belongs to at_result"),
        ([{"kind": "late"}], "faults.0.late.delay_s: Field required"),
        ([{"kind": "drop", "delay_s": 1}], "faults.0.drop.delay_s is unknown"),
        ([{"kind": "end_twice", "at_s": 1}], "faults.0.end_twice.at_s is unknown"),
        ([{"kind": "louder"}], "Input tag 'louder'"),
        ({"trace": [{"kind": "drop", "at_s": 1}]}, "media: trace.0: a trace tells at_result"),
        ({"trace": [{"kind": "drop", "at_result": 1, "rate": 0.5}]}, "leaves nothing to chance"),
        ({"fault": []}, "media.fault is unknown"),
        ("drop", "media: "),
    ],
)
def test_what_is_wrong_is_told_with_its_place(faults: Any, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_behaviour({"media": faults})
    assert said in str(caught.value)


def test_a_list_is_a_list_of_faults_also_for_editors() -> None:
    faults = [{"kind": "late", "at_s": 1.0, "delay_s": 0.5}, {"kind": "end_missing"}]
    assert parse_behaviour({"media": faults}) == parse_behaviour({"media": {"faults": faults}})
    form = Behaviour.model_json_schema()["$defs"]["MediaScript"]
    assert form["type"] == ["object", "array"]
    assert form["items"] == form["properties"]["faults"]["items"]


@pytest.mark.parametrize("module", [media, media_effects, media_plan, service])
def test_nothing_here_waits_or_tells_time(module: Any) -> None:
    tree = ast.parse(inspect.getsource(module))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert names.isdisjoint({"asyncio", "time", "rpe.clock"})


def test_a_generator_is_made_only_where_chance_has_a_part() -> None:
    asked: list[str] = []

    def draws(name: str) -> random.Random:
        asked.append(name)
        return random.Random(name)

    MediaPlan(script({"kind": "drop"}, {"kind": "silence", "rate": 0.5}), 0, draws)
    assert len(asked) == 1 and "silence" in asked[0]
