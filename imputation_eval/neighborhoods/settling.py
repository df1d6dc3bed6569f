"""From approximate distances to exact nearest neighbours, ties broken at random.

The rule does not speak of how distances were first computed. Let v be the k-th smallest squared distance of a row to
the others, computed in float64 from the differences of coordinates as they were given. Points nearer than v by more
than the tolerance are neighbours; the rest is drawn from those within the tolerance of v, by a hash of the seed and the
two indices. So a tree, tiles in float32 and brute force give the same answer.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_Array = NDArray[np.float64]
_Floats = NDArray[np.floating]
_Indices = NDArray[np.intp]
SPARE = 8  # points worth listing beyond the wanted ones, for rounding and ties
_TIE = 2.0**-46  # 64 roundings: what a grid of tenths, or an integer column after scaling, is off by
_UNDERFLOW = 1e-30  # what products of tiny float32 may lose; points are scaled to a typical norm of 1
_EXACT_ENTRIES = 2**21  # coordinates gathered at a time


def exact_squared_distances(points: _Array, rows: _Indices, columns: _Indices) -> _Array:
    """Return the squared distances of pairs of rows of ``points``, from their differences, in float64."""
    distances = np.empty(len(rows))
    step = max(1, _EXACT_ENTRIES // points.shape[1])
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        difference = points[rows[part]] - points[columns[part]]
        distances[part] = np.einsum("ij,ij->i", difference, difference)
    return distances


def tie_tolerance(squared: _Array, norms: _Array) -> _Array:
    """Return how much squared distances from points of the given norms may differ by rounding alone."""
    # Two coordinates rounded in proportion to the norm r change d^2 by some r d.
    return _TIE * (squared + np.sqrt(squared) * norms)


def uncertainty(kth: _Array, *, unit: float, spreads: _Array, norms: _Array) -> _Array:
    """Return how far from the approximate k-th distance a value may be, and yet belong to a point that ties with it.

    See :func:`settle` for `unit` and `spreads`; `norms` are the rows' distances from the origin.
    """
    error = unit * (6 * spreads + 4 * kth) + (_UNDERFLOW if unit else 0)
    # The true k-th distance is within the error of the approximate one, and so is each value of its own.
    return 2 * error + tie_tolerance(np.maximum(kth + error, 0), norms)


def settle(
    points: _Array,
    rows: _Indices,
    values: _Floats,
    ids: _Indices | None,
    *,
    unit: float,
    spreads: _Array,
    limit: _Array | float,
    n_neighbors: int,
    seed: int,
) -> tuple[_Indices, NDArray[np.bool_]]:
    """Return the nearest neighbours of rows whose squared distances to others are known roughly.

    Parameters
    ----------
    points : ndarray of shape (n, n_features)
    rows : ndarray of shape (n_rows,)
        Indices into `points`.
    values : ndarray of shape (n_rows, width), float32 or float64
        Approximate squared distances of each row to listed points; infinity where nothing is listed, and for itself.
    ids : ndarray of shape (n_rows, width) or None
        Which points are listed; None if column j is point j.
    unit : float
        Values v of a row with spread s are wrong by at most ``unit * (6 s + 4 v)``; 0 if they are exact.
    spreads : ndarray of shape (n_rows,)
        Squared distance of each row from the centre that was used for its values.
    limit : ndarray of shape (n_rows,) or float
        Points that are not listed have no approximate value below this.
    n_neighbors : int
        At most width.
    seed : int
        Decides ties.

    Returns
    -------
    neighbors : ndarray of shape (n_complete, n_neighbors)
        In no particular order.
    complete : bool ndarray of shape (n_rows,)
        The rows whose neighbours are certainly among the listed points; the others have to be searched anew.
    """
    kth = np.partition(values, n_neighbors - 1, axis=1)[:, n_neighbors - 1].astype(np.float64)
    listed = np.isfinite(kth)
    kth[~listed] = 0
    norms = np.sqrt(np.einsum("ij,ij->i", points[rows], points[rows]))
    margin = uncertainty(kth, unit=unit, spreads=spreads, norms=norms)
    complete = listed & (kth + margin < limit)
    if not complete.all():
        rows, values = rows[complete], values[complete]
        kth, margin, norms = kth[complete], margin[complete], norms[complete]
        ids = None if ids is None else ids[complete]
    ceiling = np.nextafter((kth + margin).astype(values.dtype), values.dtype.type(np.inf))
    flat = np.flatnonzero(values <= ceiling[:, None])
    row, column = np.divmod(flat, values.shape[1])
    keep = values.reshape(-1)[flat] < (kth - margin)[row]
    point = column if ids is None else ids.reshape(-1)[flat]
    _draw_the_rest(keep, points, rows, row, point, norms, n_neighbors, seed)
    return point[keep].reshape(-1, n_neighbors), complete


def _draw_the_rest(
    keep: NDArray[np.bool_],
    points: _Array,
    rows: _Indices,
    row: _Indices,
    point: _Indices,
    norms: _Array,
    k: int,
    seed: int,
) -> None:
    """Add to ``keep``, which marks the sure ones of the candidates ``(row, point)``, until each row has k."""
    n_rows = len(rows)
    lacking = k - np.bincount(row[keep], minlength=n_rows)
    candidates = np.flatnonzero(~keep)
    n_candidates = np.bincount(row[candidates], minlength=n_rows)
    keep[candidates[(n_candidates == lacking)[row[candidates]]]] = True
    candidates = candidates[(n_candidates > lacking)[row[candidates]]]
    if len(candidates) == 0:
        return
    of = row[candidates]
    exact = exact_squared_distances(points, rows[of], point[candidates])
    order = np.lexsort((exact, of))  # rows stay together, each sorted
    kth = np.full(n_rows, np.nan)
    open_rows, starts = np.unique(of, return_index=True)
    kth[open_rows] = exact[order[starts + lacking[open_rows] - 1]]
    tolerance = tie_tolerance(kth, norms)
    nearer = exact < (kth - tolerance)[of]
    keep[candidates[nearer]] = True
    lacking = lacking - np.bincount(of[nearer], minlength=n_rows)
    tied = np.flatnonzero(np.abs(exact - kth[of]) <= tolerance[of])
    # The tied of each row in random order, of which it takes as many as it lacks.
    tied = tied[np.lexsort((priority(seed, rows[of[tied]], point[candidates[tied]]), of[tied]))]
    _, starts, counts = np.unique(of[tied], return_index=True, return_counts=True)
    place = np.arange(len(tied)) - np.repeat(starts, counts)
    keep[candidates[tied[place < lacking[of[tied]]]]] = True


def priority(seed: int, rows: _Indices, columns: _Indices) -> NDArray[np.uint64]:
    """Return a random number of each pair, whichever search came upon it and when: splitmix64 of seed and indices."""
    state = np.uint64(seed) + rows.astype(np.uint64) * np.uint64(0xD1342543DE82EF95)
    return _mix(_mix(state) + columns.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
