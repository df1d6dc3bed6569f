"""The result of a comparison: tables first, a picture second."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from analog_eval.evaluation.rendering import Cells, Rendered, cells, number
from analog_eval.evaluation.report import SweepReport
from analog_eval.plots import plot_differences, plot_sweeps

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Comparison"]


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Rendered):
    """What `compare` and `compare_drift` return.

    Parameters
    ----------
    table : DataFrame, index ``a``, ``b``, ``level`` (``seconds`` over time)
        ``difference``: `a` less `b`; ``ci_low``, ``ci_high``: its 95 % interval; ``draws_se``, ``rows_se``: the two
        standard errors that the interval is made of; ``p_value``: of no difference; ``p_holm``: adjusted for all rows
        of the table; ``verdict``: the name of the better model, empty where ``p_holm`` is 5 % or more.  Where
        ``rows_se`` is NaN, verdicts are on these very test rows alone.
    average : DataFrame, index ``a``, ``b``
        The same for the mean over the noisy levels, a family of its own.
    reports : dict of str to SweepReport
        The sweep of each model.
    quantity : str
        What is compared: ``score``, ``normalized`` or ``chance_corrected``.
    covers : str
        What the intervals cover.
    notes : tuple of str
        What a reader of the numbers should know.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from analog_eval import compare
    >>> X, y = load_iris(return_X_y=True)
    >>> models = {"all": LogisticRegression(max_iter=1000).fit(X, y), "few": LogisticRegression().fit(X[::9], y[::9])}
    >>> comparison = compare(models, X, y, levels=(0.1, 0.5), random_state=0)
    >>> comparison.table.index.tolist()
    [('all', 'few', 0.1), ('all', 'few', 0.5)]
    >>> sorted(comparison.reports)
    ['all', 'few']
    """

    table: pd.DataFrame
    average: pd.DataFrame
    reports: dict[str, SweepReport]
    quantity: str
    covers: str
    notes: tuple[str, ...]

    @property
    def metric(self) -> str:
        """Name of the score."""
        return self._any.metric

    def plot(self, ax: Axes | None = None, *, kind: str = "differences") -> Axes:
        """Draw the comparison.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; default: a new figure.
        kind : {"differences", "scores"}, default="differences"
            ``differences``: paired differences with their intervals, filled where there is a verdict; ``scores``: the
            sweeps of all models, whose intervals say less, because they do not know of the pairing.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ImportError
            If matplotlib is not installed; the message says how to get it.
        ValueError
            If `kind` is unknown.
        """
        label = self._any.level_label
        if kind == "differences":
            return plot_differences(self.table, xlabel=label, ylabel=f"difference of {self._what}", ax=ax)
        if kind == "scores":
            return plot_sweeps(self.reports, ax=ax)
        raise ValueError(f"kind={kind!r} is not one of 'differences', 'scores'")

    @property
    def _any(self) -> SweepReport:
        return next(iter(self.reports.values()))

    @property
    def _what(self) -> str:
        return self.metric if self.quantity == "score" else f"{self.quantity.replace('_', '-')} {self.metric}"

    def _cells(self, digits: int = 4) -> Cells:
        """Return the rows of the averages behind those of the levels."""
        average = [[*row[:2], "average", *row[2:]] for row in cells(self.average, digits)[1:]]
        return cells(self.table, digits, self._any.level_label) + average

    def _title(self) -> str:
        names = [name for name in self._any.settings if name != "model"]
        return ", ".join(f"{name} {self._setting(name)}" for name in names)

    def _setting(self, name: str) -> str:
        values = {model: report.settings[name] for model, report in self.reports.items()}
        if len(set(values.values())) == 1:
            return self._any.settings[name]
        return " | ".join(f"{model}: {value}" for model, value in values.items())

    def _summary(self) -> str:
        clean = ", ".join(f"{name} {number(report.clean, 4)}" for name, report in self.reports.items())
        return f"differences of {self._what}, a - b; clean {self.metric}: {clean}; level = {self._any.level_label}"

    def _remarks(self) -> list[str]:
        families = (
            f"verdicts: below 5 % after Holm's adjustment for {len(self.table)} difference{'s' * (len(self.table) > 1)}"
        )
        if len(self.average) > 1:
            families += f", of averages for {len(self.average)}"
        notes = [f"note: {note}" for note in self.notes]
        return [
            f"{self.covers}; paired, each for itself",
            families,
            *notes,
            *(f"note on {name}: {note}" for name, report in self.reports.items() for note in report.notes),
        ]
