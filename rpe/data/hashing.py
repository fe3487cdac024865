"""A digest of content: did the answer come from this very request?"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import astuple
from typing import Any

from rpe.data.arrays import Numpy, Tensor
from rpe.data.audio import Audio
from rpe.data.base import Payload
from rpe.data.control import Control
from rpe.data.json_value import canonical_json
from rpe.data.plain import Binary, File, Json, Text
from rpe.data.visual import Image, Video

__all__ = ["content_hash"]

# What makes the content of a variant: its small parts, and its bytes. What one of the
# wires cannot carry (languages, layouts, the names of streams) is no part of it, and
# neither is the form of the numbers, where a server may answer in another.
_Content = tuple[list[Any], bytes]


def _audio(data: Audio) -> _Content:
    return [data.sample_rate, data.channels], data.to_float32().samples.tobytes()


def _video(data: Video) -> _Content:
    head = [data.width, data.height, data.format, data.codec, data.frame_number, data.timestamp_us]
    return [*head, data.is_keyframe], data.pixel_data


def _image(data: Image) -> _Content:
    return [data.width, data.height, data.format, data.pixel_format], data.data


def _tensor(data: Tensor) -> _Content:
    return [list(data.shape), data.dtype], data.array.tobytes()


def _numpy(data: Numpy) -> _Content:
    dtype = data.array.dtype.newbyteorder("<")
    return [list(data.shape), dtype.str], data.array.astype(dtype, copy=False).tobytes()


def _text(data: Text) -> _Content:
    return [], data.text.encode()


def _json(data: Json) -> _Content:
    return [], canonical_json(data.value).encode()


def _binary(data: Binary) -> _Content:
    return [], data.data


def _file(data: File) -> _Content:
    return [data.path, data.filename, data.mime_type, data.size, data.offset, data.length], b""


def _control(data: Control) -> _Content:
    record = [type(data.message).__name__, *astuple(data.message)]
    return [record, data.segment_id, data.timestamp_ms], b""


_CONTENT: dict[type[Payload], Callable[[Any], _Content]] = {
    Audio: _audio,
    Video: _video,
    Image: _image,
    Tensor: _tensor,
    Numpy: _numpy,
    Text: _text,
    Json: _json,
    Binary: _binary,
    File: _file,
    Control: _control,
}


def content_hash(data: Payload) -> str:
    """The BLAKE2b digest of the type and the content of `data`: 32 hexadecimal digits.

    It does not depend on the wire that the data came by, nor on metadata, annotations
    or the memory layout of arrays. Audio is taken as float32, which is what servers send.
    """
    head, body = _CONTENT[type(data)](data)
    digest = hashlib.blake2b(canonical_json([data.kind, *head]).encode(), digest_size=16)
    digest.update(b"\0")  # no JSON text has it, so head and body cannot be mistaken
    digest.update(body)
    return digest.hexdigest()
