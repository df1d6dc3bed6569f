"""Giving cells their width back: seeded Gaussian deviates around each point."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .widths import Widths, correlations, regression, unit_deviations

# Deviates are fitted to a covariance when there are, in effect, so many of them for each column.
_LEAST_PER_COLUMN = 1.25
# Directions with less than this share of the largest standard deviation vary by rounding alone.
_ROUNDING = 1e-7


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
    enough deviates for it, a linear map close to the identity gives them, all together, exactly the covariance of the
    cells. A target moves along the slopes of its cell, and then along slopes that all cells share such that its
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
    if widths.covariance is not None:
        deviates = deviates @ _root(correlations(widths.covariance, widths.variances, weights))
    deviates *= np.sqrt(widths.variances)
    fitted = _fitted(deviates, weights, widths)
    deviates = deviates if fitted is None else fitted
    moved = None
    if targets is not None and widths.slopes is not None:
        moves = (deviates * widths.slopes).sum(axis=2)
        if fitted is not None:
            moves += deviates @ _missing_slopes(deviates, moves, weights, widths)
        moved = _pairs(targets, moves)
    return _pairs(points, deviates), moved


def _pairs(centers: NDArray[np.float64], deviates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each deviate and its opposite, copy after copy."""
    both = np.stack([centers + deviates, centers - deviates], axis=1)
    return both.reshape(-1, *centers.shape[1:])


def _fitted(deviates: NDArray[np.float64], weights: NDArray[np.float64], widths: Widths) -> NDArray[np.float64] | None:
    """Deviates whose covariance is exactly that of the cells; None where too few of them make it up.

    They are moved by the optimal transport map between two Gaussian distributions, which moves them least.
    """
    n_features = deviates.shape[2]
    if widths.covariance is None or not weights.any():
        return None
    shares = weights / weights.sum()
    wanted = widths.within(shares)[:, :n_features]
    unit = unit_deviations(wanted)
    counts = shares * (widths.variances / unit**2).sum(axis=1)
    enough = _LEAST_PER_COLUMN * np.count_nonzero(np.diag(wanted))
    if len(deviates) * counts.sum() ** 2 < enough * (counts @ counts):
        return None
    flat = (deviates / unit).reshape(-1, n_features)
    root = _root((_each(shares, deviates) * flat).T @ flat)
    values, vectors = np.linalg.eigh(root)
    usable = values > _ROUNDING * values[-1]
    inverse = (vectors * np.where(usable, 1.0 / np.where(usable, values, 1.0), 0.0)) @ vectors.T
    transport = inverse @ _root(root @ (wanted / np.outer(unit, unit)) @ root) @ inverse
    # The map of columns that do not vary is rounding alone.
    fitted: NDArray[np.float64] = (flat @ transport).reshape(deviates.shape) * np.where(np.diag(wanted) > 0, unit, 0.0)
    return fitted


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


def _root(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Symmetric square root of a symmetric matrix without negative eigenvalues but by rounding."""
    values, vectors = np.linalg.eigh(matrix)
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
