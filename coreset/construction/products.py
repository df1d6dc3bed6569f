"""Products of columns within cells, summed over some of the rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..nearest import Floats
from ..targets import NUMERIC
from .rows import Rows

# Columns up to which the products of every two of them are summed.
_MOST_COLUMNS = 1024
# Rows, and rows for each column, that are looked at at least.
_ROWS = 10_000
_ROWS_PER_COLUMN = 32
# Rows that are multiplied at once: fewer make slow products.
_BATCH = 512
_GOLDEN_RATIO = 0.6180339887498949


class Products:
    """Sum, over cells, of the products of what a row has beyond its cell's mean in two columns.

    Of many rows some tell enough about it; their sum is scaled to the squares of all rows.

    Parameters
    ----------
    rows : Rows
        All that are going to be summarised.
    wanted : bool, default=True
        Whether there is to be a sum at all.

    Attributes
    ----------
    squares : float
        Weighted sum of the squares in all columns of all rows; for those who add rows to keep.
    """

    def __init__(self, rows: Rows, *, wanted: bool = True) -> None:
        n_columns = rows.X.shape[1]
        self._n_features = n_columns - (rows.target_type == NUMERIC)
        wanted = wanted and self._n_features <= _MOST_COLUMNS
        self._total = np.zeros((self._n_features, n_columns)) if wanted else None
        self._heaviest = float(rows.weights.max())
        self._share = max(_ROWS, _ROWS_PER_COLUMN * n_columns) / len(rows)
        self._n_seen = 0
        self._batch: list[tuple[Floats, Floats]] = []
        self.squares = 0.0

    def add(self, gap: Floats, weights: NDArray[np.float64]) -> None:
        """Take in rows less their means.

        Rows are picked by multiples of the golden ratio, a pattern that no order of a table's rows repeats.

        Parameters
        ----------
        gap : ndarray of shape (r, d), or (r, d + 1) with a numeric target, scaled, as the last column
        weights : ndarray of shape (r,)
        """
        if self._total is None:
            return
        picked = np.arange(self._n_seen, self._n_seen + len(gap))
        self._n_seen += len(gap)
        if self._share < 0.5:
            picked = picked[picked * _GOLDEN_RATIO % 1 < self._share]
        picked -= self._n_seen - len(gap)
        self._batch.append((gap[picked], (weights[picked, None] / self._heaviest).astype(gap.dtype)))
        if sum(len(rows) for rows, _ in self._batch) >= _BATCH:
            self._multiply()

    def _multiply(self) -> None:
        if self._total is not None and self._batch:
            gaps, weights = (np.concatenate(parts) for parts in zip(*self._batch, strict=True))
            self._total += (weights * gaps[:, : self._n_features]).T @ gaps
            self._batch = []

    def within(self, rows: Rows) -> NDArray[np.float64] | None:
        """Sum of the covariances within cells and within what the rows stood for already.

        Parameters
        ----------
        rows : Rows
            All that were summarised.

        Returns
        -------
        ndarray of shape (d, d), or (d, d + 1) with a numeric target, in its units, as the last column; or None
            None when the columns are too many, or it is not wanted.
        """
        if self._total is None:
            return None
        self._multiply()
        seen = float(np.trace(self._total))
        total = self._total * (self.squares / seen if seen > 0 else 0.0)
        square = total[:, : self._n_features]
        square[:] = (square + square.T) / 2
        if rows.label_scale is not None:
            total[:, self._n_features :] /= rows.label_scale
        return total if rows.widths is None else total + rows.widths.within(rows.weights)
