"""The result of a sweep: a table first, a picture second."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analog_eval.plots import plot_sweeps

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["SweepReport"]


@dataclass(frozen=True, eq=False, repr=False)
class SweepReport:
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
    metric : str
        Name of the score.
    noisy : ndarray of bool, shape (n_levels,)
        Which levels have any noise.
    settings : dict of str to str
        What was swept: model, noise, targets, rows.
    level_label : str
        What a level is, with its unit.
    covers : str
        What the intervals cover.
    notes : tuple of str
        What a reader of the numbers should know.

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
    metric: str
    noisy: np.ndarray
    settings: dict[str, str]
    level_label: str
    covers: str
    notes: tuple[str, ...]

    @property
    def average_normalized(self) -> float:
        """Mean of ``normalized`` over the levels that have noise; NaN if there are none.

        The benchmark of arXiv 2011.11840 calls it average normalized inference accuracy.  Read it with `clean`: a model
        that guesses one class keeps all of its useless accuracy under noise and scores 1.
        """
        values = self.table["normalized"].to_numpy()[self.noisy]
        return float(values.mean()) if values.size else float("nan")

    def plot(self, ax: Axes | None = None, *, label: str | None = None) -> Axes:
        """Draw mean score and interval against the level.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; default: a new figure.
        label : str, optional
            Name of the curve; default: the model's.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ImportError
            If matplotlib is not installed; the message says how to get it.

        See Also
        --------
        analog_eval.plot_sweeps : Several sweeps in one picture.
        """
        name = label or self.settings["model"]
        return plot_sweeps(
            {name: self.table},
            clean={name: self.clean},
            chance=self.chance,
            xlabel=self.level_label,
            ylabel=self.metric,
            ax=ax,
        )

    def to_markdown(self, *, digits: int = 4) -> str:
        """Return `table` as a Markdown table.

        Parameters
        ----------
        digits : int, default=4
            Decimals.

        Returns
        -------
        str
        """
        header, *rows = self._cells(digits)
        lines = [header, ["---:"] * len(header), *rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)

    def __repr__(self) -> str:
        rows = self._cells(4)
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        table = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
        return "\n".join([f"SweepReport: {self._title()}", self._summary(), *table, *self._remarks()])

    def _repr_html_(self) -> str:
        header, *rows = self._cells(4)
        head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
        body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
        remarks = "".join(f"<li>{escape(line)}</li>" for line in self._remarks())
        return (
            f"<div><p><b>{escape(self._title())}</b><br>{escape(self._summary())}</p>"
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><ul>{remarks}</ul></div>"
        )

    def _title(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.settings.items())

    def _summary(self) -> str:
        return (
            f"{self.metric}: clean {self.clean:.4f}, chance {_text(self.chance, 4)}, "
            f"average normalized {_text(self.average_normalized, 4)}; level = {self.level_label}"
        )

    def _remarks(self) -> list[str]:
        return [self.covers, *(f"note: {note}" for note in self.notes)]

    def _cells(self, digits: int) -> list[list[str]]:
        rows = [["level", *self.table.columns]]
        for level, values in zip(self.table.index, self.table.to_numpy(dtype=float), strict=True):
            cells = [_text(value, digits) for value in values[:-1]]
            rows.append([f"{level:g}", *cells, f"{values[-1]:.0f}"])
        return rows


def _text(value: float, digits: int) -> str:
    if np.isnan(value):
        return "nan"
    # Squared errors can be of any size; fixed decimals would print them as 0 or as a wall of digits.
    return f"{value:.{digits}f}" if value == 0.0 or 1e-3 <= abs(value) < 1e5 else f"{value:.{digits - 1}e}"
