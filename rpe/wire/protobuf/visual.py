"""Video and VideoFrame; Image, which has no message of its own, and BinaryBuffer."""

from __future__ import annotations

from rpe.data import Image, ImageFormat, PixelFormat, Video, VideoCodec
from rpe.data.base import invalid
from rpe.wire.generated.remotemedia.v1 import common_pb2
from rpe.wire.generated.remotemedia.v1.common_pb2 import DataBuffer
from rpe.wire.protobuf import labels as keys
from rpe.wire.protobuf.labels import Labels, read_number

__all__ = ["decode_image", "decode_video", "encode_image", "encode_video"]

_PIXEL_FORMATS = {int(value): value for value in PixelFormat}
_CODECS: dict[int, VideoCodec | None] = {0: None, **{int(value): value for value in VideoCodec}}
_MIME_TYPES = {
    ImageFormat.JPEG: "image/jpeg",
    ImageFormat.PNG: "image/png",
    ImageFormat.WEBP: "image/webp",
    ImageFormat.RAW: "application/octet-stream",
}


def encode_video(data: Video, buffer: DataBuffer) -> None:
    """Write the frame into an empty buffer."""
    video = buffer.video
    video.pixel_data = data.pixel_data
    video.width = data.width
    video.height = data.height
    video.format = common_pb2.PixelFormat.ValueType(data.format)
    video.frame_number = data.frame_number
    video.timestamp_us = data.timestamp_us
    video.codec = common_pb2.VideoCodec.ValueType(data.codec or 0)
    video.is_keyframe = data.is_keyframe
    if data.stream_id is not None:
        buffer.metadata[keys.STREAM_ID] = data.stream_id


def decode_video(buffer: DataBuffer, metadata: Labels, ours: Labels) -> Video:
    """Read the frame of a buffer."""
    video = buffer.video
    pixel_format = _PIXEL_FORMATS.get(video.format)
    if pixel_format is None:
        raise invalid("video.format", f"{video.format} is no known format of pixels")
    if video.codec not in _CODECS:
        raise invalid("video.codec", f"{video.codec} is no known codec")
    return Video(
        video.pixel_data,
        video.width,
        video.height,
        pixel_format,
        video.frame_number,
        video.timestamp_us,
        _CODECS[video.codec],
        video.is_keyframe,
        ours.get(keys.STREAM_ID),
        metadata,
    )


def encode_image(data: Image, buffer: DataBuffer) -> None:
    """Write the image into an empty buffer: a BinaryBuffer with labels."""
    buffer.binary.data = data.data
    buffer.binary.mime_type = _MIME_TYPES[data.format]
    labels = {
        keys.IMAGE_FORMAT: data.format.value,
        keys.IMAGE_WIDTH: str(data.width),
        keys.IMAGE_HEIGHT: str(data.height),
    }
    if data.pixel_format is not None:
        labels[keys.IMAGE_PIXEL_FORMAT] = data.pixel_format.name
    if data.timestamp_us is not None:
        labels[keys.IMAGE_TIMESTAMP_US] = str(data.timestamp_us)
    if data.stream_id is not None:
        labels[keys.STREAM_ID] = data.stream_id
    buffer.metadata.update(labels)


def decode_image(buffer: DataBuffer, metadata: Labels, ours: Labels) -> Image:
    """Read the image of a buffer whose labels say that it is one."""
    try:
        image_format = ImageFormat(ours[keys.IMAGE_FORMAT])
    except ValueError as error:
        raise invalid("image.format", str(error)) from error
    pixel_format = None
    if (name := ours.get(keys.IMAGE_PIXEL_FORMAT)) is not None:
        pixel_format = PixelFormat.__members__.get(name)
        if pixel_format is None:
            raise invalid("image.pixel_format", f"{name[:40]!r} is no known format of pixels")
    timestamp_us = None
    if keys.IMAGE_TIMESTAMP_US in ours:
        timestamp_us = read_number(ours, keys.IMAGE_TIMESTAMP_US, "image.timestamp_us")
    return Image(
        buffer.binary.data,
        image_format,
        read_number(ours, keys.IMAGE_WIDTH, "image.width"),
        read_number(ours, keys.IMAGE_HEIGHT, "image.height"),
        pixel_format,
        ours.get(keys.STREAM_ID),
        timestamp_us,
        metadata,
    )
