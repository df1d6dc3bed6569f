"""Summaries of many shards against one central summary for the same bytes; writes ``results/distributed.json``.

Rows are dealt to shards at random, or class by class in shares that a Dirichlet law with parameter 0.1 draws, so that
most shards know few classes. Both sides have the same budget, a number of bytes a shard. ``cost`` is that of ten
centres (k-means, solved on the summary) on all training rows; ``cost_ratio`` is the shards' over the central one.
Accuracies are those of the models of ``budget.py`` on test rows, trained on the points and on the scatter; ``behind``
is by how many points of accuracy the shards' summary is behind the central one, with half of its 95 % interval over
seeds. ``parts`` are the bytes of all messages by part. The protocol runs in one process, which by the tests gives the
same bytes as Ray. Runs that are not repeated stay in the file, so that it can be made piece by piece.

That is ``--what quality``. ``cells`` tells what is lost before a byte is written: as many cells of all rows as eight
IID shards make of theirs, none of them quantized. ``published`` is the published construction of centres and drawn
rows, over eight IID shards, next to the default; its costs are relative to the best centres known, and three seeds are
enough for it.
"""

from __future__ import annotations

import itertools
import json
import time
import warnings
from typing import Any

import numpy as np
import pandas as pd
from budget import MODELS, SCATTERED_ROWS, TABLES, Split, split
from harness import Run, Setting
from scipy.stats import t as student
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from coreset import BudgetedCoreset, Coreset, DistributedCoreset, DistributedSampling, RobustCoreset, accounting
from coreset.nearest import clustering_cost

SHARD_BYTES = 2048
SPLITS = ("iid", "dirichlet 0.1")
FEW_SHARDS = 8  # of cells, and of the published construction
WHAT = ("quality", "cells", "published")
SETTINGS = {
    "what": Setting(WHAT, ("quality",), "the others are kept", free=True, more={"choices": WHAT}),
    "seeds": Setting((0, 1, 2, 3, 4), (0, 1)),
    "only": Setting(("mnist", "diamonds"), ("digits",), "tables", free=True, more={"choices": tuple(TABLES)}),
    "shards": Setting((8, 64), (8,), free=True),
    "splits": Setting(SPLITS, ("iid",), "how rows are dealt", free=True, more={"choices": SPLITS}),
}
K = 10
CELLS_A_SHARD = 109  # what 2 KB hold of MNIST
PUBLISHED = {
    "default": None,
    "DistributedSampling(bits=8)": DistributedSampling(bits=8),
    "DistributedSampling(bits=4)": DistributedSampling(bits=4),
    "DistributedSampling(bits=8), resample": DistributedSampling(bits=8, negative_weights="resample"),
    "DistributedSampling(bits=8), avoid": DistributedSampling(bits=8, negative_weights="avoid"),
}


def dealt(y: np.ndarray, n_shards: int, how: str, rng: np.random.Generator) -> list[np.ndarray]:
    """Rows of each shard, none of them empty."""
    if how == "iid":
        return np.array_split(rng.permutation(len(y)), n_shards)
    shards: list[list[np.ndarray]] = [[] for _ in range(n_shards)]
    for label in np.unique(y):
        members = rng.permutation(np.flatnonzero(y == label))
        cuts = (np.cumsum(rng.dirichlet(np.full(n_shards, 0.1)))[:-1] * len(members)).astype(int)
        for shard, part in zip(shards, np.split(members, cuts), strict=True):
            shard.append(part)
    return [rows for rows in map(np.concatenate, shards) if len(rows)]


