"""Video frames and still images."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rpe.data.base import (
    EMPTY,
    Payload,
    as_bytes,
    as_labels,
    as_stream_id,
    assign,
    check_uint,
    invalid,
)

__all__ = ["Image", "ImageFormat", "PixelFormat", "Video", "VideoCodec"]


class PixelFormat(enum.IntEnum):
    """How pixels are laid out; the numbers are those of the wire."""

    RGB24 = 1
    RGBA32 = 2
    YUV420P = 3
    GRAY8 = 4
    I420 = 5
    NV12 = 6
    ENCODED = 255


class VideoCodec(enum.IntEnum):
    """What an encoded frame is encoded with; the numbers are those of the wire."""

    VP8 = 1
    H264 = 2
    AV1 = 3


class ImageFormat(enum.StrEnum):
    """How an image is stored: one of the encodings, or pixels as they are."""

    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"
    RAW = "raw"


_PACKED = {PixelFormat.RGB24: 3, PixelFormat.RGBA32: 4, PixelFormat.GRAY8: 1}


def _check_pixels(data: bytes, pixel_format: PixelFormat, width: int, height: int, field: str) -> None:
    """Raise unless `data` is as long as a frame of that format is. An encoded one may have any length."""
    if pixel_format is PixelFormat.ENCODED:
        return
    if pixel_format in _PACKED:
        sizes = {width * height * _PACKED[pixel_format]}
    else:
        # Planes of half the size: of an odd width or height, the half is rounded up by
        # most (libyuv, FFmpeg); others take 12 bits for each pixel and round down.
        sizes = {
            width * height + 2 * ((width + 1) // 2) * ((height + 1) // 2),
            width * height * 3 // 2,
        }
    if len(data) not in sizes:
        expected = " or ".join(map(str, sorted(sizes)))
        raise invalid(
            field, f"{width}x{height} of {pixel_format.name} take {expected} bytes, not {len(data)}"
        )


def _as_array(data: bytes, pixel_format: PixelFormat | None, width: int, height: int) -> NDArray[np.uint8]:
    depth = _PACKED.get(pixel_format) if pixel_format else None
    if depth is None:
        name = pixel_format.name if pixel_format else "an encoding"
        raise ValueError(f"{name} is not one block of pixels")
    pixels = np.frombuffer(data, np.uint8)
    return pixels.reshape(height, width) if depth == 1 else pixels.reshape(height, width, depth)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Video(Payload):
    """One frame of video, raw or encoded.

    pixel_data: the pixels in `format`, or the bitstream of `codec` where the format is ENCODED.
    width, height: in pixels.
    timestamp_us: when the frame is to be shown, in microseconds from the start of its stream.

    Raises DataValidationError where a part is not what it should be, such as raw pixels
    that are not width x height of their format.
    """

    kind: ClassVar[str] = "video"

    pixel_data: bytes
    width: int
    height: int
    format: PixelFormat
    frame_number: int = 0
    timestamp_us: int = 0
    codec: VideoCodec | None = None
    is_keyframe: bool = False
    stream_id: str | None = None
    metadata: Mapping[str, str] = EMPTY

    def __post_init__(self) -> None:
        assign(self, "pixel_data", as_bytes(self.pixel_data, "video.pixel_data"))
        check_uint(self.width, 32, "video.width")
        check_uint(self.height, 32, "video.height")
        if not isinstance(self.format, PixelFormat):
            raise invalid("video.format", f"must be a PixelFormat, not {self.format!r}")
        if self.codec is not None and not isinstance(self.codec, VideoCodec):
            raise invalid("video.codec", f"must be a VideoCodec or None, not {self.codec!r}")
        check_uint(self.frame_number, 64, "video.frame_number")
        check_uint(self.timestamp_us, 64, "video.timestamp_us")
        if not isinstance(self.is_keyframe, bool):
            raise invalid("video.is_keyframe", f"must be a bool, not {type(self.is_keyframe).__name__}")
        _check_pixels(self.pixel_data, self.format, self.width, self.height, "video.pixel_data")
        if self.stream_id is not None:
            assign(self, "stream_id", as_stream_id(self.stream_id, "video.stream_id"))
        if self.metadata is not EMPTY:
            assign(self, "metadata", as_labels(self.metadata, "video.metadata"))

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """A read-only view of shape (height, width) for GRAY8, (height, width, 3 or 4) for RGB24 and RGBA32.

        Raises ValueError for the other formats, which are no such block.
        """
        return _as_array(self.pixel_data, self.format, self.width, self.height)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Image(Payload):
    """A still image.

    data: the file in `format`, or, where that is RAW, pixels in `pixel_format`.
    width, height: in pixels; 0 where an encoded image was not looked into.

    Raises DataValidationError where a part is not what it should be.
    """

    kind: ClassVar[str] = "image"

    data: bytes
    format: ImageFormat
    width: int = 0
    height: int = 0
    pixel_format: PixelFormat | None = None
    stream_id: str | None = None
    timestamp_us: int | None = None
    metadata: Mapping[str, str] = EMPTY

    def __post_init__(self) -> None:
        assign(self, "data", as_bytes(self.data, "image.data"))
        if not isinstance(self.format, ImageFormat):
            raise invalid("image.format", f"must be an ImageFormat, not {self.format!r}")
        check_uint(self.width, 32, "image.width")
        check_uint(self.height, 32, "image.height")
        self._check_pixel_format(self.pixel_format)
        if self.stream_id is not None:
            assign(self, "stream_id", as_stream_id(self.stream_id, "image.stream_id"))
        if self.timestamp_us is not None:
            check_uint(self.timestamp_us, 64, "image.timestamp_us")
        if self.metadata is not EMPTY:
            assign(self, "metadata", as_labels(self.metadata, "image.metadata"))

    def _check_pixel_format(self, pixel_format: Any) -> None:
        if self.format is not ImageFormat.RAW:
            if pixel_format is not None:
                raise invalid("image.pixel_format", f"says nothing of a {self.format} image")
            return
        if not isinstance(pixel_format, PixelFormat) or pixel_format is PixelFormat.ENCODED:
            raise invalid("image.pixel_format", f"must name the pixels of a raw image, not {pixel_format!r}")
        _check_pixels(self.data, pixel_format, self.width, self.height, "image.data")

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The pixels of a raw image, as those of a video frame; raises ValueError for any other."""
        return _as_array(self.data, self.pixel_format, self.width, self.height)
