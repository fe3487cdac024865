"""From the bytes of a message to JSON values, its one long list of numbers read at once.

Messages begin with the data, and audio, video, images, tensors, arrays and bytes begin
with their list. Where such a list is in columns (`rpe.wire.json.columns`), it is cut out,
the rest goes through the JSON parser, and an array or bytes stand where the list was.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from rpe.data.base import invalid
from rpe.wire.json.columns import read_bytes, read_floats

__all__ = ["parse"]

_HEAD = re.compile(
    rb'(?:\{"(output|data)":)?\{"(data)":\{"(Audio|Video|Image|Tensor|Numpy|Binary)":'
    rb'(?:\{"(samples|pixel_data|data)":)?\['
)


def parse(payload: bytes | str, field: str) -> Any:
    """The value of a JSON text, where a list of numbers may be a float32 array, or bytes.

    Numbers may be infinite, where the text has one that is too large for a float: whoever
    takes a number looks at it. Raises DataValidationError where the text is not JSON.
    """
    try:
        text = payload.encode() if isinstance(payload, str) else payload
        head = _HEAD.match(text)
        if head is not None:
            start, end = head.end(), text.find(b"]", head.end())
            numbers = (read_floats if head[3] == b"Audio" else read_bytes)(text, start, end)
            if numbers is not None:
                document = _DECODER.decode((text[:start] + text[end:]).decode())
                _put(document, [name.decode() for name in head.groups() if name is not None], numbers)
                return document
        return _DECODER.decode(text.decode())
    except (ValueError, RecursionError) as error:
        raise invalid(field, f"is not JSON: {error}") from error


def _put(document: Any, path: list[str], numbers: Any) -> None:
    """Put the numbers where their list was; nowhere, where a later key of the same name took its place."""
    owner = document
    for name in path[:-1]:
        owner = owner.get(name) if isinstance(owner, dict) else None
    if isinstance(owner, dict) and owner.get(path[-1]) == []:
        owner[path[-1]] = numbers


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not allowed")


# No parse_float: a function of Python for each number costs more than all the rest.
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)
