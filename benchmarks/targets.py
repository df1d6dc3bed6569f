"""Regressions trained on summaries: R2 on held-out rows, by the share of the target in the cells.

Writes ``results/targets.json`` and prints its means. A share is the standard deviation of the scaled target
over the root mean square of those of the columns; 0.1 is what ``label_scale="auto"`` takes.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from harness import Run, Setting
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes, make_friedman1
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from coreset import Coreset, RobustCoreset, UniformCoreset, UniformQuantizer, decode, encode

SHARES = (0.01, 0.1, 0.25, 0.5, 1.0)
SETTINGS = {
    "tables": Setting(("linear", "friedman", "diabetes"), ("diabetes",)),
    "seeds": Setting(3, 2, "draws, or splits, of each table"),
}
MODELS = {
    "linear": LinearRegression(),
    "ridge": make_pipeline(StandardScaler(), Ridge(1.0)),
    "forest": RandomForestRegressor(50, min_samples_leaf=3, random_state=0),
    "mlp": TransformedTargetRegressor(
        make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=(32,), max_iter=40, random_state=0)),
        transformer=StandardScaler(),
    ),
}


def table(name: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, int]:
    """Rows, target and number of training rows."""
    if name == "diabetes":
        X, y = load_diabetes(return_X_y=True)
        order = rng.permutation(len(X))
        return X[order], y[order], 300
    if name == "friedman":
        X, y = make_friedman1(12_000, n_features=10, noise=1.0, random_state=int(rng.integers(2**31)))
        return X, y, 10_000
    X = rng.normal(size=(12_000, 5))
    X[:, 1] = 0.8 * X[:, 0] + 0.6 * X[:, 1]
    return X, X @ [3, -2, 1, 0, 0] + 2 * rng.normal(size=len(X)), 10_000


def summaries(X: np.ndarray, y: np.ndarray, n_points: int, seed: int) -> dict[str, tuple[Coreset, int]]:
    """What models train on, and the copies that they train with."""
    found = {
        "all rows": (RobustCoreset(len(X), target_type="numeric").fit(X, y).coreset_, 1),
        "uniform": (UniformCoreset(n_points, target_type="numeric", random_state=seed).fit(X, y).coreset_, 1),
    }
    for share in SHARES:
        scale = share * np.sqrt(X.var(axis=0).mean()) / y.std()
        base = RobustCoreset(n_points, target_type="numeric", label_scale=scale, random_state=seed)
        summary = base.fit(X, y).coreset_
        sent = decode(encode(summary, UniformQuantizer(8)))
        for what, coreset, copies in (("points", summary, 1), ("scatter", summary, 4), ("sent, scatter", sent, 4)):
            found[f"{share:4} {what}"] = coreset, copies
    return found


def main() -> None:
    run, rows = Run(__file__, __doc__, SETTINGS), []
    for name in run.given.tables:
        for seed in range(run.given.seeds):
            X, y, n_train = table(name, np.random.default_rng(seed))
            n_points = 75 if name == "diabetes" else 500
            for what, (coreset, copies) in summaries(X[:n_train], y[:n_train], n_points, seed).items():
                scores = {
                    model: coreset.train(estimator, copies=copies).score(X[n_train:], y[n_train:])
                    for model, estimator in MODELS.items()
                }
                rows.append({"data": name, "seed": seed, "trained on": what, **scores})
    print(pd.DataFrame(rows).groupby(["data", "trained on"], sort=False)[list(MODELS)].mean().round(3).to_string())
    run.finish({"rows": rows})


if __name__ == "__main__":
    main()
