"""Time of the NDS against the bare product of all pairs, and of every metric; ``results/imputation_speed.json``.

The product is ``X @ X.T`` in float32 for all rows of both samples, in tiles that stay in the cache and are overwritten:
once for every ordered pair, and once for every pair of rows. NDS includes the checks, the neighbours with ties broken,
and the score. Runs take turns, on one BLAS thread, and the least CPU time of each counts.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from construction import RESULTS, cpu_seconds
from threadpoolctl import threadpool_limits

from imputation_eval import nds
from imputation_eval.metrics import KNOWN_METRICS
from imputation_eval.neighborhoods import nearest_neighbors

GOAL = 1.9  # times the product of all ordered pairs, for 2 x 20,000 rows of 50 columns
TILE = (512, 2048)
SHAPES = ((2_000, 50), (20_000, 50))
SLOW = 5.0  # seconds beyond which a metric is timed once


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="timed runs of each (default: 5)")
    arguments = parser.parse_args()
    with threadpool_limits(1):
        rows = [row for shape in SHAPES for row in neighborhoods(*shape, arguments.repeats)]
        metrics = [row for shape in SHAPES for row in all_metrics(*shape, arguments.repeats)]
    results = {
        "command": "python benchmarks/imputation_speed.py",
        "machine": f"{platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}",
        "date": time.strftime("%Y-%m-%d"),
        "neighborhoods": rows,
        "metrics": metrics,
    }
    path = RESULTS / "imputation_speed.json"
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    ratio = next(row["products"] for row in rows if row["what"] == "nds" and row["rows_a_side"] == 20_000)
    print(f"NDS of 2 x 20,000 x 50: {ratio:.2f} products (goal {GOAL}): {'held' if ratio <= GOAL else 'MISSED'}")
    print(f"wrote {path}")


def neighborhoods(n: int, d: int, repeats: int) -> list[dict[str, Any]]:
    """Seconds of the product, of the neighbours and of the NDS, the runs of which take turns."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(n, d)), rng.normal(size=(n, d))
    pooled = np.vstack([x, y])
    left = pooled.astype(np.float32)
    right = np.ascontiguousarray(left.T)
    k = nds(x, y, random_state=0).n_neighbors
    calls: dict[str, Callable[[], Any]] = {
        "product": lambda: product(left, right, pairs_once=False),
        "product, pairs once": lambda: product(left, right, pairs_once=True),
        "neighbours": lambda: nearest_neighbors(pooled, k, np.random.default_rng(0)),
        "nds": lambda: nds(x, y, random_state=0),
    }
    turns = [{name: cpu_seconds(call) for name, call in calls.items()} for _ in range(repeats)]
    least = {name: min(turn[name] for turn in turns) for name in calls}
    least["nds, 999 permutations"] = cpu_seconds(lambda: nds(x, y, n_permutations=999, random_state=0))
    rows = []
    for name, seconds in least.items():
        ratios = {"products": seconds / least["product"], "products_once": seconds / least["product, pairs once"]}
        rows.append({"what": name, "rows_a_side": n, "columns": d, "n_neighbors": k, "seconds": seconds, **ratios})
        print(f"{n:6d} a side  {name:26s} {seconds:7.3f} s = {ratios['products']:.2f} products")
    return rows


def product(left: np.ndarray, right: np.ndarray, *, pairs_once: bool) -> None:
    height, width = TILE
    buffer = np.empty(height * width, dtype=np.float32)
    for top in range(0, len(left), height):
        for start in range(top if pairs_once else 0, len(left), width):
            rows, columns = left[top : top + height], right[:, start : start + width]
            out = buffer[: len(rows) * columns.shape[1]].reshape(len(rows), -1)
            np.matmul(rows, columns, out=out)


def all_metrics(n: int, d: int, repeats: int) -> list[dict[str, Any]]:
    """Seconds of each metric on clean arrays, as a ranking calls it."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(n, d)), rng.normal(size=(n, d))
    rows = []
    for metric in KNOWN_METRICS.values():
        if metric.max_rows is not None and n > metric.max_rows:
            continue
        call = lambda metric=metric: metric.compute(x, y, np.random.default_rng(0))  # noqa: E731
        seconds = cpu_seconds(call)
        if seconds < SLOW:
            seconds = min(seconds, cpu_seconds(call, repeats))
        rows.append({"metric": metric.name, "rows_a_side": n, "columns": d, "seconds": seconds})
        print(f"{n:6d} a side  {metric.name:26s} {seconds:7.3f} s")
    return rows


if __name__ == "__main__":
    main()
