"""Pictures of sweeps and comparisons.  A leaf: takes plain tables, knows nothing about models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_differences", "plot_draws", "plot_sweeps", "plot_uncertainty"]

# Okabe and Ito's colours, which stay apart for colour-blind readers, and markers for print without colour.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS = ("o", "s", "^", "D", "v", "P")
_NEEDED = ("mean", "ci_low", "ci_high")


def plot_sweeps(
    tables: Mapping[str, pd.DataFrame],
    *,
    clean: Mapping[str, float] | None = None,
    chance: float | None = None,
    xlabel: str = "noise level",
    ylabel: str = "score",
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw sweeps over the noise level on one pair of axes, such as a model trained on all rows and on a summary.

    Parameters
    ----------
    tables : mapping of label to DataFrame
        Tables of sweeps: index (or column) ``level``, columns ``mean``, ``ci_low``, ``ci_high``.
    clean : mapping of label to float, optional
        Scores without noise, drawn as dashed lines.
    chance : float, optional
        Score of the best constant guess, drawn as a dotted line; NaN draws nothing.
    xlabel, ylabel : str
        Names of the axes.
    title : str, optional
        Title of the picture.
    ax : matplotlib Axes, optional
        Where to draw; default: a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If there is no table, a table lacks a column, or `clean` names a label that `tables` lacks.
    TypeError
        If a table is not a DataFrame.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"level": [0.1, 0.2], "mean": [0.9, 0.8], "ci_low": [0.8, 0.7], "ci_high": [0.95, 0.85]})
    >>> axes = plot_sweeps({"all rows": table}, clean={"all rows": 0.92}, chance=0.5, ylabel="accuracy")
    >>> axes.get_ylabel()
    'accuracy'
    """
    checked = {str(label): _checked(label, table) for label, table in _mapping(tables).items()}
    clean = dict(clean or {})
    unknown = sorted(set(clean) - set(checked))
    if unknown:
        raise ValueError(f"clean names {unknown}, but tables has {sorted(checked)}")
    with _picture(ax, xlabel, ylabel, title) as axes:
        for i, (label, table) in enumerate(checked.items()):
            _draw(axes, label, table, clean.get(label), i)
        if chance is not None and np.isfinite(chance):
            axes.axhline(chance, color="0.45", linestyle=":", linewidth=1.3, label="best constant guess", zorder=1)
        if clean:
            axes.plot([], [], color="0.3", linestyle="--", linewidth=1.1, label="without noise")
        _band_entry(axes)
    return axes


def plot_draws(
    draws: pd.DataFrame,
    *,
    label: str = "mean",
    clean: float | None = None,
    xlabel: str = "noise level",
    ylabel: str = "score",
    ax: Axes | None = None,
) -> Axes:
    """Draw every device of a sweep as a line, and their mean.

    Parameters
    ----------
    draws : DataFrame
        Columns ``level`` (or what else the first one is called), ``draw``, ``score``, such as ``report.draws``.
    label : str
        Name of the mean.
    clean : float, optional
        Score without noise, drawn as a dashed line.
    xlabel, ylabel : str
        Names of the axes.
    ax : matplotlib Axes, optional
        Where to draw; default: a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> import pandas as pd
    >>> draws = pd.DataFrame({"level": [0.1, 0.1, 0.2, 0.2], "draw": [0, 1, 0, 1], "score": [0.9, 0.8, 0.7, 0.75]})
    >>> len(plot_draws(draws).get_lines())
    3
    """
    with _picture(ax, xlabel, ylabel) as axes:
        level = draws.columns[0]
        wide = draws[np.isfinite(draws[level])].pivot(index=level, columns="draw", values="score")
        levels = wide.index.to_numpy(dtype=float)
        for column in wide:
            axes.plot(levels, wide[column], color=_COLORS[0], alpha=max(0.08, 2.0 / wide.shape[1]), linewidth=0.8)
        axes.plot(levels, wide.mean(axis=1), color=_COLORS[0], marker=_MARKERS[0], linewidth=1.8, label=label)
        _clean_line(axes, clean)
    return axes


def plot_uncertainty(
    table: pd.DataFrame, *, xlabel: str = "noise level", ylabel: str = "score", ax: Axes | None = None
) -> Axes:
    """Draw the two standard errors of a sweep: from the choice of devices, and from the choice of test rows.

    Parameters
    ----------
    table : DataFrame
        Table of a sweep: index ``level``, columns ``draws_se``, ``rows_se`` (NaN draws nothing).
    xlabel, ylabel : str
        Name of the horizontal axis, and of the score.
    ax : matplotlib Axes, optional
        Where to draw; default: a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"level": [0.1, 0.2], "draws_se": [0.01, 0.02], "rows_se": [0.03, 0.03]})
    >>> [line.get_label() for line in plot_uncertainty(table.set_index("level")).get_lines()]
    ['choice of test rows', 'choice of devices (draws)']
    """
    with _picture(ax, xlabel, f"standard error of {ylabel}") as axes:
        shown = table[np.isfinite(table.index.to_numpy(dtype=float))].sort_index()
        sources = {"rows_se": "choice of test rows", "draws_se": "choice of devices (draws)"}
        for i, (column, label) in enumerate(sources.items()):
            axes.plot(shown.index, shown[column], color=_COLORS[i], marker=_MARKERS[i], linewidth=1.8, label=label)
        axes.set_ylim(bottom=0.0)
    return axes


