"""Tables of the weight-noise studies, from rows of cells: means and Student's 95 % intervals over training seeds.

A seed is one split, one set of initial weights, one order of batches and one set of noise draws; draws within a seed
are no replicates of training, so only their mean enters. Intervals hold for one comparison at a time. What noise leaves
is averaged over the seeds whose nets learnt, which are counted; clean accuracy over all.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from analog_cells import ALL_ROWS, LEVELS, RATE, Cell
from analog_plan import RATED, RATES, STUDIES, Pair
from robustness import interval

# A net whose clean accuracy is below this has nothing that noise could take: its A is near 1 and means nothing.
LEARNT = 0.5
AT = [f"at {level:g}" for level in LEVELS]
UNTRAINED, OPEN = "not trained", "not told apart"


def long_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """A row a cell, seed and view, with what noise leaves; cells without a net to sweep are not there."""
    found = []
    for row in rows:
        for view, sweep in row["sweeps"].items():
            means = dict(zip(AT, sweep["means"], strict=True))
            scores = {"clean": sweep["clean"], "A": sweep["average_normalized"], "noisy": np.mean(sweep["means"])}
            scores["corrected"] = _chance_corrected(sweep["clean"], scores["noisy"], sweep["chance"])
            size = {key: row[key] for key in ("n_bytes", "n_points", "rate")}
            found.append({"cell": row["cell"], "seed": row["seed"], "view": view, **scores, **means, **size})
    return pd.DataFrame(found).set_index(["cell", "view", "seed"]).sort_index()


def _chance_corrected(clean: float, noisy: float, chance: float) -> float:
    """Mean over levels of what is kept of the accuracy beyond the best constant guess."""
    return (noisy - chance) / (clean - chance) if clean > chance else float("nan")


def findings(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The cells and the pairs of every study, as far as two seeds of them are there, and the sweet spots."""
    table = long_table(rows)
    found: dict[str, list[dict[str, Any]]] = {"cells": [], "pairs": [], "sweet_spots": []}
    for data in dict.fromkeys(row["data"] for row in rows):
        for study, build in STUDIES.items():
            plan, place = build(data), {"study": study, "data": data}
            for cell in plan.cells:
                views = (view for view in plan.views if view != "validation")
                found["cells"] += [{**place, **_cell(table, cell, view)} for view in views if _seeds(table, cell, view)]
            known = [pair for pair in plan.pairs if _shared(table, pair)]
            found["pairs"] += [{**place, **_pair(table, pair)} for pair in known]
        found["sweet_spots"] += [spot for net in RATED for spot in _sweet_spot(table, data, net)]
    return found


def _cell(table: pd.DataFrame, cell: Cell, view: str) -> dict[str, Any]:
    part = table.loc[cell.name, view]
    found = {"net": cell.net.name, "source": cell.source, "share": cell.share, "view": view, "seeds": len(part)}
    learnt = part[part["clean"] >= LEARNT]
    found["learnt"] = len(learnt)
    found["clean"], found["clean ±"] = _rounded(part["clean"])
    for column in ("A", "corrected", *AT):
        found[column], found[f"{column} ±"] = _rounded(learnt[column])
    # Rates of the study of rates are asked for, not chosen.
    own = int((part["rate"] != RATE).sum()) if cell.rate is None else 0
    sizes = {"n_bytes": round(part["n_bytes"].mean()), "n_points": round(part["n_points"].mean())}
    return {**found, "rate": cell.rate, "own_rates": own, **sizes}


def _pair(table: pd.DataFrame, pair: Pair) -> dict[str, Any]:
    seeds = _shared(table, pair)
    first, second = (table.loc[cell.name, pair.view].loc[seeds] for cell in (pair.first, pair.second))
    found: dict[str, Any] = {"claim": pair.claim, "first": _label(pair.first), "second": _label(pair.second)}
    found |= {"view": pair.view, "seeds": len(seeds), "published": pair.published}
    learnt = (first["clean"] >= LEARNT) & (second["clean"] >= LEARNT)
    found["learnt"] = int(learnt.sum())
    for column in ("A", "corrected"):
        found[column], found[f"{column} ±"] = _rounded((first[column] - second[column])[learnt])
    for column in ("clean", "noisy"):
        found[column], found[f"{column} ±"] = _rounded(first[column] - second[column])
    unlike = 0 if pair.first.rate else int((first["rate"] != second["rate"]).sum())
    enough = found["learnt"] >= max(2, len(seeds) / 2)
    return {**found, "unlike_rates": unlike, "verdict": _verdict(found, pair.published) if enough else UNTRAINED}


def _verdict(found: dict[str, Any], published: bool) -> str:
    if not abs(found["A"]) > found["A ±"]:
        return OPEN
    words = ("as published", "the opposite") if published else ("more robust", "less robust")
    return words[found["A"] < 0]


def _sweet_spot(table: pd.DataFrame, data: str, net: Any) -> list[dict[str, Any]]:
    """What is gained on test rows by choosing the rate by noisy, not by clean, validation accuracy (ours).

    Noisy accuracy is the mean over levels, not divided by the clean one, so that a net at chance cannot win.
    """
    parts = [(rate, Cell(data, net, rate)) for rate in RATES]
    parts = [(rate, cell) for rate, cell in parts if _seeds(table, cell, "validation")]
    if not parts:
        return []
    known = {rate: table.loc[cell.name, "validation"] for rate, cell in parts}
    tested = {rate: table.loc[cell.name, "weights"] for rate, cell in parts}
    chosen = {
        column: pd.DataFrame({rate: part[column] for rate, part in known.items()}).dropna(how="all").idxmax(axis=1)
        for column in ("clean", "noisy")
    }
    if len(chosen["clean"]) < 2:
        return []
    found: dict[str, Any] = {"data": data, "net": net.name, "seeds": len(chosen["clean"])}
    scores = {
        by: pd.DataFrame({seed: tested[rate].loc[seed] for seed, rate in picked.items()}).T
        for by, picked in chosen.items()
    }
    for by, picked in chosen.items():
        found[f"rates by {by}"] = picked.tolist()
        found |= {f"{column} by {by}": round(float(scores[by][column].mean()), 5) for column in ("clean", "A")}
    for column in ("A", "clean", "noisy"):
        found[column], found[f"{column} ±"] = _rounded(scores["noisy"][column] - scores["clean"][column])
    return [found]


def _seeds(table: pd.DataFrame, cell: Cell, view: str) -> list[int]:
    """Those that a cell has, if there are two or more."""
    seeds = table.loc[cell.name, view].index.tolist() if (cell.name, view) in table.index.droplevel("seed") else []
    return seeds if len(seeds) > 1 else []


def _shared(table: pd.DataFrame, pair: Pair) -> list[int]:
    both = sorted(set(_seeds(table, pair.first, pair.view)) & set(_seeds(table, pair.second, pair.view)))
    return both if len(both) > 1 else []


def _rounded(values: pd.Series) -> tuple[float, float]:
    if len(values) < 2:
        return float("nan"), float("nan")
    mean, half = interval(values.to_numpy(float))
    return round(mean, 5), round(half, 5)


def _label(cell: Cell) -> str:
    rate = "" if cell.rate is None else f" at {cell.rate:g}"
    source = "" if cell.source == ALL_ROWS else f", {cell.source} of {cell.share:.1%}"
    return f"{cell.net.name}{rate}{source}"
