"""Averages of one-hot columns, rounded to one of them at each point such that sums over points stay."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_TOLERANCE = 1e-6  # of sums that should be one
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
    # What a few points have in the columns before: sums of shares rise with every column, so that both ends move on.
    some = points[:: -(-len(points) // _FEW)]
    before = np.zeros((points.shape[1] + 1, len(some)))
    np.cumsum(np.where(shares, some, 2.0).T, axis=0, out=before[1:])
    groups = []
    start, reached, beyond = 0, 0, 0
    while start < points.shape[1]:
        stop = None
        if shares[start] and high[start] > 0 and low[start] < 1:
            reached = _first(before, start, max(reached, start + 1), lambda sums: sums.min() >= 1 - _TOLERANCE)
            beyond = _first(before, start, max(beyond, start + 1), lambda sums: sums.max() > 1 + _TOLERANCE)
            stop = _end_of_group(points, start, range(reached, beyond))
        if stop is not None:
            groups.append(slice(start, stop))
        start = stop or start + 1
    return groups


def _first(before: Floats, start: int, stop: int, holds: Callable[[Floats], bool]) -> int:
    """The first end from `stop` on for which the sums of columns from `start` hold, or one more than there is."""
    while stop < len(before) and not holds(before[stop] - before[start]):
        stop += 1
    return stop


def _end_of_group(points: Floats, start: int, stops: range) -> int | None:
    """The first end where all points have a sum of one."""
    if not stops:
        return None
    sums = points[:, start : stops[0] - 1].sum(axis=1)
    for stop in stops:
        sums += points[:, stop - 1]
        if sums.max() > 1 + _TOLERANCE:
            return None
        if sums.min() >= 1 - _TOLERANCE:
            return stop
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
    sums of columns over the points, which all count the same, stay but for less than one or so, and those over
    neighbouring points nearly: error diffusion, for shares (ours).

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