def plot_differences(
    table: pd.DataFrame, *, xlabel: str = "noise level", ylabel: str = "difference", ax: Axes | None = None
) -> Axes:
    """Draw paired differences against the level, a curve a pair, with a line where there is none.

    Parameters
    ----------
    table : DataFrame
        Index ``a``, ``b``, ``level``; columns ``difference``, ``ci_low``, ``ci_high``, ``verdict``, such as
        ``comparison.table``.  Filled markers tell differences that have a verdict, open ones those that have none.
    xlabel, ylabel : str
        Names of the axes.
    ax : matplotlib Axes, optional
        Where to draw; default: a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> import pandas as pd
    >>> row = {"a": "wide", "b": "deep", "level": 0.1, "difference": 0.02, "ci_low": 0.01, "ci_high": 0.03}
    >>> table = pd.DataFrame([{**row, "verdict": "wide"}]).set_index(["a", "b", "level"])
    >>> plot_differences(table).get_legend_handles_labels()[1][0]
    'wide - deep'
    """
    with _picture(ax, xlabel, ylabel) as axes:
        axes.axhline(0.0, color="0.45", linestyle=":", linewidth=1.3)
        for i, ((a, b), part) in enumerate(table.groupby(level=["a", "b"], sort=False)):
            rows = part.droplevel(["a", "b"]).rename(columns={"difference": "mean"})
            _draw(axes, f"{a} - {b}", _checked(f"{a} - {b}", rows), None, i)
            line = axes.get_lines()[-1]
            line.set_markerfacecolor("white")
            found = rows[(rows["verdict"] != "") & np.isfinite(rows.index.to_numpy(dtype=float))]
            axes.plot(found.index, found["mean"], line.get_marker(), color=line.get_color(), markersize=5, zorder=4)
        axes.plot([], [], "o", color="0.3", label="verdict after Holm's adjustment")
        _band_entry(axes)
    return axes


def _draw(axes: Any, label: str, table: pd.DataFrame, clean: float | None, i: int) -> None:
    color, marker = _COLORS[i % len(_COLORS)], _MARKERS[i % len(_MARKERS)]
    x = table.index.to_numpy(dtype=float)
    axes.fill_between(x, table["ci_low"], table["ci_high"], color=color, alpha=0.18, linewidth=0, zorder=2)
    axes.plot(x, table["mean"], color=color, marker=marker, markersize=5, linewidth=1.8, label=label, zorder=3)
    if clean is not None and np.isfinite(clean):
        axes.axhline(clean, color=color, linestyle="--", linewidth=1.1, alpha=0.8, zorder=1)


def _clean_line(axes: Any, clean: float | None) -> None:
    if clean is not None and np.isfinite(clean):
        axes.axhline(clean, color="0.3", linestyle="--", linewidth=1.1, label="without noise", zorder=1)


def _band_entry(axes: Any) -> None:
    axes.fill_between([], [], [], color="0.5", alpha=0.3, linewidth=0, label="95 % interval")


@contextmanager
def _picture(ax: Axes | None, xlabel: str, ylabel: str, title: str | None = None) -> Iterator[Any]:
    """Give axes to draw on, new ones for None, and name and dress them when all is drawn."""
    axes = _new_axes() if ax is None else ax
    yield axes
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    if title:
        axes.set_title(title)
    axes.grid(visible=True, color="0.92", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    # Drawing twice on the same axes must not list the common entries twice.
    entries = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    axes.legend(entries.values(), entries.keys(), frameon=False, fontsize="small")


def _new_axes() -> Any:
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("plots need matplotlib: pip install 'coreset-eval[plots]'") from error
    return plt.subplots(figsize=(6.4, 4.2), layout="constrained")[1]


def _mapping(tables: Mapping[str, pd.DataFrame]) -> Mapping[str, pd.DataFrame]:
    if not isinstance(tables, Mapping):
        raise TypeError(f"tables must map labels to tables, got {type(tables).__name__}")
    if not tables:
        raise ValueError("tables is empty; there is nothing to draw")
    return tables


def _checked(label: str, table: pd.DataFrame) -> pd.DataFrame:
    if not isinstance(table, pd.DataFrame):
        raise TypeError(f"tables[{label!r}] must be a DataFrame such as report.table, got {type(table).__name__}")
    if "level" in table.columns:
        table = table.set_index("level")
    missing = [name for name in _NEEDED if name not in table.columns]
    if missing:
        raise ValueError(f"tables[{label!r}] lacks the columns {missing}; it has {list(table.columns)}")
    # An infinite level (no noise, in dB) has no place on the axis; the clean line shows it.
    return table[np.isfinite(table.index.to_numpy(dtype=float))].sort_index()
