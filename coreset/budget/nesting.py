"""A nested chain of coresets: each has one point fewer than the one before, of which the cheapest pair was merged."""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Iterator
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from ..points import Coreset
from ..targets import CLASS, NUMERIC

Floats = NDArray[np.float64]
Pair = tuple[int, int]  # positions of the point that stays, the heavier one, and of the one that goes into it
# Multiplications that looking for the nearest points of one class may take; of larger classes the lightest points alone
# look for a neighbour.
_MOST_PRODUCTS = 1 << 30
_LEAST_LOOKING = 256
_BLOCK_VALUES = 1 << 21


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


def merge_order(columns: Floats, weights: Floats, classes: NDArray[Any] | None) -> Iterator[Pair]:
    """Pairs to merge, the cheapest first, until each class has one point left.

    Parameters
    ----------
    columns : ndarray of shape (m, d)
    weights : ndarray of shape (m,)
        Not negative.
    classes : ndarray of shape (m,), optional
        Points of different classes never merge.

    Yields
    ------
    tuple of int
        Position that stays, which is that of the heavier point, and position that goes.
    """
    points = columns.copy()
    masses = np.ldexp(weights, -np.frexp(weights.max())[1])  # which changes no order, so that no product overflows
    codes = np.zeros(len(points), dtype=np.intp) if classes is None else np.unique(classes, return_inverse=True)[1]
    members = np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1])
    alive = np.ones(len(points), dtype=bool)
    version = np.zeros(len(points), dtype=np.intp)
    heap: list[tuple[float, int, int, int, int]] = []
    left = len(points) - len(members)
    while left:
        if not heap:
            for part in members:
                heap += _nearest_pairs(points, masses, part[alive[part]], version)
            heapq.heapify(heap)
        _, one, other, seen, other_seen = heapq.heappop(heap)
        if not alive[one]:
            continue
        if not alive[other] or version[one] != seen or version[other] != other_seen:
            # Merging makes no pair cheaper than both that it came of, so that this one's cost was a lower bound.
            if version[one] == seen:
                _push(heap, points, masses, members[codes[one]], one, alive, version)
            continue
        into, gone = (one, other) if masses[one] >= masses[other] else (other, one)
        points[into] += _share(masses, into, gone) * (points[gone] - points[into])
        masses[into] += masses[gone]
        alive[gone] = False
        version[into] += 1
        left -= 1
        _push(heap, points, masses, members[codes[into]], into, alive, version)
        yield into, gone


def _share(masses: Floats, into: int, gone: int) -> float:
    """How far the point that stays moves towards the one that goes."""
    mass = masses[into] + masses[gone]
    return float(masses[gone] / mass) if mass > 0 else 0.5


def _push(
    heap: list[tuple[float, int, int, int, int]],
    points: Floats,
    masses: Floats,
    part: NDArray[np.intp],
    one: int,
    alive: NDArray[np.bool_],
    version: NDArray[np.intp],
) -> None:
    """Put a point's cheapest partner on the heap."""
    others = part[alive[part]]
    others = others[others != one]
    if len(others) == 0:
        return
    gaps = points[others] - points[one]
    costs = np.einsum("ij,ij->i", gaps, gaps) * _factors(masses[one], masses[others])
    best = int(costs.argmin())
    other = int(others[best])
    heapq.heappush(heap, (float(costs[best]), one, other, int(version[one]), int(version[other])))


def _nearest_pairs(
    points: Floats, masses: Floats, part: NDArray[np.intp], version: NDArray[np.intp]
) -> list[tuple[float, int, int, int, int]]:
    """Cheapest partner of the points of a class, or of its lightest."""
    if len(part) < 2:
        return []
    X, own = points[part] - points[part].mean(axis=0), masses[part]
    n_looking = min(len(part), max(_LEAST_LOOKING, _MOST_PRODUCTS // X.size))
    looking = np.arange(len(part)) if n_looking == len(part) else np.argsort(own, kind="stable")[:n_looking]
    norms = np.einsum("ij,ij->i", X, X)
    step = max(1, _BLOCK_VALUES // len(part))
    pairs = []
    for start in range(0, n_looking, step):
        rows = looking[start : start + step]
        costs = np.maximum(norms[rows, None] + norms - 2 * (X[rows] @ X.T), 0.0)
        costs *= _factors(own[rows, None], own)
        costs[np.arange(len(rows)), rows] = np.inf
        best = costs.argmin(axis=1)
        for row, other, cost in zip(rows, best, costs[np.arange(len(rows)), best], strict=True):
            one, two = int(part[row]), int(part[other])
            pairs.append((float(cost), one, two, int(version[one]), int(version[two])))
    return pairs


def _factors(one: Any, other: Floats) -> Floats:
    """Weight that a pair's squared distance counts with; zero weights cost nothing."""
    total = one + other
    factors: Floats = np.divide(one * other, total, out=np.zeros(np.shape(total)), where=total > 0)
    return factors


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
        share = _share(self._weights, into, gone)
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
