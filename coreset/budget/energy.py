"""The error of a plan for rows of classes: how far the distribution that models are trained on is from that of rows."""

from __future__ import annotations

import dataclasses
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
        self._mass = sum(mass for _, _, _, mass, _ in self._parts)

    @property
    def described(self) -> str:
        """What errors are, for people."""
        return f"root energy distances, class by class, of {len(self.X)} held-out rows and the scatter of the message"

    @property
    def usable(self) -> bool:
        """Whether some class has two rows that differ."""
        return any(among > 0 for *_, among in self._parts)

    def squared_error(self, coreset: Coreset, columns: NDArray[np.float64] | None = None) -> float:
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
            if len(members) == 0:
                return np.inf
            members = members[:: -(-len(members) // _MOST_POINTS)]
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

    def sampling(self, rows: Rows) -> EnergySampling:
        """What it adds to errors that coresets are built of these rows and not of endless ones."""
        every = Coreset(rows.X.astype(np.float64), rows.weights, labels=rows.labels)
        return EnergySampling(len(rows), self.squared_error(every))


@dataclasses.dataclass(frozen=True)
class EnergySampling:
    """The part of squared errors that comes from building coresets of few rows: all of it where all rows are points.

    Parameters
    ----------
    n_rows : int
    error : float
        Squared error of the rows themselves.
    """

    n_rows: int
    error: float

    def removed(self, errors: NDArray[np.float64], sizes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Squared errors of coresets of these sizes, had they been built of endless rows."""
        left = np.maximum(1 - sizes / self.n_rows, 1 / self.n_rows)
        return np.asarray(np.maximum(errors - self.error, 1e-3 * errors) / left)

    def restored(self, error: float, n_points: int, n_rows: int) -> float:
        """Inverse of `removed`, for another number of rows."""
        return error * max(1 - n_points / n_rows, 0.0) + self.error * self.n_rows / n_rows
