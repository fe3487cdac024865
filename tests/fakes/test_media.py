"""Faults of audio as a fake carries them out: what goes out, what is written down, and what happens again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

import rpe
from rpe.data import Audio, Json, RuntimeData, Text
from rpe.fakes import Brain, Entry, FakeServer, Kind, parse_behaviour
from rpe.fakes.caller_script import caller_script
from rpe.fakes.decide import decide_media
from rpe.fakes.media import MediaLine
from rpe.fakes.media_effects import affected
from rpe.fakes.media_play import LocalSession, play
from rpe.fakes.media_trace import media_trace
from rpe.manifest.model import Manifest
from rpe.testing.clock import ManualClock
from rpe.transport.serving import Answer, ConnectionCut, Refusal, ServerCall

ECHO = Manifest.single("echo", node_type="Echo")
ENDS = (Kind.SENT, Kind.FAILED, Kind.CANCELLED)


def audio(number: int = 0, samples: int = 320, **more: Any) -> Audio:
    return Audio(np.full(samples, (number + 1) / 1000, np.float32), 16_000, **more)


def line(*faults: dict[str, Any], call: int = 0) -> MediaLine:
    plan = decide_media(parse_behaviour({"media": faults}).media, 0, "a", call)
    assert plan is not None
    return MediaLine(plan)


def fed(line: MediaLine, results: Iterable[tuple[int, RuntimeData]]) -> list[tuple[int, RuntimeData]]:
    """Feed results, and return what goes out, to the end."""
    out = [going for number, data in results for going in line.feed(number, {"output": data})]
    return [(going.sequence, going.outputs["output"]) for going in [*out, *line.flush()] if going.outputs]


def numbers(line: MediaLine, count: int = 6) -> list[int]:
    return [number for number, _ in fed(line, ((number, audio(number)) for number in range(count)))]


async def played(
    script: dict[str, Any], count: int = 10, *, seed: int = 0, calls: int = 1, every_s: float = 0.02
) -> tuple[list[LocalSession], list[Entry]]:
    clock = ManualClock()
    brain = Brain(parse_behaviour(script), clock=clock, seed=seed)
    chunks = [audio(number) for number in range(count)]
    sessions = [
        await clock.run(play(brain, ECHO, chunks, every_s=every_s, clock=clock)) for _ in range(calls)
    ]
    assert brain.journal.in_flight == 0
    return sessions, list(brain.journal)


def heard(session: LocalSession) -> list[tuple[float, int, RuntimeData]]:
    return [(round(result.at_s, 9), result.sequence, result.output) for result in session.results]


@pytest.mark.parametrize(
    ("faults", "order"),
    [
        ([{"kind": "reorder", "at_result": 1}], [0, 2, 1, 3, 4, 5]),
        ([{"kind": "reorder", "at_result": 1, "after": 3}], [0, 2, 3, 4, 1, 5]),
        ([{"kind": "reorder", "at_result": 4, "after": 9}], [0, 1, 2, 3, 5, 4]),
        ([{"kind": "reorder", "at_result": 1, "results": 2, "after": 2}], [0, 3, 1, 4, 2, 5]),
        ([{"kind": "reorder", "at_result": 1}, {"kind": "duplicate", "at_result": 1}], [0, 2, 1, 1, 3, 4, 5]),
        ([{"kind": "reorder", "at_result": 1}, {"kind": "drop", "at_result": 2}], [0, 1, 3, 4, 5]),
        ([{"kind": "drop"}, {"kind": "duplicate"}], []),
        (
            [{"kind": "duplicate", "at_result": 0}, {"kind": "repeat_sequence", "at_result": 2}],
            [0, 0, 1, 1, 3, 4, 5],
        ),
        ([{"kind": "repeat_sequence", "at_result": 0}], [0, 1, 2, 3, 4, 5]),
    ],
)
def test_the_order_in_which_results_go_out(faults: list[dict[str, Any]], order: list[int]) -> None:
    assert numbers(line(*faults)) == order


def test_what_has_no_audio_passes_by_and_still_counts_for_who_waits() -> None:
    mixed: list[tuple[int, RuntimeData]] = [
        (0, Text("a")),
        (1, audio(1)),
        (2, Text("b")),
        (3, audio(3)),
        (4, Json({})),
    ]
    reordered = fed(line({"kind": "reorder", "at_result": 0}), mixed)
    assert [number for number, _ in reordered] == [0, 2, 1, 3, 4]
    assert [number for number, _ in fed(line({"kind": "drop"}), mixed)] == [0, 2, 4]


def test_a_result_with_several_outputs_is_one_frame() -> None:
    outputs: dict[str, RuntimeData] = {"said": Text("x"), "left": audio(1), "right": audio(2, 640)}
    quiet = line({"kind": "silence", "at_s": 0.02})
    first, second = (quiet.feed(number, outputs) for number in range(2))
    assert first[0].outputs == outputs
    assert second[0].outputs is not None and second[0].outputs["said"] == Text("x")
    for name in ("left", "right"):
        changed = second[0].outputs[name]
        assert isinstance(changed, Audio) and not changed.samples.any()


def test_faults_that_had_no_effect_are_not_told() -> None:
    (first,) = line({"kind": "repeat_sequence"}).feed(0, {"output": audio()})
    assert first.told == ()
    _, wait_s, told = line({"kind": "duplicate"}, {"kind": "late", "delay_s": 2.0}).answer(
        {"output": audio()}
    )
    assert (wait_s, [fault.fault for fault in told]) == (2.0, ["media_late"])


@pytest.mark.parametrize(
    ("samples", "gain", "clipped"),
    [
        (np.array([0.05, -0.2, 0.0], np.float32), 10.0, np.array([0.5, -1, 0], np.float32)),
        (np.array([100, -4000, 32767], np.int16), 10.0, np.array([1000, -32768, 32767], np.int16)),
        (np.array([3, -(2**30), 2**30], np.int32), 2.5, np.array([8, -(2**31), 2**31 - 1], np.int32)),
        (np.array([100], np.int16), 0.0, np.array([0], np.int16)),
    ],
)
def test_clipping_is_at_the_full_scale_of_the_format(samples: Any, gain: float, clipped: Any) -> None:
    script = parse_behaviour({"media": [{"kind": "clipping", "gain": gain}]}).media
    done = affected(Audio(samples, 8000), script.faults)  # type: ignore[arg-type]
    assert done == Audio(clipped, 8000)


def test_half_a_frame_is_whole_steps_of_all_channels() -> None:
    stereo = Audio(np.arange(14, dtype=np.int16), 8000, 2)
    (half,) = fed(line({"kind": "half_frame"}), [(0, stereo)])
    assert half[1] == Audio(np.arange(6, dtype=np.int16), 8000, 2)
    (three,) = fed(line({"kind": "wrong_channels", "channels": 3}), [(0, stereo)])
    assert three[1] == Audio(np.arange(12, dtype=np.int16), 8000, 3)
    (nothing,) = fed(
        line({"kind": "half_frame"}, {"kind": "silence"}), [(0, Audio(stereo.samples[:0], 8000))]
    )
    assert nothing[1] == Audio(stereo.samples[:0], 8000)


def test_timestamps_of_the_pipeline_are_moved_and_others_made() -> None:
    stamped = [(number, audio(number, timestamp_us=5_000_000 + 20_000 * number)) for number in range(4)]
    jumped = fed(line({"kind": "timestamp_jump", "at_result": 1, "by_s": -0.5}), stamped)
    assert [data.timestamp_us for _, data in jumped] == [5_000_000, 4_520_000, 4_540_000, 4_560_000]  # type: ignore[union-attr]
    drifting = line({"kind": "clock_drift", "ppm": 100, "at_s": 0.02, "for_s": 0.04})
    drifted = fed(drifting, ((number, audio(number)) for number in range(5)))
    assert [data.timestamp_us for _, data in drifted] == [None, None, 40_002, 60_004, 80_004]  # type: ignore[union-attr]


async def test_late_frames_and_gaps_take_time_by_the_clock() -> None:
    faults = [{"kind": "late", "at_s": 0.1, "delay_s": 0.05}, {"kind": "gap", "at_result": 8, "by_s": 1.0}]
    (session,), entries = await played({"media": faults})
    due = [0.0, 0.02, 0.04, 0.06, 0.08, 0.15, 0.15, 0.15, 1.16, 1.16]
    assert [at_s for at_s, _, _ in heard(session)] == due
    fired = [(entry.fault, entry.sequence, round(entry.at_s, 9)) for entry in entries if entry.fault]
    assert fired == [("media_late", 5, 0.1), ("media_gap", 8, 0.16)]
    assert [entry.kind for entry in entries][-1] is Kind.SENT


async def test_a_trace_replays_exactly_whatever_the_seed() -> None:
    faults = [
        {"kind": "drop", "rate": 0.1},
        {"kind": "late", "rate": 0.1, "delay_s": 0.03},
        {"kind": "timestamp_jump", "rate": 0.1, "by_s": 0.5},
        {"kind": "reorder", "rate": 0.2, "after": 2},
        {"kind": "duplicate", "rate": 0.1},
        {"kind": "clock_drift", "at_s": 0.2, "for_s": 0.3, "ppm": 500},
        {"kind": "clipping", "rate": 0.1, "gain": 900.0},
        {"kind": "end_missing", "rate": 0.5},
    ]
    sessions, entries = await played({"media": faults}, 60, seed=5, calls=3)
    trace = media_trace(entries)
    assert {item["kind"] for item in trace} == {fault["kind"] for fault in faults}
    assert {item["call"] for item in trace} == {0, 1, 2}
    assert len({str(heard(session)) for session in sessions}) == 3
    again, entries_again = await played({"media": {"trace": trace}}, 60, seed=99, calls=3)
    assert media_trace(entries_again) == trace
    for before, after in zip(sessions, again, strict=True):
        start_s = before.results[0].at_s - after.results[0].at_s
        assert abs(start_s) < 1e-6
        assert heard(after) == heard(before)
        assert after.closings == before.closings
    one_more = {"trace": trace, "faults": [{"kind": "silence", "at_result": 0, "call": 0}]}
    spliced, _ = await played({"media": one_more}, 60, calls=3)
    assert heard(spliced[1]) == heard(sessions[1]) and heard(spliced[0]) != heard(sessions[0])


async def test_how_sessions_end() -> None:
    async def ending(*faults: dict[str, Any]) -> tuple[int, list[tuple[Kind, str]]]:
        (session,), entries = await played({"media": faults}, 2)
        assert [number for _, number, _ in heard(session)] == [0, 1]
        return session.closings, [(entry.kind, entry.detail) for entry in entries if entry.kind in ENDS]

    assert await ending({"kind": "end_twice"}) == (2, [(Kind.SENT, "2 results")])
    assert await ending({"kind": "end_missing"}) == (0, [(Kind.FAILED, "ended without being closed")])
    assert await ending({"kind": "end_twice", "rate": 0.0}) == (1, [(Kind.SENT, "2 results")])
    with pytest.raises(RuntimeError, match="nobody sleeps"):
        await ending({"kind": "end_missing", "hang": True})


async def test_what_still_waits_goes_out_before_the_end() -> None:
    (session,), _ = await played({"media": [{"kind": "reorder", "at_result": 8, "after": 5}]})
    assert [number for _, number, _ in heard(session)] == [0, 1, 2, 3, 4, 5, 6, 7, 9, 8]
    assert session.closings == 1


async def test_other_parts_of_the_script_count_what_is_sent() -> None:
    faults = [{"kind": "drop", "at_result": 1}, {"kind": "reorder", "at_result": 2}]
    script = {"media": faults, "stream": {"cut_after": 3}, "corrupt": {"mode": "garbage"}}
    (session,), entries = await played(script)
    assert isinstance(session.error, ConnectionCut)
    # The first result is garbage in its place, and is counted.
    assert [number for _, number, _ in heard(session)] == [3, 2]
    assert len(session.raw) == 1
    assert entries[-1].detail == "the connection was cut"


async def test_a_refused_session_is_told_by_its_player() -> None:
    (session,), _ = await played({"error": {"status": "unavailable"}})
    assert isinstance(session.error, Refusal) and session.results == []


async def test_a_minute_in_a_moment_in_exact_order() -> None:
    faults = [{"kind": "late", "at_s": 30.0, "delay_s": 0.5}, {"kind": "drop", "at_s": 59.98}]
    (session,), _ = await played({"media": faults, "latency": {"fixed_s": 0.005}}, 3000)
    assert [number for _, number, _ in heard(session)] == list(range(2999))
    times = [at_s for at_s, _, _ in heard(session)]
    # The session is ready after 5 ms, and each answer takes 5 ms.
    assert times[1:1500] == [round(number * 0.02 + 0.005, 9) for number in range(1, 1500)]
    assert times[1500] == 30.505
    assert times == sorted(times)


async def test_unary_answers() -> None:
    def twice(data: RuntimeData, call: Any) -> list[RuntimeData]:
        return [data, Text("between"), data]

    async def answered(*faults: dict[str, Any]) -> tuple[dict[str, RuntimeData], list[dict[str, Any]], float]:
        clock = ManualClock()
        brain = Brain(parse_behaviour({"media": faults}), {"Twice": twice}, clock=clock)
        call = ServerCall("execute", "here", {}, None)
        manifest = Manifest.single("n", node_type="Twice")
        reply = await clock.run(brain.execute(call, manifest, {"n": audio()}))
        assert isinstance(reply, Answer)
        (sent,) = brain.journal.entries(Kind.SENT)
        assert set(sent.content) == set(reply.outputs)
        return dict(reply.outputs), media_trace(brain.journal), clock.now()

    whole, text = audio(), Text("between")
    outputs, trace, took_s = await answered(
        {"kind": "drop", "at_s": 0.025}, {"kind": "silence", "at_result": 0}, {"kind": "duplicate"}
    )
    silent = Audio(np.zeros_like(whole.samples), 16_000)
    assert outputs == {"output": silent, "output.1": text}
    assert trace == [
        {"kind": "silence", "call": 0, "at_result": 0, "media_s": 0.0},
        {"kind": "drop", "call": 0, "at_result": 1, "media_s": 0.02},
    ]
    outputs, _, took_s = await answered(
        {"kind": "gap", "at_result": 1, "by_s": 1.5}, {"kind": "late", "at_result": 1, "delay_s": 1.0}
    )
    assert took_s == 2.5
    moved = Audio(whole.samples, 16_000, timestamp_us=1_520_000)
    assert outputs == {"output": whole, "output.1": text, "output.2": moved}


async def test_nothing_of_it_touches_other_scripts() -> None:
    plain, entries = await played(
        {"latency": {"uniform_s": [0.0, 0.01]}, "corrupt": {"mode": "garbage", "rate": 0.5}}
    )
    disturbed, others = await played(
        {
            "latency": {"uniform_s": [0.0, 0.01]},
            "corrupt": {"mode": "garbage", "rate": 0.5},
            "media": [{"kind": "silence", "rate": 0.5}],
        }
    )
    drawn = [[entry.detail for entry in told if entry.fault == "latency"] for told in (entries, others)]
    assert drawn[0] == drawn[1] and len(drawn[0]) == 11
    assert [at_s for at_s, _, _ in heard(plain[0])] == [at_s for at_s, _, _ in heard(disturbed[0])]


@pytest.mark.parametrize("wire", ["grpc", "http"])
async def test_callers_bring_their_own(wire: str) -> None:
    async with (
        FakeServer(transport=wire, allow_scripts=True) as fake,
        rpe.connect([fake.endpoint], transport=wire) as client,
    ):
        brought = caller_script({"media": [{"kind": "silence"}], "service": {"base_s": 0.001}})
        result = await client.execute(ECHO, audio(), metadata=brought)
        assert isinstance(result.output, Audio) and not result.output.samples.any()
        assert (await client.execute(ECHO, audio())).output == audio()
        faults = [(entry.fault, entry.call) for entry in fake.journal.entries(Kind.FAULT)]
    assert faults == [("service", 1), ("media_silence", 1)]
