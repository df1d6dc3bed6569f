"""Weighted training: sample weights go to every step that takes them."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Estimator = TypeVar("Estimator")


def fit_weighted(
    estimator: Estimator,
    X: Any,
    y: NDArray[Any] | None,
    weights: NDArray[np.float64],
) -> Estimator:
    """Fit a clone of an estimator on weighted rows.

    Parameters
    ----------
    estimator : scikit-learn estimator or Pipeline
    X : array or DataFrame of shape (n, d)
    y : ndarray of shape (n,) or None
    weights : ndarray of shape (n,)

    Returns
    -------
    estimator
        A fitted clone; the argument stays as it was.

    Raises
    ------
    TypeError
        When the final step takes no sample weights.
    """
    from sklearn.base import clone

    fitted: Any = clone(estimator)
    target = () if y is None else (y,)
    return fitted.fit(X, *target, **dict.fromkeys(_weight_keywords(fitted), weights))


def _weight_keywords(estimator: Any) -> list[str]:
    from sklearn.pipeline import Pipeline
    from sklearn.utils.validation import has_fit_parameter

    if not isinstance(estimator, Pipeline):
        if not has_fit_parameter(estimator, "sample_weight"):
            raise TypeError(f"{type(estimator).__name__}.fit takes no sample_weight, so it cannot train on a coreset")
        return ["sample_weight"]
    steps = [(name, step) for name, step in estimator.steps if step not in (None, "passthrough")]
    if not steps or not has_fit_parameter(steps[-1][1], "sample_weight"):
        raise TypeError(f"the final step of {estimator!r} takes no sample_weight, so it cannot train on a coreset")
    return [f"{name}__sample_weight" for name, step in steps if has_fit_parameter(step, "sample_weight")]
