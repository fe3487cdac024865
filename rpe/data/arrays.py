"""Tensors and NumPy arrays."""

from __future__ import annotations

import enum
import functools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from rpe.data.base import EMPTY, Payload, as_labels, assign, check_str, invalid, readonly
from rpe.data.json_value import check_json

__all__ = ["Numpy", "Tensor", "TensorDtype"]


class TensorDtype(enum.IntEnum):
    """The element type of a tensor; the numbers are those of the wire."""

    F32 = 1
    F16 = 2
    I32 = 3
    I8 = 4
    U8 = 5

    @property
    def numpy(self) -> np.dtype[Any]:
        """The same type in NumPy's words."""
        return _TO_NUMPY[self]


_TO_NUMPY: dict[int, np.dtype[Any]] = {
    TensorDtype.F32: np.dtype("<f4"),
    TensorDtype.F16: np.dtype("<f2"),
    TensorDtype.I32: np.dtype("<i4"),
    TensorDtype.I8: np.dtype("i1"),
    TensorDtype.U8: np.dtype("u1"),
}
_FROM_NUMPY = {dtype: TensorDtype(number) for number, dtype in _TO_NUMPY.items()}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Tensor(Payload):
    """A dense tensor in row-major order.

    array: of float32, float16, int32, int8 or uint8; kept as a read-only view where it is
        row-major already, copied into that order where it is not.
    layout: what the axes mean, such as "NCHW"; empty when it is not said.
    annotations: any JSON value that belongs to the tensor.

    Raises DataValidationError where a part is not what it should be.
    """

    kind: ClassVar[str] = "tensor"

    array: NDArray[Any]
    layout: str = ""
    annotations: Any = None
    metadata: Mapping[str, str] = EMPTY

    def __post_init__(self) -> None:
        array: Any = self.array
        if not isinstance(array, np.ndarray) or array.dtype not in _FROM_NUMPY:
            what = getattr(array, "dtype", type(array).__name__)
            raise invalid("tensor.dtype", f"must be float32, float16, int32, int8 or uint8, not {what}")
        if array.flags.writeable or not array.flags.c_contiguous:
            # ascontiguousarray would make one dimension of none
            assign(self, "array", readonly(np.asarray(array, order="C")))
        check_str(self.layout, "tensor.layout")
        if self.annotations is not None:
            check_json(self.annotations, "tensor.annotations")
        if self.metadata is not EMPTY:
            assign(self, "metadata", as_labels(self.metadata, "tensor.metadata"))

    @classmethod
    def from_bytes(
        cls,
        data: bytes,
        shape: Sequence[int],
        dtype: TensorDtype,
        layout: str = "",
        annotations: Any = None,
        metadata: Mapping[str, str] = EMPTY,
    ) -> Tensor:
        """The tensor whose elements are `data`, row-major and little-endian; it keeps `data` uncopied."""
        array = _array_from_bytes(data, dtype.numpy, shape, (), "tensor")
        return cls(array, layout, annotations, metadata)

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self.array.shape

    @property
    def dtype(self) -> TensorDtype:
        """The type of the elements."""
        return _FROM_NUMPY[self.array.dtype]

    @property
    def data(self) -> bytes:
        """The elements, row-major and little-endian; a copy."""
        return self.array.tobytes()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Numpy(Payload):
    """A NumPy array of numbers, truth values or times.

    array: kept as a read-only view, whatever its memory layout. Two of them are equal
        when dtype, shape and elements are, whatever their layouts.

    Raises DataValidationError for elements with no portable form: objects, records,
    text (carry it as Text or Json), and long doubles.
    """

    kind: ClassVar[str] = "numpy"

    array: NDArray[Any]
    metadata: Mapping[str, str] = EMPTY

    def __post_init__(self) -> None:
        if not isinstance(self.array, np.ndarray):
            raise invalid("numpy.data", f"must be an array, not {type(self.array).__name__}")
        if not _is_portable(self.array.dtype):
            raise invalid("numpy.dtype", f"{self.array.dtype} has no portable form")
        if self.array.flags.writeable:
            assign(self, "array", readonly(self.array))
        if self.metadata is not EMPTY:
            assign(self, "metadata", as_labels(self.metadata, "numpy.metadata"))

    @classmethod
    def from_bytes(
        cls,
        data: bytes,
        shape: Sequence[int],
        dtype: str,
        strides: Sequence[int] = (),
        order: Literal["C", "F"] = "C",
        metadata: Mapping[str, str] = EMPTY,
    ) -> Numpy:
        """The array that lies in `data`; it keeps `data` uncopied.

        dtype: NumPy's name of the element type, such as "float32" or ">i2".
        strides: bytes from one element to the next along each axis.
        order: without strides, row-major (C) or column-major (F).
        """
        element = _element_type(dtype)
        return cls(_array_from_bytes(data, element, shape, strides, "numpy", order), metadata)

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self.array.shape

    @property
    def dtype(self) -> str:
        """NumPy's name of the element type; with a mark where its byte order is not this machine's."""
        dtype = self.array.dtype
        return dtype.name if dtype.isnative else dtype.str


