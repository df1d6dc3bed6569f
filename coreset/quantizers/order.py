"""In which order the codes of a table are coded: many at a time that do not need each other."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

_NARROW = 128  # columns
_FIRST = 4  # points of a narrow table's first pass, at most
_WIDE_STRIDE = 4
_SKEW = 3  # pixels that a row of an image is behind the one above, which so is known up to two to the right
_BATCH = 2048  # codes of a wide table that are coded together
_MOST = 1 << 15  # codes of one pass and group


@dataclasses.dataclass(frozen=True)
class Pass:
    """Points that are coded together, and those that are known by then, which have them halfway between."""

    rows: slice
    known: slice


def passes(n_points: int, n_columns: int) -> list[Pass]:
    """Every k-th point first, then those halfway between, and so on: most have known ones on both sides.

    In a narrow table the first pass is of few points, since nobody knows of a column what its codes are like. In a wide
    one, neighbours do.
    """
    stride = _WIDE_STRIDE
    while n_columns <= _NARROW and stride * _FIRST < n_points:
        stride *= 2
    found = [Pass(slice(0, n_points, stride), slice(0, 0))]
    while stride > 1:
        half = stride // 2
        if half < n_points:
            found.append(Pass(slice(half, n_points, stride), slice(0, n_points, stride)))
        stride = half
    return found


@dataclasses.dataclass(frozen=True)
class Order:
    """Columns in the order in which they are coded, in groups whose members do not tell of each other.

    Parameters
    ----------
    columns : ndarray of int
        The columns.
    ranks : ndarray of int
        Their places among all that are coded, in the table's order.
    starts : ndarray of int
        The first place of each group, and the number of columns.
    stride : int
        Columns a row of an image, or 0 for tables.
    """

    columns: NDArray[np.intp]
    ranks: NDArray[np.intp]
    starts: NDArray[np.intp]
    stride: int

    def n_batches(self, n_points: int) -> int:
        """Steps of a walk through the table: each group comes to every pass, one step after the group before."""
        n_groups = len(self.starts) - 1
        return n_groups + len(passes(n_points, len(self.columns))) - 1 if n_groups else 0

    @classmethod
    def of(cls, columns: NDArray[np.intp], n_points: int, stride: int) -> Order:
        """Diagonals of an image, each with those pixels that have all neighbours above and to the left before them.

        A wide table's columns are dealt to strips, as many as fill a batch, and each group has the next column of each.
        A narrow one's come one by one, since some may tell much of others.
        """
        n_columns = len(columns)
        ranks = np.arange(n_columns)
        if stride:
            waves = columns % stride + _SKEW * (columns // stride)
        else:
            n_strips = max(1, min(_BATCH // n_points, n_columns // 16)) if n_columns > _NARROW else 1
            waves = ranks % -(-n_columns // n_strips) if n_columns else ranks
        order = np.argsort(waves, kind="stable")
        waves = waves[order]
        fresh = np.flatnonzero(np.diff(waves, prepend=-1))
        most = max(1, _MOST // n_points)
        ends = np.append(fresh[1:], n_columns)
        starts = [np.arange(start, end, most) for start, end in zip(fresh, ends, strict=True)] if n_columns else []
        return cls(columns[order], order, np.concatenate([*starts, [n_columns]]).astype(np.intp), stride)
