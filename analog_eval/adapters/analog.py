"""Kernels whose products with inputs are somebody else's: a crossbar's, say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["AnalogKernel", "Multiply", "Orient", "exact_product"]

#: From an array of the kernel's shape to a matrix of shape (n_outputs, n_inputs).
Orient: TypeAlias = Callable[[NDArray[Any]], NDArray[Any]]
#: From inputs of shape (n_rows, n_inputs) and the way in which they meet the kernel to (n_rows, n_outputs).
Multiply: TypeAlias = Callable[[NDArray[Any], Orient], NDArray[Any]]


class AnalogKernel(np.ndarray):
    """A kernel whose matrix products are computed by a function of its own; else an array like any other.

    What counts is the whole kernel of one or two dimensions, or its transpose, in ``inputs @ kernel``, ``kernel @
    inputs`` and `numpy.dot`.  Whatever else is made of it (slices, sums, copies) is plain numbers, and so are products
    of other kinds: by the inputs' own method ``inputs.dot(kernel)``, by `numpy.einsum`, or with a kernel of one
    dimension on the left.  So code that knows nothing of it, scikit-learn's or a user's, multiplies by it.

    Examples
    --------
    >>> kernel = AnalogKernel.of(np.eye(2), lambda rows, orient: 10 * rows @ orient(np.eye(2)).T)
    >>> (np.array([[1.0, 2.0]]) @ kernel.T).tolist(), (kernel + 1.0).tolist()
    ([[10.0, 20.0]], [[2.0, 1.0], [1.0, 2.0]])
    """

    multiply: Multiply
    # The kernel that this is made of; None for a kernel itself, which would else keep its memory in a circle.
    _origin: AnalogKernel | None

    @classmethod
    def of(cls, values: NDArray[Any], multiply: Multiply) -> AnalogKernel:
        """Return `values`, on the same memory, with products by `multiply`."""
        kernel = values.view(cls)
        kernel._origin, kernel.multiply = None, multiply
        return kernel

    def __array_finalize__(self, parent: Any) -> None:
        origin = getattr(parent, "_origin", None)
        self._origin = parent if origin is None and hasattr(parent, "multiply") else origin

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if ufunc is np.matmul and method == "__call__" and not kwargs:
            product = _product(*inputs)
            if product is not None:
                return product
        if "out" in kwargs:
            kwargs["out"] = tuple(map(_plain, kwargs["out"]))
        return getattr(ufunc, method)(*map(_plain, inputs), **kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if func is np.dot and len(args) == 2 and not kwargs and all(np.ndim(a) in (1, 2) for a in args):
            return np.matmul(*args)
        return super().__array_function__(func, types, args, kwargs)

    def whole(self) -> tuple[AnalogKernel, bool] | None:
        """Return the kernel that this is all of, and whether this is its transpose; None for a part or a copy."""
        if self._origin is None:
            return (self, False) if hasattr(self, "multiply") else None
        origin = self._origin
        if _address(self) != _address(origin):
            return None
        # Looked at here: when an array is made of another, its strides are not yet final.
        if self.shape == origin.shape and self.strides == origin.strides:
            return origin, False
        flipped = self.shape == origin.shape[::-1] and self.strides == origin.strides[::-1]
        return (origin, True) if flipped else None


def exact_product(kernel: NDArray[Any]) -> Multiply:
    """Return the product with a kernel as NumPy computes it."""
    return lambda rows, orient: np.asarray(rows @ orient(kernel).T)


def _product(left: Any, right: Any) -> NDArray[Any] | None:
    """Return the product of inputs and a kernel, on either side; None where neither is a whole kernel."""
    if _is_whole(left) == _is_whole(right):
        return None
    if _is_whole(right):
        return _rows_times(left, right)
    if left.ndim == 1 or np.ndim(right) > 2:
        return None
    outputs = _rows_times(np.asarray(right).T, left.T)
    # The transpose of one vector is itself.
    return None if outputs is None else outputs.T


def _is_whole(array: Any) -> bool:
    return isinstance(array, AnalogKernel) and array.ndim in (1, 2) and array.whole() is not None


def _rows_times(inputs: Any, kernel: AnalogKernel) -> NDArray[Any] | None:
    """Return ``inputs @ kernel``; None where the shapes do not fit, so that NumPy tells so."""
    values, whole = np.asarray(inputs), kernel.whole()
    if whole is None or values.shape[-1:] != kernel.shape[:1]:
        return None
    origin, flipped = whole

    def orient(array: NDArray[Any]) -> NDArray[Any]:
        if array.ndim == 1:
            return array[None]
        return array if flipped else array.T

    outputs = origin.multiply(values.reshape(-1, values.shape[-1]), orient)
    # float32 stays float32.
    dtype = np.result_type(values, kernel)
    return outputs.reshape(*values.shape[:-1], *kernel.shape[1:]).astype(dtype, copy=False)


def _plain(array: Any) -> Any:
    return array.view(np.ndarray) if isinstance(array, AnalogKernel) else array


def _address(array: NDArray[Any]) -> int:
    return int(array.__array_interface__["data"][0])
