"""Blocked passes over rows: nearest centres, distances, means; nothing else computes n x k distances."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

# Values in a block of rows, or in a quarter of its n x k product: 256 KiB of float32, so that both stay in the cache.
_BLOCK_VALUES = 1 << 16
# Rows of a tile of pairs: products of two stay in the cache, and wide rows still fill the units that multiply.
_TILE_ROWS = 384


def row_blocks(n_rows: int, n_columns: int) -> Iterator[slice]:
    """Cut `n_rows` into slices of which each fits the cache.

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


def blocks(X: Floats, rows: NDArray[np.intp] | None = None, *, n_columns: int = 0) -> Iterator[tuple[slice, Floats]]:
    """Read a table, or some of its rows, block by block.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    rows : ndarray of shape (m,), intp, optional
        All by default.
    n_columns : int
        Values that one row needs in the block, where that is more than d.

    Yields
    ------
    positions : slice
        Of the block among the rows that are read.
    block : ndarray of shape (positions.stop - positions.start, d)
        A view; with `rows` a copy, overwritten by the next.
    """
    count = len(X) if rows is None else len(rows)
    buffer: Floats | None = None
    for positions in row_blocks(count, max(X.shape[1], n_columns)):
        if rows is None:
            yield positions, X[positions]
        else:
            if buffer is None:
                buffer = np.empty((positions.stop, X.shape[1]), dtype=X.dtype)
            yield positions, take(X, rows[positions], buffer)


def take(X: Floats, index: NDArray[np.intp], buffer: Floats) -> Floats:
    """``X[index]`` written to the first rows of a buffer, which spares new memory."""
    return np.take(X, index, axis=0, out=buffer[: len(index)], mode="clip")


