"""Distances between samples column by column, and between their correlations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from imputation_eval.metrics.metric import Metric
from imputation_eval.metrics.samples import Sample, check_samples
from imputation_eval.metrics.slices import monotone_coupling

_Array = NDArray[np.float64]
_BINS = 20
_ROUNDING = 1e-14  # relative: what varies less varies by rounding alone


def marginal_wasserstein(x: Sample, y: Sample) -> float:
    """Mean over the columns of their 1-Wasserstein distances; marginal only.

    Parameters
    ----------
    x : array of shape (n, n_features) or DataFrame
        Arrays are taken as they are; DataFrames are encoded by :class:`~imputation_eval.TableEncoder`, fitted on `x`,
        where each level of a nominal column is a column of its own.
    y : array of shape (m, n_features) or DataFrame
        The other sample.

    Returns
    -------
    float
        In the unit of the features; lower is better. Blind to how columns are related: shuffling each of them by itself
        changes nothing.

    Raises
    ------
    ValueError
        If a sample contains NaN or infinity, or the columns differ.
    TypeError
        If one is a DataFrame and the other is not.

    Examples
    --------
    >>> from imputation_eval import marginal_wasserstein
    >>> marginal_wasserstein([[0.0, 5.0], [1.0, 5.0]], [[3.0, 5.0], [2.0, 5.0]])  # 2 and 0
    1.0
    """
    return _marginal_wasserstein(*check_samples(x, y, "marginal_wasserstein"))


def marginal_ks(x: Sample, y: Sample) -> float:
    """Mean over the columns of the Kolmogorov-Smirnov statistic sup|F - G|; marginal only.

    Parameters
    ----------
    x : array of shape (n, n_features) or DataFrame
        Arrays are taken as they are; DataFrames are encoded by :class:`~imputation_eval.TableEncoder`, fitted on `x`,
        where each level of a nominal column is a column of its own.
    y : array of shape (m, n_features) or DataFrame
        The other sample.

    Returns
    -------
    float
        Between 0 and 1; lower is better. Blind to how columns are related.

    Raises
    ------
    ValueError
        If a sample contains NaN or infinity, or the columns differ.
    TypeError
        If one is a DataFrame and the other is not.

    Examples
    --------
    >>> from imputation_eval import marginal_ks
    >>> marginal_ks([1.0, 2.0, 3.0, 4.0], [3.5, 4.0, 5.0, 6.0])
    0.75
    """
    return _mean_over_columns(_ks, *check_samples(x, y, "marginal_ks"))


def marginal_total_variation(x: Sample, y: Sample) -> float:
    """Mean over the columns of their total variation; marginal only.

    Half the sum of ``|p - q|`` over the values of a column, where `x` and `y` together have at most 20; else over the
    20 bins that the quantiles of `x` bound.

    Parameters
    ----------
    x : array of shape (n, n_features) or DataFrame
        Arrays are taken as they are; DataFrames are encoded by :class:`~imputation_eval.TableEncoder`, fitted on `x`,
        where each level of a nominal column is a column of its own.
    y : array of shape (m, n_features) or DataFrame
        The other sample.

    Returns
    -------
    float
        Between 0 and 1; lower is better: the share of cells that would have to change. Blind to how columns are
        related. The bins are this package's choice.

    Raises
    ------
    ValueError
        If a sample contains NaN or infinity, or the columns differ.
    TypeError
        If one is a DataFrame and the other is not.

    Examples
    --------
    >>> from imputation_eval import marginal_total_variation
    >>> marginal_total_variation([0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.0, 1.0])
    0.25
    """
    return _mean_over_columns(_total_variation, *check_samples(x, y, "marginal_total_variation"))


def correlation_difference(x: Sample, y: Sample) -> float:
    """Root mean squared difference of the correlations of all pairs of columns.

    Parameters
    ----------
    x : array of shape (n, n_features) or DataFrame
        At least two columns. Arrays are taken as they are; DataFrames are encoded by
        :class:`~imputation_eval.TableEncoder`, fitted on `x`.
    y : array of shape (m, n_features) or DataFrame
        The other sample.

    Returns
    -------
    float
        Between 0 and 2; lower is better. A column that does not vary counts as uncorrelated. Blind to marginal
        distributions and to all but linear relations.

    Raises
    ------
    ValueError
        If a sample has fewer than two rows or columns, contains NaN or infinity, or the columns differ.
    TypeError
        If one is a DataFrame and the other is not.

    Examples
    --------
    >>> from imputation_eval import correlation_difference
    >>> round(correlation_difference([[0.0, 0.0], [1.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]), 6)  # 1 and -1
    2.0
    """
    a, b = check_samples(x, y, "correlation_difference", least=2)
    if a.shape[1] < 2:
        raise ValueError("correlation_difference needs at least 2 columns, got 1.")
    return _correlation_difference(a, b)


def marginal_distance(x: _Array, y: _Array) -> float:
    """Distance between the values of one column, which says nothing of its relations with others.

    Parameters
    ----------
    x, y : ndarray of shape (n, width)
        Encoded cells, as many on both sides.

    Returns
    -------
    float
        Numeric and ordinal columns (width 1): the 1-Wasserstein distance in the scaled unit. Nominal ones (a column an
        indicator): total variation, the share of cells that would have to change their level.
    """
    if x.shape[1] > 1:  # indicators are divided by sqrt(2)
        return float(np.abs(x.mean(axis=0) - y.mean(axis=0)).sum() / np.sqrt(2))
    return float(np.abs(np.sort(x, axis=0) - np.sort(y, axis=0)).mean())


def _marginal_wasserstein(x: _Array, y: _Array) -> float:
    i, j, mass = monotone_coupling(len(x), len(y))
    return _mean_over_columns(lambda a, b: float(np.abs(np.sort(a)[i] - np.sort(b)[j]) @ mass), x, y)


def _mean_over_columns(distance: Callable[[_Array, _Array], float], x: _Array, y: _Array) -> float:
    return float(np.mean([distance(a, b) for a, b in zip(x.T, y.T, strict=True)]))


def _ks(x: _Array, y: _Array) -> float:
    x, y = np.sort(x), np.sort(y)
    places = np.concatenate([x, y])
    shares = (np.searchsorted(s, places, side="right") / len(s) for s in (x, y))
    return float(np.abs(np.subtract(*shares)).max())


def _total_variation(x: _Array, y: _Array) -> float:
    values, codes = np.unique(np.concatenate([x, y]), return_inverse=True)
    if len(values) > _BINS:
        edges = np.unique(np.quantile(x, np.arange(1, _BINS) / _BINS))
        codes = np.searchsorted(edges, values, side="right")[codes]
    p, q = (np.bincount(c, minlength=codes.max() + 1) / len(c) for c in np.split(codes, [len(x)]))
    return float(np.abs(p - q).sum() / 2)


def _correlation_difference(x: _Array, y: _Array) -> float:
    if x.shape[1] < 2:
        return float("nan")  # a ranking reports that as a reason
    difference = _correlations(x) - _correlations(y)
    return float(np.sqrt((difference[np.triu_indices(len(difference), 1)] ** 2).mean()))


def _correlations(x: _Array) -> _Array:
    centered = x - x.mean(axis=0)
    largest = np.abs(centered).max(axis=0)
    # What is left of a constant is rounding. Scaled to 1 first, so that squares do not overflow.
    varies = largest > _ROUNDING * np.abs(x).max(axis=0)
    centered = np.where(varies, centered, 0) / np.where(varies, largest, 1)
    norms = np.linalg.norm(centered, axis=0)
    centered /= np.where(varies, norms, 1)
    return centered.T @ centered


MARGINAL_WASSERSTEIN, MARGINAL_KS, MARGINAL_TOTAL_VARIATION = (
    Metric(name, compute, truth_is_floor=False, note=f"{name} is marginal only: blind to how columns are related")
    for name, compute in (
        ("marginal_wasserstein", lambda x, y, rng: _marginal_wasserstein(x, y)),
        ("marginal_ks", lambda x, y, rng: _mean_over_columns(_ks, x, y)),
        ("marginal_total_variation", lambda x, y, rng: _mean_over_columns(_total_variation, x, y)),
    )
)
CORRELATION_DIFFERENCE = Metric(
    "correlation_difference",
    lambda x, y, rng: _correlation_difference(x, y),
    truth_is_floor=False,
    note="correlation_difference sees linear relations only, and is blind to the distribution of each column",
)
