"""Giving cells their width back: seeded Gaussian deviates around each point."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .widths import Widths, regression, unit_deviations

# Deviates are fitted to a covariance when there are, in effect, so many of them for each column.
_LEAST_PER_COLUMN = 1.25
# Directions with less than this share of the largest variance vary by rounding alone.
_ROUNDING = 1e-14
_SAME_WIDTH = 1e-3
# Share of its cell's variance that the map to a covariance may change of a deviate, on average (0.4 on real tables).
_FAR = 0.5


def scatter_points(
    points: NDArray[np.float64],
    weights: NDArray[np.float64],
    targets: NDArray[np.float64] | None,
    widths: Widths,
    copies: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Replace each point by `copies` deviates in antipodal pairs, so that their mean stays the point.

    A deviate is Gaussian, with the column variances of its cell and correlations that all cells share. Where there are
    enough deviates for it, and cells are alike enough, a linear map gives them, all together, exactly the covariance of
    the cells. A target moves along the slopes of its cell, and then along slopes that all cells share such that its
    covariance with the columns is exact, too.

    Parameters
    ----------
    points : ndarray of shape (m, d)
    weights : ndarray of shape (m,)
    targets : ndarray of shape (m,), optional
    widths : Widths
        With slopes where there are targets.
    copies : int
        Even.
    rng : numpy.random.Generator

    Returns
    -------
    points : ndarray of shape (copies * m, d)
        All points once, then all points again, `copies` times.
    targets : ndarray of shape (copies * m,), or None
    """
    deviates = rng.standard_normal((copies // 2, *points.shape))
    if widths.correlation is not None:
        deviates = deviates @ _root(*np.linalg.eigh(widths.correlation))
    deviates *= np.sqrt(widths.variances)
    fitted = _fitted(deviates, weights, widths)
    placed = _pairs(points, deviates if fitted is None else fitted)
    if targets is None or widths.slopes is None:
        return placed, None
    # Slopes are those of the deviates as drawn, along which no cell is wider than it is.
    moves = (deviates * widths.slopes).sum(axis=2)
    if fitted is not None:
        moves += fitted @ _missing_slopes(fitted, moves, weights, widths)
    return placed, _pairs(targets, moves)


def _pairs(centers: NDArray[np.float64], deviates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each deviate and its opposite, copy after copy."""
    both = np.stack([centers + deviates, centers - deviates], axis=1)
    return both.reshape(-1, *centers.shape[1:])


def _fitted(deviates: NDArray[np.float64], weights: NDArray[np.float64], widths: Widths) -> NDArray[np.float64] | None:
    """Deviates whose covariance is exactly that of the cells.

    They are moved by the optimal transport map between two Gaussian distributions, in columns of unit variance. None
    where too few of them make up the covariance, where the map would move them far, since what is wide in few cells
    would leak into all others, and where the variances are not those whose mean the covariance is: the mean distances
    of ``power=1`` say less about the outermost rows.
    """
    n_features = deviates.shape[2]
    if widths.covariance is None or not weights.any():
        return None
    shares = weights / weights.sum()
    wanted = widths.covariance[:, :n_features]
    sums = widths.variances.sum(axis=1)
    if not math.isclose(shares @ sums, np.trace(wanted), rel_tol=_SAME_WIDTH):
        return None
    unit = unit_deviations(wanted)
    counts = shares * (widths.variances / unit**2).sum(axis=1)
    enough = _LEAST_PER_COLUMN * np.count_nonzero(np.diag(wanted))
    if len(deviates) * counts.sum() ** 2 < enough * (counts @ counts):
        return None
    flat = (deviates / unit).reshape(-1, n_features)
    values, vectors = np.linalg.eigh((_each(shares, deviates) * flat).T @ flat)
    usable = values > _ROUNDING * values[-1]
    root = _root(values, vectors)
    inverse = _root(np.where(usable, 1.0 / np.where(usable, values, 1.0), 0.0), vectors)
    transport = inverse @ _root(*np.linalg.eigh(root @ (wanted / np.outer(unit, unit)) @ root)) @ inverse
    # The map of columns that do not vary is rounding alone.
    fitted: NDArray[np.float64] = (flat @ transport).reshape(deviates.shape) * np.where(np.diag(wanted) > 0, unit, 0.0)
    moved = ((fitted - deviates) ** 2).sum(axis=2).mean(axis=0)
    far = shares @ np.divide(moved, sums, out=np.zeros_like(sums), where=sums > 0) > _FAR
    return None if far else fitted


def _missing_slopes(
    deviates: NDArray[np.float64], moves: NDArray[np.float64], weights: NDArray[np.float64], widths: Widths
) -> NDArray[np.float64]:
    """Slopes that the moves of the target lack, all cells together, of its covariance with the columns."""
    shares = weights / weights.sum()
    wanted = widths.within(shares)
    have = (_each(shares, deviates) * deviates.reshape(-1, deviates.shape[2])).T @ moves.ravel()
    return regression(wanted[:, :-1], wanted[:, -1] - have)


def _each(shares: NDArray[np.float64], deviates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shares of the single deviates, as a column."""
    return np.tile(shares / len(deviates), len(deviates))[:, None]


def _root(values: NDArray[np.float64], vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Symmetric square root of a matrix with these eigenvalues, negative only by rounding, and eigenvectors."""
    root: NDArray[np.float64] = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    return root


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
