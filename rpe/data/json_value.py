"""JSON as it travels: strict in what is written and in what is read."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from rpe.data.base import invalid

__all__ = ["canonical_json", "check_json", "dump_json", "parse_json"]

# Deeper values would exhaust the stack of some reader on their way; serde_json stops there too.
MAX_DEPTH = 128


def check_json(value: Any, field: str) -> None:
    """Raise unless `value` is made of None, bool, int, finite float, str, list and dict with text keys.

    What json would change on the way (tuples, numbers as keys) is refused, so that
    what arrives equals what was sent.
    """
    _check(value, field, MAX_DEPTH)


def _check(value: Any, field: str, depth_left: int) -> None:
    if value is None or isinstance(value, str | bool | int):
        return
    if isinstance(value, float):
        if not math.isfinite(value):
            raise invalid(field, f"{value} has no form in JSON")
        return
    if not isinstance(value, list | dict):
        raise invalid(field, f"{type(value).__name__} has no form in JSON")
    if not depth_left:
        raise invalid(field, f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, list):
        for index, item in enumerate(value):
            _check(item, f"{field}[{index}]", depth_left - 1)
        return
    for key, item in value.items():
        if not isinstance(key, str):
            raise invalid(field, f"the key {key!r} is not text")
        _check(item, f"{field}.{key}", depth_left - 1)


def parse_json(text: str | bytes, field: str) -> Any:
    """The value of a JSON text; bytes are UTF-8. Raises DataValidationError where it is not one."""
    try:
        if not isinstance(text, str):
            text = text.decode()
        value = _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise invalid(field, f"is not JSON: {error}") from error
    # Only a text with that many openings can be too deep: most need no walk.
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _check_depth(value, field, MAX_DEPTH)
    return value


def _check_depth(value: Any, field: str, depth_left: int) -> None:
    if isinstance(value, list | dict):
        if not depth_left:
            raise invalid(field, f"nested deeper than {MAX_DEPTH} levels")
        for item in value if isinstance(value, list) else value.values():
            _check_depth(item, field, depth_left - 1)


def dump_json(value: Any, field: str) -> str:
    """The shortest JSON text of a value; raises DataValidationError where it has none."""
    try:
        return _ENCODER.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise invalid(field, f"has no form in JSON: {error}") from error


def canonical_json(value: Any) -> str:
    """One text for equal values: keys sorted, whole floats written as integers.

    A number that crosses the wire may lose its ".0", or gain it.
    """
    return json.dumps(_canonical(value), sort_keys=True, separators=(",", ":"))


def _canonical(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items()}
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not allowed")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits[:20]} is out of range")
    return number


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)
_ENCODER = json.JSONEncoder(allow_nan=False, separators=(",", ":"))
