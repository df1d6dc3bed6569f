"""Streams against the batch method at equal size: distortion, time and memory; writes ``results/streaming.json``.

Rows are made block by block from seeds, so that a stream never holds them together. Every measurement of memory is a
process of its own: the peak of its resident set, less what it had before the first row. Times are CPU seconds of one
BLAS thread, without making the rows. Scenario names are permanent.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from harness import ROOT, Run, Setting
from threadpoolctl import threadpool_limits

from coreset import RobustCoreset, StreamingCoreset, distortion

BLOCK = 100_000
FEATURES = 16
SETTINGS = {
    "rows": Setting((1_000_000, 2_000_000, 5_000_000, 10_000_000), (250_000, 500_000, 1_000_000)),
    "mixture_rows": Setting(10_000_000, 500_000, "rows of each mixture whose cost is taken"),
    "heavy_rows": Setting(1_000_000, 300_000, "rows of each heavy-tailed table"),
    "points": Setting(4000),
    "clusters": Setting(100),
    "seeds": Setting(3, 1),
    "bucket_rows": Setting(None, None, "rows of a leaf (default: the estimator's own)", more={"type": int}),
    "child": Setting(None, None, argparse.SUPPRESS, more={"nargs": 2}),
}


def main() -> None:
    run = Run(__file__, __doc__, SETTINGS)
    given = run.given
    with threadpool_limits(1):
        if given.child:
            print(json.dumps(scale(given.child[0], int(given.child[1]), given)))
            return
        scaling = [in_a_child(method, rows) for method in ("stream", "batch") for rows in given.rows]
        quality = compared(given)
    run.finish({"points": given.points, "clusters": given.clusters, "scaling": scaling, "quality": quality})


def blocks(kind: str, n_rows: int, seed: int, n_clusters: int) -> Iterator[np.ndarray]:
    """Gaussian clusters whose sizes fall with one over their rank, or Student t with three degrees of freedom."""
    centers = 4 * np.random.default_rng(seed).normal(size=(n_clusters, FEATURES))
    sizes = 1 / np.arange(1, n_clusters + 1)
    for number, start in enumerate(range(0, n_rows, BLOCK)):
        rng, n = np.random.default_rng([seed, number]), min(BLOCK, n_rows - start)
        if kind == "heavy":
            yield rng.standard_t(3, size=(n, FEATURES)).astype(np.float32)
        else:
            labels = rng.choice(n_clusters, n, p=sizes / sizes.sum())
            yield (centers[labels] + rng.normal(size=(n, FEATURES))).astype(np.float32)


def table(kind: str, n_rows: int, seed: int, n_clusters: int) -> np.ndarray:
    X = np.empty((n_rows, FEATURES), dtype=np.float32)
    for number, block in enumerate(blocks(kind, n_rows, seed, n_clusters)):
        X[number * BLOCK : number * BLOCK + len(block)] = block
    return X


def stream_of(given: argparse.Namespace, seed: int) -> StreamingCoreset:
    return StreamingCoreset(RobustCoreset(given.points), bucket_rows=given.bucket_rows or "auto", random_state=seed)


def compared(given: argparse.Namespace) -> list[dict[str, Any]]:
    """Distortion of a stream and of the batch method on the same rows."""
    rows = []
    for kind, n_rows in (("mixture", given.mixture_rows), ("heavy", given.heavy_rows)):
        for seed in range(given.seeds):
            X = table(kind, n_rows, seed, given.clusters)
            batch = RobustCoreset(given.points, random_state=seed).fit(X).coreset_
            stream = stream_of(given, seed).fit(X).coreset_
            row = {
                "scenario": f"{kind}-{n_rows}",
                "seed": seed,
                "batch": distortion(X, batch, given.clusters, random_state=seed),
                "stream": distortion(X, stream, given.clusters, random_state=seed),
                "offset_ratio": stream.offset / batch.offset,
            }
            rows.append(row)
            print(", ".join(f"{k} {v:.4f}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()), flush=True)
    return rows


def in_a_child(method: str, n_rows: int) -> dict[str, Any]:
    command = [sys.executable, __file__, *sys.argv[1:], "--child", method, str(n_rows)]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": paths}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    row: dict[str, Any] = json.loads(done.stdout)
    print(", ".join(f"{k} {v:.2f}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()), flush=True)
    return row


def scale(method: str, n_rows: int, given: argparse.Namespace) -> dict[str, Any]:
    """Time and memory of one method on one number of rows."""
    started_with = peak()
    if method == "batch":
        X = table("mixture", n_rows, 0, given.clusters)
        clock = time.process_time()
        coreset = RobustCoreset(given.points, random_state=0).fit(X).coreset_
        times = {"seconds": time.process_time() - clock}
        held = n_rows
    else:
        stream, seconds, held = stream_of(given, 0), 0.0, 0
        for block in blocks("mixture", n_rows, 0, given.clusters):
            clock = time.process_time()
            stream = stream.partial_fit(block)
            seconds += time.process_time() - clock
            held = max(held, stream.n_rows_held_)
        clock = time.process_time()
        coreset = stream.coreset_
        reading = time.process_time() - clock
        times = {"seconds": seconds + reading, "reading": reading}
    memory = {"rows_held": held, "peak_MB": peak() - started_with}
    return {"method": method, "rows": n_rows, **times, **memory, "points": len(coreset)}


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
