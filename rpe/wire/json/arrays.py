"""Tensor and Numpy: their bytes as numbers, beside shape and type."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from rpe.data import Numpy, Tensor, TensorDtype
from rpe.data.base import check_str, invalid
from rpe.data.json_value import dump_json
from rpe.wire.json.columns import Piece, write_bytes
from rpe.wire.json.labels import TENSOR_LAYOUT, Labels
from rpe.wire.json.values import as_object, as_octets, as_sizes, given, required, shown

__all__ = ["decode_numpy", "decode_tensor", "encode_numpy", "encode_tensor"]

_DTYPES = {int(value): value for value in TensorDtype}


def encode_tensor(data: Tensor, labels: dict[str, str]) -> Iterator[Piece]:
    """Yield the object of the tensor."""
    if data.layout:
        labels[TENSOR_LAYOUT] = data.layout
    rest: dict[str, Any] = {"shape": data.shape, "dtype": int(data.dtype)}
    if data.annotations is not None:
        rest["metadata"] = data.annotations
    yield b'{"data":'
    yield from write_bytes(data.data)
    yield f",{dump_json(rest, 'tensor.annotations')[1:]}".encode()


def decode_tensor(value: Any, metadata: Labels, ours: Labels) -> Tensor:
    """Read the tensor of an object."""
    body = as_object(value, "tensor")
    number = required(body, "dtype", "tensor.dtype")
    dtype = _DTYPES.get(number) if type(number) is int else None
    if dtype is None:
        raise invalid("tensor.dtype", f"{shown(number)} is no known type of elements")
    return Tensor.from_bytes(
        as_octets(required(body, "data", "tensor.data"), "tensor.data"),
        as_sizes(required(body, "shape", "tensor.shape"), "tensor.shape"),
        dtype,
        ours.get(TENSOR_LAYOUT, ""),
        body.get("metadata"),
        metadata,
    )


def encode_numpy(data: Numpy, _: dict[str, str]) -> Iterator[Piece]:
    """Yield the object of the array: in its own order, or row-major where it has gaps."""
    array = data.array
    if not array.flags.c_contiguous and not array.flags.f_contiguous:
        array = np.ascontiguousarray(array)
    by_row = array.flags.c_contiguous
    shape = array.shape
    # Not array.strides: those of an axis of length 1 may be anything.
    strides = [
        array.itemsize * math.prod(shape[axis + 1 :] if by_row else shape[:axis])
        for axis in range(len(shape))
    ]
    rest = {
        "shape": shape,
        "dtype": data.dtype,
        "strides": strides,
        "c_contiguous": by_row,
        "f_contiguous": array.flags.f_contiguous,
    }
    yield b'{"data":'
    yield from write_bytes(array.tobytes("C" if by_row else "F"))
    yield f",{dump_json(rest, 'numpy')[1:]}".encode()


def decode_numpy(value: Any, metadata: Labels, _: Labels) -> Numpy:
    """Read the array of an object.

    Strides say where the elements lie. Without any, one that is only column-major is
    read so, and every other row-major.
    """
    body = as_object(value, "numpy")
    data = as_octets(required(body, "data", "numpy.data"), "numpy.data")
    shape = as_sizes(required(body, "shape", "numpy.shape"), "numpy.shape")
    strides = as_sizes(given(body, "strides", []), "numpy.strides", signed=True)
    dtype = required(body, "dtype", "numpy.dtype")
    check_str(dtype, "numpy.dtype")
    by_row, by_column = (_flag(body, name) for name in ("c_contiguous", "f_contiguous"))
    if not strides and by_column and not by_row:
        return Numpy.from_bytes(data, shape, dtype, order="F", metadata=metadata)
    return Numpy.from_bytes(data, shape, dtype, strides, metadata=metadata)


def _flag(body: dict[str, Any], name: str) -> bool:
    value = given(body, name, False)
    if not isinstance(value, bool):
        raise invalid(f"numpy.{name}", "must be true or false")
    return value
