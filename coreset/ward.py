"""Ward's method: the two points that cost least to merge are merged, again and again."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Pair = tuple[int, int]  # positions of the point that stays, the heavier one, and of the one that goes into it
# Multiplications that looking for the nearest points of one class may take; of larger classes the lightest points alone
# look for a neighbour.
_MOST_PRODUCTS = 1 << 30
_LEAST_LOOKING = 256
_BLOCK_VALUES = 1 << 21


def merged(points: Floats, weights: Floats, n_points: int) -> Floats:
    """So many weighted means, by merging pairs.

    Parameters
    ----------
    points : ndarray of shape (m, d)
    weights : ndarray of shape (m,)
        Not negative.
    n_points : int
        At least one.

    Returns
    -------
    ndarray of shape (n_points, d), or a copy of `points` when there are no more
    """
    return next(nested(points, weights, [n_points]))


def nested(points: Floats, weights: Floats, sizes: Iterable[int]) -> Iterator[Floats]:
    """Like `merged` for falling numbers of points, each merged from those before."""
    means, masses, alive = points.copy(), weights.copy(), np.ones(len(points), dtype=bool)
    order, left = merge_order(points, weights, None), len(points)
    for size in sizes:
        for into, gone in itertools.islice(order, max(0, left - size)):
            means[into] += joined_share(masses, into, gone) * (means[gone] - means[into])
            masses[into] += masses[gone]
            alive[gone] = False
            left -= 1
        yield means[alive]


def merge_order(columns: Floats, weights: Floats, classes: NDArray[Any] | None) -> Iterator[Pair]:
    """Pairs to merge, the cheapest first, until each class has one point left.

    The cost of a pair is what merging adds to the k-means cost, ``w1 w2 / (w1 + w2) |p1 - p2|^2``.

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

    References
    ----------
    Ward, "Hierarchical grouping to optimize an objective function", JASA 58, 1963.
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
        # Of equally heavy ones the first, so that rounding does not tell: the pair stands on the heap both ways.
        into, gone = sorted((one, other), key=lambda point: (-masses[point], point))
        points[into] += joined_share(masses, into, gone) * (points[gone] - points[into])
        masses[into] += masses[gone]
        alive[gone] = False
        version[into] += 1
        left -= 1
        _push(heap, points, masses, members[codes[into]], into, alive, version)
        yield into, gone


def joined_share(masses: Floats, into: int, gone: int) -> float:
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
