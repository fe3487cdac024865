"""What the nodes that hear share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rpe.data import Audio, RuntimeData, Text
from rpe.fakes.nodes import NodeCall
from rpe.transport.serving import ErrorType

__all__ = ["SILENCE_DB", "levels_db", "taken_audio", "taken_text"]

SILENCE_DB = -200.0
"""The level of no sound at all."""


def levels_db(audio: Audio, step: int) -> NDArray[np.float64]:
    """Return the loudness (RMS) of each `step` frames, in dB of full scale; the last may be shorter.

    `audio` is float32; all its channels are taken together.
    """
    if not audio.num_samples:
        return np.empty(0)
    power = np.square(audio.frames.astype(np.float64)).mean(axis=1)
    starts = np.arange(0, len(power), step)
    counts = np.diff(np.append(starts, len(power)))
    mean = np.add.reduceat(power, starts) / counts
    return 10 * np.log10(np.maximum(mean, 10 ** (SILENCE_DB / 10)))


def taken_audio(data: RuntimeData, call: NodeCall) -> Audio:
    """Return the data as float32 audio. Raises NodeFailed where it is something else."""
    if not isinstance(data, Audio):
        raise call.failed(f"takes audio, not {data.kind}", ErrorType.TYPE_VALIDATION)
    return data.to_float32()


def taken_text(data: RuntimeData, call: NodeCall) -> Text:
    """Return the data as text. Raises NodeFailed where it is something else."""
    if not isinstance(data, Text):
        raise call.failed(f"takes text, not {data.kind}", ErrorType.TYPE_VALIDATION)
    return data
