"""Tests, intervals and ranks from repeats that share one table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

_Array = NDArray[np.float64]
CONFIDENCE = 0.95
_N_BOOTSTRAP = 2000
_ROUNDING = 1e-12
PAIRWISE_COLUMNS = ["better", "worse", "difference", "ci_low", "ci_high", "p_value", "p_holm"]


def corrected_interval(values: _Array, ratio: float, scale: float | None = None) -> tuple[float, float, float]:
    """Mean and confidence interval by the corrected resampled t [1]_.

    Repeats overlap, so their spread understates the uncertainty of their mean: the variance of the mean is taken as
    ``s^2 (1/J + ratio)`` instead of ``s^2 / J``, with J - 1 degrees of freedom.

    Parameters
    ----------
    values : ndarray of shape (n_repeats,)
        One value a repeat; NaN are left out.
    ratio : float
        n_test / n_train.
    scale : float, optional
        Size of the numbers whose differences the values are, of which rounding is a share; that of their mean by
        default.

    Returns
    -------
    mean, low, high : float
        NaN limits with fewer than two values that differ: equal ones tell nothing of their spread. All NaN without any.

    References
    ----------
    .. [1] C. Nadeau, Y. Bengio, "Inference for the generalization error", Machine Learning 52 (2003).
    """
    values = values[~np.isnan(values)]
    if len(values) == 0:
        return np.nan, np.nan, np.nan
    mean = float(values.mean())
    error = _standard_error(values, ratio, scale)
    if np.isnan(error):
        return mean, np.nan, np.nan
    half_width = stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * error
    return mean, mean - half_width, mean + half_width


def compare_pairs(
    values: _Array,
    names: Sequence[str] | NDArray[Any],
    ratio: float,
    *,
    by_metric: Sequence[_Array] | None = None,
    pairs: Iterable[tuple[int, int]] | None = None,
) -> pd.DataFrame:
    """Compare pairs of imputers by the corrected resampled t on their paired differences.

    With several metrics one imputer is worse than another if it is so by every metric, hence the largest of their
    p-values counts, which needs no correction (intersection-union test [1]_).

    Parameters
    ----------
    values : ndarray of shape (n_repeats, n_imputers)
        What tells the better one of a pair, by its mean. Lower is better; no NaN in the columns that are compared.
    names : sequence of str
    ratio : float
        n_test / n_train.
    by_metric : sequence of ndarrays of shape (n_repeats, n_imputers), optional
        What is tested; `values` alone by default. Mean ranks can be no test: where few repeats put all imputers in the
        same order, as they do by chance, ranks do not vary at all.
    pairs : iterable of (int, int), optional
        Which columns to compare; all pairs by default. All, not those with the leader only: the leader is picked by the
        same scores, and the error rate must hold whoever it is.

    Returns
    -------
    DataFrame
        One row a pair: better, worse, difference (worse minus better, >= 0) with its interval, the two-sided p_value,
        and p_holm, which is corrected over the pairs. Differences that are the same in every repeat count as one
        observation, which cannot be tested: p_value is 1 and the interval NaN.

    References
    ----------
    .. [1] R. Berger, "Multiparameter hypothesis testing and acceptance sampling", Technometrics 24 (1982).
    """
    tested = [values] if by_metric is None else by_metric
    rows = []
    for a, b in combinations(range(len(names)), 2) if pairs is None else pairs:
        if values[:, a].mean() > values[:, b].mean():
            a, b = b, a
        p_value = max(_p_value(metric[:, a], metric[:, b], ratio) for metric in tested)
        interval = corrected_interval(values[:, b] - values[:, a], ratio, _largest(values[:, [a, b]]))
        rows.append((names[a], names[b], *interval, p_value))
    pairwise = pd.DataFrame(rows, columns=PAIRWISE_COLUMNS[:-1])
    pairwise["p_holm"] = holm(pairwise["p_value"].to_numpy(dtype=np.float64))
    return pairwise


def holm(p_values: _Array) -> _Array:
    """Adjust p-values by Holm's step-down procedure, which bounds the chance of any false rejection."""
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1)))
    return adjusted


