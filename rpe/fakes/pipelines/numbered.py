"""Frames of sound that carry their number in their samples, so that a test can tell which of them arrived.

A number takes 48 samples of one loudness, of which only the signs matter: 16 for the mark
0xEB90 (the telemetry sync word of IRIG 106), 24 for the number, and 8 for its CRC. It
survives conversion to int16, gain and clipping, and can be found in any run of samples;
not so resampling, and codecs that lose something.
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from rpe.data import Audio

__all__ = ["NUMBER_SAMPLES", "frame_numbers", "number_samples"]

NUMBER_SAMPLES = 48
"""How many samples a number takes."""

_LEVEL = np.float32(0.25)
_SYNC = 0xEB90
_SYNC_BITS = np.array([_SYNC >> (15 - i) & 1 for i in range(16)], dtype=bool)


def number_samples(number: int) -> NDArray[np.float32]:
    """Return the samples that say a number from 0 to 2**24 - 1."""
    word = (_SYNC << 32) | (number << 8) | _check(number)
    bits = np.array([word >> (NUMBER_SAMPLES - 1 - i) & 1 for i in range(NUMBER_SAMPLES)], dtype=bool)
    return np.where(bits, _LEVEL, -_LEVEL).astype(np.float32)


def frame_numbers(audio: Audio) -> list[int]:
    """Return the numbers of the frames in a run of sound, in the order in which they are heard.

    A frame that came twice is told twice; one whose number is damaged or cut is not told. Only
    the first channel is looked at.
    """
    samples = audio.frames[:, 0].astype(np.float64) if audio.num_samples else np.empty(0)
    if len(samples) < NUMBER_SAMPLES:
        return []
    signs = samples > 0
    starts = np.flatnonzero(
        (np.lib.stride_tricks.sliding_window_view(signs[: len(signs) - 32], 16) == _SYNC_BITS).all(axis=1)
    )
    read = (_read(samples[start : start + NUMBER_SAMPLES]) for start in starts.tolist())
    return [number for number in read if number is not None]


def _read(samples: NDArray[np.float64]) -> int | None:
    """Return the number that these samples say, None where they say none."""
    loudness = np.abs(samples)
    if loudness.min() < 0.9 * loudness.max() or not loudness.max():
        return None
    word = int("".join("1" if sample > 0 else "0" for sample in samples[16:]), 2)
    number, check = word >> 8, word & 0xFF
    return number if _check(number) == check else None


def _check(number: int) -> int:
    return zlib.crc32(number.to_bytes(3, "big")) & 0xFF
