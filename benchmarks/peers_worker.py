"""Runs one peer on stored rows and stores its points and weights; `peers.py` starts it in the peer's environment.

It knows nothing of this project, so that it needs only NumPy and the peer. One JSON line a seed goes to the standard
output: CPU seconds of all threads of the summary alone, those of the imports, and those of the first, untimed run.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import time
from pathlib import Path

import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("method", choices=METHODS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clusters", type=int, required=True)
    parser.add_argument("--points", type=int, required=True)
    parser.add_argument("--limit", type=int, required=True, help="CPU seconds a seed")
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # XLA starts as many threads as it sees cores
    summarise = METHODS[arguments.method]
    started = time.process_time()
    importlib.import_module(MODULES[arguments.method.split()[0]])
    extra = {"import_seconds": time.process_time() - started, "first_seconds": first_run(arguments, summarise)}
    for seed in arguments.seeds:
        X = np.load(arguments.folder / f"data-{seed}.npy")
        limit(arguments.limit)
        (points, weights), seconds = timed(
            lambda X=X, seed=seed: summarise(X, arguments.clusters, arguments.points, seed)
        )
        limit(0)
        np.savez(arguments.folder / f"{arguments.method}-{seed}.npz", points=points, weights=weights)
        print(json.dumps({"seed": seed, "seconds": seconds, **extra}), flush=True)


def first_run(arguments, summarise) -> float:
    """CPU seconds of a run that is not counted: JAX compiles for each shape, others load what they import late."""
    X = np.load(arguments.folder / f"data-{arguments.seeds[0]}.npy")
    clusters, points = arguments.clusters, arguments.points
    if not arguments.method.startswith("coreax"):
        X, clusters, points = X[:1000], 10, 50
    limit(2 * arguments.limit)  # compiling is not the method's own time
    started = time.process_time()
    summarise(X, clusters, points, 12345)
    limit(0)
    return time.process_time() - started


def timed(call):
    """Result and CPU seconds of a call, repeated while it is short: the clock of some machines ticks in hundredths."""
    repeats, started = 0, time.process_time()
    while repeats < 10 and time.process_time() - started < 0.1:
        result = call()
        repeats += 1
    return result, (time.process_time() - started) / repeats


def limit(seconds: float) -> None:
    """End this process by SIGPROF after so many CPU seconds; 0 lifts the limit. A busy machine does not matter."""
    signal.setitimer(signal.ITIMER_PROF, seconds)


def coreax_method(name: str):
    def summarise(X, n_clusters, n_points, seed):
        import coreax
        import jax

        # In float32, JAX's default: coreax 1.0.0's KernelThinning runs in no other. The rows returned keep all digits.
        solver = _coreax_solver(name, X, n_points, jax.random.key(seed))
        solution, _ = solver.reduce(coreax.Data(X))
        chosen = np.asarray(solution.unweighted_indices)
        return X[chosen], np.full(len(chosen), len(X) / len(chosen))

    return summarise


def _coreax_solver(name: str, X: np.ndarray, n_points: int, key):
    from coreax import kernels, solvers

    if name == "RandomSample":
        return solvers.RandomSample(n_points, random_key=key)
    # The median heuristic, as in coreax's own examples; of a sample, and never zero.
    sample = X[np.random.default_rng(0).choice(len(X), min(1000, len(X)), replace=False)]
    width = float(kernels.median_heuristic(sample)) or 1.0
    kernel = kernels.SquaredExponentialKernel(length_scale=width)
    if name == "KernelHerding":
        return solvers.KernelHerding(n_points, kernel=kernel, block_size=4096)  # without blocks, n x n values at once
    if name == "MapReduce":
        return solvers.MapReduce(solvers.KernelHerding(n_points, kernel=kernel), leaf_size=2 * n_points)
    return solvers.KernelThinning(
        n_points,
        kernel=kernel,
        random_key=key,
        delta=1 / (len(X) * np.log(np.log(len(X)))),
        sqrt_kernel=kernels.SquaredExponentialKernel(length_scale=width / np.sqrt(2)),
    )


def coresets_method(name: str):
    def summarise(X, n_clusters, n_points, seed):
        import coresets

        np.random.seed(seed)  # noqa: NPY002 - coresets 0.2.0 draws from the global state whatever random_state says
        if name == "lightweight":
            return coresets.KMeansLightweightCoreset(X, random_state=seed).generate_coreset(n_points)
        return coresets.KMeansCoreset(X, n_clusters=n_clusters, random_state=seed).generate_coreset(n_points)

    return summarise


def bico(X, n_clusters, n_points, seed):
    from bico import BICO

    fitted = BICO(n_clusters=n_clusters, summary_size=n_points, random_state=seed).fit(X)
    return fitted.coreset_points_.copy(), fitted.coreset_weights_.copy()


def sklearn_method(name: str):
    """As many clusters as points, each centre weighted by the mass of its cluster."""

    def summarise(X, n_clusters, n_points, seed):
        from sklearn import cluster

        options = {"n_init": 1} if name != "BisectingKMeans" else {}
        model = getattr(cluster, name)(n_points, random_state=seed, **options).fit(X)
        return model.cluster_centers_, np.bincount(model.labels_, minlength=n_points).astype(float)

    return summarise


MODULES = {"coreax": "coreax", "coresets": "coresets", "bico": "bico", "scikit-learn": "sklearn.cluster"}
METHODS = {
    "coreax RandomSample": coreax_method("RandomSample"),
    "coreax KernelHerding": coreax_method("KernelHerding"),
    "coreax MapReduce(KernelHerding)": coreax_method("MapReduce"),
    "coreax KernelThinning": coreax_method("KernelThinning"),
    "coresets KMeansCoreset": coresets_method("kmeans"),
    "coresets KMeansLightweightCoreset": coresets_method("lightweight"),
    "bico BICO": bico,
    "scikit-learn MiniBatchKMeans": sklearn_method("MiniBatchKMeans"),
    "scikit-learn BisectingKMeans": sklearn_method("BisectingKMeans"),
    "scikit-learn KMeans": sklearn_method("KMeans"),
}

if __name__ == "__main__":
    main()
