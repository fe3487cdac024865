"""How large an answer is, as a load report counts it: the bytes of its content."""

from __future__ import annotations

from collections.abc import Mapping

from rpe.data import Audio, Binary, Image, Json, Numpy, RuntimeData, Tensor, Text, Video
from rpe.data.json_value import canonical_json

__all__ = ["size_of"]


def size_of(outputs: Mapping[str, RuntimeData]) -> int:
    """Return the bytes of the samples, pixels, texts or elements in some outputs."""
    return sum(_bytes(data) for data in outputs.values())


def _bytes(data: RuntimeData) -> int:
    match data:
        case Text():
            return len(data.text.encode())
        case Audio():
            return data.samples.nbytes
        case Binary() | Image():
            return len(data.data)
        case Video():
            return len(data.pixel_data)
        case Tensor() | Numpy():
            return data.array.nbytes
        case Json():
            return len(canonical_json(data.value).encode())
        case _:
            return 0  # files and control records only point to something, or say something
