"""Imputers against the truth: of cells hidden anew in each repeat, or of the table's own holes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imputation_eval._validation import derive_generator, derive_seed
from imputation_eval.encoding import TableEncoder, stack_cells
from imputation_eval.masking import draw_mask, hide
from imputation_eval.metrics import Metric, marginal_distance
from imputation_eval.scoring.filling import count_draws, fill
from imputation_eval.scoring.trial import (
    HALF,
    MIN_ROWS,
    TRUTH,
    Example,
    Halves,
    Result,
    Trial,
    finite_or_failure,
    raw_rows,
)
from imputation_eval.truthless import failure_reason

_Array = NDArray[np.float64]
_Mask = NDArray[np.bool_]
_LARGE_MASK = 10**6  # cells from which on two masks tell their overlap well
_FEW_MASKS, _MANY_MASKS = 2, 10
_MOST_SHARED = 0.99  # where all repeats score the same rows, next to nothing is known of other ones


@dataclass(frozen=True, eq=False)
class ComparisonTrial(Trial):
    """Imputed rows are compared with true ones.

    A repeat hides cells and splits rows once, and every imputer meets exactly that, so scores within a repeat are
    paired.

    Attributes
    ----------
    truth : DataFrame of shape (n_rows, n_columns)
        What imputed tables are compared with; `table` itself where cells are hidden. Cells missing here are never
        scored.
    mechanism : str or None
        How cells are hidden; None where `table` has its own holes.
    missing_rate : float or None
    """

    truth: pd.DataFrame
    mechanism: str | None
    missing_rate: float | None
    has_truth: ClassVar[bool] = True

    def prepare(self, repeat: int) -> Split:
        """Hide cells, and choose and halve the rows that are scored."""
        incomplete = self.table if self.mechanism is None else hide(self.table, self.mask(repeat))
        hidden = self._usable(incomplete.isna().to_numpy())
        self._check_usable(int(hidden.any(axis=1).sum()))
        rows = self._scored_rows(hidden, repeat)
        unknown = self.encoder.expand(self.truth.iloc[rows].isna().to_numpy())
        truth = Filled(self.encoder, hidden[rows], _known(self.encoder.transform(self.truth.iloc[rows]), unknown))
        return Split(incomplete, rows, hidden[rows], unknown, truth)

    def score(self, setup: Split, repeat: int, name: str, imputer: Any) -> Result:
        """Score each draw of an imputer, or the truth itself."""
        rows: list[dict[str, Any]] = []
        per_column: list[_Array] = []
        first = setup.truth
        for draw in range(1 if name == TRUTH else count_draws(imputer, self.n_draws)):
            try:
                candidate, seconds = self._candidate(setup, repeat, draw, name, imputer)
            except Exception as error:  # whatever goes wrong inside an imputer is a result, and must not end the run
                failed = [(metric.name, np.nan, failure_reason(error)) for metric in self.metrics]
                return Result(rows + raw_rows(name, repeat, draw, np.nan, failed))
            # Two equal draws mean a deterministic imputer: further ones would repeat the score at full cost. Only the
            # first two tell: few hidden cells with few levels agree by chance sooner or later.
            if draw == 0:
                first = candidate
            elif draw == 1 and np.array_equal(candidate.rows, first.rows):
                break
            scores = [finite_or_failure(m, self._score(m, setup.truth, candidate, repeat)) for m in self.metrics]
            rows += raw_rows(name, repeat, draw, seconds, scores)
            per_column.append(_column_distances(setup.truth, candidate))
        return Result(rows, np.mean(per_column, axis=0), first.rows)

    def overlap_ratio(self) -> float:
        """Return the share of a repeat's rows that another one scores as well, over the rest.

        Rows and not cells: what an imputer does to the cells of one row goes together, and a mask of cells meets nearly
        every row of a wide table. Where each repeat draws a mask, the shared rows are counted in the first ones.
        """
        if self.mechanism is None:
            n_usable = int(self._usable(self.table.isna().to_numpy()).any(axis=1).sum())
            share = self._n_scored(n_usable) / n_usable
        else:
            n_masks = _FEW_MASKS if self.table.size > _LARGE_MASK else _MANY_MASKS
            scored = [self._scored_rows(self._usable(self.mask(repeat)), repeat) for repeat in range(n_masks)]
            shared = [len(np.intersect1d(a, b)) / np.sqrt(len(a) * len(b)) for a, b in combinations(scored, 2)]
            share = min(float(np.mean(shared)), _MOST_SHARED)
        return share / (1 - share)

    def hidden_rate(self) -> float | None:
        """Return the share of the observed cells that the first mask hides; None where there is no mask."""
        if self.mechanism is None:
            return None
        return float(self.mask(0).sum() / self.table.notna().to_numpy().sum())

    def mask(self, repeat: int) -> _Mask:
        """Return the cells that a repeat hides."""
        if self.mechanism is None or self.missing_rate is None:
            raise ValueError("the table has its own holes, and no cell is hidden.")
        rng = derive_generator(self.entropy, "mask", repeat)
        return draw_mask(self.table, self.mechanism, self.missing_rate, rng)

    def example(self, setup: Split, candidates: dict[str, _Array]) -> Example:
        """Return the scored rows, as they are and as they were filled."""
        return Example(self.encoder, setup.hidden, setup.truth.rows, self.has_truth, candidates)

    def _usable(self, hole: _Mask) -> _Mask:
        """Return the holes that can be scored: those whose truth is known, in columns that vary."""
        return hole & self.truth.notna().to_numpy() & (self.encoder.widths_ > 0)

    def _scored_rows(self, hidden: _Mask, repeat: int) -> NDArray[np.intp]:
        """Choose rows with a hidden cell; in random order, so that the first half against the second is random, too."""
        rows = derive_generator(self.entropy, "rows", repeat).permutation(np.flatnonzero(hidden.any(axis=1)))
        return rows[: self._n_scored(len(rows))]

    def _n_scored(self, n_usable: int) -> int:
        """Return how many of the rows with a hidden cell a repeat scores: an even number, for two equal halves.

        With masks, of which other rows may be part, few rows may all be scored; `overlap_ratio` tells what that costs.
        """
        half = HALF * (n_usable if self.mechanism is None else len(self.table))
        return min(max(int(half), MIN_ROWS), n_usable, self.max_rows) // 2 * 2

    def _check_usable(self, n_usable: int) -> None:
        if self.mechanism is None and n_usable < 2 * MIN_ROWS:
            raise ValueError(
                f"only {n_usable} rows of df have a hole where truth has a value, at least {2 * MIN_ROWS} are needed; "
                "give more rows."
            )
        if n_usable < MIN_ROWS:
            raise ValueError(
                f"only {n_usable} rows have a hidden cell that can be scored, at least {MIN_ROWS} are needed; give "
                "more rows, or raise missing_rate."
            )

    def _candidate(self, setup: Split, repeat: int, draw: int, name: str, imputer: Any) -> tuple[Filled, float]:
        if name == TRUTH:
            return setup.truth, np.nan
        seed = derive_seed(self.entropy, "imputer", repeat, draw, name)
        filled, seconds = fill(imputer, setup.incomplete, seed, draw, self.encoder.categorical)
        rows = _known(self.encoder.transform(filled.iloc[setup.rows]), setup.unknown)
        return Filled(self.encoder, setup.hidden, rows), seconds

    def _score(self, metric: Metric, truth: Filled, candidate: Filled, repeat: int) -> float:
        # The same generator for every imputer and draw, so that ties are broken alike.
        rng = derive_generator(self.entropy, "metric", repeat, metric.name)
        with np.errstate(all="ignore"):  # sums over absurd imputed values may overflow; such a score is a failure
            if metric.compares == "samples":
                return truth.halves.compare(metric, candidate.rows, rng)
            return metric.between(truth.cells, candidate.cells, rng)


@dataclass(frozen=True, eq=False)
class Filled:
    """Rows that are scored, as one imputer filled them or as they are in truth.

    Attributes
    ----------
    encoder : TableEncoder
    hidden : bool ndarray of shape (n_scored, n_columns)
        The cells that were filled.
    rows : ndarray of shape (n_scored, n_features)
    """

    encoder: TableEncoder
    hidden: _Mask
    rows: _Array

    @cached_property
    def halves(self) -> Halves:
        """The rows, to compare others with."""
        return Halves(self.rows)

    @cached_property
    def columns(self) -> dict[int, _Array]:
        """The filled cells (n_cells, width) of each column that varies, by its position."""
        return dict(self.encoder.column_cells(self.rows, self.hidden))

    @cached_property
    def cells(self) -> _Array:
        """The same, one below another."""
        return stack_cells(self.columns.values())


@dataclass(frozen=True, eq=False)
class Split:
    """One repeat: the table with holes, the rows that are scored, and how they are halved.

    Attributes
    ----------
    incomplete : DataFrame of shape (n_rows, n_columns)
    rows : int ndarray of shape (n_scored,)
    hidden : bool ndarray of shape (n_scored, n_columns)
        The cells to restore.
    unknown : bool ndarray of shape (n_scored, n_features)
        Encoded cells that the truth lacks.
    truth : Filled
    """

    incomplete: pd.DataFrame
    rows: NDArray[np.intp]
    hidden: _Mask
    unknown: _Mask
    truth: Filled


def _known(encoded: _Array, unknown: _Mask) -> _Array:
    # Cells that the truth lacks stand at the centre on both sides. Both halves are treated alike, so equal
    # distributions stay equal, and rows with holes of their own can be scored.
    return np.where(unknown, 0.0, encoded)


def _column_distances(truth: Filled, candidate: Filled) -> _Array:
    distances = np.full(truth.hidden.shape[1], np.nan)
    for j, true in truth.columns.items():
        if len(true):
            distances[j] = marginal_distance(true, candidate.columns[j])
    return distances
