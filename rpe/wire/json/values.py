"""From the values of a JSON parser to typed ones, or the one error."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpe.data.base import invalid

__all__ = ["as_object", "as_octets", "as_sizes", "as_tag", "as_values", "given", "required", "shown"]

_NUMBERS = {int, float}
_INTEGERS = {int}

_MOST_AXES = 64
"""As many as an array of NumPy has at most."""


def as_object(value: Any, field: str) -> dict[str, Any]:
    """The value, an object."""
    if not isinstance(value, dict):
        raise invalid(field, f"must be an object, not {_name(value)}")
    return value


def as_tag(value: Any, field: str) -> tuple[str, Any]:
    """The name and the content of an externally tagged value: an object with one key."""
    if not isinstance(value, dict) or len(value) != 1:
        what = f"one with {len(value)}" if isinstance(value, dict) else _name(value)
        raise invalid(field, f"must be an object with one key, the name of its variant, not {what}")
    return next(iter(value.items()))


def required(body: dict[str, Any], key: str, field: str) -> Any:
    """What the key holds."""
    try:
        return body[key]
    except KeyError as error:
        raise invalid(field, "is missing") from error


def given(body: dict[str, Any], key: str, default: Any) -> Any:
    """What the key holds; the default where it is missing or null."""
    value = body.get(key)
    return default if value is None else value


def as_values(value: Any, field: str) -> NDArray[Any]:
    """A list of finite numbers, as float64; as float32 where it was read as such already."""
    if isinstance(value, np.ndarray):
        return value
    if not isinstance(value, list):
        raise invalid(field, f"must be a list of numbers, not {_name(value)}")
    if not _NUMBERS.issuperset(map(type, value)):
        raise invalid(field, "holds what is no number")
    try:
        values = np.array(value, np.float64)
    except OverflowError as error:
        raise invalid(field, "holds a number that is out of range") from error
    if not np.isfinite(values).all():
        raise invalid(field, "holds a number that is out of range")
    return values


def as_octets(value: Any, field: str) -> bytes:
    """A list of numbers from 0 to 255, as bytes."""
    if isinstance(value, bytes):
        return value
    if not isinstance(value, list):
        raise invalid(field, f"must be a list of bytes, not {_name(value)}")
    if not _INTEGERS.issuperset(map(type, value)):
        raise invalid(field, "holds what is no integer")
    try:
        return bytes(value)
    except ValueError as error:
        raise invalid(field, "holds a number that is no byte") from error


def as_sizes(value: Any, field: str, *, signed: bool = False) -> tuple[int, ...]:
    """A list of integers of 64 bits, one for each axis of an array."""
    if not isinstance(value, list):
        raise invalid(field, f"must be a list of integers, not {_name(value)}")
    if len(value) > _MOST_AXES:
        raise invalid(field, f"{len(value)} axes are more than {_MOST_AXES}")
    if not _INTEGERS.issuperset(map(type, value)):
        raise invalid(field, "holds what is no integer")
    least, most = (-(2**63), 2**63) if signed else (0, 2**64)
    if not all(least <= size < most for size in value):
        raise invalid(field, "holds a number that is out of range")
    return tuple(value)


def shown(value: Any) -> str:
    """The value in the text of an error: short, and never so deep that to show it would fail."""
    return repr(value[:40]) if isinstance(value, str) else _name(value)


def _name(value: Any) -> str:
    """What such a value is in JSON."""
    if value is None:
        return "null"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**64:
        return str(value)
    return _NAMES.get(type(value), "a list")


_NAMES = {bool: "a truth value", int: "a number", float: "a number", str: "text", dict: "an object"}
