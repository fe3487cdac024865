"""Unary execution: what goes in comes out, whatever it is, and the server knows whose it is."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from rpe.data import (
    Audio,
    Binary,
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
    content_hash,
)
from rpe.fakes import Kind
from rpe.manifest.model import Manifest
from rpe.transport.ports import ATTEMPT_KEY, OPERATION_KEY
from tests.support.wire_pairs import Pairs, pipeline

WAVE = np.sin(np.arange(1600, dtype=np.float32) / 10)

SAMPLES: dict[str, RuntimeData] = {
    "text": Text("Grüße, 世界", language="de"),
    "empty text": Text(""),
    "json": Json({"a": [1, 2.5, None, True], "ü": {}}),
    "binary": Binary(bytes(range(256)), mime_type="application/x-test"),
    "empty binary": Binary(b""),
    "audio": Audio(WAVE, 16_000, stream_id="s", timestamp_us=7, metadata={"who": "me"}),
    "stereo": Audio(WAVE, 48_000, channels=2),
    "no samples": Audio(np.zeros(0, np.float32), 16_000),
    "video": Video(bytes(12), 2, 2, PixelFormat.RGB24, frame_number=3, timestamp_us=40_000),
    "image": Image(b"\x89PNG", ImageFormat.PNG, 4, 4),
    "tensor": Tensor(np.arange(6, dtype=np.float32).reshape(2, 3), layout="NC"),
    "numpy": Numpy(np.arange(6, dtype=np.int64).reshape(3, 2)),
    "file": File("clips/a.wav", "a.wav", "audio/wav", size=10, offset=2, length=4),
    "control": Control(DeadlineWarning(250), segment_id="7", timestamp_ms=12),
}


@pytest.mark.parametrize("data", SAMPLES.values(), ids=SAMPLES.keys())
async def test_every_kind_of_data_comes_back_as_it_went(pairs: Pairs, data: RuntimeData) -> None:
    pair = await pairs()
    assert content_hash(await pair.execute(data)) == content_hash(data)


async def test_a_pipeline_of_several_nodes_runs(pairs: Pairs) -> None:
    pair = await pairs()
    manifest = Manifest.from_dict(
        {
            "version": "v1",
            "metadata": {"name": "two"},
            "nodes": [
                {"id": "node", "node_type": "UpperCase", "params": {}},
                {"id": "turn", "node_type": "Reverse", "params": {}},
            ],
            "connections": [{"from": "node", "to": "turn"}],
        }
    )
    assert await pair.execute(Text("abc"), manifest) == Text("CBA")


async def test_parameters_of_nodes_arrive(pairs: Pairs) -> None:
    pair = await pairs()
    louder = await pair.execute(Audio(WAVE, 16_000), pipeline("Gain", gain=0.5))
    assert isinstance(louder, Audio)
    np.testing.assert_array_equal(louder.samples, WAVE * np.float32(0.5))


async def test_the_journal_knows_operation_attempt_and_deadline(pairs: Pairs) -> None:
    pair = await pairs()
    await pair.execute(Text("hi"), timeout_s=7.0, metadata=((OPERATION_KEY, "op-7"), (ATTEMPT_KEY, "3")))
    (entry,) = pair.received("execute")
    assert (entry.operation_id, entry.attempt) == ("op-7", 3)
    assert entry.content == {"node": content_hash(Text("hi"))}
    assert entry.remaining_s is not None
    # gRPC rounds deadlines up by some milliseconds.
    assert 4.0 < entry.remaining_s <= 7.1


async def test_a_hundred_calls_at_once_each_get_their_own_answer(pairs: Pairs) -> None:
    pair = await pairs()
    answers = await asyncio.gather(*(pair.execute(Text(f"call {n}")) for n in range(100)))
    assert answers == [Text(f"call {n}") for n in range(100)]
    assert len(pair.fake.journal.entries(Kind.SENT)) == 100
    assert pair.fake.journal.in_flight == 0
