"""Video and Image: their bytes as numbers, beside what they are.

The wire names formats and codecs in words, such as "Yuv420p"; they are read in any case.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Any, TypeVar

from rpe.data import Image, ImageFormat, PixelFormat, Video, VideoCodec
from rpe.data.base import invalid
from rpe.data.json_value import dump_json
from rpe.wire.json.columns import Piece, write_bytes
from rpe.wire.json.labels import Labels
from rpe.wire.json.values import as_object, as_octets, as_tag, given, required, shown

__all__ = ["decode_image", "decode_video", "encode_image", "encode_video"]

Member = TypeVar("Member", bound=enum.Enum)

_IMAGE_FORMATS = {ImageFormat.JPEG: "Jpeg", ImageFormat.PNG: "Png", ImageFormat.WEBP: "WebP"}


def encode_video(data: Video, _: dict[str, str]) -> Iterator[Piece]:
    """Yield the object of the frame."""
    rest: dict[str, Any] = {
        "width": data.width,
        "height": data.height,
        "format": _word(data.format),
        "codec": None if data.codec is None else _word(data.codec),
        "frame_number": data.frame_number,
        "timestamp_us": data.timestamp_us,
        "is_keyframe": data.is_keyframe,
    }
    if data.stream_id is not None:
        rest["stream_id"] = data.stream_id
    yield b'{"pixel_data":'
    yield from write_bytes(data.pixel_data)
    yield f",{dump_json(rest, 'video')[1:]}".encode()


def decode_video(value: Any, metadata: Labels, _: Labels) -> Video:
    """Read the frame of an object."""
    body = as_object(value, "video")
    codec = body.get("codec")
    return Video(
        as_octets(required(body, "pixel_data", "video.pixel_data"), "video.pixel_data"),
        required(body, "width", "video.width"),
        required(body, "height", "video.height"),
        _member(PixelFormat, required(body, "format", "video.format"), "video.format"),
        given(body, "frame_number", 0),
        given(body, "timestamp_us", 0),
        None if codec is None else _member(VideoCodec, codec, "video.codec"),
        given(body, "is_keyframe", False),
        body.get("stream_id"),
        metadata,
    )


def encode_image(data: Image, _: dict[str, str]) -> Iterator[Piece]:
    """Yield the object of the image."""
    form: Any = _IMAGE_FORMATS.get(data.format)
    if data.pixel_format is not None:
        form = {"Raw": {"pixel_format": _word(data.pixel_format)}}
    rest: dict[str, Any] = {"format": form, "width": data.width, "height": data.height}
    if data.timestamp_us is not None:
        rest["timestamp_us"] = data.timestamp_us
    if data.stream_id is not None:
        rest["stream_id"] = data.stream_id
    yield b'{"data":'
    yield from write_bytes(data.data)
    yield f",{dump_json(rest, 'image')[1:]}".encode()


def decode_image(value: Any, metadata: Labels, _: Labels) -> Image:
    """Read the image of an object."""
    body = as_object(value, "image")
    image_format, pixel_format = _image_format(required(body, "format", "image.format"))
    return Image(
        as_octets(required(body, "data", "image.data"), "image.data"),
        image_format,
        given(body, "width", 0),
        given(body, "height", 0),
        pixel_format,
        body.get("stream_id"),
        body.get("timestamp_us"),
        metadata,
    )


def _image_format(value: Any) -> tuple[ImageFormat, PixelFormat | None]:
    """An encoding by its name, or the one of raw pixels with theirs."""
    if not isinstance(value, dict):
        return _member(ImageFormat, value, "image.format"), None
    name, content = as_tag(value, "image.format")
    image_format = _member(ImageFormat, name, "image.format")
    if image_format is not ImageFormat.RAW:
        raise invalid("image.format", f"{name} has no fields")
    raw = as_object(content, "image.format.Raw")
    word = required(raw, "pixel_format", "image.pixel_format")
    return image_format, _member(PixelFormat, word, "image.pixel_format")


def _word(member: enum.Enum) -> str:
    return member.name.capitalize()


def _member(kind: type[Member], word: Any, field: str) -> Member:
    """The member of that name, in any case."""
    member = kind.__members__.get(word.upper()) if isinstance(word, str) else None
    if member is None:
        words = ", ".join(map(_word, kind))
        raise invalid(field, f"{shown(word)} is none of {words}")
    return member
