from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rpe.data.json_value import MAX_DEPTH, canonical_json, check_json, dump_json, parse_json
from rpe.errors import DataValidationError

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    SCALARS | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


def nested(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


@settings(deadline=None)
@given(VALUES)
def test_what_is_checked_comes_back_equal(value: Any) -> None:
    check_json(value, "json.value")
    text = dump_json(value, "json.value")
    assert text.isascii()
    assert parse_json(text, "json.value") == value
    assert parse_json(text.encode(), "json.value") == value


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (float("nan"), "j"),
        ([1, float("inf")], "j[1]"),
        ({"a": {"b": (1, 2)}}, "j.a.b"),
        ({1: "a"}, "j"),
        ({"a": {1, 2}}, "j.a"),
        (b"bytes", "j"),
        (nested(MAX_DEPTH + 1), "j" + "[0]" * MAX_DEPTH),
    ],
)
def test_what_json_would_change_is_refused(value: Any, field: str) -> None:
    with pytest.raises(DataValidationError) as caught:
        check_json(value, "j")
    assert caught.value.field == field


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "NaN", "[Infinity]", "-Infinity", "1e999", "[1,]", "1" * 5000, b"\xff", "\ufeff1"),
        *("[" * 100_000, json.dumps(nested(MAX_DEPTH + 1)), '{"a":' * 300 + "1" + "}" * 300),
    ],
)
def test_what_is_no_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(DataValidationError) as caught:
        parse_json(text, "json.json_payload")
    assert caught.value.field == "json.json_payload"


def test_the_deepest_value_and_a_wide_one_pass() -> None:
    deepest = nested(MAX_DEPTH)
    check_json(deepest, "j")
    assert parse_json(dump_json(deepest, "j"), "j") == deepest
    wide: Any = [[]] * (MAX_DEPTH * 3)
    assert parse_json(dump_json(wide, "j"), "j") == wide


@pytest.mark.parametrize("value", [object(), float("nan"), {(1, 2): 3}])
def test_dumping_raises_its_own_error(value: Any) -> None:
    with pytest.raises(DataValidationError):
        dump_json(value, "j")


def test_canonical_form_is_one_for_equal_numbers_and_any_order_of_keys() -> None:
    assert canonical_json({"b": 1.0, "a": [2.5, -0.0]}) == canonical_json({"a": [2.5, 0], "b": 1})
    assert canonical_json([True]) != canonical_json([1])
    assert canonical_json(1e300) == canonical_json(int(1e300))
