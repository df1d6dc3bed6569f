"""Cells of rows around representatives, replaced by their weighted means, and what that loses."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ..nearest import Floats, Gaps, blocks, nearest, squared_distances_to, squared_norms


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
    column_squares : ndarray of shape (d,)
        The same by column, over all cells.
    max_displacement, total_displacement : float
        Largest distance of a row to its mean, and the weighted sum of these distances.
    """

    means: NDArray[np.float64]
    masses: NDArray[np.float64]
    residuals: NDArray[np.float64]
    column_squares: NDArray[np.float64]
    max_displacement: float
    total_displacement: float


def cells_around(
    X: Floats,
    weights: NDArray[np.float64],
    rows: NDArray[np.intp],
    drawn: NDArray[np.intp],
    n_cells: int,
    *,
    n_steps: int = 0,
    min_size: int = 1,
) -> Cells:
    """Assign rows to the nearest of those that were drawn, and replace each cell by its weighted mean.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    weights : ndarray of shape (n,)
    rows : ndarray of shape (r,), intp
        Rows to summarise.
    drawn : ndarray of shape (s,), intp
        Rows, among them, around which cells form.
    n_cells : int
        At least s: the farthest rows open those that copies and repeated draws left out.
    n_steps : int
        How often rows are assigned anew, to the nearest mean.
    min_size : int
        Cells of fewer rows are joined with others.

    Returns
    -------
    Cells
    """
    anchors = X[drawn]
    cells, squared = nearest(X, anchors, rows)
    missing = n_cells - np.count_nonzero(np.bincount(cells))
    if missing and squared.any():
        anchors = _open_farthest(X, rows, anchors, cells, squared, missing)
    own = weights[rows]
    means, masses = _means(X, own, rows, cells, anchors)
    for _ in range(n_steps):
        cells, _ = nearest(X, means[masses > 0], rows)
        means, masses = _means(X, own, rows, cells, means[masses > 0])
    used = masses > 0
    return _measured(X, own, rows, (np.cumsum(used) - 1)[cells], means[used], masses[used])


def _open_farthest(
    X: Floats,
    rows: NDArray[np.intp],
    anchors: Floats,
    cells: NDArray[np.intp],
    squared: NDArray[np.float64],
    missing: int,
) -> Floats:
    """Open cells at the rows farthest from those there are; changes `cells` and returns the anchors with the new."""
    movable = np.flatnonzero(squared)
    left, around = squared[movable], X[rows[movable]]
    added: list[int] = []
    while len(added) < missing and left.any():
        farthest = int(left.argmax())
        added.append(farthest)
        distances = squared_distances_to(around, around[farthest].astype(np.float64))
        closer = distances < left
        left[closer] = distances[closer]
        cells[movable[closer]] = len(anchors) + len(added) - 1
    return np.concatenate([anchors, around[added]])


def _means(
    X: Floats,
    weights: NDArray[np.float64],
    rows: NDArray[np.intp],
    cells: NDArray[np.intp],
    anchors: Floats,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted mean and mass of each cell, summed as small differences from its anchor."""
    masses = np.bincount(cells, weights=weights, minlength=len(anchors)).astype(np.float64)
    sums = np.zeros(anchors.shape)
    gaps = Gaps(anchors, X.dtype)
    for positions, block in blocks(X, rows):
        own = cells[positions]
        sums += _indicator(weights[positions], own, len(anchors)) @ gaps(block, own)
    means = anchors.astype(np.float64)
    used = masses > 0
    means[used] += sums[used] / masses[used, None]
    return means, masses


def _indicator(weights: NDArray[np.float64], cells: NDArray[np.intp], n_cells: int) -> sparse.csc_array:
    """Matrix whose product with rows is their weighted sum by cell."""
    return sparse.csc_array((weights, cells, np.arange(len(cells) + 1)), shape=(n_cells, len(cells)))


def _measured(
    X: Floats,
    weights: NDArray[np.float64],
    rows: NDArray[np.intp],
    cells: NDArray[np.intp],
    means: NDArray[np.float64],
    masses: NDArray[np.float64],
) -> Cells:
    squared = np.empty(len(rows))
    columns = np.zeros(X.shape[1])
    gaps = Gaps(means, X.dtype)
    for positions, block in blocks(X, rows):
        gap = gaps(block, cells[positions])
        squared[positions] = squared_norms(gap)
        columns += weights[positions].astype(X.dtype) @ gap
    distances = np.sqrt(squared)
    return Cells(
        means,
        masses,
        np.bincount(cells, weights=weights * squared, minlength=len(means)).astype(np.float64),
        columns,
        float(distances.max()),
        float(weights @ distances),
    )
