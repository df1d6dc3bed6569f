"""From scores per draw, and losses per row, to means, intervals and verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student_t

from analog_eval.evaluation.metrics import Evaluation, Metric, RowMetric

__all__ = [
    "Estimate",
    "LevelSummary",
    "Tally",
    "above_chance",
    "holm",
    "influence",
    "interval",
    "moved_share",
    "quantile",
    "rows_covariance",
    "summarize",
    "unseen",
]

CONFIDENCE = 0.95


class Tally:
    """Scores of every level and draw, and the sum over draws of every row's losses.

    Parameters
    ----------
    n_levels : int
        Number of levels.
    """

    def __init__(self, n_levels: int) -> None:
        self._scores: list[list[float]] = []
        self._losses: list[NDArray[np.float64] | None] = [None] * n_levels

    @property
    def scores(self) -> NDArray[np.float64]:
        """Scores of shape (n_levels, n_draws)."""
        return np.array(self._scores, dtype=np.float64).reshape(-1, len(self._losses)).T

    def add(self, evaluations: Sequence[Evaluation]) -> None:
        """Record one draw: an evaluation a level."""
        self._scores.append([score for score, _ in evaluations])
        for level, (_, losses) in enumerate(evaluations):
            if losses is None:
                continue
            total = self._losses[level]
            if total is None:
                self._losses[level] = losses.astype(np.float64)
            else:
                total += losses

    def mean_losses(self, level: int) -> NDArray[np.float64] | None:
        """Return every row's loss averaged over the draws, or None if the metric has no row losses."""
        total = self._losses[level]
        return None if total is None else total / len(self._scores)


@dataclass(frozen=True, eq=False)
class Estimate:
    """A mean score, or a sum of several, and what every draw and every row has to do with it.

    Estimates that share their draws and their rows can be added and scaled; what they have in common cancels.

    Parameters
    ----------
    scores : ndarray of shape (n_draws,)
        Score of each draw.
    rows : ndarray of shape (n_rows,) or None
        How much each row moves the score, in units such that the squares add up to the variance that comes from the
        choice of rows; None if that is not known.
    rows_df : float
        Degrees of freedom of that variance.
    n_first : int
        Draws that were there when it was first decided whether there are enough; n_draws if that was not decided.
    up, down : float, default=0.0
        How far `unseen` rows could move it, in the units of `rows`.
    moved : float, default=1.0
        Of a single share under noise, see `moved_share`; sums and ratios have the default, which is the most.
    """

    scores: NDArray[np.float64]
    rows: NDArray[np.float64] | None
    rows_df: float
    n_first: int
    up: float = 0.0
    down: float = 0.0
    moved: float = 1.0

    @staticmethod
    def of(
        scores: NDArray[np.float64],
        mean_losses: NDArray[np.float64] | None,
        metric: Metric,
        n_first: int,
        clean_losses: NDArray[Any] | None = None,
    ) -> Estimate:
        """Return the estimate of one score, given the losses of the rows averaged over the draws."""
        if mean_losses is None or not isinstance(metric, RowMetric):
            return Estimate(scores, None, float("nan"), n_first)
        rows, df = influence(mean_losses, metric)
        if not metric.proportion:
            return Estimate(scores, rows, df, n_first)
        moved = 1.0 if clean_losses is None else moved_share(mean_losses - clean_losses, metric, df + 1.0)
        return Estimate(scores, rows, df, n_first, up=unseen(df + 1.0), moved=moved)

    def __add__(self, other: Estimate) -> Estimate:
        rows = None if self.rows is None or other.rows is None else self.rows + other.rows
        return Estimate(
            self.scores + other.scores,
            rows,
            min(self.rows_df, other.rows_df),
            self.n_first,
            self.up + other.up,
            self.down + other.down,
        )

    def __mul__(self, factor: float) -> Estimate:
        rows = None if self.rows is None else factor * self.rows
        ends = (self.up, self.down) if factor >= 0.0 else (self.down, self.up)
        up, down = (abs(factor) * end for end in ends)
        return Estimate(factor * self.scores, rows, self.rows_df, self.n_first, up, down)

    def __sub__(self, other: Estimate) -> Estimate:
        return self + other * -1.0

    def over(self, clean: Estimate) -> Estimate:
        """Return the ratio to a score that is the same in every draw; rows move it by the delta method."""
        scale = 1.0 / clean.mean
        moves = self * scale - clean * (self.mean * scale**2)
        return replace(moves, scores=self.scores * scale)

    @cached_property
    def mean(self) -> float:
        """Mean over the draws."""
        return _mean_and_sd(self.scores)[0]

    @cached_property
    def draw_sd(self) -> float:
        """Standard deviation from draw to draw; NaN if there is only one."""
        return _mean_and_sd(self.scores)[1]

    @cached_property
    def draws_se(self) -> float:
        """Standard error from the choice of draws, to be multiplied by Student's t with n_draws - 1 degrees of freedom.

        Draws stop when their spread looks small, so a spread that looks small by chance is believed too often.  The
        interval is therefore never narrower than what the spread of the first look, which decided nothing, makes it.
        For normal scores it then covers at least as often as it says, whatever the rule: the mean of n draws is
        independent of all the spreads that led to n, and with the first spread alone the interval is Stein's (1945,
        Annals of Mathematical Statistics 16, 243), which is exact.
        """
        n, spread = len(self.scores), self.draw_sd
        if self.n_first < n:
            first = _mean_and_sd(self.scores[: self.n_first])[1]
            spread = float(np.maximum(spread, first * quantile(self.n_first - 1) / quantile(n - 1)))
        return spread / float(np.sqrt(n))

    @cached_property
    def rows_se(self) -> float:
        """Standard error from the choice of rows, in a difference also of `unseen` ones; NaN if it is not known."""
        if self.rows is None:
            return float("nan")
        # A score by itself moves one way only, and has Wilson's interval.
        hidden = self.up**2 + self.down**2 if self.up * self.down != 0.0 else 0.0
        return float(np.sqrt(self.rows @ self.rows + hidden))

    @property
    def parts(self) -> list[tuple[float, float]]:
        """The two standard errors with their degrees of freedom; the draws' alone if the rows' is not known."""
        draws = (self.draws_se, len(self.scores) - 1)
        return [draws] if self.rows is None else [draws, (self.rows_se, self.rows_df)]

    @property
    def draws_half_width(self) -> float:
        """Half the width of the 95 % interval that the draws alone would give."""
        return float(quantile(len(self.scores) - 1) * self.draws_se)

    @property
    def rows_half_width(self) -> float:
        """Half the width of the 95 % interval that the rows alone would give."""
        return float(quantile(self.rows_df) * self.rows_se)

    def interval(self) -> tuple[float, float]:
        """Return the 95 % interval of the mean; NaN where a standard error is."""
        return interval(self.mean, self.parts)

    def p_value(self) -> float:
        """Return the two-sided p-value of a mean of 0; 1 where neither draw nor row differs from 0."""
        variance, degrees = _total(self.parts)
        if variance == 0.0:
            return 1.0 if self.mean == 0.0 else 0.0
        return float(2.0 * student_t.sf(abs(self.mean) / np.sqrt(variance), degrees))


