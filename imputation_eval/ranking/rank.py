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
    check_open_fraction,
)
from imputation_eval.encoding import check_categorical
from imputation_eval.imputers import HotDeckImputer, MeanImputer, name_imputers
from imputation_eval.masking import check_mechanism
from imputation_eval.ranking.result import Ranking
from imputation_eval.ranking.summary import summarize
from imputation_eval.ranking.trials import check_mode, masked_trial, truth_trial, truthless_trial
from imputation_eval.scoring import MIN_ROWS, TRUTH, ComparisonTrial, ForecastTrial, Trial, score_imputers


def rank_imputers(
    df: pd.DataFrame,
    imputers: Mapping[str, Any] | Iterable[tuple[str, Any]],
    *,
    metrics: str | Iterable[str] | None = None,
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

    In each repeat every imputer fills the same table with holes. A random half of the rows is scored, as far as they
    have a hidden cell: they are split into two random halves, and the true rows of one are compared with the imputed
    rows of the other, both ways round.

    Parameters
    ----------
    df : DataFrame of shape (n_rows, n_columns)
        Columns of numbers, dates, booleans, strings, objects or categories. It may have holes; in the modes "truth" and
        "no_truth" it must.
    imputers : mapping, or iterable of pairs, of name and imputer
        An imputer has ``fit_transform``, or is a callable ``(df, random_state: int) -> df``; see
        :func:`~imputation_eval.impute`. The name "truth" is reserved.
    metrics : str or iterable of str, optional
        Names of metrics, see Notes. None is the mode's own: "nds", but in mode "no_truth" "energy_iscore"; a default
        of "nds" could not be told from asking for it, which that mode allows, too. With several, imputers are ranked by
        each in every repeat, and the mean rank gives the order; an imputer is significantly worse if it is so by every
        metric. Values of different metrics are never averaged.
    mode : {"masked", "truth", "no_truth"}
        ``"masked"``: hide observed cells of `df` anew in each repeat; cells missing in `df` itself are never scored.
        ``"truth"``: fill the holes of `df`, and compare with `truth`.
        ``"no_truth"``: fill the holes of `df`, and see how well each column's observed cells are restored from its
        imputed ones, see :func:`~imputation_eval.energy_iscore`; each repeat takes a random half of a column's rows.
    truth : DataFrame, optional
        The complete table, in mode "truth" only; same index, columns and observed cells as `df`.
    mechanism : {"mcar", "mar", "mnar", "observed"}
        How cells are hidden in mode "masked", see :func:`~imputation_eval.ampute`.
    missing_rate : float in (0, 1)
        Share of the observed cells that a repeat hides in mode "masked".
    n_repeats : int >= 2
        Masks and splits; the unit of all statistics.
    n_draws : int >= 1
        Imputations a repeat of stochastic imputers. Each is scored and the scores are averaged. In mode "no_truth" the
        draws of each restored cell, at least 2.
    max_rows : int >= 30
        Most rows that a repeat scores, drawn at random. Imputers always see all rows of `df`; in mode "no_truth" they
        then restore each column from and in at most `max_rows` rows.
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
        With the truth (if there is one), hot-deck and mean imputation as reference rows: shown, but not ranked; the
        winner is tested against the latter two. Imputers of your own named "hot-deck" or "mean" take the place of these
        references and do compete.

    Raises
    ------
    TypeError
        If `df` is no DataFrame, an imputer is none, an argument has the wrong type, or a column has a dtype without
        distances.
    ValueError
        If an argument is out of range, `df` has duplicate column names, empty columns or infinity, fewer than 30 rows
        can be scored, there are no holes where there must be, or every imputer fails in every repeat.

    Warns
    -----
    UserWarning
        If `df` has fewer than 100 rows, over 20 % duplicate rows, constant columns or nominal ones whose levels hardly
        ever come twice, or if an imputer warned.

    Notes
    -----
    Repeats share one table, so the spread between them understates the uncertainty. Intervals and tests use the
    corrected resampled t of Nadeau and Bengio (2003): the variance of a mean over J repeats is s^2 (1/J +
    n_test/n_train). Test are the rows that a repeat scores, train the others: rows and not cells, because the cells of
    one row go together, and a mask meets nearly every row of a wide table. Half of the rows are scored, so that the
    ratio is 1: the variance of the mean of half the rows, given the table, equals that of the mean of all rows over new
    tables, s^2, and 1/J + 1 is just right for many repeats, which only remove the first term. It is less where
    `max_rows` limits the rows, or where masks leave over half of them complete; and in mode "masked", where the rows
    that two repeats share are counted, it is more where the mechanism favours some rows or fewer than 60 can be scored.
    Where each repeat hides other cells, that adds to s^2 only, which makes verdicts cautious.

    An imputer is tied with the leader unless it is significantly worse at 5 % after Holm's correction over all pairs.
    One that would be, were the two of them all there is, is tied only just, which `Ranking.explain` tells.
    With several metrics the largest of their p-values counts (intersection-union test: Berger, Technometrics 24, 1982):
    mean ranks give the order only, since they do not vary where few repeats put all imputers in one order. The interval
    of a mean rank is none of a test. Differences that are the same in every repeat count as one observation, and
    nothing follows from them. In simulations with new tables drawn each time this keeps its 5 % for differences between
    imputers. The interval of a single score is narrower than its spread over new tables and speaks of the given table
    only.

    Metrics that compare samples of rows judge the whole distribution: "nds", "energy", "sliced_energy", "mmd",
    "mmd_fourier", "wasserstein", "sliced_wasserstein", "sinkhorn_divergence", "knn_kl", "classifier_auc"; or parts of
    it: "marginal_wasserstein", "marginal_ks", "marginal_total_variation", "correlation_difference". Those that compare
    cells ("rmse", "mae", "accuracy") reward the conditional mean. In mode "no_truth" the former compare the covariates
    and the restored column with the covariates and the true column, over other rows (which is this package's own
    definition), averaged over columns with the weights of the energy-I-Score.

    Every imputer is seeded, see :func:`~imputation_eval.impute`: also those that draw from the global state of
    ``np.random``. What draws from elsewhere (another library's own state) is not reproducible.

    An imputer that fails in any repeat (raises, changes observed cells, leaves holes) ranks behind all that never do.
    There is no time limit, since Python cannot stop foreign code safely: the line of progress names the imputer that
    runs, and the table has its seconds.

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
    named = check_names(name_imputers(imputers))
    check_mode(mode, truth)
    n_repeats, n_jobs = check_integer(n_repeats, "n_repeats", minimum=2), check_n_jobs(n_jobs)
    check_mechanism(mechanism)
    hiding: dict[str, Any] = {
        "mechanism": mechanism,
        "missing_rate": check_open_fraction(missing_rate, "missing_rate"),
    }
    common: dict[str, Any] = {
        "metrics": metrics,
        # One draw of a restored cell would be scored as if nothing else were possible.
        "n_draws": check_integer(n_draws, "n_draws", minimum=2 if mode == "no_truth" else 1),
        "max_rows": check_integer(max_rows, "max_rows", minimum=MIN_ROWS),
        "categorical": check_categorical(categorical),
        "entropy": as_entropy(random_state),
    }
    trial: Trial
    if mode == "masked":
        trial = masked_trial(df, **hiding, **common)
    elif truth is not None:
        trial = truth_trial(df, truth, **common)
    else:
        trial = truthless_trial(df, **common)
    references = {"hot-deck": HotDeckImputer(), "mean": MeanImputer(categorical=trial.encoder.categorical)}
    references = {name: imputer for name, imputer in references.items() if name not in named}
    settings = {"mode": mode, "given": False, "n_draws": n_draws, **(hiding if mode == "masked" else {})}
    return rank_in_trial(trial, named, references, settings, n_repeats=n_repeats, n_jobs=n_jobs, progress=progress)


def check_names(named: dict[str, Any]) -> dict[str, Any]:
    """Return ``named``, or raise a ValueError if it has the name that is reserved for the truth."""
    if TRUTH in named:
        raise ValueError(f"imputers has an entry named {TRUTH!r}, which is reserved for the truth itself.")
    return named


def rank_in_trial(
    trial: Trial,
    contenders: dict[str, Any],
    references: dict[str, Any],
    settings: dict[str, Any],
    *,
    n_repeats: int,
    n_jobs: int | None,
    progress: bool,
) -> Ranking:
    """Put imputers through a trial, and rank those that are no references."""
    scores = score_imputers(trial, {**contenders, **references}, n_repeats=n_repeats, n_jobs=n_jobs, progress=progress)
    ratio = trial.overlap_ratio()
    shown = [*([TRUTH] if trial.has_truth else []), *references]
    summary = summarize(scores.raw, trial.metrics, shown, ratio=ratio, entropy=trial.entropy)
    described = {
        **settings,
        "metrics": [metric.name for metric in trial.metrics],
        "lower_is_better": {metric.name: metric.lower_is_better for metric in trial.metrics},
        "hidden_rate": trial.hidden_rate() if isinstance(trial, ComparisonTrial) else None,
        "covariates": {t.name: t.covariates for t in trial.tasks} if isinstance(trial, ForecastTrial) else None,
        "not_scored": trial.skipped if isinstance(trial, ForecastTrial) else None,
        "n_rows": len(trial.table),
        "n_repeats": n_repeats,
        "max_rows": trial.max_rows,
        "overlap_ratio": ratio,
    }
    return Ranking(
        table=summary.table,
        per_metric=summary.per_metric,
        pairwise=summary.pairwise,
        against_references=summary.against_references,
        rank_probabilities=summary.rank_probabilities,
        agreement=summary.agreement,
        per_column=scores.per_column,
        raw=scores.raw,
        settings=described,
        example=scores.example,
    )
