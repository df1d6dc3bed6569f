"""Budgets shared among many nodes: CPU seconds of `allocate_budget`; writes ``results/allocation.json``.

Curves are convex (a power of the bytes), random staircases, concave (all is gained by the last byte), or convex with
one node whose steps are as large as a tenth of all others together. A budget is the cheapest levels and a share of the
rest. The unit is one sort of all errors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from harness import Run, Setting, cpu_seconds
from threadpoolctl import threadpool_limits

from coreset import allocate_budget

KINDS = ("convex", "random", "concave", "giant")
SETTINGS = {
    "nodes": Setting(10_000),
    "levels": Setting(50, None, "of each node"),
    "kinds": Setting(KINDS, ("convex", "random"), "of curves", more={"choices": KINDS}),
    "repeats": Setting(3, 1, "timed runs of each case"),
}


def main() -> None:
    run = Run(__file__, __doc__, SETTINGS)
    given = run.given
    with threadpool_limits(1):
        rows = [row for kind in given.kinds for row in measure(kind, given.nodes, given.levels, given.repeats)]
    run.finish({"n_nodes": given.nodes, "n_levels": given.levels, "rows": rows})


def measure(kind: str, n_nodes: int, n_levels: int, repeats: int) -> list[dict[str, Any]]:
    """Both objectives at three budgets."""
    sizes, errors = curves_of(kind, n_nodes, n_levels, np.random.default_rng(0))
    curves = list(np.stack([sizes, errors], axis=2))
    sort = cpu_seconds(lambda: np.sort(errors, axis=None), repeats)
    least, most = int(sizes[:, 0].sum()), int(sizes[:, -1].sum())
    rows = []
    for objective in ("max", "sum"):
        for share in (0.01, 0.3, 0.9):
            budget = least + int(share * (most - least))
            seconds = cpu_seconds(
                lambda budget=budget, objective=objective: allocate_budget(curves, budget, objective=objective), repeats
            )
            rows.append(
                {"curves": kind, "objective": objective, "share": share, "seconds": seconds, "sorts": seconds / sort}
            )
            print(f"{kind:8s} {objective} {share:4.2f}: {seconds:.3f} s = {seconds / sort:.0f} sorts")
    return rows


def curves_of(kind: str, n_nodes: int, n_levels: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Bytes and errors, a row a node."""
    sizes = np.cumsum(rng.integers(1, 1000, (n_nodes, n_levels)), axis=1)
    if kind == "random":
        return sizes, np.sort(rng.random(sizes.shape))[:, ::-1]
    if kind == "concave":
        return sizes, sizes[:, -1:] ** 2.0 - sizes**2.0
    errors = rng.pareto(1, (n_nodes, 1)) * sizes ** -rng.uniform(0.2, 1, (n_nodes, 1))
    if kind == "giant":
        errors[0] = errors.sum() * np.arange(n_levels, 0, -1)
        sizes[0] = np.arange(1, n_levels + 1) * (sizes[1:, -1].sum() // 10)
    return sizes, errors


if __name__ == "__main__":
    main()
