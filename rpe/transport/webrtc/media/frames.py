"""Between `Audio` of any form and the frames of an audio track: 48 kHz, 16 bits, 20 ms each."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Final

import numpy as np
from av import AudioFrame, AudioResampler
from numpy.typing import NDArray

from rpe.data import Audio
from rpe.errors import DataValidationError

__all__ = ["FRAME_S", "FRAME_SAMPLES", "SAMPLE_RATE", "Cutter", "make_frame", "read_frame"]

SAMPLE_RATE: Final = 48_000
"""Of every Opus track, whatever its sound was sampled at (RFC 7587, section 4.1)."""
FRAME_S: Final = 0.02
FRAME_SAMPLES: Final = 960

_TIME_BASE = Fraction(1, SAMPLE_RATE)
_FORMATS = {np.dtype(np.int16): "s16", np.dtype(np.int32): "s32", np.dtype(np.float32): "flt"}
_LAYOUTS = {1: "mono", 2: "stereo"}


class Cutter:
    """Cuts audio of any rate, type and number of channels into frames of a track.

    The pieces are taken for one continuous sound, so that no click is heard between them.
    Where a piece differs in form from the one before, what is left of that one comes first.

    Arguments:
        channels: of the track, 1 or 2. Others are mixed: down to their mean, or one to both sides.
    """

    def __init__(self, channels: int = 1) -> None:
        if channels not in _LAYOUTS:
            raise DataValidationError(f"is {channels}, but a track has 1 or 2", field="channels")
        self._channels = channels
        self._form: tuple[int, str] | None = None
        self._resampler: AudioResampler | None = None

    def cut(self, audio: Audio) -> list[NDArray[np.int16]]:
        """Return the frames that are full now, as arrays of shape (samples, channels)."""
        samples = self._mix(audio.frames)
        if not len(samples):
            return []
        form = (audio.sample_rate, _FORMATS[samples.dtype])
        frames = self.flush() if self._form not in (None, form) else []
        if self._resampler is None:
            layout = _LAYOUTS[self._channels]
            self._resampler = AudioResampler(
                format="s16", layout=layout, rate=SAMPLE_RATE, frame_size=FRAME_SAMPLES
            )
            self._form = form
        frame = AudioFrame.from_ndarray(
            samples.reshape(1, -1), format=form[1], layout=_LAYOUTS[self._channels]
        )
        frame.sample_rate = audio.sample_rate
        return frames + self._taken(self._resampler.resample(frame))

    def flush(self) -> list[NDArray[np.int16]]:
        """Return what is left, its last frame filled up with silence. A new sound may follow."""
        resampler, self._resampler, self._form = self._resampler, None, None
        return [] if resampler is None else self._taken(resampler.resample(None))

    def _mix(self, frames: NDArray[Any]) -> NDArray[Any]:
        if frames.shape[1] == self._channels:
            mixed = frames
        elif self._channels == 1:
            mixed = frames.mean(axis=1, dtype=np.float64).astype(frames.dtype)
        elif frames.shape[1] == 1:
            mixed = np.repeat(frames, 2, axis=1)
        else:
            mixed = np.repeat(frames.mean(axis=1, dtype=np.float64).astype(frames.dtype)[:, None], 2, axis=1)
        if mixed.dtype == np.float32:
            # What is out of range, or no number, would be heard as noise.
            mixed = np.clip(np.nan_to_num(mixed), -1.0, 1.0)
        return np.ascontiguousarray(mixed)

    def _taken(self, frames: list[AudioFrame]) -> list[NDArray[np.int16]]:
        taken: list[NDArray[np.int16]] = []
        for frame in frames:
            samples: NDArray[Any] = frame.to_ndarray().reshape(-1, self._channels)
            if len(samples) < FRAME_SAMPLES:
                samples = np.pad(samples, ((0, FRAME_SAMPLES - len(samples)), (0, 0)))
            taken.append(samples)
        return taken


def make_frame(samples: NDArray[np.int16], timestamp: int) -> AudioFrame:
    """Return samples of shape (samples, channels) as a frame; `timestamp` counts samples from the start."""
    frame = AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout=_LAYOUTS[samples.shape[1]])
    frame.sample_rate = SAMPLE_RATE
    frame.pts = timestamp
    frame.time_base = _TIME_BASE
    return frame


def read_frame(frame: AudioFrame, channels: int = 1) -> Audio:
    """Return a frame of a track as audio of 48 kHz with 1 or 2 channels, timed by the track's own clock."""
    samples: NDArray[Any] = frame.to_ndarray()
    if frame.format.is_planar:
        samples = samples.T
    samples = samples.reshape(-1, frame.layout.nb_channels)
    if samples.shape[1] != channels:
        mean = samples.mean(axis=1, dtype=np.float64).astype(samples.dtype)
        samples = np.repeat(mean[:, None], channels, axis=1)
    timestamp_us = None if frame.pts is None else max(round(frame.pts * 1_000_000 / SAMPLE_RATE), 0)
    return Audio(
        np.ascontiguousarray(samples).reshape(-1),
        sample_rate=frame.sample_rate,
        channels=channels,
        timestamp_us=timestamp_us,
    )