def nearest(
    X: Floats, centers: Floats, rows: NDArray[np.intp] | None = None
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Nearest centre of every row, and the squared distance to it.

    The search uses the expanded form ``x.c - |c|^2 / 2`` in the rows' type, after moving the origin to the median of
    the centres: without centring it loses all digits on data far from the origin, and a mean would follow a single far
    centre. The distance to the centre that was found is then computed directly, in the rows' type, so that it keeps its
    digits even where the search did not.

    Parameters
    ----------
    X : ndarray of shape (n, d), float32 or float64
    centers : ndarray of shape (k, d)
    rows : ndarray of shape (m,), intp, optional
        Rows to look at; all by default.

    Returns
    -------
    index : ndarray of shape (m,), intp
        Of equal centres the first.
    squared_distance : ndarray of shape (m,), float64
    """
    gaps = Gaps(centers, X.dtype)
    count = len(X) if rows is None else len(rows)
    index, squared = np.empty(count, dtype=np.intp), np.empty(count)
    for positions, block, found in _assigned_blocks(X, centers, rows):
        index[positions] = found
        squared[positions] = squared_norms(gaps(block, found))
    return index, squared


def nearest_index(X: Floats, centers: Floats, rows: NDArray[np.intp] | None = None) -> NDArray[np.intp]:
    """Like `nearest`, without the distances."""
    index = np.empty(len(X) if rows is None else len(rows), dtype=np.intp)
    for positions, _, found in _assigned_blocks(X, centers, rows):
        index[positions] = found
    return index


def _assigned_blocks(
    X: Floats, centers: Floats, rows: NDArray[np.intp] | None
) -> Iterator[tuple[slice, Floats, NDArray[np.intp]]]:
    """Blocks of rows with their positions, and the nearest centre of each row."""
    k, d = centers.shape
    origin = _middle(centers).astype(X.dtype)
    shifted = (centers - origin).astype(X.dtype)
    # A last coordinate, one in every row, brings the norms into the product.
    factors = np.concatenate([shifted.T, -0.5 * np.einsum("ij,ij->i", shifted, shifted)[None]])
    step = next(row_blocks(len(X) if rows is None else len(rows), max(d, k // 4)), slice(0, 0)).stop
    buffer, scores = np.ones((step, d + 1), dtype=X.dtype), np.empty((step, k), dtype=X.dtype)
    for positions, block in blocks(X, rows, n_columns=k // 4):
        count = len(block)
        np.subtract(block, origin, out=buffer[:count, :d])
        yield positions, block, np.matmul(buffer[:count], factors, out=scores[:count]).argmax(axis=1)


def _middle(centers: Floats) -> Floats:
    """Median of each column over some 16 centres: one of few that lie far from the others does not move it."""
    some = centers[:: 1 + len(centers) // 16]
    middle: Floats = np.partition(some, len(some) // 2, axis=0)[len(some) // 2]
    return middle


class Gaps:
    """Differences between rows and the centres they belong to, in the rows' type without losing its precision.

    Far from zero, float32 centres would be off by as much as a step between the numbers there; where that matters, what
    the rounding lost is subtracted too.

    Parameters
    ----------
    centers : ndarray of shape (k, d)
    dtype : numpy.dtype
        Of the rows.
    """

    def __init__(self, centers: Floats, dtype: np.dtype[Any]) -> None:
        self._high = centers.astype(dtype, copy=False)
        low = (centers - self._high).astype(dtype)
        lost = np.abs(low).max()
        self._low = low if lost > 0 and lost > 1e-5 * np.abs(centers - _middle(centers)).mean() else None
        self._buffers: list[Floats] = []

    def __call__(self, block: Floats, index: NDArray[np.intp]) -> Floats:
        """``block - centers[index]``, overwritten by the next call.

        Parameters
        ----------
        block : ndarray of shape (b, d)
            Of no more rows than the first.
        index : ndarray of shape (b,), intp

        Returns
        -------
        ndarray of shape (b, d)
        """
        if not self._buffers:
            self._buffers = [np.empty_like(block) for _ in range(1 if self._low is None else 2)]
        gap = take(self._high, index, self._buffers[0])
        np.subtract(block, gap, out=gap)
        return gap if self._low is None else np.subtract(gap, take(self._low, index, self._buffers[1]), out=gap)


def squared_norms(gap: Floats) -> Floats:
    """Sum of the squares of each row; the squares stay in `gap`."""
    np.multiply(gap, gap, out=gap)
    return gap @ np.ones(gap.shape[1], dtype=gap.dtype)


def _minus(block: Floats, tiled: Floats, buffer: Floats) -> Floats:
    """Rows minus one row, given tiled: flat operands make one long loop instead of one short loop a row."""
    flat = block.reshape(-1)
    return np.subtract(flat, tiled[: len(flat)], out=buffer.reshape(-1)[: len(flat)]).reshape(block.shape)


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


def squares_about_mean(X: Floats, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared distance of every row to the weighted mean, mostly from one pass over the rows, in their own type.

    A sample's mean serves if the pass shows that it makes their sum at most a thousandth too large.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    weights : ndarray of shape (n,)
        Not negative, with a positive sum.

    Returns
    -------
    ndarray of shape (n,), float64
    """
    return squares_and_closest(X, weights, None)[0]


def squares_and_closest(
    X: Floats, weights: NDArray[np.float64], seeds: Floats | None
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """`squares_about_mean` and, from the same pass, the squared distance of every row to the nearest of some seeds.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    weights : ndarray of shape (n,)
        Not negative, with a positive sum.
    seeds : ndarray of shape (j, d), optional
        Few, so that they cost little more than the pass itself.

    Returns
    -------
    squares : ndarray of shape (n,), float64
    closest : ndarray of shape (n,), float64
        Correct to rounding of `squares`. None without seeds.
    """
    step = 1 + (len(X) >> 13)  # some 8,000 rows
    mean = weighted_mean(X[::step], weights[::step]) if weights[::step].any() else X[0].astype(np.float64)
    squared, shift, closest = _squares_about(X, weights, mean, seeds)
    near_enough = shift @ shift * weights.sum() <= 1e-3 * (weights @ squared)
    return (squared, closest) if near_enough else (_squares_about(X, weights, mean + shift, None)[0], closest)


def _squares_about(
    X: Floats, weights: Floats, origin: Floats, seeds: Floats | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64] | None]:
    """Squared distance of every row to the origin, the mean of the rows seen from there, and that to the seeds."""
    squared, shift = np.empty(len(X)), np.zeros(X.shape[1])
    closest = None if seeds is None else np.empty(len(X))
    factors = np.empty((0, X.shape[1])) if seeds is None else (seeds - origin).astype(X.dtype)
    half_norms = 0.5 * np.einsum("ij,ij->i", factors, factors)[:, None]
    step = next(row_blocks(len(X), X.shape[1])).stop
    buffer = np.empty((step, X.shape[1]), dtype=X.dtype)
    origins = np.tile(origin.astype(X.dtype), step)
    total = weights.sum()
    for rows, block in blocks(X):
        gap = _minus(block, origins, buffer)
        shift += (weights[rows] / total).astype(X.dtype) @ gap
        if closest is not None:
            # The maximum is taken along the long axis, where it runs many rows at a time.
            scores = np.ascontiguousarray((gap @ factors.T).T)
            scores -= half_norms
            closest[rows] = scores.max(axis=0)
        squared[rows] = squared_norms(gap)
    if closest is not None:
        closest *= -2.0
        closest += squared
        np.maximum(closest, 0.0, out=closest)
    return squared, shift, closest


def weighted_mean(X: Floats, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted mean of the rows, shape (d,), in float64 whatever the rows' type."""
    origin = X[0].astype(np.float64)
    total = np.zeros(X.shape[1])
    for rows in row_blocks(len(X), X.shape[1]):
        total += weights[rows] @ (X[rows] - origin)
    return origin + total / weights.sum()


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


def mean_distance(X: Floats, Y: Floats, shares: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    """Weighted mean of the distances from every row of one table to every row of another.

    Parameters
    ----------
    X, Y : ndarray of shape (n, d) and (k, d)
    shares, others : ndarray of shape (n,) and (k,)
        Weights of the rows, which sum to 1.

    Returns
    -------
    float
    """
    middle = _middle(Y)
    tiles, other_tiles = _tiles(X, shares, middle), _tiles(Y, others, middle)
    return sum(_summed_distances(tile, other) for tile in tiles for other in other_tiles)


def mean_distance_within(X: Floats, shares: NDArray[np.float64]) -> float:
    """Weighted mean of the distances from every row of a table to every row of it, itself included.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    shares : ndarray of shape (n,)
        Weights of the rows, which sum to 1.

    Returns
    -------
    float
    """
    tiles = _tiles(X, shares, _middle(X))
    on_the_diagonal = sum(_summed_distances(tile, tile) for tile in tiles)
    return on_the_diagonal + 2 * sum(itertools.starmap(_summed_distances, itertools.combinations(tiles, 2)))


class _Tile(NamedTuple):
    """Some rows as factors: those of one tile times those of another are squared distances."""

    left: NDArray[np.float64]
    right: NDArray[np.float64]
    shares: NDArray[np.float64]


def _tiles(X: Floats, shares: NDArray[np.float64], middle: Floats) -> list[_Tile]:
    """Cut a table so that the distances of two tiles stay in the cache."""
    centred = (X - middle).astype(np.float64)
    norms, ones = squared_norms(centred.copy())[:, None], np.ones((len(X), 1))
    factors = np.hstack([-2 * centred, norms, ones]), np.hstack([centred, ones, norms])
    starts = range(0, len(X), _TILE_ROWS)
    return [_Tile(*(part[start : start + _TILE_ROWS] for part in (*factors, shares))) for start in starts]


def _summed_distances(tile: _Tile, other: _Tile) -> float:
    squared = tile.left @ other.right.T
    np.sqrt(np.maximum(squared, 0.0, out=squared), out=squared)
    return float(tile.shares @ (squared @ other.shares))
