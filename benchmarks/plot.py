"""Draw the JSON files of ``results`` as PNGs beside them."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    construction(RESULTS / "construction.json")


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


if __name__ == "__main__":
    main()
