"""Checked input: rows, weights, labels, parameters."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import _check_sample_weight, validate_data

from ..nearest import Floats
from ..targets import NUMERIC, check_label_scale, check_target_type, typed_targets
from ..validation import from_polars

_LEAST_HALF_SPAN = 1e-150


@dataclasses.dataclass(frozen=True)
class Rows:
    """Checked input of a construction.

    Parameters
    ----------
    X : ndarray of shape (n, d), float32 or float64, C order
    weights : ndarray of shape (n,), float64
        Positive.
    labels : ndarray of shape (n,), optional
        float64 when the target is numeric.
    indices : ndarray of shape (n,), int64
        Row numbers in the caller's table.
    source_dtype : numpy.dtype
        As the caller stored the table.
    target_type : {"class", "numeric"}, optional
        What the labels are; None without labels.
    label_scale : float, optional
        Units of X that a unit of a numeric target counts as; None while it is to be chosen.
    """

    X: Floats
    weights: NDArray[np.float64]
    labels: NDArray[Any] | None
    indices: NDArray[np.int64]
    source_dtype: np.dtype[Any]
    target_type: str | None = None
    label_scale: float | None = None

    def __len__(self) -> int:
        return len(self.X)

    def take(self, rows: NDArray[Any]) -> Rows:
        """Subset of the rows."""
        labels = None if self.labels is None else self.labels[rows]
        return dataclasses.replace(
            self, X=self.X[rows], weights=self.weights[rows], labels=labels, indices=self.indices[rows]
        )


def check_rows(
    estimator: BaseEstimator,
    X: ArrayLike,
    y: ArrayLike | None,
    sample_weight: ArrayLike | None,
    *,
    target_type: object = "auto",
    label_scale: object = "auto",
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
    wanted, scale = check_target_type(target_type), check_label_scale(label_scale)
    X = from_polars(X)
    checked = validate_data(estimator, X, dtype=[np.float64, np.float32], order="C")
    weights = _check_sample_weight(sample_weight, checked, dtype=np.float64, ensure_non_negative=True)
    present = np.flatnonzero(weights)
    if len(present) == 0:
        raise ValueError(f"sample_weight is zero for all {len(checked)} rows, so there is nothing to summarise")
    checked = squarable(checked, weights)
    labels, kind = (None, None) if y is None else typed_targets(y, wanted)
    if labels is not None and len(labels) != len(checked):
        raise ValueError(f"y has {len(labels)} labels, X has {len(checked)} rows")
    scale = scale if kind == NUMERIC else None
    rows = Rows(checked, weights, labels, np.arange(len(checked)), _stored_dtype(X), kind, scale)
    return rows if len(present) == len(checked) else rows.take(present)


def squarable(
    X: Floats, weights: NDArray[np.float64], name: str = "X", dtype: np.dtype[Any] | type | None = None
) -> Floats:
    """The table in a type whose weighted squared distances neither overflow nor vanish, `dtype` if it can be."""
    low, high = X.min(axis=0).astype(np.float64), X.max(axis=0).astype(np.float64)
    half_span = float((high / 2 - low / 2).max())
    with np.errstate(over="ignore"):
        mass = float(weights.sum())
    if not math.isfinite(mass * len(weights)):
        raise ValueError(f"sample_weight sums to {mass:g}, too much for a double: scale it down first")
    if half_span > math.sqrt(np.finfo(np.float64).max / (4 * X.shape[1] * max(mass, 1.0))):
        raise ValueError(
            f"{name} spans {low.min():g} to {high.max():g}: squared distances overflow, so scale it down first"
        )
    if 0 < half_span < _LEAST_HALF_SPAN:
        raise ValueError(f"{name} spans only {2 * half_span:g}: squared distances vanish, so scale it up first")
    # Beyond these, squares leave the range of float32.
    narrow = np.dtype(dtype or X.dtype) == np.float32 and 1e-12 < half_span < 1e12
    return X.astype(np.float32 if narrow else np.float64, copy=False)


def _stored_dtype(X: object) -> np.dtype[Any]:
    candidates = list(X.dtypes) if isinstance(X, pd.DataFrame) else [getattr(X, "dtype", None)]
    if all(isinstance(dtype, np.dtype) and dtype.kind in "biuf" for dtype in candidates):
        return np.result_type(*candidates)
    return np.dtype(np.float64)
