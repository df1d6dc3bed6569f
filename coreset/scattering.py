"""Giving cells their width back: seeded Gaussian deviates around each point."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def scatter_points(
    points: NDArray[np.float64],
    spreads: NDArray[np.float64],
    variances: NDArray[np.float64],
    copies: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Replace each point by `copies` deviates in antipodal pairs, so that their mean stays the point.

    A deviate is Gaussian with column variances in proportion to `variances`, scaled such that its expected squared
    distance to the point is ``spread ** 2``.

    Parameters
    ----------
    points : ndarray of shape (m, d)
    spreads : ndarray of shape (m,)
        In the data's units.
    variances : ndarray of shape (m, d)
        Shape of the scatter around each point; only ratios within a row matter. A row of zeros is not scattered.
    copies : int
        Even.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of shape (copies * m, d)
        All points once, then all points again, `copies` times.
    """
    largest = variances.max(axis=1, keepdims=True)
    shape = variances / np.where(largest > 0, largest, 1.0)
    total = shape.sum(axis=1, keepdims=True)
    scale = spreads[:, None] * np.sqrt(shape / np.where(total > 0, total, 1.0))
    pairs = []
    for _ in range(copies // 2):
        deviates = scale * rng.standard_normal(points.shape)
        pairs += [points + deviates, points - deviates]
    return np.concatenate(pairs)


def columns_as_shape(points: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The variances of the points' columns for every point, shape (m, d): the shape of a scatter without groups."""
    mean = np.average(points, axis=0, weights=weights) if weights.any() else points[0]
    columns = weights @ (points - mean) ** 2
    return np.tile(columns if columns.any() else np.ones_like(columns), (len(points), 1))


def moved_targets(
    points: NDArray[np.float64],
    targets: NDArray[np.float64],
    slopes: NDArray[np.float64],
    scattered: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Targets of scattered points: each moves along its slopes, as its point moved.

    Parameters
    ----------
    points : ndarray of shape (m, d)
    targets : ndarray of shape (m,)
    slopes : ndarray of shape (m, d) or (1, d)
        In units of the target per unit of the column.
    scattered : ndarray of shape (copies * m, d)
        As from `scatter_points`.

    Returns
    -------
    ndarray of shape (copies * m,)
    """
    deviates = scattered.reshape(-1, *points.shape) - points
    moved: NDArray[np.float64] = targets + (deviates * slopes).sum(axis=2)
    return moved.ravel()
