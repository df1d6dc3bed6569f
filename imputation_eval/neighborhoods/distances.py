"""Distances between all pairs of rows, in blocks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_Array = NDArray[np.float64]
_CENTER_ROWS = 1000
_BLOCK_ENTRIES = 2**20  # 8 MiB of distances at a time: stays near the cache, and bounds the memory at any n


def center_of(points: _Array) -> _Array:
    """Return about the median of each column, from some thousand rows.

    The median, because one far row would drag the mean away from all others, whose distances would then be lost.
    """
    return np.median(points[:: max(1, len(points) // _CENTER_ROWS)], axis=0)


def squared_distance_blocks(x: _Array, y: _Array) -> Iterator[tuple[slice, _Array, _Array]]:
    """Yield the squared Euclidean distances between all rows of two samples, a block of rows of ``x`` at a time.

    Uses ||x||^2 - 2 x.y + ||y||^2 on BLAS after centring; uncentred, that form loses all digits on data that lie far
    from the origin.

    Parameters
    ----------
    x : ndarray of shape (n, n_features)
        No entry beyond ``LARGEST_COORDINATE``.
    y : ndarray of shape (m, n_features)
        Likewise.

    Yields
    ------
    rows : slice
        The rows of `x` that the block covers.
    block : ndarray of shape (n_block, m)
        Squared distances, never negative.
    norms : ndarray of shape (n_block,)
        Squared distance of each of these rows of `x` from the centre; rounding errors are in proportion to it.
    """
    center = center_of(y)
    x, y = x - center, y - center
    x_norms, y_norms = np.einsum("ij,ij->i", x, x), np.einsum("ij,ij->i", y, y)
    n_block = max(1, _BLOCK_ENTRIES // len(y))
    for start in range(0, len(x), n_block):
        rows = slice(start, min(start + n_block, len(x)))
        block = x[rows] @ (-2 * y.T)
        block += x_norms[rows, None]
        block += y_norms
        yield rows, np.maximum(block, 0, out=block), x_norms[rows]


def mean_distance(x: _Array, y: _Array) -> float:
    """Return the mean Euclidean distance over all n x m pairs of rows."""
    total = sum(float(np.sqrt(block).sum()) for _, block, _ in squared_distance_blocks(x, y))
    return total / (len(x) * len(y))
