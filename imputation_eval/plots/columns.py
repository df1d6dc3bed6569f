"""What an imputer puts into each column, beside what belongs there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from imputation_eval.plots.style import BEST, OTHER, pyplot, tidy

_PANELS_A_ROW = 3
_MAX_PANELS = 12
_MAX_LEVELS = 10
_MAX_COUNTS = 30
_TAIL = 0.005  # of the values a side that a panel may cut off, so that an outlier does not squeeze it


@dataclass(frozen=True, eq=False)
class Column:
    """Values of one column.

    Attributes
    ----------
    name : str
    observed, imputed : sequence
        Numbers, dates or levels.
    levels : list or None
        In order, if it is a column of levels.
    """

    name: str
    observed: Any
    imputed: Any
    levels: list[Any] | None = None


def density_plot(columns: Sequence[Column], *, observed: str, imputed: str) -> Any:
    """Draw a panel a column: a histogram of numbers, bars of levels; at most 12 panels.

    Parameters
    ----------
    columns : sequence of Column
    observed, imputed : str
        What the two kinds of values are called.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    ImportError
        If matplotlib is missing.
    """
    plt = pyplot()
    shown = list(columns)[:_MAX_PANELS]
    n_across = min(_PANELS_A_ROW, len(shown))
    n_down = -(-len(shown) // n_across)
    size = (max(3.3 * n_across, 5.5), 2.3 * n_down + 0.5)
    figure, grid = plt.subplots(n_down, n_across, figsize=size, squeeze=False, layout="constrained")
    for ax, column in zip(grid.flat, shown, strict=False):
        (_histogram if column.levels is None else _bars)(ax, column)
        ax.set_title(column.name, fontsize=10, loc="left")
        ax.set_yticks([])
        tidy(ax, grid="x" if column.levels is None else "y")
        ax.spines["left"].set_visible(False)
    for ax in list(grid.flat)[len(shown) :]:
        ax.set_visible(False)
    handles = [plt.Rectangle((0, 0), 1, 1, color=OTHER, alpha=0.35, lw=0), plt.Line2D([], [], color=BEST, lw=2)]
    left_out = f", {len(shown)} of {len(columns)} columns" if len(columns) > len(shown) else ""
    figure.legend(handles, [observed, imputed + left_out], loc="outside upper left", ncols=2, frameon=False, fontsize=9)
    return figure


def _histogram(ax: Any, column: Column) -> None:
    dated = not pd.api.types.is_numeric_dtype(pd.Series(column.observed).dtype)
    kinds = [_plain(values) for values in (column.observed, column.imputed)]
    low, high = np.quantile(np.concatenate(kinds), [_TAIL, 1 - _TAIL])
    bins = _bins(kinds[0], low, high, min(map(len, kinds)))
    shares = [np.histogram(values, bins)[0] / len(values) for values in kinds]
    edges = pd.to_datetime(bins, unit="s") if dated and _is_date(column.observed) else bins
    ax.stairs(shares[0], edges, fill=True, color=OTHER, alpha=0.35, lw=0)
    ax.stairs(shares[1], edges, color=BEST, lw=1.8)
    ax.set_ylim(0, 1.08 * max(map(np.max, shares)))
    if dated and _is_date(column.observed):
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        locator = AutoDateLocator(maxticks=5)
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    elif dated:
        ax.set_xlabel("seconds", fontsize=8)
    ax.tick_params(labelsize=8)


def _bins(observed: Any, low: float, high: float, n: int) -> Any:
    if high - low < _MAX_COUNTS and (observed == np.rint(observed)).all():  # counts: a bin each
        return np.arange(np.floor(low) - 0.5, np.ceil(high) + 1)
    if high <= low:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, int(np.clip(np.sqrt(n), 8, 30)) + 1)


def _bars(ax: Any, column: Column) -> None:
    assert column.levels is not None
    counts = [
        pd.Series(list(values), dtype=object).value_counts(normalize=True)
        for values in (column.observed, column.imputed)
    ]
    levels = column.levels
    if len(levels) > _MAX_LEVELS:
        levels = sorted(levels, key=lambda level: -counts[0].get(level, 0))[:_MAX_LEVELS]
    place = np.arange(len(levels))
    shares = [np.array([count.get(level, 0.0) for level in levels]) for count in counts]
    ax.bar(place, shares[0], width=0.8, color=OTHER, alpha=0.35, lw=0)
    ax.hlines(shares[1], place - 0.4, place + 0.4, color=BEST, lw=2.2)
    names = [_short(level) for level in levels]
    slanted = (
        {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if max(map(len, names)) * len(names) > 24 else {}
    )
    ax.set_xticks(place, names, fontsize=8, **slanted)


def _plain(values: Any) -> Any:
    series = pd.Series(values)
    if pd.api.types.is_numeric_dtype(series.dtype):
        return series.to_numpy(dtype=np.float64)
    if _is_date(values):
        zone = getattr(series.dtype, "tz", None)
        return ((series.dt.tz_convert(None) if zone else series) - pd.Timestamp(0)).dt.total_seconds().to_numpy()
    return series.dt.total_seconds().to_numpy()


def _is_date(values: Any) -> bool:
    return pd.api.types.is_datetime64_any_dtype(pd.Series(values).dtype)


def _short(level: Any) -> str:
    text = str(level)
    return text if len(text) <= 14 else f"{text[:13]}…"
