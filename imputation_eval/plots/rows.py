"""Where among the rows an imputer errs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imputation_eval.plots.style import axes, tidy


def local_plot(points: NDArray[np.float64], local: NDArray[np.float64], *, title: str = "", ax: Any = None) -> Any:
    """Draw rows in the plane of their two main components, coloured by who their neighbours are.

    Parameters
    ----------
    points : ndarray of shape (n_rows, n_features)
        True and imputed rows in one scaled space.
    local : ndarray of shape (n_rows,)
        Share of imputed rows among the neighbours of each row; 1/2 is as it should be.
    title : str
        Above the picture.
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
    ax = axes(ax, height=4.6, width=6.2)
    plane, explained = _main_components(points)
    # The most extreme rows last, so that they are seen.
    order = np.argsort(np.abs(local - 0.5), kind="stable")
    size = float(np.clip(6000 / len(points), 6, 30))
    dots = ax.scatter(
        *plane[order].T, c=local[order], cmap="RdBu_r", vmin=0, vmax=1, s=size, lw=0.2, edgecolors="#555555"
    )
    low, high = np.quantile(plane, [0.002, 0.998], axis=0)  # a few far rows would squeeze all others
    margin = 0.12 * (high - low) + 1e-9
    ax.set_xlim(low[0] - margin[0], high[0] + margin[0])
    ax.set_ylim(low[1] - margin[1], high[1] + margin[1])
    bar = ax.figure.colorbar(dots, ax=ax, ticks=[0, 0.5, 1], shrink=0.85)
    bar.ax.set_yticklabels(["0: true rows only", "½: as it should be", "1: imputed rows only"], fontsize=8)
    bar.ax.set_title("neighbours", fontsize=9, loc="left")
    ax.set_xlabel(f"first component ({explained[0]:.0%} of the variance)")
    ax.set_ylabel(f"second component ({explained[1]:.0%})")
    ax.set_title(title, fontsize=10, loc="left")
    tidy(ax, grid="both")
    return ax


def _main_components(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    centered = points - points.mean(axis=0)
    centered = np.hstack([centered, np.zeros((len(points), 1))])  # so that one feature has a plane, too
    left, scale, _ = np.linalg.svd(centered, full_matrices=False)
    explained = scale**2 / max(float((scale**2).sum()), 1e-300)
    return left[:, :2] * scale[:2], explained[:2]
