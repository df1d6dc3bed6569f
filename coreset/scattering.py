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
