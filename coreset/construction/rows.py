"""Rows: the checked input of a construction, and what its rows are sampled by."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..clustering import seed_centers
from ..nearest import Floats, nearest_index, squares_and_closest
from ..widths import Widths

# Rows of a table that may be sampled at least; seeds for the law of that, and the least share of the mass round one.
_SAMPLED_ROWS = 200_000
_SEEDS = 16
_LEAST_SEED_SHARE = 0.002
# Of tables with so many times the rows that a sample would have, a sample is taken.
SAMPLED_SHARE = 4


@dataclasses.dataclass(frozen=True)
class Rows:
    """Checked input of a construction.

    Parameters
    ----------
    X : ndarray of shape (n, d), float32 or float64, C order
    weights : ndarray of shape (n,), float64
        Positive.
    labels : ndarray of shape (n,), optional
        float64 when the target is numeric.
    indices : ndarray of shape (n,), int64, optional
        Row numbers in the caller's table; by default the positions here.
    source_dtype : numpy.dtype
        As the caller stored the table.
    widths : Widths, optional
        Of what each row stands for already, when the rows are the points of a summary.
    target_type : {"class", "numeric"}, optional
        What the labels are; None without labels.
    label_scale : float, optional
        Units of X that a unit of a numeric target counts as; None while it is to be chosen.
    summarised : bool
        Whether the rows are the points of a summary.
    seeded : bool
        Whether `importance` looks at distances to a few seeds, too.
    """

    X: Floats
    weights: NDArray[np.float64]
    labels: NDArray[Any] | None
    indices: NDArray[np.int64] | None
    source_dtype: np.dtype[Any]
    widths: Widths | None = None
    target_type: str | None = None
    label_scale: float | None = None
    summarised: bool = False
    seeded: bool = False

    def __len__(self) -> int:
        return len(self.X)

    def take(self, rows: NDArray[Any] | slice) -> Rows:
        """Subset of the rows."""
        return dataclasses.replace(
            self,
            X=self.X[rows] if isinstance(rows, slice) else self.X.take(rows, axis=0),
            weights=self.weights[rows],
            labels=None if self.labels is None else self.labels[rows],
            indices=self.numbers(rows),
            widths=None if self.widths is None else self.widths.take(rows),
        )

    def numbers(self, rows: NDArray[Any] | slice) -> NDArray[Any]:
        """Numbers of these rows in the caller's table."""
        if self.indices is None:
            return np.arange(len(self))[rows] if isinstance(rows, slice) else rows
        return self.indices[rows]

    @property
    def squares(self) -> NDArray[np.float64]:
        """Squared distance of every row to the weighted mean, to a thousandth of their sum."""
        return self._passed[0]

    @property
    def importance(self) -> NDArray[np.float64]:
        """What rows are sampled by, beside their mass: `squares` and, where asked for, distances to a few seeds.

        Seeds make rows count that lie far from all large clusters, be they near the mean or not.
        """
        return self._passed[1]

    @functools.cached_property
    def _passed(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What one pass over the rows gives: squares and importance."""
        squares, closest = squares_and_closest(self.X, self.weights, self._seeds() if self.seeded else None)
        if closest is None:
            return squares, squares
        totals = [float(self.weights @ part) for part in (squares, closest)]
        if min(totals) <= 0 or not max(totals) < math.inf:
            return squares, squares
        closest *= totals[0] / totals[1]
        closest += squares
        return squares, closest

    def for_sampling(self, seeded: bool) -> Rows:
        """The same rows, whose `importance` looks at seeds if asked for and if they are so many that it may matter."""
        return dataclasses.replace(self, seeded=seeded and len(self) >= _SAMPLED_ROWS)

    def forget(self) -> None:
        """Free what `squares` and `importance` hold; they are computed anew if asked for again."""
        vars(self).pop("_passed", None)

    def _seeds(self) -> Floats | None:
        """Some rows in the larger clusters; one in a small cluster would hide it."""
        step = 1 + (len(self) >> 13)  # some 8,000 rows
        X, weights = self.X[::step], self.weights[::step] / self.weights.max()
        if not np.abs(X).max() < 1e12:  # not a number, or too large for squares in float32
            return None
        # They only shape the law of a draw, which is random itself.
        seeds = X[seed_centers(X, weights, _SEEDS, np.random.default_rng(0))]
        masses = np.bincount(nearest_index(X, seeds), weights=weights, minlength=len(seeds))
        return seeds[masses >= _LEAST_SEED_SHARE * weights.sum()]
