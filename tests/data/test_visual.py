from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rpe.data import Image, ImageFormat, PixelFormat, Video
from rpe.errors import DataValidationError


@pytest.mark.parametrize(
    ("pixel_format", "width", "height", "size"),
    [
        (PixelFormat.RGB24, 3, 2, 18),
        (PixelFormat.RGBA32, 3, 2, 24),
        (PixelFormat.GRAY8, 3, 2, 6),
        (PixelFormat.YUV420P, 4, 2, 12),
        (PixelFormat.I420, 3, 3, 17),
        (PixelFormat.I420, 3, 3, 13),
        (PixelFormat.NV12, 2, 2, 6),
        (PixelFormat.ENCODED, 640, 480, 5),
        (PixelFormat.RGB24, 0, 0, 0),
    ],
)
def test_raw_frames_have_the_size_of_their_format(
    pixel_format: PixelFormat, width: int, height: int, size: int
) -> None:
    assert len(Video(bytes(size), width, height, pixel_format).pixel_data) == size
    if pixel_format is not PixelFormat.ENCODED:
        with pytest.raises(DataValidationError) as caught:
            Video(bytes(size + 1), width, height, pixel_format)
        assert caught.value.field == "video.pixel_data"


def test_pixels_are_a_view() -> None:
    frame = Video(bytes(range(18)), 3, 2, PixelFormat.RGB24)
    assert frame.pixels.shape == (2, 3, 3)
    assert frame.pixels[1, 2].tolist() == [15, 16, 17]
    assert np.shares_memory(frame.pixels, np.frombuffer(frame.pixel_data, np.uint8))
    with pytest.raises(ValueError, match="read-only"):
        frame.pixels[0] = 0
    assert Image(b"abcd", ImageFormat.RAW, 2, 2, PixelFormat.GRAY8).pixels.shape == (2, 2)
    with pytest.raises(ValueError, match="NV12"):
        _ = Video(bytes(6), 2, 2, PixelFormat.NV12).pixels
    with pytest.raises(ValueError, match="encoding"):
        _ = Image(b"", ImageFormat.PNG).pixels


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"pixel_data": "text"}, "video.pixel_data"),
        ({"width": -1}, "video.width"),
        ({"height": 1 << 32}, "video.height"),
        ({"format": 1}, "video.format"),
        ({"codec": 1}, "video.codec"),
        ({"frame_number": 1.5}, "video.frame_number"),
        ({"timestamp_us": None}, "video.timestamp_us"),
        ({"is_keyframe": 1}, "video.is_keyframe"),
        ({"stream_id": b"s"}, "video.stream_id"),
    ],
)
def test_what_is_wrong_in_a_frame_is_named(fields: dict[str, Any], field: str) -> None:
    good = {"pixel_data": b"x", "width": 1, "height": 1, "format": PixelFormat.ENCODED}
    with pytest.raises(DataValidationError) as caught:
        Video(**{**good, **fields})
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"data": 5}, "image.data"),
        ({"format": "png"}, "image.format"),
        ({"width": "1"}, "image.width"),
        ({"height": -1}, "image.height"),
        ({"pixel_format": PixelFormat.GRAY8}, "image.pixel_format"),
        ({"format": ImageFormat.RAW}, "image.pixel_format"),
        ({"format": ImageFormat.RAW, "pixel_format": PixelFormat.ENCODED}, "image.pixel_format"),
        (
            {"format": ImageFormat.RAW, "pixel_format": PixelFormat.GRAY8, "width": 9, "height": 1},
            "image.data",
        ),
        ({"stream_id": 1}, "image.stream_id"),
        ({"timestamp_us": -1}, "image.timestamp_us"),
    ],
)
def test_what_is_wrong_in_an_image_is_named(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(DataValidationError) as caught:
        Image(**{"data": b"", "format": ImageFormat.PNG, **fields})
    assert caught.value.field == field


def test_other_buffers_become_bytes_and_an_empty_stream_is_none() -> None:
    mutable = bytearray(b"abc")
    image = Image(mutable, ImageFormat.JPEG, stream_id="")  # type: ignore[arg-type]
    mutable[0] = 0
    assert image.data == b"abc"
    assert image.stream_id is None
    assert Image(memoryview(b"abc"), ImageFormat.JPEG) == image  # type: ignore[arg-type]
