"""What a fault does to the audio of a frame, and to nothing else of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpe.data import Audio
from rpe.fakes.media_script import Clipping, FrameFault, HalfFrame, Silence, WrongChannels, WrongSampleRate

__all__ = ["affected"]


def affected(audio: Audio, faults: Iterable[FrameFault]) -> Audio:
    """Return the audio with those faults done to it that are about samples and what is said of them."""
    for fault in faults:
        audio = _affected(audio, fault)
    return audio


def _affected(audio: Audio, fault: FrameFault) -> Audio:
    samples = audio.samples
    match fault:
        case Silence():
            return replace(audio, samples=np.zeros_like(samples))
        case Clipping():
            return replace(audio, samples=_clipped(samples, fault.gain))
        case HalfFrame():
            frames = audio.frames
            return replace(audio, samples=frames[: len(frames) // 2].reshape(-1))
        case WrongSampleRate():
            return replace(audio, sample_rate=fault.sample_rate)
        case WrongChannels():
            whole = samples[: samples.size - samples.size % fault.channels]
            return replace(audio, samples=whole, channels=fault.channels)
        case _:
            return audio


def _clipped(samples: NDArray[Any], gain: float) -> NDArray[Any]:
    louder = samples.astype(np.float64) * gain
    if samples.dtype == np.float32:
        return np.clip(louder, -1.0, 1.0).astype(np.float32)
    range_ = np.iinfo(samples.dtype)
    return np.clip(np.rint(louder), range_.min, range_.max).astype(samples.dtype)
