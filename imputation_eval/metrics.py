"""Distances between samples other than the NDS, and the one shape in which the ranking calls every metric."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from imputation_eval.encoding import encode_pair
from imputation_eval.neighborhoods import mean_distance, squared_distance_blocks

_Array = NDArray[np.float64]
_MAX_TRANSPORT_ROWS = 2000  # exact transport takes 1.5 s at 2000 rows and grows with the cube


@dataclass(frozen=True)
class Metric:
    """How the ranking calls a metric and reads its value.

    Attributes
    ----------
    name : str
        What ``metrics=`` of :func:`~imputation_eval.rank_imputers` accepts.
    compute : callable (x, y, rng) -> float
        Takes two arrays of the encoded space and a generator.
    compares : {"samples", "cells"}
        ``"samples"``: `x` (n, n_features) holds true rows, `y` (m, n_features) imputed ones, of other rows.
        ``"cells"``: `x` and `y` (n_cells, width) hold the true and the imputed value of the same hidden cells.
    lower_is_better : bool
        Direction.
    truth_is_floor : bool
        Whether nothing can be expected to score better than the truth itself. True for unbiased estimates and for
        errors of cells; an estimate with a bias that depends on the candidate can favour one that is not the truth.
    note : str
        A caveat that reports repeat; may be empty.
    max_rows : int or None
        Most rows a side that `compute` takes.
    """

    name: str
    compute: Callable[[_Array, _Array, np.random.Generator], float]
    compares: Literal["samples", "cells"] = "samples"
    lower_is_better: bool = True
    truth_is_floor: bool = True
    note: str = ""
    max_rows: int | None = None


def energy_distance(x: ArrayLike | pd.DataFrame, y: ArrayLike | pd.DataFrame, *, scaled: bool = False) -> float:
    """Energy distance of two samples, in its squared form.

    E = 2 E|X - Y| - E|X - X'| - E|Y - Y'| with Euclidean distances; zero only if the distributions agree [1]_.

    Parameters
    ----------
    x : array of shape (n, n_features) or DataFrame
        Arrays are taken as they are; DataFrames are encoded by :class:`~imputation_eval.TableEncoder`, fitted on `x`.
    y : array of shape (m, n_features) or DataFrame
        The other sample.
    scaled : bool
        False: the unbiased estimate (U-statistic: means over pairs of different rows), which is 0 on average when the
        distributions agree, so that it can be negative. True: the V-statistic (each row paired with itself, too) times
        n m / (n + m), the test statistic as R's *energy* package gives it; never negative.

    Returns
    -------
    float
        In the unit of the features; lower is better. The square of ``scipy.stats.energy_distance`` is the V-statistic.

    Raises
    ------
    ValueError
        If a sample has fewer than two rows, contains NaN or infinity, or the columns differ.
    TypeError
        If one is a DataFrame and the other is not.

    References
    ----------
    .. [1] G. Székely, M. Rizzo, "Energy statistics: A class of statistics based on distances", Journal of Statistical
       Planning and Inference 143 (2013).

    Examples
    --------
    >>> from imputation_eval import energy_distance
    >>> energy_distance([0.0, 1.0], [2.0, 3.0])  # 2 * 2 - 1 - 1
    2.0
    >>> energy_distance([0.0, 1.0], [2.0, 3.0], scaled=True)  # (2 * 2 - 1/2 - 1/2) * 2 * 2 / 4
    3.0
    """
    a, b = encode_pair(x, y, ("x", "y"))
    if min(len(a), len(b)) < 2:
        raise ValueError(f"energy_distance needs at least 2 rows a side, got x with {len(a)} and y with {len(b)}.")
    return _energy_distance(a, b, scaled=scaled)


def wasserstein(x: ArrayLike | pd.DataFrame, y: ArrayLike | pd.DataFrame) -> float:
    """Exact 2-Wasserstein distance of two samples.

    W_2 = min over couplings of sqrt(E|X - Y|^2), solved as a linear program by the POT library.

    Parameters
    ----------
    x : array of shape (n, n_features) or DataFrame
        At most 2000 rows. Arrays are taken as they are; DataFrames are encoded by
        :class:`~imputation_eval.TableEncoder`, fitted on `x`.
    y : array of shape (m, n_features) or DataFrame
        The other sample, at most 2000 rows.

    Returns
    -------
    float
        In the unit of the features; lower is better. It stays above 0 also for two samples of one distribution, the
        more so the more features there are and the wider the samples scatter. A candidate that scatters too little can
        therefore come out below a second sample of the reference's own distribution.

    Raises
    ------
    ValueError
        If a sample has over 2000 rows, contains NaN or infinity, or the columns differ.
    TypeError
        If one is a DataFrame and the other is not.

    Examples
    --------
    >>> from imputation_eval import wasserstein
    >>> round(wasserstein([0.0, 1.0], [5.0, 4.0]), 6)
    4.0
    """
    a, b = encode_pair(x, y, ("x", "y"))
    if max(len(a), len(b)) > _MAX_TRANSPORT_ROWS:
        raise ValueError(
            f"wasserstein takes at most {_MAX_TRANSPORT_ROWS} rows a side, got x with {len(a)} and y with {len(b)}; "
            "pass a random subsample, or use energy_distance, which has no limit."
        )
    return _wasserstein(a, b)


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


def marginal_distance(x: _Array, y: _Array) -> float:
    """Distance between the values of one column, which says nothing of its relations with others.

    Parameters
    ----------
    x, y : ndarray of shape (n, width)
        Encoded cells, as many on both sides.

    Returns
    -------
    float
        Numeric and ordinal columns (width 1): the 1-Wasserstein distance in the scaled unit. Nominal ones (a column an
        indicator): total variation, the share of cells that would have to change their level.
    """
    if x.shape[1] > 1:  # indicators are divided by sqrt(2)
        return float(np.abs(x.mean(axis=0) - y.mean(axis=0)).sum() / np.sqrt(2))
    return float(np.abs(np.sort(x[:, 0]) - np.sort(y[:, 0])).mean())


def _energy_distance(x: _Array, y: _Array, *, scaled: bool = False) -> float:
    n, m = len(x), len(y)
    between, within_x, within_y = mean_distance(x, y), mean_distance(x, x), mean_distance(y, y)
    if scaled:
        return n * m / (n + m) * (2 * between - within_x - within_y)
    return 2 * between - within_x * n / (n - 1) - within_y * m / (m - 1)


def _wasserstein(x: _Array, y: _Array) -> float:
    import ot  # here, because importing it takes long when it finds torch

    cost = np.vstack([block for _, block, _ in squared_distance_blocks(x, y)])
    uniform = [np.full(n, 1 / n) for n in cost.shape]
    # The default limit of iterations stops short of the optimum at 2000 rows.
    value: Any = ot.emd2(*uniform, cost, numItermax=10_000_000)
    return float(np.sqrt(max(value, 0.0)))


def _rmse(x: _Array, y: _Array) -> float:
    return float(np.sqrt(((x - y) ** 2).sum(axis=1).mean()))


ENERGY = Metric("energy", lambda x, y, rng: _energy_distance(x, y))
WASSERSTEIN = Metric(
    "wasserstein",
    lambda x, y, rng: _wasserstein(x, y),
    truth_is_floor=False,
    note="wasserstein between samples is above 0 even for the truth, and favours imputed values that vary too little",
    max_rows=_MAX_TRANSPORT_ROWS,
)
RMSE = Metric("rmse", lambda x, y, rng: _rmse(x, y), compares="cells", note="rmse rewards the conditional mean")
