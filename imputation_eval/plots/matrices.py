"""Imputers against ranks, and imputers against imputers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from imputation_eval.plots.style import BEST, FLOOR, axes

_ALPHA = 0.05


def rank_plot(chances: pd.DataFrame, *, ax: Any = None) -> Any:
    """Draw the chance of each rank as a heat map, best imputer on top.

    Parameters
    ----------
    chances : DataFrame of shape (n_imputers, n_imputers)
        Index: names; columns: ranks; entries between 0 and 1.
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
    n = len(chances)
    ax = axes(ax, height=1.3 + 0.42 * n, width=2.8 + 0.62 * n, names=chances.index)
    values = chances.to_numpy(dtype=np.float64)
    ax.imshow(values, cmap="Greens", vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        if value >= 0.005:
            ax.text(column, row, _percent(value), color=_ink(value), ha="center", va="center", fontsize=9)
    _label(ax, list(chances.index), [str(rank) for rank in chances.columns])
    ax.set_xlabel("rank (chance in %)")
    return ax


def pairwise_plot(pairwise: pd.DataFrame, names: list[str], *, ax: Any = None) -> Any:
    """Draw which imputer is significantly better than which other one, with Holm's p-values.

    Parameters
    ----------
    pairwise : DataFrame
        Columns better, worse, p_holm; one row a pair.
    names : list of str
        Order of the rows and columns of the picture.
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
    n = len(names)
    ax = axes(ax, height=1.9 + 0.42 * n, width=2.8 + 0.75 * n, names=names)
    from matplotlib.colors import ListedColormap

    place = {name: position for position, name in enumerate(names)}
    verdicts = np.zeros((n, n))
    for better, worse, p_value in pairwise[["better", "worse", "p_holm"]].itertuples(index=False):
        i, j = place[better], place[worse]
        significant = p_value < _ALPHA
        verdicts[i, j], verdicts[j, i] = significant, -significant
        for row, column in ((i, j), (j, i)):
            color = "white" if significant else "#333333"
            ax.text(column, row, _p_value(p_value), color=color, ha="center", va="center", fontsize=9)
    ax.imshow(verdicts, cmap=ListedColormap([FLOOR, "#ececec", BEST]), vmin=-1, vmax=1, aspect="auto")
    ax.plot(range(n), range(n), ls="", marker=".", color="#bbbbbb")
    _label(ax, names, names)
    for tick in ax.get_xticklabels():
        tick.set(rotation=35, ha="right", rotation_mode="anchor")
    ax.set_title("row against column (Holm's p-value):\ngreen better, red worse, grey tied", fontsize=10, loc="left")
    return ax


def _label(ax: Any, rows: list[str], columns: list[str]) -> None:
    ax.set_yticks(range(len(rows)), rows)
    ax.set_xticks(range(len(columns)), columns)
    ax.set_xticks(np.arange(-0.5, len(columns)), minor=True)
    ax.set_yticks(np.arange(-0.5, len(rows)), minor=True)
    ax.grid(which="minor", color="white", lw=2)
    ax.tick_params(which="both", length=0)
    ax.spines[:].set_visible(False)


def _percent(value: float) -> str:
    return ">99" if 0.995 <= value < 1 else f"{100 * value:.0f}"


def _p_value(value: float) -> str:
    return "<.001" if value < 0.001 else f"{value:.2g}" if value < 0.1 else f"{value:.2f}"


def _ink(value: float) -> str:
    return "white" if value > 0.55 else "#222222"
