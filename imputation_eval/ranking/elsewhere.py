"""Rank tables that were imputed elsewhere: in R, in SPSS, by hand."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from imputation_eval._validation import RandomStateLike, as_entropy, check_integer, check_table, derive_seed
from imputation_eval.encoding import check_categorical
from imputation_eval.imputers import HotDeckImputer, ImputationError, MeanImputer, impute
from imputation_eval.imputers.contract import as_frame, checked
from imputation_eval.ranking.rank import check_names, rank_in_trial
from imputation_eval.ranking.result import Ranking
from imputation_eval.ranking.trials import truth_trial, truthless_trial
from imputation_eval.scoring import MIN_ROWS, GivenTables, Trial
from imputation_eval.truthless import ENERGY_ISCORE

_N_HOT_DECK = 3


def score_imputations(
    df_missing: pd.DataFrame,
    imputations: Mapping[str, pd.DataFrame | Sequence[pd.DataFrame]],
    *,
    truth: pd.DataFrame | None = None,
    metrics: str | Iterable[str] | None = None,
    n_repeats: int = 20,
    max_rows: int = 2000,
    categorical: str | Iterable[Hashable] = "infer",
    progress: bool = True,
    random_state: RandomStateLike = None,
) -> Ranking:
    """Rank tables that were imputed elsewhere, one or several draws each.

    Parameters
    ----------
    df_missing : DataFrame of shape (n_rows, n_columns)
        The table with its holes.
    imputations : mapping of name to DataFrame, or to a list of them
        Complete tables of the same rows and columns; several are draws of one method, whose scores are averaged. Rows
        go by the index, or by position where a table has the plain index 0, 1, ..., as files give it.
    truth : DataFrame, optional
        The complete table; same index, columns and observed cells as `df_missing`.
    metrics : str or iterable of str, optional
        With `truth`, as for :func:`~imputation_eval.rank_imputers`; None is "nds". Without, only "energy_iscore".
    n_repeats : int >= 2
        Random halves of the rows; the unit of all statistics.
    max_rows : int >= 30
        Most rows that a repeat scores, drawn at random.
    categorical : "infer" or list of column names
        The nominal columns, see :class:`~imputation_eval.TableEncoder`.
    progress : bool
        Show progress and the time left on standard error.
    random_state : None, int, RandomState or Generator
        Seed of everything.

    Returns
    -------
    Ranking
        As from :func:`~imputation_eval.rank_imputers`, with hot-deck and mean imputation of `df_missing` as references.
        Tables that leave holes, change observed cells, or have other rows or columns fail in every repeat, with the
        reason.

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If `df_missing` has no holes or too few rows, an argument is out of range, or no table can be scored.

    Notes
    -----
    Without a truth, rows that were imputed may not be compared with rows that were complete: unless values are missing
    completely at random these differ even if every hole holds the right value. What can be judged is the *conditional*
    distribution, as the energy-I-Score does (see :func:`~imputation_eval.energy_iscore`): the rows where column j was
    imputed have to forecast column j where it is observed. The imputer, which would make that forecast, is not at hand.
    In its place stands the same forecaster for all tables: a random forest of 30 trees, fitted on the imputed rows,
    that draws 30 values for each cell from its leaves (this package's choice; an early form of the score in the
    authors' code did likewise, with distributional forests). Its own error is added to that of each table, so scores
    compare tables with one another, and differences are smaller than by the imputers themselves: expect more ties. As
    there, values are assumed to be missing at random given the covariates.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from imputation_eval import ChainedImputer, MeanImputer, ampute, score_imputations
    >>> complete = load_wine(as_frame=True).data.iloc[:, :6]
    >>> holes = ampute(complete, missing_rate=0.2, random_state=0)
    >>> tables = {
    ...     "mean": MeanImputer().fit_transform(holes),
    ...     "pmm": [ChainedImputer(random_state=seed).fit_transform(holes) for seed in range(3)],
    ... }
    >>> score_imputations(holes, tables, truth=complete, n_repeats=5, random_state=0).winner
    'pmm'
    >>> score_imputations(holes, tables, n_repeats=5, random_state=0).winner
    'pmm'
    """
    check_table(df_missing, "df_missing")
    drawn = check_names(_name_tables(imputations))
    entropy = as_entropy(random_state)
    n_repeats = check_integer(n_repeats, "n_repeats", minimum=2)
    common: dict[str, Any] = {
        "metrics": metrics,
        "n_draws": 1,
        "max_rows": check_integer(max_rows, "max_rows", minimum=MIN_ROWS),
        "categorical": check_categorical(categorical),
        "entropy": entropy,
    }
    if truth is None:
        _check_truthless_metrics(metrics)
    trial: Trial = truthless_trial(df_missing, **common) if truth is None else truth_trial(df_missing, truth, **common)
    contenders = {name: _check_tables(df_missing, tables) for name, tables in drawn.items()}
    references = {
        name: tables for name, tables in _references(df_missing, trial, entropy).items() if name not in contenders
    }
    settings = {"mode": "no_truth" if truth is None else "truth", "given": True, "n_draws": None}
    return rank_in_trial(trial, contenders, references, settings, n_repeats=n_repeats, n_jobs=None, progress=progress)


def _name_tables(imputations: Any) -> dict[str, list[Any]]:
    if not isinstance(imputations, Mapping):
        raise TypeError(f"imputations should be a dict of name and table or tables, got {type(imputations).__name__}.")
    if not imputations:
        raise ValueError("imputations is empty; pass {name: table} or {name: [table, table]}.")
    named = {}
    for name, tables in imputations.items():
        if not isinstance(name, str):
            raise TypeError(f"imputations should have names that are a str, got {name!r}.")
        several = list(tables) if isinstance(tables, (list, tuple)) else [tables]
        wrong = [type(table).__name__ for table in several if not isinstance(table, pd.DataFrame)]
        if wrong or not several:
            raise TypeError(f"imputations[{name!r}] should be a DataFrame or a list of them, got {wrong or 'none'}.")
        named[name] = several
    return named


def _check_tables(df: pd.DataFrame, tables: list[pd.DataFrame]) -> GivenTables:
    draws = []
    for number, table in enumerate(tables):
        try:
            draws.append(checked(df, as_frame(df, _by_position(df, table))))
        except ImputationError as error:
            return GivenTables((), f"table {number}: {error}" if len(tables) > 1 else str(error))
    return GivenTables(tuple(draws))


def _by_position(df: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Give a table the index of ``df`` if it has none of its own; another order shows in the observed cells."""
    plain = table.index.equals(pd.RangeIndex(len(table))) and len(table) == len(df)
    return table.set_axis(df.index, axis=0) if plain else table


def _references(df: pd.DataFrame, trial: Trial, entropy: int) -> dict[str, GivenTables]:
    seeds = [derive_seed(entropy, "hot-deck", draw) for draw in range(_N_HOT_DECK)]
    mean = MeanImputer(categorical=trial.encoder.categorical)
    return {
        "hot-deck": GivenTables(tuple(impute(HotDeckImputer(), df, seed) for seed in seeds)),
        "mean": GivenTables((impute(mean, df, 0),)),
    }


def _check_truthless_metrics(metrics: Any) -> None:
    wanted = (
        list(metrics) if isinstance(metrics, (list, tuple)) else [ENERGY_ISCORE.name if metrics is None else metrics]
    )
    if wanted != [ENERGY_ISCORE.name]:
        raise ValueError(
            f"metrics={wanted} need truth=, the complete table. Without it only {ENERGY_ISCORE.name!r} can be had: "
            "rows that were imputed differ from complete rows even if every hole holds the right value, unless values "
            "are missing completely at random."
        )
