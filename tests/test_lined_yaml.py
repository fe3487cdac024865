"""YAML as its core schema has it, with the lines of its parts."""

from __future__ import annotations

from typing import Any

import pytest

from rpe.lined_yaml import LinedYamlError, load_lined, unlined


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("on", "on"),
        ("yes", "yes"),
        ("no", "no"),
        ("true", True),
        ("False", False),
        ("1:30", "1:30"),
        ("010", 10),
        ("-3", -3),
        ("1e3", 1000.0),
        ("1e-3", 0.001),
        (".5", 0.5),
        ("2.", 2.0),
        ("~", None),
        ("null", None),
        ("", None),
        ("2026-01-02", "2026-01-02"),
        ("'3'", "3"),
        ("200ms", "200ms"),
        ("1_000", "1_000"),
    ],
)
def test_a_scalar_is_what_it_looks_like(text: str, expected: Any) -> None:
    value = load_lined(f"key: {text}\n").data["key"]

    assert value == expected
    assert type(value) is type(expected)


def test_a_key_named_on_stays_text() -> None:
    assert load_lined("down: {on: [a], no: b}\n").data == {"down": {"on": ["a"], "no": "b"}}


def test_every_part_has_its_line() -> None:
    document = load_lined("one: 1\n\ntwo:\n  - x\n  - {y: 2,\n     z: 3}\n")

    assert document.line(("one",)) == 1
    assert document.line(("two",)) == 3
    assert document.line(("two", 0)) == 4
    assert document.line(("two", 1, "y")) == 5
    assert document.line(("two", 1, "z")) == 6
    assert document.line(("two", 1, "none", "here")) == 5
    assert document.present(("two", "branch", 1, "z")) == ("two", 1, "z")


def test_every_duplicate_is_told() -> None:
    with pytest.raises(LinedYamlError) as caught:
        load_lined("a: 1\nb: {c: 1, c: 2}\na: 2\n")

    assert caught.value.found == [
        (2, ("b", "c"), "given twice, first on line 2"),
        (3, ("a",), "given twice, first on line 1"),
    ]


def test_an_alias_is_another_copy() -> None:
    assert load_lined("a: &x {b: 1}\nc: *x\n").data == {"a": {"b": 1}, "c": {"b": 1}}


def test_plain_data_exists_on_no_line() -> None:
    document = unlined({"a": [{"b": 1}]})

    assert document.present(("a", 0, "b")) == ("a", 0, "b")
    assert document.line(("a", 0, "b")) == 0
