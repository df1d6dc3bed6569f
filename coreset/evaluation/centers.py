"""Clustering costs of the data against those of the summary, on centres solved on it or given."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

from ..clustering import SEEDING_ROWS, cluster, farthest_first, lloyd, seed_centers
from ..construction import Rows, check_rows
from ..nearest import clustering_cost
from ..points import Coreset
from ..sampling import importance_sample
from ..validation import RandomState, as_generator, check_count, check_power

_FEW_CENTERS = 5


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
    are called a failure there. It sees what an optimiser on the summary would be misled by; for centres that were
    chosen without the summary see `distortion_table`.

    Parameters
    ----------
    X : array-like of shape (n, d)
        The data that was summarised.
    coreset : Coreset
        A summary, or the scatter of one.
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
    TypeError
        When `coreset` is not a `Coreset`, or `n_clusters` not an integer.

    Examples
    --------
    >>> import numpy as np
    >>> from coreset import RobustCoreset, distortion
    >>> X = np.random.default_rng(0).normal(size=(2000, 2)) + np.repeat([[0], [50]], 1000, axis=0)
    >>> summary = RobustCoreset(n_points=100, random_state=0).fit(X).coreset_
    >>> distortion(X, summary, n_clusters=2, random_state=0) < 1.001
    True
    """
    rows = checked_source(X, coreset, sample_weight)
    check_power(power)
    if check_count("n_clusters", n_clusters) > len(coreset):
        raise ValueError(f"n_clusters={n_clusters} is more than the coreset's {len(coreset)} points")
    used = coreset.weights > 0
    if not used.any():
        raise ValueError("every weight of the coreset is zero")
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
    return _ratio(true_cost, coreset.cost(solution.centers, power=power))


def distortion_table(
    X: ArrayLike,
    coreset: Coreset,
    centers: ArrayLike | Mapping[str, ArrayLike],
    *,
    power: int = 2,
    sample_weight: ArrayLike | None = None,
) -> pd.DataFrame:
    """Costs of the data and of the summary on given centres, and the distortion on each set of them.

    ``max(cost_X(C) / cost_S(C), cost_S(C) / cost_X(C))`` for every C. A coreset in the strong sense keeps this near 1
    for all C at once; the worst of many C bounds the supremum from below, the definition's ``(1 + eps)``.

    Parameters
    ----------
    X : array-like of shape (n, d)
        The data that was summarised.
    coreset : Coreset
        A summary, or the scatter of one.
    centers : mapping from name to array-like of shape (k, d), or one such array
        `center_sets` makes a family. One array is called ``"centers"``.
    power : {1, 2}, default=2
        2 for k-means, 1 for k-median.
    sample_weight : array-like of shape (n,), optional

    Returns
    -------
    pandas.DataFrame
        A row a set, with columns ``cost`` (of the data), ``summary_cost`` and ``distortion``; the worst is
        ``table["distortion"].max()``.

    Raises
    ------
    ValueError
        When X or a set of centres does not have the coreset's columns, or a set holds no row or a value that is not
        finite.
    TypeError
        When `coreset` is not a `Coreset`.

    Examples
    --------
    >>> from coreset import Coreset, distortion_table
    >>> pair = Coreset([[0.0], [10.0]], weights=[2, 2])  # of rows -1, 1, 9, 11, without the offset of 4
    >>> table = distortion_table([[-1.0], [1.0], [9.0], [11.0]], pair, {"middle": [[5.0]], "own": [[0.0], [10.0]]})
    >>> table["distortion"].to_dict()
    {'middle': 1.04, 'own': inf}
    >>> float(table["distortion"].max())
    inf
    """
    rows = checked_source(X, coreset, sample_weight)
    check_power(power)
    sets = centers if isinstance(centers, Mapping) else {"centers": centers}
    if not sets:
        raise ValueError("centers is empty: there is no set to measure")
    records = []
    for name, given in sets.items():
        checked = _checked_centers(f"centers[{name!r}]" if sets is centers else "centers", given, coreset.n_features)
        with np.errstate(over="ignore", invalid="ignore"):  # costs that are not finite are refused
            true_cost = clustering_cost(rows.X, checked, rows.weights, power=power)
            summary_cost = coreset.cost(checked, power=power)
        records.append((true_cost, summary_cost, _ratio(true_cost, summary_cost)))
    index = pd.Index(list(sets), name="centers")
    return pd.DataFrame(records, index=index, columns=["cost", "summary_cost", "distortion"])


