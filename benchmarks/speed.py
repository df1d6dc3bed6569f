"""Large tables: time against the bare n x d x k product, memory, distortion; writes ``results/speed.json``.

One million rows of 64 float32 columns in 256 clusters, 10,000 points, one BLAS thread. The product is ``X @ C.T`` for
the 256 centres C in one call; times are the least CPU seconds of some runs. Memory is the peak of what is allocated
during ``fit``, as tracemalloc sees it, over the size of X.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
import tracemalloc
from typing import Any

import numpy as np
from construction import RESULTS, cpu_seconds
from data import mixture
from threadpoolctl import threadpool_limits

from coreset import LightweightCoreset, RobustCoreset, SensitivityCoreset, UniformCoreset, distortion

# Goals: time over the product (Lightweight: over one sum of all values), solved distortion.
GOALS = {
    "SensitivityCoreset": ("products", 0.55, 1.10),
    "RobustCoreset": ("products", 0.9, 1.02),
    "RobustCoreset exact": ("products", 2.5, None),
    "LightweightCoreset": ("sums", 4.0, None),
}
MEMORY_GOAL = 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seeds", type=int, default=3, help="data sets (default: 3)")
    parser.add_argument("--repeats", type=int, default=5, help="timed runs of each method (default: 5)")
    arguments = parser.parse_args()
    with threadpool_limits(1):
        rows = [row for seed in range(arguments.seeds) for row in measure(arguments.rows, seed, arguments.repeats)]
    results = {
        "command": "python benchmarks/speed.py",
        "machine": f"{platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}",
        "date": time.strftime("%Y-%m-%d"),
        "shape": [arguments.rows, 64],
        "n_clusters": 256,
        "n_points": 10_000,
        "rows": rows,
    }
    path = RESULTS / "speed.json"
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print_goals(rows)
    print(f"wrote {path}")


def measure(n_rows: int, seed: int, repeats: int) -> list[dict[str, Any]]:
    """Each method on the balanced mixture of one seed."""
    X = mixture("balanced", np.random.default_rng(seed), n_rows, 64, 256).astype(np.float32)
    centers = X[:256].copy()
    product = cpu_seconds(lambda: X @ centers.T, repeats)
    total = cpu_seconds(X.sum, repeats)
    print(f"seed {seed}: product {product:.3f} s, sum {total:.4f} s")
    rows = []
    for name, estimator in methods(seed).items():
        seconds = cpu_seconds(lambda estimator=estimator: estimator.fit(X), repeats)
        rows.append(
            {
                "method": name,
                "seed": seed,
                "seconds": seconds,
                "products": seconds / product,
                "sums": seconds / total,
                "memory": peak_bytes(lambda estimator=estimator: estimator.fit(X)) / X.nbytes,
                "distortion": distortion(X, estimator.coreset_, 256, random_state=seed),
            }
        )
        row = rows[-1]
        print(
            f"  {name:20s} {seconds:.3f} s = {row['products']:.2f} products = {row['sums']:.1f} sums, "
            f"memory {100 * row['memory']:.0f} %, distortion {row['distortion']:.4f}"
        )
    return rows


def methods(seed: int) -> dict[str, Any]:
    return {
        "UniformCoreset": UniformCoreset(10_000, random_state=seed),
        "LightweightCoreset": LightweightCoreset(10_000, random_state=seed),
        "SensitivityCoreset": SensitivityCoreset(10_000, random_state=seed),
        "RobustCoreset": RobustCoreset(10_000, random_state=seed),
        "RobustCoreset exact": RobustCoreset(10_000, exact=True, random_state=seed),
    }


def peak_bytes(call: Any) -> int:
    """Most bytes allocated at a time during a call, beyond what there was."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        call()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def print_goals(rows: list[dict[str, Any]]) -> None:
    """Worst seed of each method beside its goals."""
    for method, (unit, most, worst) in GOALS.items():
        own = [row for row in rows if row["method"] == method]
        time_ratio, memory = max(row[unit] for row in own), max(row["memory"] for row in own)
        reached = max(row["distortion"] for row in own)
        print(f"{method}: {time_ratio:.2f} {unit} (goal {most}): {_verdict(time_ratio <= most)}; ", end="")
        print(f"memory {memory:.2f} (goal {MEMORY_GOAL}): {_verdict(memory <= MEMORY_GOAL)}; ", end="")
        print(f"solved {reached:.4f}" + ("" if worst is None else f" (goal {worst}): {_verdict(reached <= worst)}"))


def _verdict(held: bool) -> str:
    return "held" if held else "MISSED"


if __name__ == "__main__":
    main()
