"""Audio transforms, each run of audio by itself; the results are float32."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rpe.data import Audio
from rpe.node.contract import NodeCall, node
from rpe.node.params import integer, number

__all__ = ["GAIN", "RESAMPLE"]

_AUDIO = ("audio",)


@node("Gain", number("gain", 1.0), takes=_AUDIO, gives=_AUDIO)
def GAIN(data: Audio, call: NodeCall) -> Audio:  # noqa: N802  # a node type, which is a constant
    """Multiply audio by `gain`, without clipping."""
    audio = data.to_float32()
    return replace(audio, samples=audio.samples * np.float32(call.params["gain"]))


@node("Resample", integer("sample_rate", 16_000, least=1, most=2**32 - 1), takes=_AUDIO, gives=_AUDIO)
def RESAMPLE(data: Audio, call: NodeCall) -> Audio:  # noqa: N802
    """Bring audio to `sample_rate` frames per second.

    Linear interpolation between neighbouring frames, each channel by itself, and no filter:
    frequencies above half the new rate fold back. Nothing is carried from one item to the
    next, so the last part of a frame at the seam between two is rounded away.
    """
    audio = data.to_float32()
    rate: int = call.params["sample_rate"]
    frames = audio.frames
    if rate == audio.sample_rate or not len(frames):
        return replace(audio, sample_rate=rate)
    count = max(1, round(len(frames) * rate / audio.sample_rate))
    places = np.arange(count) * (audio.sample_rate / rate)
    known = np.arange(len(frames))
    samples = np.empty((count, audio.channels), np.float32)
    for channel in range(audio.channels):
        samples[:, channel] = np.interp(places, known, frames[:, channel])
    return replace(audio, samples=samples.reshape(-1), sample_rate=rate)