def center_sets(
    X: ArrayLike,
    n_clusters: int,
    *,
    power: int = 2,
    sample_weight: ArrayLike | None = None,
    random_state: RandomState = None,
) -> dict[str, NDArray[np.float64]]:
    """Centres of five kinds to measure a summary on, none of which knows the summary.

    Near an optimum, far from one, few, many, and out at the rim: summaries fail on different ones. (The choice is ours;
    the first four are usual in the literature.)

    Parameters
    ----------
    X : array-like of shape (n, d)
    n_clusters : int
        At most the number of rows.
    power : {1, 2}, default=2
        2 for k-means, 1 for k-median; tells how ``"solved"`` and ``"seeds"`` are found.
    sample_weight : array-like of shape (n,), optional
    random_state : int, RandomState, Generator or None, default=None

    Returns
    -------
    dict from str to ndarray of shape (at most n_clusters, d)
        ``"random"``: `n_clusters` rows, drawn by weight without repetition; ``"few"``: five of these (fewer if there
        are fewer); ``"seeds"``: k-means++ seeds; ``"solved"``: the best of four local searches on X, one of them from
        these seeds; ``"far"``: the row farthest from the mean, then each time the row farthest from those before it.
        Where X has fewer distinct rows, seeds, solved centres and far rows are fewer.

    Raises
    ------
    ValueError
        When `n_clusters` is not in ``1 .. number of rows`` with a weight above zero.
    TypeError
        When it is not an integer.

    Examples
    --------
    >>> import numpy as np
    >>> from coreset import RobustCoreset, center_sets, distortion_table
    >>> X = np.random.default_rng(0).normal(size=(4000, 3))
    >>> summary = RobustCoreset(n_points=400, random_state=0).fit(X).coreset_
    >>> table = distortion_table(X, summary, center_sets(X, 8, random_state=0))
    >>> list(table.index), bool(table["distortion"].max() < 1.1)
    (['random', 'few', 'seeds', 'solved', 'far'], True)
    """
    check_power(power)
    rows = check_rows(BaseEstimator(), X, None, sample_weight)
    if check_count("n_clusters", n_clusters) > len(rows):
        raise ValueError(f"n_clusters={n_clusters} is more than the {len(rows)} rows of X")
    rng = as_generator(random_state)
    drawn = rng.choice(len(rows), size=n_clusters, replace=False, p=rows.weights / rows.weights.sum())
    sample, weights = importance_sample(rows.squares, rows.weights, max(SEEDING_ROWS, n_clusters), rng)
    seeds = sample[seed_centers(rows.X[sample], weights, n_clusters, rng, power=power)]
    rim = int(rows.squares.argmax())
    chosen = {
        "random": drawn,
        "few": drawn[:_FEW_CENTERS],
        "seeds": seeds,
        "far": farthest_first(rows.X, n_clusters, rim)[0],
    }
    sets = {name: rows.X[index].astype(np.float64) for name, index in chosen.items()}
    searches = [
        lloyd(rows.X, rows.weights, sets["seeds"], power=power),
        cluster(rows.X, rows.weights, n_clusters, rng, power=power),
    ]
    sets["solved"] = min(searches, key=lambda search: search.cost).centers
    return {name: sets[name] for name in ("random", "few", "seeds", "solved", "far")}


def checked_source(X: ArrayLike, coreset: Coreset, sample_weight: ArrayLike | None) -> Rows:
    """Rows that a coreset may have been made of.

    Parameters
    ----------
    X : array-like of shape (n, d)
    coreset : Coreset
    sample_weight : array-like of shape (n,), optional

    Returns
    -------
    Rows

    Raises
    ------
    ValueError
        When X does not have the coreset's columns, or is not a table of finite numbers.
    TypeError
        When `coreset` is not a `Coreset`.
    """
    if not isinstance(coreset, Coreset):
        raise TypeError(f"coreset must be a Coreset, not {type(coreset).__name__}; a fitted estimator has `coreset_`")
    rows = check_rows(BaseEstimator(), X, None, sample_weight)
    if rows.X.shape[1] != coreset.n_features:
        raise ValueError(f"X has {rows.X.shape[1]} columns, the coreset has {coreset.n_features}")
    return rows


def _checked_centers(name: str, centers: ArrayLike, n_features: int) -> NDArray[np.float64]:
    checked = np.asarray(centers, dtype=np.float64)
    if checked.ndim != 2 or len(checked) == 0 or checked.shape[1] != n_features:
        raise ValueError(f"{name} has shape {checked.shape}, expected (k, {n_features}) with k >= 1")
    if not np.isfinite(checked).all():
        raise ValueError(f"{name} contains NaN or infinity")
    return checked


def _ratio(true_cost: float, summary_cost: float) -> float:
    if not math.isfinite(true_cost + summary_cost):
        raise ValueError(f"costs of {true_cost:g} and {summary_cost:g} overflow: centers lie too far out")
    if true_cost == summary_cost:
        return 1.0
    if true_cost <= 0 or summary_cost <= 0:
        return float("inf")
    return max(true_cost / summary_cost, summary_cost / true_cost)
