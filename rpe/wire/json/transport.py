"""TransportData: one piece of data on the wire, tagged by its variant, with number and labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from rpe.data import Audio, Binary, Control, File, Image, Json, Numpy, RuntimeData, Tensor, Text, Video
from rpe.data.base import EMPTY, check_uint, invalid
from rpe.data.json_value import dump_json
from rpe.errors import DataValidationError
from rpe.wire.json.arrays import decode_numpy, decode_tensor, encode_numpy, encode_tensor
from rpe.wire.json.audio import decode_audio, encode_audio
from rpe.wire.json.columns import Piece
from rpe.wire.json.control import decode_control, encode_control
from rpe.wire.json.labels import Labels, merge_labels, read_labels
from rpe.wire.json.places import placed
from rpe.wire.json.plain import (
    decode_binary,
    decode_file,
    decode_json,
    decode_text,
    encode_binary,
    encode_file,
    encode_json,
    encode_text,
)
from rpe.wire.json.values import as_object, as_tag, required
from rpe.wire.json.visual import decode_image, decode_video, encode_image, encode_video

__all__ = ["Transport", "read_transport", "write_transport"]


class Transport(NamedTuple):
    """A TransportData: the data, its number in a stream, and the labels beside it.

    metadata: the labels of the data, which are in `data.metadata` too, and those that a
        transport set, whose keys begin with `rpe-`.

    (A named tuple, as one is made for each message.)
    """

    data: RuntimeData
    sequence: int | None = None
    metadata: Labels = EMPTY


_ENCODERS: dict[type, tuple[bytes, Callable[[Any, dict[str, str]], Iterator[Piece]]]] = {
    Audio: (b"Audio", encode_audio),
    Video: (b"Video", encode_video),
    Image: (b"Image", encode_image),
    Text: (b"Text", encode_text),
    Json: (b"Json", encode_json),
    Tensor: (b"Tensor", encode_tensor),
    Numpy: (b"Numpy", encode_numpy),
    Binary: (b"Binary", encode_binary),
    File: (b"File", encode_file),
    Control: (b"ControlMessage", encode_control),
}
_DECODERS: dict[str, Callable[[Any, Labels, Labels], RuntimeData]] = {
    "Audio": decode_audio,
    "Video": decode_video,
    "Image": decode_image,
    "Text": decode_text,
    "Json": decode_json,
    "Tensor": decode_tensor,
    "Numpy": decode_numpy,
    "Binary": decode_binary,
    "File": decode_file,
    "ControlMessage": decode_control,
}


def write_transport(data: RuntimeData, sequence: int | None, metadata: Labels) -> list[Piece]:
    """The pieces of the text of a TransportData.

    Raises DataValidationError where JSON cannot carry the data, or a label is one of the codec's.
    """
    known = _ENCODERS.get(type(data))
    if known is None:
        raise invalid("data", f"{type(data).__name__} is no RuntimeData")
    if sequence is not None:
        check_uint(sequence, 64, "sequence")
    labels = merge_labels(data.metadata, metadata)
    tag, encode = known
    pieces: list[Piece] = [b'{"data":{"%s":' % tag]
    pieces += encode(data, labels)  # which adds labels of its own
    number = b"null" if sequence is None else b"%d" % sequence
    pieces.append(b'},"sequence":%s,"metadata":%s}' % (number, dump_json(labels, "metadata").encode()))
    return pieces


def read_transport(value: Any, where: str) -> Transport:
    """Read a TransportData that stands at `where` in its message.

    Raises DataValidationError, with the path from the root of the message in `field`.
    """
    try:
        body = as_object(value, "")
        sequence = body.get("sequence")
        if sequence is not None:
            check_uint(sequence, 64, "sequence")
        own, metadata, ours = read_labels(body.get("metadata"))
        tag, content = as_tag(required(body, "data", "data"), "data")
        decode = _DECODERS.get(tag)
        if decode is None:
            raise invalid("data", f"{tag[:40]!r} is no variant that is known here")
        return Transport(decode(content, own, ours), sequence, metadata)
    except DataValidationError as error:
        raise placed(error, where) from error
