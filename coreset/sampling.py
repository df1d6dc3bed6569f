"""Weighted draws of rows: systematic, stratified, without repetition, and by the lightweight law."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .nearest import Floats


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
    squared: NDArray[np.float64], weights: NDArray[np.float64], n_draws: int, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Rows half by mass, half by squared distance to the mean, so that small far clusters are kept.

    The law is that of lightweight coresets (Bachem, Lucic and Krause, 2018). All rows come back when there are no more
    than `n_draws`.

    Parameters
    ----------
    squared : ndarray of shape (n,)
        Squared distances to the mean.
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
    if len(weights) <= n_draws:
        return np.arange(len(weights)), weights
    shares = lightweight_shares(squared, weights)
    rows, counts = np.unique(stratified_draw(shares, n_draws, rng), return_counts=True)
    return rows, counts * weights[rows] / (n_draws * shares[rows])


def lightweight_shares(squared: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shares of the rows in a draw that goes half by mass and half by squared distance to the mean.

    ``w / (2 W) + w d^2 / (2 sum w d^2)``, the law of lightweight coresets (Bachem, Lucic and Krause, 2018).

    Parameters
    ----------
    squared : ndarray of shape (n,)
        Squared distances to the mean.
    weights : ndarray of shape (n,)
        Positive.

    Returns
    -------
    ndarray of shape (n,), float64
        Their sum is one. Mass alone decides where all rows are equal.
    """
    shares = weights * squared
    total, mass = shares.sum(), weights.sum()
    if total <= 0:
        return weights / mass
    shares *= 0.5 / total
    shares += weights * (0.5 / mass)
    return shares


def inclusion_probabilities(shares: NDArray[np.float64], n_draws: int) -> NDArray[np.float64]:
    """Probabilities ``min(1, c * share)`` with the c for which they sum to `n_draws`.

    Parameters
    ----------
    shares : ndarray of shape (n,)
        Not negative, with a positive sum.
    n_draws : int
        With no more positive shares than this, each has probability one.

    Returns
    -------
    ndarray of shape (n,), float64

    Examples
    --------
    >>> import numpy as np
    >>> inclusion_probabilities(np.array([8.0, 2.0, 1.0, 1.0]), 2).tolist()
    [1.0, 0.5, 0.25, 0.25]
    """
    certain = np.zeros(len(shares), dtype=bool)
    while True:
        left = n_draws - int(certain.sum())
        mass = shares[~certain].sum()
        if left <= 0 or mass <= 0:
            return certain.astype(np.float64)
        probabilities = np.ones(len(shares))
        probabilities[~certain] = shares[~certain] / mass * left
        beyond = (probabilities >= 1.0) & ~certain
        if not beyond.any():
            return probabilities
        certain |= beyond


def shuffled_sort(keys: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.intp]:
    """Order in which the keys ascend; chance decides between equal ones, whose order in a table may have a period."""
    shuffled = rng.permutation(len(keys))
    return shuffled[np.argsort(keys[shuffled])]


def draw_once(
    shares: NDArray[np.float64], order: NDArray[np.intp], n_draws: int, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Draw rows without repetition, with inclusion probabilities in proportion to their shares as far as one allows.

    The draw is systematic along `order`, so that rows next to each other there are represented evenly.

    Parameters
    ----------
    shares : ndarray of shape (n,)
        Not negative, with a positive sum.
    order : ndarray of shape (n,), intp
        A permutation of the rows.
    n_draws : int
    rng : numpy.random.Generator

    Returns
    -------
    rows : ndarray of shape (at most n_draws,), intp
        Ascending; fewer than asked for when there are fewer positive shares.
    factors : ndarray, as long as rows
        By which a drawn row's weight grows, so that sums stay unbiased: the inverse of its probability.
    """
    probabilities = inclusion_probabilities(shares, n_draws)
    drawn = order[systematic_draw(probabilities[order], min(n_draws, int(np.count_nonzero(shares))), rng)]
    rows, counts = np.unique(drawn, return_counts=True)  # rounding can let a row of probability one come twice
    return rows, counts / probabilities[rows]
