"""The error of a plan for rows of classes: how far the distribution that models are trained on is from that of rows."""

from __future__ import annotations

from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from ..construction import Rows
from ..nearest import Floats, mean_distance
from ..points import Coreset
from ..wire import calibrated_offset, columns_sent

_MOST_POINTS = 8192  # of a class; of more, every second one (third one, ...) stands for all
_LEAST_ADDED = 0.05
_DEVIATES, _MOST_COPIES = 2048, 16  # of few points more, whose chance would show


@final
class EnergyYardstick:
    """Held-out rows, and the energy distance from them to the scatter of a message, class by class.

    The squared energy distance of each class, weighted by its mass. Unlike the distance to the nearest point, it counts
    what a summary loses of the spread of rows, and so ranks messages much as models trained on them do (ours; seen on
    four real tables). What so few held-out rows miss is left out: the mean over pairs of rows leaves each with itself
    aside.

    Parameters
    ----------
    X : ndarray of shape (r, d)
    weights : ndarray of shape (r,)
    classes : ndarray of shape (r,)

    References
    ----------
    Szekely and Rizzo, "Energy statistics: a class of statistics based on distances", Journal of Statistical Planning
    and Inference 143(8), 2013.
    """

    held_out = True

    def __init__(self, X: Floats, weights: NDArray[np.float64], classes: NDArray[Any]) -> None:
        self.X = X
        self._parts = []
        for label in np.unique(classes):
            own = np.flatnonzero((classes == label) & (weights > 0))
            if len(own) > 1:
                shares = weights[own] / weights[own].sum()
                among = mean_distance(X[own], X[own], shares, shares) / (1 - shares @ shares)
                self._parts.append((label, own, shares, float(weights[own].sum()), among))
        self._rows_error: float | None = None  # of rows that coresets are built of, times their number
        self._mass = sum(mass for _, _, _, mass, _ in self._parts)

    @property
    def described(self) -> str:
        """What errors are, for people."""
        return f"root energy distances, class by class, of {len(self.X)} held-out rows and the scatter of the message"

    @property
    def usable(self) -> bool:
        """Whether some class has two rows that differ."""
        return any(among > 0 for *_, among in self._parts)

    def mean_square(self, coreset: Coreset, columns: NDArray[np.float64] | None = None) -> float:
        """Squared error of a coreset, or of other values in the columns that it sends."""
        points = coreset.points if columns is None else columns
        offset = coreset.offset if columns is None else calibrated_offset(coreset, points, coreset.weights)
        # What a receiver knows of widths is their sum.
        cloud = Coreset(points, coreset.weights, labels=coreset.labels, offset=offset)
        if offset > 0:
            cloud = cloud.scatter(min(max(_DEVIATES // len(coreset) // 2 * 2, 2), _MOST_COPIES))
        found = 0.0
        for label, own, shares, mass, among in self._parts:
            members = np.flatnonzero((cloud.labels == label) & (cloud.weights > 0))
            members = members[:: 1 + (len(members) - 1) // _MOST_POINTS]
            if len(members) == 0:
                return np.inf
            deviates, masses = cloud.points[members], cloud.weights[members] / cloud.weights[members].sum()
            across = mean_distance(self.X[own], deviates, shares, masses)
            found += mass * (2 * across - among - mean_distance(deviates, deviates, masses, masses))
        return float(max(found / self._mass, 0.0))

    def what_rounding_adds(self, coreset: Coreset, columns: NDArray[np.float64], excess: float) -> tuple[float, float]:
        """What a codec counts as adding: the excess, but no less than a share of how far it moves points."""
        moved = np.sqrt(((columns_sent(coreset) - columns) ** 2).sum(axis=1)).mean()
        apart = sum(mass * among for *_, mass, among in self._parts) / self._mass
        added = max(excess, _LEAST_ADDED * float(moved) ** 2 / apart)
        return added, added

    def without_sampling(
        self, errors: NDArray[np.float64], sizes: NDArray[np.float64], rows: Rows
    ) -> NDArray[np.float64]:
        """What squared errors of coresets of these sizes would be, were they built of endless rows and not of these."""
        if self._rows_error is None:
            every = Coreset(rows.X.astype(np.float64), rows.weights, labels=rows.labels)
            self._rows_error = self.mean_square(every) * len(rows)
        # All rows are off by nothing else than that they are so many.
        left = np.maximum(1 - sizes / len(rows), 1 / len(rows))
        return np.asarray(np.maximum(errors - self._rows_error / len(rows), 1e-3 * errors) / left)

    def with_sampling(self, error: float, n_points: int, n_rows: int) -> float:
        """Inverse of `without_sampling` for another number of rows."""
        return error * max(1 - n_points / n_rows, 0.0) + (self._rows_error or 0.0) / n_rows
