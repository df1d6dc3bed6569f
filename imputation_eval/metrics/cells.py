"""Errors of single hidden cells, which say how well they are guessed and not whether the table is like the true one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imputation_eval.metrics.metric import Metric
from imputation_eval.metrics.samples import Sample, check_cells

_Array = NDArray[np.float64]
_SAME = 1e-6  # of the scale of a column; what single precision does to a value


def rmse(x: Sample, y: Sample) -> float:
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
    return _rmse(*check_cells(x, y))


def mae(x: Sample, y: Sample) -> float:
    """Mean distance between paired rows.

    In a ranking the rows are the hidden cells, as for :func:`~imputation_eval.rmse`. This rewards imputing the
    conditional median; the true conditional distribution, drawn from, scores worse.

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
    >>> from imputation_eval import mae
    >>> mae([0.0, 0.0], [3.0, -1.0])
    2.0
    """
    return _mae(*check_cells(x, y))


def accuracy(x: Sample, y: Sample) -> float:
    """Share of paired rows that agree, to within 1e-6.

    In a ranking the rows are the hidden cells, in the scaled space: the share that is restored. It is meant for nominal
    columns; numeric cells that are drawn hardly ever agree. This rewards imputing the most likely value, as
    :func:`~imputation_eval.rmse` rewards the conditional mean; the true conditional distribution, drawn from, scores
    worse.

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
        Between 0 and 1; **higher** is better.

    Raises
    ------
    ValueError
        If the shapes differ, or values are NaN or infinite.
    TypeError
        If one is a DataFrame and the other is not.

    Examples
    --------
    >>> from imputation_eval import accuracy
    >>> accuracy([0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 2.0, 5.0])
    0.75
    """
    return _accuracy(*check_cells(x, y))


def _rmse(x: _Array, y: _Array) -> float:
    return float(np.sqrt(((x - y) ** 2).sum(axis=1).mean()))


def _mae(x: _Array, y: _Array) -> float:
    return float(np.linalg.norm(x - y, axis=1).mean())


def _accuracy(x: _Array, y: _Array) -> float:
    return float((np.abs(x - y) <= _SAME).all(axis=1).mean())


RMSE = Metric("rmse", lambda x, y, rng: _rmse(x, y), compares="cells", note="rmse rewards the conditional mean")
MAE = Metric("mae", lambda x, y, rng: _mae(x, y), compares="cells", note="mae rewards the conditional median")
ACCURACY = Metric(
    "accuracy",
    lambda x, y, rng: _accuracy(x, y),
    compares="cells",
    lower_is_better=False,
    note="accuracy rewards the most likely value, as rmse does the conditional mean",
)
