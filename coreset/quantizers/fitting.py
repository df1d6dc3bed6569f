"""Levels that suit each column: its ends, and how levels are spaced between them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .spacing import EQUAL, N_SPACINGS, nearest_codes, spacings

Floats = NDArray[np.float64]
_ROUNDS = 12
_FITTED_POINTS = 4096  # by which a column's ends are fitted
_BLOCK = 1 << 16  # values whose columns are fitted at a time
_REACHES = (0.8, 1.49, 2.05, 2.51, 2.92, 3.28, 3.61, 3.93)  # from a bell's mean to the best outer level (Max, 1960)
# The same for spacings, which are many: fewer points and rounds tell them apart.
_SPACED_POINTS, _SPACED_ROUNDS = 1024, 6
_CLEARLY = 0.85  # of the squared error at equal distances, below which another spacing is worth its codes


def equal_ends(points: Floats, bits: int) -> tuple[Floats, Floats]:
    """Ends of levels at equal distances with a small squared error, for each column.

    Parameters
    ----------
    points : ndarray of shape (n, d)
    bits : int

    Returns
    -------
    low, high : ndarray of shape (d,)
    """
    low, high = points.min(axis=0), points.max(axis=0)
    for columns, shares, least, scale in _blocks(points, _FITTED_POINTS):
        first, end = _equal_ends(shares, bits)
        low[columns], high[columns] = least + first * scale, least + end * scale
    return low, high


def spaced_ends(points: Floats, low: Floats, high: Floats, bits: int) -> tuple[Floats, Floats, NDArray[np.uint8]]:
    """Ends and spacings, others than given ends at equal distances where the squared error is clearly less.

    Parameters
    ----------
    points : ndarray of shape (n, d)
    low, high : ndarray of shape (d,)
    bits : int

    Returns
    -------
    low, high : ndarray of shape (d,)
    spacing : ndarray of shape (d,), uint8
        Rows of `spacings`.
    """
    low, high, spacing = low.copy(), high.copy(), np.full(len(low), EQUAL, dtype=np.uint8)
    for columns, shares, least, scale in _blocks(points, _SPACED_POINTS):
        first, end = (low[columns] - least) / scale, (high[columns] - least) / scale
        start, stop, found = _spaced_ends(shares, first, end, bits)
        other = found != EQUAL
        at = columns[other]
        low[at], high[at] = (least + start * scale)[other], (least + stop * scale)[other]
        spacing[columns] = found
    return low, high, spacing


def _blocks(points: Floats, most: int) -> Iterator[tuple[NDArray[np.intp], Floats, Floats, Floats]]:
    """Columns that vary, block by block: some of their values as shares of the range, the least, and the range."""
    least, span = points.min(axis=0), np.ptp(points, axis=0)
    varying = np.flatnonzero(span > 0)
    some = points[:: -(-len(points) // most)]
    size = max(1, _BLOCK // len(some))
    for start in range(0, len(varying), size):
        columns = varying[start : start + size]
        # In units of the range, in which no square overflows.
        shares = (np.ascontiguousarray(some[:, columns].T) - least[columns, None]) / span[columns, None]
        yield columns, shares, least[columns], span[columns]


def _spaced_ends(shares: Floats, low: Floats, high: Floats, bits: int) -> tuple[Floats, Floats, NDArray[np.uint8]]:
    spacing = np.full(len(shares), EQUAL, dtype=np.uint8)
    errors = _CLEARLY * _alternated(shares, low, high, bits, EQUAL, rounds=0)[2] - 1e-9 * shares.shape[1]
    starts = ((np.zeros(len(low)), np.ones(len(low))), (low, high))
    for other in range(1, N_SPACINGS):
        for first, end in starts:
            tried = _alternated(shares, first, end, bits, other, rounds=_SPACED_ROUNDS)
            better = tried[2] < errors
            low, high, errors = (
                np.where(better, new, old) for new, old in zip(tried, (low, high, errors), strict=True)
            )
            spacing[better] = other
    return low, high, spacing


def _equal_ends(shares: Floats, bits: int) -> tuple[Floats, Floats]:
    """Ends of levels at equal distances, the better of two starts: the column's range, and what suits a bell."""
    wide = _alternated(shares, np.zeros(len(shares)), np.ones(len(shares)), bits, EQUAL)
    mean, reach = shares.mean(axis=1), _REACHES[bits - 1] * shares.std(axis=1)
    close = _alternated(shares, np.maximum(mean - reach, 0), np.minimum(mean + reach, 1), bits, EQUAL)
    # The first start finds levels that were decoded again, so the second has to be clearly better.
    better = close[2] < wide[2] - 1e-9 * shares.shape[1]
    return np.where(better, close[0], wide[0]), np.where(better, close[1], wide[1])


def _alternated(
    shares: Floats, low: Floats, high: Floats, bits: int, spacing: int, *, rounds: int = _ROUNDS
) -> tuple[Floats, Floats, Floats]:
    """Nearest codes and best ends in turn, as in Lloyd's method; the ends and the squared error."""
    low, high, errors = low.copy(), high.copy(), np.zeros(len(low))
    moving = np.arange(len(low))
    left = shares
    sums, squares = shares.sum(axis=1), np.einsum("ij,ij->i", shares, shares)
    n_points = shares.shape[1]
    for turn in range(rounds + 1):
        first, end = low[moving], high[moving]
        places = _nearest_places(
            (left - first[:, None]) / np.where(end > first, end - first, 1.0)[:, None], bits, spacing
        )
        total, power = places.sum(axis=1), np.einsum("ij,ij->i", places, places)
        product = np.einsum("ij,ij->i", places, left)
        span = end - first
        errors[moving] = (
            squares[moving]
            - 2 * (first * sums[moving] + span * product)
            + first * (n_points * first + 2 * span * total)
            + span**2 * power
        )
        variance = power - total**2 / n_points
        some = variance > 1e-9
        slope = np.where(some, (product - total * sums[moving] / n_points) / np.where(some, variance, 1), span)
        start = np.where(some, (sums[moving] - slope * total) / n_points, first)
        # Within the range, so that both ends are used and what is decoded has the same ends.
        fresh, beyond = start.clip(0, 1), (start + slope).clip(0, 1)
        moved = np.maximum(np.abs(fresh - first), np.abs(beyond - end)) > 2.0 ** -(bits + 9)
        if turn == rounds or not moved.any():
            break
        low[moving], high[moving] = np.where(moved, fresh, first), np.where(moved, beyond, end)
        if 4 * np.count_nonzero(moved) < 3 * len(moving):
            left = left[moved]
            moving = moving[moved]
    return low, high, errors


def _nearest_places(shares: Floats, bits: int, spacing: int) -> Floats:
    """The level nearest to each value, both in units in which the ends are 0 and 1."""
    if spacing != EQUAL:
        places = spacings(bits)[spacing]
        return np.asarray(places[nearest_codes(shares, places)])
    last = 2**bits - 1
    shares *= last
    np.rint(shares, out=shares)
    np.maximum(shares, 0, out=shares)
    np.minimum(shares, last, out=shares)
    shares /= last
    return shares
