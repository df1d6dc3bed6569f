"""Pictures of plain tables. Matplotlib is imported when one is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from .errors import needed

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_plan(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Error of every candidate of a plan against its number of points, the chosen one marked.

    Candidates that were not tried, if any, have hollow marks.

    Parameters
    ----------
    table : pandas.DataFrame
        As `BudgetPlan.table`.
    ax : matplotlib Axes, optional
        Drawn into; a new figure by default.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ImportError
        When matplotlib is missing, naming the extra that brings it.
    """
    axes = _new_axes() if ax is None else ax
    shown = table[(table["n_points"] > 0) & table["error"].notna()].sort_values("n_points")
    names = [_codec_name(quantizer.get_config()) for quantizer in shown["quantizer"]]
    tried = ~shown["note"].str.startswith("not tried")
    for place, family in enumerate(sorted({family for family, _ in names})):
        own = [name[0] == family for name in names]
        part = shown[own]
        color = f"C{place}"
        axes.plot(part["n_points"], part["error"], "-", color=color, linewidth=1)
        axes.plot(part["n_points"], part["error"], "o", color=color, markerfacecolor="white", markersize=5)
        axes.plot(part[tried[own]]["n_points"], part[tried[own]]["error"], "o", color=color, markersize=5)
        axes.plot([], [], "o-", color=color, label=family)
    for (_, numbers), n_points, error in zip(names, shown["n_points"], shown["error"], strict=True):
        axes.annotate(numbers, (n_points, error), textcoords="offset points", xytext=(4, 4), fontsize=7)
    winner = shown[shown["chosen"]]
    axes.plot(winner["n_points"], winner["error"], "*", markersize=16, color="black", label="chosen")
    errors = shown["error"][shown["error"] > 0]
    if len(errors) and errors.max() > 4 * errors.min():
        axes.set_yscale("log")
    axes.set(
        xscale="log",
        xlabel="points that fit the budget",
        ylabel="error, in the data's units",
        title="Candidates within one byte budget (numbers: bits of the codec; hollow: not tried)",
    )
    axes.title.set_fontsize(10)
    axes.legend(frameon=False, fontsize=8)
    return axes


def _new_axes() -> Axes:
    """Empty axes of a figure that notebooks show."""
    with needed("matplotlib", "plots need matplotlib: pip install 'coreset-eval[plots]'"):
        import matplotlib.pyplot as plt
    return plt.subplots(figsize=(7.0, 4.5), layout="constrained")[1]


def _codec_name(config: dict[str, Any]) -> tuple[str, str]:
    """The words of a configuration, with what it turns on, and its numbers."""
    words = [str(value) for value in config.values() if isinstance(value, str)]
    words += [name.replace("_", "-") for name, value in config.items() if value is True]
    return " ".join(words), " ".join(str(value) for value in config.values() if not isinstance(value, (str, bool)))
