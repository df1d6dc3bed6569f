"""Numeric targets in a construction: one more, scaled coordinate while cells are cut, a label afterwards."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from ..nearest import Floats, squares_about_mean, weighted_mean
from ..points import Coreset
from ..targets import NUMERIC
from .checking import check_range, column_range, squarable
from .rows import Rows

# Standard deviation of the scaled target over the root mean square of those of X's columns.
_AUTO_SHARE = 0.1


def auto_label_scale(
    X: Floats, y: NDArray[np.float64], weights: NDArray[np.float64], share: float = _AUTO_SHARE
) -> float:
    """Scale with which the target deviates a tenth as much as the columns do on average.

    The target's weighted standard deviation becomes `share` times the root mean square of those of the columns,
    or one where all columns are constant; a constant target is not scaled.

    The tenth is this project's own choice. Cells that are cut along the target as well keep its noise apart: centres
    then regress with too steep a slope. Measured by ``benchmarks/targets.py`` as R2 of linear regression on 500 centres
    of 10,000 rows (five features, noisy line; all rows 0.526): 0.526, 0.520, 0.469, 0.338 with shares of 0.1, 0.25, 0.5
    and 1; on 75 centres of 300 rows of diabetes (all rows 0.405) 0.391, 0.391, 0.391, 0.360. Forests on centres gain
    some hundredths from larger shares; on the scatter, which has the slopes of all rows, nothing does.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    y : ndarray of shape (n,)
    weights : ndarray of shape (n,)
        Positive.
    share : float

    Returns
    -------
    float
        In units of X per unit of the target.

    Raises
    ------
    ValueError
        When there is no such scale in a double's range.
    """
    masses = weights / weights.sum()
    deviations = y - _origin(y, weights)
    largest = float(np.abs(deviations).max())
    if largest == 0:
        return 1.0
    deviation = largest * math.sqrt(masses @ (deviations / largest) ** 2)
    width = math.sqrt(float(masses @ squares_about_mean(X, weights)) / X.shape[1])
    with np.errstate(all="ignore"):
        scale = float(np.float64(share * width if width > 0 else 1.0) / deviation)
    if not 0 < scale < math.inf:
        raise ValueError(f"y spans {y.min():g} to {y.max():g}: label_scale='auto' finds no scale, so scale y first")
    return scale


def _origin(y: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """The weighted mean, and exactly the value of a constant target."""
    if max(-float(y.min()), float(y.max())) > np.finfo(np.float64).max / 4:
        raise ValueError(f"y spans {y.min():g} to {y.max():g}, too wide for a double's range")
    return float(weighted_mean(y[:, None], weights / weights.sum())[0])


def with_scale(rows: Rows, share: float = _AUTO_SHARE) -> Rows:
    """Rows whose numeric target has a scale: the one given, or the automatic one for this share."""
    if rows.label_scale is not None:
        return rows
    return dataclasses.replace(rows, label_scale=auto_label_scale(rows.X, _targets_of(rows), rows.weights, share))


def _targets_of(rows: Rows) -> NDArray[np.float64]:
    """The numeric target of rows that have one."""
    return np.asarray(rows.labels, dtype=np.float64)


def joint_rows(rows: Rows) -> Rows:
    """Rows with the target, from its mean and scaled, as the last column of X.

    Raises
    ------
    ValueError
        When squared distances overflow or vanish with this scale.
    """
    rows = with_scale(rows)
    y = _targets_of(rows)
    with np.errstate(over="ignore"):
        joint = with_target_column(rows.X, y, rows)
    if not np.isfinite(joint).all():
        raise ValueError(f"label_scale={rows.label_scale:g} times y, {y.min():g} to {y.max():g}, overflows")
    low, high = column_range(joint)
    check_range(low, high, float(rows.weights.sum()), len(rows), "[X, label_scale * y]")
    return dataclasses.replace(rows, X=squarable(joint, rows.X.dtype))


def with_target_column(X: Floats, y: NDArray[np.float64], rows: Rows) -> NDArray[np.float64]:
    """X and, as its last column, y from the mean of the rows' target and scaled like it."""
    scale = 1.0 if rows.label_scale is None else rows.label_scale
    return np.column_stack([X.astype(np.float64), scale * (y - _origin(_targets_of(rows), rows.weights))])


def target_settings(base: BaseEstimator | None) -> dict[str, Any]:
    """The `target_type` and `label_scale` of an estimator, "auto" where it has none."""
    return {name: getattr(base, name, "auto") for name in ("target_type", "label_scale")}


def without_target(coreset: Coreset, rows: Rows) -> Coreset:
    """A summary of `joint_rows` with the target as its labels instead of its last column.

    Points that are rows get the rows' own targets. Cells have theirs already.

    Parameters
    ----------
    coreset : Coreset
    rows : Rows
        Without that column, with a scale, in the caller's order.

    Returns
    -------
    Coreset

    Raises
    ------
    TypeError
        When the points are neither.
    """
    if coreset.target_type == NUMERIC:
        return coreset
    if coreset.sample_indices is None:
        raise TypeError("this construction neither picks rows nor keeps a numeric target")
    picked = np.searchsorted(rows.numbers(np.arange(len(rows))), coreset.sample_indices)
    return dataclasses.replace(
        coreset,
        points=coreset.points[:, : rows.X.shape[1]],
        labels=_targets_of(rows)[picked],
        target_type=NUMERIC,
        label_scale=rows.label_scale,
    )
