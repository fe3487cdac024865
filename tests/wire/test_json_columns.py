"""Lists of numbers in columns: every float32 and every byte, and lists that are not of our making."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rpe.wire.json.columns import read_bytes, read_floats, write_bytes, write_floats

EDGES = np.array(
    [
        *(0.0, -0.0, 1.0, -1.0, 0.1, 1 / 3, 9.99999999, 9.9999999e9, 0.99999994, 16777216.0, 999999999.0),
        *(1.4e-45, -1.4e-45, 1.1754942e-38, 1.1754944e-38, 3.4028235e38, -3.4028235e38, 1e-44, 9.9e-45),
        *(10.0**exponent for exponent in range(-44, 39)),
    ],
    np.float32,
)


def text_of(values: np.ndarray) -> bytes:
    return b"".join(write_floats(values))


def same_bits(one: np.ndarray | None, other: np.ndarray) -> bool:
    assert one is not None and one.dtype == other.dtype == np.float32
    return one.tobytes() == other.tobytes()


def by_parser(text: bytes) -> np.ndarray:
    return np.array(json.loads(text), np.float64).astype(np.float32)


def around(values: np.ndarray) -> np.ndarray:
    """The values with their neighbours on both sides: where rounding and decades meet."""
    down, up = np.float32(-np.inf), np.float32(np.inf)
    with np.errstate(over="ignore", under="ignore"):
        steps = [values, np.nextafter(values, down), np.nextafter(values, up)]
    found = np.concatenate(steps).astype(np.float32)
    return found[np.isfinite(found)]


def test_the_text() -> None:
    text = text_of(np.array([0.0, -0.0, 0.5, -1.5e-3, 3.4028235e38], np.float32))
    assert text == (b"[ 0.00000000e+00,-0.00000000e+00, 5.00000000e-01,-1.50000001e-03, 3.40282347e+38]")
    assert b"".join(write_bytes(b"\x00\x0c\xff")) == b"[  0, 12,255]"
    assert text_of(np.zeros(0, np.float32)) == b"".join(write_bytes(b"")) == b"[]"


def test_every_kind_of_float_comes_back_bit_for_bit_by_both_readers() -> None:
    random = np.random.default_rng(7).integers(0, 2**32, 20_000, np.uint32).view(np.float32)
    values = np.concatenate([around(EDGES), random[np.isfinite(random)]])
    text = text_of(values)
    assert same_bits(read_floats(text, 1, len(text) - 1), values)
    assert same_bits(by_parser(text), values)


def test_every_16_bit_sample_comes_back() -> None:
    values = (np.arange(-(2**15), 2**15) / 2**15).astype(np.float32)
    text = text_of(values)
    assert same_bits(read_floats(text, 1, len(text) - 1), values)


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=20))
def test_any_floats_come_back(values: list[float]) -> None:
    array = np.array(values, np.float32)
    text = text_of(array)
    assert same_bits(by_parser(text), array)
    if values:
        assert same_bits(read_floats(text, 1, len(text) - 1), array)


@pytest.mark.parametrize("count", [1, 4095, 4096, 4097, 8192, 16384, 16385, 40_000])
def test_lists_longer_than_a_block(count: int) -> None:
    values = np.random.default_rng(count).standard_normal(count).astype(np.float32)
    text = text_of(values)
    assert same_bits(read_floats(text, 1, len(text) - 1), values)
    assert len(json.loads(text)) == count
    data = np.random.default_rng(count).bytes(count)
    text = b"".join(write_bytes(data))
    assert read_bytes(text, 1, len(text) - 1) == data == bytes(json.loads(text))


@pytest.mark.parametrize(
    "item",
    [
        *("+1.00000000e+00", " 1,00000000e+00", " 1.0000000 e+00", " 1.00000000E+00", " 1.00000000e 00"),
        *(" 1.00000000e.00", " 1.00000000e*00", " 1.00000000e+39", " 1.00000000e-46", " 9.00000000e+38"),
        *(
            '"1.00000000e+00',
            " 1.0000000xe+00",
            " 1.000000000+00",
            " 1.00000000e+0a",
            "\x00" * 15,
            "\xff" * 15,
        ),
        *(" 1.00000000e+99", " :.00000000e+00", " /.00000000e+00", " 1.00000000e,00", "!1.00000000e+00"),
        *("-1.00000000e,0]", " 0.1,0.1,0.1,0 ", " 0.10000000,0.1", "               "),
    ],
)
@pytest.mark.parametrize("place", [0, 1, 5])
def test_columns_of_floats_that_are_not_of_our_making_are_left_to_the_parser(item: str, place: int) -> None:
    assert len(item) == 15
    items = [" 1.00000000e+00"] * 6
    assert read_floats(f"[{','.join(items)}]".encode("latin-1"), 1, 96) is not None
    items[place] = item
    assert read_floats(f"[{','.join(items)}]".encode("latin-1"), 1, 96) is None


def test_a_separator_that_is_no_comma_is_seen() -> None:
    text = bytearray(text_of(np.ones(3, np.float32)))
    text[16] = ord(";")
    assert read_floats(bytes(text), 1, len(text) - 1) is None


@pytest.mark.parametrize(
    "item",
    ["256", "999", " -1", "1  ", " 1 ", "0 1", "007", "0x1", "   ", "1.0", "1e1", "\x00\x001", "@@1", "qqq"],
)
@pytest.mark.parametrize("place", [0, 1, 3])
def test_columns_of_bytes_that_are_not_of_our_making_are_left_to_the_parser(item: str, place: int) -> None:
    items = ["  1", " 22", "255", "  0"]
    assert read_bytes(f"[{','.join(items)}]".encode(), 1, 16) == b"\x01\x16\xff\x00"
    items[place] = item
    assert read_bytes(f"[{','.join(items)}]".encode(), 1, 16) is None


@settings(max_examples=300)
@given(st.binary(max_size=70), st.integers(-2, 70), st.integers(-2, 70))
def test_anything_is_no_list_or_one_that_the_parser_reads_as_well(text: bytes, start: int, end: int) -> None:
    start = max(0, min(start, len(text)))
    end = min(end, len(text) - 1)
    floats = read_floats(text, start, end)
    octets = read_bytes(text, start, end)
    for found in (floats, octets):
        if found is not None:
            assert len(json.loads(b"[" + text[start:end] + b"]")) == len(found)


@pytest.mark.parametrize(("read", "item"), [(read_floats, " 1.00000000e+00"), (read_bytes, " 17")])
def test_lists_of_nothing_and_of_a_wrong_length(read: object, item: str) -> None:
    assert callable(read)
    text = f"[{item},{item}]".encode()
    end = len(text) - 1
    assert read(text, 1, end) is not None
    for start, stop in ((1, 1), (1, 0), (1, -1), (2, end), (1, end - 1), (1, 1 + len(item) - 1)):
        assert read(text, start, stop) is None
