"""An order of points in which each is near the one before: a set has none of its own, and codes profit from it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def nearest_neighbour_tour(points: NDArray[np.float64]) -> NDArray[np.intp]:
    """Start at the point nearest to the mean, and go on to the nearest of those that are left.

    Parameters
    ----------
    points : ndarray of shape (n, d)
        Their distances are held, so that it takes memory and time with the square of n.

    Returns
    -------
    ndarray of shape (n,), int

    Examples
    --------
    >>> import numpy as np
    >>> nearest_neighbour_tour(np.array([[0.0], [10.0], [1.0], [9.0]])).tolist()
    [2, 0, 3, 1]
    """
    centred = points - points.mean(axis=0)
    largest = np.abs(centred).max()
    centred /= largest if largest > 0 else 1.0  # so that no square overflows
    products = centred @ centred.T
    squares = np.diag(products).copy()
    distances = squares[:, None] + squares - 2 * products
    current = int(squares.argmin())
    tour = [current]
    distances[:, current] = np.inf
    for _ in range(len(points) - 1):
        current = int(distances[current].argmin())
        tour.append(current)
        distances[:, current] = np.inf
    return np.array(tour)
