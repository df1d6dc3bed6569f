"""Checks of parameters, and of what a `Coreset` is made of."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable
from typing import Any, TypeGuard

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, DTypeLike, NDArray
from sklearn.utils import check_random_state

RandomState = int | np.random.RandomState | np.random.Generator | None


def as_generator(random_state: RandomState) -> np.random.Generator:
    """Turn what users pass as `random_state` into a NumPy Generator.

    Parameters
    ----------
    random_state : int, RandomState, Generator or None

    Returns
    -------
    numpy.random.Generator

    Raises
    ------
    ValueError
        When it is none of these, or negative.
    """
    if isinstance(random_state, np.random.Generator):
        return random_state
    if random_state is None:
        return np.random.default_rng()
    if isinstance(random_state, numbers.Integral):
        if random_state < 0:
            raise ValueError(f"random_state={random_state} must not be negative")
        return np.random.default_rng(int(random_state))
    return np.random.default_rng(check_random_state(random_state).randint(0, 2**31 - 1, size=4))


def check_count(name: str, value: object, least: int = 1) -> int:
    """Return `value` as an int when it is an integer of at least `least`.

    Raises
    ------
    TypeError
        When it is no integer.
    ValueError
        When it is too small.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name}={value!r} must be an integer")
    if value < least:
        raise ValueError(f"{name}={value} must be at least {least}")
    return int(value)


def check_power(power: object) -> int:
    """Return `power` if it is 1 or 2.

    Raises
    ------
    ValueError
        Otherwise.
    """
    if power not in (1, 2) or isinstance(power, bool):
        raise ValueError(f"power={power!r} must be 1 (k-median) or 2 (k-means)")
    return int(power)


def not_negative(name: str, values: ArrayLike) -> NDArray[Any]:
    """Read-only float64 copy of values that are finite and not negative.

    Raises
    ------
    ValueError
        When some are not.
    """
    array = frozen(values, np.float64)
    if not np.isfinite(array).all() or (array < 0).any():
        raise ValueError(f"{name} must be finite and not negative")
    return array


def masses(name: str, values: ArrayLike) -> NDArray[Any]:
    """Read-only float64 copy of weights: finite, not negative, and with a sum that a double holds.

    Raises
    ------
    ValueError
        When they are not.
    """
    array = not_negative(name, values)
    if float(array.max(initial=0.0)) * array.size == math.inf:  # else the sum is surely less
        finite_sum(name, array.ravel())
    return array


def finite_sum(name: str, values: Iterable[float]) -> float:
    """Sum of finite values, correctly rounded.

    Raises
    ------
    ValueError
        When it leaves a double's range.
    """
    try:
        return math.fsum(values)
    except OverflowError:
        raise ValueError(f"{name} sums to more than a double can hold: scale it down first") from None


def storable_count(name: str, value: object) -> int:
    """Return a number of rows or bytes that a message can hold.

    Raises
    ------
    TypeError
        When it is no integer.
    ValueError
        When it is negative or 2**63 or more.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name}={value!r} must be an integer")
    if not 0 <= int(value) < 2**63:
        raise ValueError(f"{name}={value} must be in 0..2**63 - 1")
    return int(value)


def frozen(array: ArrayLike, dtype: DTypeLike) -> NDArray[Any]:
    """Read-only copy in C order."""
    copy: NDArray[Any] = np.array(array, dtype=dtype, order="C")
    copy.flags.writeable = False
    return copy


def is_polars_frame(X: object) -> TypeGuard[Any]:
    """Whether X is a polars DataFrame; nothing is imported to find out."""
    return type(X).__name__ == "DataFrame" and type(X).__module__.partition(".")[0] == "polars"


def from_polars(X: Any) -> Any:
    """A polars DataFrame as one of pandas, which keeps names and types of columns; anything else as it is."""
    if not is_polars_frame(X):
        return X
    return pd.DataFrame({name: X[name].to_numpy() for name in X.columns})
