"""Class labels: what can be one, and how those of several tables come together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_KINDS = {"b": "bool", "i": "int", "u": "int", "f": "float", "U": "str"}


def as_labels(labels: ArrayLike, name: str = "y") -> NDArray[Any]:
    """One-dimensional class labels as an array of booleans, integers, floats or strings.

    Parameters
    ----------
    labels : array-like of shape (n,)
    name : str
        What the caller calls them, for errors.

    Returns
    -------
    ndarray of shape (n,)

    Raises
    ------
    TypeError
        When the labels are of another type, or of several.
    ValueError
        When they have more than one dimension, or some are NaN or infinite.
    """
    # NumPy alone would turn a list of mixed types into strings.
    array = labels if hasattr(labels, "dtype") else np.asarray(labels, dtype=object)
    array = np.asarray(array)
    if array.dtype == object:
        array = _of_one_type(array, name)
    if array.dtype.kind not in _KINDS:
        raise TypeError(f"Unknown label type: {name} of dtype {array.dtype} is none of bool, int, float, str")
    if array.ndim != 1:
        raise ValueError(f"{name} has shape {array.shape}, expected one dimension")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"{name} contains NaN or infinity")
    return array


def _of_one_type(array: NDArray[Any], name: str) -> NDArray[Any]:
    plain = [label.item() if isinstance(label, np.generic) else label for label in array.ravel()]
    types = {type(label) for label in plain}
    if types == {int, float}:
        types = {float}
        if any(isinstance(label, int) and int(float(label)) != label for label in plain):
            raise ValueError(f"{name} mixes floats with integers that a float cannot hold")
    if len(types) != 1 or not types <= {bool, int, float, str}:
        names = sorted(kind.__name__ for kind in types)
        raise TypeError(f"Unknown label type: {name} must hold only one of bool, int, float and str, not {names}")
    made = np.array(plain).reshape(array.shape)
    if types == {int} and made.dtype.kind not in "iu":
        raise ValueError(f"{name} holds integers that 64 bits cannot hold together")
    return made


def label_kind(labels: NDArray[Any] | None) -> str:
    """What labels are, in a word: those of several tables must be of one kind to be merged."""
    return "absent" if labels is None else _KINDS[labels.dtype.kind]


def merge_labels(parts: Sequence[NDArray[Any] | None]) -> NDArray[Any] | None:
    """Labels of tables put together; None when none has labels.

    Raises
    ------
    ValueError
        When some are of one kind and some of another.
    """
    known = [part for part in parts if part is not None]
    if not known:
        return None
    kinds = sorted({_KINDS[part.dtype.kind] for part in known})
    if len(kinds) > 1:
        raise ValueError(f"labels disagree: some are {kinds[0]}, others {kinds[1]}")
    merged = np.concatenate(known)
    if kinds == ["int"] and merged.dtype.kind == "f":  # NumPy's way to mix signed and unsigned 64-bit integers
        largest = max(int(part.max()) for part in known)
        if largest > np.iinfo(np.int64).max:
            raise ValueError(f"labels of int64 and uint64 cannot be merged: {largest} fits only the latter")
        merged = np.concatenate([part.astype(np.int64) for part in known])
    return merged
