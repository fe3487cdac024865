"""What is refused in JSON, each wrong part told by its place in the message."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from rpe.data import Audio, Text
from rpe.errors import DataValidationError, ManifestInvalid
from rpe.wire.json import decode_stream_request, decode_transport, encode_transport

AUDIO = {"samples": [0.0, 0.5], "sample_rate": 8000, "channels": 1}
VIDEO = {"pixel_data": [9], "width": 1, "height": 1, "format": "Gray8"}
IMAGE = {"data": [9], "format": "Png", "width": 1, "height": 1}
TENSOR = {"data": [9], "shape": [1], "dtype": 5}
NUMPY = {"data": [9], "shape": [1], "dtype": "uint8"}
AUDIO_OF_ONE = b'{"data":{"Audio":{"samples":[ %s],"sample_rate":1,"channels":%d}}}'
BAD_SAMPLES: list[Any] = [
    *(
        None,
        "x",
        {},
        5,
        [True, False],
        ["1", "2"],
        [None],
        [[0.5]],
        [1e39],
        [10**400],
        [0.0, 1e300],
        [0.0, {}],
    )
]
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
        *(bad("Audio", AUDIO, "samples", samples) for samples in BAD_SAMPLES),
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
        bad(
            "ControlMessage", HINT, "message_type", {"BatchHint": {}},
            "message_type.BatchHint.suggested_batch_size",
        ),
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
        (AUDIO_OF_ONE % (b"1e400", 1), "data.Audio.samples"),
        (b'{"data":{"Audio":{"samples":[ 1.00000000e-01', "payload"),
        (b'{"data":{"Audio":{"samples":[ 1.00000000e-01]', "payload"),
        (AUDIO_OF_ONE % (b"1.00000000e+38", 0), "data.Audio.channels"),
        (AUDIO_OF_ONE % (b"9.00000000e+38", 1), "data.Audio.samples"),
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


@pytest.mark.parametrize(
    "around",
    [
        '{"data":{"Tensor":{"data":[],"shape":[],"dtype":%s}}}',
        '{"data":{"Video":{"pixel_data":[],"width":0,"height":0,"format":%s}}}',
        '{"data":{"ControlMessage":{"message_type":%s}}}',
        '{"data":{"Json":%s}}',
        '{"data":%s}',
        '{"manifest":{"version":"v1","nodes":[{"id":"a","node_type":"b","more":%s}]}}',
        '{"manifest":{"version":%s}}',
    ],
)
def test_no_depth_exhausts_the_stack(around: str) -> None:
    decode = decode_stream_request if "manifest" in around else decode_transport
    for depth in range(140, 1040):
        with pytest.raises((DataValidationError, ManifestInvalid)):
            decode(around % ("[" * depth + "]" * depth))
