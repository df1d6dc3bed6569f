"""Pictures of ``results/analog_studies.json``, one a study, and of ``vs_aihwkit.json``; ``plot.py`` draws them all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from analog_findings import LEARNT
from analog_plan import PARTLY, SIZES, STUDIES
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pictures import load, points, save

VIEWS = {"weights": "kernels", "state": "all that a net keeps"}
KEPT = "average normalized accuracy (A)"
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def draw(path: Path) -> None:
    """The pictures of those studies that the results have."""
    results = load(path)
    if "cells" not in results:
        print(f"{path} is of a run that was cut; go on with --resume")
        return
    cells, pairs = pd.DataFrame(results["cells"]), pd.DataFrame(results["pairs"])
    for name, picture in PICTURES.items():
        part, compared = cells[cells["study"] == name], pairs[pairs["study"] == name]
        if compared.empty or not _mostly_there(name, part):
            continue
        figure = picture(part, compared)
        levels = ", ".join(f"{level:g}" for level in results["levels"])
        about = (
            f"mean and 95 % interval over {results['seeds']} training seeds; noise of {levels} of the weights' "
            "standard deviation\nopen dot: some seed has a learning rate of its own; "
            f"cross: not all seeds learnt (clean accuracy {LEARNT:g}), A is of those that did"
        )
        save(figure, path.with_name(f"analog-{name}.png"), results, about)


def _mostly_there(study: str, cells: pd.DataFrame) -> bool:
    """Whether a study has more than cells that it shares with another one; some nets may be missing."""
    planned = sum(len(STUDIES[study](data).cells) for data in cells["data"].unique())
    return len(cells.drop_duplicates(["data", "net", "source", "share", "rate"])) >= planned / 2


def families(cells: pd.DataFrame, pairs: pd.DataFrame) -> Figure:
    """What is kept against depth and against width; a marker of clean accuracy above."""
    figure, grid = _grid(cells, len(SIZES))
    shape = cells["net"].str.extract(r"(?P<family>\w+)-(?P<depth>\d+)x(?P<width>\d+)-(?P<norm>\w+)")
    cells = cells.join(shape.astype({"depth": int, "width": int}))
    for data, row in grid.items():
        for axes, (family, (depths, widths)) in zip(row, SIZES.items(), strict=True):
            mine = cells[(cells["data"] == data) & (cells["family"] == family)]
            sizes = [(depth, widths[1]) for depth in depths] + [(depths[1], width) for width in widths]
            names = [f"{depth} x {width}" for depth, width in sizes]
            for norm, color in (("none", COLORS[0]), ("l2", COLORS[1])):
                known = mine[mine["norm"] == norm].set_index(["depth", "width"]).reindex(sizes)
                label = "no norm" if norm == "none" else "batch norm"
                for part in (slice(0, len(depths)), slice(len(depths), None)):
                    x = [*range(len(sizes))][part]
                    _line(axes, x, known.iloc[part], color, label if part.start == 0 else None)
            _ticks(axes, names, f"{data}: {family}, by depth (left) and width (right)")
            axes.axvline(len(depths) - 0.5, color="0.8", lw=1)
    return figure


def norms(cells: pd.DataFrame, pairs: pd.DataFrame) -> Figure:
    """What is kept against the number of batch norms."""
    figure, grid = _grid(cells, len(PARTLY))
    for data, row in grid.items():
        for axes, (family, (depth, width, counts)) in zip(row, PARTLY.items(), strict=True):
            mine = cells[cells["data"] == data]
            start = f"{family}-{depth}x{width}"
            nets = [f"{start}-none", *(f"{start}-l2x{count}" for count in counts), f"{start}-l2"]
            for color, (view, label) in zip(COLORS, VIEWS.items(), strict=False):
                known = mine[mine["view"] == view].set_index("net").reindex(nets)
                _line(axes, range(len(nets)), known, color, f"noise on {label}")
            _ticks(axes, ["none", *map(str, counts), "all"], f"{data}: {start}, by number of batch norms")
    return figure


def rates(cells: pd.DataFrame, pairs: pd.DataFrame) -> Figure:
    """Clean accuracy and what is kept against the learning rate."""
    nets = list(cells["net"].unique())
    figure, grid = _grid(cells, len(nets))
    for data, row in grid.items():
        for axes, net in zip(row, nets, strict=True):
            known = cells[(cells["data"] == data) & (cells["net"] == net)].sort_values("rate")
            _line(axes, range(len(known)), known, COLORS[0], "A")
            half = known["clean ±"]
            points(axes, range(len(known)), known["clean"], half, fmt="s--", color=COLORS[2], label="clean accuracy")
            _ticks(axes, [f"{rate:g}" for rate in known["rate"]], f"{data}: {net}, by learning rate")
    return figure


def kinds(cells: pd.DataFrame, pairs: pd.DataFrame) -> Figure:
    """Paired differences of the other norms from L2."""
    figure = Figure(figsize=(11, 0.32 * len(pairs) + 1.5), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    _forest(left, pairs, "A", "A, other norm minus L2")
    _forest(right, pairs, "clean", "clean accuracy, other norm minus L2")
    noisy = pairs["view"].map(VIEWS)
    left.set_yticks(range(len(pairs)), pairs["data"] + ": " + pairs["first"] + ", noise on " + noisy, fontsize=8)
    left.invert_yaxis()
    return figure


def summaries(cells: pd.DataFrame, pairs: pd.DataFrame) -> Figure:
    """What is kept and clean accuracy against bytes, a line a source, all rows as a band."""
    nets = list(cells["net"].unique())
    figure, grid = _grid(cells, 2 * len(nets))
    for data, row in grid.items():
        for i, net in enumerate(nets):
            mine = cells[(cells["data"] == data) & (cells["net"] == net)]
            whole = mine[mine["share"].isna()].iloc[0]
            for axes, column, title in ((row[2 * i], "A", "A"), (row[2 * i + 1], "clean", "clean accuracy")):
                low, high = whole[column] - whole[f"{column} ±"], whole[column] + whole[f"{column} ±"]
                axes.axhspan(low, high, color="0.85", label="all rows")
                for color, (source, part) in zip(COLORS, mine.dropna(subset="share").groupby("source"), strict=False):
                    errors = part[f"{column} ±"]
                    points(axes, 100 * part["share"], part[column], errors, color=color, label=source)
                axes.set(xscale="log", xlabel="% of the bytes", title=f"{data}: {net}, {title}")
                axes.title.set_fontsize(9)
                axes.grid(alpha=0.3)
                axes.legend(frameon=False, fontsize=8)
    return figure


PICTURES: dict[str, Callable[[pd.DataFrame, pd.DataFrame], Figure]] = {
    "families": families,
    "norms": norms,
    "rates": rates,
    "kinds": kinds,
    "summaries": summaries,
}


def versus(path: Path) -> None:
    """Accuracy against time by both sides with two standard errors, and the seconds that they take."""
    results = load(path)
    cases, times = results["cases"], results["times"]
    sides = [side for side in cases[0] if isinstance(cases[0][side], dict)]
    figure = Figure(figsize=(3.6 * len(cases), 6.2), layout="constrained")
    grid = figure.subplots(2, len(cases), height_ratios=(2, 1), squeeze=False)
    for case, (curves, bars) in zip(cases, grid.T, strict=True):
        curves.axhline(case["clean"], color="0.6", lw=1, ls="--", label="digital")
        for i, (side, color) in enumerate(zip(sides, COLORS, strict=False)):
            known = case[side]
            places = np.arange(len(times)) + 0.14 * (i - 1)
            points(curves, places, known["mean"], 2 * np.array(known["se"]), lw=1, color=color, label=side)
            seconds = float(np.median(known["seconds"]))
            bars.barh(i, seconds, color=color)
            bars.text(seconds, i, f" {seconds:.2g}", va="center", fontsize=8)
        worst = max(abs(z) for side in sides for z in case[side].get("z", [0.0]))
        curves.set_title(f"{case['net']}\nperiphery: {case['periphery']}; greatest |z| {worst:.1f}", fontsize=9)
        curves.set_xticks(range(len(times)), times)
        curves.grid(alpha=0.3)
        bars.set_yticks(range(len(sides)), sides, fontsize=8)
        bars.set(xlabel=f"CPU seconds of {results['draws']} programmings x {len(times)} times")
        bars.xaxis.label.set_fontsize(8)
        bars.margins(x=0.18)
        bars.invert_yaxis()
    grid[0, 0].set_ylabel("accuracy, mean ± 2 standard errors")
    grid[0, 0].legend(frameon=False, fontsize=8, loc="lower left")
    versions = f"aihwkit {results['versions']['aihwkit']}, torch {results['versions']['torch']}"
    busy = results["load"]
    about = (
        f"Digits on phase-change memory with global drift compensation, {results['draws'] * results['rounds']} "
        f"programmings a side, one thread\n{versions}; "
        f"load {busy['before']:.1f} to {busy['after']:.1f} on {busy['cores']} cores"
    )
    save(figure, path.with_suffix(".png"), results, about)


def _grid(cells: pd.DataFrame, columns: int) -> tuple[Figure, dict[str, list[Axes]]]:
    """A row of panels a data set."""
    names = list(cells["data"].unique())
    figure = Figure(figsize=(4.2 * columns, 3.4 * len(names) + 0.3), layout="constrained")
    panels = figure.subplots(len(names), columns, squeeze=False)
    return figure, {name: list(row) for name, row in zip(names, panels, strict=True)}


def _line(axes: Axes, x: Any, known: pd.DataFrame, color: str, label: str | None) -> None:
    """A with its interval; open where some seed's rate was chosen for it, a cross where not all seeds learnt."""
    points(axes, x, known["A"], known["A ±"], fmt="-", color=color, label=label)
    own = known["own_rates"].fillna(0) > 0
    for place, value, is_own, whole in zip(x, known["A"], own, known["learnt"] == known["seeds"], strict=True):
        marker = "o" if whole else "x"
        axes.plot(place, value, marker, color=color, markerfacecolor="white" if is_own else color)


def _ticks(axes: Axes, names: list[str], title: str) -> None:
    axes.set_xticks(range(len(names)), names, fontsize=8)
    axes.set_ylabel(KEPT, fontsize=8)
    axes.set_title(title, fontsize=9)
    axes.set_ylim(0, 1.05)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8, loc="lower left")


def _forest(axes: Axes, pairs: pd.DataFrame, column: str, title: str) -> None:
    for place, row in enumerate(pairs.to_dict("records")):
        color = {"as published": COLORS[2], "the opposite": COLORS[1]}.get(row["verdict"], "0.5")
        points(axes, row[column], place, None, xerr=row[f"{column} ±"], fmt="o", color=color)
    axes.axvline(0, color="0.3", lw=1)
    axes.set_title(title, fontsize=9)
    axes.grid(alpha=0.3)
