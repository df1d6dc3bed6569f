"""The Ranking that users see."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from imputation_eval import plots
from imputation_eval.ranking.pictures import columns_of, local_shares
from imputation_eval.ranking.report import explain, format_table
from imputation_eval.scoring import Example


@dataclass(frozen=True, eq=False, repr=False)
class Ranking:
    """Imputers in order, with the certainty of that order.

    Attributes
    ----------
    table : DataFrame
        One row an imputer (the index), best first, references below. Columns: score (mean over repeats; with several
        metrics the mean rank over them), ci_low and ci_high (95 % interval of the score), rank (1 is best), rank_low
        and rank_high (95 % interval of the rank), p_best (chance of being the best of the imputers that never failed; 0
        for those that did), tied_best (whether it is the leader or not significantly worse; with several metrics: not
        by every one), failures (repeats that failed), seconds (mean of one imputation), reference (True for rows that
        are shown for comparison: not ranked, never the winner).
    per_metric : DataFrame
        The same for each metric; index (metric, imputer).
    pairwise : DataFrame
        One row a pair of imputers that never failed: better, worse, difference, ci_low, ci_high, p_value, p_holm. With
        several metrics the difference is that of mean ranks, and p_value the largest of the metrics'.
    against_references : DataFrame
        The same for the winner against hot-deck and mean imputation, which use no relations between columns.
    rank_probabilities : DataFrame
        Chance of each rank (the columns) of the imputers that never failed (the index).
    agreement : DataFrame
        Rank correlation (Spearman) between metrics, over the imputers that never failed: 1 where two metrics put them
        in the same order, -1 where in the opposite one.
    per_column : DataFrame
        Where each imputer errs: one row a column of the data, one column an imputer. Distance between imputed and true
        values of the hidden cells, averaged over draws and repeats, 0 is best: 1-Wasserstein in the scaled unit for
        numbers and ordered categories, total variation (a share) for nominal ones. Marginal only: it ignores relations
        between columns, so hot-deck does well here, and it decides no rank. Without a truth: the first metric's score
        of each column.
    raw : DataFrame
        One row a scored draw: imputer, repeat, draw, metric, score, seconds, failure.
    settings : mapping
        What was asked for, and what it came to: hidden_rate is the share of the observed cells that a mask hid,
        overlap_ratio the n_test / n_train of the tests; without a truth, covariates are the columns that each scored
        column was restored from, and not_scored says of the other columns why.
    example : Example, optional
        Filled rows of the first repeat, which the pictures of columns and rows show.
    """

    table: pd.DataFrame
    per_metric: pd.DataFrame
    pairwise: pd.DataFrame
    against_references: pd.DataFrame
    rank_probabilities: pd.DataFrame
    agreement: pd.DataFrame
    per_column: pd.DataFrame
    raw: pd.DataFrame
    settings: Mapping[str, Any]
    example: Example | None = None

    @property
    def winner(self) -> str | None:
        """The imputer with rank 1; None if every imputer failed in some repeat."""
        first = self.table.index[0]
        return first if self.table.loc[first, "failures"] == 0 else None

    @property
    def tied_best(self) -> list[str]:
        """The winner and the imputers that are not significantly worse."""
        return list(self.table.index[self.table["tied_best"]])

    def explain(self) -> str:
        """Say in plain words who won, how surely, and under which assumption."""
        return explain(self)

    def to_markdown(self) -> str:
        """Return the table as GitHub-flavoured Markdown."""
        cells = format_table(self.table).reset_index()
        cells = cells.map(lambda cell: str(cell).replace("|", "\\|").replace("\n", " "))
        lines = [list(cells.columns), ["---"] + ["---:"] * (cells.shape[1] - 1), *cells.to_numpy().tolist()]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)

    def plot(self, kind: str = "forest", *, imputer: str | None = None, ax: Any = None) -> Any:
        """Draw the ranking.

        Parameters
        ----------
        kind : {"forest", "seconds", "ranks", "pairwise", "density", "local"}
            ``"forest"``: scores with intervals, sorted, with the truth as a line; ``"seconds"``: score against the time
            of one imputation; ``"ranks"``: the chance of each rank; ``"pairwise"``: who is significantly better than
            whom; ``"density"``: imputed values of each column beside the true ones (without a truth: the observed
            ones), the column that is farthest off first; ``"local"``: rows in the plane of their main components,
            coloured by whether their neighbours are true rows or imputed ones. The last two show the first repeat.
        imputer : str, optional
            Whose values ``"density"`` and ``"local"`` show; the winner's by default.
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default. ``"density"`` always makes its own.

        Returns
        -------
        matplotlib Axes, or for ``"density"`` Figure

        Raises
        ------
        ValueError
            If `kind` is unknown, `imputer` has nothing to show, ``"local"`` is asked for without a truth, or
            ``"seconds"`` of tables that were imputed elsewhere.
        ImportError
            If matplotlib is missing.
        """
        kinds = {
            "forest": lambda: plots.forest_plot(self.table, label=self._score_label(), ax=ax),
            "seconds": lambda: self._plot_seconds(ax),
            "ranks": lambda: plots.rank_plot(self.rank_probabilities, ax=ax),
            "pairwise": lambda: plots.pairwise_plot(self.pairwise, list(self.rank_probabilities.index), ax=ax),
            "density": lambda: self._plot_columns(imputer),
            "local": lambda: self._plot_rows(imputer, ax),
        }
        if kind not in kinds:
            raise ValueError(f"kind={kind!r} is unknown; available: {list(kinds)}.")
        return kinds[kind]()

    def _plot_seconds(self, ax: Any) -> Any:
        if self.table["seconds"].isna().all():
            raise ValueError("kind='seconds' has nothing to show: nobody timed tables that were imputed elsewhere.")
        return plots.seconds_plot(self.table, label=self._score_label(), ax=ax)

    def _plot_columns(self, imputer: str | None) -> Any:
        example, name = self._shown(imputer)
        there = "true values of the same cells" if example.has_truth else "observed values"
        columns = columns_of(example, name, self.per_column[name])
        return plots.density_plot(columns, observed=there, imputed=f"imputed by {name}")

    def _plot_rows(self, imputer: str | None, ax: Any) -> Any:
        example, name = self._shown(imputer)
        if not example.has_truth:
            raise ValueError("kind='local' compares with true rows, and without a truth there are none.")
        points, local = local_shares(example, name)
        return plots.local_plot(points, local, title=f"true rows and rows imputed by {name}", ax=ax)

    def _shown(self, imputer: str | None) -> tuple[Example, str]:
        shown = {} if self.example is None else {n: None for n in self.example.candidates if n in self.per_column}
        name = self.winner if imputer is None else imputer
        if self.example is None or name not in shown:
            raise ValueError(f"imputer={name!r} has no filled rows to show; available: {list(shown)}.")
        return self.example, name

    def _score_label(self) -> str:
        names = self.settings["metrics"]
        # The direction is a property of each metric; of a mean rank it is always "lower".
        direction = "lower" if len(names) > 1 or self.settings["lower_is_better"][names[0]] else "higher"
        name = f"mean rank over {', '.join(names)}" if len(names) > 1 else names[0]
        return f"{name} ({direction} is better)"

    def __repr__(self) -> str:
        return f"{format_table(self.table).to_string()}\n\n{self.explain()}"

    def _repr_html_(self) -> str:
        paragraphs = "".join(f"<p>{html.escape(line)}</p>" for line in self.explain().splitlines())
        return f"<div>{format_table(self.table).to_html()}{paragraphs}</div>"
