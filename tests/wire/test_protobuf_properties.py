"""Round trips of any data, and decoding of anything a peer may send."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

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
    Text,
    Video,
    VideoCodec,
    content_hash,
)
from rpe.data.json_value import check_json
from rpe.errors import DataValidationError
from rpe.wire.generated.remotemedia.v1.common_pb2 import AUDIO_FORMAT_F32, DataBuffer
from rpe.wire.protobuf import decode, encode

U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
LABELS = st.dictionaries(WORDS, WORDS, max_size=3)
STREAMS = st.none() | st.text("abc", min_size=1, max_size=4)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4) | st.just("rpe"), inner),
    max_leaves=6,
)


@st.composite
def audio(draw: st.DrawFn) -> Audio:
    channels = draw(st.integers(1, 3))
    frames = draw(st.integers(0, 20))
    dtype = draw(st.sampled_from([np.float32, np.int16, np.int32]))
    samples = draw(hnp.arrays(dtype, frames * channels))
    times = st.none() | U64
    return Audio(
        samples,
        draw(st.integers(1, 2**32 - 1)),
        channels,
        draw(STREAMS),
        draw(times),
        draw(times),
        draw(JSON_VALUES),
        draw(LABELS),
    )


def frame_size(pixel_format: PixelFormat, width: int, height: int) -> int:
    if pixel_format in (PixelFormat.RGB24, PixelFormat.RGBA32, PixelFormat.GRAY8):
        return width * height * {1: 3, 2: 4, 4: 1}[pixel_format]
    return width * height + 2 * math.ceil(width / 2) * math.ceil(height / 2)


@st.composite
def video(draw: st.DrawFn) -> Video:
    pixel_format = draw(st.sampled_from(PixelFormat))
    if pixel_format is PixelFormat.ENCODED:
        width, height, pixels = draw(U32), draw(U32), draw(st.binary())
    else:
        width, height = draw(st.integers(0, 5)), draw(st.integers(0, 5))
        size = frame_size(pixel_format, width, height)
        pixels = draw(st.binary(min_size=size, max_size=size))
    codec = draw(st.none() | st.sampled_from(VideoCodec))
    key, number, time = draw(st.booleans()), draw(U64), draw(U64)
    return Video(
        pixels, width, height, pixel_format, number, time, codec, key, draw(STREAMS), metadata=draw(LABELS)
    )


@st.composite
def image(draw: st.DrawFn) -> Image:
    image_format = draw(st.sampled_from(ImageFormat))
    pixel_format = None
    if image_format is ImageFormat.RAW:
        frame = draw(video().filter(lambda frame: frame.format is not PixelFormat.ENCODED))
        data, width, height, pixel_format = frame.pixel_data, frame.width, frame.height, frame.format
    else:
        data, width, height = draw(st.binary()), draw(U32), draw(U32)
    stream, time = draw(STREAMS), draw(st.none() | U64)
    return Image(data, image_format, width, height, pixel_format, stream, time, draw(LABELS))


def arrays(dtypes: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return hnp.arrays(dtypes, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))


NUMBERS: st.SearchStrategy[Any] = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(endianness="?"),
    hnp.unsigned_integer_dtypes(endianness="?"),
    hnp.floating_dtypes(endianness="?", sizes=(16, 32, 64)),
    hnp.complex_number_dtypes(endianness="?", sizes=(64, 128)),
    hnp.datetime64_dtypes(endianness="?"),
    hnp.timedelta64_dtypes(endianness="?"),
)


@st.composite
def numpy(draw: st.DrawFn) -> Numpy:
    array = draw(arrays(NUMBERS))
    layout = draw(st.sampled_from(["C", "F", "turned", "gaps", "backwards"]))
    if layout == "F":
        array = np.asfortranarray(array) if array.ndim else array
    elif layout == "turned":
        array = array.T
    elif array.ndim and layout in ("gaps", "backwards"):
        array = array[:: 2 if layout == "gaps" else -1]
    return Numpy(array, draw(LABELS))


TENSORS = st.builds(
    Tensor,
    arrays(st.sampled_from([np.float32, np.float16, np.int32, np.int8, np.uint8])),
    st.sampled_from(["", "NCHW"]),
    JSON_VALUES,
    LABELS,
)
TEXTS = st.builds(
    Text, WORDS, st.sampled_from(["utf-8", "utf-16", "utf-32-le", "gb18030"]), WORDS, WORDS, LABELS
)
RECORDS = st.builds(CancelSpeculation, U64, U64) | st.builds(BatchHint, U32) | st.builds(DeadlineWarning, U64)
DATA: dict[str, st.SearchStrategy[Any]] = {
    "audio": audio(),
    "video": video(),
    "image": image(),
    "text": TEXTS,
    "json": st.builds(Json, JSON_VALUES, WORDS, LABELS),
    "tensor": TENSORS,
    "numpy": numpy(),
    "binary": st.builds(Binary, st.binary(), WORDS, LABELS),
    "file": st.builds(File, WORDS, WORDS, WORDS, U64, U64, U64, STREAMS, LABELS),
    "control": st.builds(Control, RECORDS, WORDS, U64, JSON_VALUES, LABELS),
}


@pytest.mark.parametrize("kind", DATA)
@settings(max_examples=60, deadline=None)
@given(choice=st.data())
def test_everything_comes_back_as_it_was_sent(kind: str, choice: st.DataObject) -> None:
    sent: RuntimeData = choice.draw(DATA[kind])
    assert sent.kind == kind
    wire = encode(sent).SerializeToString()
    back = decode(DataBuffer.FromString(wire))
    assert back == sent
    assert content_hash(back) == content_hash(sent)


def decode_or_refuse(buffer: DataBuffer) -> None:
    """What decodes is sound: it can be sent again, and is then the same. All else is one kind of error."""
    try:
        data = decode(buffer)
    except DataValidationError as error:
        assert error.field
        return
    content_hash(data)
    again = decode(encode(data))
    assert again == data


@settings(max_examples=300, deadline=None)
@given(data=st.one_of(list(DATA.values())), choice=st.data())
def test_damaged_bytes_give_a_value_or_the_one_error(data: RuntimeData, choice: st.DataObject) -> None:
    wire = bytearray(encode(data).SerializeToString())
    for _ in range(choice.draw(st.integers(1, 3))):
        place = choice.draw(st.integers(0, max(len(wire) - 1, 0)))
        how = choice.draw(st.sampled_from(["flip", "cut", "insert"]))
        if how == "flip" and wire:
            wire[place] ^= choice.draw(st.integers(1, 255))
        elif how == "cut":
            del wire[place : place + choice.draw(st.integers(1, 4))]
        else:
            wire[place:place] = choice.draw(st.binary(min_size=1, max_size=4))
    try:
        buffer = DataBuffer.FromString(bytes(wire))
    except DecodeError:
        return
    decode_or_refuse(buffer)


SMALL = st.integers(0, 6) | U64
JSONISH = WORDS | JSON_VALUES.map(lambda value: Json(value).to_text())
OUR_LABELS = st.sampled_from(
    [
        *("rpe.image.format", "rpe.image.width", "rpe.image.height", "rpe.image.pixel_format"),
        *("rpe.image.timestamp_us", "rpe.stream_id", "rpe.annotations", "mine"),
    ]
)
DTYPE_NAMES = st.from_regex(
    r"\A([<>=|]?[a-zA-Z?]\d{0,2}|float32|int8|bool|datetime64)(\[\d{0,2}[a-zA-Z]{1,2}\])?\Z"
)


def enum_numbers(known: int) -> st.SearchStrategy[int]:
    return st.integers(0, known + 1) | st.sampled_from([255, -1, 2**31 - 1])


FIELDS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "audio": {
        "samples": st.binary(max_size=16),
        "sample_rate": SMALL.map(lambda n: n % 2**32),
        "channels": st.integers(0, 3),
        "format": enum_numbers(3),
        "num_samples": SMALL,
        "metadata_json": st.binary(max_size=4) | JSONISH.map(str.encode),
    },
    "video": {
        "pixel_data": st.binary(max_size=16),
        "width": st.integers(0, 4),
        "height": st.integers(0, 4),
        "format": enum_numbers(6),
        "codec": enum_numbers(3),
    },
    "tensor": {
        "data": st.binary(max_size=16),
        "shape": st.lists(SMALL, max_size=4),
        "dtype": enum_numbers(5),
        "layout": WORDS,
    },
    "numpy": {
        "data": st.binary(max_size=24),
        "shape": st.lists(SMALL, max_size=3) | st.lists(st.integers(0, 3), max_size=70),
        "dtype": DTYPE_NAMES | WORDS,
        "strides": st.lists(st.integers(-4, 8) | st.integers(-(2**63), 2**63 - 1), max_size=3),
        "c_contiguous": st.booleans(),
        "f_contiguous": st.booleans(),
    },
    "json": {"json_payload": JSONISH, "schema_type": WORDS},
    "text": {
        "text_data": st.binary(max_size=8),
        "encoding": st.sampled_from(["", "utf8", "utf-16", "ascii", "latin1", "euc_jp", "idna", "hex", "no"])
        | WORDS,
        "language": WORDS,
        "channel": WORDS,
    },
    "binary": {"data": st.binary(max_size=8), "mime_type": WORDS},
    "file": {"path": WORDS, "size": U64},
    "control": {"segment_id": WORDS, "timestamp_ms": U64, "metadata": JSONISH},
}


@pytest.mark.parametrize("kind", FIELDS)
@settings(max_examples=100, deadline=None)
@given(choice=st.data())
def test_any_content_of_the_fields_gives_a_value_or_the_one_error(kind: str, choice: st.DataObject) -> None:
    fields: Any = choice.draw(st.fixed_dictionaries({}, optional=FIELDS[kind]))
    content: dict[str, Any] = {kind: fields}
    buffer = DataBuffer(**content)
    if kind == "control" and choice.draw(st.booleans()):
        buffer.control.batch_hint.suggested_batch_size = choice.draw(U32)
    values = st.sampled_from(["png", "raw", "RGB24", "GRAY8", "1", "-1", "²", "9" * 30]) | JSONISH
    buffer.metadata.update(choice.draw(st.dictionaries(OUR_LABELS, values, max_size=4)))
    decode_or_refuse(buffer)


@settings(deadline=None)
@given(JSON_VALUES)
def test_annotations_of_a_foreign_sender_are_kept(value: Any) -> None:
    check_json(value, "value")
    buffer = DataBuffer()
    buffer.audio.format = AUDIO_FORMAT_F32
    buffer.audio.metadata_json = Json(value).to_text().encode()
    data = decode(buffer)
    assert isinstance(data, Audio)
    if not (isinstance(value, dict) and "rpe" in value):
        assert data.annotations == value
    assert decode(encode(data)) == data
