"""Imputers without a truth: each column's observed cells are hidden and restored from its imputed ones."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from imputation_eval._validation import derive_generator, derive_seed
from imputation_eval.metrics import Metric
from imputation_eval.scoring.filling import GivenTables, count_draws, fill
from imputation_eval.scoring.trial import (
    HALF,
    MIN_ROWS,
    Example,
    Halves,
    Result,
    Trial,
    finite_or_failure,
    raw_rows,
)
from imputation_eval.truthless import (
    ENERGY_ISCORE,
    ColumnTask,
    Forecast,
    failure_reason,
    forecast_cells,
    forest_forecast,
    imputer_forecast,
    weighted_mean,
)

_Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ForecastTrial(Trial):
    """Each column's observed cells are hidden and restored from the rows where it was imputed.

    A repeat scores a random half of the test rows and uses a random half of the training rows of each column, the same
    for every imputer; see :func:`imputation_eval.energy_iscore` for the score itself.

    Attributes
    ----------
    tasks : tuple of ColumnTask
        The columns that are scored, with all their rows.
    skipped : dict of column label to str
        Why the others are not.
    """

    tasks: tuple[ColumnTask, ...]
    skipped: dict[Hashable, str]
    has_truth: ClassVar[bool] = False

    def prepare(self, repeat: int) -> list[ColumnTask]:
        """Choose half of the rows of each column."""
        order = derive_generator(self.entropy, "rows", repeat).random(len(self.table))
        halves = [
            replace(task, test=self._half(task.test, order), train=self._half(task.train, order)) for task in self.tasks
        ]
        if any(metric.compares == "samples" for metric in self.metrics):
            few = {task.name: len(task.test) for task in halves if len(task.test) < MIN_ROWS}
            if few:
                raise ValueError(
                    f"metrics that compare samples need {2 * MIN_ROWS} observed cells in each column with holes; half "
                    f"of them are (column: cells) {few}. 'energy_iscore' needs fewer."
                )
        return halves

    def score(self, setup: list[ColumnTask], repeat: int, name: str, imputer: Any) -> Result:
        """Fill the whole table, then score how each column's observed cells are restored from it."""
        rows: list[dict[str, Any]] = []
        per_column: list[_Array] = []
        example = None
        given = isinstance(imputer, GivenTables)
        for draw in range(count_draws(imputer, 1)):
            seed = derive_seed(self.entropy, "imputer", repeat, draw, name)
            at = "the table"
            try:
                filled, seconds = fill(imputer, self.table, seed, draw, self.encoder.categorical)
                forecast = (
                    forest_forecast(self.encoder, derive_seed(self.entropy, "forest", repeat))
                    if given
                    else imputer_forecast(imputer, self.encoder, self.n_draws, seed)
                )
                scores = np.empty((len(self.metrics), len(setup)))
                for k, task in enumerate(setup):
                    at = f"column {task.name!r} restored from its imputed cells"
                    scores[:, k] = self._score_column(filled, task, forecast, repeat)
            except Exception as error:  # whatever goes wrong inside an imputer is a result, and must not end the run
                reason = failure_reason(error) if given else f"{failure_reason(error)} (in {at})"
                failed = [(metric.name, np.nan, reason) for metric in self.metrics]
                return Result(rows + raw_rows(name, repeat, draw, np.nan, failed))
            totals = [finite_or_failure(m, weighted_mean(s, setup)) for m, s in zip(self.metrics, scores, strict=True)]
            rows += raw_rows(name, repeat, draw, seconds, totals)
            per_column.append(self._by_column(setup, scores[0]))
            if example is None:
                example = self.encoder.transform(filled.iloc[self._example_rows()])
        return Result(rows, np.mean(per_column, axis=0), example)

    def overlap_ratio(self) -> float:
        """Return scored rows over the other ones: 1 where halves are scored, less where `max_rows` limits them."""
        counts = [len(rows) for task in self.tasks for rows in (task.test, task.train)]
        return max(self._n_half(n) / (n - self._n_half(n)) for n in counts)

    def example(self, setup: list[ColumnTask], candidates: dict[str, _Array]) -> Example:
        """Return the observed cells beside rows as they were filled."""
        rows = self._example_rows()
        table = self.table.iloc[rows]
        return Example(self.encoder, table.isna().to_numpy(), self.encoder.transform(table), self.has_truth, candidates)

    def _example_rows(self) -> NDArray[np.intp]:
        return derive_generator(self.entropy, "example").permutation(len(self.table))[: self.max_rows]

    def _half(self, rows: NDArray[np.intp], order: _Array) -> NDArray[np.intp]:
        return rows[np.argsort(order[rows], kind="stable")[: self._n_half(len(rows))]]

    def _n_half(self, n: int) -> int:
        return min(int(HALF * n), self.max_rows // 2)

    def _score_column(self, filled: Any, task: ColumnTask, forecast: Forecast, repeat: int) -> list[float]:
        truth, draws = forecast_cells(filled, self.encoder, task, forecast)
        covariates = [self.encoder.transform_column(filled[name].iloc[task.test]) for name in task.covariates]
        seen = np.hstack([np.empty((len(truth), 0)), *covariates])
        return [
            self._score_draws(metric, truth, draws, seen, derive_generator(self.entropy, "metric", repeat, metric.name))
            for metric in self.metrics
        ]

    def _score_draws(
        self, metric: Metric, truth: _Array, draws: _Array, seen: _Array, rng: np.random.Generator
    ) -> float:
        with np.errstate(all="ignore"):  # sums over absurd imputed values may overflow; such a score is a failure
            if metric.name == ENERGY_ISCORE.name:  # by name, since a process gets a copy
                return metric.between(truth, draws.reshape(-1, truth.shape[1]), rng)
            if metric.compares == "cells":
                return float(np.mean([metric.between(truth, draw, rng) for draw in draws]))
            halves = Halves(np.hstack([seen, truth]))
            return float(np.mean([halves.compare(metric, np.hstack([seen, draw]), rng) for draw in draws]))

    def _by_column(self, tasks: list[ColumnTask], scores: _Array) -> _Array:
        by_name = {task.name: score for task, score in zip(tasks, scores, strict=True)}
        return np.array([by_name.get(name, np.nan) for name in self.table.columns])
