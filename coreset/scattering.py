"""Giving cells their width back: seeded Gaussian deviates around each point."""

from __future__ import annotations

from typing import Any

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


def columns_as_shape(
    points: NDArray[np.float64], weights: NDArray[np.float64], classes: NDArray[Any] | None = None
) -> NDArray[np.float64]:
    """Variances of the points' columns about the means of their classes: the shape of a scatter without groups.

    Variances about the mean of all points would scatter a class along what tells it from the others. Where every class
    has one point they have to serve.

    Parameters
    ----------
    points : ndarray of shape (m, d)
    weights : ndarray of shape (m,)
    classes : ndarray of shape (m,), optional

    Returns
    -------
    ndarray of shape (d,)
        In proportion; ones where nothing varies.
    """
    columns = np.zeros(points.shape[1])
    if classes is not None:
        for label in np.unique(classes):
            columns += _column_squares(points[classes == label], weights[classes == label])
    if not columns.any():
        columns = _column_squares(points, weights)
    return columns if columns.any() else np.ones_like(columns)


def _column_squares(points: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted squared distances to the mean, by column."""
    if not weights.any():
        return np.zeros(points.shape[1])
    around = points - points[0]  # so that constant columns have no variance, not that of rounding
    squares: NDArray[np.float64] = weights @ (around - weights @ around / weights.sum()) ** 2
    return squares


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
