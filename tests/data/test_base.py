from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from rpe.data import Audio, Binary, FrozenDict, Text
from rpe.data.base import canonical_encoding, freeze, thaw
from rpe.errors import DataValidationError, ErrorKind


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.__setitem__("b", 1),
        lambda d: d.__delitem__("a"),
        lambda d: d.update(b=1),
        lambda d: d.setdefault("b", 1),
        lambda d: d.pop("a"),
        lambda d: d.popitem(),
        lambda d: d.clear(),
        lambda d: d.__ior__({"b": 1}),
    ],
)
def test_a_frozen_dict_refuses_every_change(change: Callable[[Any], None]) -> None:
    frozen = FrozenDict({"a": 1})
    with pytest.raises(TypeError, match="read-only"):
        change(frozen)
    assert frozen == {"a": 1}


def test_a_frozen_dict_is_a_dict_to_everybody_else() -> None:
    frozen = FrozenDict({"a": (1, FrozenDict({"b": 2}))})
    assert json.dumps(frozen) == '{"a": [1, {"b": 2}]}'
    assert pickle.loads(pickle.dumps(frozen)) == frozen
    assert copy.deepcopy(frozen) == copy.copy(frozen) == frozen
    assert hash(frozen) == hash(FrozenDict(frozen))
    assert type(frozen.copy()) is dict


def test_freeze_and_thaw_are_inverse() -> None:
    value = {"list": [1, {"x": [None]}], "text": "t"}
    frozen = freeze(value)
    value["list"] = []
    assert frozen == {"list": (1, {"x": (None,)}), "text": "t"}
    thawed = thaw(frozen)
    assert thawed == {"list": [1, {"x": [None]}], "text": "t"}
    thawed["list"][1]["x"].append(1)
    assert frozen["list"][1]["x"] == (None,)


@pytest.mark.parametrize("name", ["utf8", "UTF-8", "latin-1", "utf_16", "Shift_JIS", "cp1252", ""])
def test_encodings_have_one_name(name: str) -> None:
    canonical = canonical_encoding(name, "text.encoding")
    assert canonical_encoding(canonical, "text.encoding") == canonical


@pytest.mark.parametrize(
    "name", ["unicode_escape", "idna", "punycode", "rot13", "hex", "utf-7", "no-such", "a\0b", "é" * 99]
)
def test_transformations_are_no_encodings(name: str) -> None:
    with pytest.raises(DataValidationError) as caught:
        canonical_encoding(name, "text.encoding")
    assert caught.value.field == "text.encoding"


def test_metadata_is_a_copy_of_texts() -> None:
    labels = {"trace": "1"}
    data = Text("a", metadata=labels)
    labels["trace"] = "2"
    assert data.metadata == {"trace": "1"}
    with pytest.raises(TypeError):
        data.metadata["trace"] = "3"  # type: ignore[index]
    for wrong in ({"a": 1}, {1: "a"}, {"a": "\ud800"}, 5):
        with pytest.raises(DataValidationError) as caught:
            Text("a", metadata=wrong)  # type: ignore[arg-type]
        assert str(caught.value.field).startswith("text.metadata")
        assert caught.value.kind is ErrorKind.DATA_VALIDATION


def test_payloads_have_no_hash_and_are_equal_within_one_variant_only() -> None:
    with pytest.raises(TypeError):
        hash(Text("a"))
    assert Text("a") == Text("a")
    assert Text("a") != Text("b")
    assert Text("a") != Text("a", metadata={"a": "b"})
    assert Text("a") != Binary(b"a")
    assert Text("a") != "a"


def test_repr_is_one_short_line_without_the_payload() -> None:
    import numpy as np

    audio = repr(Audio(np.zeros(48_000, np.float32), 48_000))
    assert audio == "Audio(samples=<48000 float32>, sample_rate=48000, channels=1)"
    assert repr(Binary(b"x" * 10_000)) == "Binary(data=<10000 bytes>)"
    assert len(repr(Text("line\n" * 1000))) < 200
    assert "\n" not in repr(Text("line\n" * 1000))
