"""Audio: interleaved samples."""

from __future__ import annotations

import os
import wave
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rpe.data.base import (
    EMPTY,
    Payload,
    as_labels,
    as_stream_id,
    assign,
    check_uint,
    invalid,
    readonly,
)
from rpe.data.json_value import check_json

__all__ = ["Audio"]

_FULL_SCALE = {
    np.dtype(np.float32): 1.0,
    np.dtype(np.int16): 2.0**15,
    np.dtype(np.int32): 2.0**31,
}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Audio(Payload):
    """A run of audio.

    samples: one dimension, channels interleaved, of float32, int16 or int32; kept as a
        read-only view, so the caller's own array is not copied and must not change later.
    sample_rate: frames per second.
    stream_id: which of several streams this belongs to.
    timestamp_us, arrival_ts_us: when it was taken and when it arrived, in microseconds
        of the clock of whoever sets them.
    annotations: any JSON value that belongs to this run of audio.

    Raises DataValidationError where a part is not what it should be.
    """

    kind: ClassVar[str] = "audio"

    samples: NDArray[Any]
    sample_rate: int
    channels: int = 1
    stream_id: str | None = None
    timestamp_us: int | None = None
    arrival_ts_us: int | None = None
    annotations: Any = None
    metadata: Mapping[str, str] = EMPTY

    def __post_init__(self) -> None:
        samples: Any = self.samples
        if not isinstance(samples, np.ndarray) or samples.dtype not in _FULL_SCALE:
            what = getattr(samples, "dtype", type(samples).__name__)
            raise invalid("audio.samples", f"must be an array of float32, int16 or int32, not {what}")
        if samples.ndim != 1:
            raise invalid(
                "audio.samples", f"must have one dimension, channels interleaved, not {samples.ndim}"
            )
        flags = samples.flags
        if flags.writeable or not flags.c_contiguous:
            assign(self, "samples", readonly(np.ascontiguousarray(samples)))
        check_uint(self.sample_rate, 32, "audio.sample_rate")
        check_uint(self.channels, 32, "audio.channels")
        if samples.size:
            if not self.channels:
                raise invalid("audio.channels", "must not be 0 where there are samples")
            if not self.sample_rate:
                raise invalid("audio.sample_rate", "must not be 0 where there are samples")
            if samples.size % self.channels:
                raise invalid(
                    "audio.samples", f"{samples.size} samples are no whole frames of {self.channels} channels"
                )
        if self.stream_id is not None:
            assign(self, "stream_id", as_stream_id(self.stream_id, "audio.stream_id"))
        if self.timestamp_us is not None:
            check_uint(self.timestamp_us, 64, "audio.timestamp_us")
        if self.arrival_ts_us is not None:
            check_uint(self.arrival_ts_us, 64, "audio.arrival_ts_us")
        if self.annotations is not None:
            check_json(self.annotations, "audio.annotations")
        if self.metadata is not EMPTY:
            assign(self, "metadata", as_labels(self.metadata, "audio.metadata"))

    @property
    def num_samples(self) -> int:
        """The samples of all channels together."""
        return self.samples.size

    @property
    def frames(self) -> NDArray[Any]:
        """The same samples as a view of shape (frames, channels)."""
        return self.samples.reshape(-1, self.channels or 1)

    @property
    def duration_s(self) -> float:
        """How long it sounds, in seconds; 0 for no samples."""
        return self.samples.size / (self.channels * self.sample_rate) if self.samples.size else 0.0

    def to_float32(self) -> Audio:
        """The same audio in float32, integers divided by their full scale (int16 by 32768)."""
        if self.samples.dtype == np.float32:
            return self
        scale = _FULL_SCALE[self.samples.dtype]
        return replace(self, samples=(self.samples / scale).astype(np.float32))

    @classmethod
    def from_wav(cls, path: str | os.PathLike[str], **fields: Any) -> Audio:
        """Read a WAV file of integer samples: 8 and 16 bits become int16, 24 and 32 bits int32.

        `fields` are further fields of the audio. Raises OSError where the file cannot be
        read and DataValidationError where it is not such a WAV. Blocks while it reads.
        """
        with Path(path).open("rb") as file:
            try:
                with wave.open(file) as reader:
                    raw = reader.readframes(reader.getnframes())
                    width, channels, rate = (
                        reader.getsampwidth(),
                        reader.getnchannels(),
                        reader.getframerate(),
                    )
            except (wave.Error, EOFError) as error:
                raise invalid("audio.wav", f"{path} is no WAV file of integer samples: {error}") from error
        whole = len(raw) - len(raw) % (width * channels)
        return cls(_from_pcm(raw[:whole], width), sample_rate=rate, channels=channels, **fields)

    def to_wav(self, path: str | os.PathLike[str]) -> None:
        """Write a WAV file: int16 and int32 as they are, float32 clipped and rounded to 16 bits.

        Raises OSError where it cannot be written. Blocks while it writes.
        """
        samples = self.samples
        if samples.dtype == np.float32:
            samples = np.clip(np.rint(np.nan_to_num(samples) * 2.0**15), -(2**15), 2**15 - 1).astype(np.int16)
        with Path(path).open("wb") as file, wave.open(file, "wb") as writer:
            writer.setnchannels(self.channels or 1)
            writer.setsampwidth(samples.dtype.itemsize)
            writer.setframerate(self.sample_rate or 1)
            writer.writeframes(samples.tobytes())


def _from_pcm(raw: bytes, width: int) -> NDArray[Any]:
    """The samples of a WAV, whose bytes of one sample are `width`."""
    if width == 1:  # 8 bits are the only unsigned ones
        return (np.frombuffer(raw, np.uint8).astype(np.int16) - 128) << 8
    if width == 3:
        wide = np.zeros((len(raw) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(raw, np.uint8).reshape(-1, 3)
        return wide.reshape(-1).view("<i4")
    return np.frombuffer(raw, f"<i{width}")
