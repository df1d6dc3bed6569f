"""How many of a row's nearest neighbours belong to the second of two samples, without saying which ones do."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imputation_eval.neighborhoods.screening import LARGEST, fold
from imputation_eval.neighborhoods.search import neighbors_of_all, neighbors_of_some, rescale, suits_tree
from imputation_eval.neighborhoods.settling import uncertainty

_Array = NDArray[np.float64]
_Floats = NDArray[np.float32]
_Indices = NDArray[np.intp]
_MOST_ROWS = 4096  # of both samples; with more, listing neighbours is faster, since it does not select among all pairs
_HEIGHT = 256
_MANY = 0.25  # the share of unsure rows from which on all are searched anew


def count_in_second(x: _Array, y: _Array, n_neighbors: int, rng: np.random.Generator) -> _Indices:
    """Return how many of the nearest neighbours of each row, in both samples without itself, are rows of ``y``.

    That is what :func:`nearest_neighbors` of both would tell, to the last tie.

    Parameters
    ----------
    x : ndarray of shape (n, n_features)
    y : ndarray of shape (m, n_features)
    n_neighbors : int
        Fewer than n and than m.
    rng : Generator
        Decides among tied points.

    Returns
    -------
    int ndarray of shape (n + m,)
        Rows of `x` first.
    """
    seed = int(rng.integers(2**63))
    points = rescale(np.vstack([x, y]))
    if len(points) > _MOST_ROWS or suits_tree(*points.shape):
        return (neighbors_of_all(points, n_neighbors, seed) >= len(x)).sum(axis=1)
    counts, sure = _count(points, len(x), n_neighbors)
    rest = np.flatnonzero(~sure)
    if len(rest) > _MANY * len(points):
        return (neighbors_of_all(points, n_neighbors, seed) >= len(x)).sum(axis=1)
    counts[rest] = (neighbors_of_some(points, rest, n_neighbors, seed) >= len(x)).sum(axis=1)
    return counts


def _count(points: _Array, n_first: int, k: int) -> tuple[_Indices, NDArray[np.bool_]]:
    """Return counts, and for which rows rounding and ties cannot change them.

    The k nearest are made of the nearest in either sample, so sorted distances to each are enough.
    """
    folded = fold(points)
    parts = slice(0, n_first), slice(n_first, len(points))
    first, second = (
        np.vstack([_least(folded.left[rows], folded.right[:, part], k, own=rows == part) for rows in parts])
        for part in parts
    )
    kth = np.partition(np.hstack([first, second]), k - 1, axis=1)[:, k - 1].astype(np.float64)
    norms = np.sqrt(np.einsum("ij,ij->i", points, points))
    margin = uncertainty(kth, unit=folded.unit, spreads=folded.spreads, norms=norms)
    low, high = (kth - margin)[:, None], (kth + margin)[:, None]
    n_nearer = [(values < low).sum(axis=1) for values in (first, second)]
    in_doubt = [(values <= high).sum(axis=1) > n for values, n in zip((first, second), n_nearer, strict=True)]
    # Where only rows of one sample are in doubt, all that are lacking are of that one.
    counts = np.where(in_doubt[1], k - n_nearer[0], n_nearer[1])
    return counts, ~(in_doubt[0] & in_doubt[1]) & (folded.spreads <= LARGEST)


def _least(left: _Floats, right: _Floats, k: int, *, own: bool) -> _Floats:
    """Return the k least entries of each row of the product, sorted; without the diagonal where ``own``."""
    least = np.empty((len(left), k), dtype=np.float32)
    buffer = np.empty((_HEIGHT, right.shape[1]), dtype=np.float32)
    right = np.ascontiguousarray(right)
    for start in range(0, len(left), _HEIGHT):
        rows = left[start : start + _HEIGHT]
        block = np.matmul(rows, right, out=buffer[: len(rows)])
        if own:
            block[np.arange(len(rows)), np.arange(start, start + len(rows))] = np.inf
        block.partition(k - 1, axis=1)
        least[start : start + _HEIGHT] = block[:, :k]
    least.sort(axis=1)
    return least
