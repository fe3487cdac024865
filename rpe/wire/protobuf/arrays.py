"""Tensor and TensorBuffer, Numpy and NumpyBuffer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rpe.data import Numpy, Tensor, TensorDtype
from rpe.data.base import invalid
from rpe.data.json_value import dump_json, parse_json
from rpe.wire.generated.remotemedia.v1 import common_pb2
from rpe.wire.generated.remotemedia.v1.common_pb2 import DataBuffer
from rpe.wire.protobuf.labels import ANNOTATIONS, Labels

__all__ = ["decode_numpy", "decode_tensor", "encode_numpy", "encode_tensor"]

_DTYPES = {int(value): value for value in TensorDtype}


def encode_tensor(data: Tensor, buffer: DataBuffer) -> None:
    """Write the tensor into an empty buffer."""
    tensor = buffer.tensor
    tensor.data = data.data
    tensor.shape.extend(data.shape)
    tensor.dtype = common_pb2.TensorDtype.ValueType(data.dtype)
    tensor.layout = data.layout
    if data.annotations is not None:
        buffer.metadata[ANNOTATIONS] = dump_json(data.annotations, "tensor.annotations")


def decode_tensor(buffer: DataBuffer, metadata: Labels, ours: Labels) -> Tensor:
    """Read the tensor of a buffer; its elements are not copied again."""
    tensor = buffer.tensor
    dtype = _DTYPES.get(tensor.dtype)
    if dtype is None:
        raise invalid("tensor.dtype", f"{tensor.dtype} is no known type of elements")
    annotations = None
    if (text := ours.get(ANNOTATIONS)) is not None:
        annotations = parse_json(text, "tensor.annotations")
    return Tensor.from_bytes(tensor.data, tuple(tensor.shape), dtype, tensor.layout, annotations, metadata)


def encode_numpy(data: Numpy, buffer: DataBuffer) -> None:
    """Write the array into an empty buffer: in its own order, or row-major where it has gaps."""
    array = data.array
    if not array.flags.c_contiguous and not array.flags.f_contiguous:
        array = np.ascontiguousarray(array)
    by_row = array.flags.c_contiguous
    numpy = buffer.numpy
    numpy.data = array.tobytes("C" if by_row else "F")
    numpy.shape.extend(array.shape)
    numpy.dtype = data.dtype
    # Not array.strides: those of an axis of length 1 may be anything.
    numpy.strides.extend(_packed_strides(array.shape, array.itemsize, by_row))
    numpy.c_contiguous = by_row
    numpy.f_contiguous = array.flags.f_contiguous


def decode_numpy(buffer: DataBuffer, metadata: Labels, _: Labels) -> Numpy:
    """Read the array of a buffer; its elements are not copied again.

    Strides say where the elements lie. Without any, a buffer that is only
    column-major is read so, and every other row-major.
    """
    numpy = buffer.numpy
    shape = tuple(numpy.shape)
    strides: Sequence[int] = tuple(numpy.strides)
    if not strides and numpy.f_contiguous and not numpy.c_contiguous:
        return Numpy.from_bytes(numpy.data, shape, numpy.dtype, order="F", metadata=metadata)
    return Numpy.from_bytes(numpy.data, shape, numpy.dtype, strides, metadata=metadata)


def _packed_strides(shape: Sequence[int], itemsize: int, by_row: bool) -> list[int]:
    """The strides of an array without gaps."""
    strides = []
    step = itemsize
    for length in reversed(shape) if by_row else shape:
        strides.append(step)
        step *= max(length, 1)
    return strides[::-1] if by_row else strides
