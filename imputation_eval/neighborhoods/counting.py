"""How many of a row's nearest neighbours belong to the second of two samples, without saying which ones do."""

from __future__ import annotations

from functools import cached_property
from typing import final

import numpy as np
from numpy.typing import NDArray

from imputation_eval.neighborhoods.distances import center_of
from imputation_eval.neighborhoods.screening import LARGEST, Folded, fold
from imputation_eval.neighborhoods.search import neighbors_of_all, rescale, suits_tree, unit_exponent
from imputation_eval.neighborhoods.settling import settle, uncertainty

_Array = NDArray[np.float64]
_Floats = NDArray[np.float32]
_Indices = NDArray[np.intp]
_Flags = NDArray[np.bool_]
_MOST_ROWS = 4096  # of both samples; with more, listing neighbours is faster, since it does not select among all pairs
_HEIGHT = 256
_MANY = 0.25  # the share of unsure rows from which on all are searched anew


@final
class Reference:
    """A sample with which others are compared, one after another, and what these comparisons share.

    Parameters
    ----------
    rows : ndarray of shape (n, n_features)
    """

    def __init__(self, rows: _Array) -> None:
        self.rows = rows
        self._within: dict[int, _Floats] = {}

    @cached_property
    def exponent(self) -> int:
        """The power of two that scales the rows to a typical distance of 1 from their centre."""
        return unit_exponent(self.rows)

    @cached_property
    def center(self) -> _Array:
        """The centre of the scaled rows."""
        return center_of(np.ldexp(self.rows, self.exponent))

    @cached_property
    def folded(self) -> Folded:
        """Factors of the squared distances between the scaled rows."""
        return self.fold(self.rows)

    def fold(self, rows: _Array) -> Folded:
        """Return factors of other rows in the same scale and about the same centre."""
        with np.errstate(over="ignore"):  # of rows that lie too far out, which are set aside
            return fold(np.ldexp(rows, self.exponent), self.center)

    def within(self, k: int) -> _Floats:
        """Return the k least squared distances of each row to the others, sorted."""
        if k not in self._within:
            self._within[k] = _least(self.folded.left, self.folded.right, k, own=True)
        return self._within[k]


def count_in_second(reference: Reference, y: _Array, n_neighbors: int, rng: np.random.Generator) -> _Indices:
    """Return how many of the nearest neighbours of each row, in both samples without itself, are rows of ``y``.

    That is what :func:`nearest_neighbors` of both would tell, to the last tie.

    Parameters
    ----------
    reference : Reference
        Of n rows.
    y : ndarray of shape (m, n_features)
    n_neighbors : int
        Fewer than n and than m.
    rng : Generator
        Decides among tied points.

    Returns
    -------
    int ndarray of shape (n + m,)
        Rows of the reference first.
    """
    seed = int(rng.integers(2**63))
    n, n_pooled = len(reference.rows), len(reference.rows) + len(y)
    if n_pooled <= _MOST_ROWS and not suits_tree(n_pooled, y.shape[1]):
        folded = reference.fold(y)
        counts, sure = _count(reference, folded, n_neighbors)
        if sure.all():
            return counts
        far = np.concatenate([reference.folded.spreads, folded.spreads]) > LARGEST
        if sure.mean() > 1 - _MANY and not far.any():
            rest = np.flatnonzero(~sure)
            counts[rest] = (_settled(reference, y, folded, rest, n_neighbors, seed) >= n).sum(axis=1)
            return counts
    points = rescale(np.vstack([reference.rows, y]))
    return (neighbors_of_all(points, n_neighbors, seed) >= n).sum(axis=1)


def _count(reference: Reference, z: Folded, k: int) -> tuple[_Indices, _Flags]:
    """Return counts, and for which rows rounding and ties cannot change them.

    The k nearest are made of the nearest in either sample, so sorted distances to each are enough.
    """
    x = reference.folded
    first = np.vstack([reference.within(k), _least(z.left, x.right, k, own=False)])
    second = np.vstack([_least(x.left, z.right, k, own=False), _least(z.left, z.right, k, own=True)])
    # Of the k nearest, j are the first of one list and k - j those of the other.
    none = np.full((len(first), 1), -np.inf, dtype=np.float32)
    kth = np.maximum(np.hstack([none, first]), np.hstack([none, second])[:, ::-1]).min(axis=1)
    spreads = np.concatenate([x.spreads, z.spreads])
    norms = np.concatenate([x.norms, z.norms])
    margin = uncertainty(kth.astype(np.float64), unit=x.unit, spreads=spreads, norms=norms)
    with np.errstate(over="ignore"):
        low = np.nextafter((kth - margin).astype(np.float32), np.float32(-np.inf))[:, None]
        high = np.nextafter((kth + margin).astype(np.float32), np.float32(np.inf))[:, None]
    n_nearer = [np.count_nonzero(values < low, axis=1) for values in (first, second)]
    n_near = [np.count_nonzero(values <= high, axis=1) for values in (first, second)]
    in_doubt = [near > nearer for near, nearer in zip(n_near, n_nearer, strict=True)]
    # Where only rows of one sample are in doubt, all that are lacking are of that one.
    counts = np.where(in_doubt[1], k - n_nearer[0], n_nearer[1])
    return counts, ~(in_doubt[0] & in_doubt[1]) & (spreads <= LARGEST) & np.isfinite(margin)


def _settled(reference: Reference, y: _Array, z: Folded, rows: _Indices, k: int, seed: int) -> _Indices:
    """Return the neighbours of a few rows, for which the same products are listed and settled."""
    x = reference.folded
    left = np.vstack([x.left, z.left])[rows]
    values = np.hstack([left @ x.right, left @ z.right])
    values[np.arange(len(rows)), rows] = np.inf
    points = np.ldexp(np.vstack([reference.rows, y]), reference.exponent)
    spreads = np.concatenate([x.spreads, z.spreads])[rows]
    found, _ = settle(points, rows, values, None, unit=x.unit, spreads=spreads, limit=np.inf, n_neighbors=k, seed=seed)
    return found


def _least(left: _Floats, right: _Floats, k: int, *, own: bool) -> _Floats:
    """Return the k least entries of each row of the product, sorted; without the diagonal where ``own``."""
    least = np.empty((len(left), k), dtype=np.float32)
    buffer = np.empty((_HEIGHT, right.shape[1]), dtype=np.float32)
    for start in range(0, len(left), _HEIGHT):
        rows = left[start : start + _HEIGHT]
        block = np.matmul(rows, right, out=buffer[: len(rows)])
        if own:
            block[np.arange(len(rows)), np.arange(start, start + len(rows))] = np.inf
        block.partition(k - 1, axis=1)
        least[start : start + _HEIGHT] = block[:, :k]
    least.sort(axis=1)
    return least
