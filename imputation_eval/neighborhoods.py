"""Nearest-neighbour sets and distance blocks; nothing else in the package computes distances between all pairs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_Array = NDArray[np.float64]
_BLOCK_ENTRIES = 2**20  # 8 MiB of distances at a time: stays near the cache, and bounds the memory at any n
_TIE_TOLERANCE = 1e-12  # some thousand times the rounding error of the product form, far below any real difference


def squared_distance_blocks(x: _Array, y: _Array) -> Iterator[tuple[slice, _Array, _Array]]:
    """Yield the squared Euclidean distances between all rows of two samples, a block of rows of ``x`` at a time.

    Uses ||x||^2 - 2 x.y + ||y||^2 on BLAS after centring; uncentred, that form loses all digits on data that lie far
    from the origin. The centre is the median of each column, because one far row would drag the mean away from all
    others, whose distances would then be lost.

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
    center = np.median(y, axis=0)
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


def nearest_neighbors(points: _Array, n_neighbors: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return the nearest other points of each point, ties broken at random.

    Points whose distances differ by rounding alone count as tied, exact duplicates among them, so the answer depends
    on the seed and not on the order of the rows.

    Parameters
    ----------
    points : ndarray of shape (n, n_features)
    n_neighbors : int
        Fewer than n.
    rng : Generator
        Decides among tied points.

    Returns
    -------
    ndarray of shape (n, n_neighbors)
        Indices, in no particular order; a point is never its own neighbour.
    """
    neighbors = np.empty((len(points), n_neighbors), dtype=np.intp)
    for rows, block, norms in squared_distance_blocks(points, points):
        block[np.arange(len(block)), np.arange(rows.start, rows.stop)] = np.inf
        neighbors[rows] = _smallest(block, n_neighbors, norms, rng)
    return neighbors


def _smallest(block: _Array, k: int, norms: _Array, rng: np.random.Generator) -> NDArray[np.intp]:
    chosen = np.argpartition(block, k - 1, axis=1)[:, :k]
    threshold = np.take_along_axis(block, chosen, axis=1).max(axis=1)
    tolerance = _TIE_TOLERANCE * (norms + threshold)
    within = np.count_nonzero(block <= (threshold + tolerance)[:, None], axis=1)
    tied = np.flatnonzero(within > k)
    if len(tied):
        low, high = (threshold - tolerance)[tied, None], (threshold + tolerance)[tied, None]
        # Closer points come first whatever was drawn, tied ones in random order, farther ones never.
        keys = rng.random((len(tied), block.shape[1]))
        distances = block[tied]
        keys[distances < low] = -1
        keys[distances > high] = 2
        chosen[tied] = np.argpartition(keys, k - 1, axis=1)[:, :k]
    return chosen
