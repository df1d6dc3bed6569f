"""Imputers x masks x repeats: the long table of scores.

A repeat hides cells and splits rows once, and every imputer meets exactly that, so scores within a repeat are paired.
All randomness derives from (entropy, repeat, draw, name of the imputer), hence neither the order of the imputers nor
the number of processes changes a score.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed  # type: ignore[import-untyped]
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from imputation_eval._progress import Progress
from imputation_eval._validation import derive_generator, derive_seed, warn_user
from imputation_eval.encoding import TableEncoder
from imputation_eval.imputers import impute
from imputation_eval.masking import ampute
from imputation_eval.metrics import KNOWN_METRICS, Metric, marginal_distance

_Array = NDArray[np.float64]
_Mask = NDArray[np.bool_]

MIN_ROWS = 30
# With a fixed mask, repeats differ by the rows they score: half of them, because then the spread between repeats equals
# the sampling error of the whole (delete-half subsampling).
_FIXED_MASK_SHARE = 0.5
TRUTH = "truth"
RAW_COLUMNS = ["imputer", "repeat", "draw", "metric", "score", "seconds", "failure"]


@dataclass(frozen=True, eq=False)
class Trial:
    """What all imputers are put through.

    Attributes
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        What the user has: in mode "masked" cells of it are hidden anew in each repeat, in mode "truth" it has holes.
    truth : DataFrame of the same shape
        What imputed tables are compared with; `table` itself in mode "masked". Cells missing here are never scored.
    encoder : TableEncoder
        Fitted on `truth`; the same scaling for every imputer and repeat.
    metrics : tuple of Metric
    mechanism : str or None
        How cells are hidden; None in mode "truth".
    missing_rate : float or None
    n_draws : int
        Imputations a repeat of each stochastic imputer. Each draw is scored; scores are averaged, never draws.
    max_rows : int
        Most rows that a repeat scores. Imputers always see all rows.
    entropy : int
        Root of all seeds.
    """

    table: pd.DataFrame
    truth: pd.DataFrame
    encoder: TableEncoder
    metrics: tuple[Metric, ...]
    mechanism: str | None
    missing_rate: float | None
    n_draws: int
    max_rows: int
    entropy: int


@dataclass(frozen=True, eq=False)
class Scores:
    """What :func:`score_imputers` returns.

    Attributes
    ----------
    raw : DataFrame
        One row a (imputer, repeat, draw, metric) with the columns imputer, repeat, draw, metric, score, seconds (of
        that imputation) and failure (the reason if the score is NaN, else None). An imputer whose first two draws agree
        is deterministic and gets no further ones.
    per_column : DataFrame of shape (n_columns that vary, n_imputers)
        Marginal distance between imputed and true values of the hidden cells, averaged over draws and repeats.
    """

    raw: pd.DataFrame
    per_column: pd.DataFrame


def choose_metrics(names: str | Iterable[str], max_rows: int) -> tuple[Metric, ...]:
    """Look up metrics by name; raise if one is unknown, named twice, or cannot take half of ``max_rows``."""
    chosen = [names] if isinstance(names, str) else list(names) if isinstance(names, Iterable) else [names]
    if not all(isinstance(name, str) for name in chosen):
        raise TypeError(f"metrics should be a name or several names, got {names!r}.")
    if not chosen or len(set(chosen)) < len(chosen):
        raise ValueError(f"metrics={chosen} should name at least one metric, and none twice.")
    unknown = [name for name in chosen if name not in KNOWN_METRICS]
    if unknown:
        raise ValueError(f"metrics has unknown names: {unknown}; available: {list(KNOWN_METRICS)}.")
    for name in chosen:
        limit = KNOWN_METRICS[name].max_rows
        if limit is not None and max_rows // 2 > limit:
            raise ValueError(f"max_rows={max_rows} gives halves of {max_rows // 2} rows, but {name!r} takes {limit}.")
    return tuple(KNOWN_METRICS[name] for name in chosen)


def score_imputers(
    trial: Trial, imputers: Mapping[str, Any], *, n_repeats: int, n_jobs: int | None = None, progress: bool = True
) -> Scores:
    """Score every imputer, and the truth itself, in every repeat.

    Parameters
    ----------
    trial : Trial
    imputers : mapping of name to imputer
        The name "truth" is reserved.
    n_repeats : int
    n_jobs : int, optional
        Processes, as joblib counts them; None is 1.
    progress : bool
        Show a line of progress on standard error.

    Returns
    -------
    Scores
        Also the truth's.

    Raises
    ------
    ValueError
        If a repeat has too few rows with a hidden cell.

    Warns
    -----
    UserWarning
        Once for each imputer that itself warned.
    """
    contestants: list[tuple[str, Any]] = [(TRUTH, None), *imputers.items()]
    _split(trial, 0)  # tells of too few rows before any time is spent
    tasks = [(repeat, name, imputer) for repeat in range(n_repeats) for name, imputer in contestants]
    outcomes = []
    with Progress("scoring imputers", len(tasks), enabled=progress) as line:
        for outcome in _run(trial, tasks, n_jobs):
            outcomes.append(outcome)
            line.step()
    _report_warnings(outcomes)
    raw = pd.DataFrame([row for outcome in outcomes for row in outcome.rows], columns=RAW_COLUMNS)
    # Processes finish in any order; the table always has this one.
    position = {name: i for i, (name, _) in enumerate(contestants)}
    order = raw.assign(_position=raw["imputer"].map(position)).sort_values(["repeat", "_position"], kind="stable").index
    return Scores(raw.loc[order].reset_index(drop=True), _per_column(trial, list(imputers), outcomes))


@dataclass(frozen=True, eq=False)
class _Outcome:
    """One imputer in one repeat: its rows of the raw table, its distance in each column, and what it warned of."""

    name: str
    repeat: int
    rows: list[dict[str, Any]]
    per_column: _Array | None  # (n_columns,), NaN where no cell was hidden; None after a failure
    warned: set[str]


def _run(trial: Trial, tasks: list[tuple[int, str, Any]], n_jobs: int | None) -> Iterable[_Outcome]:
    if n_jobs in (None, 1):
        # Tasks go repeat by repeat, so that the last split serves all imputers of a repeat.
        split_of = lru_cache(maxsize=1)(partial(_split, trial))
        return (_score_one(trial, split_of(repeat), repeat, name, imputer) for repeat, name, imputer in tasks)
    # Here each task splits anew, so that tasks stay independent and no table with holes has to be sent to a process.
    run = Parallel(n_jobs=n_jobs, return_as="generator_unordered")
    return run(delayed(_split_and_score_one)(trial, *task) for task in tasks)


def _per_column(trial: Trial, names: list[str], outcomes: list[_Outcome]) -> pd.DataFrame:
    varying = trial.encoder.widths_ > 0
    table = pd.DataFrame(index=trial.table.columns[varying], columns=pd.Index(names, name="imputer"), dtype=np.float64)
    for name in names:
        # In the order of the repeats, since sums depend on it.
        ordered = sorted((o for o in outcomes if o.name == name), key=lambda o: o.repeat)
        columns = [outcome.per_column[varying] for outcome in ordered if outcome.per_column is not None]
        if columns:
            table[name] = pd.DataFrame(columns).mean().to_numpy()  # pandas leaves NaN out, and is silent if all are
    return table


@dataclass(frozen=True, eq=False)
class _Split:
    """One repeat: the table with holes, the rows that are scored, and how they are halved."""

    incomplete: pd.DataFrame
    rows: NDArray[np.intp]
    hidden: _Mask  # (n_scored, n_columns): the cells to restore
    unknown: _Mask  # (n_scored, n_features): encoded cells that the truth lacks
    truth: _Array  # (n_scored, n_features)


def _split(trial: Trial, repeat: int) -> _Split:
    if trial.mechanism is None or trial.missing_rate is None:
        incomplete = trial.table
    else:
        rng = derive_generator(trial.entropy, "mask", repeat)
        incomplete = ampute(trial.table, mechanism=trial.mechanism, missing_rate=trial.missing_rate, random_state=rng)
    missing = trial.truth.isna().to_numpy()
    hidden = incomplete.isna().to_numpy() & ~missing & (trial.encoder.widths_ > 0)
    rows = np.flatnonzero(hidden.any(axis=1))
    n_scored = _n_scored(trial, len(rows))
    # In random order, so that the first half against the second is a random split.
    rows = derive_generator(trial.entropy, "rows", repeat).permutation(rows)[:n_scored]
    unknown = trial.encoder.expand(missing[rows])
    truth = _known(trial.encoder.transform(trial.truth.iloc[rows]), unknown)
    return _Split(incomplete, rows, hidden[rows], unknown, truth)


def _n_scored(trial: Trial, n_usable: int) -> int:
    """Return how many of the rows with a hidden cell a repeat scores: an even number, for two equal halves."""
    share = _FIXED_MASK_SHARE if trial.mechanism is None else 1.0
    n_scored = min(int(share * n_usable), trial.max_rows) // 2 * 2
    if n_scored < MIN_ROWS:
        raise ValueError(
            f"only {n_usable} rows have a hidden cell that can be scored, at least {MIN_ROWS / share:.0f} are needed; "
            "give more rows, or raise missing_rate."
        )
    return n_scored


def overlap_ratio(trial: Trial) -> float:
    """Return n_test / n_train, by which the corrected resampled t accounts for the overlap of repeats.

    Where each repeat draws a mask, the hidden cells are the test set: two masks share the share missing_rate of their
    cells. With a fixed mask the scored rows are.
    """
    if trial.missing_rate is not None:
        return trial.missing_rate / (1 - trial.missing_rate)
    hidden = trial.table.isna().to_numpy() & trial.truth.notna().to_numpy() & (trial.encoder.widths_ > 0)
    n_usable = int(hidden.any(axis=1).sum())
    n_scored = _n_scored(trial, n_usable)
    return n_scored / (n_usable - n_scored)


def _known(encoded: _Array, unknown: _Mask) -> _Array:
    # Cells that the truth lacks stand at the centre on both sides. Both halves are treated alike, so equal
    # distributions stay equal, and rows with holes of their own can be scored.
    return np.where(unknown, 0.0, encoded)


def _split_and_score_one(trial: Trial, repeat: int, name: str, imputer: Any) -> _Outcome:
    return _score_one(trial, _split(trial, repeat), repeat, name, imputer)


def _score_one(trial: Trial, split: _Split, repeat: int, name: str, imputer: Any) -> _Outcome:
    # One BLAS thread: sums then do not depend on how many processes share the machine.
    with threadpool_limits(1), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rows, per_column = _score_draws(trial, split, repeat, name, imputer)
    return _Outcome(name, repeat, rows, per_column, {f"{w.category.__name__}: {w.message}" for w in caught})


def _score_draws(
    trial: Trial, split: _Split, repeat: int, name: str, imputer: Any
) -> tuple[list[dict[str, Any]], _Array | None]:
    rows: list[dict[str, Any]] = []
    per_column: list[_Array] = []
    for draw in range(1 if name == TRUTH else trial.n_draws):
        start = time.perf_counter()
        try:
            candidate = split.truth if name == TRUTH else _imputed(trial, split, repeat, draw, name, imputer)
        except Exception as error:  # whatever goes wrong inside an imputer is a result, and must not end the run
            reason = f"{type(error).__name__}: {error}".splitlines()[0][:300]
            failed = [(metric.name, np.nan, reason) for metric in trial.metrics]
            return rows + _raw_rows(name, repeat, draw, time.perf_counter() - start, failed), None
        seconds = np.nan if name == TRUTH else time.perf_counter() - start
        # Two equal draws mean a deterministic imputer: further ones would repeat the score at full cost. Only the first
        # two tell: few hidden cells with few levels agree by chance sooner or later.
        if draw == 0:
            first = candidate
        elif draw == 1 and np.array_equal(candidate, first):
            break
        scores = [(m.name, *_score(m, trial, split, candidate, repeat)) for m in trial.metrics]
        rows += _raw_rows(name, repeat, draw, seconds, scores)
        per_column.append(_column_distances(trial.encoder, split, candidate))
    return rows, np.mean(per_column, axis=0)


def _column_distances(encoder: TableEncoder, split: _Split, candidate: _Array) -> _Array:
    distances = np.full(split.hidden.shape[1], np.nan)
    pairs = zip(*(encoder.column_cells(rows, split.hidden) for rows in (split.truth, candidate)), strict=True)
    for (j, true), (_, imputed) in pairs:
        if len(true):
            distances[j] = marginal_distance(true, imputed)
    return distances


def _raw_rows(
    name: str, repeat: int, draw: int, seconds: float, scores: Iterable[tuple[str, float, str | None]]
) -> list[dict[str, Any]]:
    return [
        dict(zip(RAW_COLUMNS, (name, repeat, draw, metric, score, seconds, failure), strict=True))
        for metric, score, failure in scores
    ]


def _imputed(trial: Trial, split: _Split, repeat: int, draw: int, name: str, imputer: Any) -> _Array:
    imputed = impute(imputer, split.incomplete, derive_seed(trial.entropy, "imputer", repeat, draw, name))
    return _known(trial.encoder.transform(imputed.iloc[split.rows]), split.unknown)


def _score(metric: Metric, trial: Trial, split: _Split, candidate: _Array, repeat: int) -> tuple[float, str | None]:
    # The same generator for every imputer and draw, so that ties are broken alike.
    rng = derive_generator(trial.entropy, "metric", repeat, metric.name)
    with np.errstate(all="ignore"):  # sums over absurd imputed values may overflow; the check below reports them
        if metric.compares == "cells":
            cells = [trial.encoder.cells(encoded, split.hidden) for encoded in (split.truth, candidate)]
            score = metric.compute(cells[0], cells[1], rng)
        else:
            half = len(candidate) // 2
            first = metric.compute(split.truth[:half], candidate[half:], rng)
            score = (first + metric.compute(split.truth[half:], candidate[:half], rng)) / 2
    return (score, None) if np.isfinite(score) else (np.nan, f"metric {metric.name!r} is {score}")


def _report_warnings(outcomes: list[_Outcome]) -> None:
    collected: dict[str, dict[str, int]] = {}
    for outcome in outcomes:
        for message in outcome.warned:
            counts = collected.setdefault(outcome.name, {})
            counts[message] = counts.get(message, 0) + 1
    for name, counts in collected.items():
        message, n = max(counts.items(), key=lambda item: item[1])
        others = f" (and {len(counts) - 1} other warnings)" if len(counts) > 1 else ""
        warn_user(f"imputer {name!r} warned in {n} repeats: {message}{others}")
