"""Data that is kept to be sent later: held fast, so that its caller may use his own buffers again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpe.data import Audio, Binary, Image, Json, Numpy, RuntimeData, Tensor, Text, Video

__all__ = ["held_fast", "size_bytes"]

_OVERHEAD_BYTES = 256
"""About what a chunk takes beside its content."""


def held_fast(data: RuntimeData | Mapping[str, RuntimeData]) -> RuntimeData | Mapping[str, RuntimeData]:
    """Return the data such that nobody can change it.

    Samples and tensors are views of their maker's memory, and who records sound writes into
    the same buffer over and over: they are copied, unless their memory is read-only itself.
    """
    if isinstance(data, Mapping):
        return {name: _held_fast(part) for name, part in data.items()}
    return _held_fast(data)


def size_bytes(data: RuntimeData | Mapping[str, RuntimeData]) -> int:
    """Return about how many bytes the data takes in memory."""
    if isinstance(data, Mapping):
        return sum(map(_size_bytes, data.values())) + _OVERHEAD_BYTES
    return _size_bytes(data) + _OVERHEAD_BYTES


def _held_fast(data: RuntimeData) -> RuntimeData:
    if isinstance(data, Audio):
        return data if _is_fixed(data.samples) else replace(data, samples=_copy(data.samples))
    if isinstance(data, Tensor | Numpy):
        return data if _is_fixed(data.array) else replace(data, array=_copy(data.array))
    return data


def _is_fixed(array: NDArray[Any]) -> bool:
    """Say whether the memory of an array can be written by nobody."""
    if array.flags.writeable:
        return False
    base = array.base
    while isinstance(base, np.ndarray):
        if base.flags.writeable:
            return False
        base = base.base
    return base is None or isinstance(base, bytes)


def _copy(array: NDArray[Any]) -> NDArray[Any]:
    copy = array.copy(order="K")
    copy.flags.writeable = False
    return copy


def _size_bytes(data: RuntimeData) -> int:
    match data:
        case Audio():
            return data.samples.nbytes
        case Tensor() | Numpy():
            return data.array.nbytes
        case Video():
            return len(data.pixel_data)
        case Binary() | Image():
            return len(data.data)
        case Text():
            return len(data.text)
        case Json():
            return len(data.to_text())
        case _:
            return 0