def measured(part: Split, summary: Coreset, seed: int) -> dict[str, Any]:
    """Cost of centres, and accuracies."""
    copies = int(np.clip(SCATTERED_ROWS / len(summary) // 2 * 2, 2, 16))
    scattered = summary.scatter(copies, random_state=seed) if summary.offset > 0 else summary
    centers = KMeans(K, n_init=5, random_state=seed).fit(summary.points, sample_weight=summary.weights).cluster_centers_
    return {
        "n_points": len(summary),
        "cost": clustering_cost(part.X, centers),
        "points": dict(zip(MODELS, part.scores(summary.train), strict=True)),
        "scatter": dict(zip(MODELS, part.scores(scattered.train), strict=True)),
    }


def measured_run(name: str, n_shards: int, how: str, seed: int) -> dict[str, Any]:
    part = split(TABLES[name](), seed)
    shards = dealt(part.y, n_shards, how, np.random.default_rng(seed))
    budget = SHARD_BYTES * len(shards)
    central = BudgetedCoreset(budget, random_state=seed).fit(part.X, part.y)
    many = DistributedCoreset(budget, backend="local", progress=False, random_state=seed)
    many.fit([part.X[rows] for rows in shards], [part.y[rows] for rows in shards])
    up = many.ledger_.loc[many.ledger_["direction"] == "up", "bytes"].sum()
    return {
        "table": name,
        "split": how,
        "shards": n_shards,
        "seed": seed,
        "budget": budget,
        "central_bytes": len(central.message_),
        "up_bytes": int(up),
        "central_codec": str(central.plan_.quantizer),
        "codecs": {str(codec): int(count) for codec, count in many.plan_["quantizer"].value_counts().items()},
        "parts": accounting(b"".join(many.messages_)).parts,
        "central": measured(part, central.coreset_, seed),
        "distributed": measured(part, many.coreset_, seed),
    }


def cells(seed: int) -> dict[str, Any]:
    """Cells of MNIST's shards and as many of all rows, as they were before they were written."""
    part = split(TABLES["mnist"](), seed)
    shards = dealt(part.y, FEW_SHARDS, "iid", np.random.default_rng(seed))
    base = RobustCoreset(CELLS_A_SHARD, random_state=seed)
    many = Coreset.merge(*(base.fit(part.X[rows], part.y[rows]).coreset_ for rows in shards))
    one = RobustCoreset(len(many), random_state=seed).fit(part.X, part.y).coreset_
    sides = {"central": one, "distributed": many}
    return {"seed": seed} | {
        side: measured(part, summary, seed) | {"to_nearest": _to_nearest(part, summary)}
        for side, summary in sides.items()
    }


def _to_nearest(part: Split, summary: Coreset) -> float:
    """Squared distances of the rows to the nearest point of their class, summed."""
    of_class = [(part.y == label, summary.labels == label) for label in np.unique(part.y)]
    return float(sum(clustering_cost(part.X[rows], summary.points[points]) for rows, points in of_class))


def published(name: str, seed: int) -> dict[str, Any]:
    """The published construction and the default for the same bytes."""
    part = split(TABLES[name](), seed)
    shards = dealt(part.y, FEW_SHARDS, "iid", np.random.default_rng(seed))
    least = KMeans(K, n_init=20, random_state=seed).fit(part.X).inertia_
    found = {}
    for way, base in PUBLISHED.items():
        run = DistributedCoreset(
            SHARD_BYTES * len(shards), base=base, backend="local", progress=False, random_state=seed
        ).fit([part.X[rows] for rows in shards], [part.y[rows] for rows in shards])
        values = measured(part, run.coreset_, seed)
        found[way] = {
            "n_points": values["n_points"],
            "cost": values["cost"] / least,
            "accuracy": values["points"]["logistic regression"],
        }
    return found


def summarised(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    frame = pd.json_normalize(runs)
    rows = []
    for (name, how, shards), part in frame.groupby(["table", "split", "shards"], sort=False):
        row = {"table": name, "split": how, "shards": int(shards), "seeds": len(part)}
        row["points"] = {side: round(float(part[f"{side}.n_points"].mean())) for side in ("central", "distributed")}
        row["cost_ratio"] = round(float((part["distributed.cost"] / part["central.cost"]).mean()), 4)
        row["trained on"] = {
            trained: {model: compared(part, f"{trained}.{model}") for model in MODELS}
            for trained in ("points", "scatter")
        }
        rows.append(row)
    return rows


def compared(part: pd.DataFrame, score: str) -> dict[str, float | None]:
    """Accuracy of the central summary, and by how many points the other one is behind."""
    behind = 100 * (part[f"central.{score}"] - part[f"distributed.{score}"])
    half = student.ppf(0.975, len(part) - 1) * behind.std() / np.sqrt(len(part)) if len(part) > 1 else None
    return {
        "central": round(float(part[f"central.{score}"].mean()), 4),
        "behind": round(float(behind.mean()), 2),
        "half": None if half is None else round(float(half), 2),
    }


def _mean(runs: list[dict[str, Any]]) -> dict[str, float]:
    """Of every number over runs, by its place."""
    return {key: round(float(value), 4) for key, value in pd.json_normalize(runs).mean(numeric_only=True).items()}


def others(what: str, seeds: list[int]) -> dict[str, Any]:
    """Cells, or the published construction."""
    if what == "cells":
        runs = [cells(seed) for seed in seeds]
        return {"runs": runs, "mean": _mean(runs)}
    return {name: _mean([published(name, seed) for seed in seeds[:3]]) for name in ("digits", "diamonds")}


def main() -> None:
    run = Run(__file__, __doc__, SETTINGS)
    given, results = run.given, run.stored() | {"bytes_a_shard": SHARD_BYTES}
    runs = {(one["table"], one["shards"], one["split"], one["seed"]): one for one in results.get("runs", [])}
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # searches are cut short on purpose
        for case in itertools.product(given.only, given.shards, given.splits, given.seeds):
            if "quality" in given.what:
                started = time.process_time()
                runs[case] = measured_run(*case)
                results |= {"summary": summarised(list(runs.values())), "runs": list(runs.values())}
                run.save(results)
                print(f"{case}: {time.process_time() - started:.0f} s", flush=True)
        for what in (what for what in WHAT if what in given.what and what != "quality"):
            results[what] = others(what, given.seeds)
            run.save(results)
            print(json.dumps(results[what], indent=1))
    for row in results.get("summary", []):
        print(json.dumps(row))
    run.finish(results)


if __name__ == "__main__":
    main()
