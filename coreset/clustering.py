"""Weighted clustering: seeding, local search for k-means and k-median, farthest-first traversal."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from .nearest import Floats, nearest, nearest_index, squared_distances_to, squares_about_mean
from .sampling import importance_sample

# Larger data are seeded from a sample of this many rows.
SEEDING_ROWS = 20_000
# Candidates a batch: of more, most of the later ones are refused; with fewer, the rows are read more often.
_BATCH = 128
_STARTS = 3


def seed_centers(
    X: Floats, weights: NDArray[np.float64], n_centers: int, rng: np.random.Generator, *, power: int = 2
) -> NDArray[np.intp]:
    """Seeds by the exact D^power law: each next one in proportion to weight x distance^power to those before it.

    Rows are read once a batch, not once a seed: candidates are drawn by the distances before the batch, and each is
    accepted with the ratio of its potential now to that, so that what is accepted follows the distances now.

    Source: k-means++ (Arthur and Vassilvitskii, 2007), with weights; the batches are this project's own.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    weights : ndarray of shape (n,)
        Positive.
    n_centers : int
    rng : numpy.random.Generator
    power : {1, 2}

    Returns
    -------
    ndarray of shape (at most n_centers,), intp
        Row numbers in the order they were drawn; fewer than asked for when there are fewer distinct rows.
    """
    chosen = [int(rng.choice(len(X), p=weights / weights.sum()))]
    squared = squared_distances_to(X, X[chosen[0]].astype(np.float64))
    while len(chosen) < n_centers:
        potential = weights * (squared if power == 2 else np.sqrt(squared))
        total = potential.sum()
        if total <= 0:
            break
        candidates = rng.choice(len(X), size=_BATCH, p=potential / total)
        accepted = _accept(X, candidates, squared, n_centers - len(chosen), rng, power)
        np.minimum(squared, nearest(X, X[accepted].astype(np.float64))[1], out=squared)
        chosen += accepted
    return np.array(chosen, dtype=np.intp)


def _accept(
    X: Floats,
    candidates: NDArray[np.intp],
    squared: NDArray[np.float64],
    n_wanted: int,
    rng: np.random.Generator,
    power: int,
) -> list[int]:
    """Candidates whose potential, as it has become by those accepted before them, passes a draw; always the first."""
    rows, now = X[candidates], squared[candidates]
    least = rng.random(len(candidates)) ** (2 / power) * now
    accepted: list[int] = []
    for position, candidate in enumerate(candidates):
        if 0 < now[position] >= least[position]:
            accepted.append(int(candidate))
            if len(accepted) == n_wanted:
                break
            np.minimum(now, squared_distances_to(rows, rows[position].astype(np.float64)), out=now)
    return accepted


def farthest_first(X: Floats, n_centers: int, first: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    """Traverse the rows so that each next one is the farthest from those before it.

    The greatest distance left is at most twice the least possible with as many centres (Gonzalez, 1985).

    Parameters
    ----------
    X : ndarray of shape (n, d)
    n_centers, first : int
        Rows to choose, at least one, and the row to start from.

    Returns
    -------
    chosen : ndarray of shape (at most n_centers,), intp
        In the order of the traversal; fewer than asked for when there are fewer distinct rows.
    cells : ndarray of shape (n,), intp
        Which of them is nearest to each row, of equal ones the first.
    squared_distances : ndarray of shape (n,), float64
    """
    chosen = [first]
    cells = np.zeros(len(X), dtype=np.intp)
    squared = squared_distances_to(X, X[first].astype(np.float64))
    while len(chosen) < n_centers and squared.any():
        chosen.append(int(squared.argmax()))
        center = X[chosen[-1]].astype(np.float64)
        # A centre twice as far from a row's centre as that row cannot be nearer to it; the slack is for rounding.
        reach = squared_distances_to(X[chosen[:-1]], center) * (0.25 - 1e-9)
        close = np.flatnonzero(reach[cells] <= squared)
        distances = squared_distances_to(X[close], center)
        closer = distances < squared[close]
        squared[close[closer]] = distances[closer]
        cells[close[closer]] = len(chosen) - 1
    return np.array(chosen, dtype=np.intp), cells, squared


def _sums_by_group(
    X: NDArray[np.float64], weights: NDArray[np.float64], groups: NDArray[np.intp], n_groups: int
) -> NDArray[np.float64]:
    """Weighted sum of the rows of each group, shape (n_groups, d)."""
    indicator = sparse.csr_array((weights, groups, np.arange(len(X) + 1)), shape=(len(X), n_groups))
    return indicator.T @ X


def group_means(
    X: Floats, weights: NDArray[np.float64], groups: NDArray[np.intp], n_groups: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted mean and mass of each group of rows.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    weights : ndarray of shape (n,)
    groups : ndarray of shape (n,), intp
        Values in ``0 .. n_groups - 1``.
    n_groups : int

    Returns
    -------
    means : ndarray of shape (n_groups, d), float64
        Zero where a group has no mass.
    masses : ndarray of shape (n_groups,)
    """
    origin = X[0].astype(np.float64)  # sums of small numbers keep their digits on data far from zero
    sums = np.zeros((n_groups, X.shape[1]))
    step = 1 << 16
    for start in range(0, len(X), step):
        rows = slice(start, start + step)
        sums += _sums_by_group(X[rows] - origin, weights[rows], groups[rows], n_groups)
    masses: NDArray[np.float64] = np.bincount(groups, weights=weights, minlength=n_groups).astype(np.float64)
    means = np.zeros_like(sums)
    filled = masses > 0
    means[filled] = origin + sums[filled] / masses[filled, None]
    return means, masses


