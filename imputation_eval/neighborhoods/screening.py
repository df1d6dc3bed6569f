"""Nearest neighbours by tiles in float32: few distances survive a threshold, and only these are looked at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from imputation_eval.neighborhoods.distances import center_of
from imputation_eval.neighborhoods.settling import SPARE, settle

_Array = NDArray[np.float64]
_Floats = NDArray[np.float32]
_Indices = NDArray[np.intp]
_Keys = NDArray[np.uint64]
_WIDTH_BITS = 10
_HEIGHT, _WIDTH = 256, 2**_WIDTH_BITS  # a tile of 1 MiB stays in the cache
_SURVIVOR_COST = 60  # of what one distance to a sampled column takes
_RISK = 0.003  # of a row to have fewer points below its threshold than are wanted
LARGEST = 1e30  # squared norms beyond this, in units of a typical one, are no business of float32
_SETTLED_ROWS = 2048


def screened_neighbors(points: _Array, n_neighbors: int, seed: int, neighbors: _Indices) -> NDArray[np.bool_]:
    """Fill in the nearest neighbours of all rows for which that goes fast, and return which rows these are.

    The distances of a row to some random columns suggest a threshold below which it has a few times as many points as
    are wanted. Tiles of the product of all pairs are compared with it, and what survives is settled exactly. Norms are
    columns of the product; rows are sorted by threshold, so that one comparison serves both rows of a pair.

    Parameters
    ----------
    points : ndarray of shape (n, n_features)
        Scaled to a typical distance of 1 from their centre.
    n_neighbors : int
        Fewer than n.
    seed : int
        Draws columns and decides ties.
    neighbors : ndarray of shape (n, n_neighbors)
        Written to.

    Returns
    -------
    bool ndarray of shape (n,)
        False for rows that have too few survivors, many ties at their threshold, or lie out of the range of float32.
    """
    n = len(points)
    done = np.zeros(n, dtype=bool)
    folded = fold(points, center_of(points))
    thresholds = _thresholds(folded, n_neighbors, np.random.default_rng(seed))
    if thresholds is None:
        return done
    order = np.argsort(thresholds, kind="stable")
    folded, thresholds = folded.sorted_by(order), thresholds[order]
    layout = _Layout(max(16, int(n - 1).bit_length()))
    for start in range(0, n, layout.most_rows):
        panel = slice(start, min(start + layout.most_rows, n))
        keys = np.concatenate([np.zeros(0, dtype=np.uint64), *_surviving_pairs(folded, thresholds, panel, layout)])
        if len(keys) == 0:
            continue
        keys.sort()
        for part, values, ids in _listed(keys, panel, n_neighbors + SPARE, layout):
            # All survivors are listed where there is room left; else the last one bounds those that are not.
            limit = np.minimum(thresholds[part], values[:, -1])
            found, complete = settle(
                points,
                order[part],
                values,
                order[ids],
                unit=folded.unit,
                spreads=folded.spreads[part],
                limit=limit,
                n_neighbors=n_neighbors,
                seed=seed,
            )
            rows = order[part][complete]
            neighbors[rows], done[rows] = found, True
    return done


@dataclass(frozen=True)
class Folded:
    """Factors whose product has the squared distances of all pairs as entries, and the squared norms."""

    left: _Floats  # (n, d + 2)
    right: _Floats  # (d + 2, n), or more: columns of points that are far from all fill up the last tile
    spreads: _Array  # (n,)
    norms: _Array  # (n,), distances from the origin

    @property
    def unit(self) -> float:
        """Entries v of a row with spread s are wrong by at most ``unit * (6 s + 4 v)``."""
        return (self.left.shape[1] + 6) * 2.0**-24

    def sorted_by(self, order: _Indices) -> Folded:
        """Return the factors of the points in another order."""
        n, d = self.left.shape
        right = np.zeros((d, -(-n // _WIDTH) * _WIDTH), dtype=np.float32)
        np.take(self.right, order, axis=1, out=right[:, :n])
        right[-1, n:] = 3 * LARGEST
        return Folded(self.left[order], right, self.spreads[order], self.norms[order])


def fold(points: _Array, center: _Array) -> Folded:
    """Return the factors of points (n, d) that are scaled to a typical distance of 1 from their centre."""
    centered = points - center
    spreads = np.einsum("ij,ij->i", centered, centered)
    # Rows that far out are put where no other row finds them near.
    far = spreads > LARGEST
    centered[far] = 0
    norms = np.where(far, 3 * LARGEST, spreads)
    ones = np.ones(len(points))
    left = np.column_stack([centered, norms, ones]).astype(np.float32)
    right = np.vstack([-2 * centered.T, ones, norms]).astype(np.float32)
    return Folded(left, right, spreads, np.sqrt(np.einsum("ij,ij->i", points, points)))


def _thresholds(folded: Folded, k: int, rng: np.random.Generator) -> _Floats | None:
    """Return a threshold for each row, minus infinity for rows that are left out; None if there are too few rows."""
    n = len(folded.left)
    design = _best_design(n, k)
    if design is None:
        return None
    n_sampled = design.n_groups * design.size
    sampled = np.ascontiguousarray(folded.right[:, rng.choice(n, n_sampled, replace=False)])
    thresholds = np.empty(n, dtype=np.float32)
    buffer = np.empty((_HEIGHT, n_sampled), dtype=np.float32)
    for start in range(0, n, _HEIGHT):
        rows = folded.left[start : start + _HEIGHT]
        least = np.matmul(rows, sampled, out=buffer[: len(rows)])
        while (half := least.shape[1] // 2) >= design.n_groups:
            least = np.minimum(least[:, :half], least[:, half:], out=least[:, :half])
        own = np.partition(least, design.rank - 1, axis=1)[:, design.rank - 1]
        # Far more groups that reach the threshold than were meant to are ties.
        crowded = 2 * np.count_nonzero(least <= own[:, None], axis=1) > design.rank + design.n_groups
        thresholds[start : start + _HEIGHT] = np.where(crowded, -np.inf, own)
    thresholds[folded.spreads > LARGEST] = -np.inf
    return thresholds


@dataclass(frozen=True)
class _Design:
    """How a threshold comes from a sample: groups of columns, of whose least distances it is the rank-th smallest.

    Minima are cheap where order statistics of all columns are not. The share p of all points below the threshold has
    1 - (1 - p)^size ~ Beta(rank, n_groups - rank + 1).
    """

    n_groups: int
    size: int
    rank: int

    @property
    def share(self) -> float:
        return 1 - (1 - self.rank / (self.n_groups + 1)) ** (1 / self.size)


@lru_cache
def _best_design(n: int, k: int) -> _Design | None:
    """Return the design that takes least time, of those whose threshold is hardly ever too small."""
    designs = [
        _Design(n_groups, size, int(safe[0]))
        for n_groups in (32, 64, 128)
        for size in (2**i for i in range(7))
        if n_groups * size <= n and len(safe := _safe_ranks(n_groups, size, k / n))
    ]
    return min(designs, key=lambda one: one.n_groups * one.size + _SURVIVOR_COST * n * one.share, default=None)


def _safe_ranks(n_groups: int, size: int, share: float) -> _Indices:
    ranks = np.arange(1, n_groups + 1)
    return ranks[stats.beta.cdf(1 - (1 - share) ** size, ranks, n_groups + 1 - ranks) <= _RISK]


@dataclass(frozen=True)
class _Layout:
    """Row, squared distance and column in 64 bits, so that sorting numbers sorts pairs by row and distance."""

    column_bits: int

    @property
    def most_rows(self) -> int:
        return 2 ** (32 - self.column_bits)

    def pack(self, rows: _Indices, values: _Floats, columns: _Indices) -> _Keys:
        # Bits of floats that are not negative sort as the floats do.
        keys = (rows << 32).view(np.uint64)
        keys |= np.maximum(values, 0).view(np.uint32)
        keys <<= np.uint64(self.column_bits)
        keys |= columns.view(np.uint64)
        return keys

    def values(self, keys: _Keys) -> _Floats:
        return (keys >> np.uint64(self.column_bits)).astype(np.uint32).view(np.float32)

    def columns(self, keys: _Keys) -> _Indices:
        return (keys & np.uint64(2**self.column_bits - 1)).view(np.int64)


def _surviving_pairs(folded: Folded, thresholds: _Floats, panel: slice, layout: _Layout) -> Iterator[_Keys]:
    """Yield the pairs below the threshold of their row, packed; rows count from the start of the panel."""
    n = len(folded.left)
    both_ways = panel.stop - panel.start == n  # then each pair is computed once
    tile, below = np.empty((_HEIGHT, _WIDTH), dtype=np.float32), np.empty((_HEIGHT, _WIDTH), dtype=bool)
    padded = np.concatenate([thresholds, np.full(-n % _WIDTH, -np.inf, dtype=np.float32)])
    for top in range(panel.start, panel.stop, _HEIGHT):
        height = min(_HEIGHT, panel.stop - top)
        for left in range(top // _WIDTH * _WIDTH if both_ways else 0, n, _WIDTH):
            np.matmul(folded.left[top : top + height], folded.right[:, left : left + _WIDTH], out=tile[:height])
            # Of two rows the later has the larger threshold.
            limit = padded[left : left + _WIDTH] if both_ways else thresholds[top : top + height, None]
            np.less_equal(tile[:height], limit, out=below[:height])
            flat = _true_entries(below[:height].reshape(-1))
            values = tile.reshape(-1).take(flat)
            rows, columns = (flat >> _WIDTH_BITS) + top, (flat & (_WIDTH - 1)) + left
            if not both_ways:
                values[rows == columns] = np.inf
            elif left < top + height:
                keep = np.flatnonzero(columns > rows)
                rows, columns, values = rows[keep], columns[keep], values[keep]
            for i, j in ((rows, columns), (columns, rows)) if both_ways else ((rows, columns),):
                near = np.flatnonzero(values <= thresholds.take(i))
                yield layout.pack(i[near] - panel.start, values[near], j[near])


def _true_entries(mask: NDArray[np.bool_]) -> _Indices:
    """Return what ``np.flatnonzero`` does, faster where few entries are true: by whole bytes of packed bits."""
    packed = np.packbits(mask)
    occupied = np.flatnonzero(packed != 0)
    places = np.flatnonzero(np.unpackbits(packed[occupied]).view(bool))
    return occupied.take(places >> 3) * 8 + (places & 7)


def _listed(keys: _Keys, panel: slice, width: int, layout: _Layout) -> Iterator[tuple[slice, _Floats, _Indices]]:
    """Yield blocks of rows with their nearest survivors side by side, sorted, and infinity where there are no more."""
    n_rows = panel.stop - panel.start
    starts = np.searchsorted(keys, np.arange(n_rows, dtype=np.uint64) << np.uint64(32 + layout.column_bits))
    ends = np.append(starts[1:], len(keys))
    places = np.arange(width)
    for start in range(0, n_rows, _SETTLED_ROWS):
        stop = min(start + _SETTLED_ROWS, n_rows)
        listed = starts[start:stop, None] + places
        own = keys.take(listed, mode="clip")
        values = np.where(listed < ends[start:stop, None], layout.values(own), np.float32(np.inf))
        yield slice(panel.start + start, panel.start + stop), values, layout.columns(own)
