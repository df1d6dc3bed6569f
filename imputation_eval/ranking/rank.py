"""The entry point of the package: rank imputers on a table."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import pandas as pd

from imputation_eval._validation import (
    RandomStateLike,
    as_entropy,
    check_integer,
    check_n_jobs,
    check_no_empty_column,
    check_open_fraction,
    check_table,
    warn_user,
)
from imputation_eval.encoding import TableEncoder, check_categorical, column_roles
from imputation_eval.imputers import HotDeckImputer, MeanImputer, name_imputers
from imputation_eval.imputers.contract import count_changed, index_difference
from imputation_eval.masking import check_mechanism
from imputation_eval.ranking.result import Ranking
from imputation_eval.ranking.summary import summarize
from imputation_eval.scoring import MIN_ROWS, TRUTH, Trial, choose_metrics, overlap_ratio, score_imputers

_MODES = ("masked", "truth")
_FEW_ROWS = 100


def rank_imputers(
    df: pd.DataFrame,
    imputers: Mapping[str, Any] | Iterable[tuple[str, Any]],
    *,
    metrics: str | Iterable[str] = ("nds",),
    mode: str = "masked",
    truth: pd.DataFrame | None = None,
    mechanism: str = "mcar",
    missing_rate: float = 0.2,
    n_repeats: int = 20,
    n_draws: int = 5,
    max_rows: int = 2000,
    categorical: str | Iterable[Hashable] = "infer",
    n_jobs: int | None = None,
    progress: bool = True,
    random_state: RandomStateLike = None,
) -> Ranking:
    """Rank imputers by how closely the tables they fill resemble the true one.

    In each repeat every imputer fills the same table with holes. The rows that have a hidden cell are split into two
    random halves, and the true rows of one half are compared with the imputed rows of the other, both ways round.

    Parameters
    ----------
    df : DataFrame of shape (n_rows, n_columns)
        Numeric, boolean, string, object or category columns. It may have holes; in mode "truth" it must.
    imputers : mapping, or iterable of pairs, of name and imputer
        An imputer has ``fit_transform``, or is a callable ``(df, random_state: int) -> df``. The name "truth" is
        reserved.
    metrics : str or iterable of {"nds", "energy", "wasserstein", "rmse"}
        With several, imputers are ranked by each in every repeat, and the mean rank is what counts; values of different
        metrics are never averaged.
    mode : {"masked", "truth"}
        ``"masked"``: hide observed cells of `df` anew in each repeat; cells missing in `df` itself are never scored.
        ``"truth"``: fill the holes of `df`, and compare with `truth`; each repeat scores a random half of the rows.
    truth : DataFrame, optional
        The complete table, in mode "truth" only; same index, columns and observed cells as `df`.
    mechanism : {"mcar"}
        How cells are hidden in mode "masked", see :func:`~imputation_eval.ampute`.
    missing_rate : float in (0, 1)
        Share of the observed cells that a repeat hides in mode "masked".
    n_repeats : int >= 2
        Masks and splits; the unit of all statistics.
    n_draws : int
        Imputations a repeat of stochastic imputers. Each is scored and the scores are averaged.
    max_rows : int >= 30
        Most rows that a repeat scores, drawn at random. Imputers always see all rows.
    categorical : "infer" or list of column names
        The nominal columns, see :class:`~imputation_eval.TableEncoder`.
    n_jobs : int, optional
        Processes; None is 1, -1 all cores. The result does not depend on it.
    progress : bool
        Show progress and the time left on standard error.
    random_state : None, int, RandomState or Generator
        Seed of everything.

    Returns
    -------
    Ranking
        With the truth, hot-deck and mean imputation as reference rows: shown, but not ranked; the winner is tested
        against the latter two. Imputers of your own named "hot-deck" or "mean" take the place of these references and
        do compete.

    Raises
    ------
    TypeError
        If `df` is no DataFrame, an imputer is none, an argument has the wrong type, or a column has a dtype without
        distances.
    ValueError
        If an argument is out of range, `df` has duplicate column names, empty columns or infinity, fewer than 30 rows
        can be scored, or every imputer fails in every repeat.

    Warns
    -----
    UserWarning
        If `df` has fewer than 100 rows, over 20 % duplicate rows or constant columns, or if an imputer warned.

    Notes
    -----
    Repeats share one table, so the spread between them understates the uncertainty. Intervals and tests use the
    corrected resampled t of Nadeau and Bengio (2003): the variance of a mean over J repeats is
    s^2 (1/J + n_test/n_train). In mode "masked" the units are cells, n_test/n_train =
    missing_rate / (1 - missing_rate), since a mask contains each cell of another one with probability missing_rate.
    In mode "truth" they are rows, scored ones over the others. An imputer is tied with the leader unless it is
    significantly worse at 5 % after Holm's correction over all pairs. In simulations with new tables drawn each time
    this keeps its 5 % for differences between imputers; the interval of a single score is narrower than its spread
    over new tables and speaks of the given table only.

    An imputer that fails in any repeat (raises, changes observed cells, leaves holes) ranks behind all that never do.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.experimental import enable_iterative_imputer
    >>> from sklearn.impute import IterativeImputer, SimpleImputer
    >>> from imputation_eval import rank_imputers
    >>> df = load_diabetes(as_frame=True).data
    >>> imputers = {
    ...     "median": SimpleImputer(strategy="median"),
    ...     "regression": IterativeImputer(sample_posterior=True, max_iter=3),
    ... }
    >>> ranking = rank_imputers(df, imputers, n_repeats=3, n_draws=1, random_state=0)
    >>> ranking.winner
    'regression'
    >>> list(ranking.table.index)
    ['regression', 'median', 'truth', 'mean', 'hot-deck']
    """
    named = _check_imputers(imputers)
    trial = _make_trial(
        check_table(df, "df"),
        metrics=choose_metrics(metrics, check_integer(max_rows, "max_rows", minimum=MIN_ROWS)),
        truth=_check_mode(mode, truth),
        mechanism=mechanism,
        missing_rate=missing_rate,
        n_draws=check_integer(n_draws, "n_draws", minimum=1),
        max_rows=max_rows,
        categorical=check_categorical(categorical),
        entropy=as_entropy(random_state),
    )
    n_repeats = check_integer(n_repeats, "n_repeats", minimum=2)
    n_jobs = check_n_jobs(n_jobs)
    references = {"hot-deck": HotDeckImputer(), "mean": MeanImputer(categorical=trial.encoder.categorical)}
    references = {name: imputer for name, imputer in references.items() if name not in named}
    scores = score_imputers(trial, {**named, **references}, n_repeats=n_repeats, n_jobs=n_jobs, progress=progress)
    summary = summarize(
        scores.raw, trial.metrics, [TRUTH, *references], ratio=overlap_ratio(trial), entropy=trial.entropy
    )
    settings = {
        "metrics": [metric.name for metric in trial.metrics],
        "lower_is_better": {metric.name: metric.lower_is_better for metric in trial.metrics},
        "mode": mode,
        "mechanism": trial.mechanism,
        "missing_rate": trial.missing_rate,
        "n_repeats": n_repeats,
        "n_draws": n_draws,
        "max_rows": max_rows,
    }
    return Ranking(
        table=summary.table,
        per_metric=summary.per_metric,
        pairwise=summary.pairwise,
        against_references=summary.against_references,
        per_column=scores.per_column,
        raw=scores.raw,
        settings=settings,
    )


def _check_imputers(imputers: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> dict[str, Any]:
    named = name_imputers(imputers)
    if TRUTH in named:
        raise ValueError(f"imputers has an entry named {TRUTH!r}, which is reserved for the truth itself.")
    return named


def _check_mode(mode: str, truth: pd.DataFrame | None) -> pd.DataFrame | None:
    if mode not in _MODES:
        raise ValueError(f"mode={mode!r} is not available; available: {list(_MODES)}.")
    if mode == "truth" and truth is None:
        raise ValueError("mode='truth' needs truth=, the complete table.")
    if mode != "truth" and truth is not None:
        raise ValueError(f"truth= is used by mode='truth' only, but mode={mode!r}.")
    return None if truth is None else check_table(truth, "truth")


def _make_trial(
    df: pd.DataFrame,
    *,
    truth: pd.DataFrame | None,
    mechanism: str,
    missing_rate: float,
    categorical: str | list[Hashable],
    **rest: Any,
) -> Trial:
    if len(df) < MIN_ROWS:
        raise ValueError(f"df has {len(df)} rows, at least {MIN_ROWS} are needed.")
    check_no_empty_column(df, "df")
    check_mechanism(mechanism)
    hiding: dict[str, Any] = {
        "mechanism": mechanism,
        "missing_rate": check_open_fraction(missing_rate, "missing_rate"),
    }
    if truth is not None:
        _check_truth(df, truth, categorical)
        hiding = {"mechanism": None, "missing_rate": None}
    reference = df if truth is None else truth
    _warn_of_weak_data(reference, "df" if truth is None else "truth")
    encoder = TableEncoder(categorical=categorical).fit(reference)
    return Trial(table=df, truth=reference, encoder=encoder, **hiding, **rest)


def _check_truth(df: pd.DataFrame, truth: pd.DataFrame, categorical: str | list[Hashable]) -> None:
    if list(truth.columns) != list(df.columns):
        raise ValueError(f"truth has columns {list(truth.columns)} but df has {list(df.columns)}.")
    if not truth.index.equals(df.index):
        raise ValueError(f"truth and df differ in their index: {index_difference(truth.index, df.index)}.")
    if not df.isna().to_numpy().any():
        raise ValueError("df has no holes, so there is nothing to compare with truth.")
    roles, true_roles = column_roles(df, categorical), column_roles(truth, categorical)
    for name in df.columns:
        if roles[name] != true_roles[name]:
            raise ValueError(
                f"column {name!r} is {roles[name]} in df ({df[name].dtype}) but {true_roles[name]} in truth "
                f"({truth[name].dtype}); give both the same kind of values."
            )
    lacking = [name for name in df.columns if (df[name].notna() & truth[name].isna()).any()]
    if lacking:
        raise ValueError(f"truth lacks cells that df has, in the columns {lacking}.")
    changed = {name: n for name in df.columns if (n := count_changed(df[name], truth[name]))}
    if changed:
        raise ValueError(f"truth differs from df in observed cells (column: cells): {changed}.")


def _warn_of_weak_data(table: pd.DataFrame, name: str) -> None:
    if len(table) < _FEW_ROWS:
        warn_user(f"{name} has only {len(table)} rows; below {_FEW_ROWS} ranks are mostly noise.")
    try:
        duplicated = table.duplicated().mean()
    except TypeError:  # unhashable cells: the encoder names the column
        return
    if duplicated > 0.2:
        warn_user(
            f"{duplicated:.0%} of the rows of {name} repeat another row; reference and candidate then share rows, "
            "which favours imputers that copy."
        )
