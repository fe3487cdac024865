"""Audio and AudioBuffer.

The names of streams and the times, for which AudioBuffer has no fields, travel in its
`metadata_json`: under the key "rpe" of the JSON object there, beside what else it
holds. What a foreign sender puts there comes out as `Audio.annotations`.
"""

from __future__ import annotations

from typing import Any, TypeGuard

import numpy as np

from rpe.data import Audio
from rpe.data.base import invalid
from rpe.data.json_value import dump_json, parse_json
from rpe.wire.generated.remotemedia.v1.common_pb2 import (
    AUDIO_FORMAT_F32,
    AUDIO_FORMAT_I16,
    AUDIO_FORMAT_I32,
    DataBuffer,
)
from rpe.wire.protobuf.labels import Labels

__all__ = ["decode_audio", "encode_audio"]

_TO_DTYPE: dict[int, np.dtype[Any]] = {
    AUDIO_FORMAT_F32: np.dtype("<f4"),
    AUDIO_FORMAT_I16: np.dtype("<i2"),
    AUDIO_FORMAT_I32: np.dtype("<i4"),
}
_TO_FORMAT = {
    np.dtype("<f4"): AUDIO_FORMAT_F32,
    np.dtype("<i2"): AUDIO_FORMAT_I16,
    np.dtype("<i4"): AUDIO_FORMAT_I32,
}

_OURS = "rpe"
_INNER = "value"
_TIMES = ("timestamp_us", "arrival_ts_us")


def encode_audio(data: Audio, buffer: DataBuffer) -> None:
    """Write the audio into an empty buffer."""
    audio = buffer.audio
    samples = data.samples
    audio.samples = samples.tobytes()
    audio.sample_rate = data.sample_rate
    audio.channels = data.channels
    audio.format = _TO_FORMAT[samples.dtype]
    audio.num_samples = samples.size
    if (envelope := _wrap(data)) is not None:
        audio.metadata_json = dump_json(envelope, "audio.annotations").encode()


def decode_audio(buffer: DataBuffer, metadata: Labels, _: Labels) -> Audio:
    """Read the audio of a buffer; its samples are not copied again."""
    audio = buffer.audio
    dtype = _TO_DTYPE.get(audio.format)
    if dtype is None:
        raise invalid("audio.format", f"{audio.format} is no known format of samples")
    raw = audio.samples
    if len(raw) != audio.num_samples * dtype.itemsize:
        raise invalid(
            "audio.samples", f"{audio.num_samples} samples of {dtype.itemsize} bytes are not {len(raw)} bytes"
        )
    text = audio.metadata_json
    more = _unwrap(parse_json(text, "audio.metadata_json")) if text else {}
    return Audio(np.frombuffer(raw, dtype), audio.sample_rate, audio.channels, metadata=metadata, **more)


def _wrap(data: Audio) -> Any:
    """The JSON value of the fields that AudioBuffer lacks; None for none."""
    ours = {name: value for name in ("stream_id", *_TIMES) if (value := getattr(data, name)) is not None}
    notes = data.annotations
    if isinstance(notes, dict) and notes and _OURS not in notes:
        return {**notes, _OURS: ours} if ours else notes
    if not ours and not isinstance(notes, dict):
        return notes
    if notes is not None:
        ours[_INNER] = notes
    return {_OURS: ours}


def _unwrap(envelope: Any) -> dict[str, Any]:
    """The fields in such a JSON value; where it is not of our making, it is all annotations."""
    ours = envelope.get(_OURS) if isinstance(envelope, dict) else None
    if not _is_ours(ours):
        return {"annotations": envelope}
    fields = dict(ours)
    rest = {key: value for key, value in envelope.items() if key != _OURS}
    fields["annotations"] = fields.pop(_INNER, None) if _INNER in fields else (rest or None)
    return fields


def _is_ours(ours: Any) -> TypeGuard[dict[str, Any]]:
    if not isinstance(ours, dict) or not ours or not ours.keys() <= {"stream_id", _INNER, *_TIMES}:
        return False
    times = (ours[name] for name in _TIMES if name in ours)
    return isinstance(ours.get("stream_id", ""), str) and all(
        type(time) is int and 0 <= time < 1 << 64 for time in times
    )
