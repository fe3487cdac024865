"""Which inputs are the same: a digest that two of them share only where they are equal.

`rpe.data.content_hash` asks whether an answer came from a request, and so overlooks what a wire
cannot carry. Here the same overlooking would give one speaker the answer to another, so that all
fields count: languages, labels, times, and the exact form of the numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass

import numpy as np

from rpe.data import File, RuntimeData
from rpe.transport.ports import Metadata

__all__ = ["input_key", "size_bytes"]


def input_key(inputs: Mapping[str, RuntimeData], metadata: Metadata) -> bytes | None:
    """Return the BLAKE2b digest of inputs by name, and of the metadata that goes with them.

    Metadata counts, since a server may answer by it (a tenant, a voice). None where inputs
    cannot be compared: a file is only named, and what it holds may have changed.
    """
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(inputs):
        data = inputs[name]
        if isinstance(data, File) or not is_dataclass(data):
            return None
        for part in (name.encode(), data.kind.encode(), *_parts(data)):
            # With its length before it no part can be mistaken for the end of another.
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
    digest.update(repr([(key, value) for key, value in metadata]).encode())
    return digest.digest()


def size_bytes(outputs: Mapping[str, RuntimeData]) -> int:
    """Return about how much memory outputs take: their bytes, and their labels as text."""
    total = 0
    for name, data in outputs.items():
        total += len(name)
        for field in fields(data):
            value = getattr(data, field.name)
            if isinstance(value, np.ndarray):
                total += value.nbytes
            elif isinstance(value, bytes | str):
                total += len(value)
            elif value:
                total += len(repr(value))
    return total


def _parts(data: RuntimeData) -> Iterator[bytes]:
    """Yield every field: equal ones give equal bytes, and different ones different bytes."""
    for field in fields(data):
        value = getattr(data, field.name)
        if isinstance(value, np.ndarray):
            yield f"{value.dtype.str}{value.shape}".encode()
            yield value.tobytes()
        elif isinstance(value, bytes):
            yield value
        else:
            # What else there is are numbers, texts and JSON values, whose repr tells them apart
            # (and sometimes equal ones, such as 1 and 1.0, which costs a kept answer and no more).
            yield repr(value).encode("utf-8", "surrogatepass")
