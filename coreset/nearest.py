"""Blocked nearest-centre kernels on BLAS; nothing else in the package computes n x k distances."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

# A block of the n x k product stays in the last-level cache: about 2 MiB.
_BLOCK_VALUES = 1 << 18


def row_blocks(n_rows: int, n_columns: int) -> Iterator[slice]:
    """Cut `n_rows` into slices whose product with `n_columns` centres fits the cache.

    Parameters
    ----------
    n_rows : int
        Rows to cut.
    n_columns : int
        Values that one row needs in the block.

    Yields
    ------
    slice
        Consecutive, in order, covering every row once.
    """
    step = max(16, min(8192, _BLOCK_VALUES // max(1, n_columns)))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def nearest(X: Floats, centers: Floats) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Nearest centre of every row, and the squared distance to it.

    The search uses the expanded form ``x.c - |c|^2 / 2`` in the rows' type, after moving the origin to the median of
    the centres: without centring it loses all digits on data far from the origin, and a mean would follow a single far
    centre. The distance to the centre that was found is then computed directly in float64, so that it is exact to
    rounding even where the search was not.

    Parameters
    ----------
    X : ndarray of shape (n, d), float32 or float64
    centers : ndarray of shape (k, d)

    Returns
    -------
    index : ndarray of shape (n,), intp
        Of equal centres the first.
    squared_distance : ndarray of shape (n,), float64
    """
    origin = np.median(centers, axis=0)
    shifted = (centers - origin).astype(X.dtype)
    half_norms = 0.5 * np.einsum("ij,ij->i", shifted, shifted)
    index = np.empty(len(X), dtype=np.intp)
    squared = np.empty(len(X), dtype=np.float64)
    for rows in row_blocks(len(X), max(len(centers), X.shape[1])):
        block = (X[rows] - origin).astype(X.dtype, copy=False)
        scores = block @ shifted.T
        scores -= half_norms
        index[rows] = scores.argmax(axis=1)
        gap = X[rows] - centers[index[rows]]
        squared[rows] = np.einsum("ij,ij->i", gap, gap)
    return index, squared


def squared_distances_to(X: Floats, targets: Floats) -> NDArray[np.float64]:
    """Squared distance of every row to its own target row, or to one target.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    targets : ndarray of shape (n, d) or (d,)

    Returns
    -------
    ndarray of shape (n,), float64
    """
    squared = np.empty(len(X), dtype=np.float64)
    for rows in row_blocks(len(X), X.shape[1]):
        gap = X[rows] - (targets if targets.ndim == 1 else targets[rows])
        squared[rows] = np.einsum("ij,ij->i", gap, gap)
    return squared


def clustering_cost(X: Floats, centers: Floats, weights: NDArray[np.float64] | None = None, *, power: int = 2) -> float:
    """Weighted sum of distances to the nearest centre, each to the given power.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    centers : ndarray of shape (k, d)
    weights : ndarray of shape (n,), optional
        One each by default.
    power : {1, 2}
        2 is the k-means cost, 1 the k-median cost.

    Returns
    -------
    float
    """
    squared = nearest(X, centers)[1]
    distances = squared if power == 2 else np.sqrt(squared)
    return float(distances.sum() if weights is None else weights @ distances)
