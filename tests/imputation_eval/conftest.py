"""Tables and imputers that several tests of the package use, as fixtures that return functions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest


def _gaussian_table(n: int, d: int, rho: float, rng: np.random.Generator) -> tuple[pd.DataFrame, np.ndarray]:
    """Return n rows of a standard Gaussian with equal correlations, and the covariance."""
    covariance = np.full((d, d), rho) + (1 - rho) * np.eye(d)
    rows = rng.multivariate_normal(np.zeros(d), covariance, size=n)
    return pd.DataFrame(rows, columns=[f"x{j}" for j in range(d)]), covariance


class _GaussianOracle:
    """Fills holes from the true conditional of a centred Gaussian: drawn from it, or with its mean."""

    def __init__(self, covariance: np.ndarray, *, draw: bool) -> None:
        self.covariance = covariance
        self.draw = draw

    def __call__(self, df: pd.DataFrame, random_state: int) -> pd.DataFrame:
        rng = np.random.default_rng(random_state)
        values = df.to_numpy(copy=True)
        for pattern in np.unique(np.isnan(values), axis=0):
            rows = (np.isnan(values) == pattern).all(axis=1)
            hole, seen = pattern, ~pattern
            if not hole.any():
                continue
            weights = np.linalg.solve(self.covariance[np.ix_(seen, seen)], self.covariance[np.ix_(seen, hole)])
            mean = values[np.ix_(rows, seen)] @ weights
            spread = self.covariance[np.ix_(hole, hole)] - self.covariance[np.ix_(hole, seen)] @ weights
            noise = rng.multivariate_normal(np.zeros(hole.sum()), spread, size=rows.sum()) if self.draw else 0
            values[np.ix_(rows, hole)] = mean + noise
        return pd.DataFrame(values, index=df.index, columns=df.columns)


def _mixed_table(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return a table with one column of every supported kind, all related to the first."""
    x = rng.normal(size=n)
    return pd.DataFrame(
        {
            "real": x,
            "count": rng.poisson(np.exp(x / 2)),
            "flag": x + rng.normal(size=n) > 0,
            "text": np.where(x > 0.5, "high", np.where(x < -0.5, "low", "middle")),
            "object": pd.Series(np.where(x > 0, "u", "v"), dtype=object),
            "category": pd.Categorical(np.where(x + rng.normal(size=n) > 0, "p", "q")),
            "grade": pd.Categorical.from_codes(
                np.clip(np.rint(x + 1), 0, 2).astype(int), ["c", "b", "a"], ordered=True
            ),
            "nullable": pd.array(rng.integers(0, 5, n), dtype="Int64"),
            "when": pd.Timestamp("2020-05-17 12:00")
            + pd.to_timedelta(np.rint(1e6 * (x + rng.normal(size=n))), unit="s"),
        }
    )


@pytest.fixture
def gaussian_table():
    return _gaussian_table


@pytest.fixture
def gaussian_oracle():
    return _GaussianOracle


@pytest.fixture
def mixed_table():
    return _mixed_table
