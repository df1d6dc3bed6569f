"""Goals of `peers.py`: what was aimed at, what was measured, and whether it holds."""

from __future__ import annotations

from typing import Any

import pandas as pd
from data import REAL

OURS = ("RobustCoreset", "RobustCoreset power=1")
# Most that the median and the worst seed may cost: centres solved on the summary, fixed ones on its scatter.
SOLVED: dict[str, tuple[float, float | None]] = {OURS[0]: (1.01, 1.015), OURS[1]: (1.01, None)}
FIXED: dict[str, tuple[float | None, float]] = {OURS[0]: (1.005, 1.015), OURS[1]: (None, 1.02)}


def goal_table(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a goal and scenario, with the median and the worst over seeds and whether both are within bounds."""
    rows = pd.DataFrame([record for record in records if record["status"] == "ok"])
    if rows.empty:
        return []
    goals = []
    for name, part in rows.groupby("scenario", sort=False):
        by_method = dict(iter(part.groupby("method", sort=False)))
        if name in REAL:
            goals += real_goals(str(name), by_method)
        elif str(name).startswith("mixture"):
            goals += solved_goals(str(name), by_method) + fixed_goals(str(name), by_method)
        else:
            goals += fixed_goals(str(name), by_method)
    return goals


def solved_goals(name: str, by_method: dict[str, pd.DataFrame]) -> list[dict[str, Any]]:
    return [
        goal(f"{name}: {method}, solved", by_method[method]["distortion"].tolist(), *SOLVED[method])
        for method in OURS
        if method in by_method
    ]


def fixed_goals(name: str, by_method: dict[str, pd.DataFrame]) -> list[dict[str, Any]]:
    """Of the three sets of fixed centres the one that is worst, on the scatter."""
    goals = []
    for method, bounds in FIXED.items():
        if method in by_method:
            ratios = pd.DataFrame([either_way(ratio) for ratio in by_method[method]["fixed_scatter"]])
            worst = ratios.max().idxmax()
            median = ratios.median().max()
            label = f"{name}: {method}, fixed centres on the scatter ({worst})"
            goals.append(goal(label, ratios[worst].tolist(), *bounds, median=float(median)))
    return goals


def either_way(ratios: dict[str, float]) -> dict[str, float]:
    return {name: max(ratio, 1 / ratio) if ratio > 0 else float("inf") for name, ratio in ratios.items()}


def goal(
    label: str,
    values: list[float],
    most_median: float | None,
    most_worst: float | None,
    *,
    median: float | None = None,
) -> dict[str, Any]:
    median = float(pd.Series(values).median()) if median is None else median
    held = (most_median is None or median <= most_median) and (most_worst is None or max(values) <= most_worst)
    bounds = [f"median <= {most_median}"] * (most_median is not None) + [f"worst <= {most_worst}"] * (
        most_worst is not None
    )
    measured = f"median {median:.4f}, worst {max(values):.4f} of {len(values)}"
    return {"goal": f"{label}: {', '.join(bounds)}", "measured": measured, "held": bool(held)}


def real_goals(name: str, by_method: dict[str, pd.DataFrame]) -> list[dict[str, Any]]:
    """Our excess over 1 against that of the best peer, medians over seeds."""
    excess = {method: float(part["distortion"].median()) - 1 for method, part in by_method.items()}
    peers = {method: value for method, value in excess.items() if of_others(method)}
    if "RobustCoreset" not in excess or not peers:
        return []
    best = min(peers, key=peers.__getitem__)
    ours = excess["RobustCoreset"]
    return [
        {
            "goal": f"{name}: RobustCoreset's excess over 1 at most a third of the best peer's",
            "measured": f"{ours:.4f}, {best} {peers[best]:.4f} (ratio {ours / peers[best]:.2f})"
            if peers[best] > 0
            else f"{ours:.4f}, {best} 0",
            "held": bool(ours <= peers[best] / 3),
        }
    ]


def of_others(method: str) -> bool:
    """Whether a method is another package's: those begin with its name, which is in lower case."""
    return method[0].islower()
