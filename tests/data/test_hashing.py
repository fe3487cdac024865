from __future__ import annotations

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
    Text,
    Video,
    VideoCodec,
    content_hash,
)

MATRIX = np.arange(6, dtype=np.int16).reshape(2, 3)

# Written down once: a digest is compared with one that another process, or another
# version, has stored.
KNOWN: dict[str, RuntimeData] = {
    "44939b68e372862735c881b39a7e4f5d": Audio(np.array([0, 16384, -32768], np.int16), 16_000),
    "df3ea9b6c38e419071f2516ebcbcfbc0": Video(bytes(18), 3, 2, PixelFormat.RGB24, 7, 1_000),
    "674d6ced82e9d2acafeb5b93e0cc96d6": Image(b"png", ImageFormat.PNG, 640, 480),
    "cf879837deef487b0a7b3d6da181e9fa": Text("hello, wörld"),
    "dd6d50ff33524d80685fe400d7886f53": Json({"b": [1, 2.5, None], "a": True}),
    "ef1a0e5f86ee9d26557f1c572ded1e6f": Tensor(np.arange(4, dtype=np.float32).reshape(2, 2)),
    "c950c5733de46b3ab688cdde3622b44b": Numpy(MATRIX),
    "1a4d270cb9c04c5ce47887bdf8ee54db": Binary(b"bytes"),
    "cba6c7350acd560bd27adc7e32517db3": File("/data/a.wav", "a.wav", "audio/wav", 100, 10, 20),
    "78be86c023c208bb04b4e5eac9b3420f": Control(CancelSpeculation(1, 2), "segment", 3),
}


def test_digests_do_not_change_between_versions() -> None:
    assert {digest: content_hash(data) for digest, data in KNOWN.items()} == {d: d for d in KNOWN}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Text("a"), Text("a", "utf-16", "en", "chat", {"x": "y"})),
        (Json({"a": 1, "b": [2.0]}), Json({"b": [2], "a": 1.0}, "plan")),
        (
            Audio(np.array([16384], np.int16), 8000),
            Audio(np.array([0.5], np.float32), 8000, 1, "s", 1, 2, {"a": 1}),
        ),
        (Numpy(MATRIX), Numpy(np.asfortranarray(MATRIX))),
        (Numpy(MATRIX), Numpy(MATRIX.astype(">i2"))),
        (Numpy(MATRIX.T), Numpy(MATRIX.T.copy())),
        (Tensor(MATRIX.astype(np.int32)), Tensor(MATRIX.astype(np.int32), "HW", {"a": 1})),
        (Binary(b"a"), Binary(b"a", "text/plain")),
        (Image(b"a", ImageFormat.PNG), Image(b"a", ImageFormat.PNG, stream_id="s", timestamp_us=1)),
        (Control(BatchHint(1)), Control(BatchHint(1), annotations=[1])),
    ],
)
def test_form_and_labels_are_no_content(one: RuntimeData, other: RuntimeData) -> None:
    assert content_hash(one) == content_hash(other)


DIFFERENT: list[RuntimeData] = [
    Text("a"),
    Text("b"),
    Text(""),
    Binary(b"a"),
    Binary(b""),
    Json("a"),
    Json(["a"]),
    Json(1),
    Json(True),
    Json(1.5),
    Json({}),
    Json([]),
    Json(None),
    Audio(np.zeros(2, np.float32), 8000),
    Audio(np.zeros(2, np.float32), 8000, 2),
    Audio(np.zeros(2, np.float32), 16_000),
    Audio(np.zeros(4, np.float32), 8000),
    Video(b"abc", 1, 1, PixelFormat.RGB24),
    Video(b"abc", 1, 1, PixelFormat.ENCODED),
    Video(b"abc", 1, 1, PixelFormat.ENCODED, codec=VideoCodec.AV1),
    Video(b"abc", 1, 1, PixelFormat.RGB24, frame_number=1),
    Video(b"abc", 1, 1, PixelFormat.RGB24, timestamp_us=1),
    Image(b"abc", ImageFormat.PNG),
    Image(b"abc", ImageFormat.JPEG),
    Image(b"abc", ImageFormat.PNG, 1, 1),
    Image(b"abc", ImageFormat.RAW, 1, 1, PixelFormat.RGB24),
    Tensor(np.zeros((2, 3), np.int8)),
    Tensor(np.zeros((3, 2), np.int8)),
    Tensor(np.zeros((2, 3), np.uint8)),
    Numpy(np.zeros((2, 3), np.int8)),
    Numpy(MATRIX),
    Numpy(MATRIX.T),
    File("a"),
    File("a", "b"),
    File("a", size=1),
    File("a", offset=1),
    File("a", length=1),
    Control(BatchHint(1)),
    Control(BatchHint(2)),
    Control(DeadlineWarning(1)),
    Control(BatchHint(1), "s"),
    Control(BatchHint(1), timestamp_ms=1),
]


def test_different_content_has_different_digests() -> None:
    digests = {content_hash(data) for data in DIFFERENT}
    assert len(digests) == len(DIFFERENT)
    assert all(len(digest) == 32 and int(digest, 16) >= 0 for digest in digests)
