"""What is on the wire in JSON, and what is read of what others write."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from rpe.data import (
    Audio,
    BatchHint,
    Binary,
    CancelSpeculation,
    Control,
    DeadlineWarning,
    File,
    Image,
    ImageFormat,
    Json,
    Numpy,
    PixelFormat,
    RuntimeData,
    Tensor,
    TensorDtype,
    Text,
    Video,
    VideoCodec,
)
from rpe.wire.json import decode_transport, encode_transport

SHAPES: list[tuple[RuntimeData, Any]] = [
    (Text("grüß"), {"Text": "grüß"}),
    (Json({"a": [1, None, 2.5]}), {"Json": {"a": [1, None, 2.5]}}),
    (Binary(b"\x00\x07\xff"), {"Binary": [0, 7, 255]}),
    (
        Audio(np.array([0.5, -0.25], np.float32), 16_000, 2),
        {"Audio": {"samples": [0.5, -0.25], "sample_rate": 16_000, "channels": 2}},
    ),
    (
        Audio(np.zeros(0, np.float32), 8000, 1, "mic", 5, 6, {"vad": True}),
        {
            "Audio": {
                "samples": [],
                "sample_rate": 8000,
                "channels": 1,
                "stream_id": "mic",
                "timestamp_us": 5,
                "arrival_ts_us": 6,
                "metadata": {"vad": True},
            }
        },
    ),
    (
        Video(bytes(6), 2, 2, PixelFormat.YUV420P, 3, 40, None, True, "cam"),
        {
            "Video": {
                "pixel_data": [0] * 6,
                "width": 2,
                "height": 2,
                "format": "Yuv420p",
                "codec": None,
                "frame_number": 3,
                "timestamp_us": 40,
                "is_keyframe": True,
                "stream_id": "cam",
            }
        },
    ),
    (
        Image(b"\x89P", ImageFormat.PNG, 640, 480, None, "cam", 9),
        {
            "Image": {
                "data": [137, 80],
                "format": "Png",
                "width": 640,
                "height": 480,
                "timestamp_us": 9,
                "stream_id": "cam",
            }
        },
    ),
    (
        Image(b"abc", ImageFormat.RAW, 1, 1, PixelFormat.RGB24),
        {
            "Image": {
                "data": [97, 98, 99],
                "format": {"Raw": {"pixel_format": "Rgb24"}},
                "width": 1,
                "height": 1,
            }
        },
    ),
    (
        Tensor(np.array([[1], [2]], np.int32), annotations=[1]),
        {"Tensor": {"data": [1, 0, 0, 0, 2, 0, 0, 0], "shape": [2, 1], "dtype": 3, "metadata": [1]}},
    ),
    (
        Numpy(np.array([[1, 2, 3]], np.uint8)),
        {
            "Numpy": {
                "data": [1, 2, 3],
                "shape": [1, 3],
                "dtype": "uint8",
                "strides": [3, 1],
                "c_contiguous": True,
                "f_contiguous": True,
            }
        },
    ),
    (
        Numpy(np.arange(6, dtype=np.uint8).reshape(2, 3).T),
        {
            "Numpy": {
                "data": [0, 1, 2, 3, 4, 5],
                "shape": [3, 2],
                "dtype": "uint8",
                "strides": [1, 3],
                "c_contiguous": False,
                "f_contiguous": True,
            }
        },
    ),
    (File("/a"), {"File": {"path": "/a"}}),
    (
        File("/a", "a.wav", "audio/wav", 10, 2, 3, "s"),
        {
            "File": {
                "path": "/a",
                "filename": "a.wav",
                "mime_type": "audio/wav",
                "size": 10,
                "offset": 2,
                "length": 3,
                "stream_id": "s",
            }
        },
    ),
    (
        Control(CancelSpeculation(1, 2), "seg", 3, {"why": "x"}),
        {
            "ControlMessage": {
                "message_type": {"CancelSpeculation": {"from_timestamp": 1, "to_timestamp": 2}},
                "segment_id": "seg",
                "timestamp_ms": 3,
                "metadata": {"why": "x"},
            }
        },
    ),
    (
        Control(BatchHint(8)),
        {
            "ControlMessage": {
                "message_type": {"BatchHint": {"suggested_batch_size": 8}},
                "segment_id": "",
                "timestamp_ms": 0,
                "metadata": None,
            }
        },
    ),
]


@pytest.mark.parametrize(("data", "shape"), SHAPES, ids=lambda value: getattr(value, "kind", ""))
def test_the_shape_of_every_variant(data: RuntimeData, shape: Any) -> None:
    payload = encode_transport(data, sequence=7)
    assert json.loads(payload) == {"data": shape, "sequence": 7, "metadata": {}}
    assert payload.isascii()
    for text in (payload, payload.decode(), json.dumps(json.loads(payload)).encode()):
        assert decode_transport(text) == (data, 7, {})


@pytest.mark.parametrize("member", PixelFormat)
def test_pixel_formats_by_name(member: PixelFormat) -> None:
    names = {3: "Yuv420p", 1: "Rgb24", 2: "Rgba32", 4: "Gray8", 5: "I420", 6: "Nv12", 255: "Encoded"}
    frame = json.loads(encode_transport(Video(b"", 0, 0, member)))
    assert frame["data"]["Video"]["format"] == names[member]
    for spelling in (names[member], names[member].lower(), names[member].upper()):
        frame["data"]["Video"]["format"] = spelling
        read = decode_transport(json.dumps(frame)).data
        assert isinstance(read, Video) and read.format is member


@pytest.mark.parametrize(
    ("member", "name"), [(VideoCodec.VP8, "Vp8"), (VideoCodec.H264, "H264"), (VideoCodec.AV1, "Av1")]
)
def test_codecs_by_name(member: VideoCodec, name: str) -> None:
    payload = encode_transport(Video(b"x", 0, 0, PixelFormat.ENCODED, codec=member))
    assert json.loads(payload)["data"]["Video"]["codec"] == name
    assert getattr(decode_transport(payload).data, "codec", None) is member


@pytest.mark.parametrize(
    ("member", "name"),
    [(ImageFormat.JPEG, "Jpeg"), (ImageFormat.PNG, "Png"), (ImageFormat.WEBP, "WebP")],
)
def test_image_formats_by_name(member: ImageFormat, name: str) -> None:
    payload = encode_transport(Image(b"x", member))
    assert json.loads(payload)["data"]["Image"]["format"] == name
    assert (
        getattr(decode_transport(payload.lower().replace(b"image", b"Image")).data, "format", None) is member
    )


@pytest.mark.parametrize("dtype", TensorDtype)
def test_tensor_types_by_number(dtype: TensorDtype) -> None:
    sent = Tensor(np.ones(2, dtype.numpy))
    payload = encode_transport(sent)
    assert json.loads(payload)["data"]["Tensor"]["dtype"] == int(dtype)
    assert decode_transport(payload).data == sent


FOREIGN: list[tuple[Any, RuntimeData]] = [
    (
        {"Audio": {"samples": [1, 0, -1, 0.5], "sample_rate": 8000, "channels": 2, "surplus": {}}},
        Audio(np.array([1, 0, -1, 0.5], np.float32), 8000, 2),
    ),
    (
        {
            "Audio": {
                "samples": [0.1],
                "sample_rate": 8000,
                "channels": 1,
                "stream_id": None,
                "timestamp_us": None,
                "arrival_ts_us": None,
                "metadata": None,
            }
        },
        Audio(np.array([0.1], np.float32), 8000),
    ),
    (
        {"Video": {"pixel_data": [9], "width": 1, "height": 1, "format": "Gray8"}},
        Video(b"\x09", 1, 1, PixelFormat.GRAY8),
    ),
    (
        {
            "Video": {
                "pixel_data": [9], "width": 1, "height": 1, "format": "Gray8", "codec": None,
                "frame_number": None, "timestamp_us": None, "is_keyframe": None, "stream_id": None,
            }
        },
        Video(b"\x09", 1, 1, PixelFormat.GRAY8),
    ),
    ({"Image": {"data": [], "format": "Jpeg"}}, Image(b"", ImageFormat.JPEG)),
    (
        {"Image": {"data": [1], "format": {"raw": {"pixel_format": "GRAY8"}}, "width": 1, "height": 1}},
        Image(b"\x01", ImageFormat.RAW, 1, 1, PixelFormat.GRAY8),
    ),
    ({"File": {"path": "p", "size": None, "filename": None, "stream_id": None}}, File("p")),
    ({"Tensor": {"data": [7], "shape": [], "dtype": 5}}, Tensor(np.array(7, np.uint8))),
    (
        {"Numpy": {"data": [1, 2, 3, 4], "shape": [2, 2], "dtype": "uint8", "strides": None}},
        Numpy(np.array([[1, 2], [3, 4]], np.uint8)),
    ),
    (
        {"Numpy": {"data": [1, 2, 3, 4], "shape": [2, 2], "dtype": "uint8", "f_contiguous": True}},
        Numpy(np.array([[1, 3], [2, 4]], np.uint8)),
    ),
    (
        {"ControlMessage": {"message_type": {"deadline_warning": {"deadline_us": 5}}, "segment_id": None}},
        Control(DeadlineWarning(5)),
    ),
    ({"Json": None}, Json(None)),
]  # fmt: skip


@pytest.mark.parametrize(("foreign", "data"), FOREIGN, ids=lambda value: getattr(value, "kind", ""))
@pytest.mark.parametrize("around", [{}, {"sequence": None, "metadata": None}, {"more": [1]}])
def test_what_other_servers_write(foreign: Any, data: RuntimeData, around: dict[str, Any]) -> None:
    assert decode_transport(json.dumps({**around, "data": foreign})) == (data, None, {})
