"""Goals of `imputation.py`: what was promised, what was found, and whether it holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

N_PERMUTATIONS = 199
MOST_BIAS, LEAST_P = 0.005, 0.01  # of the NDS where imputer and truth are one; of a test that p-values are uniform
MOST_FALSE, LEAST_RIGHT = 0.05, 0.95  # shares of runs


def goals(content: dict[str, Any]) -> list[dict[str, Any]]:
    """What was promised, what was found."""
    return [*null_goals(content.get("null", [])), *share_goals(content)]


def null_goals(rows: list[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    for name in dict.fromkeys(row["shape"] for row in rows):
        chosen = [row for row in rows if row["shape"] == name]
        scores, p_values = (np.concatenate([row[column] for row in chosen]) for column in ("scores", "p_values"))
        mean, error = scores.mean(), scores.std(ddof=1) / np.sqrt(len(scores))
        found = f"{mean:.5f} +- {error:.5f}, {len(scores)} runs"
        yield {
            "goal": f"null, {name}: NDS mean within {MOST_BIAS:g} of 0",
            "found": found,
            "held": bool(abs(mean) <= MOST_BIAS),
        }
        # p-values of B permutations are multiples of 1 / (B + 1); spread within their step they are continuous.
        spread = p_values - np.random.default_rng(0).random(len(p_values)) / (N_PERMUTATIONS + 1)
        p = stats.kstest(spread, "uniform").pvalue
        yield {
            "goal": f"null, {name}: p-values uniform, KS p > {LEAST_P:g}",
            "found": f"KS p = {p:.3f}",
            "held": bool(p > LEAST_P),
        }


def share_goals(content: dict[str, Any]) -> Iterable[dict[str, Any]]:
    worse = pd.DataFrame(content.get("worse", []))
    for (what, n_repeats), rows in worse.groupby(["what", "n_repeats"], sort=False) if len(worse) else ():
        runs = int(rows["runs"].sum())
        who = "two imputers = truth" if what == "same" else "two exchangeable imputers"
        yield at_most(
            f"{who}, {n_repeats} repeats: one declared worse <= {100 * MOST_FALSE:g} %",
            int(rows["declared"].sum()),
            runs,
        )
        if what == "same":
            goal = f"imputer = truth, {n_repeats} repeats: declared worse <= {100 * MOST_FALSE:g} %"
            yield at_most(goal, int(rows["worse_than_truth"].sum()), runs)
    wide = content.get("wide", [])
    for n_repeats in dict.fromkeys(row["n_repeats"] for row in wide):
        chosen = [row for row in wide if row["n_repeats"] == n_repeats]
        for what in chosen[0]["declared"]:
            goal = (
                f"wide table, {what}, {n_repeats} repeats: one of two equals declared worse <= {100 * MOST_FALSE:g} %"
            )
            yield at_most(goal, sum(row["declared"][what] for row in chosen), sum(row["runs"] for row in chosen))
    for row in content.get("power", []):
        yield at_least(
            f"power, {row['shape']}: mean declared worse >= {100 * LEAST_RIGHT:g} %", row["declared"], row["runs"]
        )
    for row in content.get("oracle", []):
        goal = f"true conditional best or tied >= {100 * LEAST_RIGHT:g} %, {row['shape']}, {row['mode']}"
        yield at_least(goal, row["tied"], row["runs"])


def at_most(goal: str, count: int, n: int) -> dict[str, Any]:
    return proportion(goal, count, n) | {"held": count <= MOST_FALSE * n}


def at_least(goal: str, count: int, n: int) -> dict[str, Any]:
    return proportion(goal, count, n) | {"held": count >= LEAST_RIGHT * n}


def proportion(goal: str, count: int, n: int) -> dict[str, Any]:
    """A share with its 95 % interval (Clopper and Pearson)."""
    interval = stats.binomtest(count, n).proportion_ci(0.95)
    share = {"share": count / n, "low": interval.low, "high": interval.high, "runs": n}
    return {"goal": goal, "found": f"{count / n:.1%} of {n} ({interval.low:.1%} to {interval.high:.1%})", **share}
