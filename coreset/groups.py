"""Groups of cells: the fields of a `Coreset` that say how wide its cells are, and in which directions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .validation import frozen, not_negative


def checked_group_fields(
    groups: ArrayLike | None,
    variances: ArrayLike | None,
    slopes: ArrayLike | None,
    covariance: ArrayLike | None,
    n_features: int,
    *,
    numeric: bool,
) -> dict[str, Any]:
    """The fields of a `Coreset` about the insides of its cells, checked; absent ones left out.

    Parameters
    ----------
    groups : array-like of int of shape (n_points,), optional
    variances, slopes : array-like of shape (n_groups, n_features), optional
    covariance : array-like of shape (n_features, n_features), or one more column with a numeric target, optional
    n_features : int
    numeric : bool
        Whether the labels are a numeric target, without which there are no slopes.

    Returns
    -------
    dict
        With ``groups``, ``group_variances``, ``group_slopes`` and ``within_covariance``.

    Raises
    ------
    ValueError
        When they do not fit together, or a value is not finite or a variance negative.
    """
    fields = {} if covariance is None else {"within_covariance": _checked_covariance(covariance, n_features, numeric)}
    if (groups is None) != (variances is None):
        raise ValueError("groups and group_variances come together: one is given, the other is None")
    if groups is None or variances is None:
        if slopes is not None:
            raise ValueError("group_slopes needs a numeric target, groups and group_variances")
        return fields
    fields |= {"groups": frozen(groups, np.int64), "group_variances": not_negative("group_variances", variances)}
    shape = fields["group_variances"].shape
    if len(shape) != 2 or shape[1] != n_features:
        raise ValueError(f"group_variances has shape {shape}, points has {n_features} columns")
    if fields["groups"].size and not 0 <= fields["groups"].min() <= fields["groups"].max() < shape[0]:
        raise ValueError(f"groups must be in 0..{shape[0] - 1}, the rows of group_variances")
    if slopes is not None:
        fields["group_slopes"] = frozen(slopes, np.float64)
        if not numeric:
            raise ValueError("group_slopes needs a numeric target, groups and group_variances")
        if fields["group_slopes"].shape != shape or not np.isfinite(fields["group_slopes"]).all():
            raise ValueError(
                "group_slopes must be finite and like group_variances: "
                f"its shape is {fields['group_slopes'].shape}, group_variances {shape}"
            )
    return fields


def _checked_covariance(covariance: ArrayLike, n_features: int, numeric: bool) -> NDArray[np.float64]:
    checked = frozen(covariance, np.float64)
    wanted = (n_features, n_features + numeric)
    if checked.shape != wanted:
        raise ValueError(f"within_covariance has shape {checked.shape}, expected {wanted}")
    square = checked[:, :n_features]
    # Variances below the least normal number are rounded, or zero, where their square roots would not be.
    deviations = np.sqrt(np.maximum(np.diag(checked), 0.0) + np.finfo(np.float64).tiny)
    tolerance = 1e-4 * np.outer(deviations, deviations)
    alike = (np.abs(square - square.T) <= tolerance).all()
    bounded = (np.abs(square) <= np.outer(deviations, deviations) + tolerance).all()
    if not (np.isfinite(checked).all() and alike and bounded):
        raise ValueError("within_covariance must be finite, symmetric, and nowhere above what its diagonal allows")
    return checked