@dataclasses.dataclass(frozen=True)
class Clustering:
    """Centres and what they cost.

    Parameters
    ----------
    centers : ndarray of shape (k, d)
    cost : float
        Weighted sum of distances to the power that was asked for, widths included, without offset.
    """

    centers: NDArray[np.float64]
    cost: float


def lloyd(
    X: Floats,
    weights: NDArray[np.float64],
    centers: NDArray[np.float64],
    *,
    power: int = 2,
    spread: NDArray[np.float64] | None = None,
    max_iterations: int = 100,
    tolerance: float = 1e-4,
) -> Clustering:
    """Local search from given centres: Lloyd's steps for k-means, Weiszfeld's for k-median.

    With ``power=1`` the cost of a row is ``sqrt(d^2 + spread^2)``. Each step moves a centre to the mean of its rows
    weighted by ``w / sqrt(d^2 + spread^2)``, which majorises that cost, so it never rises. A centre that loses all its
    rows stays where it is.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    weights : ndarray of shape (n,)
    centers : ndarray of shape (k, d)
    power : {1, 2}
    spread : ndarray of shape (n,), optional
        Only used with ``power=1``.
    max_iterations : int
    tolerance : float
        Stop when the cost falls by less than this share of itself.

    Returns
    -------
    Clustering
    """
    width = 0.0 if spread is None else spread**2
    previous = np.inf
    cost = np.inf
    for iteration in range(max_iterations + 1):
        index, squared = nearest(X, centers)
        distances = squared if power == 2 else np.sqrt(squared + width)
        cost = float(weights @ distances)
        if iteration == max_iterations or previous - cost <= tolerance * cost:
            break
        previous = cost
        # The mean of the rows weighted by the inverse of their distances is Weiszfeld's step for k-median.
        pull = weights if power == 2 else weights / np.maximum(distances, 1e-12 * max(distances.max(), 1e-300))
        centers = _moved(X, pull, centers, index)
    return Clustering(centers, cost)


def refine(
    X: Floats, weights: NDArray[np.float64], centers: NDArray[np.float64], *, n_steps: int = 1
) -> NDArray[np.float64]:
    """Centres after a number of steps for k-means, without reading the rows once more for their cost.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    weights : ndarray of shape (n,)
    centers : ndarray of shape (k, d)
    n_steps : int

    Returns
    -------
    ndarray of shape (k, d), float64
    """
    for _ in range(n_steps):
        centers = _moved(X, weights, centers, nearest_index(X, centers))
    return centers


def _moved(
    X: Floats, weights: NDArray[np.float64], centers: NDArray[np.float64], index: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Each centre moved to the weighted mean of its rows; one that has none stays."""
    means, masses = group_means(X, weights, index, len(centers))
    return np.where((masses > 0)[:, None], means, centers)


def cluster(
    X: Floats,
    weights: NDArray[np.float64],
    n_clusters: int,
    rng: np.random.Generator,
    *,
    power: int = 2,
    spread: NDArray[np.float64] | None = None,
) -> Clustering:
    """Best of three local searches, each from its own D^power seeds.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    weights : ndarray of shape (n,)
        Positive.
    n_clusters : int
    rng : numpy.random.Generator
    power : {1, 2}
    spread : ndarray of shape (n,), optional

    Returns
    -------
    Clustering
    """
    squares = squares_about_mean(X, weights)
    runs = []
    for _ in range(_STARTS):
        rows, sampled = importance_sample(squares, weights, SEEDING_ROWS, rng)
        seeds = rows[seed_centers(X[rows], sampled, n_clusters, rng, power=power)]
        runs.append(lloyd(X, weights, X[seeds].astype(np.float64), power=power, spread=spread))
    return min(runs, key=lambda run: run.cost)


def rough_cost(X: Floats, weights: NDArray[np.float64], n_clusters: int, rng: np.random.Generator) -> float:
    """K-means cost of the rows on `n_clusters` D^2 seeds improved by one step: a cheap measure of what is left to say.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    weights : ndarray of shape (n,)
        Positive.
    n_clusters : int
    rng : numpy.random.Generator

    Returns
    -------
    float
        In squared units of the data times the units of the weights.
    """
    rows, sampled = importance_sample(squares_about_mean(X, weights), weights, SEEDING_ROWS, rng)
    seeds = rows[seed_centers(X[rows], sampled, n_clusters, rng)]
    return lloyd(X[rows], sampled, X[seeds].astype(np.float64), max_iterations=1).cost
