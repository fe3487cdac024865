"""Long lists of numbers as JSON text in columns of one width, written and read by NumPy at once.

JSON lets blanks stand before a number. So each sample takes 16 characters, such as
` 1.23456789e-01,`, and each byte 4, such as ` 17,`: words that are looked up in tables,
for all numbers together. To any reader it is plain JSON. In turn, a list in such columns
is read without a Python object for each number; any other list is left to a JSON parser.

Nine significant digits give every float32 back, bit for bit (IEEE 754-2019, section
5.12.2), and the error of a float64 product is far below what could turn one into
another. What the writer did not write, such as ten digits for a number half-way between
two float32 ones, may come out as either neighbour.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Piece", "read_bytes", "read_floats", "write_bytes", "write_floats"]

Piece = bytes | memoryview
"""A piece of JSON text, in ASCII."""

_BLOCK = 4096
"""How many numbers are worked on at once: few enough to stay in the processor's cache."""

_WIDTH = 16
_DIGITS = 9
_EXPONENTS = range(-45, 39)
"""The decimal exponents of the float32 numbers, subnormal ones included."""


def _words(texts: list[str]) -> NDArray[np.uint32]:
    """Texts of four characters each, as numbers of the same bytes."""
    return np.frombuffer("".join(texts).encode("ascii"), np.uint32)


_HEADS = _words([f"{sign}{first}.{second}" for sign in " -" for first in range(10) for second in range(10)])
_MIDDLES = _words([f"{number:04d}" for number in range(10_000)])
_TAILS = _words([f"{number:03d}e" for number in range(1000)])
_ENDS = _words([f"{exponent:+03d}," for exponent in _EXPONENTS])
_POWERS = np.array([float(f"1e{exponent}") for exponent in _EXPONENTS])
_TO_DIGITS = np.array([float(f"1e{_DIGITS - 1 - exponent}") for exponent in _EXPONENTS])


def write_floats(values: NDArray[np.float32]) -> Iterator[Piece]:
    """Yield the list of finite float32 numbers; each reads back as the very same."""
    yield b"["
    for start in range(0, values.size, _BLOCK):
        words = _write_block(values[start : start + _BLOCK])
        if start + _BLOCK >= values.size:
            words.view(np.uint8)[-1, -1] = ord("]")
        yield words.data
    if not values.size:
        yield b"]"


def _write_block(values: NDArray[np.float32]) -> NDArray[np.uint32]:
    exact = np.abs(values).astype(np.float64)
    index = np.searchsorted(_POWERS, exact, "right") - 1
    index[index < 0] = _EXPONENTS.index(0)  # zero lies below every power
    digits = np.rint(exact * _TO_DIGITS[index]).astype(np.uint32)
    if digits.max() >= 10**_DIGITS:  # 9.999999999 was rounded to 10
        carried = digits >= 10**_DIGITS
        digits[carried] //= 10
        index[carried] += 1
    upper = digits // 1000
    top = upper // 10_000
    words = np.empty((values.size, 4), np.uint32)
    words[:, 0] = _HEADS[top + 100 * np.signbit(values)]
    words[:, 1] = _MIDDLES[upper - top * 10_000]
    words[:, 2] = _TAILS[digits - upper * 1000]
    words[:, 3] = _ENDS[index]
    return words


# Reading: a character exclusive-or that of the template is the digit where a digit must
# stand, 0 where one certain character must, and 0 or one other number where a sign must.
_TEMPLATE = np.frombuffer(b" 0.00000000e+00," * _BLOCK, np.uint8)
_SIGN = ord("-") ^ ord(" ")
_EXPONENT_SIGN = ord("-") ^ ord("+")
_MOST = np.tile(np.array([_SIGN, 9, 0, *[9] * 8, 0, _EXPONENT_SIGN, 9, 9, 0], np.uint8), _BLOCK)
_COLUMNS = np.zeros((_WIDTH, 2))
"""What a character is worth: in the digits as one number, and in the key of its factor."""
_COLUMNS[[1, *range(3, 11)], 0] = 10.0 ** np.arange(_DIGITS - 1, -1, -1)
_COLUMNS[[0, 12, 13, 14], 1] = [700, 100, 10, 1]
_FACTORS = np.full(700 * (_SIGN + 1), np.nan)
"""By key: what to multiply the digits with. There is none for a key that is not of the writer's making."""
for _exponent in _EXPONENTS:
    _key = abs(_exponent) + (100 * _EXPONENT_SIGN if _exponent < 0 else 0)
    _FACTORS[_key] = float(f"1e{_exponent - _DIGITS + 1}")
    _FACTORS[_key + 700 * _SIGN] = -_FACTORS[_key]


def read_floats(text: bytes, start: int, end: int) -> NDArray[np.float32] | None:
    """The numbers of a list whose first character is at `start` and whose bracket ends it at `end`.

    None where it is not of the writer's making; then it may be any list, or none.
    """
    count, odd = divmod(end + 1 - start, _WIDTH)
    if odd or count < 1:
        return None
    values = np.empty(count, np.float32)
    for first in range(0, count, _BLOCK):
        some = min(_BLOCK, count - first)
        block = (
            np.frombuffer(text, np.uint8, some * _WIDTH, start + first * _WIDTH) ^ _TEMPLATE[: some * _WIDTH]
        )
        if first + some == count:
            block[-1] = 0  # the bracket
        if (block > _MOST[: block.size]).any():
            return None
        digits_and_key = block.reshape(-1, _WIDTH).astype(np.float64) @ _COLUMNS
        exact = digits_and_key[:, 0] * _FACTORS[digits_and_key[:, 1].astype(np.intp)]
        with np.errstate(over="ignore"):
            values[first : first + some] = exact
    return values if np.isfinite(values).all() else None


_BYTES = _words([f"{number:3d}," for number in range(256)])
_BYTE_BLOCK = 4 * _BLOCK


def write_bytes(data: bytes) -> Iterator[Piece]:
    """Yield the list of the bytes as numbers."""
    yield b"["
    values = np.frombuffer(data, np.uint8)
    for start in range(0, values.size, _BYTE_BLOCK):
        words = _BYTES[values[start : start + _BYTE_BLOCK]]
        if start + _BYTE_BLOCK >= values.size:
            words.view(np.uint8)[-1] = ord("]")
        yield words.data
    if not values.size:
        yield b"]"


def read_bytes(text: bytes, start: int, end: int) -> bytes | None:
    """The bytes of a list whose first character is at `start` and whose bracket ends it at `end`.

    None where it is not of the writer's making; then it may be any list, or none.
    """
    count, odd = divmod(end + 1 - start, 4)
    if odd or count < 1:
        return None
    values = np.empty(count, np.uint8)
    for first in range(0, count, _BYTE_BLOCK):
        some = min(_BYTE_BLOCK, count - first)
        block = np.frombuffer(text, np.uint8, some * 4, start + first * 4)
        if first + some == count:
            block = block.copy()
            block[-1] = ord(",")
        digits: NDArray[Any] = block & 15  # of a blank, 0
        value = digits[0::4] * np.uint8(100) + digits[1::4] * np.uint8(10) + digits[2::4]
        if (_BYTES[value] != np.frombuffer(block, np.uint32)).any():
            return None
        values[first : first + some] = value
    return values.tobytes()
