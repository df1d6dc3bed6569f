"""Where a score crosses a share of its clean value."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analog_eval.evaluation.statistics import quantile

__all__ = ["Crossing", "crossing", "half_widths"]


class Crossing(NamedTuple):
    """A noise level with its 95 % interval; see `SweepReport.level_at`.

    Parameters
    ----------
    level : float
        Where the mean crosses the target.
    ci_low, ci_high : float
        Limits, from the cleaner side to the noisier one.

    Examples
    --------
    >>> level, low, high = Crossing(level=0.3, ci_low=0.25, ci_high=0.36)
    >>> low < level < high
    True
    """

    level: float
    ci_low: float
    ci_high: float


def crossing(
    table: pd.DataFrame,
    clean: float,
    clean_level: float,
    rows_covariance: NDArray[np.float64],
    target: float,
    *,
    unseen: float | NDArray[np.float64] = 0.0,
    falling: bool = False,
) -> Crossing:
    """Return where ``mean - target * clean`` and the two limits of its interval first change sign.

    Parameters
    ----------
    table : DataFrame
        Table of a sweep.
    clean : float
        Clean score, > 0.
    clean_level : float
        The level that means no noise; NaN if none does, and then nothing is known before the first level.
    rows_covariance : ndarray of shape (n_levels + 1, n_levels + 1)
        Of the clean score and of those of the levels, from the choice of rows; NaN if not known.
    target : float
        Positive, not 1.
    unseen : float or ndarray of shape (n_levels,), default=0.0
        See `half_widths`.
    falling : bool, default=False
        Whether noise grows as the level falls.

    Returns
    -------
    Crossing
    """
    levels, noisy = table.index.to_numpy(dtype=np.float64), table.index.to_numpy() != clean_level
    gap = (table["mean"] - target * clean).to_numpy()
    half = half_widths(table, rows_covariance, target, unseen)
    # From the cleanest level to the noisiest: downwards in dB and bits.
    order = np.argsort(levels)[:: -1 if falling else 1]
    order = order[noisy[order]]
    start = (1.0 - target) * clean
    # Above the target first, whichever way the score goes.
    side = np.sign(start)
    path = np.append(clean_level, levels[order])
    middle, width = side * gap[order], half[order]
    beyond = -np.inf if falling else np.inf
    curves = (np.append(side * start, curve) for curve in (middle, middle - width, middle + width))
    return Crossing(*(_first_zero(path, curve, beyond) for curve in curves))


def half_widths(
    table: pd.DataFrame,
    covariance: NDArray[np.float64],
    target: float | NDArray[np.float64],
    unseen: float | NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return half the widths of the 95 % intervals of ``mean - target * clean``, for a target or one a level.

    `unseen` is the variance that rows which the test may have missed add to either score, for all levels or one a
    level.  Intervals are those of the draws alone where the covariance is NaN; NaN where it is infinite.
    """
    known = np.nan_to_num(covariance, posinf=np.inf)
    with np.errstate(invalid="ignore"):
        rows = known.diagonal()[1:] - 2.0 * target * known[0, 1:] + target**2 * known[0, 0]
    rows = np.maximum(rows, 0.0) + (1.0 + target**2) * unseen
    draws = table["draws_se"].to_numpy() ** 2
    total = draws + rows
    # Satterthwaite's degrees of freedom, with many rows.
    with np.errstate(divide="ignore", invalid="ignore"):
        degrees = np.where(total > 0.0, (table["n_draws"].to_numpy() - 1.0) * (total / draws) ** 2, np.inf)
    return np.sqrt(total) * np.array([quantile(df) for df in degrees])


def _first_zero(levels: NDArray[np.float64], curve: NDArray[np.float64], beyond: float) -> float:
    """Return where a curve that begins above 0 first reaches it, along straight lines."""
    for i in range(1, len(curve)):
        if np.isnan(curve[i]):
            return float("nan")
        if curve[i] <= 0.0:
            if not np.isfinite(levels[i - 1]):
                return float("nan")
            share = curve[i - 1] / (curve[i - 1] - curve[i])
            return float(levels[i - 1] + share * (levels[i] - levels[i - 1]))
    return beyond
