from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rpe.data import Audio
from rpe.errors import ConfigurationError, DataValidationError
from rpe.voice.pcm import VOICE_RATE, to_mono_16k
from rpe.voice.vad import FRAME, SegmenterSettings, SpeechSegmenter

SPEECH = Path(__file__).parents[2] / "fakes/media/speech"


@cache
def recording(name: str = "0880") -> NDArray[np.int16]:
    return Audio.from_wav(SPEECH / f"sense-and-sensibility-{name}.wav").samples


@cache
def two_with_a_pause() -> NDArray[np.int16]:
    """Speech from 0.25 s to 2.85 s, and once more 3.99 s later."""
    return np.concatenate([recording(), np.zeros(VOICE_RATE, np.int16), recording()])


def audio(samples: NDArray[np.int16], **fields: object) -> Audio:
    return Audio(samples, sample_rate=VOICE_RATE, **fields)  # type: ignore[arg-type]


def segments(*pieces: Audio, settings: SegmenterSettings | None = None) -> list[Audio]:
    segmenter = SpeechSegmenter(settings)
    return [segment for piece in pieces for segment in segmenter.feed(piece)] + segmenter.flush()


def spans(found: list[Audio]) -> list[tuple[float, float]]:
    return [(float(item.metadata["start_s"]), float(item.metadata["end_s"])) for item in found]


def test_segments_are_where_the_speech_is() -> None:
    heard = two_with_a_pause()
    first, second = segments(audio(heard))
    for segment, offset_s in ((first, 0.0), (second, 3.99)):
        assert float(segment.metadata["start_s"]) == pytest.approx(offset_s + 0.2, abs=0.15)
        assert float(segment.metadata["end_s"]) == pytest.approx(offset_s + 2.9, abs=0.15)
        start, end = (round(float(segment.metadata[name]) * VOICE_RATE) for name in ("start_s", "end_s"))
        assert np.array_equal(segment.samples, heard[start:end])
        assert segment.timestamp_us == start * 1_000_000 // VOICE_RATE
        assert (segment.sample_rate, segment.channels) == (VOICE_RATE, 1)


@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(0, 44_000), max_size=12), longest_s=st.sampled_from([30.0, 0.3]))
def test_how_the_stream_is_cut_into_pieces_changes_nothing(cuts: list[int], longest_s: float) -> None:
    heard = short()
    how = SegmenterSettings(max_segment_s=longest_s)
    places = [0, *sorted(cuts), len(heard)]
    pieces = [audio(heard[a:b]) for a, b in itertools.pairwise(places)]
    assert segments(*pieces, settings=how) == _whole(longest_s)


@cache
def short() -> NDArray[np.int16]:
    """Speech, half a second of nothing, and speech."""
    return np.concatenate([recording()[:20_000], np.zeros(8000, np.int16), recording()[:16_000]])


@cache
def _whole(longest_s: float) -> list[Audio]:
    found = segments(audio(short()), settings=SegmenterSettings(max_segment_s=longest_s))
    assert len(found) >= 2
    return found


def test_a_segment_is_given_once_its_silence_has_been_heard() -> None:
    heard = two_with_a_pause()
    segmenter = SpeechSegmenter()
    given_at = [
        place for place in range(0, len(heard), FRAME) if segmenter.feed(audio(heard[place : place + FRAME]))
    ]
    assert [place / VOICE_RATE for place in given_at] == [pytest.approx(2.85 + 0.3, abs=0.2)]
    assert len(segmenter.flush()) == 1


def test_long_speech_is_cut_with_nothing_lost_or_doubled() -> None:
    (whole,) = segments(audio(recording()))
    parts = segments(audio(recording()), settings=SegmenterSettings(max_segment_s=0.5, min_silence_s=0.6))
    assert len(parts) > 3
    assert max(part.duration_s for part in parts) < 0.7
    assert np.array_equal(np.concatenate([part.samples for part in parts]), whole.samples)


