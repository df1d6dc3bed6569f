"""Draw the JSON files of ``results`` as PNGs beside them."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    construction(RESULTS / "construction.json")
    if (RESULTS / "streaming.json").exists():
        streaming(RESULTS / "streaming.json")


def construction(path: Path) -> None:
    """Distortion and time of each method, a dot a data set."""
    results = json.loads(path.read_text(encoding="utf-8"))
    rows = pd.DataFrame(results["construction"])
    figure = Figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    scenarios = list(rows["scenario"].unique())
    for position, (method, part) in enumerate(rows.groupby("method", sort=False)):
        x = part["scenario"].map(scenarios.index) + 0.2 * (position - 1)
        left.plot(x, part["distortion"] - 1, "o", alpha=0.7, label=method)
        right.plot(x, part["products"], "o", alpha=0.7, label=method)
    left.axhline(0.03, color="gray", ls="--", lw=1, label="goal for RobustCoreset")
    left.set(
        ylabel="distortion - 1 (0 is perfect)", title="k-means / k-median cost, solved on the summary", yscale="log"
    )
    right.set(ylabel="CPU time / bare n x d x k product", title="construction time", yscale="log")
    for axes in (left, right):
        axes.set_xticks(range(len(scenarios)), scenarios)
        axes.grid(axis="y", alpha=0.3)
    left.legend(frameon=False)
    figure.suptitle(
        f"4,000 points of 100,000 x 50 rows, 100 clusters ({results['date']}, {results['machine']})", fontsize=9
    )
    target = path.with_suffix(".png")
    figure.savefig(target, dpi=130)
    print(f"wrote {target}")


def streaming(path: Path) -> None:
    """Distortion, time and memory of streams against the batch method."""
    results = json.loads(path.read_text(encoding="utf-8"))
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
    figure.suptitle(f"{results['command']} ({results['date']}, {results['machine']})", fontsize=9)
    target = path.with_suffix(".png")
    figure.savefig(target, dpi=130)
    print(f"wrote {target}")


if __name__ == "__main__":
    main()
