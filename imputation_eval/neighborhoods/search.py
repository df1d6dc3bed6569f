"""Nearest neighbours of all rows of a sample: which way to search, and the rows that the fast ways leave."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from imputation_eval.neighborhoods.distances import center_of, squared_distance_blocks
from imputation_eval.neighborhoods.groups import grouped_neighbors
from imputation_eval.neighborhoods.screening import screened_neighbors
from imputation_eval.neighborhoods.settling import SPARE, exact_squared_distances, settle

_Array = NDArray[np.float64]
_Indices = NDArray[np.intp]
_TREE_ROWS = 4096
_MANY = 0.25  # the share of rows with ties from which on it is worth looking for points that are equal
_LARGEST_EXPONENT = 500  # squares of numbers below 2 to this, and sums of them, are finite


def nearest_neighbors(points: _Array, n_neighbors: int, rng: np.random.Generator) -> _Indices:
    """Return the nearest other points of each point, ties broken at random.

    Points whose distances differ by rounding alone count as tied, exact duplicates among them. The answer depends on
    the seed alone, and not on the way in which it is found, of which there are four: a tree in few dimensions, tiles
    in float32 in many, groups of equal points where most points have copies, and float64 for the rows that tree and
    tiles cannot be sure of, of which there are many where ties are.

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
    seed = int(rng.integers(2**63))
    return neighbors_of_all(rescale(points), n_neighbors, seed)


def neighbors_of_all(points: _Array, n_neighbors: int, seed: int) -> _Indices:
    """Return the nearest neighbours of rescaled points by the ways that suit them."""
    neighbors = np.empty((len(points), n_neighbors), dtype=np.intp)
    search = tree_neighbors if suits_tree(*points.shape) else screened_neighbors
    done = search(points, n_neighbors, seed, neighbors)
    rest = np.flatnonzero(~done)
    if len(rest) > _MANY * len(points) and (grouped := grouped_neighbors(points, n_neighbors, seed)) is not None:
        return grouped
    neighbors[rest] = neighbors_of_some(points, rest, n_neighbors, seed)
    return neighbors


def suits_tree(n: int, d: int) -> bool:
    """Say whether a tree is faster than tiles, as measured on Gaussian rows: up to 5 features for 40,000 of them.

    A feature more makes the tree some 1.6 times as slow; twice the rows make all pairs twice as slow as the tree.
    """
    return d <= max(1.0, 5 + float(np.log2(n / 40_000)))


def tree_neighbors(points: _Array, n_neighbors: int, seed: int, neighbors: _Indices) -> NDArray[np.bool_]:
    """Fill in the nearest neighbours of rows without many ties, by a k-d tree, and return which rows these are."""
    n = len(points)
    done = np.zeros(n, dtype=bool)
    tree = cKDTree(points)
    width = min(n, n_neighbors + 1 + SPARE)
    for start in range(0, n, _TREE_ROWS):
        rows = np.arange(start, min(start + _TREE_ROWS, n))
        ids = tree.query(points[rows], k=width)[1]
        values = exact_squared_distances(points, np.repeat(rows, width), ids.reshape(-1)).reshape(ids.shape)
        limit = values.max(axis=1) if width < n else np.inf
        values[ids == rows[:, None]] = np.inf
        found, complete = settle(
            points,
            rows,
            values,
            ids,
            unit=0,
            spreads=np.zeros(len(rows)),
            limit=limit,
            n_neighbors=n_neighbors,
            seed=seed,
        )
        neighbors[rows[complete]], done[rows[complete]] = found, True
    return done


def neighbors_of_some(points: _Array, rows: _Indices, n_neighbors: int, seed: int) -> _Indices:
    """Return the neighbours of some of the rescaled points from their distances to all."""
    neighbors = np.empty((len(rows), n_neighbors), dtype=np.intp)
    unit = (points.shape[1] + 8) * 2.0**-53
    for part, block, spreads in squared_distance_blocks(points[rows], points):
        own = rows[part]
        block[np.arange(len(own)), own] = np.inf
        neighbors[part], _ = settle(
            points, own, block, None, unit=unit, spreads=spreads, limit=np.inf, n_neighbors=n_neighbors, seed=seed
        )
    return neighbors


def rescale(points: _Array) -> _Array:
    """Multiply by a power of two, which changes no digit, such that a typical point is about 1 from the centre."""
    return np.ldexp(points, unit_exponent(points))


def unit_exponent(points: _Array) -> int:
    """Return the exponent of that power of two."""
    distances = np.abs(points - center_of(points)).max(axis=1)
    typical = np.median(distances) or distances.mean()
    if typical == 0:
        return 0
    exponents = np.frexp([typical, np.abs(points).max()])[1]
    # Where one row is so far out that its square would overflow then, the others have to stay small.
    return int(min(-int(exponents[0]), _LARGEST_EXPONENT - int(exponents[1])))
