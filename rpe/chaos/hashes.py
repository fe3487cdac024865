"""One hash for what may be several pieces of data, the same from either end of a wire."""

from __future__ import annotations

from collections.abc import Mapping

from rpe.data import RuntimeData, content_hash

__all__ = ["data_hash", "joined_hash"]


def data_hash(data: Mapping[str, RuntimeData]) -> str | None:
    """Return the content hash of the only piece of data, or of several joined; None where there are none."""
    return joined_hash({name: content_hash(value) for name, value in data.items()})


def joined_hash(hashes: Mapping[str, str]) -> str | None:
    """Join content hashes by name: a single one stands for itself, whatever its name."""
    if len(hashes) <= 1:
        return next(iter(hashes.values()), None)
    return "+".join(f"{name}:{hashes[name]}" for name in sorted(hashes))
