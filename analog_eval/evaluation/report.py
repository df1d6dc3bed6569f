"""The result of a sweep: a table first, a picture second."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analog_eval.evaluation.crossing import Crossing, crossing, half_widths
from analog_eval.evaluation.rendering import Cells, Rendered, cells, number
from analog_eval.plots import plot_draws, plot_sweeps, plot_uncertainty

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["SweepReport"]


@dataclass(frozen=True, eq=False, repr=False)
class SweepReport(Rendered):
    """What `noise_sweep` returns.

    Parameters
    ----------
    table : DataFrame, index ``level`` (ascending)
        ``mean``: mean score over the draws; ``ci_low``, ``ci_high``: 95 % interval of it; ``draw_sd``: standard
        deviation of the score from draw to draw, that is from device to device; ``normalized``: mean / clean score;
        ``chance_corrected``: (mean - chance) / (clean - chance); ``draws_se``, ``rows_se``: the two standard errors
        that the interval is made of; ``n_draws``.
    clean : float
        Score of the model without noise on the same rows.
    chance : float
        Score of the best constant guess on the same rows; NaN where it is not known.
    draws : DataFrame of n_levels * n_draws rows
        Columns ``level``, ``draw``, ``score``.  The same draw number means the same random numbers at every level.
    rows_covariance : ndarray of shape (n_levels + 1, n_levels + 1)
        Covariance of the clean score and of the mean scores, in this order, that comes from the choice of test rows;
        NaN for a metric of which it is not known, infinite for one row.
    metric : str
        Name of the score.
    noisy : ndarray of bool, shape (n_levels,)
        Which levels have any noise.
    settings : dict of str to str
        What was swept: model, noise, targets, rows.
    level_label : str
        What a level is, with its unit.
    clean_level : float
        The level that means no noise; NaN where none does, as where a part of the noise is fixed.
    covers : str
        What the intervals cover.
    notes : tuple of str
        What a reader of the numbers should know.
    falling : bool, default=False
        Whether noise grows as the level falls, as in dB and bits.
    chance_covariance : ndarray of shape (n_levels + 1, n_levels + 1), optional
        `rows_covariance` of the same scores less `chance`, which moves with the rows if it is the variance of `y`, and
        is taken for known if it is a share of labels; None: `rows_covariance`, as for a chance that is known.
    unseen : float, default=0.0
        Variance that rows which the test may have missed add to each of two accuracies in their difference
        (`analog_eval.evaluation.statistics.unseen`); 0 for other metrics.
    moved : ndarray of shape (n_levels,), optional
        How far noise moves a row that it moves, at most 1 (`analog_eval.evaluation.statistics.moved_share`); None: 1.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from analog_eval import noise_sweep
    >>> X, y = load_iris(return_X_y=True)
    >>> report = noise_sweep(LogisticRegression(max_iter=1000).fit(X, y), X, y, levels=(0.1, 0.5), random_state=0)
    >>> list(report.table.columns[:4])
    ['mean', 'ci_low', 'ci_high', 'draw_sd']
    >>> report.draws.shape
    (50, 3)
    """

    table: pd.DataFrame
    clean: float
    chance: float
    draws: pd.DataFrame
    rows_covariance: np.ndarray
    metric: str
    noisy: np.ndarray
    settings: dict[str, str]
    level_label: str
    clean_level: float
    covers: str
    notes: tuple[str, ...]
    falling: bool = False
    chance_covariance: np.ndarray | None = None
    unseen: float = 0.0
    moved: np.ndarray | None = None

    @property
    def average_normalized(self) -> float:
        """Mean of ``normalized`` over the levels that have noise; NaN if there are none.

        The benchmark of arXiv 2011.11840 calls it average normalized inference accuracy.  Read it with `clean`: a model
        that guesses one class keeps all of its useless accuracy under noise and scores 1.
        """
        values = self.table["normalized"].to_numpy()[self.noisy]
        return float(values.mean()) if values.size else float("nan")

    def normalized_interval(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the normalized score at each level and half the width of its 95 % interval.

        Returns
        -------
        share : ndarray of shape (n_levels,)
            ``chance_corrected``, or ``normalized`` where the chance score is not known.
        half_width : ndarray of shape (n_levels,)
            By the delta method; see `DriftReport.iso_accuracy`.
        """
        share = self.table[self._judged].to_numpy()
        unit, covariance = abs(self.clean), self.rows_covariance
        if self._judged == "chance_corrected":
            unit = abs(self.clean - self.chance)
            covariance = covariance if self.chance_covariance is None else self.chance_covariance
        with np.errstate(divide="ignore", invalid="ignore"):
            return share, half_widths(self.table, covariance, share, self.unseen) / unit

    @property
    def _judged(self) -> str:
        """Name of the column of the table that tells how good the model is beside the clean one."""
        return "normalized" if np.isnan(self.chance) else "chance_corrected"

    def _border(self) -> float:
        """Return down to which score the model counts as as good as the clean one; NaN if nobody has said."""
        return float("nan")

    def plot(self, ax: Axes | None = None, *, kind: str = "score", label: str | None = None) -> Axes:
        """Draw the sweep, over a logarithmic axis if levels are times, on which 0 has its place at the left end.

        Drawn on the axes of another sweep, it gets the next colour.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; default: a new figure.
        kind : {"score", "draws", "uncertainty"}, default="score"
            ``score``: mean and interval against the level, and chance unless curves would be too flat beside it;
            ``draws``: a line a device; ``uncertainty``: what the choice of devices and what the choice of test rows
            adds to the interval, apart.  A `DriftReport` also draws the score that is as good as digital.
        label : str, optional
            Name of the curve; default: the model's.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ImportError
            If matplotlib is not installed; the message says how to get it.
        ValueError
            If `kind` is unknown.

        See Also
        --------
        analog_eval.plot_sweeps : Several sweeps in one picture.
        """
        name = label or self.settings["model"]
        names: dict[str, Any] = {"xlabel": self.level_label, "ylabel": self.metric, "ax": ax}
        match kind:
            case "score":
                return plot_sweeps({name: self}, border={name: self._border()}, **names)
            case "draws":
                return plot_draws(self.draws, label=name, clean=self.clean, **names)
            case "uncertainty":
                return plot_uncertainty(self.table, label=label, **names)
        raise ValueError(f"kind={kind!r} is not one of 'score', 'draws', 'uncertainty'")

    def level_at(self, target: float = 0.9) -> Crossing:
        """Return the level at which the normalized score first crosses a target, such as 90 % of the clean score.

        Parameters
        ----------
        target : float, default=0.9
            Share of the clean score, > 0; above 1 for scores that noise increases, such as ``"mse"``.

        Returns
        -------
        Crossing
            ``level`` with its 95 % interval, linear between the levels of the sweep and the clean model before them.

        Raises
        ------
        ValueError
            If `target` is not a positive number, or 1.

        Notes
        -----
        The interval holds the levels at which the sweep does not say on which side of the target the score is: those
        between the crossings of the two limits of mean - target * clean.  It is for the level at which the scores over
        all devices, and over all rows of the population that the test rows were drawn from, are in that ratio; its
        standard error takes into account that both scores come from the same rows.  For accuracies it counts two more
        rows that are moved each way, as far as noise moves a row here: averaged over devices most rows near the
        boundary change sides in a share of the draws only (`analog_eval.evaluation.statistics.moved_share`).  For a
        metric whose rows' part is not known it covers the draws alone, on these very rows.

        That assumes that rows which the test lacks are moved no further than those that it has, on average and with one
        row more that is moved all the way.  Where noise moves most rows a little, but a rare kind all the way, tests
        without any of that kind give too narrow an interval: with one such row in a hundred and 200 test rows, 86 % of
        the intervals hold the true level.  With few rows that lose anything, so with few rows or a target near 1, it is
        wider than it has to be.  Both are measured in ``benchmarks/analog_coverage.py``.

        It does not cover the error of the straight lines, so use a grid that is fine near the crossing.  Infinite
        (minus infinity in dB or bits, where noise grows downwards): not reached on this grid.  NaN: the clean score is
        not positive, a mean is not finite, or the crossing lies before the first level and no level is clean, as with a
        part of the noise that is fixed, or a clean one is infinitely far away.  The definition is ours.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.linear_model import LogisticRegression
        >>> from analog_eval import noise_sweep
        >>> X, y = load_iris(return_X_y=True)
        >>> model = LogisticRegression(max_iter=1000).fit(X, y)
        >>> report = noise_sweep(model, X, y, levels=(0.1, 0.3, 0.5, 0.7), random_state=0)
        >>> crossing = report.level_at(0.9)
        >>> 0.1 < crossing.ci_low < crossing.level < crossing.ci_high < 0.7
        True
        """
        if not (isinstance(target, Real) and 0.0 < target < np.inf and target != 1.0):
            raise ValueError(f"target={target!r} must be a positive number other than 1")
        if not self.clean > 0.0:
            return Crossing(*[float("nan")] * 3)
        arguments = (self.table, self.clean, self.clean_level, self.rows_covariance, float(target))
        unseen = self.unseen * (1.0 if self.moved is None else self.moved**2)
        return crossing(*arguments, unseen=unseen, falling=self.falling)

    def _cells(self, digits: int = 4) -> Cells:
        return cells(self.table, digits, self.level_label)

    def _title(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.settings.items())

    def _summary(self) -> str:
        return (
            f"{self.metric}: clean {self.clean:.4f}, chance {number(self.chance, 4)}, "
            f"average normalized {number(self.average_normalized, 4)}; level = {self.level_label}"
        )

    def _remarks(self) -> list[str]:
        return [self.covers, *(f"note: {note}" for note in self.notes)]
