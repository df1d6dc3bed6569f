"""Time of the NDS against the bare product of all pairs, of every metric, and of a ranking's scoring.

Writes ``results/imputation_speed.json``.

The product is ``X @ X.T`` in float32 for all rows of both samples, in tiles that stay in the cache and are overwritten:
once for every ordered pair, and once for every pair of rows. NDS includes the checks, the neighbours with ties broken,
and the score. Runs take turns, on one BLAS thread, and the least CPU time of each counts. Scoring is all that a ranking
does except for the imputers themselves: masks, checks of what they return, encoding, the metric, tests and ranks.
"""

from __future__ import annotations

import resource
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from harness import Run, Setting, cpu_seconds
from threadpoolctl import threadpool_limits

from imputation_eval import HotDeckImputer, MeanImputer, nds, rank_imputers
from imputation_eval.metrics import KNOWN_METRICS
from imputation_eval.neighborhoods import nearest_neighbors

TILE = (512, 2048)
COLUMNS = 50
SLOW = 5.0  # seconds beyond which a metric is timed once
SECTIONS = ("large", "neighborhoods", "ties", "scoring", "metrics")  # large first, since it tells the peak of memory
SETTINGS = {
    "only": Setting(SECTIONS, None, "sections to measure; the others are kept", free=True, more={"choices": SECTIONS}),
    "repeats": Setting(5, 1, "timed runs of each"),
    "large_rows": Setting(1_000_000, 100_000),
    "sides": Setting((2_000, 20_000), (20_000,), "rows a side, for the product and the NDS"),
    "metric_sides": Setting((2_000, 20_000), (2_000,), "rows a side, for all metrics"),
    "scored": Setting(("nds 5", "nds 1", "sliced_energy 5", "rmse 5"), ("nds 1",), "metrics of rankings, and draws"),
}


def main() -> None:
    run = Run(__file__, __doc__, SETTINGS)
    given = run.given
    measures: dict[str, Callable[[], list[dict[str, Any]]]] = {
        "large": lambda: [large_table(given.large_rows)],
        "neighborhoods": lambda: [row for n in given.sides for row in neighborhoods(n, COLUMNS, given.repeats)],
        "ties": lambda: heavy_ties(given.repeats),
        "scoring": lambda: [scoring(metric, int(n_draws)) for metric, n_draws in map(str.split, given.scored)],
        "metrics": lambda: [row for n in given.metric_sides for row in all_metrics(n, COLUMNS, given.repeats)],
    }
    results = run.stored() if set(given.only) != set(SECTIONS) else {}
    with threadpool_limits(1):
        for section in given.only:
            results[section] = measures[section]()
            run.save(results)
    run.finish(results)


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
        call = lambda metric=metric: metric.between(x, y, np.random.default_rng(0))  # noqa: E731
        seconds = cpu_seconds(call)
        if seconds < SLOW:
            seconds = min(seconds, cpu_seconds(call, repeats))
        rows.append({"metric": metric.name, "rows_a_side": n, "columns": d, "seconds": seconds})
        print(f"{n:6d} a side  {metric.name:26s} {seconds:7.3f} s")
    return rows


def heavy_ties(repeats: int) -> list[dict[str, Any]]:
    """Seconds of the NDS of integers, most rows of which repeat many others."""
    rng = np.random.default_rng(0)
    rows = []
    for n, d, levels in ((20_000, 1, 50), (20_000, 3, 10), (20_000, 10, 2), (2_000, 10, 2)):
        x, y = rng.integers(0, levels, (n, d)).astype(float), rng.integers(0, levels, (n, d)).astype(float)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # it warns of the duplicates
            seconds = cpu_seconds(lambda x=x, y=y: nds(x, y, random_state=0), repeats)
        rows.append({"rows_a_side": n, "columns": d, "levels": levels, "seconds": seconds})
        print(f"{n:6d} a side  {d} columns of {levels} integers: {seconds:7.3f} s")
    return rows


def scoring(metric: str, n_draws: int) -> dict[str, Any]:
    """CPU seconds of a ranking of 10 imputers in 20 repeats on 2,000 x 50, and what of it the imputers took."""
    scales = 0.2 * np.arange(1, 11)
    row = ranking_time(2_000, 50, scales, metrics=metric, n_draws=n_draws)
    each = 1000 * row["scoring_s"] / row["n_tables"]
    print(f"ranking by {metric}, {n_draws} draws: {row['scoring_s']:.1f} s of scoring, {each:.1f} ms a table")
    return {"metric": metric, "n_draws": n_draws, **row}


def large_table(n: int) -> dict[str, Any]:
    """The same for one imputer in 3 repeats, with the default five draws, on n x 20; and the peak of memory."""
    row = ranking_time(n, 20, np.ones(1), n_repeats=3)
    row |= {"rows": n, "columns": 20, "n_repeats": 3}
    row["peak_MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"{n:,} x 20: {row['scoring_s'] / 3:.1f} s of scoring a repeat, at most {row['peak_MB']:.0f} MB")
    return row


def ranking_time(n: int, d: int, scales: np.ndarray, **options: Any) -> dict[str, Any]:
    """Rank noise of several scales, hot-deck and the mean, and tell their own time from that of scoring."""
    spent = [0.0]
    rows = np.random.default_rng(0).normal(size=(n, d + 1))
    df = pd.DataFrame(0.8 * rows[:, :d] + 0.6 * rows[:, d:])
    del rows

    def timed(fill: Callable[[pd.DataFrame, int], pd.DataFrame]) -> Callable[[pd.DataFrame, int], pd.DataFrame]:
        def imputer(table: pd.DataFrame, random_state: int) -> pd.DataFrame:
            start = time.process_time()
            filled = fill(table, random_state)
            spent[0] += time.process_time() - start
            return filled

        return imputer

    def noise(scale: float) -> Callable[[pd.DataFrame, int], pd.DataFrame]:
        def fill(table: pd.DataFrame, random_state: int) -> pd.DataFrame:
            values = table.to_numpy(copy=True)
            holes = np.isnan(values)
            values[holes] = scale * np.random.default_rng(random_state).normal(size=holes.sum())
            return pd.DataFrame(values, index=table.index, columns=table.columns)

        return fill

    imputers = {f"noise {scale:.1f}": timed(noise(scale)) for scale in scales}
    imputers["hot-deck"] = timed(lambda table, seed: HotDeckImputer(seed).fit_transform(table))
    imputers["mean"] = timed(lambda table, seed: MeanImputer().fit_transform(table))
    start = time.process_time()
    ranking = rank_imputers(df, imputers, progress=False, random_state=0, **options)
    seconds = time.process_time() - start - spent[0]
    return {"scoring_s": seconds, "imputers_s": spent[0], "n_tables": len(ranking.raw)}


if __name__ == "__main__":
    main()
