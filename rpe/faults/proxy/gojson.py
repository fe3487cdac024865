"""Reads request bodies the way Toxiproxy (Go's encoding/json) does, because clients lean on it.

Keys match in any letter case; unknown ones are ignored; of duplicates the last wins; null
means "leave the default"; only the first JSON value of a body counts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rpe.faults.proxy.failures import ApiError

__all__ = ["Fields", "read_array", "read_object", "unmarshal_type_error"]

PREFIX = "bad request body: "
WHITESPACE = " \t\r\n"


def read_object(body: bytes, struct: str) -> Fields:
    """Return the object in a body; null acts like `{}`. `struct` names it in messages."""
    return _as_fields(_first_value(body), struct)


def read_array(body: bytes, struct: str) -> list[Fields]:
    """Return the array of objects in a body; null acts like `[]`, within the array like `{}`."""
    value = _first_value(body)
    if value is None:
        return []
    if not isinstance(value, list):
        raise _value_type_error(value, f"[]{struct}")
    return [_as_fields(item, struct) for item in value]


def unmarshal_type_error(value: Any, field: str, go_type: str) -> ApiError:
    """Return the error for a value of the wrong JSON type in `field` ("Proxy.enabled")."""
    shown = f"number {value}" if _kind(value) == "number" and go_type == "int64" else _kind(value)
    return ApiError(
        400, f"{PREFIX}json: cannot unmarshal {shown} into Go struct field {field} of type {go_type}"
    )


class Fields:
    """The fields of one request object. Each reader returns None for a field that is absent or null."""

    def __init__(self, values: Mapping[str, Any], struct: str) -> None:
        self._values = values
        self._struct = struct

    def text(self, name: str) -> str | None:
        """Return a string."""
        value = self._values.get(name)
        if value is None or isinstance(value, str):
            return value
        raise unmarshal_type_error(value, f"{self._struct}.{name}", "string")

    def flag(self, name: str) -> bool | None:
        """Return a boolean."""
        value = self._values.get(name)
        if value is None or isinstance(value, bool):
            return value
        raise unmarshal_type_error(value, f"{self._struct}.{name}", "bool")

    def number(self, name: str) -> float | None:
        """Return a number."""
        value = self._values.get(name)
        if value is None:
            return None
        if _kind(value) != "number":
            raise unmarshal_type_error(value, f"{self._struct}.{name}", "float32")
        try:
            return float(value)
        except OverflowError as error:
            raise unmarshal_type_error(value, f"{self._struct}.{name}", "float32") from error

    def mapping(self, name: str) -> Mapping[str, Any]:
        """Return an object, empty where the field is absent; its keys are in lower case."""
        value = self._values.get(name)
        if value is None:
            return {}
        if isinstance(value, dict):
            return value
        raise unmarshal_type_error(value, f"{self._struct}.{name}", "map[string]interface {}")


def _first_value(body: bytes) -> Any:
    text = body.decode("utf-8", "replace").lstrip(WHITESPACE)
    if not text:
        raise ApiError(400, f"{PREFIX}EOF")
    try:
        return _DECODER.raw_decode(text)[0]
    except json.JSONDecodeError as error:
        raise ApiError(400, PREFIX + _syntax_error(error, text)) from error
    except (ValueError, RecursionError) as error:
        raise ApiError(400, f"{PREFIX}{error}") from error


def _syntax_error(error: json.JSONDecodeError, text: str) -> str:
    rest = text[error.pos :].strip(WHITESPACE)
    if not rest or error.msg.startswith("Unterminated") or any(word.startswith(rest) for word in _LITERALS):
        return "unexpected EOF"
    return f"invalid character '{rest[0]}' ({error.msg} at byte {error.pos})"


def _as_fields(value: Any, struct: str) -> Fields:
    if value is None:
        return Fields({}, struct)
    if not isinstance(value, dict):
        raise _value_type_error(value, struct)
    return Fields(value, struct)


def _value_type_error(value: Any, go_type: str) -> ApiError:
    return ApiError(400, f"{PREFIX}json: cannot unmarshal {_kind(value)} into Go value of type {go_type}")


def _kind(value: Any) -> str:
    match value:
        case bool():
            return "bool"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def _clean(value: Any) -> Any:
    """Replace half surrogate pairs, which JSON can spell and UTF-8 cannot."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {_clean(key).lower(): _clean(value) for key, value in pairs if value is not None}


def _refuse(constant: str) -> Any:
    raise ValueError(f"invalid character '{constant[0]}' looking for beginning of value")


_LITERALS = ("true", "false", "null")
_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse)
