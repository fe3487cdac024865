"""Audio: samples as JSON numbers.

The wire knows one form of samples, floats: int16 is divided by 32768 and int32 by 2**31,
and a label says what they were, so that they come back as that. A server that hands the
label on with samples of its own making is not misread: where they are no such integers,
they stay floats.

float32 and int16 go through columns (`rpe.wire.json.columns`). int32 needs more digits
than those have, and is written by the JSON encoder, number by number.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpe.data import Audio
from rpe.data.base import invalid
from rpe.data.json_value import dump_json
from rpe.errors import DataValidationError
from rpe.wire.json.columns import Piece, write_floats
from rpe.wire.json.labels import AUDIO_FORMAT, Labels
from rpe.wire.json.values import as_object, as_values, required

__all__ = ["decode_audio", "encode_audio"]

_FORMATS: dict[np.dtype[Any], tuple[str, float]] = {
    np.dtype(np.int16): ("i16", 2.0**15),
    np.dtype(np.int32): ("i32", 2.0**31),
}
_FROM_LABEL = {name: (dtype, scale) for dtype, (name, scale) in _FORMATS.items()}


def encode_audio(data: Audio, labels: dict[str, str]) -> Iterator[Piece]:
    """Yield the object of the audio. Raises DataValidationError for samples that are not finite."""
    samples = data.samples
    yield b'{"samples":'
    if samples.dtype == np.float32:
        if not np.isfinite(samples).all():
            raise DataValidationError(
                "JSON has no form for a sample that is infinite or not a number",
                field="audio.samples",
                hint="look for what made it, such as a division by zero; gRPC would carry it",
            )
        yield from write_floats(samples)
    else:
        name, scale = _FORMATS[samples.dtype]
        labels[AUDIO_FORMAT] = name
        scaled = samples / scale
        if name == "i16":
            yield from write_floats(scaled.astype(np.float32))
        else:
            yield dump_json(scaled.tolist(), "audio.samples").encode()
    rest: dict[str, Any] = {"sample_rate": data.sample_rate, "channels": data.channels}
    if data.stream_id is not None:
        rest["stream_id"] = data.stream_id
    if data.timestamp_us is not None:
        rest["timestamp_us"] = data.timestamp_us
    if data.arrival_ts_us is not None:
        rest["arrival_ts_us"] = data.arrival_ts_us
    if data.annotations is not None:
        rest["metadata"] = data.annotations
    yield f",{dump_json(rest, 'audio.annotations')[1:]}".encode()


def decode_audio(value: Any, metadata: Labels, ours: Labels) -> Audio:
    """Read the audio of an object."""
    body = as_object(value, "audio")
    values = as_values(required(body, "samples", "audio.samples"), "audio.samples")
    return Audio(
        _samples(values, ours.get(AUDIO_FORMAT)),
        required(body, "sample_rate", "audio.sample_rate"),
        required(body, "channels", "audio.channels"),
        body.get("stream_id"),
        body.get("timestamp_us"),
        body.get("arrival_ts_us"),
        body.get("metadata"),
        metadata,
    )


def _samples(values: NDArray[Any], label: str | None) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        samples = values.astype(np.float32, copy=False)
    if not np.isfinite(samples).all():
        raise invalid("audio.samples", "holds a number that is out of the range of float32")
    if label not in _FROM_LABEL:
        return samples
    dtype, scale = _FROM_LABEL[label]
    # int32 needs the digits that float32 does not have; int16 was written as float32.
    scaled = (values if dtype == np.int32 else samples).astype(np.float64) * scale
    if scaled.size and not -scale <= scaled.min() <= scaled.max() < scale:
        return samples
    integers = scaled.astype(dtype)
    return integers if (integers == scaled).all() else samples
