"""Energy distances between samples."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from imputation_eval.encoding import encode_pair
from imputation_eval.metrics.metric import Metric
from imputation_eval.neighborhoods import mean_distance

_Array = NDArray[np.float64]


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


def _energy_distance(x: _Array, y: _Array, *, scaled: bool = False) -> float:
    n, m = len(x), len(y)
    between, within_x, within_y = mean_distance(x, y), mean_distance(x, x), mean_distance(y, y)
    if scaled:
        return n * m / (n + m) * (2 * between - within_x - within_y)
    return 2 * between - within_x * n / (n - 1) - within_y * m / (m - 1)


ENERGY = Metric("energy", lambda x, y, rng: _energy_distance(x, y))
