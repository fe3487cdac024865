"""Text, Json, Binary and File."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rpe.data import Binary, File, Json, Text
from rpe.data.json_value import dump_json
from rpe.wire.json.columns import Piece, write_bytes
from rpe.wire.json.labels import (
    BINARY_MIME_TYPE,
    JSON_SCHEMA_TYPE,
    TEXT_CHANNEL,
    TEXT_ENCODING,
    TEXT_LANGUAGE,
    Labels,
)
from rpe.wire.json.values import as_object, as_octets, given, required

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


def encode_text(data: Text, labels: dict[str, str]) -> Iterator[Piece]:
    """Yield the text."""
    if data.encoding != "utf-8":
        labels[TEXT_ENCODING] = data.encoding
    if data.language:
        labels[TEXT_LANGUAGE] = data.language
    if data.channel != "tts":
        labels[TEXT_CHANNEL] = data.channel
    yield dump_json(data.text, "text.text_data").encode()


def decode_text(value: Any, metadata: Labels, ours: Labels) -> Text:
    """Read the text."""
    return Text(
        value,
        ours.get(TEXT_ENCODING, "utf-8"),
        ours.get(TEXT_LANGUAGE, ""),
        ours.get(TEXT_CHANNEL, "tts"),
        metadata,
    )


def encode_json(data: Json, labels: dict[str, str]) -> Iterator[Piece]:
    """Yield the value."""
    if data.schema_type:
        labels[JSON_SCHEMA_TYPE] = data.schema_type
    yield data.to_text().encode()


def decode_json(value: Any, metadata: Labels, ours: Labels) -> Json:
    """Read the value."""
    return Json(value, ours.get(JSON_SCHEMA_TYPE, ""), metadata)


def encode_binary(data: Binary, labels: dict[str, str]) -> Iterator[Piece]:
    """Yield the list of the bytes."""
    if data.mime_type:
        labels[BINARY_MIME_TYPE] = data.mime_type
    yield from write_bytes(data.data)


def decode_binary(value: Any, metadata: Labels, ours: Labels) -> Binary:
    """Read the bytes of a list."""
    return Binary(as_octets(value, "binary.data"), ours.get(BINARY_MIME_TYPE, ""), metadata)


_FILE_DEFAULTS: dict[str, Any] = {"filename": "", "mime_type": "", "size": 0, "offset": 0, "length": 0}


def encode_file(data: File, _: dict[str, str]) -> Iterator[Piece]:
    """Yield the object of the reference; what is not said is left out."""
    body: dict[str, Any] = {"path": data.path}
    for name, default in _FILE_DEFAULTS.items():
        if (value := getattr(data, name)) != default:
            body[name] = value
    if data.stream_id is not None:
        body["stream_id"] = data.stream_id
    yield dump_json(body, "file").encode()


def decode_file(value: Any, metadata: Labels, _: Labels) -> File:
    """Read the reference of an object."""
    body = as_object(value, "file")
    more = {name: given(body, name, default) for name, default in _FILE_DEFAULTS.items()}
    return File(
        required(body, "path", "file.path"), stream_id=body.get("stream_id"), metadata=metadata, **more
    )
