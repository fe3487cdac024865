"""The codec between RuntimeData and DataBuffer.

Every variant comes back as it was sent. What the contract has no field for travels in
labels (`rpe.wire.protobuf.labels`) and, for audio, in its JSON metadata; a reader that
does not know about either sees a plain buffer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rpe.data import Audio, Binary, Control, File, Image, Json, Numpy, RuntimeData, Tensor, Text, Video
from rpe.data.base import EMPTY, invalid
from rpe.wire.generated.remotemedia.v1.common_pb2 import DataBuffer
from rpe.wire.protobuf.arrays import decode_numpy, decode_tensor, encode_numpy, encode_tensor
from rpe.wire.protobuf.audio import decode_audio, encode_audio
from rpe.wire.protobuf.control import decode_control, encode_control
from rpe.wire.protobuf.labels import Labels, read_labels, write_labels
from rpe.wire.protobuf.plain import (
    decode_binary,
    decode_file,
    decode_json,
    decode_text,
    encode_binary,
    encode_file,
    encode_json,
    encode_text,
)
from rpe.wire.protobuf.visual import decode_video, encode_image, encode_video

__all__ = ["decode", "encode"]

_ENCODERS: dict[type, Callable[[Any, DataBuffer], None]] = {
    Audio: encode_audio,
    Video: encode_video,
    Image: encode_image,
    Text: encode_text,
    Json: encode_json,
    Tensor: encode_tensor,
    Numpy: encode_numpy,
    Binary: encode_binary,
    File: encode_file,
    Control: encode_control,
}
_DECODERS: dict[str | None, Callable[[DataBuffer, Labels, Labels], RuntimeData]] = {
    "audio": decode_audio,
    "video": decode_video,
    "text": decode_text,
    "json": decode_json,
    "tensor": decode_tensor,
    "numpy": decode_numpy,
    "binary": decode_binary,
    "file": decode_file,
    "control": decode_control,
}


def encode(data: RuntimeData) -> DataBuffer:
    """The buffer that carries `data`.

    Raises DataValidationError where `data` is no RuntimeData, or where its metadata has
    a label that this codec sets itself.
    """
    write = _ENCODERS.get(type(data))
    if write is None:
        raise invalid("data_type", f"{type(data).__name__} is no RuntimeData")
    buffer = DataBuffer()
    if data.metadata:
        write_labels(data.metadata, buffer)
    write(data, buffer)
    return buffer


def decode(buffer: DataBuffer) -> RuntimeData:
    """The data that a buffer carries.

    Raises DataValidationError, with the dotted name of the part in `field`, where the
    buffer breaks its contract; never anything else, whoever sent it.
    """
    read = _DECODERS.get(buffer.WhichOneof("data_type"))
    if read is None:
        raise invalid("data_type", "the buffer carries nothing")
    metadata, ours = read_labels(buffer) if buffer.metadata else (EMPTY, EMPTY)
    return read(buffer, metadata, ours)
