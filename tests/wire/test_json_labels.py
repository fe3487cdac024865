"""What travels as labels, since the JSON wire has no field for it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from rpe.data import Audio, Binary, Json, RuntimeData, Tensor, Text
from rpe.errors import DataValidationError
from rpe.wire.json import decode_transport, encode_transport


@pytest.mark.parametrize(
    ("data", "labels"),
    [
        (
            Text("ü", "latin-1", "de", "log"),
            {"rpe-text-encoding": "iso8859-1", "rpe-text-language": "de", "rpe-text-channel": "log"},
        ),
        (Json(1, "score"), {"rpe-json-schema-type": "score"}),
        (Binary(b"", "text/csv"), {"rpe-binary-mime-type": "text/csv"}),
        (Tensor(np.zeros(1, np.int8), "N"), {"rpe-tensor-layout": "N"}),
        (Audio(np.array([1, -(2**15)], np.int16), 8000), {"rpe-audio-format": "i16"}),
        (Audio(np.array([1, -(2**31), 2**31 - 1], np.int32), 8000), {"rpe-audio-format": "i32"}),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_fields_without_a_place_are_labels(data: RuntimeData, labels: dict[str, str]) -> None:
    document = json.loads(encode_transport(data, metadata={"mine": "1"}))
    assert document["metadata"] == {"mine": "1", **labels}
    back = decode_transport(json.dumps(document))
    assert back.metadata == {"mine": "1"}
    assert back.data.metadata == {"mine": "1"}
    document["metadata"].pop("mine")
    assert decode_transport(json.dumps(document)).data == data


def test_without_labels_come_the_defaults() -> None:
    document = json.loads(encode_transport(Text("ü", "latin-1", "de", "log")))
    document["metadata"] = {}
    assert decode_transport(json.dumps(document)).data == Text("ü")


def test_integer_samples_are_floats_to_a_foreign_reader() -> None:
    document = json.loads(encode_transport(Audio(np.array([2**14, -(2**15)], np.int16), 8000)))
    assert document["data"]["Audio"]["samples"] == [0.5, -1.0]
    document = json.loads(encode_transport(Audio(np.array([2**30], np.int32), 8000)))
    assert document["data"]["Audio"]["samples"] == [0.5]


@pytest.mark.parametrize("label", ["i16", "i32", "i64"])
@pytest.mark.parametrize("sample", [0.1234567, 1.0, -1.5, 2**-40])
def test_a_label_does_not_change_samples_that_a_server_changed(label: str, sample: float) -> None:
    samples = np.array([sample], np.float32)
    document = json.loads(encode_transport(Audio(samples, 8000)))
    document["metadata"]["rpe-audio-format"] = label
    back = decode_transport(json.dumps(document)).data
    assert isinstance(back, Audio)
    assert back.to_float32() == Audio(samples, 8000)


def test_a_label_of_another_variant_says_nothing() -> None:
    document = json.loads(encode_transport(Text("a")))
    document["metadata"] = {"rpe-audio-format": "i16", "rpe-tensor-layout": "N"}
    assert decode_transport(json.dumps(document)) == (Text("a"), None, {})


def test_labels_of_the_data_come_back_and_those_of_the_transport_stay_beside_them() -> None:
    sent = Text("a", language="de", metadata={"mine": "1", "both": "data"})
    back = decode_transport(
        encode_transport(sent, metadata={"rpe-node-id": "n", "more": "2", "both": "call"})
    )
    assert back.data.metadata == {"mine": "1", "more": "2", "both": "call"}
    assert back.metadata == {"mine": "1", "more": "2", "both": "call", "rpe-node-id": "n"}
    again = decode_transport(encode_transport(sent, metadata={"rpe-node-id": "n"}))
    assert again.data == sent


def test_labels_of_the_wire_are_not_the_datas_to_set() -> None:
    with pytest.raises(DataValidationError, match="rpe-anything"):
        encode_transport(Text("a", metadata={"rpe-anything": "1"}))
    with pytest.raises(DataValidationError, match="rpe-text-language"):
        encode_transport(Text("a"), metadata={"rpe-text-language": "de"})
    with pytest.raises(DataValidationError, match=r"metadata\.k"):
        encode_transport(Text("a"), metadata={"k": 1})  # type: ignore[dict-item]
