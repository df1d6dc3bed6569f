"""Distances between all pairs of rows, in blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

_Array = NDArray[np.float64]
Kernel = Callable[..., Any]  # (squared distances, out=array) -> array, as NumPy's ufuncs are called
_MEDIAN_ROWS = 1000
_BLOCK_ENTRIES = 2**20  # 8 MiB of distances at a time: stays near the cache, and bounds the memory at any n


def center_of(points: _Array) -> _Array:
    """Return about the median of each column, from some thousand rows.

    The median, because one far row would drag the mean away from all others, whose distances would then be lost.
    """
    # Sorting whole columns that are contiguous takes a fraction of the time of np.median.
    ordered = np.sort(np.ascontiguousarray(points[:: max(1, len(points) // _MEDIAN_ROWS)].T), axis=1)
    n = ordered.shape[1]
    return (ordered[:, (n - 1) // 2] + ordered[:, n // 2]) / 2


def squared_distance_blocks(x: _Array, y: _Array, *, upper: bool = False) -> Iterator[tuple[slice, _Array, _Array]]:
    """Yield the squared Euclidean distances between all rows of two samples, a block of rows of ``x`` at a time.

    Uses ||x||^2 - 2 x.y + ||y||^2 on BLAS after centring; uncentred, that form loses all digits on data that lie far
    from the origin.

    Parameters
    ----------
    x : ndarray of shape (n, n_features)
        No entry beyond ``LARGEST_COORDINATE``.
    y : ndarray of shape (m, n_features)
        Likewise.
    upper : bool
        Only distances to the rows of `y` from the block's first row on: each pair once, where `x` is `y`.

    Yields
    ------
    rows : slice
        The rows of `x` that the block covers.
    block : ndarray of shape (n_block, m), or narrower if `upper`
        Squared distances, never negative.
    norms : ndarray of shape (n_block,)
        Squared distance of each of these rows of `x` from the centre; rounding errors are in proportion to it.
    """
    center = center_of(y)
    x, y = x - center, y - center
    x_norms, y_norms = np.einsum("ij,ij->i", x, x), np.einsum("ij,ij->i", y, y)
    factor = -2 * y.T
    start = 0
    while start < len(x):
        first = start if upper else 0
        rows = slice(start, min(len(x), start + max(1, _BLOCK_ENTRIES // (len(y) - first))))
        block = x[rows] @ factor[:, first:]
        block += x_norms[rows, None]
        block += y_norms[first:]
        yield rows, np.maximum(block, 0, out=block), x_norms[rows]
        start = rows.stop


def mean_over_pairs(x: _Array, y: _Array, kernel: Kernel) -> float:
    """Return the mean of ``kernel(squared distances, out=...)`` over all n x m pairs of rows."""
    total = sum(float(kernel(block, out=block).sum()) for _, block, _ in squared_distance_blocks(x, y))
    return total / (len(x) * len(y))


def mean_within(x: _Array, kernel: Kernel) -> float:
    """Return the mean of ``kernel(squared distances, out=...)`` over pairs of different rows, each computed once."""
    total = 0.0
    for _, block, _ in squared_distance_blocks(x, x, upper=True):
        kernel(block, out=block)
        square = block[:, : len(block)]
        np.fill_diagonal(square, 0)
        # Within the square each pair stands twice.
        total += float(block.sum()) - float(square.sum()) / 2
    return total / (len(x) * (len(x) - 1) / 2)


def median_distance(x: _Array, rng: np.random.Generator) -> float:
    """Return the median distance between different rows, of at most 1000 of them; never 0."""
    if len(x) > _MEDIAN_ROWS:
        x = x[rng.choice(len(x), _MEDIAN_ROWS, replace=False)]
    squared = np.vstack([block for _, block, _ in squared_distance_blocks(x, x)])[np.triu_indices(len(x), 1)]
    positive = squared[squared > 0]
    median = float(np.median(squared)) if len(squared) else 0.0
    if median == 0:  # most rows are equal
        median = float(positive.mean()) if len(positive) else 1.0
    return float(np.sqrt(median))
