"""Cells of rows around representatives, replaced by their weighted means, and what that loses."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ..nearest import Floats, Gaps, blocks, nearest, nearest_index, squared_distances_to, squared_norms
from ..targets import NUMERIC
from .products import Products
from .rows import Rows

# Values of a part that are put together in memory, 16 MiB of float32, to be read many times.
_GATHERED_VALUES = 1 << 22


@dataclasses.dataclass(frozen=True)
class CellTargets:
    """Numeric targets of cells.

    Parameters
    ----------
    means : ndarray of shape (m,)
        Of each cell, in the target's units.
    products : ndarray of shape (d,)
        Weighted sum, over all cells, of what a row's target and each of its columns have beyond the cell's means.
    """

    means: NDArray[np.float64]
    products: NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Cells:
    """Means of cells and what replacing the rows by them loses.

    Parameters
    ----------
    means : ndarray of shape (m, d)
    masses : ndarray of shape (m,)
        Positive.
    residuals : ndarray of shape (m,)
        Weighted sum of the squared distances of a cell's rows to its mean.
    distances : ndarray of shape (m,)
        Weighted sum of these distances themselves.
    column_squares : ndarray of shape (d,)
        Like `residuals`, by column instead of by cell.
    max_displacement, total_displacement : float
        Largest distance of a row to its mean, and the weighted sum of these distances; with a numeric target, in the
        space that has it as a coordinate, which everything else here leaves out.
    targets : CellTargets, optional
    """

    means: NDArray[np.float64]
    masses: NDArray[np.float64]
    residuals: NDArray[np.float64]
    distances: NDArray[np.float64]
    column_squares: NDArray[np.float64]
    max_displacement: float
    total_displacement: float
    targets: CellTargets | None = None


def cells_around(
    rows: Rows,
    part: NDArray[np.intp],
    anchors: Floats,
    n_cells: int,
    *,
    n_steps: int = 0,
    min_size: int = 1,
    products: Products,
) -> Cells:
    """Assign rows to the nearest anchor, and replace each cell by its weighted mean.

    Parameters
    ----------
    rows : Rows
    part : ndarray of shape (r,), intp
        Which of them to summarise.
    anchors : ndarray of shape (s, d)
    n_cells : int
        The farthest rows open cells where anchors, by copies or repeated draws, make fewer.
    n_steps : int
        How often rows are assigned anew, to the nearest mean.
    min_size : int
        Cells of fewer rows are joined with their neighbours.
    products : Products
        What these cells' are added to.

    Returns
    -------
    Cells
    """
    if part.size * rows.X.shape[1] <= _GATHERED_VALUES:
        return _cells_around(rows.take(part), None, anchors, n_cells, n_steps, min_size, products)
    return _cells_around(rows, part, anchors, n_cells, n_steps, min_size, products)


def _cells_around(
    rows: Rows,
    part: NDArray[np.intp] | None,
    anchors: Floats,
    n_cells: int,
    n_steps: int,
    min_size: int,
    products: Products,
) -> Cells:
    """Cells of some rows; None stands for all."""
    X, weights = rows.X, _some(rows.weights, part)
    cells = nearest_index(X, anchors, part)
    missing = n_cells - int(np.count_nonzero(np.bincount(cells)))
    if missing > 0:
        _open_farthest(X, part, cells, anchors, missing)
    cells, means, masses = _means(X, weights, part, cells)
    for _ in range(n_steps):
        cells, means, masses = _means(X, weights, part, nearest_index(X, means, part))
    if min_size > 1:
        joined = _joined(means, masses, np.bincount(cells), min_size)
        cells, means, masses = _means(X, weights, part, joined[cells])
    return _measured(rows, part, cells, means, masses, products)


def _some(values: NDArray[Any], part: NDArray[np.intp] | None) -> NDArray[Any]:
    return values if part is None else values[part]


def _open_farthest(
    X: Floats, part: NDArray[np.intp] | None, cells: NDArray[np.intp], anchors: Floats, missing: int
) -> None:
    """Open up to `missing` cells, numbered on, at the rows farthest from those there are."""
    squared = nearest(X, anchors, part)[1]
    movable = np.flatnonzero(squared)
    left, around = squared[movable], X[_some(np.arange(len(X)), part)[movable]]
    for cell in range(len(anchors), len(anchors) + missing):
        if not left.any():
            break
        farthest = int(left.argmax())
        distances = squared_distances_to(around, around[farthest].astype(np.float64))
        closer = distances < left
        left[closer] = distances[closer]
        cells[movable[closer]] = cell


def _means(
    X: Floats, weights: NDArray[np.float64], part: NDArray[np.intp] | None, cells: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """Cells numbered anew without the empty ones, their weighted means and masses.

    Means are summed as differences from a row of the cell, so that they keep their digits, and are exact in columns
    that are constant over the cell.
    """
    used = np.bincount(cells) > 0
    cells = (np.cumsum(used) - 1)[cells]
    masses = np.bincount(cells, weights=weights).astype(np.float64)
    member = np.empty(len(masses), dtype=np.intp)
    member[cells] = _some(np.arange(len(X)), part)
    anchors = X[member]
    sums, gaps = np.zeros(anchors.shape), Gaps(anchors, X.dtype)
    for positions, block in blocks(X, part):
        own = cells[positions]
        sums += _indicator(weights[positions], own, len(anchors)) @ gaps(block, own)
    return cells, anchors + sums / masses[:, None], masses


def _indicator(weights: NDArray[np.float64], cells: NDArray[np.intp], n_cells: int) -> sparse.csc_array:
    """Matrix whose product with rows is their weighted sum by cell."""
    return sparse.csc_array((weights, cells, np.arange(len(cells) + 1)), shape=(n_cells, len(cells)))


def _joined(
    means: NDArray[np.float64], masses: NDArray[np.float64], sizes: NDArray[np.intp], min_size: int
) -> NDArray[np.intp]:
    """New number of each cell when the smallest joins its nearest neighbour until none is too small."""
    means, masses, sizes = means.copy(), masses.copy(), sizes.copy()
    target = np.arange(len(means))
    alive = np.ones(len(means), dtype=bool)
    while alive.sum() > 1:
        smallest = int(np.where(alive, sizes, np.iinfo(sizes.dtype).max).argmin())
        if sizes[smallest] >= min_size:
            break
        alive[smallest] = False
        squared = squared_distances_to(means, means[smallest])
        into = int(np.where(alive, squared, np.inf).argmin())
        target[target == smallest] = into
        share = masses[smallest] / (masses[into] + masses[smallest])
        means[into] += share * (means[smallest] - means[into])
        masses[into] += masses[smallest]
        sizes[into] += sizes[smallest]
    return target


def _measured(
    rows: Rows,
    part: NDArray[np.intp] | None,
    cells: NDArray[np.intp],
    means: NDArray[np.float64],
    masses: NDArray[np.float64],
    products: Products,
) -> Cells:
    """What replacing the rows by the means loses, the widths that rows have already included."""
    weights = _some(rows.weights, part)
    scale = weights.max()  # weights themselves may leave the range of float32
    typed = (weights / scale).astype(rows.X.dtype)
    n_features = rows.X.shape[1] - (rows.target_type == NUMERIC)
    squared, distances, columns = np.empty(len(cells)), np.empty(len(cells)), np.zeros(n_features)
    target = _TargetSums(rows, part, cells) if rows.target_type == NUMERIC else None
    gaps = Gaps(means, rows.X.dtype)
    for positions, block in blocks(rows.X, part):
        gap = gaps(block, cells[positions])
        products.add(gap, weights[positions])
        if target is not None:
            target.add(positions, gap)
        distances[positions] = squared_norms(gap)
        features = gap[:, :n_features]
        # Not by taking the target's share away from the whole, in which that of the features may be lost.
        squared[positions] = distances[positions] if target is None else features.sum(axis=1)
        columns += typed[positions] @ features
    columns *= scale
    np.sqrt(distances, out=distances)
    products.squares += float(columns.sum())
    if rows.widths is not None:
        variances = _some(rows.widths.variances, part)
        squared = squared + variances.sum(axis=1)
        columns = columns + weights @ variances
    return Cells(
        means[:, :n_features],
        masses,
        np.bincount(cells, weights=weights * squared).astype(np.float64),
        np.bincount(cells, weights=weights * np.sqrt(squared)).astype(np.float64),
        columns,
        float(distances.max()),
        float(weights @ distances),
        None if target is None else target.result(),
    )


class _TargetSums:
    """What `_measured` sums about a numeric target, the last column of the gaps."""

    def __init__(self, rows: Rows, part: NDArray[np.intp] | None, cells: NDArray[np.intp]) -> None:
        self._rows, self._part = rows, part
        self._weights, y = _some(rows.weights, part), _some(np.asarray(rows.labels), part)
        masses = np.bincount(cells, weights=self._weights)
        member = np.empty(len(masses))
        member[cells] = y  # as in `_means`, so that equal targets have exactly their value as the mean
        self._means = member + np.bincount(cells, weights=self._weights * (y - member[cells])) / masses
        beyond = self._weights * (y - self._means[cells])
        self._scale = np.abs(beyond).max() or 1.0
        self._beyond = (beyond / self._scale).astype(rows.X.dtype)
        self._products = np.zeros(rows.X.shape[1] - 1)

    def add(self, positions: slice, gap: Floats) -> None:
        """Take in a block of gaps, unsquared."""
        self._products += self._beyond[positions] @ gap[:, :-1]

    def result(self) -> CellTargets:
        """Means and products, with those within the points of a summary."""
        rows, part = self._rows, self._part
        products = self._scale * self._products
        if rows.widths is not None:
            widths = rows.widths if part is None else rows.widths.take(part)
            products = products + widths.products(self._weights)
        return CellTargets(self._means, products)