@dataclass(frozen=True)
class LevelSummary:
    """Mean score of one level with its uncertainties; see `noise_sweep` for the formulas."""

    mean: float
    ci_low: float
    ci_high: float
    draw_sd: float
    draws_se: float
    rows_se: float


def summarize(estimate: Estimate, metric: Metric) -> LevelSummary:
    """Summarize one level; the interval stays within the range of `metric`."""
    proportion = isinstance(metric, RowMetric) and metric.proportion and estimate.rows is not None
    low, high = interval(estimate.mean, estimate.parts, estimate.rows_df + 1.0 if proportion else None)
    # Student's interval knows nothing of the range of the score.
    low, high = np.clip((low, high), *metric.bounds).tolist()
    return LevelSummary(estimate.mean, low, high, estimate.draw_sd, estimate.draws_se, estimate.rows_se)


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
    variance, degrees = _total(parts)
    if not np.isfinite(variance) or not np.isfinite(mean):
        return float("nan"), float("nan")
    z = quantile(degrees)
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


def influence(mean_losses: NDArray[np.float64], metric: RowMetric) -> tuple[NDArray[np.float64], float]:
    """Return how much each row moves the score, and the degrees of freedom that has.

    Parameters
    ----------
    mean_losses : ndarray of shape (n_rows,) or (n_rows, n_outputs)
        Losses of the rows, averaged over the draws.
    metric : RowMetric
        What the losses are of.

    Returns
    -------
    (ndarray of shape (n_rows,), float)
        In units of the score, such that the squares add up to its variance; NaN if there is one row only.  Degrees of
        freedom are those of the effective number of rows (Kish), at least 1.
    """
    moves = metric.sign * (mean_losses - metric.data.mean(mean_losses) * metric.leverage)
    if moves.ndim == 2:
        moves = moves.mean(axis=1)
    weights, used = metric.data.weights, metric.data.n_used
    n_effective = float(used)
    if weights is None:
        shares = moves / used
    else:
        total = float(weights.sum())
        n_effective = total**2 / float(weights @ weights)
        shares = moves * (weights / total)
    scale = np.sqrt(used / (used - 1)) if used > 1 else float("nan")
    return scale * shares, max(1.0, n_effective - 1.0)


