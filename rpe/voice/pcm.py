"""Audio in the one form that speech engines take: 16 kHz, one channel, int16."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rpe.data import Audio

__all__ = ["VOICE_RATE", "mono_int16", "to_mono_16k"]

VOICE_RATE = 16_000
"""Frames per second that the engines listen at."""

_FULL_SCALE = 2.0**15


def to_mono_16k(audio: Audio) -> Audio:
    """Return the audio with one channel of int16 at 16 kHz: channels averaged, rate changed where it differs.

    The rate is changed by linear interpolation, with no filter: frequencies above 8 kHz fold
    back, of which speech has few. For whole recordings or segments: nothing is carried over from
    one call to the next, so pieces of one stream would get seams.
    """
    samples = mono_int16(audio)
    if audio.sample_rate != VOICE_RATE and len(samples):
        count = max(1, round(len(samples) * VOICE_RATE / audio.sample_rate))
        places = np.arange(count) * (audio.sample_rate / VOICE_RATE)
        samples = np.rint(np.interp(places, np.arange(len(samples)), samples)).astype(np.int16)
    return replace(audio, samples=samples, sample_rate=VOICE_RATE, channels=1)


def mono_int16(audio: Audio) -> NDArray[np.int16]:
    """The samples as one channel of int16, at their own rate: averaged, rounded and clipped."""
    if audio.channels <= 1 and audio.samples.dtype == np.int16:
        samples: NDArray[np.int16] = audio.samples
        return samples
    mixed = audio.to_float32().frames.mean(axis=1, dtype=np.float64)
    scaled = np.rint(np.nan_to_num(mixed) * _FULL_SCALE)
    return np.asarray(np.clip(scaled, -_FULL_SCALE, _FULL_SCALE - 1), np.int16)
