"""How good a summary is."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from .clustering import cluster
from .construction import check_rows
from .nearest import clustering_cost
from .points import Coreset
from .validation import RandomState, as_generator, check_count, check_power


def distortion(
    X: ArrayLike,
    coreset: Coreset,
    n_clusters: int,
    *,
    power: int = 2,
    sample_weight: ArrayLike | None = None,
    random_state: RandomState = None,
) -> float:
    """Ratio, at least 1, between the cost of the data and of the summary on centres that were solved on the summary.

    ``max(cost_X(C) / cost_S(C), cost_S(C) / cost_X(C))`` with C the best of three local searches on S. This is the
    measure of Schwiegelshohn and Sheikh-Omar, "An Empirical Evaluation of k-Means Coresets" (ESA 2022); values above 5
    are called a failure there.

    Parameters
    ----------
    X : array-like of shape (n, d)
        The data that was summarised.
    coreset : Coreset
    n_clusters : int
    power : {1, 2}, default=2
        2 for k-means, 1 for k-median.
    sample_weight : array-like of shape (n,), optional
    random_state : int, RandomState, Generator or None, default=None

    Returns
    -------
    float
        1.0 is perfect.

    Raises
    ------
    ValueError
        When `n_clusters` is not in ``1 .. number of points``, or X does not have the coreset's columns.

    Examples
    --------
    >>> import numpy as np
    >>> from coreset import RobustCoreset, distortion
    >>> X = np.random.default_rng(0).normal(size=(2000, 2)) + np.repeat([[0], [50]], 1000, axis=0)
    >>> summary = RobustCoreset(n_points=100, random_state=0).fit(X).coreset_
    >>> distortion(X, summary, n_clusters=2, random_state=0) < 1.001
    True
    """
    check_power(power)
    if check_count("n_clusters", n_clusters) > len(coreset):
        raise ValueError(f"n_clusters={n_clusters} is more than the coreset's {len(coreset)} points")
    rows = check_rows(BaseEstimator(), X, None, sample_weight)
    if rows.X.shape[1] != coreset.n_features:
        raise ValueError(f"X has {rows.X.shape[1]} columns, the coreset has {coreset.n_features}")
    used = coreset.weights > 0
    spread = coreset._spreads()[used] if power == 1 else None
    solution = cluster(
        coreset.points[used],
        coreset.weights[used],
        n_clusters,
        as_generator(random_state),
        power=power,
        spread=spread,
    )
    true_cost = clustering_cost(rows.X, solution.centers, rows.weights, power=power)
    summary_cost = coreset.cost(solution.centers, power=power)
    if true_cost == summary_cost:
        return 1.0
    if true_cost <= 0 or summary_cost <= 0:
        return float("inf")
    return max(true_cost / summary_cost, summary_cost / true_cost)


def effective_sample_size(coreset: Coreset) -> float:
    """Kish's effective sample size, ``(sum w)^2 / sum w^2``.

    Parameters
    ----------
    coreset : Coreset

    Returns
    -------
    float
        Between 1 and the number of points.

    Raises
    ------
    ValueError
        When every weight is zero.

    Examples
    --------
    >>> from coreset import Coreset, effective_sample_size
    >>> effective_sample_size(Coreset([[0.0], [1.0], [2.0]], weights=[1, 1, 0]))
    2.0
    """
    squares = float(np.square(coreset.weights).sum())
    if squares == 0:
        raise ValueError("every weight of the coreset is zero")
    return coreset.total_weight**2 / squares
