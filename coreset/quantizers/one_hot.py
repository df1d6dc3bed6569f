"""Averages of one-hot columns, rounded to one of them at each point such that sums over points stay."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_TOLERANCE = 1e-6  # of sums that should be one
_MOST_COLUMNS = 255  # of a group
_FEW, _SAMPLE = 64, 1024  # rows that tell most columns that are in no group, and tables that have none


def one_hot_groups(points: Floats) -> list[slice]:
    """Neighbouring columns that are not negative and sum to one at every point, as averages of one-hot columns do.

    Parameters
    ----------
    points : ndarray of shape (n, d)

    Returns
    -------
    list of slice
        Each of two columns or more, as few as sum to one.

    Examples
    --------
    >>> import numpy as np
    >>> one_hot_groups(np.array([[7.0, 0.5, 0.5, 1.0, 0.0], [3.0, 0.0, 1.0, 0.2, 0.8]]))
    [slice(1, 3, None), slice(3, 5, None)]
    """
    low, high = points.min(axis=0), points.max(axis=0)
    shares = (low >= 0) & (high <= 1 + _TOLERANCE)
    groups = []
    start = 0
    while start < points.shape[1]:
        stop = _end_of_group(points, shares, start) if shares[start] and low[start] < high[start] else None
        if stop is not None:
            groups.append(slice(start, stop))
        start = stop or start + 1
    return groups


def _end_of_group(points: Floats, shares: NDArray[np.bool_], start: int) -> int | None:
    some = points[:: -(-len(points) // _FEW)]
    total = np.zeros(len(some))
    for column in range(start, min(start + _MOST_COLUMNS, points.shape[1])):
        total += some[:, column]
        if not shares[column] or total.max() > 1 + _TOLERANCE:
            return None
        if total.min() >= 1 - _TOLERANCE:
            sums = points[:, start : column + 1].sum(axis=1)
            if (np.abs(sums - 1) <= _TOLERANCE).all():
                return column + 1
    return None


def has_one_hot_columns(X: NDArray[np.floating]) -> bool:
    """Whether a table, as some of its rows show, has neighbouring columns of which just one is 1 in each row.

    Parameters
    ----------
    X : ndarray of shape (n, d)

    Returns
    -------
    bool
    """
    some = np.asarray(X[:: -(-len(X) // _SAMPLE)], dtype=np.float64)
    return any(np.isin(some[:, group], (0.0, 1.0)).all() for group in one_hot_groups(some))


def as_one_hot(points: Floats) -> Floats:
    """Round each group to one of its columns at every point.

    A point gets the column whose share, and what the points before it have missed of the column, is largest. So the
    sums of columns over the points stay, but for less than one or so, and those over neighbouring points nearly: error
    diffusion, for shares (ours).

    Parameters
    ----------
    points : ndarray of shape (n, d)

    Returns
    -------
    ndarray of shape (n, d)
        The points themselves where there are no groups.

    Examples
    --------
    >>> import numpy as np
    >>> as_one_hot(np.array([[0.6, 0.4, 5.5], [0.6, 0.4, 6.5], [0.7, 0.3, 7.5]])).tolist()
    [[1.0, 0.0, 5.5], [0.0, 1.0, 6.5], [1.0, 0.0, 7.5]]
    """
    groups = one_hot_groups(points)
    if not groups:
        return points
    widths = np.array([group.stop - group.start for group in groups])
    columns = np.concatenate([np.arange(group.start, group.stop) for group in groups])
    rows, places = np.repeat(np.arange(len(groups)), widths), np.concatenate([np.arange(width) for width in widths])
    missed = np.zeros((len(groups), widths.max()))
    missed[np.arange(widths.max()) >= widths[:, None]] = -np.inf  # there are no such columns
    rounded = points.copy()
    every = np.arange(len(groups))
    for point in rounded:
        missed[rows, places] += point[columns]
        chosen = missed.argmax(axis=1)
        missed[every, chosen] -= 1.0
        point[columns] = chosen[rows] == places
    return rounded
