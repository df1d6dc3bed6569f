"""From scores per draw, and losses per row, to means and confidence intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

from analog_eval.evaluation.metrics import Evaluation, Metric, RowMetric

__all__ = ["LevelSummary", "Tally", "interval", "summarize"]

CONFIDENCE = 0.95


class Tally:
    """Scores of every level and draw, and the sum over draws of every row's losses.

    Parameters
    ----------
    n_levels, n_draws : int
        Size of the sweep.
    """

    def __init__(self, n_levels: int, n_draws: int) -> None:
        self.scores = np.full((n_levels, n_draws), np.nan)
        self._losses: list[NDArray[np.float64] | None] = [None] * n_levels

    def add(self, level: int, draw: int, evaluation: Evaluation) -> None:
        """Record one evaluation."""
        score, losses = evaluation
        self.scores[level, draw] = score
        if losses is None:
            return
        total = self._losses[level]
        if total is None:
            self._losses[level] = losses.astype(np.float64)
        else:
            total += losses

    def mean_losses(self, level: int) -> NDArray[np.float64] | None:
        """Return every row's loss averaged over the draws, or None if the metric has no row losses."""
        total = self._losses[level]
        return None if total is None else total / self.scores.shape[1]


@dataclass(frozen=True)
class LevelSummary:
    """Mean score of one level with its uncertainties; see `noise_sweep` for the formulas."""

    mean: float
    ci_low: float
    ci_high: float
    draw_sd: float
    draws_se: float
    rows_se: float


def summarize(scores: NDArray[np.float64], mean_losses: NDArray[np.float64] | None, metric: Metric) -> LevelSummary:
    """Summarize the draws of one level.

    Parameters
    ----------
    scores : ndarray of shape (n_draws,)
        Score of each draw.
    mean_losses : ndarray of shape (n_rows,) or (n_rows, n_outputs), or None
        Losses of the rows, averaged over the draws.
    metric : Metric
        What the scores are.

    Returns
    -------
    LevelSummary
        ``rows_se`` is NaN, and the interval covers the draws alone, unless `metric` is a `RowMetric`.
    """
    n_draws = len(scores)
    mean, draw_sd = _mean_and_sd(scores)
    draws_se = draw_sd / float(np.sqrt(n_draws))
    if not isinstance(metric, RowMetric) or mean_losses is None:
        rows_se = float("nan")
        low, high = interval(mean, [(draws_se, n_draws - 1)])
    else:
        rows_se, n_effective = _rows_se(mean_losses, metric)
        parts = [(draws_se, n_draws - 1), (rows_se, max(1, round(n_effective) - 1))]
        low, high = interval(mean, parts, n_effective if metric.proportion else None)
    # Student's interval knows nothing of the range of the score.
    low, high = np.clip((low, high), *metric.bounds).tolist()
    return LevelSummary(mean, low, high, draw_sd, draws_se, rows_se)


def interval(
    mean: float, parts: Sequence[tuple[float, float]], n_effective: float | None = None
) -> tuple[float, float]:
    """Return a 95 % interval around `mean` from independent standard errors.

    Parameters
    ----------
    mean : float
        Centre.
    parts : sequence of (standard error, degrees of freedom)
        Their squares add up; the degrees of freedom of the sum are Satterthwaite's.
    n_effective : float, optional
        Marks a proportion: the interval is Wilson's, at the number of rows that would give the same standard error,
        and at `n_effective` rows where the standard error is 0 because all rows are right, or all wrong.

    Returns
    -------
    (float, float)
        NaN where a standard error is NaN.
    """
    variances = np.array([se**2 for se, _ in parts])
    variance = float(variances.sum())
    if not np.isfinite(variance) or not np.isfinite(mean):
        return float("nan"), float("nan")
    squares = float(sum(v**2 / df for v, (_, df) in zip(variances, parts, strict=True)))
    degrees = variance**2 / squares if squares > 0.0 else float("inf")
    z = float(student_t.ppf(0.5 + CONFIDENCE / 2, degrees))
    if n_effective is None:
        half = z * float(np.sqrt(variance))
        return mean - half, mean + half
    share = min(max(mean, 0.0), 1.0)
    spread = share * (1.0 - share)
    n = spread / variance if variance > 0.0 and spread > 0.0 else n_effective
    # Multiplied out by n, which may be tiny.
    centre = (n * share + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * float(np.sqrt(n * spread + z**2 / 4))
    # The mean is inside by construction; the bounds keep rounding from saying otherwise.
    return max(0.0, min(centre - half, share)), min(1.0, max(centre + half, share))


def _mean_and_sd(scores: NDArray[np.float64]) -> tuple[float, float]:
    """Return mean and sample standard deviation of the draws; NaN for the latter if there is only one."""
    sd = float(scores.std(ddof=1)) if len(scores) > 1 else float("nan")
    if np.ptp(scores) > 0.0 or not np.isfinite(scores).all():
        return float(scores.mean()), sd
    # The rounding of the mean would give equal scores a tiny spread, and a mean that is not their value.
    return float(scores[0]), 0.0 * sd


def _rows_se(mean_losses: NDArray[np.float64], metric: RowMetric) -> tuple[float, float]:
    """Return the standard error that comes from the choice of rows, and the effective number of rows (Kish)."""
    influence = mean_losses - metric.data.mean(mean_losses) * metric.leverage
    if influence.ndim == 2:
        influence = influence.mean(axis=1)
    weights = metric.data.weights
    if weights is None:
        weights = np.ones(len(influence))
    used = metric.data.n_used
    n_effective = float(weights.sum() ** 2 / (weights**2).sum())
    if used < 2:
        return float("nan"), n_effective
    variance = used / (used - 1) * float((weights**2) @ influence**2) / float(weights.sum()) ** 2
    return float(np.sqrt(variance)), n_effective
