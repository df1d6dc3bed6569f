"""Distances between samples column by column."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_Array = NDArray[np.float64]


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
