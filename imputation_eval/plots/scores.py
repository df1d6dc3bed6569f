"""Scores with their intervals, and scores against time."""

from __future__ import annotations

from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imputation_eval.plots.style import BEST, FLOOR, OTHER, REFERENCE, axes, tidy


def forest_plot(table: pd.DataFrame, *, label: str, truth: str = "truth", ax: Any = None) -> Any:
    """Draw scores with their intervals, best on top, and the score of the truth as a line.

    Parameters
    ----------
    table : DataFrame
        Index: names. Columns: score, ci_low, ci_high, tied_best, failures, reference.
    label : str
        What the score is, for the axis.
    truth : str
        The row that is drawn as a line.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ImportError
        If matplotlib is missing.
    """
    rows = table[(table.index != truth) & table["score"].notna()]
    ax = axes(ax, height=1.4 + 0.42 * len(rows), names=rows.index)
    for position, (_, row) in enumerate(rows.iterrows()):
        color = _color(row)
        if np.isfinite(row["ci_low"]):
            ax.plot([row["ci_low"], row["ci_high"]], [position, position], color=color, lw=2, solid_capstyle="round")
        ax.plot(row["score"], position, "s" if row["reference"] else "o", color=color, ms=7, zorder=3)
    if truth in table.index:
        floor = table.loc[truth]
        ax.axvspan(floor["ci_low"], floor["ci_high"], color=FLOOR, alpha=0.12, lw=0)
        ax.axvline(floor["score"], color=FLOOR, lw=1.2, ls="--")
    ax.set_yticks(range(len(rows)), [_row_label(name, row) for name, row in rows.iterrows()])
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_xlabel(label)
    tidy(ax, grid="x")
    _legend(ax, rows, with_floor=truth in table.index)
    return ax


def seconds_plot(table: pd.DataFrame, *, label: str, truth: str = "truth", ax: Any = None) -> Any:
    """Draw scores against the seconds of one imputation, on a logarithmic axis.

    Parameters
    ----------
    table : DataFrame
        Index: names. Columns: score, ci_low, ci_high, seconds, tied_best, failures, reference.
    label : str
        What the score is, for the axis.
    truth : str
        The row that is drawn as a line.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ImportError
        If matplotlib is missing.
    """
    rows = table[(table.index != truth) & table["score"].notna()]
    ax = axes(ax, height=4.2)
    from matplotlib.ticker import LogLocator, NullFormatter, NullLocator

    levels = np.sort(rows["score"].to_numpy(dtype=np.float64))
    for name, row in rows.iterrows():
        ax.plot(row["seconds"], row["score"], "s" if row["reference"] else "o", color=_color(row), ms=7, zorder=4)
        # The white ground keeps a name legible where the line of the truth crosses it; names point away from the
        # nearest score, so that those of neighbours do not meet, and lie below their points.
        ground = {"facecolor": "white", "alpha": 0.8, "lw": 0, "pad": 0.5}
        place = {
            "xy": (row["seconds"], row["score"]),
            "xytext": (7, 5 if _has_room_above(row["score"], levels) else -12),
            "textcoords": "offset points",
        }
        ax.annotate(str(name), **place, fontsize=9, bbox=ground)
    if truth in table.index:
        ax.axhline(table.loc[truth, "score"], color=FLOOR, lw=1.2, ls="--")
    ax.set_xscale("log")
    if rows["seconds"].max() < 100 * rows["seconds"].min():  # there may be hardly a power of ten to label
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.xaxis.set_major_formatter("{x:g}")
    ax.margins(x=0.3, y=0.12)
    ax.set_xlabel("seconds an imputation")
    ax.set_ylabel(fill(label, 45))
    tidy(ax, grid="both")
    _legend(ax, rows, with_floor=truth in table.index)
    return ax


def _has_room_above(score: float, levels: NDArray[np.float64]) -> bool:
    above, below = levels[levels > score], levels[levels < score]
    return len(above) == 0 or (len(below) > 0 and above[0] - score > score - below[-1])


def _color(row: pd.Series) -> str:
    if row["reference"]:
        return REFERENCE
    return BEST if row["tied_best"] else OTHER


def _row_label(name: Any, row: pd.Series) -> str:
    suffix = " (reference)" if row["reference"] else " *" if row["tied_best"] else ""
    failed = f" [{row['failures']} failed]" if row["failures"] else ""
    return f"{name}{suffix}{failed}"


def _legend(ax: Any, rows: pd.DataFrame, *, with_floor: bool) -> None:
    from matplotlib.lines import Line2D

    entries = []
    if rows["tied_best"].any():
        entries.append(Line2D([], [], color=BEST, marker="o", ls="", label="best, or tied with it (*)"))
    if (~rows["tied_best"] & ~rows["reference"]).any():
        entries.append(Line2D([], [], color=OTHER, marker="o", ls="", label="worse"))
    if rows["reference"].any():
        entries.append(Line2D([], [], color=REFERENCE, marker="s", ls="", label="reference"))
    if with_floor:
        entries.append(Line2D([], [], color=FLOOR, ls="--", label="the truth itself"))
    # Above the axes, where it can hide no point.
    ax.legend(handles=entries, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=len(entries), frameon=False, fontsize=9)
