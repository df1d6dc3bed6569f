"""Run a trial: every imputer in every repeat, in one process or several."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed  # type: ignore[import-untyped]
from threadpoolctl import threadpool_limits

from imputation_eval._progress import Progress
from imputation_eval._validation import warn_user
from imputation_eval.scoring.trial import RAW_COLUMNS, TRUTH, Example, Result, Trial


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
        How far each imputer is off in each column, averaged over draws and repeats.
    example : Example
        Filled rows of the first repeat.
    """

    raw: pd.DataFrame
    per_column: pd.DataFrame
    example: Example


def score_imputers(
    trial: Trial, imputers: Mapping[str, Any], *, n_repeats: int, n_jobs: int | None = None, progress: bool = True
) -> Scores:
    """Score every imputer, and the truth itself if there is one, in every repeat.

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
        If a repeat cannot be set up.

    Warns
    -----
    UserWarning
        Once for each imputer that itself warned.
    """
    contestants: list[tuple[str, Any]] = [*([(TRUTH, None)] if trial.has_truth else []), *imputers.items()]
    setup = trial.prepare(0)  # tells of too little data before any time is spent
    tasks = [(repeat, name, imputer) for repeat in range(n_repeats) for name, imputer in contestants]
    outcomes = []
    with Progress("scoring imputers", len(tasks), enabled=progress) as line:
        for outcome in _run(trial, tasks, n_jobs, line):
            outcomes.append(outcome)
            line.step()
    _report_warnings(outcomes)
    # Processes finish in any order; the tables always have this one.
    position = {name: i for i, (name, _) in enumerate(contestants)}
    outcomes.sort(key=lambda outcome: (outcome.repeat, position[outcome.name]))
    raw = pd.DataFrame([row for outcome in outcomes for row in outcome.result.rows], columns=RAW_COLUMNS)
    examples = {o.name: o.result.example for o in outcomes if o.repeat == 0 and o.result.example is not None}
    return Scores(raw, _per_column(trial, list(imputers), outcomes), trial.example(setup, examples))


@dataclass(frozen=True, eq=False)
class _Outcome:
    """One imputer in one repeat: what it achieved, and what it warned of."""

    name: str
    repeat: int
    result: Result
    warned: set[str]


def _run(trial: Trial, tasks: list[tuple[int, str, Any]], n_jobs: int | None, line: Progress) -> Iterable[_Outcome]:
    if n_jobs in (None, 1):
        return _run_here(trial, tasks, line)
    # Here each task sets its repeat up anew, so that tasks stay independent and no table has to be sent to a process.
    run = Parallel(n_jobs=n_jobs, return_as="generator_unordered")
    return run(delayed(_prepare_and_score)(trial, *task) for task in tasks)


def _run_here(trial: Trial, tasks: list[tuple[int, str, Any]], line: Progress) -> Iterable[_Outcome]:
    prepare = lru_cache(maxsize=1)(trial.prepare)  # tasks go repeat by repeat, so that the last one serves them all
    with threadpool_limits(1):
        for repeat, name, imputer in tasks:
            line.running(name)
            yield _score(trial, prepare(repeat), repeat, name, imputer)


def _prepare_and_score(trial: Trial, repeat: int, name: str, imputer: Any) -> _Outcome:
    with threadpool_limits(1):
        return _score(trial, trial.prepare(repeat), repeat, name, imputer)


def _score(trial: Trial, setup: Any, repeat: int, name: str, imputer: Any) -> _Outcome:
    # The callers allow one BLAS thread: sums then do not depend on how many processes share the machine.
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = trial.score(setup, repeat, name, imputer)
    if repeat > 0:  # one repeat is example enough
        result = Result(result.rows, result.per_column)
    return _Outcome(name, repeat, result, {f"{w.category.__name__}: {w.message}" for w in caught})


def _per_column(trial: Trial, names: list[str], outcomes: list[_Outcome]) -> pd.DataFrame:
    varying = trial.encoder.widths_ > 0
    table = pd.DataFrame(index=trial.table.columns[varying], columns=pd.Index(names, name="imputer"), dtype=np.float64)
    for name in names:
        columns = [o.result.per_column[varying] for o in outcomes if o.name == name and o.result.per_column is not None]
        if columns:
            table[name] = pd.DataFrame(columns).mean().to_numpy()  # pandas leaves NaN out, and is silent if all are
    return table


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
