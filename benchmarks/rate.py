"""Bytes for a k-means cost within 5 %, over what rate-distortion theory asks for; writes ``results/rate.json``.

Gaussian mixtures of 20,000 x 50 rows in 100 clusters. The bound is ``k d / 2 log2(var_between / (0.05 var_within))``
bits: what k centres take when each may cost a twentieth of the variance within clusters. Budgets are multiples of it,
planned by all defaults. Centres are solved on the message (scikit-learn, ten starts) and cost on all rows, over the
best cost that is known: Lloyd's method from the true centres, or from ten random starts where that is less.
"""

from __future__ import annotations

import numpy as np
from data import mixture
from harness import Run, Setting
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from coreset import BudgetedCoreset, Coreset

N, D, K = 20_000, 50, 100
SETTINGS = {
    "seeds": Setting(3, 1, "mixtures of each kind"),
    "multiples": Setting((1.0, 1.5, 2.0, 2.5, 3.0), (3.0,), "of the bound"),
}


def main() -> None:
    run, rows = Run(__file__, __doc__, SETTINGS), []
    with threadpool_limits(1):
        for kind in ("balanced", "imbalanced"):
            for seed in range(run.given.seeds):
                rows += measured(kind, seed, run.given.multiples)
    run.finish({"rows": rows})


def measured(kind: str, seed: int, multiples: list[float]) -> list[dict[str, object]]:
    X = mixture(kind, np.random.default_rng(seed), N, D, K)
    starts = 4 * np.random.default_rng(seed).normal(size=(K, D))  # the first draw of a mixture is its centres
    best = min(KMeans(K, init=starts, n_init=1).fit(X).inertia_, KMeans(K, n_init=10, random_state=0).fit(X).inertia_)
    within = best / (N * D)
    bound = K * D / 2 * np.log2((X.var(axis=0).mean() - within) / (0.05 * within)) / 8
    rows = []
    for multiple in multiples:
        planned = BudgetedCoreset(int(multiple * bound), random_state=seed).fit(X)
        summary: Coreset = planned.coreset_
        solved = KMeans(min(K, len(summary)), n_init=10, random_state=0)
        solved.fit(summary.points, sample_weight=summary.weights)
        row = {
            "mixture": kind,
            "seed": seed,
            "multiple": multiple,
            "message_bytes": len(planned.message_),
            "n_points": len(summary),
            "quantizer": repr(planned.plan_.quantizer),
            "distortion": round(-float(solved.score(X)) / best, 4),
        }
        print(row, flush=True)
        rows.append(row)
    return rows


if __name__ == "__main__":
    main()
