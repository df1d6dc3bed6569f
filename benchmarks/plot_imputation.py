"""Pictures of ``results/imputation.json``; ``plot.py`` draws them with all others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from imputation_goals import LEAST_RIGHT, MOST_FALSE
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pictures import load, points, save

_MARKERS = {"mcar": "o", "mar": "s", "mnar": "^", "observed": "D"}


def agreement(path: Path) -> None:
    """Kendall tau of NDS with the other metrics on each table, and the time of each metric."""
    results = load(path)
    figure = Figure(figsize=(14, 4.6), layout="constrained")
    taus, by_rows, by_columns = figure.subplots(1, 3, width_ratios=[1.6, 1, 1])
    _taus(taus, results)
    times = pd.DataFrame(results["time"])
    for axes, name, other, fixed in ((by_rows, "rows", "columns", 20), (by_columns, "columns", "rows", 1000)):
        for metric in times["metric"].unique():
            line = times[(times["metric"] == metric) & (times[other] == fixed)].sort_values(name)
            axes.plot(line[name], line["seconds"], "o-", ms=3, label=metric)
        label = f"rows a side ({fixed} columns)" if name == "rows" else f"columns ({fixed:,} rows a side)"
        axes.set(xscale="log", yscale="log", xlabel=label, ylabel="CPU seconds")
        axes.grid(alpha=0.3)
    by_columns.legend(frameon=False, fontsize=8)
    save(figure, path.with_name("imputation-agreement.png"), results, results["command"])


def _taus(axes: Axes, results: dict[str, Any]) -> None:
    rows, rng = results["agreement"], np.random.default_rng(0)
    metrics = list(rows[0]["tau"])
    names = list(dict.fromkeys(row["data"] for row in rows))
    for mechanism, marker in _MARKERS.items():
        chosen = [row for row in rows if row["mechanism"] == mechanism]
        for place, metric in enumerate(metrics):
            at = place - 0.3 + 0.6 * np.array([names.index(row["data"]) for row in chosen]) / max(1, len(names) - 1)
            values = np.array([row["tau"][metric] for row in chosen], dtype=float)
            values += rng.uniform(-0.012, 0.012, len(chosen))
            label = mechanism if place == 0 else None
            axes.plot(at, values, marker, ms=4, alpha=0.55, color=f"C{list(_MARKERS).index(mechanism)}", label=label)
    for row in results["agreement_summary"]:
        if row["mechanism"] == "all":
            errors = [[row["tau"] - row["low"]], [row["high"] - row["tau"]]]
            axes.errorbar(metrics.index(row["metric"]), row["tau"], errors, fmt="k_", ms=26, capsize=6, lw=1.5)
    axes.axhline(0, color="gray", lw=1)
    axes.set_xticks(range(len(metrics)), [f"NDS and {metric}" for metric in metrics])
    axes.set(ylabel="Kendall tau of the orders of imputers", ylim=(-1.05, 1.05))
    axes.set_title(
        "a dot a table and mechanism, in each column by table; mean and 95 % interval over tables", fontsize=8
    )
    axes.legend(frameon=False, ncols=4, fontsize=8, loc="lower left")


def calibration(path: Path) -> None:
    """The null distribution, false verdicts, and how often the true conditional is best or tied."""
    results = load(path)
    figure = Figure(figsize=(14, 4.6), layout="constrained")
    p_values, verdicts, best = figure.subplots(1, 3, width_ratios=[1, 1, 1.5])
    null = pd.DataFrame(results["null"])
    for shape, part in null.groupby("shape", sort=False):
        values = np.sort(np.concatenate(part["p_values"].tolist()))
        p_values.step(
            values, np.arange(1, len(values) + 1) / len(values), where="post", label=f"{shape}, {len(values)} runs"
        )
    p_values.plot([0, 1], [0, 1], "k--", lw=1, label="uniform")
    p_values.set(
        xlabel="p-value of the NDS where imputer = truth", ylabel="share of runs below", xlim=(0, 1), ylim=(0, 1)
    )
    p_values.legend(frameon=False, fontsize=8)
    judged = [goal for goal in results["goals"] if "repeats" in goal["goal"]]
    _shares(verdicts, judged, "share of runs with a false verdict", goal=MOST_FALSE)
    judged = [goal for goal in results["goals"] if goal["goal"].startswith("true")]
    _shares(best, judged, "share of runs, best or tied", goal=LEAST_RIGHT)
    save(figure, path.with_name("imputation-calibration.png"), results, results["command"])


def _shares(axes: Axes, judged: list[dict[str, Any]], label: str, *, goal: float) -> None:
    for place, row in enumerate(reversed(judged)):
        errors = [[row["share"] - row["low"]], [row["high"] - row["share"]]]
        points(axes, row["share"], place, None, xerr=errors, fmt="o", color="C0" if row["held"] else "C3")
    names = [row["goal"].split(" <=")[0].split(" %, ")[-1] for row in reversed(judged)]
    axes.set_yticks(range(len(judged)), names, fontsize=8)
    axes.axvline(goal, color="k", ls="--", lw=1)
    axes.set(xlabel=f"{label} (95 % interval; goal {goal:.0%})")
    axes.grid(axis="x", alpha=0.3)
