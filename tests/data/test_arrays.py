from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rpe.data import Numpy, Tensor, TensorDtype
from rpe.errors import DataValidationError

MATRIX = np.arange(6, dtype=np.float32).reshape(2, 3)


def test_a_tensor_is_a_read_only_view_in_row_major_order() -> None:
    mine = MATRIX.copy()
    tensor = Tensor(mine, "HW")
    assert np.shares_memory(tensor.array, mine)
    assert tensor.shape == (2, 3)
    assert tensor.dtype is TensorDtype.F32
    with pytest.raises(ValueError, match="read-only"):
        tensor.array[0, 0] = 1
    turned = Tensor(mine.T)
    assert turned.array.flags.c_contiguous
    assert turned.data == mine.T.tobytes()
    assert Tensor(np.array(1, np.int8)).shape == ()


@pytest.mark.parametrize("dtype", list(TensorDtype))
def test_a_tensor_of_bytes_shares_them(dtype: TensorDtype) -> None:
    data = bytes(range(1, 1 + 6 * dtype.numpy.itemsize))
    tensor = Tensor.from_bytes(data, (2, 3), dtype, "HW")
    assert np.shares_memory(tensor.array, np.frombuffer(data, np.uint8))
    assert (tensor.data, tensor.dtype, tensor.shape) == (data, dtype, (2, 3))


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: Tensor([1.0]), "tensor.dtype"),  # type: ignore[arg-type]
        (lambda: Tensor(MATRIX.astype(np.float64)), "tensor.dtype"),
        (lambda: Tensor(MATRIX.astype(">f4")), "tensor.dtype"),
        (lambda: Tensor(MATRIX, 5), "tensor.layout"),  # type: ignore[arg-type]
        (lambda: Tensor(MATRIX, annotations={1}), "tensor.annotations"),
        (lambda: Tensor.from_bytes(bytes(23), (2, 3), TensorDtype.F32), "tensor.data"),
        (lambda: Tensor.from_bytes(bytes(4), (), TensorDtype.U8), "tensor.data"),
        (lambda: Tensor.from_bytes(b"", (0, 1 << 63), TensorDtype.U8), "tensor.shape"),
        (lambda: Tensor.from_bytes(b"x", (1,) * 99, TensorDtype.U8), "tensor.shape"),
        (lambda: Numpy([1]), "numpy.data"),  # type: ignore[arg-type]
        (lambda: Numpy(np.array([object()])), "numpy.dtype"),
        (lambda: Numpy(np.array(["text"])), "numpy.dtype"),
        (lambda: Numpy(np.zeros(1, "f4,i4")), "numpy.dtype"),
        (lambda: Numpy(np.zeros(1, np.longdouble)), "numpy.dtype"),
    ],
)
def test_what_is_wrong_is_named(make: Any, field: str) -> None:
    with pytest.raises(DataValidationError) as caught:
        make()
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("data", "shape", "strides", "field"),
    [
        (bytes(6), (2, 3), (3,), "numpy.strides"),
        (bytes(6), (2, 3), (-3, 1), "numpy.strides"),
        (bytes(6), (2, 3), (4, 1), "numpy.data"),
        (bytes(7), (2, 3), (3, 1), "numpy.data"),
        (bytes(1), (1 << 40,), (0,), "numpy.data"),
        (bytes(1), (0,), (1,), "numpy.data"),
        (bytes(5), (2, 3), (), "numpy.data"),
        (bytes(1), (1 << 63, 1 << 63), (0, 0), "numpy.data"),
    ],
)
def test_elements_stay_within_the_data(data: bytes, shape: Any, strides: Any, field: str) -> None:
    with pytest.raises(DataValidationError) as caught:
        Numpy.from_bytes(data, shape, "uint8", strides)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "dtype",
    [
        *("", "O", "object", "V8", "f4,i4", "(2,)f4", "S5", "U3", "float128", "complex256", "f3", "M8[3xx]"),
        *("M8[0s]", "b2", "{'names':['a'],'formats':['f4']}", "<" * 1000, "a4", "p", "I4", "f4[s]"),
    ],
)
def test_a_peer_cannot_name_odd_types(dtype: str) -> None:
    with pytest.raises(DataValidationError) as caught:
        Numpy.from_bytes(bytes(8), (1,), dtype)
    assert caught.value.field == "numpy.dtype"


def test_strides_say_where_the_elements_lie() -> None:
    data = bytes(range(11))
    gaps = Numpy.from_bytes(data, (2, 3), "uint8", (6, 2))
    assert gaps.array.tolist() == [[0, 2, 4], [6, 8, 10]]
    assert np.shares_memory(gaps.array, np.frombuffer(data, np.uint8))
    assert not gaps.array.flags.writeable
    by_column = Numpy.from_bytes(bytes(range(6)), (2, 3), "uint8", order="F")
    assert by_column.array.tolist() == [[0, 2, 4], [1, 3, 5]]


def test_a_truth_value_is_0_or_1() -> None:
    assert Numpy.from_bytes(b"\0\1", (2,), "bool").array.tolist() == [False, True]
    with pytest.raises(DataValidationError):
        Numpy.from_bytes(b"\0\2", (2,), "bool")


def test_arrays_keep_their_layout_and_compare_without_it() -> None:
    turned = MATRIX.T
    data = Numpy(turned)
    assert data.array.strides == turned.strides
    assert np.shares_memory(data.array, turned)
    assert data == Numpy(np.ascontiguousarray(turned))
    assert data != Numpy(turned.astype(np.float64))
    assert data != Numpy(turned.reshape(2, 3))
    assert (data.dtype, Numpy(MATRIX.astype(">f4")).dtype) == ("float32", ">f4")
