"""Kinds of data, as sets: what a node takes and gives, and what the hints of a manifest stand for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from rpe.data import RuntimeData
from rpe.manifest.nodes import DataTypeHint

__all__ = ["ALL_KINDS", "CONTROL", "Kinds", "kinds_of", "named"]

Kinds = frozenset[str]

ALL_KINDS: Kinds = frozenset(variant.kind for variant in get_args(RuntimeData))
"""Every kind of data there is."""

CONTROL: Kinds = frozenset(["control"])
"""Words about the data, which travel among it."""

_HINTS: dict[DataTypeHint, Kinds] = {hint: frozenset([hint.value]) for hint in DataTypeHint} | {
    # The hints are coarser than the data: there is none for images, and arrays share one.
    DataTypeHint.VIDEO: frozenset(["video", "image"]),
    DataTypeHint.TENSOR: frozenset(["tensor", "numpy"]),
    DataTypeHint.ANY: ALL_KINDS,
}


def kinds_of(hints: Iterable[DataTypeHint]) -> Kinds:
    """What the hints of a manifest stand for; no hint stands for anything."""
    return frozenset().union(*(_HINTS[hint] for hint in hints)) or ALL_KINDS


def named(kinds: Kinds) -> str:
    """The kinds, for people to read."""
    return "anything" if kinds >= ALL_KINDS - CONTROL else " or ".join(sorted(kinds)) or "nothing"
