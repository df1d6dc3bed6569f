"""Optimal-transport distances between samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from imputation_eval.encoding import encode_pair
from imputation_eval.metrics.metric import Metric
from imputation_eval.neighborhoods import squared_distance_blocks

_Array = NDArray[np.float64]
_MAX_TRANSPORT_ROWS = 2000  # exact transport takes 1.5 s at 2000 rows and grows with the cube


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


def _wasserstein(x: _Array, y: _Array) -> float:
    import ot  # here, because importing it takes long when it finds torch

    cost = np.vstack([block for _, block, _ in squared_distance_blocks(x, y)])
    uniform = [np.full(n, 1 / n) for n in cost.shape]
    # The default limit of iterations stops short of the optimum at 2000 rows.
    value: Any = ot.emd2(*uniform, cost, numItermax=10_000_000)
    return float(np.sqrt(max(value, 0.0)))


WASSERSTEIN = Metric(
    "wasserstein",
    lambda x, y, rng: _wasserstein(x, y),
    truth_is_floor=False,
    note="wasserstein between samples is above 0 even for the truth, and favours imputed values that vary too little",
    max_rows=_MAX_TRANSPORT_ROWS,
)
