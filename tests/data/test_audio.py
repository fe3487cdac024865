from __future__ import annotations

import dataclasses
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rpe.data import Audio
from rpe.errors import DataValidationError

FLOATS = np.array([0.0, 0.5, -1.0, 0.25], np.float32)


def test_samples_are_a_read_only_view_of_the_callers_array() -> None:
    mine = FLOATS.copy()
    audio = Audio(mine, 16_000)
    assert np.shares_memory(audio.samples, mine)
    with pytest.raises(ValueError, match="read-only"):
        audio.samples[0] = 1
    mine[0] = 1  # the caller's own array is as it was
    with pytest.raises(dataclasses.FrozenInstanceError):
        audio.sample_rate = 8000  # type: ignore[misc]


def test_frames_count_and_duration() -> None:
    audio = Audio(FLOATS, 4, channels=2)
    assert audio.num_samples == 4
    assert audio.frames.shape == (2, 2)
    assert audio.frames[1].tolist() == [-1.0, 0.25]
    assert np.shares_memory(audio.frames, audio.samples)
    assert audio.duration_s == 0.5


def test_no_samples_may_have_no_channels_and_no_rate() -> None:
    silence = Audio(np.array([], np.int16), 0, channels=0)
    assert silence.duration_s == 0.0
    assert silence.frames.shape == (0, 1)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"samples": [0.0, 1.0]}, "audio.samples"),
        ({"samples": FLOATS.astype(np.float64)}, "audio.samples"),
        ({"samples": FLOATS.astype(">f4")}, "audio.samples"),
        ({"samples": FLOATS.reshape(2, 2)}, "audio.samples"),
        ({"channels": 3}, "audio.samples"),
        ({"channels": 0}, "audio.channels"),
        ({"channels": True}, "audio.channels"),
        ({"sample_rate": 0}, "audio.sample_rate"),
        ({"sample_rate": -1}, "audio.sample_rate"),
        ({"sample_rate": 1 << 32}, "audio.sample_rate"),
        ({"sample_rate": 16_000.0}, "audio.sample_rate"),
        ({"stream_id": 5}, "audio.stream_id"),
        ({"timestamp_us": -1}, "audio.timestamp_us"),
        ({"arrival_ts_us": 1 << 64}, "audio.arrival_ts_us"),
        ({"annotations": {1: 2}}, "audio.annotations"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(DataValidationError) as caught:
        Audio(**{"samples": FLOATS, "sample_rate": 16_000, **fields})
    assert caught.value.field == field


def test_samples_with_gaps_are_packed() -> None:
    audio = Audio(np.arange(8, dtype=np.int16)[::2], 16_000)
    assert audio.samples.flags.c_contiguous
    assert audio.samples.tolist() == [0, 2, 4, 6]


def test_equality_is_bit_for_bit() -> None:
    nan = np.array([np.nan, 0.0], np.float32)
    assert Audio(nan, 8000) == Audio(nan.copy(), 8000)
    assert Audio(nan, 8000) != Audio(-nan, 8000)
    assert Audio(FLOATS, 8000) != Audio(FLOATS, 16_000)
    assert Audio(FLOATS, 8000) != Audio(FLOATS[:2], 8000)
    assert Audio(np.zeros(2, np.int16), 8000) != Audio(np.zeros(2, np.float32), 8000)


def test_to_float32_divides_by_full_scale() -> None:
    audio = Audio(np.array([-32768, 0, 16384, 32767], np.int16), 8000, stream_id="s")
    floats = audio.to_float32()
    assert floats.samples.dtype == np.float32
    assert floats.samples.tolist() == [-1.0, 0.0, 0.5, 32767 / 32768]
    assert floats.stream_id == "s"
    assert floats.to_float32() is floats
    wide = Audio(np.array([-(2**31), 2**30], np.int32), 8000).to_float32()
    assert wide.samples.tolist() == [-1.0, 0.5]


@pytest.mark.parametrize("dtype", [np.int16, np.int32])
def test_integers_survive_a_wav_file(tmp_path: Path, dtype: type) -> None:
    info = np.iinfo(dtype)
    audio = Audio(np.array([info.min, -1, 0, info.max], dtype), 22_050, channels=2)
    audio.to_wav(tmp_path / "a.wav")
    assert Audio.from_wav(tmp_path / "a.wav") == audio


def test_floats_are_clipped_and_rounded_to_16_bits(tmp_path: Path) -> None:
    Audio(np.array([0.5, 2.0, -2.0, np.nan], np.float32), 8000).to_wav(tmp_path / "a.wav")
    assert Audio.from_wav(tmp_path / "a.wav").samples.tolist() == [16384, 32767, -32768, 0]


@pytest.mark.parametrize(
    ("width", "raw", "expected"),
    [
        (1, bytes([0, 128, 255]), [-32768, 0, 32512]),
        (3, b"\x00\x00\x80" + b"\xff\xff\xff" + b"\x01\x00\x00", [-(2**31), -256, 256]),
    ],
)
def test_other_widths_of_a_wav_are_widened(
    tmp_path: Path, width: int, raw: bytes, expected: list[int]
) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(width)
        writer.setframerate(8000)
        writer.writeframes(raw)
    audio = Audio.from_wav(tmp_path / "a.wav", stream_id="mic")
    assert audio.samples.tolist() == expected
    assert audio.stream_id == "mic"


@pytest.mark.parametrize("content", [b"", b"RIFF", b"not a wav file at all, but long enough"])
def test_what_is_no_wav_is_said(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(DataValidationError) as caught:
        Audio.from_wav(tmp_path / "a.wav")
    assert caught.value.field == "audio.wav"
    with pytest.raises(FileNotFoundError):
        Audio.from_wav(tmp_path / "missing.wav")
