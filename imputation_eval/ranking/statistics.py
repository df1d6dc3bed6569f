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
PAIRWISE_COLUMNS = ["better", "worse", "difference", "ci_low", "ci_high", "p_value", "p_holm"]


def corrected_interval(values: _Array, ratio: float) -> tuple[float, float, float]:
    """Mean and confidence interval by the corrected resampled t [1]_.

    Repeats overlap, so their spread understates the uncertainty of their mean: the variance of the mean is taken as
    ``s^2 (1/J + ratio)`` instead of ``s^2 / J``, with J - 1 degrees of freedom.

    Parameters
    ----------
    values : ndarray of shape (n_repeats,)
        One value a repeat; NaN are left out.
    ratio : float
        n_test / n_train.

    Returns
    -------
    mean, low, high : float
        NaN limits with fewer than two values; all NaN without any.

    References
    ----------
    .. [1] C. Nadeau, Y. Bengio, "Inference for the generalization error", Machine Learning 52 (2003).
    """
    values = values[~np.isnan(values)]
    if len(values) == 0:
        return np.nan, np.nan, np.nan
    mean = float(values.mean())
    if len(values) == 1:
        return mean, np.nan, np.nan
    half_width = stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * _standard_error(values, ratio)
    return mean, mean - half_width, mean + half_width


def compare_pairs(
    values: _Array,
    names: Sequence[str] | NDArray[Any],
    ratio: float,
    *,
    pairs: Iterable[tuple[int, int]] | None = None,
) -> pd.DataFrame:
    """Compare pairs of imputers by the corrected resampled t on their paired differences.

    Parameters
    ----------
    values : ndarray of shape (n_repeats, n_imputers)
        Lower is better; no NaN in the columns that are compared.
    names : sequence of str
    ratio : float
        n_test / n_train.
    pairs : iterable of (int, int), optional
        Which columns to compare; all pairs by default. All, not those with the leader only: the leader is picked by the
        same scores, and the error rate must hold whoever it is.

    Returns
    -------
    DataFrame
        One row a pair: better, worse, difference (worse minus better, >= 0) with its interval, the two-sided p_value,
        and p_holm, which is corrected over the pairs.
    """
    rows = []
    for a, b in combinations(range(len(names)), 2) if pairs is None else pairs:
        if values[:, a].mean() > values[:, b].mean():
            a, b = b, a
        difference = values[:, b] - values[:, a]
        rows.append((names[a], names[b], *corrected_interval(difference, ratio), _p_value(difference, ratio)))
    pairwise = pd.DataFrame(rows, columns=PAIRWISE_COLUMNS[:-1])
    pairwise["p_holm"] = holm(pairwise["p_value"].to_numpy(dtype=np.float64))
    return pairwise


def holm(p_values: _Array) -> _Array:
    """Adjust p-values by Holm's step-down procedure, which bounds the chance of any false rejection."""
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1)))
    return adjusted


def bootstrap_ranks(values: _Array, ratio: float, rng: np.random.Generator) -> tuple[_Array, _Array, _Array]:
    """Chance of each rank and interval of the rank, by a bootstrap over repeats.

    Deviations of the resampled means are widened by ``sqrt((1 + J ratio) J / (J - 1))`` and, in each resample, divided
    by ``sqrt(chi2 / (J - 1))`` with J - 1 degrees of freedom. So they vary as the corrected resampled t says: not as if
    repeats were independent, nor as if their spread were known.

    Parameters
    ----------
    values : ndarray of shape (n_repeats, n_imputers)
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
    n_repeats, n_imputers = values.shape
    weights = rng.multinomial(n_repeats, np.full(n_repeats, 1 / n_repeats), size=_N_BOOTSTRAP) / n_repeats
    widening = np.sqrt((1 + n_repeats * ratio) * n_repeats / (n_repeats - 1))
    center = values.mean(axis=0)
    doubt = np.sqrt((n_repeats - 1) / rng.chisquare(n_repeats - 1, size=(_N_BOOTSTRAP, 1)))
    means = center + widening * doubt * (weights @ (values - center))
    first, last = (stats.rankdata(means, method=method, axis=1) for method in ("min", "max"))
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


def _standard_error(values: _Array, ratio: float) -> float:
    return float(np.sqrt(values.var(ddof=1) * (1 / len(values) + ratio)))


def _p_value(difference: _Array, ratio: float) -> float:
    mean, error = difference.mean(), _standard_error(difference, ratio)
    if error <= 1e-12 * abs(mean):  # no spread: a constant difference is certain, none at all is a tie
        return 1.0 if mean == 0 else 0.0
    return float(2 * stats.t.sf(abs(mean) / error, len(difference) - 1))
