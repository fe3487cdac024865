"""Text, Json, Binary, File and the buffers of the same names."""

from __future__ import annotations

from rpe.data import Binary, File, Json, RuntimeData, Text
from rpe.data.base import canonical_encoding, invalid
from rpe.wire.generated.remotemedia.v1.common_pb2 import DataBuffer
from rpe.wire.protobuf.labels import IMAGE_FORMAT, Labels
from rpe.wire.protobuf.visual import decode_image

__all__ = [
    "decode_binary",
    "decode_file",
    "decode_json",
    "decode_text",
    "encode_binary",
    "encode_file",
    "encode_json",
    "encode_text",
]


def encode_text(data: Text, buffer: DataBuffer) -> None:
    """Write the text into an empty buffer."""
    text = buffer.text
    text.text_data = data.text.encode(data.encoding)
    text.encoding = data.encoding
    if data.language:
        text.language = data.language
    text.channel = data.channel


def decode_text(buffer: DataBuffer, metadata: Labels, _: Labels) -> Text:
    """Read the text of a buffer."""
    text = buffer.text
    encoding = text.encoding or "utf-8"
    if encoding != "utf-8":
        encoding = canonical_encoding(encoding, "text.encoding")
    try:
        content = text.text_data.decode(encoding)
    except UnicodeError as error:
        raise invalid("text.text_data", f"is not {encoding}: {error}") from error
    return Text(content, encoding, text.language, text.channel or "tts", metadata)


def encode_json(data: Json, buffer: DataBuffer) -> None:
    """Write the value into an empty buffer."""
    buffer.json.json_payload = data.to_text()
    buffer.json.schema_type = data.schema_type


def decode_json(buffer: DataBuffer, metadata: Labels, _: Labels) -> Json:
    """Read the value of a buffer."""
    return Json.from_text(buffer.json.json_payload, buffer.json.schema_type, metadata)


def encode_binary(data: Binary, buffer: DataBuffer) -> None:
    """Write the bytes into an empty buffer."""
    binary = buffer.binary
    binary.data = data.data
    binary.mime_type = data.mime_type


def decode_binary(buffer: DataBuffer, metadata: Labels, ours: Labels) -> RuntimeData:
    """Read the bytes of a buffer; an Image where its labels say so."""
    if IMAGE_FORMAT in ours:
        return decode_image(buffer, metadata, ours)
    return Binary(buffer.binary.data, buffer.binary.mime_type, metadata)


def encode_file(data: File, buffer: DataBuffer) -> None:
    """Write the reference into an empty buffer."""
    file = buffer.file
    file.path = data.path
    file.filename = data.filename
    file.mime_type = data.mime_type
    file.size = data.size
    file.offset = data.offset
    file.length = data.length
    if data.stream_id is not None:
        file.stream_id = data.stream_id


def decode_file(buffer: DataBuffer, metadata: Labels, _: Labels) -> File:
    """Read the reference of a buffer."""
    file = buffer.file
    return File(
        file.path,
        file.filename,
        file.mime_type,
        file.size,
        file.offset,
        file.length,
        file.stream_id or None,
        metadata,
    )
