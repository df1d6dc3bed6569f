"""Draw the JSON files of ``results`` as PNGs beside them; with ``--quick`` those of ``out/bench``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plot_analog
import plot_drift
import plot_imputation
from harness import QUICK_RESULTS, RESULTS
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from peers_goals import SOLVED
from pictures import load, points, save
from scoreboard_goals import MEMORY, SPEED


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="those of the quick runs, in out/bench")
    draw(QUICK_RESULTS if parser.parse_args().quick else RESULTS)


def draw(folder: Path) -> None:
    """All pictures of the results that a folder has."""
    for name, pictures in PICTURES.items():
        path = folder / f"{name}.json"
        if path.exists() and "skipped" not in load(path):
            for picture in pictures:
                picture(path)


def construction(path: Path) -> None:
    """Distortion and time of each method, a dot a data set."""
    results = load(path)
    rows = pd.DataFrame(results["construction"])
    figure = Figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    scenarios = list(rows["scenario"].unique())
    for position, (method, part) in enumerate(rows.groupby("method", sort=False)):
        x = part["scenario"].map(scenarios.index) + 0.2 * (position - 1)
        left.plot(x, part["distortion"] - 1, "o", alpha=0.7, label=method)
        right.plot(x, part["products"], "o", alpha=0.7, label=method)
    goal = SOLVED["RobustCoreset"][1] - 1
    left.axhline(goal, color="gray", ls="--", lw=1, label="goal for RobustCoreset, worst seed")
    left.set(
        ylabel="distortion - 1 (0 is perfect)", title="k-means / k-median cost, solved on the summary", yscale="log"
    )
    right.set(ylabel="CPU time / bare n x d x k product", title="construction time", yscale="log")
    for axes in (left, right):
        axes.set_xticks(range(len(scenarios)), scenarios)
        axes.grid(axis="y", alpha=0.3)
    left.legend(frameon=False)
    save(figure, path.with_suffix(".png"), results, "4,000 points of 100,000 x 50 rows, 100 clusters")


def budget(path: Path) -> None:
    """Accuracy against bytes, a picture a table and a panel a model."""
    results = load(path)
    table = pd.DataFrame(results["table"])
    models = [column for column in table if f"{column} ±" in table and column != "all models"]
    methods = table["method"].unique()
    for data, part in table.groupby("data", sort=False):
        figure = Figure(figsize=(13, 4.2), layout="constrained")
        for axes, model in zip(figure.subplots(1, len(models), sharey=True), models, strict=True):
            for place, method in enumerate(methods):
                line = part[part["method"] == method]
                shown, half = line.sort_values("n_bytes"), line.sort_values("n_bytes")[f"{model} ±"].fillna(0)
                color = to_hex(colormaps["tab10"](place))
                axes.plot(shown["n_bytes"], shown[model], "o-", ms=3, color=color, label=method)
                axes.fill_between(
                    shown["n_bytes"], shown[model] - half, shown[model] + half, color=color, alpha=0.15, lw=0
                )
            axes.axhline(1, color="gray", lw=1)
            axes.set(xscale="log", xlabel="bytes", title=model, ylim=(0.6, 1.03))
            axes.grid(alpha=0.3)
        figure.axes[0].set_ylabel("accuracy / that of all rows")
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, frameon=False, fontsize=8, loc="outside lower center", ncols=len(labels))
        about = f"{data}: mean and 95 % interval of {results['seeds']} splits"
        save(figure, path.with_name(f"budget-{data}.png"), results, about)


def scaling(path: Path) -> None:
    """Bytes, time and memory of the protocol against the number of nodes."""
    results = load(path)
    rows = pd.DataFrame(results["rows"])
    whole = rows[rows["columns"] == 16].sort_values("nodes")
    figure = Figure(figsize=(13, 4), layout="constrained")
    sent, time, memory = figure.subplots(1, 3)
    lines = {
        "raw_bytes": "raw data, which stay where they are",
        "fedavg_round_bytes": "one round of federated averaging, both ways",
        "summary_up": "summaries, up",
        "statistics_up": "statistics, up",
        "allocation_down": "allocations, down",
    }
    for column, label in lines.items():
        sent.plot(
            whole["nodes"], whole[column], "--" if column in ("raw_bytes", "fedavg_round_bytes") else "o-", label=label
        )
    for column, label in {
        "allocate_s": "allocate",
        "merge_s": "check, decode, merge",
        "tables_s": "ledger and plan",
    }.items():
        time.plot(whole["nodes"], whole[column], "o-", label=label)
    for column, label in {
        "peak_MB": "peak of the coordinator",
        "coreset_MB": "of it, the decoded summary",
        "messages_MB": "messages, held before",
    }.items():
        memory.plot(whole["nodes"], whole[column], "o-", label=label)
    for axes, title, label in (
        (sent, "bytes of a run, 16 columns", "bytes"),
        (time, "coordinator, one core", "CPU seconds"),
        (memory, "coordinator", "MiB"),
    ):
        axes.set(xscale="log", yscale="log", xlabel="nodes", ylabel=label, title=title)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=8)
    sent.set_ylim(bottom=0.1)  # room for the legend
    about = f"Simulated nodes of {' to '.join(map(str, results['rows_a_node']))} rows, 1,024 bytes of budget each"
    if rows["scenario"].str.endswith("coordinator-only").any():
        about += "; the largest run has only its coordinator"
    save(figure, path.with_suffix(".png"), results, about)


def speed(path: Path) -> None:
    """Time, memory and distortion of each method on a large table, a dot a data set."""
    results = load(path)
    rows = pd.DataFrame(results["rows"])
    methods = list(rows["method"].unique())
    figure = Figure(figsize=(13, 3.4), layout="constrained")
    panels = {  # label, title, and the goals by method
        "products": (
            "CPU time / bare n x d x k product",
            "time",
            {method: time for method, (time, _) in SPEED.items()},
        ),
        "memory": ("peak beyond the table / table", "memory", dict.fromkeys(methods, MEMORY)),
        "distortion": (
            "distortion, solved on the summary (1 is perfect)",
            "quality",
            {method: distortion for method, (_, distortion) in SPEED.items() if distortion},
        ),
    }
    for axes, (column, (label, title, goals)) in zip(figure.subplots(1, 3, sharey=True), panels.items(), strict=True):
        axes.plot(rows[column], rows["method"].map(methods.index), "o", alpha=0.6)
        axes.plot(list(goals.values()), [methods.index(method) for method in goals], "|", color="gray", ms=24)
        axes.set(xlabel=label, title=title)
        axes.set_yticks(range(len(methods)), methods)
        axes.grid(axis="x", alpha=0.3)
    table = f"{results['shape'][0]:,} x {results['shape'][1]} float32 rows"
    save(figure, path.with_suffix(".png"), results, f"{results['n_points']:,} points of {table}; bars are goals")


def robustness(path: Path) -> None:
    """Regret of each method in each scenario, and what training on the scatter gains."""
    results = load(path)
    standings, gains = pd.DataFrame(results["standings"]), pd.DataFrame(results["scatter_gains"])
    figure = Figure(figsize=(17, 8.5), layout="constrained")
    top, bottom = figure.subplots(2, 1, height_ratios=[1.25, 1])
    _regret_map(top, figure, standings)
    _gain_forest(bottom, gains)
    save(figure, path.with_suffix(".png"), results, results["command"])


def _regret_map(axes: Axes, figure: Figure, standings: pd.DataFrame) -> None:
    """A column a scenario: the darker a cell, the farther its method is behind the best one."""
    scenarios = standings[["problem", "data"]].drop_duplicates().reset_index(drop=True)
    scenarios = scenarios.sort_values("problem", kind="stable", key=lambda p: p.map(list(p.unique()).index))
    columns = pd.MultiIndex.from_frame(scenarios)
    order = standings.groupby("method")["regret"].mean().sort_values().index
    table = standings.pivot(index="method", columns=["problem", "data"], values=["regret", "tied", "rank"]).loc[order]
    regret, tied = table["regret"][columns].astype(float), table["tied"][columns].astype(bool)
    image = axes.imshow(regret, cmap="OrRd", vmin=0, vmax=0.4, aspect="auto")
    for (i, j), value in np.ndenumerate(regret.to_numpy()):
        best = tied.iat[i, j]
        text = "●" if best else f"{100 * value:.0f}"
        color = "seagreen" if best else "white" if value > 0.25 else "black"
        axes.text(j, i, text, ha="center", va="center", fontsize=13 if best else 9, color=color)
    axes.set_yticks(range(len(order)), [_verdict(method, table, tied) for method in order])
    axes.set_xticks(range(len(columns)), [data for _, data in columns], rotation=60, ha="right", fontsize=8)
    _name_blocks(axes, [problem for problem, _ in columns])
    axes.set_title(
        "Behind the best method, in percent of its quality (accuracy, or 1 / normalised cost); "
        "● = the best, or no further from it than chance",
        fontsize=11,
        pad=22,
    )
    figure.colorbar(image, ax=axes, pad=0.01, format=lambda share, _: f"{100 * share:.0f} %", extend="max")


def _verdict(method: str, table: pd.DataFrame, tied: pd.DataFrame) -> str:
    worst, rank = table["regret"].loc[method].max(), table["rank"].loc[method].mean()
    best = f"● in {tied.loc[method].sum()} of {tied.shape[1]}"
    return f"{method}\nmean rank {rank:.1f}, {best}, worst {100 * worst:.0f} % behind"


def _gain_forest(axes: Axes, gains: pd.DataFrame) -> None:
    """Accuracy gained by the scatter, with an interval, for the summary as built and as received."""
    gains = gains.sort_values("problem", kind="stable", key=lambda p: p.map(list(p.unique()).index))
    for shift, (summary, part) in zip((-0.12, 0.12), gains.groupby("summary", sort=False), strict=True):
        x = np.arange(len(part)) + shift
        label = f"summary as {summary}: mean {100 * part['gain'].mean():+.2f} points"
        points(axes, x, 100 * part["gain"], 100 * part["half_width"], fmt="o", label=label)
    names = gains[gains["summary"] == gains["summary"].iloc[0]]
    _name_blocks(axes, list(names["problem"]))
    axes.axhline(0, color="gray", lw=1)
    axes.set_xticks(range(len(names)), names["data"], rotation=60, ha="right", fontsize=8)
    axes.margins(y=0.15)
    axes.set(ylabel="points of accuracy", xlim=(-0.5, len(names) - 0.5))
    axes.set_title(
        "What training on the scatter gains over the bare points: paired, 95 % interval over seeds", fontsize=11, pad=22
    )
    axes.grid(axis="y", alpha=0.3)
    axes.legend(frameon=False, ncols=2)


def _name_blocks(axes: Axes, blocks: list[str]) -> None:
    """Names above, and lines between, runs of columns of the same block."""
    starts = [j for j, block in enumerate(blocks) if j == 0 or block != blocks[j - 1]]
    for start, stop in zip(starts, [*starts[1:], len(blocks)], strict=True):
        middle = (start + stop - 1) / 2
        where = axes.get_xaxis_transform()  # columns across, shares of the height up
        axes.text(middle, 1.01, blocks[start], ha="center", va="bottom", weight="bold", transform=where)
        axes.axvline(start - 0.5, color="black", lw=1.5)


def streaming(path: Path) -> None:
    """Distortion, time and memory of streams against the batch method."""
    results = load(path)
    quality, scaling = pd.DataFrame(results["quality"]), pd.DataFrame(results["scaling"])
    figure = Figure(figsize=(13, 4), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    scenarios = list(quality["scenario"].unique())
    for offset, method in ((-0.1, "batch"), (0.1, "stream")):
        part = scaling[scaling["method"] == method]
        left.plot(quality["scenario"].map(scenarios.index) + offset, quality[method] - 1, "o", alpha=0.7, label=method)
        middle.plot(part["rows"] / 1e6, part["seconds"], "o-", label=method)
        right.plot(part["rows"] / 1e6, part["peak_MB"], "o-", label=method)
    left.set(ylabel="distortion - 1 (0 is perfect)", title="k-means cost, solved on the summary", ylim=(0, None))
    left.set_xticks(range(len(scenarios)), scenarios)
    middle.set(xlabel="million rows", ylabel="CPU seconds", title="time, without making the rows", ylim=(0, None))
    right.set(xlabel="million rows", ylabel="MB beyond the start", title="peak memory", ylim=(0, None))
    for axes in (left, middle, right):
        axes.grid(axis="y", alpha=0.3)
        axes.legend(frameon=False)
    save(figure, path.with_suffix(".png"), results, results["command"])


def peers(path: Path) -> None:
    """Distortion and time of each method on each data set: the median over seeds, and a line from least to most."""
    results = load(path)
    rows = pd.DataFrame(results["results"])
    rows = rows[(rows["status"] == "ok") & np.isfinite(rows["distortion"].astype(float))]
    rows["excess"] = (rows["distortion"] - 1).clip(lower=1e-5)
    scenarios = list(rows["scenario"].unique())
    methods = sorted(rows["method"].unique(), key=lambda method: method[0].islower())  # ours first
    figure = Figure(figsize=(14, 0.95 * len(scenarios) + 1.6), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for position, method in enumerate(methods):
        part = rows[rows["method"] == method].groupby("scenario")
        y = np.array([scenarios.index(name) for name in part.groups]) + 0.8 * (position / (len(methods) - 1) - 0.5)
        for axes, column in zip(panels, ("excess", "seconds"), strict=True):
            table = part[column].agg(["min", "median", "max"])
            style = _peer_style(method, methods)
            axes.hlines(y, table["min"], table["max"], color=style["color"], lw=1.2, alpha=0.6)
            axes.plot(table["median"], y, ls="", ms=6, label=method, **style)
    panels[0].set(xscale="log", xlabel="distortion - 1, solved on the summary (0 is perfect; 1e-5 stands for less)")
    panels[1].set(xscale="log", xlabel="CPU seconds of one thread, without imports and compilation")
    panels[0].set_yticks(range(len(scenarios)), [_peer_label(name, results["scenarios"]) for name in scenarios])
    panels[0].set_ylim(len(scenarios) - 0.5, -0.5)
    for axes in panels:
        axes.grid(axis="x", alpha=0.3)
        for stripe in range(0, len(scenarios), 2):
            axes.axhspan(stripe - 0.5, stripe + 0.5, color="0.95", zorder=0)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    about = "Summaries of equally many points: dots are medians over seeds, lines reach from least to most"
    save(figure, path.with_suffix(".png"), results, f"{about}\n{versions}")


def _peer_style(method: str, methods: list[str]) -> dict[str, str]:
    """Ours filled and blue to green, those of other packages open and warm, a marker each."""
    peer = method[0].islower()
    kin = [other for other in methods if other[0].islower() == peer]
    shade = kin.index(method) / max(1, len(kin) - 1)
    color = to_hex(colormaps["autumn" if peer else "winter"]((0.7 if peer else 0.9) * shade))
    marker = "osD^vP<>Xph*"[kin.index(method)]
    return {"color": color, "marker": marker, "markerfacecolor": "white" if peer else color}


def _peer_label(name: str, scenarios: list[dict[str, Any]]) -> str:
    found = next(scenario for scenario in scenarios if scenario["name"] == name)
    return f"{name}\nk={found['n_clusters']}, {found['n_points']:,} points"


PICTURES: dict[str, tuple[Callable[[Path], None], ...]] = {
    "construction": (construction,),
    "speed": (speed,),
    "robustness": (robustness,),
    "streaming": (streaming,),
    "peers": (peers,),
    "budget": (budget,),
    "scaling": (scaling,),
    "imputation": (plot_imputation.agreement, plot_imputation.calibration),
    "analog_studies": (plot_analog.draw,),
    "drift": (plot_drift.draw,),
    "vs_aihwkit": (plot_analog.versus,),
}

if __name__ == "__main__":
    main()
