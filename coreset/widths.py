"""How wide the cells around points are, in which directions, and how a target changes along them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Directions with less than this share of the largest variance vary by rounding alone.
_ROUNDING = 1e-10


@dataclasses.dataclass(frozen=True)
class Widths:
    """Second moments within the cells of points.

    Parameters
    ----------
    variances : ndarray of shape (m, d)
        Of each column within the cell of each point.
    covariance : ndarray of shape (d, d), or (d, d + 1) with that of a numeric target as the last column, optional
        Mean over all cells. None where columns vary independently.
    slopes : ndarray of shape (m, d), optional
        How a numeric target changes with each column within the cell of each point.
    correlation : ndarray of shape (d, d), optional
        Of the columns within every cell, where it is needed.
    """

    variances: NDArray[np.float64]
    covariance: NDArray[np.float64] | None = None
    slopes: NDArray[np.float64] | None = None
    correlation: NDArray[np.float64] | None = None

    def take(self, rows: NDArray[Any] | slice) -> Widths:
        """Those of some points."""
        slopes = None if self.slopes is None else self.slopes[rows]
        return dataclasses.replace(self, variances=self.variances[rows], slopes=slopes)

    def within(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weighted sum of the covariances within the cells of points with these weights.

        Parameters
        ----------
        weights : ndarray of shape (m,)

        Returns
        -------
        ndarray of shape (d, d), or (d, d + 1) with that of a numeric target as the last column
        """
        if self.covariance is not None:
            return self.covariance * (float(weights @ self.variances.sum(axis=1)) / np.trace(self.covariance))
        columns = np.diag(weights @ self.variances)
        return columns if self.slopes is None else np.column_stack([columns, self.products(weights)])

    def products(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weighted sum of the covariances of the target with each column, by the slopes; of shape (d,)."""
        if self.slopes is None:
            return np.zeros(self.variances.shape[1])
        if self.correlation is None:
            return weights @ (self.variances * self.slopes)
        deviations = np.sqrt(self.variances)
        return weights @ (deviations * ((deviations * self.slopes) @ self.correlation))


def correlations(
    covariance: NDArray[np.float64], variances: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Correlation matrix with which cells of these variances have, together, this covariance.

    It is the covariance over the mean products of the cells' standard deviations, an element each, which need not be
    the correlation matrix of anything where cells differ much: then negative eigenvalues are set to zero. (Ours.)

    Parameters
    ----------
    covariance : ndarray of shape (d, d), or (d, d + 1), whose last column is left aside
        In any unit.
    variances : ndarray of shape (m, d)
    weights : ndarray of shape (m,)

    Returns
    -------
    ndarray of shape (d, d)
        Columns without variance are correlated with none.
    """
    n_features = variances.shape[1]
    unit = np.sqrt(variances.max(axis=0))
    deviations = np.sqrt(variances) / np.where(unit > 0, unit, 1.0)
    pooled = (weights[:, None] / (weights.max() or 1.0) * deviations).T @ deviations
    unit = unit_deviations(covariance)
    ratio = covariance[:, :n_features] / np.outer(unit, unit)
    ratio = np.divide(ratio, pooled, out=np.zeros_like(ratio), where=pooled > 0)
    values, vectors = np.linalg.eigh(_of_unit_diagonal(ratio))
    return _of_unit_diagonal((vectors * np.maximum(values, 0.0)) @ vectors.T)


def _of_unit_diagonal(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    scale = unit_deviations(matrix)
    scaled: NDArray[np.float64] = matrix / np.outer(scale, scale)
    np.fill_diagonal(scaled, 1.0)
    return scaled


def unit_deviations(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard deviations, and one for columns that do not vary: what to divide by."""
    deviations = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    return np.where(deviations > 0, deviations, 1.0)


def regression(
    covariance: NDArray[np.float64], products: NDArray[np.float64], penalty: float = 0.0
) -> NDArray[np.float64]:
    """Slopes of a ridge regression from second moments.

    Parameters
    ----------
    covariance : ndarray of shape (d, d)
        Of the columns.
    products : ndarray of shape (d,)
        Covariance of the target with each of them.
    penalty : float
        In units of the variance of every column.

    Returns
    -------
    ndarray of shape (d,)
        The shortest where directions do not vary.
    """
    unit = unit_deviations(covariance)
    values, vectors = np.linalg.eigh(covariance / np.outer(unit, unit))
    values = values + penalty
    usable = values > _ROUNDING * values.max(initial=0.0)
    inverse = np.where(usable, 1.0 / np.where(usable, values, 1.0), 0.0)
    slopes: NDArray[np.float64] = vectors @ (inverse * (vectors.T @ (products / unit))) / unit
    return slopes