def test_short_speech_is_dropped_and_silence_gives_nothing() -> None:
    assert segments(audio(recording()), settings=SegmenterSettings(min_speech_s=5)) == []
    assert segments(audio(np.zeros(3 * VOICE_RATE, np.int16))) == []
    assert segments(audio(np.zeros(0, np.int16))) == []


def test_one_pause_or_two_segments() -> None:
    apart = spans(segments(audio(two_with_a_pause()), settings=SegmenterSettings(min_silence_s=0.5)))
    joined = spans(segments(audio(two_with_a_pause()), settings=SegmenterSettings(min_silence_s=2)))
    assert joined == [(apart[0][0], apart[1][1])]


def test_padding() -> None:
    (tight,) = spans(segments(audio(recording()), settings=SegmenterSettings(padding_s=0)))
    (wide,) = spans(segments(audio(recording()), settings=SegmenterSettings(padding_s=0.05)))
    assert wide == pytest.approx((tight[0] - 0.05, tight[1] + 0.05), abs=0.002)


def test_channels_and_sample_types_come_to_the_same() -> None:
    heard = recording()
    stereo = np.repeat(heard, 2)
    floats = (heard / 2**15).astype(np.float32)
    expected = segments(audio(heard))
    assert segments(audio(stereo, channels=2)) == expected
    assert segments(audio(floats)) == expected  # type: ignore[arg-type]


def test_another_stream_begins_anew_after_what_was_open() -> None:
    cut = recording()[: VOICE_RATE * 2]
    found = segments(
        audio(cut, stream_id="a", timestamp_us=5_000_000, metadata={"who": "x"}), audio(cut, stream_id="b")
    )
    assert [item.stream_id for item in found] == ["a", "b"]
    (start_s, end_s), again = spans(found)
    assert again == (start_s, end_s)
    assert end_s == 2.0
    assert found[0].timestamp_us == 5_000_000 + round(start_s * 1_000_000)
    assert found[0].metadata["who"] == "x"
    assert "who" not in found[1].metadata


def test_a_segmenter_can_be_used_again_after_its_end() -> None:
    segmenter = SpeechSegmenter()
    rounds = [segmenter.feed(audio(recording())) + segmenter.flush() for _ in range(2)]
    assert rounds[0] == rounds[1] == segments(audio(recording()))


def test_another_rate_is_refused_with_what_to_do() -> None:
    segmenter = SpeechSegmenter()
    with pytest.raises(DataValidationError, match="16000 Hz, not 8000 Hz") as caught:
        segmenter.feed(Audio(np.zeros(10, np.int16), 8000))
    assert "Resample" in caught.value.hint


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"threshold": 1.0}, "threshold"),
        ({"min_speech_s": -1}, "min_speech_s"),
        ({"max_segment_s": 0.01}, "max_segment_s"),
        ({"min_silence_s": float("nan")}, "min_silence_s"),
        ({"padding_s": 0.5, "min_silence_s": 0.2}, "longer than min_silence_s"),
    ],
)
def test_settings_out_of_range(values: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        SegmenterSettings(**values)


def test_to_mono_16k() -> None:
    left, right = recording()[:1000].astype(np.int32) // 2, recording()[1000:2000].astype(np.int32) // 2
    both = np.stack([left, right], axis=1).reshape(-1).astype(np.int16)
    mixed = to_mono_16k(audio(both, channels=2, metadata={"k": "v"}))
    assert np.abs(mixed.samples - (left + right) / 2).max() <= 0.5
    assert (mixed.channels, mixed.metadata) == (1, {"k": "v"})

    tone = (np.sin(np.arange(8000) * 2 * np.pi * 440 / 8000) * 10_000).astype(np.int16)
    twice = to_mono_16k(Audio(tone, 8000))
    assert twice.sample_rate == VOICE_RATE
    assert twice.num_samples == 16_000
    assert np.argmax(np.abs(np.fft.rfft(twice.samples))) == 440

    loud = to_mono_16k(Audio(np.array([2.0, -2.0, np.nan], np.float32), VOICE_RATE))
    assert loud.samples.tolist() == [2**15 - 1, -(2**15), 0]
    assert to_mono_16k(Audio(np.zeros(0, np.float32), 8000)).num_samples == 0