def unseen(n_effective: float) -> float:
    r"""Return how far a share is moved, in the units of `influence`, by rows of a kind that the test may have missed.

    If no row is judged differently by two models, their difference has no variance among these rows, and Wald's
    interval has no width, although one model in a hundred rows may do worse.  As Agresti and Coull (1998, The American
    Statistician 52, 119) do for one proportion, differences are therefore given two rows more each way, with :math:`z^2
    / 2 \approx 2`: their variance has a term of :math:`2 (u^2 + v^2) / (n + 4)^2`, where `u` and `v` are how far a row
    may move them up and down, both 1 for two accuracies.  Intervals of differences of 0.1 to 20 % among 40 to 600 rows
    then hold the truth in 95 % of all tests or more (``tests/analog_eval/test_paired.py``).  One row each way (Bonett
    and Price 2012, Journal of Educational and Behavioral Statistics 37, 479) leaves 93 % there.  The centre stays the
    mean that is reported; that, and the use for averages over draws and for ratios, is ours.
    """
    return float(np.sqrt(2.0)) / (n_effective + 4.0)


def moved_share(moves: NDArray[np.float64], metric: RowMetric, n_effective: float) -> float:
    r"""Return how far, of all the way, noise moves a row that it moves.

    With :math:`d_i` the change of row i's loss, averaged over the draws, it is :math:`(1 + \sum d_i^2) / (1 + \sum
    |d_i|)`: the mean of the :math:`|d_i|`, each weighted by itself, counting one row more that is moved all the way.
    It is 1 where rows keep or change sides in all draws alike, and where none is moved; the one row more keeps it from
    being small where few are.  Rows of a rare kind that the test lacks may be moved further, and are then allowed for
    too little.  The definition is ours.
    """
    sizes = np.abs(moves)
    total, squares = n_effective * metric.data.mean(sizes), n_effective * metric.data.mean(sizes**2)
    # Of sampled rows the moves are estimates, which may be greater than 1.
    return min(1.0, float((1.0 + squares) / (1.0 + total)))


def above_chance(estimates: Sequence[Estimate], metric: Metric) -> list[Estimate]:
    """Return scores less that of the best constant guess, which rows move too if `metric` tells how.

    Of squared errors that guess is the mean of `y`.  A row moves its score by its own squared distance, and that the
    mean moves too does not count, because there the error is least (the delta method).  Ratios of two such differences
    then have the intervals that they have for R^2.  A share of labels is taken for known, as it is on these rows.
    """
    rows = np.zeros(1)
    if isinstance(metric, RowMetric) and metric.chance_losses is not None:
        rows, _ = influence(metric.chance_losses, metric)

    def chance(beside: Estimate) -> Estimate:
        return Estimate(np.full(beside.scores.shape, metric.chance), rows, beside.rows_df, beside.n_first)

    return [estimate - chance(estimate) for estimate in estimates]


def rows_covariance(estimates: Sequence[Estimate]) -> NDArray[np.float64]:
    """Return the covariance of several scores that comes from the choice of rows, NaN if the metric does not tell.

    One row, which says nothing of the others, makes it infinite.
    """
    rows = [estimate.rows for estimate in estimates if estimate.rows is not None]
    if len(rows) < len(estimates):
        return np.full((len(estimates), len(estimates)), np.nan)
    moves = np.array(rows)
    covariance = moves @ moves.T
    return np.where(np.isnan(covariance), np.inf, covariance)


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Return p-values adjusted for their number (Holm 1979, Scandinavian Journal of Statistics 6, 65).

    Calling every adjusted value below 5 % a finding makes one or more false findings in at most 5 % of all families,
    however the tests depend on each other.  NaN stay NaN and count for nothing.
    """
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(p.shape, np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(factors * p[order])) if len(order) else 0.0
    return adjusted


def quantile(degrees: float) -> float:
    """Return Student's two-sided 95 % quantile, NaN without degrees of freedom."""
    return float(student_t.ppf(0.5 + CONFIDENCE / 2, degrees)) if degrees > 0.0 else float("nan")


def _total(parts: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return the sum of the variances and Satterthwaite's degrees of freedom."""
    variances = np.array([se**2 for se, _ in parts])
    variance = float(variances.sum())
    squares = float(sum(v**2 / df for v, (_, df) in zip(variances, parts, strict=True) if df > 0.0))
    return variance, variance**2 / squares if squares > 0.0 else float("inf")


def _mean_and_sd(scores: NDArray[np.float64]) -> tuple[float, float]:
    """Return mean and sample standard deviation of the draws; NaN for the latter if there is only one."""
    sd = float(scores.std(ddof=1)) if len(scores) > 1 else float("nan")
    if np.ptp(scores) > 0.0 or not np.isfinite(scores).all():
        return float(scores.mean()), sd
    # The rounding of the mean would give equal scores a tiny spread, and a mean that is not their value.
    return float(scores[0]), 0.0 * sd
