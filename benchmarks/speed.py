"""Large tables: time against the bare n x d x k product, memory, distortion; writes ``results/speed.json``.

One million rows of 64 float32 columns in 256 clusters, 10,000 points, one BLAS thread. The product is ``X @ C.T`` for
the 256 centres C in one call; times are the least CPU seconds of some runs. Memory is the peak of what is allocated
during ``fit``, as tracemalloc sees it, over the size of X.
"""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
from data import mixture
from harness import Run, Setting, cpu_seconds
from threadpoolctl import threadpool_limits

from coreset import LightweightCoreset, RobustCoreset, SensitivityCoreset, UniformCoreset, distortion

SETTINGS = {
    "rows": Setting(1_000_000),
    "seeds": Setting(3, 1, "data sets"),
    "repeats": Setting(5, 2, "timed runs of each method"),
}


def main() -> None:
    run = Run(__file__, __doc__, SETTINGS)
    given = run.given
    with threadpool_limits(1):
        rows = [row for seed in range(given.seeds) for row in measure(given.rows, seed, given.repeats)]
    run.finish({"shape": [given.rows, 64], "n_clusters": 256, "n_points": 10_000, "rows": rows})


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


if __name__ == "__main__":
    main()
