"""Tables, and summaries, to rows that constructions can take: what is checked, and in which type they are read."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import _check_sample_weight, assert_all_finite, validate_data

from ..columns import check_numbers, first_not_finite, plain_columns
from ..nearest import Floats
from ..points import Coreset
from ..targets import NUMERIC, check_label_scale, check_target_type, typed_targets
from ..validation import from_polars
from .rows import Rows

_LEAST_HALF_SPAN = 1e-150


def check_rows(
    estimator: BaseEstimator,
    X: ArrayLike,
    y: ArrayLike | None,
    sample_weight: ArrayLike | None,
    *,
    target_type: object = "auto",
    label_scale: object = "auto",
    seeded: bool = False,
) -> Rows:
    """Validate a table the way scikit-learn does, and leave out rows of weight zero.

    Sets ``n_features_in_`` and ``feature_names_in_`` on the estimator.

    Parameters
    ----------
    estimator : BaseEstimator
    X : array-like of shape (n, d)
    y : array-like of shape (n,), optional
        Class labels or a numeric target.
    sample_weight : array-like of shape (n,), optional
    target_type : {"auto", "class", "numeric"}
    label_scale : "auto" or float
    seeded : bool
        Whether a large table will be sampled by its `importance`.

    Returns
    -------
    Rows

    Raises
    ------
    ValueError
        On NaN, infinity, an empty table, lengths that disagree, negative weights, weights that are all zero, values
        whose squares overflow or vanish, a continuous `y` where classes are asked for, or a bad parameter.
    TypeError
        On sparse input or labels of no usable type.
    """
    rows = check_batch(estimator, X, y, sample_weight, target_type=target_type, label_scale=label_scale, finite=False)
    if len(rows) == 0:
        raise ValueError("sample_weight is zero for all rows, so there is nothing to summarise")
    rows = rows.for_sampling(seeded)
    if _ordinary(rows):
        return rows
    _assert_finite(estimator, rows.X)
    low, high = column_range(rows.X)
    with np.errstate(over="ignore"):
        mass = float(rows.weights.sum())
    check_range(low, high, mass, len(rows))
    return dataclasses.replace(rows, X=squarable(rows.X))


def _ordinary(rows: Rows) -> bool:
    """Whether the squared distances to the mean, which constructions use, show that no value needs a closer look.

    They do what separate passes for NaN, infinity and range would do.
    """
    with np.errstate(all="ignore"):
        largest = float(rows.squares.max())
        mass = float(rows.weights.sum()) * len(rows)
    return 1e-24 < largest < 1e24 and mass * largest < 1e300


def _assert_finite(estimator: BaseEstimator, X: Floats) -> None:
    try:
        assert_all_finite(X, input_name="X")
    except ValueError as error:
        names = getattr(estimator, "feature_names_in_", None)
        where = "" if names is None else first_not_finite(pd.DataFrame(X, columns=names))
        raise ValueError(str(error).rstrip(".") + where) from error


def check_batch(
    estimator: BaseEstimator,
    X: ArrayLike,
    y: ArrayLike | None,
    sample_weight: ArrayLike | None,
    *,
    target_type: object = "auto",
    label_scale: object = "auto",
    reset: bool = True,
    finite: bool = True,
) -> Rows:
    """Like `check_rows`, for a part of a table: ranges, which are about the whole table, are left to `check_range`.

    Parameters
    ----------
    estimator : BaseEstimator
    X, y, sample_weight, target_type, label_scale : as for `check_rows`
    reset : bool, default=True
        False checks columns and their names against those that were set on the estimator, instead of setting them.
    finite : bool, default=True
        False leaves rows of positive weight unchecked for NaN and infinity.

    Returns
    -------
    Rows
        In the type that they came in. None, when all weights are zero and scikit-learn lets that pass.
    """
    wanted, scale = check_target_type(target_type), check_label_scale(label_scale)
    X = plain_columns(from_polars(X))
    check_numbers(X)
    checked = validate_data(
        estimator, X, dtype=[np.float64, np.float32], order="C", reset=reset, ensure_all_finite=False
    )
    weights = _check_sample_weight(sample_weight, checked, dtype=np.float64, ensure_non_negative=True)
    labels, kind = (None, None) if y is None else typed_targets(y, wanted)
    if labels is not None and len(labels) != len(checked):
        raise ValueError(f"y has {len(labels)} labels, X has {len(checked)} rows")
    rows = Rows(checked, weights, labels, None, _stored_dtype(X), target_type=kind)
    if kind == NUMERIC:
        rows = dataclasses.replace(rows, label_scale=scale)
    every = bool(weights.all())
    if finite or not every:
        _assert_finite(estimator, checked)
    return rows if every else rows.take(np.flatnonzero(weights))


def rows_of(coreset: Coreset) -> Rows:
    """Points of a summary as rows that have a width; those of weight zero are left out.

    Parameters
    ----------
    coreset : Coreset

    Returns
    -------
    Rows
        The variances of its widths sum to ``spread ** 2`` over the columns.

    Raises
    ------
    ValueError
        When all weights are zero, or squared distances overflow or vanish.
    """
    if not coreset.weights.any():
        raise ValueError(f"coreset has weight zero on all of its {len(coreset)} points: there is nothing to summarise")
    check_range(*column_range(coreset.points), coreset.total_weight, len(coreset))
    rows = Rows(
        coreset.points,
        coreset.weights,
        coreset.labels,
        None,
        coreset.source_dtype,
        coreset._widths(correlated=coreset.target_type == NUMERIC),
        coreset.target_type,
        coreset.label_scale,
        summarised=True,
    )
    return rows.take(np.flatnonzero(coreset.weights))


def column_range(X: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Least and largest value of every column; infinite, the wrong way round, without rows."""
    low, high = X.min(axis=0, initial=np.inf), X.max(axis=0, initial=-np.inf)
    return low.astype(np.float64), high.astype(np.float64)


def check_range(low: NDArray[np.float64], high: NDArray[np.float64], mass: float, n_rows: int, name: str = "X") -> None:
    """Raise when weighted squared distances of rows in this range, of this total weight, overflow or vanish.

    Raises
    ------
    ValueError
    """
    if not math.isfinite(mass * n_rows):
        raise ValueError(f"sample_weight sums to {mass:g}, too much for a double: scale it down first")
    half_span = float((high / 2 - low / 2).max())
    if half_span > math.sqrt(np.finfo(np.float64).max / (4 * len(low) * max(mass, 1.0))):
        raise ValueError(
            f"{name} spans {low.min():g} to {high.max():g}: squared distances overflow, so scale it down first"
        )
    if 0 < half_span < _LEAST_HALF_SPAN:
        raise ValueError(f"{name} spans only {2 * half_span:g}: squared distances vanish, so scale it up first")


def squarable(X: Floats, dtype: np.dtype[Any] | None = None) -> Floats:
    """The table in this type, or its own, but in float64 when squared distances leave the range of float32.

    In float64 too when all rows are equal.
    """
    if (dtype or X.dtype) != np.float32:
        return X
    low, high = column_range(X)
    return X.astype(np.float32 if 1e-12 < float((high / 2 - low / 2).max()) < 1e12 else np.float64, copy=False)


def _stored_dtype(X: object) -> np.dtype[Any]:
    candidates = list(X.dtypes) if isinstance(X, pd.DataFrame) else [getattr(X, "dtype", None)]
    if all(isinstance(dtype, np.dtype) and dtype.kind in "biuf" for dtype in candidates):
        return np.result_type(*candidates)
    return np.dtype(np.float64)
