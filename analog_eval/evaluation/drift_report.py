"""The result of a sweep over time: what holds, until when, and how much changes on the way."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import NamedTuple

import numpy as np
import pandas as pd

from analog_eval.devices import Time, in_words, to_seconds
from analog_eval.evaluation.report import SweepReport
from analog_eval.evaluation.statistics import interval

__all__ = ["DriftReport", "Variation"]

MONTH = to_seconds("1mo")
# Share of the digital score that counts as as good.
TARGET = 0.99


class Variation(NamedTuple):
    """How much the mean score changes from one time to another, with its 95 % interval; see `DriftReport.variation`.

    Examples
    --------
    >>> change, low, high = Variation(change=-0.02, ci_low=-0.03, ci_high=-0.01)
    >>> low < change < high
    True
    """

    change: float
    ci_low: float
    ci_high: float


@dataclass(frozen=True, eq=False, repr=False)
class DriftReport(SweepReport):
    """What `drift_sweep` returns: a `SweepReport` over seconds since programming.

    Its ``table`` has the index ``seconds``, its ``draws`` the columns ``seconds``, ``draw``, ``score``; the same draw
    number means the same programming at every time.  No time is clean, so `level_at` tells a time only if the score
    crosses the target between two times of the sweep, along a straight line in seconds.

    Parameters
    ----------
    analog_layers : tuple of str, default=()
        Kernels whose products with inputs went through the periphery; empty without one.
    digital_layers : tuple of str, default=()
        All other kernels, which were programmed, but multiplied exactly, and layers such as normalizations that have
        no kernel; empty without a periphery.  Additions of biases, activations and pooling are digital everywhere.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from analog_eval import drift_sweep
    >>> X, y = load_iris(return_X_y=True)
    >>> report = drift_sweep(LogisticRegression(max_iter=1000).fit(X, y), X, y, random_state=0)
    >>> report.table.index.tolist()
    [25.0, 3600.0, 86400.0, 2592000.0, 31536000.0]
    >>> report.first_failing() > 25.0
    True
    """

    analog_layers: tuple[str, ...] = ()
    digital_layers: tuple[str, ...] = ()

    def iso_accuracy(self, target: float = TARGET) -> pd.DataFrame:
        """Tell at which times the model is as good as the digital one, as far as the sweep can say.

        Parameters
        ----------
        target : float, default=0.99
            Share of the clean score, from chance on, that still counts as as good: > 0, at most 1.

        Returns
        -------
        DataFrame, index ``seconds``
            ``time``: in words; ``normalized``: what is judged, the ``chance_corrected`` of `table`, (mean - chance) /
            (clean - chance), or where the chance score is not known its ``normalized``, mean / clean; ``ci_low``,
            ``ci_high``: its 95 % interval; ``verdict``: ``"holds"`` if the whole interval is at `target` or above,
            ``"fails"`` if it is below, ``"open"`` if it is on both sides, ``""`` where there is no interval.

        Raises
        ------
        ValueError
            If `target` is out of range.

        Notes
        -----
        A normalized accuracy of 99 % as the border is that of Rasch et al. 2023, arXiv 2302.08469.  Chance is here the
        best constant guess on these rows.  The interval is by the delta method, and takes into account that clean and
        analog scores come from the same rows, and that so does the chance score of squared errors, the variance of `y`;
        a share of labels is taken for known.  It holds for one time at a time.  For accuracies it is never narrower
        than two more rows that change sides each way make it (`analog_eval.evaluation.statistics.unseen`): where
        none is seen to do so and the clean score is 1 above chance, 99 % cannot be said to hold with fewer than 388
        rows, and it takes more the smaller that distance is.  Fewer can do where noise sets more rows right than wrong.
        For a metric whose rows' part is not known it covers the draws alone.
        """
        if not (isinstance(target, Real) and 0.0 < target <= 1.0):
            raise ValueError(f"target={target!r} must be a number > 0, at most 1")
        share, half = self.normalized_interval()
        low, high = share - half, share + half
        verdict = np.select([low >= target, high < target, np.isfinite(half)], ["holds", "fails", "open"], "")
        columns = {"time": self._words(), "normalized": share, "ci_low": low, "ci_high": high, "verdict": verdict}
        return pd.DataFrame(columns, index=self.table.index)

    def first_failing(self, target: float = TARGET) -> float:
        """Return the first time of the sweep at which `iso_accuracy` says "fails", in seconds; infinite if none does.

        Infinite does not mean that the model holds: all times may be "open".  NaN if there is no verdict at any time.

        Parameters
        ----------
        target : float, default=0.99
            See `iso_accuracy`.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If `target` is out of range.
        """
        verdicts = self.iso_accuracy(target)["verdict"]
        failing = verdicts.index[verdicts == "fails"]
        if len(failing):
            return float(failing[0])
        return float("inf") if verdicts.any() else float("nan")

    def variation(self, start: Time | None = None, end: Time = "1mo") -> Variation:
        """Return how much the mean score changes between two times of the sweep, over a month by default.

        Parameters
        ----------
        start : float or str, optional
            Time of the sweep; default: its first.
        end : float or str, default="1mo"
            Time of the sweep.

        Returns
        -------
        Variation
            ``change``, in units of the score, and its 95 % interval; draws and rows are the same at both times.

        Raises
        ------
        TypeError, ValueError
            If `start` or `end` is not one of the sweep's times.

        Notes
        -----
        The definition is ours.
        """
        first = 0 if start is None else self._position(start, "start")
        last = self._position(end, "end")
        scores = self.draws["score"].to_numpy().reshape(len(self.table), -1)
        changes = scores[last] - scores[first]
        rows = self.rows_covariance[1:, 1:]
        n = len(changes)
        parts = [(float(changes.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan"), n - 1.0)]
        if not np.isnan(rows).any():
            # NaN where the covariance is infinite.
            with np.errstate(invalid="ignore"):
                variance = rows[first, first] + rows[last, last] - 2.0 * rows[first, last]
                parts.append((float(np.sqrt(np.maximum(variance, 0.0) + 2.0 * self.unseen)), float("inf")))
        mean = float(changes.mean())
        return Variation(mean, *interval(mean, parts))

    def _words(self) -> list[str]:
        return [in_words(seconds) for seconds in self.table.index.tolist()]

    def _position(self, time: Time, name: str) -> int:
        seconds = to_seconds(time, name)
        if seconds not in self.table.index:
            raise ValueError(f"{name}={time!r} is not one of the sweep's times: {', '.join(self._words())}")
        return self.table.index.tolist().index(seconds)

    def _border(self) -> float:
        if self.table[self._judged].isna().all():
            return float("nan")
        start = self.chance if self._judged == "chance_corrected" else 0.0
        return start + TARGET * (self.clean - start)

    def _remarks(self) -> list[str]:
        verdicts = self.iso_accuracy()
        times = {name: part["time"].tolist() for name, part in verdicts.groupby("verdict", sort=False) if name}
        told = "; ".join(f"{name} at {', '.join(times[name])}" for name in ("holds", "open", "fails") if name in times)
        lines = [f"as good as digital ({self._judged} >= 99 %): {told or 'not known'}"]
        if MONTH in self.table.index and len(self.table) > 1 and self.table.index[0] < MONTH:
            change, low, high = self.variation()
            lines.append(f"from {self._words()[0]} to 1mo: {change:+.4f} [{low:+.4f}, {high:+.4f}]")
        if self.analog_layers:
            digital = ", ".join(self.digital_layers) or "no layer"
            lines.append(f"through the periphery: {', '.join(self.analog_layers)}; digital: {digital}")
        return [*lines, *super()._remarks()]
