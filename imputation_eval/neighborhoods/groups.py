"""Nearest neighbours where most points have copies: distances are those between the different points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from imputation_eval.neighborhoods.settling import priority, tie_tolerance

_Array = NDArray[np.float64]
_Indices = NDArray[np.intp]
_LEAST_COPIES = 4  # points to one that is different, from which on this pays
_ENTRIES = 2**20  # pairs at a time


def grouped_neighbors(points: _Array, n_neighbors: int, seed: int) -> _Indices | None:
    """Return the nearest neighbours of all points, or None if too few of them are equal for this to be fast.

    The rule is that of :mod:`~imputation_eval.neighborhoods.settling`.

    Parameters
    ----------
    points : ndarray of shape (n, n_features)
    n_neighbors : int
        Fewer than n.
    seed : int
        Decides ties.

    Returns
    -------
    ndarray of shape (n, n_neighbors) or None
        Indices, in no particular order.
    """
    different, group, sizes = np.unique(points, axis=0, return_inverse=True, return_counts=True)
    if len(points) < _LEAST_COPIES * len(different):
        return None
    members = np.split(np.argsort(group.ravel(), kind="stable"), np.cumsum(sizes)[:-1])
    norms = np.linalg.norm(different, axis=1)
    neighbors = np.empty((len(points), n_neighbors), dtype=np.intp)
    step = max(1, _ENTRIES // len(different))
    for start in range(0, len(different), step):
        for own, squared in enumerate(cdist(different[start : start + step], different, "sqeuclidean"), start=start):
            others = sizes - (np.arange(len(sizes)) == own)
            order = np.argsort(squared)
            kth = squared[order[np.searchsorted(np.cumsum(others[order]), n_neighbors)]]
            tolerance = tie_tolerance(kth, norms[own])
            sure = np.flatnonzero(squared < kth - tolerance)
            tied = np.flatnonzero(np.abs(squared - kth) <= tolerance)
            n_tied = n_neighbors - int(others[sure].sum())
            among = np.concatenate([members[g] for g in tied])
            for rows in np.array_split(members[own], -(-len(members[own]) * len(among) // _ENTRIES)):
                neighbors[rows, :n_tied] = _drawn(rows, among, n_tied, seed)
                if len(sure):
                    neighbors[rows, n_tied:] = _without_own(
                        rows, np.concatenate([members[g] for g in sure]), own in sure
                    )
    return neighbors


def _drawn(rows: _Indices, among: _Indices, n_drawn: int, seed: int) -> _Indices:
    """Return for each row those of other points that come first in its random order, (n_rows, n_drawn)."""
    places = priority(seed, rows[:, None], among[None, :])
    places[rows[:, None] == among] = np.iinfo(np.uint64).max
    return among[np.argpartition(places, n_drawn - 1, axis=1)[:, :n_drawn]]


def _without_own(rows: _Indices, points: _Indices, own: bool) -> _Indices:
    """Return the points as many times as there are rows, in each without itself if it is among them."""
    if not own:
        return np.broadcast_to(points, (len(rows), len(points)))
    return np.broadcast_to(points, (len(rows), len(points)))[points != rows[:, None]].reshape(len(rows), -1)
