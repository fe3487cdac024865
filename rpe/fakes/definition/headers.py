"""Metadata that an answer sends: checked when a definition is loaded."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence

from rpe.fakes.definition.ending import Metadata
from rpe.fakes.definition.problems import Found
from rpe.lined_yaml import Path

__all__ = ["key_wrong", "read_headers"]

_KEY = re.compile(r"[0-9a-z_.-]+")
_TEXT = re.compile(r"[ -~]*")
_RETRY = "grpc-retry-pushback-ms"
"""The one key of gRPC's own that a server may choose (gRFC A6)."""


def key_wrong(key: str) -> str | None:
    """Return why a key cannot be sent; None where it can."""
    if not _KEY.fullmatch(key):
        return "a key of metadata is made of lower case letters, digits, '_', '.' and '-'"
    if key.startswith("grpc-") and key != _RETRY:
        return f"keys that begin with grpc- are gRPC's own ({_RETRY} alone can be sent)"
    return None


def read_headers(given: Mapping[str, Sequence[str]], path: Path) -> tuple[Metadata, list[Found]]:
    """Check metadata. Returns it as it is sent, and every mistake with its path."""
    made: list[tuple[str, str | bytes]] = []
    problems: list[Found] = []
    for key, values in given.items():
        wrong = key_wrong(key)
        for value in values:
            try:
                made.append((key, _value(key, value)))
            except ValueError as error:
                wrong = wrong or str(error)
        if wrong is not None:
            problems.append(((*path, key), wrong))
    return tuple(made), problems


def _value(key: str, value: str) -> str | bytes:
    if not key.endswith("-bin"):
        if not _TEXT.fullmatch(value):
            raise ValueError(
                "values are printable ASCII; others go in base64, under a key that ends with -bin"
            )
        return value
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error:
        raise ValueError("this is not base64, which is how values of keys in -bin are written") from None
