"""Weighted clustering: drawing, seeding, local search for k-means and k-median."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from .nearest import Floats, nearest, row_blocks, squared_distances_to

# Seeding reads the rows once per centre, so on larger data it reads a sample of this size.
SEEDING_ROWS = 20_000


def systematic_draw(shares: NDArray[np.float64], n_draws: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Draw rows in proportion to their shares: one random start, then equal steps along the cumulated shares.

    A row with share s is drawn ``n_draws * s / sum`` times, rounded up or down at random; so no row comes twice unless
    its share is more than ``1 / n_draws`` of the sum. Which rows come together depends on their order.

    Parameters
    ----------
    shares : ndarray of shape (n,)
        Not negative, with a positive sum.
    n_draws : int
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of shape (n_draws,), intp
        Row numbers in ascending order; a row can come more than once.
    """
    return _rows_at(shares, np.arange(n_draws) + rng.random())


def stratified_draw(shares: NDArray[np.float64], n_draws: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Draw rows in proportion to their shares: one at random in each of `n_draws` equal strata of the cumulated shares.

    Unlike `systematic_draw` it is safe on rows whose order has a period, and can draw a row twice.

    Parameters
    ----------
    shares : ndarray of shape (n,)
        Not negative, with a positive sum.
    n_draws : int
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of shape (n_draws,), intp
        Row numbers in ascending order.
    """
    return _rows_at(shares, np.arange(n_draws) + rng.random(n_draws))


def _rows_at(shares: NDArray[np.float64], positions: Floats) -> NDArray[np.intp]:
    """Rows at positions between 0 and their number, on a scale where the shares sum to it.

    Copies of a row next to each other are met like one row with the sum of their shares.
    """
    cumulated = np.cumsum(shares)
    drawn = np.searchsorted(cumulated, positions * (cumulated[-1] / len(positions)), side="right")
    # Rounding can push the last position past the end, or onto trailing rows whose share is zero.
    return np.minimum(drawn, len(shares) - 1 - int(np.argmax(shares[::-1] > 0)))


def importance_sample(
    X: Floats, weights: NDArray[np.float64], n_draws: int, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Rows for seeding: half by mass, half by squared distance to the mean, so that small far clusters are kept.

    The law is that of lightweight coresets (Bachem, Lucic and Krause, 2018). All rows come back when there are no more
    than `n_draws`.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    weights : ndarray of shape (n,)
        Positive.
    n_draws : int
    rng : numpy.random.Generator

    Returns
    -------
    rows : ndarray of shape (m,), intp
        Without repetition, ascending.
    sample_weights : ndarray of shape (m,)
        Unbiased: the weight of a row divided by its expected number of draws, times the times it was drawn.
    """
    if len(X) <= n_draws:
        return np.arange(len(X)), weights
    shares = lightweight_shares(X, weights)
    rows, counts = np.unique(stratified_draw(shares, n_draws, rng), return_counts=True)
    return rows, counts * weights[rows] / (n_draws * shares[rows])


def lightweight_shares(X: Floats, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shares of the rows in a draw that goes half by mass and half by squared distance to the mean.

    ``w / (2 W) + w d^2 / (2 sum w d^2)``, the law of lightweight coresets (Bachem, Lucic and Krause, 2018).

    Parameters
    ----------
    X : ndarray of shape (n, d)
    weights : ndarray of shape (n,)
        Positive.

    Returns
    -------
    ndarray of shape (n,), float64
        Their sum is one. Mass alone decides where all rows are equal.
    """
    mass_share = weights / weights.sum()
    shares = squares_about_mean(X, mass_share)
    shares *= mass_share
    total = shares.sum()
    if total <= 0:
        return mass_share
    shares *= 0.5 / total
    shares += 0.5 * mass_share
    return shares


def squares_about_mean(X: Floats, mass_share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared distance of every row to the weighted mean, mostly from one pass over the rows, in their own type.

    A sample's mean serves if the pass shows that it makes their sum at most a thousandth too large.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    mass_share : ndarray of shape (n,)
        Weights that sum to one.

    Returns
    -------
    ndarray of shape (n,), float64
    """
    step = 1 + (len(X) >> 14)  # some 16,000 rows
    mean = weighted_mean(X[::step], mass_share[::step])
    squared, shift = _squares_about(X, mass_share, mean)
    near_enough = shift @ shift <= 1e-3 * (mass_share @ squared)
    return squared if near_enough else _squares_about(X, mass_share, mean + shift)[0]


def _squares_about(X: Floats, mass_share: Floats, origin: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Squared distance of every row to the origin, and the mean of the rows seen from there."""
    typed = origin.astype(X.dtype)
    squared = np.empty(len(X))
    shift = np.zeros(X.shape[1])
    buffer = np.empty((min(8192, len(X)), X.shape[1]), dtype=X.dtype)
    for rows in row_blocks(len(X), X.shape[1]):
        gap = np.subtract(X[rows], typed, out=buffer[: rows.stop - rows.start])  # new memory would cost as much again
        squared[rows] = np.einsum("ij,ij->i", gap, gap)
        shift += mass_share[rows].astype(X.dtype) @ gap
    return squared, shift


def weighted_mean(X: Floats, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted mean of the rows, shape (d,), in float64 whatever the rows' type."""
    origin = X[0].astype(np.float64)
    total = np.zeros(X.shape[1])
    for rows in row_blocks(len(X), X.shape[1]):
        total += weights[rows] @ (X[rows] - origin)
    return origin + total / weights.sum()


def seed_centers(
    X: Floats, weights: NDArray[np.float64], n_centers: int, rng: np.random.Generator, *, power: int = 2
) -> NDArray[np.intp]:
    """Seeds by the exact D^power law: each next one in proportion to weight x distance^power to those before it.

    Source: k-means++ (Arthur and Vassilvitskii, 2007), with weights.

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
    chosen = [_inverse_cdf(weights, rng.random())]
    squared = squared_distances_to(X, X[chosen[0]].astype(np.float64))
    while len(chosen) < n_centers:
        potential = weights * (squared if power == 2 else np.sqrt(squared))
        if not potential.any():
            break
        chosen.append(_inverse_cdf(potential, rng.random()))
        np.minimum(squared, squared_distances_to(X, X[chosen[-1]].astype(np.float64)), out=squared)
    return np.array(chosen, dtype=np.intp)


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


def _inverse_cdf(shares: NDArray[np.float64], uniform: float) -> int:
    cumulated = np.cumsum(shares)
    last = int(np.flatnonzero(shares)[-1])
    return min(int(np.searchsorted(cumulated, uniform * cumulated[-1], side="right")), last)


def sums_by_group(
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
        sums += sums_by_group(X[rows] - origin, weights[rows], groups[rows], n_groups)
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
        pull = weights if power == 2 else weights / np.maximum(distances, 1e-12 * max(distances.max(), 1e-300))
        means, masses = group_means(X, pull, index, len(centers))
        centers = np.where((masses > 0)[:, None], means, centers)
    return Clustering(centers, cost)


def cluster(
    X: Floats,
    weights: NDArray[np.float64],
    n_clusters: int,
    rng: np.random.Generator,
    *,
    power: int = 2,
    spread: NDArray[np.float64] | None = None,
    n_starts: int = 3,
) -> Clustering:
    """Best of several local searches, each from its own D^power seeds.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    weights : ndarray of shape (n,)
        Positive.
    n_clusters : int
    rng : numpy.random.Generator
    power : {1, 2}
    spread : ndarray of shape (n,), optional
    n_starts : int

    Returns
    -------
    Clustering
    """
    runs = []
    for _ in range(n_starts):
        rows, sampled = importance_sample(X, weights, SEEDING_ROWS, rng)
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
    rows, sampled = importance_sample(X, weights, SEEDING_ROWS, rng)
    seeds = rows[seed_centers(X[rows], sampled, n_clusters, rng)]
    return lloyd(X[rows], sampled, X[seeds].astype(np.float64), max_iterations=1).cost
