"""What is on the wire, byte for byte where it matters, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rpe.data import (
    Audio,
    BatchHint,
    Binary,
    Control,
    File,
    Image,
    ImageFormat,
    Json,
    Numpy,
    PixelFormat,
    RuntimeData,
    Tensor,
    Text,
    Video,
)
from rpe.errors import DataValidationError
from rpe.wire.generated.remotemedia.v1 import common_pb2 as pb
from rpe.wire.generated.remotemedia.v1.common_pb2 import DataBuffer
from rpe.wire.protobuf import decode, encode

SPEECH = Audio(np.array([1, -2, 3, -4], np.int16), 16_000, channels=2)


def test_audio_on_the_wire() -> None:
    audio = encode(SPEECH).audio
    assert audio.samples == b"\x01\x00\xfe\xff\x03\x00\xfc\xff"
    assert (audio.sample_rate, audio.channels, audio.num_samples) == (16_000, 2, 4)
    assert audio.format == pb.AUDIO_FORMAT_I16
    assert not audio.HasField("metadata_json")
    assert encode(SPEECH.to_float32()).audio.format == pb.AUDIO_FORMAT_F32
    assert encode(Audio(np.zeros(1, np.int32), 1)).audio.format == pb.AUDIO_FORMAT_I32


def test_audio_fields_without_a_place_travel_beside_foreign_annotations() -> None:
    data = Audio(SPEECH.samples, 16_000, 2, "mic", 5, annotations={"vad": True})
    text = encode(data).audio.metadata_json
    assert json.loads(text) == {"vad": True, "rpe": {"stream_id": "mic", "timestamp_us": 5}}
    assert encode(Audio(SPEECH.samples, 16_000, annotations=[1])).audio.metadata_json == b"[1]"


@pytest.mark.parametrize(
    "foreign",
    [
        "null",
        "[1]",
        '"rpe"',
        '{"rpe": 5}',
        '{"rpe": {}}',
        '{"rpe": {"stream_id": 5}}',
        '{"rpe": {"other": 1}}',
        '{"rpe": {"timestamp_us": -1}}',
        '{"rpe": {"timestamp_us": true}}',
        '{"stream_id": "s"}',
    ],
)
def test_annotations_that_only_look_like_ours_are_kept_as_they_are(foreign: str) -> None:
    buffer = encode(SPEECH)
    buffer.audio.metadata_json = foreign.encode()
    data = decode(buffer)
    assert isinstance(data, Audio)
    assert data.annotations == json.loads(foreign)
    assert data.stream_id is None
    assert decode(encode(data)) == data


def test_an_image_is_a_plain_binary_to_a_foreign_reader() -> None:
    sent = Image(b"\x89PNG", ImageFormat.PNG, 640, 480, stream_id="cam", metadata={"mine": "1"})
    buffer = encode(sent)
    assert buffer.WhichOneof("data_type") == "binary"
    assert (buffer.binary.data, buffer.binary.mime_type) == (b"\x89PNG", "image/png")
    assert dict(buffer.metadata) == {
        "mine": "1",
        "rpe.image.format": "png",
        "rpe.image.width": "640",
        "rpe.image.height": "480",
        "rpe.stream_id": "cam",
    }
    assert decode(buffer) == sent
    buffer.metadata.clear()
    assert decode(buffer) == Binary(b"\x89PNG", "image/png")


def test_text_on_the_wire() -> None:
    text = encode(Text("grüß", language="de")).text
    assert text.text_data == "grüß".encode()
    assert (text.encoding, text.language, text.channel) == ("utf-8", "de", "tts")
    assert encode(Text("ü", encoding="latin-1")).text.text_data == b"\xfc"
    bare = DataBuffer(text=pb.TextBuffer(text_data=b"hi"))
    assert decode(bare) == Text("hi")


def test_numpy_on_the_wire() -> None:
    by_row = encode(Numpy(np.arange(6, dtype=np.int16).reshape(2, 3))).numpy
    assert (list(by_row.shape), by_row.dtype, list(by_row.strides)) == ([2, 3], "int16", [6, 2])
    assert (by_row.c_contiguous, by_row.f_contiguous) == (True, False)
    by_column = encode(Numpy(np.arange(6, dtype=">i2").reshape(2, 3).T)).numpy
    assert (list(by_column.shape), by_column.dtype, list(by_column.strides)) == ([3, 2], ">i2", [2, 6])
    assert (by_column.c_contiguous, by_column.f_contiguous) == (False, True)
    assert by_column.data == np.arange(6, dtype=">i2").tobytes()
    gaps = encode(Numpy(np.arange(12).reshape(3, 4)[:, ::2])).numpy
    assert (gaps.c_contiguous, list(gaps.strides)) == (True, [16, 8])


def test_numpy_without_strides_is_read_by_its_flags() -> None:
    buffer = DataBuffer(numpy=pb.NumpyBuffer(data=bytes(range(6)), shape=[2, 3], dtype="uint8"))
    by_row = decode(buffer)
    buffer.numpy.f_contiguous = True
    by_column = decode(buffer)
    assert isinstance(by_row, Numpy) and isinstance(by_column, Numpy)
    assert by_row.array.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert by_column.array.tolist() == [[0, 2, 4], [1, 3, 5]]


@pytest.mark.parametrize(
    ("sent", "payload"),
    [
        (SPEECH, lambda data: data.samples),
        (Tensor(np.ones((2, 3), np.float32)), lambda data: data.array),
        (Numpy(np.ones((2, 3))), lambda data: data.array),
        (Numpy(np.ones((2, 3)).T), lambda data: data.array),
    ],
)
def test_arrays_lie_in_the_received_bytes(sent: RuntimeData, payload: Callable[[Any], Any]) -> None:
    array = payload(decode(encode(sent)))
    owner = array
    while isinstance(owner, np.ndarray):
        assert not owner.flags.owndata
        owner = owner.base
    assert isinstance(owner, bytes)
    assert not array.flags.writeable


@pytest.mark.parametrize(
    "empty",
    [
        Audio(np.array([], np.float32), 0, 0),
        Text(""),
        Json(None),
        Binary(b""),
        File(""),
        Control(BatchHint()),
        Image(b"", ImageFormat.WEBP),
        Video(b"", 0, 0, PixelFormat.GRAY8),
        Tensor(np.zeros((0, 2), np.int8)),
        Numpy(np.zeros(0)),
    ],
    ids=lambda data: data.kind,
)
def test_nothing_is_something(empty: RuntimeData) -> None:
    assert decode(DataBuffer.FromString(encode(empty).SerializeToString())) == empty


def set_field(path: str, value: object) -> Callable[[DataBuffer], None]:
    *parents, name = path.split(".")

    def change(buffer: DataBuffer) -> None:
        owner: Any = buffer
        for parent in parents:
            owner = getattr(owner, parent)
        if isinstance(value, list):
            del getattr(owner, name)[:]
            getattr(owner, name).extend(value)
        else:
            setattr(owner, name, value)

    return change


FRAME = Video(bytes(12), 2, 2, PixelFormat.RGB24)
ARRAY = Numpy(np.zeros((2, 3), np.float32))
TENSOR = Tensor(np.zeros((2, 3), np.float32))
IMAGE = Image(b"x", ImageFormat.RAW, 1, 1, PixelFormat.GRAY8)


@pytest.mark.parametrize(
    ("data", "change", "field"),
    [
        (SPEECH, set_field("audio.samples", b"\0" * 7), "audio.samples"),
        (SPEECH, set_field("audio.num_samples", 3), "audio.samples"),
        (SPEECH, set_field("audio.num_samples", 2**64 - 1), "audio.samples"),
        (SPEECH, set_field("audio.format", 0), "audio.format"),
        (SPEECH, set_field("audio.format", 77), "audio.format"),
        (SPEECH, set_field("audio.channels", 0), "audio.channels"),
        (SPEECH, set_field("audio.channels", 3), "audio.samples"),
        (SPEECH, set_field("audio.sample_rate", 0), "audio.sample_rate"),
        (SPEECH, set_field("audio.metadata_json", b"{"), "audio.metadata_json"),
        (SPEECH, set_field("audio.metadata_json", b"\xff"), "audio.metadata_json"),
        (FRAME, set_field("video.pixel_data", b"x"), "video.pixel_data"),
        (FRAME, set_field("video.format", 0), "video.format"),
        (FRAME, set_field("video.format", 99), "video.format"),
        (FRAME, set_field("video.codec", 9), "video.codec"),
        (FRAME, set_field("video.width", 2**32 - 1), "video.pixel_data"),
        (TENSOR, set_field("tensor.dtype", 0), "tensor.dtype"),
        (TENSOR, set_field("tensor.dtype", 6), "tensor.dtype"),
        (TENSOR, set_field("tensor.shape", [2, 2]), "tensor.data"),
        (TENSOR, set_field("tensor.shape", [2**63, 2**63]), "tensor.data"),
        (TENSOR, set_field("tensor.shape", []), "tensor.data"),
        (ARRAY, set_field("numpy.dtype", "object"), "numpy.dtype"),
        (ARRAY, set_field("numpy.dtype", ""), "numpy.dtype"),
        (ARRAY, set_field("numpy.dtype", "float64"), "numpy.data"),
        (ARRAY, set_field("numpy.shape", [3, 3]), "numpy.data"),
        (ARRAY, set_field("numpy.strides", [120, 4]), "numpy.data"),
        (ARRAY, set_field("numpy.strides", [-12, 4]), "numpy.strides"),
        (ARRAY, set_field("numpy.strides", [4]), "numpy.strides"),
        (Json({}), set_field("json.json_payload", ""), "json.json_payload"),
        (Json({}), set_field("json.json_payload", "{'a': 1}"), "json.json_payload"),
        (Text("a"), set_field("text.text_data", b"\xff"), "text.text_data"),
        (Text("a"), set_field("text.encoding", "klingon"), "text.encoding"),
        (Text("a"), set_field("text.encoding", "utf-16"), "text.text_data"),
        (
            Control(BatchHint(1)),
            lambda buffer: buffer.control.ClearField("batch_hint"),
            "control.message_type",
        ),
        (Control(BatchHint(1)), set_field("control.metadata", "{"), "control.metadata"),
        (IMAGE, lambda buffer: buffer.metadata.update({"rpe.image.format": "bmp"}), "image.format"),
        (IMAGE, lambda buffer: buffer.metadata.update({"rpe.image.width": "-1"}), "image.width"),
        (IMAGE, lambda buffer: buffer.metadata.update({"rpe.image.height": "2"}), "image.data"),
        (IMAGE, lambda buffer: buffer.metadata.update({"rpe.image.pixel_format": "X"}), "image.pixel_format"),
        (TENSOR, lambda buffer: buffer.metadata.update({"rpe.annotations": "{"}), "tensor.annotations"),
        (Text("a"), lambda buffer: buffer.Clear(), "data_type"),
    ],
)
def test_what_breaks_the_contract_is_named(
    data: RuntimeData, change: Callable[[DataBuffer], Any], field: str
) -> None:
    buffer = encode(data)
    change(buffer)
    with pytest.raises(DataValidationError) as caught:
        decode(DataBuffer.FromString(buffer.SerializeToString()))
    assert caught.value.field == field


def test_labels_of_the_codec_are_not_the_callers_to_set() -> None:
    with pytest.raises(DataValidationError, match=r"rpe\.image\.format"):
        encode(Binary(b"x", metadata={"rpe.image.format": "png"}))


def test_only_data_is_encoded() -> None:
    with pytest.raises(DataValidationError) as caught:
        encode("text")  # type: ignore[arg-type]
    assert caught.value.field == "data_type"
