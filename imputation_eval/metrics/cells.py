"""Errors of single hidden cells."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from imputation_eval.encoding import encode_pair
from imputation_eval.metrics.metric import Metric

_Array = NDArray[np.float64]


def rmse(x: ArrayLike | pd.DataFrame, y: ArrayLike | pd.DataFrame) -> float:
    """Root of the mean squared distance between paired rows.

    In a ranking the rows are the hidden cells, true and imputed, in the scaled space; a wrong level of a nominal column
    counts as a distance of 1. This rewards imputing the conditional mean: the true conditional distribution, drawn
    from, scores *worse* than its mean. It therefore says how well single cells are guessed, not whether the imputed
    table is like the true one.

    Parameters
    ----------
    x : array of shape (n,) or (n, width), or DataFrame
        True values. Arrays are taken as they are; DataFrames are encoded by :class:`~imputation_eval.TableEncoder`,
        fitted on `x`, and their whole rows are compared.
    y : array or DataFrame of the same shape
        Imputed values.

    Returns
    -------
    float
        In the unit of the values, or of the encoded space; lower is better, 0 is best.

    Raises
    ------
    ValueError
        If the shapes differ, or values are NaN or infinite.
    TypeError
        If one is a DataFrame and the other is not.

    Examples
    --------
    >>> from imputation_eval import rmse
    >>> rmse([0.0, 0.0], [3.0, -3.0])
    3.0
    """
    a, b = encode_pair(x, y, ("x", "y"))
    if len(a) != len(b):
        raise ValueError(f"x and y should have as many rows, got {len(a)} and {len(b)}.")
    return _rmse(a, b)


def _rmse(x: _Array, y: _Array) -> float:
    return float(np.sqrt(((x - y) ** 2).sum(axis=1).mean()))


RMSE = Metric("rmse", lambda x, y, rng: _rmse(x, y), compares="cells", note="rmse rewards the conditional mean")