# Only such names are given to NumPy: it also reads records, sub-arrays and Python literals.
_NUMBER_TYPE = re.compile(
    r"(bool|u?int(8|16|32|64)|float(16|32|64)|complex(64|128)|(datetime|timedelta)64|[<>=|]?([iufcmMb]\d+|\?))"
    r"(\[([1-9]\d{0,8})?[A-Za-z]{1,2}\])?",
    re.ASCII,
)


@functools.lru_cache(maxsize=128)
def _element_type(name: str) -> np.dtype[Any]:
    """The element type of that name; raises DataValidationError where it is unknown or not portable."""
    try:
        if _NUMBER_TYPE.fullmatch(name) and _is_portable(dtype := np.dtype(name)):
            return dtype
    except (TypeError, ValueError) as error:
        raise invalid("numpy.dtype", f"{name[:40]!r} is no element type of NumPy") from error
    raise invalid("numpy.dtype", f"{name[:40]!r} is no type of portable numbers")


def _is_portable(dtype: np.dtype[Any]) -> bool:
    """Whether the bytes of such an element mean the same on every machine."""
    return dtype.kind in "biufcmM" and dtype.itemsize <= (16 if dtype.kind == "c" else 8)


def _array_from_bytes(
    data: bytes,
    dtype: np.dtype[Any],
    shape: Sequence[int],
    strides: Sequence[int],
    kind: str,
    order: Literal["C", "F"] = "C",
) -> NDArray[Any]:
    """A read-only array over `data`, nothing copied.

    Raises DataValidationError where shape or strides do not fit the data: the elements
    must not be more than the data has, and the last of them must end where it ends.
    """
    count = math.prod(shape)
    size = count * dtype.itemsize
    if strides and len(strides) != len(shape):
        raise invalid(f"{kind}.strides", f"{len(strides)} strides for {len(shape)} axes")
    if min(strides, default=0) < 0:
        raise invalid(f"{kind}.strides", f"{list(strides)} lead out of the data")
    if strides and count:
        extent = dtype.itemsize + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    else:
        extent = size
    if size > len(data) or extent != len(data):
        raise invalid(
            f"{kind}.data",
            f"a shape of {list(shape)} takes {max(size, extent)} bytes of {dtype}, not {len(data)}",
        )
    try:
        if not count:
            array: NDArray[Any] = np.empty(shape, dtype)
        elif strides:
            array = np.ndarray(tuple(shape), dtype, data, strides=tuple(strides))
        else:
            array = np.frombuffer(data, dtype).reshape(shape, order=order)
    except (ValueError, OverflowError) as error:
        raise invalid(f"{kind}.shape", f"is not a shape of arrays: {error}") from error
    if dtype.kind == "b" and count and array.view(np.uint8).max() > 1:
        raise invalid(f"{kind}.data", "a truth value is neither 0 nor 1")
    return readonly(array)
