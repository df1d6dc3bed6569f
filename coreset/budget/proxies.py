"""Bounds and proxies that stand for the error of k points, from one look at the rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..nearest import Floats, squared_distances_to

_Numbers = NDArray[np.float64]
# Rows that are looked at, fewer in wide tables.
_MOST_VALUES = 1 << 22
_MOST_ROWS, _LEAST_ROWS = 8192, 64
_MOST_DIMENSIONS = 1024


def rows_to_look_at(n_rows: int, n_features: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Some rows of a table, all of a small one."""
    wanted = min(_MOST_ROWS, max(_LEAST_ROWS, _MOST_VALUES // n_features))
    return np.arange(n_rows) if wanted >= n_rows else np.sort(rng.permutation(n_rows)[:wanted])


def eigenvalue_errors(X: Floats, weights: _Numbers, numbers: NDArray[np.int64]) -> _Numbers:
    """What Ding and He's bound leaves of the mean squared distance to k centres, its root, for several k.

    ``sum_{i=k}^{2k-1} lambda_i`` of the eigenvalues of the centred scatter matrix, largest first; zero beyond its rank.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    weights : ndarray of shape (n,)
    numbers : ndarray of int
        Values of k.

    Returns
    -------
    ndarray
        As many values.

    References
    ----------
    Ding and He, "K-means Clustering via Principal Component Analysis", ICML 2004; Lu et al., arXiv 2204.06652.
    """
    masses = weights / weights.sum()
    centred = (X - masses @ X) * np.sqrt(masses)[:, None]
    if min(centred.shape) > _MOST_DIMENSIONS and len(centred) > _MOST_DIMENSIONS:
        centred = centred[:: -(-len(centred) // _MOST_DIMENSIONS)]
        centred *= np.sqrt(len(X) / len(centred))
    scatter = centred @ centred.T if centred.shape[0] < centred.shape[1] else centred.T @ centred
    values = np.maximum(np.linalg.eigvalsh(scatter)[::-1], 0.0)
    values[values < 1e-12 * (values[0] or 1.0)] = 0.0
    sums = np.concatenate([[0.0], np.cumsum(values)])
    first, last = (np.minimum(end, len(values)) for end in (numbers - 1, 2 * numbers - 1))
    return np.sqrt(np.maximum(sums[last] - sums[first], 0.0) * (last > first))


def traversal_distances(X: Floats, n_points: int, quantile: float) -> _Numbers:
    """Quantile of the rows' distances to the nearest of the first k rows of a farthest-first traversal, for each k.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    n_points : int
        The largest k.
    quantile : float
        1 for the radius, the largest distance.

    Returns
    -------
    ndarray of shape (at most n_points,)
        Shorter where distances have become zero.
    """
    squared = squared_distances_to(X, X[0].astype(np.float64))
    found = []
    for _ in range(n_points):
        found.append(float(squared.max() if quantile == 1 else np.quantile(squared, quantile)))
        if not squared.any():
            break
        np.minimum(squared, squared_distances_to(X, X[int(squared.argmax())].astype(np.float64)), out=squared)
    return np.sqrt(found)


def extrapolated(distances: _Numbers, numbers: NDArray[np.int64]) -> _Numbers:
    """Values for k = 1, 2, ... read off at several k; beyond the last one by the power law of the last half.

    Parameters
    ----------
    distances : ndarray of shape (m,)
    numbers : ndarray of int

    Returns
    -------
    ndarray
    """
    last = len(distances)
    inside = distances[np.minimum(numbers, last) - 1]
    half = max(1, last // 2)
    if last < 2 or distances[-1] <= 0:
        return inside
    slope = min(np.log(distances[-1] / distances[half - 1]) / np.log(last / half), 0.0)
    beyond: _Numbers = inside * (np.maximum(numbers, last) / last) ** slope
    return beyond
