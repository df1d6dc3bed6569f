"""A nested chain of coresets: each has one point fewer than the one before, of which the cheapest pair was merged."""

from __future__ import annotations

import dataclasses
from typing import final

import numpy as np
from numpy.typing import NDArray

from ..points import Coreset
from ..targets import CLASS, NUMERIC
from ..ward import Pair, joined_share, merge_order

Floats = NDArray[np.float64]


@final
class MergeChain:
    """Coresets of falling size, each made of the one before by merging the two points of a class that cost least.

    The cost of a pair is Ward's: what merging adds to the k-means cost, ``w1 w2 / (w1 + w2) |p1 - p2|^2``, in a space
    that has a scaled numeric target as a column. Offset, spread and covariance within cells stay exact as far as they
    were, certificates stay bounds. The points must be means of cells, not rows.

    Parameters
    ----------
    coreset : Coreset
        The largest one.
    power : {1, 2}, default=2
        What its spreads are: 2 for the root mean squared distance of a cell's rows, 1 for the mean distance.

    References
    ----------
    Ward, "Hierarchical grouping to optimize an objective function", JASA 58, 1963.
    """

    def __init__(self, coreset: Coreset, *, power: int = 2) -> None:
        self.coreset = coreset
        self._power = power
        classes = coreset.labels if coreset.target_type == CLASS else None
        self.least_points = 1 if classes is None else len(np.unique(classes))
        self._order = merge_order(_joint_columns(coreset), coreset.weights, classes)
        self._pairs: list[Pair] = []

    def __call__(self, n_points: int) -> Coreset:
        """The coreset of the chain with so many points.

        Parameters
        ----------
        n_points : int
            From `least_points` to the number of the largest.

        Returns
        -------
        Coreset
        """
        n_merges = len(self.coreset) - n_points
        if n_merges == 0:
            return self.coreset
        while len(self._pairs) < n_merges:
            self._pairs.append(next(self._order))
        merged = _Merged(self.coreset, self._power)
        for into, gone in self._pairs[:n_merges]:
            merged.merge(into, gone)
        return merged.coreset()


def _joint_columns(coreset: Coreset) -> Floats:
    """The points, and a numeric target as it counts in the certificate."""
    if coreset.target_type != NUMERIC or coreset.labels is None:
        return coreset.points
    return np.column_stack([coreset.points, (coreset.label_scale or 1.0) * coreset.labels])


class _Merged:
    """Fields of a coreset while its points merge."""

    def __init__(self, coreset: Coreset, power: int) -> None:
        self._coreset, self._power = coreset, power
        self._points, self._weights = coreset.points.copy(), coreset.weights.copy()
        self._numeric = coreset.target_type == NUMERIC
        self._labels = None if coreset.labels is None else coreset.labels.copy()
        self._spread = None if coreset.spread is None else coreset.spread.copy()
        self._offset, self._moved = coreset.offset, 0.0
        self._reach = np.zeros(len(coreset))  # how far any row of a cell has moved since the start, at most
        self._alive = np.ones(len(coreset), dtype=bool)
        self._within = None if coreset.within_covariance is None else coreset.within_covariance.copy()
        self._variances = None if coreset.group_variances is None else coreset.group_variances.copy()
        self._group_masses = (
            None
            if coreset.groups is None or coreset.group_variances is None
            else np.bincount(coreset.groups, weights=coreset.weights, minlength=len(coreset.group_variances))
        )

    def merge(self, into: int, gone: int) -> None:
        """Let one point go into a heavier one of its class."""
        gap = self._points[gone] - self._points[into]
        share = joined_share(self._weights, into, gone)
        moves = np.array([share, 1 - share])
        masses = self._weights[[into, gone]]
        lost = float(masses[0] * share)  # of two masses the product over the sum
        squared = float(gap @ gap)
        reach = squared
        if self._numeric and self._labels is not None:
            step = self._labels[gone] - self._labels[into]
            reach += float((self._coreset.label_scale or 1.0) * step) ** 2
            self._widen(lost, gap, np.append(gap, step))
            self._labels[into] += share * step
        else:
            self._widen(lost, gap, gap)
        distances = moves * np.sqrt(reach)
        self._moved += float(masses @ distances)
        self._reach[into] = float((self._reach[[into, gone]] + distances).max())
        self._offset += lost * squared
        if self._spread is not None:
            self._spread[into] = self._joined_spread(self._spread[[into, gone]], moves, squared)
        if self._variances is not None and self._group_masses is not None and self._coreset.groups is not None:
            group = self._coreset.groups[into]
            if self._group_masses[group] > 0:
                self._variances[group] += lost / self._group_masses[group] * gap**2
        self._points[into] += share * gap
        self._weights[into] += self._weights[gone]
        self._alive[gone] = False

    def coreset(self) -> Coreset:
        """What has become of it."""
        alive, old = self._alive, self._coreset
        return dataclasses.replace(
            old,
            points=self._points[alive],
            weights=self._weights[alive],
            labels=None if self._labels is None else self._labels[alive],
            offset=self._offset,
            spread=None if self._spread is None else self._spread[alive],
            groups=None if old.groups is None else old.groups[alive],
            group_variances=self._variances,
            within_covariance=self._within,
            max_displacement=old.max_displacement + float(self._reach.max()),
            total_displacement=old.total_displacement + self._moved,
            sample_indices=None,
        )

    def _widen(self, lost: float, gap: Floats, all_gaps: Floats) -> None:
        """Count what two points differ by among what varies within cells."""
        total = self._coreset.total_weight
        if self._within is not None and total > 0:
            self._within += lost / total * np.outer(gap, all_gaps)

    def _joined_spread(self, spreads: Floats, moves: Floats, squared: float) -> float:
        shares = moves[::-1]  # of the mass: the heavier point moves less
        squares = spreads**2 + moves**2 * squared
        return float(np.sqrt(shares @ squares) if self._power == 2 else shares @ np.sqrt(squares))
