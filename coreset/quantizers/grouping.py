"""Rough groups of points, as many as pay when points are sent relative to their group's centre."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, ward

from ..clustering import group_means
from ..nearest import nearest_index

_MOST_GROUPS = 256  # one byte says how many
_SAMPLE = 2048  # points that are merged one by one, which takes the square of that
_SAMPLE_PRODUCTS = 1 << 29  # likewise for wide tables, whose distances take long
_ROUNDS = 2  # of Lloyd's method, after merging
_LEAST_GAIN = 0.25  # bits a value that groups should save; a model of codes around a code finds as much by itself
_FINEST = 2.0**-16  # of the columns' ranges: widths of groups below that are as good as none
_BITS_A_GROUP = 16  # how many points it has, and what entropy coding of centres costs beside their digits


def rough_groups(points: NDArray[np.float64]) -> NDArray[np.intp] | None:
    """Number of each point's group, or None where groups would not pay.

    Points are merged by Ward's method, which does not depend on their order. The number of groups is the one of the
    fewest bits in all, at equal error: each group takes a centre, and each value ``log2`` of how much narrower groups
    are than the table fewer bits.

    Parameters
    ----------
    points : ndarray of shape (n, d)
        Widths are compared as they are, so columns should be in units that matter equally.

    Returns
    -------
    ndarray of shape (n,), intp, or None

    Examples
    --------
    >>> import numpy as np
    >>> points = np.repeat([[0.0, 0.0], [9.0, 1.0]], 50, axis=0) + np.random.default_rng(0).normal(0, 0.01, (100, 2))
    >>> np.flatnonzero(np.diff(rough_groups(points))).tolist()
    [49]
    """
    scaled = _scaled(points)
    if len(points) < 4 or not scaled.any():
        return None
    sample = _sample(scaled)
    merges = ward(sample)
    n_groups = _number_that_pays(sample, merges[:, 2], len(points))
    if n_groups == 1:
        return None
    groups = fcluster(merges, n_groups, "maxclust") - 1
    centers = _means(sample, groups)
    for _ in range(_ROUNDS):
        groups = nearest_index(scaled, centers)
        groups = np.unique(groups, return_inverse=True)[1]
        centers = _means(scaled, groups)
    return groups


def best_step(points_a_group: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """The best distance between a centre's levels, in units of a group's width.

    Levels so far apart add a uniform error to what r points differ from their centre by. It costs them
    ``r / 2 log2(1 + step^2 / 12)`` bits in a column, while the centre saves ``log2(step)``: the least is where
    ``step^2 = 12 / (r - 1)``.
    """
    return np.sqrt(12 / (np.maximum(points_a_group, 2) - 1))


def _scaled(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centred and within -1 and 1, so that no square overflows; zeros where all points are equal."""
    scaled = points
    for _ in range(2):  # sums of the largest doubles overflow, so the first division is before the mean
        largest = float(np.abs(scaled).max())
        scaled = scaled / (largest if largest > 0 else 1.0)
        scaled -= scaled.mean(axis=0)
    return scaled


def _means(points: NDArray[np.float64], groups: NDArray[np.intp]) -> NDArray[np.float64]:
    return group_means(points, np.ones(len(points)), groups, int(groups.max()) + 1)[0]


def _sample(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Some of the points, the same whatever their order but for ties."""
    most = min(_SAMPLE, math.isqrt(_SAMPLE_PRODUCTS // points.shape[1]) + 2)
    if len(points) <= most:
        return points
    widest = points[:, points.var(axis=0).argmax()]
    places = np.arange(most) * len(points) // most
    return points[np.argsort(widest, kind="stable")[places]]


def _number_that_pays(sample: NDArray[np.float64], heights: NDArray[np.float64], n_points: int) -> int:
    """How many groups take the fewest bits for points and centres, or 1 when that saves too little."""
    n_sampled = len(sample)
    ranges = np.ptp(sample, axis=0)
    n_columns = np.count_nonzero(ranges)
    numbers = np.arange(1, min(_MOST_GROUPS, n_sampled // 2) + 1)
    # A merge at height h adds h^2 / 2 to the squares within groups.
    squares = np.cumsum(np.square(heights) / 2)[n_sampled - 1 - numbers]
    widths = np.sqrt(squares / (n_sampled * n_columns))
    digits = np.log2(np.maximum(widths, _FINEST * ranges.max()))
    steps = best_step(n_points / numbers)
    center_bits = n_columns * np.maximum(np.log2(ranges.max() / steps) - digits, 1) + _BITS_A_GROUP
    bits = numbers * center_bits + n_points * n_columns * (digits + np.log2(1 + np.square(steps) / 12) / 2)
    bits[0] = n_points * n_columns * digits[0]
    best = int(bits.argmin())
    return int(numbers[best]) if bits[0] - bits[best] > _LEAST_GAIN * n_points * n_columns else 1
