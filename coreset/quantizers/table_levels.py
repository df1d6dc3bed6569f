"""Levels of a few bits for a whole table, fitted to its values and written as a list or by its ends."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from .base import Shape
from .bits import packed_size
from .headers import check_finite, cut, narrowed
from .masks import packed_masks, unpacked_mask

Floats = NDArray[np.float64]
_MOST_LISTED = 4  # bits of levels that are listed one by one
_ROUNDS = 96
_SAMPLE = 1 << 16  # values by which the table's levels are fitted


@dataclasses.dataclass(frozen=True)
class TableLevels:
    """One list of levels for the table. A column of first levels is idle.

    Up to 16 levels are where the values are (Lloyd, 1982). More are at equal distances: their list would take long to
    write, and among codes that are squeezed afterwards equal distances are as good.
    """

    levels: Floats
    active: NDArray[np.bool_]

    @classmethod
    def fit(cls, points: Floats, bits: int) -> TableLevels:
        """Levels with a small squared error, as they will be written."""
        if bits > _MOST_LISTED:
            levels = _between(_kept(np.array([points.min(), points.max()])), bits)
        else:
            levels = _kept(_lloyd(points, 2**bits))
        every = cls(levels, np.ones(points.shape[1], dtype=bool))
        return cls(levels, np.asarray(every.codes(points).any(axis=1)))

    def spaced(self, points: Floats) -> TableLevels:
        """The same: lists are spaced as values are, and levels by their ends equally."""
        return self

    def codes(self, points: Floats) -> NDArray[np.uint8]:
        """The nearest level of each value, of shape (d, n)."""
        if len(self.levels) > 1 << _MOST_LISTED:
            low, span = self.levels[0], self.levels[-1] - self.levels[0]
            shares = (points.T - low) / (span if span > 0 else 1.0)
            return np.rint(shares.clip(0, 1) * (len(self.levels) - 1)).astype(np.uint8)
        halfway = self.levels[1:] / 2 + self.levels[:-1] / 2
        codes = np.zeros(points.T.shape, dtype=np.uint8)
        for bound in halfway:  # at most fifteen comparisons, each far faster than a search
            codes += bound < points.T
        return codes

    def values(self, codes: NDArray[np.uint8]) -> Floats:
        """Values of codes of shape (d, n)."""
        return self.levels[codes]

    @property
    def scales(self) -> Floats:
        """The distance between the first and the last level, for each column."""
        return np.full(len(self.active), self.levels[-1] - self.levels[0])

    def to_bytes(self, row: int = 0) -> bytes:
        """The mask of idle columns and the levels, or their ends.

        Of images, `row` is the number of columns in one of their rows.
        """
        written = self.levels[[0, -1]] if len(self.levels) > 1 << _MOST_LISTED else self.levels
        narrow = bool((narrowed(written) == written).all())
        mask = packed_masks([self.active], row)
        return bytes([not narrow]) + mask + written.astype("<f4" if narrow else "<f8").tobytes()

    @classmethod
    def from_bytes(cls, data: bytes, n_features: int, bits: int) -> tuple[TableLevels, bytes]:
        """Inverse of `to_bytes` for bytes that may be hostile, with the bytes that follow."""
        if not data or data[0] > 1:
            raise ValueError("the point block's header is not one of a table's levels")
        stored = np.dtype("<f8" if data[0] else "<f4")
        active, data = unpacked_mask(data[1:], n_features)
        listed, data = cut(data, stored.itemsize * (2 if bits > _MOST_LISTED else 1 << bits))
        levels = np.frombuffer(listed, stored).astype(np.float64)
        check_finite(levels, levels)
        return cls(_between(levels, bits) if bits > _MOST_LISTED else levels, active), data

    @staticmethod
    def max_bytes(shape: Shape, bits: int) -> int:
        """No levels of such a table take more."""
        return 1 + 1 + packed_size(shape[1], 1) + (16 if bits > _MOST_LISTED else 8 << bits)


def _lloyd(points: Floats, n_levels: int) -> Floats:
    """Ascending levels at the means of the values nearest to them, or the values themselves where they are few."""
    flat = points.ravel()
    sample = np.sort(flat[:: max(1, -(-len(flat) // _SAMPLE))])
    distinct = np.unique(sample)
    if len(distinct) <= n_levels:
        distinct = np.unique(flat)
    if len(distinct) <= n_levels:
        return np.concatenate([distinct, np.full(n_levels - len(distinct), distinct[-1])])
    scale = float(max(abs(distinct[0]), abs(distinct[-1])))
    sample, distinct = sample / scale, distinct / scale
    middles = (np.arange(n_levels) + 0.5) / n_levels
    # Quantiles of the distinct values, where a background, however large, gets one level; or equal distances.
    starts = (np.quantile(distinct, middles), distinct[0] + middles * (distinct[-1] - distinct[0]))
    return np.asarray(min((_lloyd_from(start, sample) for start in starts), key=lambda found: found[0])[1] * scale)


def _lloyd_from(levels: Floats, sample: Floats) -> tuple[float, Floats]:
    """Squared error and levels after nearest values and means in turn, of an ascending sample."""
    sums, squares = (np.concatenate([[0.0], np.cumsum(part)]) for part in (sample, np.square(sample)))
    for _ in range(_ROUNDS):
        cuts = np.concatenate([[0], np.searchsorted(sample, (levels[1:] + levels[:-1]) / 2), [len(sample)]])
        counts, masses = np.diff(cuts), np.diff(sums[cuts])
        error = float((np.diff(squares[cuts]) - 2 * levels * masses + counts * levels**2).sum())
        moved = np.where(counts > 0, masses / np.maximum(counts, 1), levels)
        if (moved == levels).all():
            break
        levels = moved
    return error, levels


def _between(ends: Floats, bits: int) -> Floats:
    """Levels at equal distances; weighing both ends, instead of adding steps to one, gives both back exactly."""
    share = np.arange(1 << bits) / ((1 << bits) - 1)
    return ends[0] * (1 - share) + ends[1] * share


def _kept(levels: Floats) -> Floats:
    """Levels, or ends, as float32 holds them, where that shifts none by more than a small part of their range.

    Stricter than levels need, so that what was decoded is written again as it is.
    """
    narrow = narrowed(levels)
    return narrow if (np.abs(narrow - levels) <= 4e-7 * np.ptp(levels)).all() else levels
