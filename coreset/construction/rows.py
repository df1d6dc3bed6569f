"""Checked input: rows, weights, labels, parameters."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import _check_sample_weight, assert_all_finite, validate_data

from ..labels import as_labels
from ..nearest import Floats, squares_about_mean

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
    indices : ndarray of shape (n,), int64, optional
        Row numbers in the caller's table; by default the positions here.
    source_dtype : numpy.dtype
        As the caller stored the table.
    """

    X: Floats
    weights: NDArray[np.float64]
    labels: NDArray[Any] | None
    indices: NDArray[np.int64] | None
    source_dtype: np.dtype[Any]

    def __len__(self) -> int:
        return len(self.X)

    def take(self, rows: NDArray[Any]) -> Rows:
        """Subset of the rows."""
        labels = None if self.labels is None else self.labels[rows]
        return Rows(self.X[rows], self.weights[rows], labels, self.numbers(rows), self.source_dtype)

    def numbers(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Numbers of these rows in the caller's table."""
        return rows if self.indices is None else self.indices[rows]

    @functools.cached_property
    def squares(self) -> NDArray[np.float64]:
        """Squared distance of every row to the weighted mean, to a thousandth of their sum."""
        return squares_about_mean(self.X, self.weights)


def check_rows(estimator: BaseEstimator, X: ArrayLike, y: ArrayLike | None, sample_weight: ArrayLike | None) -> Rows:
    """Validate a table the way scikit-learn does, and leave out rows of weight zero.

    Sets ``n_features_in_`` and ``feature_names_in_`` on the estimator.

    Parameters
    ----------
    estimator : BaseEstimator
    X : array-like of shape (n, d)
    y : array-like of shape (n,), optional
        Class labels.
    sample_weight : array-like of shape (n,), optional

    Returns
    -------
    Rows

    Raises
    ------
    ValueError
        On NaN, infinity, an empty table, lengths that disagree, negative weights, weights that are all zero, values
        whose squares overflow or vanish, or a continuous `y`.
    TypeError
        On sparse input or labels of no usable type.
    """
    checked = validate_data(estimator, X, dtype=[np.float64, np.float32], order="C", ensure_all_finite=False)
    weights = _check_sample_weight(sample_weight, checked, dtype=np.float64, ensure_non_negative=True)
    rows = Rows(checked, weights, _check_labels(y, len(checked)), None, _stored_dtype(X))
    if weights.min() == 0:
        _assert_finite(estimator, checked)
        present = np.flatnonzero(weights)
        if len(present) == 0:
            raise ValueError(f"sample_weight is zero for all {len(checked)} rows, so there is nothing to summarise")
        rows = rows.take(present)
    if _ordinary(rows):
        return rows
    _assert_finite(estimator, checked)
    return dataclasses.replace(rows, X=_squarable(rows.X, rows.weights))


def _assert_finite(estimator: BaseEstimator, X: Floats) -> None:
    assert_all_finite(X, estimator_name=type(estimator).__name__, input_name="X")


def _ordinary(rows: Rows) -> bool:
    """Whether the squared distances to the mean, which all constructions use, show that no value needs a closer look.

    They do what separate passes for NaN, infinity and range would do.
    """
    with np.errstate(all="ignore"):
        largest = float(rows.squares.max())
        mass = float(rows.weights.sum()) * len(rows)
    return 1e-24 < largest < 1e24 and mass * largest < 1e300


def _squarable(X: Floats, weights: NDArray[np.float64]) -> Floats:
    """The table in a type whose weighted squared distances neither overflow nor vanish."""
    low, high = X.min(axis=0).astype(np.float64), X.max(axis=0).astype(np.float64)
    half_span = float((high / 2 - low / 2).max())
    with np.errstate(over="ignore"):
        mass = float(weights.sum())
    if not math.isfinite(mass * len(weights)):
        raise ValueError(f"sample_weight sums to {mass:g}, too much for a double: scale it down first")
    if half_span > math.sqrt(np.finfo(np.float64).max / (4 * X.shape[1] * max(mass, 1.0))):
        raise ValueError(f"X spans {low.min():g} to {high.max():g}: squared distances overflow, so scale it down first")
    if 0 < half_span < _LEAST_HALF_SPAN:
        raise ValueError(f"X spans only {2 * half_span:g}: squared distances vanish, so scale it up first")
    # Beyond these, squares leave the range of float32.
    return X.astype(np.float64) if X.dtype == np.float32 and not 1e-12 < half_span < 1e12 else X


def _stored_dtype(X: object) -> np.dtype[Any]:
    candidates = list(X.dtypes) if isinstance(X, pd.DataFrame) else [getattr(X, "dtype", None)]
    if all(isinstance(dtype, np.dtype) and dtype.kind in "biuf" for dtype in candidates):
        return np.result_type(*candidates)
    return np.dtype(np.float64)


def _check_labels(y: ArrayLike | None, n_rows: int) -> NDArray[Any] | None:
    if y is None:
        return None
    labels = as_labels(y)
    if len(labels) != n_rows:
        raise ValueError(f"y has {len(labels)} labels, X has {n_rows} rows")
    if labels.dtype.kind == "f" and not (labels == np.round(labels)).all():
        raise ValueError(
            "y is continuous; labels are classes here. To keep a regression target in the summary, "
            "append it to X as a scaled column"
        )
    return labels
