"""Distributions whose conditionals are known, and the imputers that know them."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import pandas as pd

_STREAM = 20_000  # so that tables and what fills them have nothing in common, whatever the seeds


class Shape(Protocol):
    """A distribution of rows that can be drawn, wholly or given some of their cells."""

    n_columns: int

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw rows (n, n_columns)."""

    def fill(self, rows: np.ndarray, hole: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        """Draw the cells of some columns (hole, a mask) given the others; without ``rng``, give their mean."""


class Mixture:
    """Gaussians with equal shares.

    Parameters
    ----------
    means : array of shape (n_parts, n_columns)
    covariances : array of shape (n_parts, n_columns, n_columns)
    """

    def __init__(self, means: np.ndarray, covariances: np.ndarray) -> None:
        self.means, self.covariances = np.asarray(means), np.asarray(covariances)
        self.n_columns = self.means.shape[1]

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:  # noqa: D102
        roots = np.linalg.cholesky(self.covariances)
        part = rng.integers(len(self.means), size=n)
        return self.means[part] + np.einsum("nij,nj->ni", roots[part], rng.normal(size=(n, self.n_columns)))

    def fill(self, rows: np.ndarray, hole: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:  # noqa: D102
        seen, n = ~hole, len(rows)
        logs, centers, roots = [], [], []
        for mean, covariance in zip(self.means, self.covariances, strict=True):
            root = np.linalg.cholesky(covariance[np.ix_(seen, seen)])
            white = np.linalg.solve(root, (rows[:, seen] - mean[seen]).T)
            logs.append(-0.5 * (white**2).sum(axis=0) - np.log(np.diag(root)).sum())
            slope = np.linalg.solve(covariance[np.ix_(seen, seen)], covariance[np.ix_(seen, hole)])
            centers.append(mean[hole] + (rows[:, seen] - mean[seen]) @ slope)
            roots.append(np.linalg.cholesky(covariance[np.ix_(hole, hole)] - covariance[np.ix_(hole, seen)] @ slope))
        chances = np.exp(np.array(logs) - np.max(logs, axis=0))
        chances /= chances.sum(axis=0)
        if rng is None:
            return np.einsum("pn,pnj->nj", chances, np.array(centers))
        part = (np.cumsum(chances, axis=0) < rng.random(n)).sum(axis=0).clip(max=len(self.means) - 1)
        noise = rng.normal(size=(n, int(hole.sum())))
        return np.array(centers)[part, np.arange(n)] + np.einsum("nij,nj->ni", np.array(roots)[part], noise)


class Banana:
    """Two columns: x standard Gaussian, y = x^2 and Gaussian noise. Given y, x is drawn from a fine grid."""

    n_columns = 2
    noise = 0.4
    grid = np.linspace(-4.5, 4.5, 901)

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:  # noqa: D102
        x = rng.normal(size=n)
        return np.column_stack([x, x**2 + self.noise * rng.normal(size=n)])

    def fill(self, rows: np.ndarray, hole: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:  # noqa: D102
        if hole.all():
            return np.tile([0.0, 1.0], (len(rows), 1)) if rng is None else self.draw(len(rows), rng)
        if hole[1]:
            return rows[:, :1] ** 2 + (0.0 if rng is None else self.noise * rng.normal(size=(len(rows), 1)))
        logs = -0.5 * self.grid**2 - 0.5 * ((rows[:, 1:] - self.grid**2) / self.noise) ** 2
        chances = np.exp(logs - logs.max(axis=1, keepdims=True))
        chances /= chances.sum(axis=1, keepdims=True)
        if rng is None:
            return (chances @ self.grid)[:, None]
        place = (np.cumsum(chances, axis=1) < rng.random((len(rows), 1))).sum(axis=1)
        step = self.grid[1] - self.grid[0]
        return (self.grid[place.clip(max=len(self.grid) - 1)] + step * (rng.random(len(rows)) - 0.5))[:, None]


class Oracle:
    """Fills holes by the true conditional distribution of a shape: drawn from it, or with its mean."""

    def __init__(self, shape: Shape, *, draw: bool = True) -> None:
        self.shape, self.draw = shape, draw

    def __call__(self, df: pd.DataFrame, random_state: int) -> pd.DataFrame:
        """Fill a table that has some of the columns."""
        rng = np.random.default_rng([_STREAM + 1, random_state]) if self.draw else None
        values = df.reindex(columns=names(self.shape)).to_numpy(copy=True)  # columns that are not there are holes, too
        missing = np.isnan(values)
        codes = missing @ (1 << np.arange(missing.shape[1]))
        for code in np.unique(codes[codes > 0]):
            rows = np.flatnonzero(codes == code)
            hole = missing[rows[0]]
            values[np.ix_(rows, hole)] = self.shape.fill(values[rows], hole, rng)
        return pd.DataFrame(values, index=df.index, columns=names(self.shape))[df.columns]


def names(shape: Shape) -> list[str]:
    """Return the names of the columns."""
    return [f"x{j}" for j in range(shape.n_columns)]


def _equal_correlations(d: int, rho: float) -> np.ndarray:
    return np.full((d, d), rho) + (1 - rho) * np.eye(d)


_BENT = np.array([[1.0, -0.6, 0.0], [-0.6, 1.0, 0.6], [0.0, 0.6, 1.0]]) / 2
SHAPES: dict[str, Shape] = {
    "gaussian": Mixture(np.zeros((1, 4)), _equal_correlations(4, 0.5)[None]),
    "mixture": Mixture([[-1.2, -1.2, 0.0], [1.2, 1.2, 0.0]], [_equal_correlations(3, 0.5) / 2, _BENT]),
    "banana": Banana(),
}


def table(shape: Shape, n: int, seed: int) -> pd.DataFrame:
    """Draw a table of n rows."""
    rows = shape.draw(n, np.random.default_rng([_STREAM, seed]))
    return pd.DataFrame(rows, columns=names(shape))
