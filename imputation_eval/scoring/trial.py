"""What a trial of imputers is: how a repeat is set up, and how one imputer is scored in it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imputation_eval.encoding import TableEncoder
from imputation_eval.metrics import Metric

_Array = NDArray[np.float64]
_Mask = NDArray[np.bool_]

MIN_ROWS = 30
TRUTH = "truth"
RAW_COLUMNS = ["imputer", "repeat", "draw", "metric", "score", "seconds", "failure"]
# Repeats differ by the rows they score: half of them, because then the spread between repeats equals the sampling error
# of the whole (delete-half subsampling). Where each repeat also hides other cells, that adds to the spread only.
HALF = 0.5


@dataclass(frozen=True, eq=False)
class Result:
    """What one imputer achieved in one repeat.

    Attributes
    ----------
    rows : list of dict
        Rows of the raw table.
    per_column : ndarray of shape (n_columns,) or None
        A distance for each column, NaN where there is none; None after a failure.
    example : ndarray of shape (n_rows, n_features) or None
        Encoded rows that the imputer filled, for pictures.
    """

    rows: list[dict[str, Any]]
    per_column: _Array | None = None
    example: _Array | None = None


@dataclass(frozen=True, eq=False)
class Example:
    """Filled rows of one repeat, for pictures.

    Attributes
    ----------
    encoder : TableEncoder
    imputed : bool ndarray of shape (n_rows, n_columns)
        The cells that were imputed.
    observed : ndarray of shape (n_observed_rows, n_features)
        What imputed cells should look like: the truth of these rows, or rows of the table; NaN where unknown.
    has_truth : bool
        Whether `observed` is the truth of the same rows.
    candidates : dict of ndarray of shape (n_rows, n_features)
        Rows as each imputer filled them.
    """

    encoder: TableEncoder
    imputed: _Mask
    observed: _Array
    has_truth: bool
    candidates: dict[str, _Array]


@dataclass(frozen=True, eq=False)
class Trial(ABC):
    """What all imputers are put through.

    All randomness derives from (entropy, repeat, draw, name of the imputer), hence neither the order of the imputers
    nor the number of processes changes a score.

    Attributes
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        What the user has.
    encoder : TableEncoder
        The same scaling for every imputer and repeat.
    metrics : tuple of Metric
    n_draws : int
        Imputations a repeat of each stochastic imputer.
    max_rows : int
        Most rows that a repeat scores.
    entropy : int
        Root of all seeds.
    """

    table: pd.DataFrame
    encoder: TableEncoder
    metrics: tuple[Metric, ...]
    n_draws: int
    max_rows: int
    entropy: int
    has_truth: ClassVar[bool]

    @abstractmethod
    def prepare(self, repeat: int) -> Any:
        """Set up a repeat, the same for every imputer; raise a ValueError if that cannot be done."""

    @abstractmethod
    def score(self, setup: Any, repeat: int, name: str, imputer: Any) -> Result:
        """Score one imputer in a repeat. Failures of the imputer are rows, not exceptions."""

    @abstractmethod
    def overlap_ratio(self) -> float:
        """Return n_test / n_train, by which the corrected resampled t accounts for the overlap of repeats."""

    @abstractmethod
    def example(self, setup: Any, candidates: dict[str, _Array]) -> Example:
        """Return the filled rows of a repeat with what they should look like."""


def raw_rows(
    name: str, repeat: int, draw: int, seconds: float, scores: Iterable[tuple[str, float, str | None]]
) -> list[dict[str, Any]]:
    """Return rows of the raw table for triples of metric, score and reason of failure."""
    return [
        dict(zip(RAW_COLUMNS, (name, repeat, draw, metric, score, seconds, failure), strict=True))
        for metric, score, failure in scores
    ]


def finite_or_failure(metric: Metric, score: float) -> tuple[str, float, str | None]:
    """Return metric, score and, if the score is none, why."""
    return (metric.name, score, None) if np.isfinite(score) else (metric.name, np.nan, f"{metric.name!r} is {score}")


class Halves:
    """The true rows of a repeat in two halves, as each metric prepares them once for all candidates.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
        In random order.
    """

    def __init__(self, rows: _Array) -> None:
        self.rows = rows
        self._prepared: dict[str, tuple[Any, Any]] = {}

    def compare(self, metric: Metric, candidate: _Array, rng: np.random.Generator) -> float:
        """Compare the true rows of one half with the candidate's rows of the other, both ways round.

        A row is never compared with its own copy, which would be its nearest neighbour.
        """
        half = len(self.rows) // 2
        if metric.name not in self._prepared:
            self._prepared[metric.name] = metric.prepare(self.rows[:half]), metric.prepare(self.rows[half:])
        first, second = self._prepared[metric.name]
        return (metric.compute(first, candidate[half:], rng) + metric.compute(second, candidate[:half], rng)) / 2