def bootstrap_ranks(
    by_metric: Sequence[_Array], ratio: float, rng: np.random.Generator
) -> tuple[_Array, _Array, _Array]:
    """Chance of each rank and interval of the rank, by a bootstrap over repeats.

    Resampled means are ranked by each metric, and imputers by the mean of these ranks.

    Deviations of the resampled means are widened by ``sqrt((1 + J ratio) J / (J - 1))`` and, in each resample, divided
    by ``sqrt(chi2 / (J - 1))`` with J - 1 degrees of freedom. So they vary as the corrected resampled t says: not as if
    repeats were independent, nor as if their spread were known.

    Parameters
    ----------
    by_metric : sequence of ndarrays of shape (n_repeats, n_imputers)
        Lower is better; no NaN.
    ratio : float
        n_test / n_train.
    rng : Generator

    Returns
    -------
    probabilities : ndarray of shape (n_imputers, n_imputers)
        Entry (i, r) is the chance that imputer i has rank r + 1. Rows and columns sum to 1; equal means share.
    rank_low, rank_high : ndarray of shape (n_imputers,)
        The 2.5 % and 97.5 % percentiles of the rank.
    """
    n_repeats, n_imputers = by_metric[0].shape
    weights = rng.multinomial(n_repeats, np.full(n_repeats, 1 / n_repeats), size=_N_BOOTSTRAP) / n_repeats
    widening = np.sqrt((1 + n_repeats * ratio) * n_repeats / (n_repeats - 1))
    doubt = np.sqrt((n_repeats - 1) / rng.chisquare(n_repeats - 1, size=(_N_BOOTSTRAP, 1)))
    places = np.zeros((_N_BOOTSTRAP, n_imputers))
    for values in by_metric:
        center = values.mean(axis=0)
        places += stats.rankdata(center + widening * doubt * (weights @ (values - center)), axis=1)
    first, last = (stats.rankdata(places, method=method, axis=1) for method in ("min", "max"))
    probabilities = np.empty((n_imputers, n_imputers))
    for rank in range(1, n_imputers + 1):
        probabilities[:, rank - 1] = (((first <= rank) & (rank <= last)) / (last - first + 1)).mean(axis=0)
    tail = (1 - CONFIDENCE) / 2
    low = np.quantile(first, tail, axis=0, method="inverted_cdf")
    high = np.quantile(last, 1 - tail, axis=0, method="inverted_cdf")
    return probabilities, low, high


def rank_among(values: _Array, contenders: NDArray[np.bool_]) -> _Array:
    """Rank each repeat's values among the contenders.

    Parameters
    ----------
    values : ndarray of shape (n_repeats, n_rows)
        Lower is better; NaN outside the contenders gives NaN.
    contenders : bool ndarray of shape (n_rows,)
        Who takes part. Contenders get the ranks 1, 2, ..., equal values the mean of theirs. Others are placed between
        the contenders without moving them: 0.5 is better than all.

    Returns
    -------
    ndarray of shape (n_repeats, n_rows)
    """
    field = values[:, None, contenders]
    better = (field < values[:, :, None]).sum(axis=2)
    equal = (field == values[:, :, None]).sum(axis=2)
    return np.where(np.isnan(values), np.nan, 0.5 + better + 0.5 * equal)


def _standard_error(values: _Array, ratio: float, scale: float | None) -> float:
    """Return the standard error of the mean, or NaN if there are no two values that differ by more than rounding."""
    if len(values) < 2 or values.std() <= _ROUNDING * (abs(values.mean()) if scale is None else scale):
        return np.nan
    return float(np.sqrt(values.var(ddof=1) * (1 / len(values) + ratio)))


def _p_value(better: _Array, worse: _Array, ratio: float) -> float:
    """Return the two-sided p-value of a difference; 1 where its mean is negative or it does not vary."""
    difference = worse - better
    mean, error = difference.mean(), _standard_error(difference, ratio, max(_largest(better), _largest(worse)))
    if np.isnan(error) or mean <= 0:
        return 1.0
    return float(2 * stats.t.sf(mean / error, len(difference) - 1))


def _largest(values: _Array) -> float:
    return float(np.abs(values).max(initial=0.0))
