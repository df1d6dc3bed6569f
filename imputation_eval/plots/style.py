"""Colours, sizes and manners that all pictures share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

_SHORT_NAME = 20  # characters, for which all pictures have room
_CHARACTER = 0.085  # inches
BEST, OTHER, REFERENCE, FLOOR = "#0b6e4f", "#4a4e69", "#9a9a9a", "#c1121f"


def pyplot() -> Any:
    """Import matplotlib, or say how to install it."""
    try:
        import matplotlib.pyplot as plt
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        raise ImportError("Plots need matplotlib; install it with: pip install 'coreset-eval[plots]'") from error
    return plt


def axes(ax: Any, *, height: float, width: float = 7.5, names: Iterable[object] = ()) -> Any:
    """Return ``ax``, or the axes of a new figure of a size in inches, and wider where names beside it are long."""
    plt = pyplot()
    if ax is not None:
        return ax
    width += _CHARACTER * max([0, *(len(str(name)) - _SHORT_NAME for name in names)])
    # "constrained" makes room for names at the expense of what is drawn.
    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def tidy(ax: Any, *, grid: str) -> None:
    """Take away what carries no data, and draw a light grid along "x", "y" or "both"."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis=grid, color="#e5e5e5", lw=0.8)
    ax.set_axisbelow(True)
