"""What is on the wire in JSON, what is read of what others write, and what is refused."""

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
from rpe.errors import DataValidationError
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
        {"Numpy": {"data": [1, 2, 3, 4], "shape": [2, 2], "dtype": "uint8"}},
        Numpy(np.array([[1, 2], [3, 4]], np.uint8)),
    ),
    (
        {"Numpy": {"data": [1, 2, 3, 4], "shape": [2, 2], "dtype": "uint8", "strides": None, "f_contiguous": True}},
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


AUDIO = {"samples": [0.0, 0.5], "sample_rate": 8000, "channels": 1}
VIDEO = {"pixel_data": [9], "width": 1, "height": 1, "format": "Gray8"}
IMAGE = {"data": [9], "format": "Png", "width": 1, "height": 1}
TENSOR = {"data": [9], "shape": [1], "dtype": 5}
NUMPY = {"data": [9], "shape": [1], "dtype": "uint8"}
HINT = {"message_type": {"BatchHint": {"suggested_batch_size": 1}}}


def bad(tag: str, body: dict[str, Any], key: str, value: Any, field: str = "") -> Any:
    return pytest.param(
        {tag: {**body, key: value}}, f"data.{tag}.{field or key}", id=f"{tag}.{key}={value!r:.20}"
    )


def missing(tag: str, body: dict[str, Any], key: str) -> Any:
    left = {name: value for name, value in body.items() if name != key}
    return pytest.param({tag: left}, f"data.{tag}.{key}", id=f"{tag}.{key} missing")


def deep(levels: int) -> Any:
    return json.loads("[" * levels + "]" * levels)


@pytest.mark.parametrize(
    ("value", "field"),
    [
        *(missing("Audio", AUDIO, key) for key in AUDIO),
        *(missing("Video", VIDEO, key) for key in VIDEO),
        *(missing("Image", IMAGE, key) for key in ("data", "format")),
        *(missing("Tensor", TENSOR, key) for key in TENSOR),
        *(missing("Numpy", NUMPY, key) for key in NUMPY),
        missing("File", {"path": "p"}, "path"),
        missing("ControlMessage", HINT, "message_type"),
        *(
            bad("Audio", AUDIO, "samples", samples)
            for samples in (
                None, "x", {}, 5, [True, False], ["1", "2"], [None], [[0.5]], [1e39], [10**400], [0.0, 1e300],
                [0.0, {}],
            )
        ),
        bad("Audio", AUDIO, "channels", 3, "samples"),
        bad("Audio", AUDIO, "channels", 0),
        bad("Audio", AUDIO, "channels", -1),
        bad("Audio", AUDIO, "channels", 1.0),
        bad("Audio", AUDIO, "sample_rate", 2**32),
        bad("Audio", AUDIO, "sample_rate", "8000"),
        bad("Audio", AUDIO, "sample_rate", True),
        bad("Audio", AUDIO, "stream_id", 5),
        bad("Audio", AUDIO, "timestamp_us", -1),
        bad("Audio", AUDIO, "metadata", deep(129), "metadata" + "[0]" * 128),
        *(
            bad("Video", VIDEO, "pixel_data", pixels)
            for pixels in ([256], [-1], [1.0], [True], ["9"], "9", None, [1, 2], [10**30])
        ),
        bad("Video", VIDEO, "format", "Rgb25"),
        bad("Video", VIDEO, "format", 4),
        bad("Video", VIDEO, "codec", "Vp9"),
        bad("Video", VIDEO, "codec", deep(300)),
        bad("Video", VIDEO, "is_keyframe", 1),
        bad("Image", IMAGE, "format", "Bmp"),
        bad("Image", IMAGE, "format", {"Png": {}}),
        bad("Image", IMAGE, "format", {"Raw": 5}, "format.Raw"),
        bad("Image", IMAGE, "format", {"Raw": {}}, "format.Raw.pixel_format"),
        bad("Image", IMAGE, "format", {"Raw": {"pixel_format": "Encoded"}}, "format.Raw.pixel_format"),
        bad("Image", IMAGE, "format", {"Raw": {"pixel_format": "Rgb24"}}, "data"),
        bad("Image", IMAGE, "format", {"Raw": {}, "Png": {}}),
        bad("Tensor", TENSOR, "dtype", 0),
        bad("Tensor", TENSOR, "dtype", 5.0),
        bad("Tensor", TENSOR, "dtype", True),
        bad("Tensor", TENSOR, "dtype", "F32"),
        bad("Tensor", TENSOR, "shape", [2], "data"),
        bad("Tensor", TENSOR, "shape", [-1]),
        bad("Tensor", TENSOR, "shape", [1.0]),
        bad("Tensor", TENSOR, "shape", [True]),
        bad("Tensor", TENSOR, "shape", [2**64]),
        bad("Tensor", TENSOR, "shape", [2**64 - 1] * 100_000),
        bad("Tensor", TENSOR, "shape", [2**63, 2**63], "data"),
        bad("Tensor", TENSOR, "shape", 1),
        bad("Numpy", NUMPY, "dtype", "object"),
        bad("Numpy", NUMPY, "dtype", 5),
        bad("Numpy", NUMPY, "dtype", ["uint8"]),
        bad("Numpy", NUMPY, "strides", [-1]),
        bad("Numpy", NUMPY, "strides", [2**63]),
        bad("Numpy", NUMPY, "strides", [1, 1]),
        bad("Numpy", NUMPY, "c_contiguous", 1),
        bad("File", {"path": "p"}, "path", 5),
        bad("File", {"path": "p"}, "size", -1),
        bad("ControlMessage", HINT, "message_type", {"Other": {}}),
        bad("ControlMessage", HINT, "message_type", "BatchHint"),
        bad("ControlMessage", HINT, "message_type", {"BatchHint": {}}, "message_type.BatchHint.suggested_batch_size"),
        bad(
            "ControlMessage", HINT, "message_type", {"BatchHint": {"suggested_batch_size": 2**32}},
            "message_type.BatchHint.suggested_batch_size",
        ),
        bad("ControlMessage", HINT, "timestamp_ms", "now"),
        ({"Text": 5}, "data.Text"),
        ({"Text": "\ud800"}, "data.Text"),
        ({"Json": deep(130)}, "data.Json" + "[0]" * 128),
        ({"Binary": [0, 256]}, "data.Binary"),
        ({"Audio": []}, "data.Audio"),
        ({"Audio": [[]]}, "data.Audio"),
        ({"Nothing": 1}, "data"),
        ({"Text": "a", "Json": 1}, "data"),
        ({}, "data"),
        ("Text", "data"),
        (None, "data"),
    ],
)  # fmt: skip
def test_what_breaks_the_contract_is_named(value: Any, field: str) -> None:
    with pytest.raises(DataValidationError) as caught:
        decode_transport(json.dumps({"data": value}))
    assert caught.value.field == field
    assert caught.value.message.startswith(f"{field}: ")


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        (b"", "payload"),
        (b"\xff", "payload"),
        ("\ud800", "payload"),
        (b'"\xed\xa0\x80"', "payload"),
        (b"[" * 100_000, "payload"),
        (b"{}", "data"),
        (b"[]", "payload"),
        (b"null", "payload"),
        (b'{"data":{"Text":"a"}', "payload"),
        (b'{"data":{"Json":NaN}}', "payload"),
        (b'{"data":{"Json":-Infinity}}', "payload"),
        (b'{"data":{"Json":{"a":[1e999]}}}', "data.Json.a[0]"),
        (b'{"data":{"Json":%s}}' % (b"9" * 5000), "payload"),
        (b'{"data":{"Audio":{"samples":[1e400],"sample_rate":1,"channels":1}}}', "data.Audio.samples"),
        (b'{"data":{"Audio":{"samples":[ 1.00000000e-01', "payload"),
        (b'{"data":{"Audio":{"samples":[ 1.00000000e-01]', "payload"),
        (b'{"data":{"Audio":{"samples":[ 1.00000000e+38],"sample_rate":1,"channels":0}}}', "data.Audio.channels"),
        (b'{"data":{"Audio":{"samples":[ 9.00000000e+38],"sample_rate":1,"channels":1}}}', "data.Audio.samples"),
        (b'{"data":{"Audio":[ 1.00000000e-01]}}', "data.Audio"),
        (b'{"data":{"Video":{"data":[  1,  2]}}}', "data.Video.pixel_data"),
        (b'{"data":{"Image":[  1,  2]}}', "data.Image"),
        (b'{"data":{"Text":"a"},"sequence":-1}', "sequence"),
        (b'{"data":{"Text":"a"},"sequence":1.0}', "sequence"),
        (b'{"data":{"Text":"a"},"sequence":true}', "sequence"),
        (b'{"data":{"Text":"a"},"sequence":18446744073709551616}', "sequence"),
        (b'{"data":{"Text":"a"},"metadata":[]}', "metadata"),
        (b'{"data":{"Text":"a"},"metadata":{"k":1}}', "metadata.k"),
        (b'{"data":{"Text":"a"},"metadata":{"rpe-text-encoding":"klingon"}}', "metadata.rpe-text-encoding"),
    ],
)  # fmt: skip
def test_a_message_that_is_wrong_is_refused(payload: bytes | str, field: str) -> None:
    with pytest.raises(DataValidationError) as caught:
        decode_transport(payload)
    assert caught.value.field == field


@pytest.mark.parametrize("sample", [np.nan, np.inf, -np.inf])
def test_samples_that_json_cannot_carry_are_refused_with_a_way_out(sample: float) -> None:
    with pytest.raises(DataValidationError, match="no form for a sample") as caught:
        encode_transport(Audio(np.array([0.5, sample], np.float32), 8000))
    assert caught.value.field == "audio.samples"
    assert "gRPC" in caught.value.hint


def test_only_data_is_encoded() -> None:
    with pytest.raises(DataValidationError, match="str is no RuntimeData"):
        encode_transport("text")  # type: ignore[arg-type]
    with pytest.raises(DataValidationError, match="sequence"):
        encode_transport(Text("a"), sequence=-1)
