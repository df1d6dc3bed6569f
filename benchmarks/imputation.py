"""Do the scores of imputations keep what they promise? Writes ``results/imputation.json``, row by row.

Agreement of the metrics on real tables, calibration where imputer and truth are one, power, what the true conditional
distribution comes to in every mode, and time. A run that is cut keeps its rows, and goes on with ``--resume``; scenario
names are permanent. ``docs/imputation.md`` reads them.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd
import shapes
import tables
from harness import Run, Setting, cpu_seconds
from imputation_goals import N_PERMUTATIONS, goals
from scipy import stats
from shapes import SHAPES, Oracle
from threadpoolctl import threadpool_limits

from imputation_eval import (
    HotDeckImputer,
    MeanImputer,
    ampute,
    default_imputers,
    nds,
    rank_imputers,
)
from imputation_eval.metrics import KNOWN_METRICS
from imputation_eval.ranking.statistics import compare_pairs, rank_among
from imputation_eval.ranking.trials import masked_trial
from imputation_eval.scoring import score_imputers

MECHANISMS = ("mcar", "mar", "mnar", "observed")
METRICS = ("nds", "energy", "mmd", "wasserstein", "rmse")
WIDE_METRICS = ("nds", "energy", "rmse")
# Neither the median, which is the mean's twin, nor forests, which take longer than all the others together.
IMPUTERS = ("mean", "hot-deck", "knn", "iterative", "iterative-sample", "pmm")
MOST_ROWS = 500  # of a real table
SHARE = 0.2  # hidden
QUIET: dict[str, Any] = {"progress": False}
Scenario = tuple[str, Callable[[], dict[str, Any]]]


class Book:
    """The results so far, written after every row."""

    def __init__(self, run: Run, *, resume: bool) -> None:
        self.run = run
        self.content: dict[str, Any] = run.stored() if resume else {}

    def fill(self, section: str, scenarios: Iterable[Scenario]) -> None:
        """Run the scenarios of a section that are not there yet."""
        rows = self.content.setdefault(section, [])
        done = {row["scenario"] for row in rows}
        for name, run in scenarios:
            if name in done:
                continue
            start = time.process_time()
            row = {"scenario": name, **run()}
            rows.append(row | {"cpu_s": round(time.process_time() - start, 2)})
            self.run.save(self.content)
            print(f"{section:10s} {name:40s} {rows[-1]['cpu_s']:7.1f} s", flush=True)


def main() -> None:
    run = Run(__file__, __doc__, SETTINGS)
    given = run.given
    book = Book(run, resume=given.resume or set(given.only) != set(SECTIONS))
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of small, repeated and constant data, and of regressions that did not end
        for section in given.only:
            book.fill(section, SECTIONS[section](given.part))
    book.content["agreement_summary"] = agreement(book.content.get("agreement", []))
    book.content["goals"] = goals(book.content)
    for row in book.content["agreement_summary"]:
        if row["mechanism"] == "all":
            interval = f"{row['tau']:.2f} ({row['low']:.2f} to {row['high']:.2f})"
            print(f"tau of nds with {row['metric']:12s} {interval}, the same winner in {row['same_winner']:.0%}")
    run.finish(book.content)


def time_scenarios(part: int) -> Iterable[Scenario]:
    """CPU seconds of metrics against rows a side and against columns."""
    sizes = [(n, 20) for n in (250, 500, 1000, 2000, 5000, 10_000, 20_000)] + [
        (1000, d) for d in (1, 2, 5, 10, 50, 100)
    ]
    for n, d in sizes if part == 1 else sizes[:3]:
        for name in ("nds", "energy", "sliced_energy", "mmd", "wasserstein"):
            if n <= (KNOWN_METRICS[name].max_rows or n):
                yield f"{name}-{n}-a-side-{d}-columns", lambda name=name, n=n, d=d: timing(name, n, d)


def timing(name: str, n: int, d: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(n, d)), rng.normal(size=(n, d))
    call = lambda: KNOWN_METRICS[name].between(x, y, np.random.default_rng(0))  # noqa: E731
    return {"metric": name, "rows": n, "columns": d, "seconds": cpu_seconds(call, 1 if n > 5000 else 3)}


def null_scenarios(part: int) -> Iterable[Scenario]:
    """Scores and p-values of rows that the true conditional filled, against other true rows."""
    for name in SHAPES:
        for block in range(10 if part == 1 else 1):
            runs = range(100 * block, 100 * block + 100 // part)
            yield f"{name}-{runs[0]}", lambda name=name, runs=runs: null_scores(name, runs)


def null_scores(name: str, runs: range) -> dict[str, Any]:
    shape, n, found = SHAPES[name], 250, []
    for seed in runs:
        df = shapes.table(shape, 2 * n, seed)
        holes = ampute(df.iloc[n:], missing_rate=SHARE, random_state=seed)
        filled = Oracle(shape)(holes, seed)
        result = nds(df.iloc[:n].to_numpy(), filled.to_numpy(), n_permutations=N_PERMUTATIONS, random_state=seed)
        found.append((result.score, result.p_value))
    scores, p_values = zip(*found, strict=True)
    return {"shape": name, "rows_a_side": n, "scores": scores, "p_values": p_values}


def worse_scenarios(part: int) -> Iterable[Scenario]:
    """How often an imputer is declared worse than one that is as good."""
    plan = (("same", 100, 300), ("exchangeable", 100, 100), ("same", 10, 1000), ("exchangeable", 10, 200))
    for what, n_repeats, n_runs in plan if part == 1 else ((*case[:2], 20) for case in plan[2:]):
        for start in range(0, n_runs, 20):
            runs = range(start, start + max(2, 20 // part))
            run = lambda w=what, r=n_repeats, s=runs: false_verdicts(w, r, s)  # noqa: E731
            yield f"{what}-{n_repeats}-repeats-{start}", run


def false_verdicts(what: str, n_repeats: int, runs: range) -> dict[str, Any]:
    shape, pair, beaten = SHAPES["gaussian"], 0, 0
    imputers = {
        "same": {"a": Oracle(shape), "b": Oracle(shape)},
        "exchangeable": {"a": half("x0", "x1"), "b": half("x2", "x3")},
    }
    for seed in runs:
        df = shapes.table(shape, 200, seed)
        verdicts = contest(df, imputers[what], n_repeats, seed)
        pair += declared(verdicts, "a", "b") or declared(verdicts, "b", "a")
        beaten += declared(verdicts, "a", "truth")
    row = {"what": what, "n_repeats": n_repeats, "runs": len(runs), "declared": pair}
    return row | ({"worse_than_truth": beaten} if what == "same" else {})


def half(*columns: str) -> Callable[[pd.DataFrame, int], pd.DataFrame]:
    """An imputer that errs in some columns: their mean, where the others are drawn from."""

    def imputer(df: pd.DataFrame, random_state: int) -> pd.DataFrame:
        filled = HotDeckImputer(random_state).fit_transform(df)
        return filled.assign(**MeanImputer().fit_transform(df)[list(columns)])

    return imputer


def contest(df: pd.DataFrame, imputers: dict[str, Any], n_repeats: int, seed: int) -> pd.DataFrame:
    """Compare imputers, and the truth, by NDS as ``rank_imputers`` does, without what else a ranking shows.

    One row a pair; two imputers of a ranking, no more, are tied where ``p_value`` is at least 0.05.
    """
    (values,), ratio = repeats_of(df, imputers, n_repeats, seed, ("nds",))
    return compare_pairs(values.to_numpy(), list(values), ratio)


def repeats_of(
    df: pd.DataFrame, imputers: dict[str, Any], n_repeats: int, seed: int, metrics: tuple[str, ...]
) -> tuple[list[pd.DataFrame], float]:
    """Scores of each metric, one row a repeat and one column an imputer, and the overlap of the repeats."""
    options: dict[str, Any] = {"n_draws": 1, "max_rows": 2000, "categorical": "infer", "entropy": seed}
    trial = masked_trial(df, mechanism="mcar", missing_rate=SHARE, metrics=metrics, **options)
    raw = score_imputers(trial, imputers, n_repeats=n_repeats, progress=False).raw
    by_metric = [raw[raw["metric"] == metric] for metric in metrics]
    return [rows.pivot(index="repeat", columns="imputer", values="score") for rows in by_metric], trial.overlap_ratio()


def declared(verdicts: pd.DataFrame, worse: str, better: str) -> bool:
    """Whether one is significantly worse than the other."""
    found = verdicts[(verdicts["worse"] == worse) & (verdicts["better"] == better)]
    return bool((found["p_value"] < 0.05).any())


def wide_scenarios(part: int) -> Iterable[Scenario]:
    """The same where the cells of a row go together, by each of three metrics and by all of them."""
    for n_repeats, n_runs in ((3, 400), (10, 200), (30, 60)):
        for start in range(0, n_runs // part, 20):
            runs = range(start, start + max(2, 20 // part))
            run = lambda r=n_repeats, s=runs: wide_verdicts(r, s)  # noqa: E731
            yield f"wide-{n_repeats}-repeats-{start}", run


def wide_verdicts(n_repeats: int, runs: range) -> dict[str, Any]:
    """Twenty columns of two factors, ten each; each imputer is off by one in the columns of the other factor."""
    names = [f"x{j}" for j in range(20)]
    imputers = {"a": constants(dict.fromkeys(names, 0.0) | dict.fromkeys(names[:10], 1.0))}
    imputers["b"] = constants(dict.fromkeys(names, 0.0) | dict.fromkeys(names[10:], 1.0))
    counts = dict.fromkeys((*WIDE_METRICS, "all"), 0)
    for seed in runs:
        rng = np.random.default_rng([30_000, seed])
        factors = np.repeat(rng.normal(size=(200, 2)), 10, axis=1)
        df = pd.DataFrame(0.9 * factors + np.sqrt(0.19) * rng.normal(size=(200, 20)), columns=names)
        scores, ratio = repeats_of(df, imputers, n_repeats, seed, WIDE_METRICS)
        by_metric = [values[["a", "b"]].to_numpy() for values in scores]
        places = np.mean([rank_among(values, np.array([True, True])) for values in by_metric], axis=0)
        verdicts = [compare_pairs(values, ["a", "b"], ratio) for values in by_metric]
        verdicts.append(compare_pairs(places, ["a", "b"], ratio, by_metric=by_metric))
        for what, verdict in zip(counts, verdicts, strict=True):
            counts[what] += int((verdict["p_value"] < 0.05).any())
    return {"n_repeats": n_repeats, "runs": len(runs), "declared": counts}


def constants(values: dict[str, float]) -> Callable[[pd.DataFrame, int], pd.DataFrame]:
    """An imputer that fills each column with one value."""
    return lambda df, random_state: df.fillna(values)


def power_scenarios(part: int) -> Iterable[Scenario]:
    """How often mean imputation is declared worse than the true conditional: 1,000 rows, a fifth hidden."""
    for name in SHAPES:
        yield name, lambda name=name: power(name, range(100 // part))


def power(name: str, runs: range) -> dict[str, Any]:
    imputers, n_declared = {"draws": Oracle(SHAPES[name]), "mean": MeanImputer()}, 0
    for seed in runs:
        n_declared += declared(contest(shapes.table(SHAPES[name], 1000, seed), imputers, 10, seed), "mean", "draws")
    return {"shape": name, "runs": len(runs), "declared": n_declared}


def oracle_scenarios(part: int) -> Iterable[Scenario]:
    """How often the true conditional is best or tied, in every mode, and what RMSE says."""
    for name in SHAPES:
        for mode in ("masked-mcar", "masked-mar", "truth", "no_truth"):
            yield f"{name}-{mode}", lambda name=name, mode=mode: oracle(name, mode, range(max(2, 20 // part)))


def oracle(name: str, mode: str, runs: range) -> dict[str, Any]:
    shape, counts = SHAPES[name], dict.fromkeys(("best", "tied", "rmse_tied", "rmse_mean_first"), 0)
    own = "energy_iscore" if mode == "no_truth" else "nds"
    for seed in runs:
        ranking = rank_shape(shape, mode, seed, [own, "rmse"])
        table, by_rmse = ranking.per_metric.loc[own], ranking.per_metric.loc["rmse"]
        counts["best"] += table.index[0] == "draws"
        counts["tied"] += bool(table.loc["draws", "tied_best"])
        counts["rmse_tied"] += bool(by_rmse.loc["draws", "tied_best"])
        counts["rmse_mean_first"] += by_rmse.index[0] == "conditional mean"
    return {"shape": name, "mode": mode, "metric": own, "runs": len(runs), **{k: int(v) for k, v in counts.items()}}


def rank_shape(shape: shapes.Shape, mode: str, seed: int, metrics: list[str]) -> Any:
    df = shapes.table(shape, 400, seed)
    imputers = {
        "draws": Oracle(shape),
        "conditional mean": Oracle(shape, draw=False),
        "hot-deck": HotDeckImputer(),
        "mean": MeanImputer(),
        "pmm": default_imputers()["pmm"],
    }
    options = {"metrics": metrics, "n_repeats": 6, "n_draws": 2, "random_state": seed, **QUIET}
    kind, _, mechanism = mode.partition("-")
    if kind == "masked":
        return rank_imputers(df, imputers, mechanism=mechanism, missing_rate=SHARE, **options)
    holes = ampute(df, mechanism="mar", missing_rate=SHARE, random_state=seed)
    return rank_imputers(holes, imputers, mode=kind, truth=df if kind == "truth" else None, **options)


def agreement_scenarios(part: int) -> Iterable[Scenario]:
    """Scores of imputers by several metrics, on real tables under every mechanism."""
    for name in tables.TABLES if part == 1 else ("wine",):
        for mechanism in MECHANISMS:
            yield f"{name}-{mechanism}", lambda name=name, mechanism=mechanism: scores_of(name, mechanism)


def scores_of(name: str, mechanism: str) -> dict[str, Any]:
    df = tables.load(name, MOST_ROWS)
    own_holes = bool(df.isna().any(axis=None))
    if mechanism == "observed" and not own_holes:  # patterns to re-apply
        df = ampute(df, mechanism="mar", missing_rate=0.1, random_state=0)
    imputers = {key: imputer for key, imputer in default_imputers().items() if key in IMPUTERS}
    ranking = rank_imputers(
        df,
        imputers,
        metrics=METRICS,
        mechanism=mechanism,
        missing_rate=SHARE,
        n_repeats=4,
        n_draws=1,
        random_state=0,
        **QUIET,
    )
    scores = ranking.per_metric["score"].unstack("metric")
    row: dict[str, Any] = {
        "data": name,
        "mechanism": mechanism,
        "rows": len(df),
        "columns": df.shape[1],
        "own_holes": own_holes,
    }
    row["failures"] = {key: int(n) for key, n in ranking.table["failures"].items() if n}
    row["winners"] = {metric: ranking.per_metric.loc[metric].index[0] for metric in METRICS}
    row["scores"] = {metric: scores[metric].to_dict() for metric in METRICS}
    contenders = [key for key in imputers if key not in row["failures"]]
    row["tau"] = {
        metric: stats.kendalltau(scores.loc[contenders, "nds"], scores.loc[contenders, metric]).statistic
        for metric in METRICS[1:]
    }
    return row


def agreement(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean Kendall tau between the orders of NDS and of another metric, with intervals of a bootstrap over tables."""
    summary, rng = [], np.random.default_rng(0)
    for metric in METRICS[1:]:
        for mechanism in ("all", *MECHANISMS):
            chosen = [row for row in rows if mechanism in ("all", row["mechanism"])]
            by_table = (
                pd.DataFrame([(row["data"], row["tau"][metric]) for row in chosen]).groupby(0)[1].agg(list).tolist()
                if chosen
                else []
            )
            if not by_table:
                continue
            draws = rng.integers(len(by_table), size=(2000, len(by_table)))
            means = [np.nanmean(np.concatenate([by_table[i] for i in draw])) for draw in draws]
            same = np.mean([row["winners"]["nds"] == row["winners"][metric] for row in chosen])
            low, high = np.quantile(means, [0.025, 0.975])
            tau = np.nanmean(np.concatenate(by_table))
            summary.append(
                {
                    "metric": metric,
                    "mechanism": mechanism,
                    "cells": len(chosen),
                    "tau": tau,
                    "low": low,
                    "high": high,
                    "same_winner": same,
                }
            )
    return summary


SECTIONS: dict[str, Callable[[int], Iterable[Scenario]]] = {
    "null": null_scenarios,
    "power": power_scenarios,
    "time": time_scenarios,
    "agreement": agreement_scenarios,
    "oracle": oracle_scenarios,
    "worse": worse_scenarios,
    "wide": wide_scenarios,
}
SETTINGS = {
    "part": Setting(1, 20, "one run in so many, and fewer tables and sizes if that is not all"),
    "only": Setting(
        tuple(SECTIONS), None, "sections; the others are kept", free=True, more={"choices": tuple(SECTIONS)}
    ),
    "resume": Setting(False, None, "keep the rows that are there", free=True),
}


if __name__ == "__main__":
    main()
