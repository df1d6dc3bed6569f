"""Which columns tell of which: neighbours by rule, and those that correlate most in what is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .order import Order

Codes = NDArray[np.uint8]
N_RULED, N_LEARNED = 8, 4
MOST_LEARNED = 1024  # columns among which parents are looked for: the search squares them


def ruled_parents(order: Order) -> NDArray[np.intp]:
    """Places of the columns that a rule makes each column's neighbours, nearest first, among those coded before it.

    Parameters
    ----------
    order : Order

    Returns
    -------
    ndarray of shape (12, n) in images, where no parents are learned, and else (8, n), int
        The number of columns where there is none.
    """
    n_columns = len(order.columns)
    s = order.stride
    offsets = tuple(range(1, 1 + N_RULED))
    if s:
        offsets = (1, s, s + 1, s - 1, 2, 2 * s, s + 2, s - 2, 2 * s + 1, 2 * s - 1, 3, 3 * s)
    # Images have neighbours whether or not the columns between them vary; in a table only those that vary count.
    positions = order.columns if s else order.ranks
    places = np.full(int(positions.max(initial=0)) + 1, n_columns, dtype=np.intp)
    places[positions] = np.arange(n_columns)
    first = order.starts[np.searchsorted(order.starts, np.arange(n_columns), side="right") - 1]
    parents = np.full((len(offsets), n_columns), n_columns, dtype=np.intp)
    for row, offset in enumerate(offsets):
        inside = (positions >= offset) & (offset > 0)
        found = places[positions[inside] - offset]
        parents[row, inside] = np.where(found < first[inside], found, n_columns)
    return parents


def most_correlated(scores: NDArray[np.float64], none: int) -> NDArray[np.intp]:
    """For each row the places of its four largest scores, most first; `none` where a score is not positive."""
    found = np.full((N_LEARNED, len(scores)), none, dtype=np.intp)
    rows = np.arange(len(scores))
    for place in range(min(N_LEARNED, scores.shape[1])):
        best = scores.argmax(axis=1)
        found[place] = np.where(scores[rows, best] > 0, best, none)
        scores[rows, best] = 0
    return found


def likeness(some: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float64]:
    """Squared correlation of columns with others, but for a factor that each of `some` has.

    Parameters
    ----------
    some, others : ndarray of shape (k, n) and (m, n), float32
        Codes below 16; n is at most 4096, so that sums of products are exact whatever their order and all machines
        rank alike.
    """
    n_points = some.shape[1]
    sums, other_sums = (part.sum(axis=1).astype(np.float64) for part in (some, others))
    products = (some @ others.T).astype(np.float64)
    products *= n_points
    products -= np.multiply.outer(sums, other_sums)
    np.square(products, out=products)
    squares = np.einsum("ij,ij->i", others, others).astype(np.float64)
    products /= np.maximum(n_points * squares - np.square(other_sums), 1.0)
    return products


def correlated_columns(codes: Codes) -> NDArray[np.intp]:
    """Four other columns that correlate most with each, most first.

    Parameters
    ----------
    codes : ndarray of shape (d, n)
        Each below 16.

    Returns
    -------
    ndarray of shape (4, d), int
        d where there is none, or where the columns are so many that a search would take long.
    """
    n_columns = len(codes)
    if not 1 < n_columns <= MOST_LEARNED:
        return np.full((N_LEARNED, n_columns), n_columns, dtype=np.intp)
    sample = sampled(codes)
    scores = likeness(sample, sample)
    np.fill_diagonal(scores, 0)
    return most_correlated(scores, n_columns)


def sampled(codes: Codes) -> NDArray[np.float32]:
    """Some of the points' codes, enough to rank columns by."""
    return codes[:, :: -(-codes.shape[1] // 1024) or 1].astype(np.float32)
