"""Scores that need no truth: how well an imputer restores the cells of a column that are observed."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imputation_eval._validation import (
    RandomStateLike,
    as_entropy,
    check_integer,
    check_no_empty_column,
    check_table,
    derive_generator,
    derive_seed,
)
from imputation_eval.encoding import TableEncoder, check_categorical
from imputation_eval.imputers import impute
from imputation_eval.imputers.contract import check_imputer
from imputation_eval.imputers.donors import leaf_donors
from imputation_eval.masking import hide
from imputation_eval.metrics import Metric

_Array = NDArray[np.float64]
_Rows = NDArray[np.intp]
_MIN_CELLS = 10  # holes, and observed cells, that a column needs to be scored
# Test cells in which two draws have to agree for an imputer to count as deterministic. Of one that draws differently in
# a share q of the cells, two draws agree in all 30 with probability (1 - q)^30, below 5 % from q = 0.095 on; below
# that, the spread that is left out is at most q / 2 where cells count 0 or 1. With fewer cells all draws are made: it
# costs little.
_TELLING_CELLS = 30
_N_TREES, _N_FOREST_DRAWS = 30, 30

# Called with a table whose only holes are the first cells of one column, that column's name and the number of holes;
# returns draws of them, an array (n_draws, n_holes, width) of encoded cells.
Forecast = Callable[[pd.DataFrame, Hashable, int], _Array]


@dataclass(frozen=True, eq=False)
class IScoreResult:
    """Outcome of :func:`energy_iscore`.

    Attributes
    ----------
    score : float
        The energy-I-Score, lower is better; NaN if a column failed.
    per_column : DataFrame
        One row a column of the table (the index): score, weight, n_test, n_train, covariates (those used), dropped
        (columns that could not serve as covariates) and note (why a column has no score, else None).
    """

    score: float
    per_column: pd.DataFrame


@dataclass(frozen=True, eq=False)
class ColumnTask:
    """How one column is scored.

    Attributes
    ----------
    name : column label
    test, train : int ndarray
        Rows where the column is observed, and rows where it is missing.
    covariates, dropped : list of column labels
        The other columns that are observed in all test rows, and those that are not.
    weight : float
        (share missing) x (share observed), over the whole table.
    """

    name: Hashable
    test: _Rows
    train: _Rows
    covariates: list[Hashable]
    dropped: list[Hashable]
    weight: float


def energy_iscore(
    df: pd.DataFrame,
    imputer: Any,
    *,
    n_draws: int = 20,
    categorical: str | Iterable[Hashable] = "infer",
    random_state: RandomStateLike = None,
) -> IScoreResult:
    r"""Energy-I-Score: judge an imputer by a table with holes alone, without knowing what is in the holes.

    The table is imputed once. Then each column j with at least 10 holes is turned round: the rows where it *was*
    missing (now imputed) become the training rows, the rows where it is observed the test rows, whose cells in column j
    are hidden. The imputer fills that table N times, and its draws :math:`y_1, \dots, y_N` of a test cell are compared
    with the true y by the continuous ranked probability score with the fair divisor [2]_,

    .. math:: \frac{1}{N} \sum_k |y_k - y| - \frac{1}{2 N (N - 1)} \sum_{k, l} |y_k - y_l|,

    where the second term is 0 for N = 1. The score of a column is the mean over its test cells, that of the table
    :math:`\sum_j w_j s_j / \sum_j w_j` with w_j = (share missing) x (share observed) [1]_. If values are missing at
    random given the covariates, drawing from the true conditional distribution has the best expected score; the
    conditional mean does worse.

    Parameters
    ----------
    df : DataFrame of shape (n_rows, n_columns)
        Table with holes.
    imputer : object with ``fit_transform``, or callable ``(df, random_state: int) -> df``
    n_draws : int
        N >= 2: a single draw would be scored as if nothing else were possible, which rewards the conditional mean. An
        imputer whose first two draws agree in 30 test cells or more counts as deterministic, and gets N = 1.
    categorical : "infer" or list of column names
        The nominal columns, see :class:`~imputation_eval.TableEncoder`.
    random_state : None, int, RandomState or Generator
        Seed of everything.

    Returns
    -------
    IScoreResult
        With `score` and `per_column`.

    Raises
    ------
    TypeError
        If `df` is no DataFrame, or `imputer` none.
    ValueError
        If `df` has no holes, no column with at least 10 holes and 10 observed cells, an empty column, one without a
        name (None or NaN), or infinity.
        What the imputer raises on the whole table passes through; where it fails on a column, `score` is NaN and the
        reason stands in `per_column`.

    Notes
    -----
    Covariates of column j are the columns that are observed in all its test rows; in the training rows their imputed
    values serve. If there is none, the most observed other column serves, and the test rows that lack it are left out.
    A column without any other is scored without covariates.

    Scores are in the encoded unit of :class:`~imputation_eval.TableEncoder`, so that columns can be averaged. For
    numbers that is the same as scaling the columns first, except that the imputer sees them in their own unit. For
    nominal columns ``|.|`` is the Euclidean distance of indicators over sqrt(2) (the energy score), so that a mismatch
    counts 1. The limit of 10 is that of the authors' R code.

    References
    ----------
    .. [1] J. Näf, K. Grzesiak, E. Scornet, "How to rank imputation methods?", arXiv:2507.11297 (2025).
    .. [2] C. Ferro, "Fair scores for ensemble forecasts", Quarterly Journal of the Royal Meteorological Society 140
       (2014).

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from imputation_eval import ChainedImputer, MeanImputer, ampute, energy_iscore
    >>> x = np.random.default_rng(0).normal(size=300)
    >>> df = ampute(pd.DataFrame({"x": x, "y": 2 * x + 1, "z": x**2}), missing_rate=0.2, random_state=0)
    >>> df["x"] = x
    >>> means = energy_iscore(df, MeanImputer(), random_state=0)
    >>> forest = energy_iscore(df, ChainedImputer("forest"), n_draws=5, random_state=0)
    >>> forest.score < means.score
    True
    >>> list(means.per_column.index[means.per_column["note"].notna()])  # x has no holes
    ['x']
    """
    check_table(df, "df")
    check_imputer(imputer, "imputer")
    check_no_empty_column(df, "df")
    n_draws = check_integer(n_draws, "n_draws", minimum=2)
    entropy = as_entropy(random_state)
    encoder = TableEncoder(categorical=check_categorical(categorical)).fit(df)
    tasks, skipped = plan_tasks(df, encoder)
    imputed = impute(imputer, df, derive_seed(entropy, "whole"), categorical=encoder.categorical)
    rows = {}
    for task in tasks:
        forecast = imputer_forecast(imputer, encoder, n_draws, entropy)
        try:
            score, note = fair_score(*forecast_cells(imputed, encoder, task, forecast)), None
        except Exception as error:  # a failure of the imputer is a result: it is told, and never counts as a score
            score, note = np.nan, failure_reason(error)
        rows[task.name] = (score, task.weight, len(task.test), len(task.train), task.covariates, task.dropped, note)
    rows |= {name: (np.nan, np.nan, 0, 0, [], [], reason) for name, reason in skipped.items()}
    columns = ["score", "weight", "n_test", "n_train", "covariates", "dropped", "note"]
    per_column = pd.DataFrame([rows[name] for name in df.columns], columns=columns, index=df.columns)
    return IScoreResult(weighted_mean(per_column["score"][per_column["weight"].notna()], tasks), per_column)


def plan_tasks(df: pd.DataFrame, encoder: TableEncoder) -> tuple[list[ColumnTask], dict[Hashable, str]]:
    """Choose the columns that can be scored, and say of the others why not.

    Raises
    ------
    ValueError
        If there is none.
    """
    missing = df.isna().to_numpy()
    if not missing.any():
        raise ValueError("df has no holes, so nothing is imputed; mode='masked' hides observed cells.")
    tasks: list[ColumnTask] = []
    skipped: dict[Hashable, str] = {}
    for j, name in enumerate(df.columns):
        n_missing, n_observed = int(missing[:, j].sum()), int((~missing[:, j]).sum())
        if encoder.widths_[j] == 0:
            skipped[name] = "constant"
        elif min(n_missing, n_observed) < _MIN_CELLS:
            skipped[name] = f"{n_missing} holes and {n_observed} observed cells, at least {_MIN_CELLS} each are needed"
        else:
            tasks.append(_plan_task(df.columns, missing, j))
    if not tasks:
        raise ValueError(f"df has no column that can be scored without a truth: {skipped}.")
    return tasks, skipped


def _plan_task(names: pd.Index, missing: NDArray[np.bool_], j: int) -> ColumnTask:
    test, train = np.flatnonzero(~missing[:, j]), np.flatnonzero(missing[:, j])
    weight = len(train) * len(test) / len(missing) ** 2
    gaps = missing[test].sum(axis=0)
    others = [k for k in range(len(names)) if k != j]
    used = [k for k in others if gaps[k] == 0]
    if not used and others:
        most_observed = min(others, key=lambda k: gaps[k])
        rest = test[~missing[test, most_observed]]
        if len(rest) >= _MIN_CELLS:
            used, test = [most_observed], rest
    dropped = [names[k] for k in others if k not in used]
    return ColumnTask(names[j], test, train, [names[k] for k in used], dropped, weight)


def forecast_cells(
    imputed: pd.DataFrame, encoder: TableEncoder, task: ColumnTask, forecast: Forecast
) -> tuple[_Array, _Array]:
    """Hide a column in its test rows and have it restored from its training rows.

    Parameters
    ----------
    imputed : DataFrame of shape (n_rows, n_columns)
        The table with its holes filled.
    encoder : TableEncoder
    task : ColumnTask
    forecast : callable

    Returns
    -------
    truth : ndarray of shape (n_test, width)
        Encoded cells of the column in the test rows.
    draws : ndarray of shape (n_draws, n_test, width)
    """
    names = [name for name in imputed.columns if name == task.name or name in task.covariates]
    table = imputed[names].iloc[np.concatenate([task.test, task.train])]
    n_test = len(task.test)
    hidden = (np.arange(len(table)) < n_test)[:, None] & np.array([name == task.name for name in names])
    draws = forecast(hide(table, hidden), task.name, n_test)
    return encoder.transform_column(table[task.name].iloc[:n_test]), draws


def imputer_forecast(imputer: Any, encoder: TableEncoder, n_draws: int, entropy: int) -> Forecast:
    """Let an imputer restore the holes `n_draws` times; once if it proves deterministic."""

    def forecast(table: pd.DataFrame, name: Hashable, n_holes: int) -> _Array:
        draws: list[_Array] = []
        for draw in range(n_draws):
            seed = derive_seed(entropy, "column", str(name), draw)
            filled = impute(imputer, table, seed, categorical=encoder.categorical)
            draws.append(encoder.transform_column(filled[name].iloc[:n_holes]))
            if draw == 1 and n_holes >= _TELLING_CELLS and np.array_equal(draws[0], draws[1]):
                return np.array(draws[:1])
        return np.array(draws)

    return forecast


def forest_forecast(encoder: TableEncoder, entropy: int) -> Forecast:
    """Stand in for an imputer that is not at hand: a forest, fitted on the imputed rows, draws from its leaves."""

    def forecast(table: pd.DataFrame, name: Hashable, n_holes: int) -> _Array:
        others = [encoder.transform_column(table[other]) for other in table.columns if other != name]
        rows = np.hstack([np.zeros((len(table), 1)), *others])
        target = encoder.transform_column(table[name].iloc[n_holes:])
        rng = derive_generator(entropy, "forest", str(name))
        donors = leaf_donors(rows[n_holes:], target, rows[:n_holes], _N_TREES, rng, n_draws=_N_FOREST_DRAWS)
        return target[donors]

    return forecast


def fair_score(truth: _Array, draws: _Array) -> float:
    """Mean energy score of draws with the fair divisor; the CRPS where cells have one feature.

    Parameters
    ----------
    truth : ndarray of shape (n_cells, width)
    draws : ndarray of shape (n_draws, n_cells, width)
    """
    n_draws = len(draws)
    error = np.mean([_distances(draw, truth).mean() for draw in draws])
    if n_draws == 1:
        return float(error)
    spread = sum(_distances(draws[k + 1 :], draws[k]).sum() for k in range(n_draws - 1)) / len(truth)
    return float(error - spread / (n_draws * (n_draws - 1)))


def _distances(x: _Array, y: _Array) -> _Array:
    difference = x - y
    return np.abs(difference[..., 0]) if difference.shape[-1] == 1 else np.sqrt((difference**2).sum(axis=-1))


def weighted_mean(scores: Iterable[float], tasks: list[ColumnTask]) -> float:
    """Average the scores of columns; NaN if one is, since the mean of the rest favours failing where it is hard."""
    weights = np.array([task.weight for task in tasks])
    return float(weights @ np.asarray(list(scores)) / weights.sum())


def failure_reason(error: Exception) -> str:
    """Return the first line of what went wrong."""
    return f"{type(error).__name__}: {error}".splitlines()[0][:300]


def _fair_score_of_stack(truth: _Array, draws: _Array, rng: np.random.Generator) -> float:
    return fair_score(truth, draws.reshape(-1, *truth.shape))


ENERGY_ISCORE = Metric(
    "energy_iscore",
    _fair_score_of_stack,
    compares="cells",
    note="energy_iscore assumes that values are missing at random given the columns it uses as covariates",
)
