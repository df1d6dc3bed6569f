"""Distributed robust coreset construction as published: centres of every node, and rows drawn by their distance."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

from ..clustering import seed_centers
from ..nearest import Floats, nearest, squared_distances_to
from ..points import Coreset
from ..targets import NUMERIC
from ..validation import check_count
from .base import picked
from .rows import Rows
from .targets import joint_rows, with_scale

NEGATIVE_WEIGHTS = ("clip", "resample", "avoid")
_MOST_DRAWS = 20


@final
class DistributedSampling(BaseEstimator):
    """The published way to summarise many nodes, as `base` of `DistributedCoreset`: centres and drawn rows (DRCC).

    Every node tells its k-means cost with 1, 2, ... centres, which are rows of its own. From these the coordinator
    chooses numbers of centres and of drawn rows: ``k_j`` that make ``sum_j c_j(k_j) / sqrt(N - sum_j k_j)`` small,
    greedily from one on, and ``t_j`` in proportion to the cost that is left, ``c_j(k_j)``. A node draws ``t_j`` of its
    rows, each in proportion to its part of that cost; what they stand for is taken off the weights of the centres.

    There is no offset: costs on the summary are estimates. The default base, whose cells have one, is closer.

    Parameters
    ----------
    n_centers : int, default=8
        The most centres of a node. Each costs two bytes of the node's statistics.
    negative_weights : {"clip", "resample", "avoid"}, default="clip"
        What happens where drawn rows stand for more than their whole cluster, so that its centre would weigh less than
        nothing, which neither messages nor most estimators take. "clip" makes it zero and scales all weights of the
        node to its mass; "resample" draws again before, up to twenty times; "avoid" draws in proportion to cost and
        mass instead, in equal parts, and sends no centres (ours).
    bits : int, default=8
        Of a value in the messages: uniform levels for each column.
    target_type, label_scale
        As in `RobustCoreset`. Labels count in distances as one column more, classes as one each.

    References
    ----------
    Lu, Li, He, Wang, Narayanan and Chan, "Robust Coreset Construction for Distributed Machine Learning", IEEE JSAC
    38(10), 2020 (arXiv 1904.05961); Balcan, Ehrlich and Liang, "Distributed k-Means and k-Median Clustering on General
    Topologies", NIPS 2013. Centres from prefixes of one D^2 seeding, and a node's own ``c_j / t_j`` in the weights,
    which keeps what rounding ``t_j`` would lose, are this project's.

    Examples
    --------
    >>> import numpy as np
    >>> from coreset import DistributedCoreset, DistributedSampling
    >>> shards = [np.random.default_rng(seed).normal(size=(500, 3)) for seed in range(4)]
    >>> run = DistributedCoreset(8000, base=DistributedSampling(), backend="local", progress=False, random_state=0)
    >>> round(run.fit(shards).coreset_.total_weight)
    2000
    """

    def __init__(
        self,
        *,
        n_centers: int = 8,
        negative_weights: str = "clip",
        bits: int = 8,
        target_type: str = "auto",
        label_scale: float | str = "auto",
    ) -> None:
        self.n_centers = n_centers
        self.negative_weights = negative_weights
        self.bits = bits
        self.target_type = target_type
        self.label_scale = label_scale

    def check(self) -> None:
        """Raise ValueError or TypeError when a parameter is bad."""
        check_count("n_centers", self.n_centers)
        if self.negative_weights not in NEGATIVE_WEIGHTS:
            raise ValueError(f"negative_weights={self.negative_weights!r} must be one of {NEGATIVE_WEIGHTS}")


def nested_costs(rows: Rows, n_centers: int, rng: np.random.Generator) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Rows that serve as centres, in their order, and the k-means cost with the first 1, 2, ... of them.

    Parameters
    ----------
    rows : Rows
    n_centers : int
    rng : numpy.random.Generator

    Returns
    -------
    seeds : ndarray of shape (k,), intp
        Fewer than asked for where there are fewer distinct rows.
    costs : ndarray of shape (n_centers,)
        Zero where there are no more.
    """
    X = _with_labels(rows)
    seeds = seed_centers(X, rows.weights, n_centers, rng)
    squared = np.full(len(X), math.inf)
    costs = np.zeros(n_centers)
    for place, seed in enumerate(seeds.tolist()):
        np.minimum(squared, squared_distances_to(X, X[seed].astype(np.float64)), out=squared)
        costs[place] = rows.weights @ squared
    return seeds, costs


def centers_and_draws(costs: Sequence[ArrayLike], n_points: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers of centres and of drawn rows of every node, ``k_j`` and ``t_j`` of DRCC.

    Parameters
    ----------
    costs : sequence of array-like
        For each node its cost with 1, 2, ... centres.
    n_points : int
        Centres and drawn rows of all nodes together, at least one a node.

    Returns
    -------
    n_centers : ndarray of shape (n_nodes,), int64
        At least one each.
    n_draws : ndarray of shape (n_nodes,), int64
        None for nodes without cost.

    Raises
    ------
    ValueError
        When there are more nodes than points.

    Examples
    --------
    >>> n_centers, n_draws = centers_and_draws([[100.0, 10.0, 9.0], [50.0, 45.0, 40.0]], 14)
    >>> n_centers.tolist(), n_draws.tolist()     # 10 + 40 is left, and 50 / sqrt(9) the least; (3, 3): 49 / sqrt(8)
    ([2, 3], [2, 7])
    """
    curves = [np.minimum.accumulate(np.asarray(curve, dtype=np.float64)) for curve in costs]
    if len(curves) > n_points:
        raise ValueError(f"n_points={n_points} must be at least the number of nodes, {len(curves)}")
    chosen = _greedy_centers(curves, n_points)
    left = np.array([curve[k - 1] for curve, k in zip(curves, chosen.tolist(), strict=True)])
    return chosen, _in_proportion(left, n_points - int(chosen.sum()))


def _greedy_centers(curves: list[NDArray[np.float64]], n_points: int) -> NDArray[np.int64]:
    """The best of all prefixes of the way on which each next centre goes where it saves most."""
    chosen = np.ones(len(curves), dtype=np.int64)
    total, spare = math.fsum(curve[0] for curve in curves), n_points - len(curves)
    steps = [(curve[1] - curve[0], node) for node, curve in enumerate(curves) if len(curve) > 1]
    heapq.heapify(steps)
    taken: list[int] = []
    best, n_best = total / math.sqrt(spare) if spare else math.inf, 0
    while steps and len(taken) < spare - 1:
        change, node = heapq.heappop(steps)
        total = max(total + change, 0.0)
        taken.append(node)
        chosen[node] += 1
        curve, k = curves[node], int(chosen[node])
        if k < len(curve):
            heapq.heappush(steps, (curve[k] - curve[k - 1], node))
        value = total / math.sqrt(spare - len(taken))
        if value < best:
            best, n_best = value, len(taken)
    for node in taken[n_best:]:
        chosen[node] -= 1
    return chosen


def _in_proportion(keys: NDArray[np.float64], total: int) -> NDArray[np.int64]:
    """Integers in proportion to keys, by largest remainder; of equal remainders the first."""
    if not keys.any():
        return np.zeros(len(keys), dtype=np.int64)
    wanted = keys / keys.max()
    wanted *= total / wanted.sum()
    shares = np.floor(wanted).astype(np.int64)
    shares[np.argsort(shares - wanted, kind="stable")[: max(total - int(shares.sum()), 0)]] += 1
    return shares


def sampled_with_centers(
    rows: Rows, seeds: NDArray[np.intp], n_draws: int, negative_weights: str, rng: np.random.Generator
) -> Coreset:
    """A node's summary: its centres and drawn rows, weighted so that they sum to its mass.

    Parameters
    ----------
    rows : Rows
    seeds : ndarray of shape (k_j,), intp
        The rows that are centres.
    n_draws : int
        ``t_j``.
    negative_weights : {"clip", "resample", "avoid"}
    rng : numpy.random.Generator

    Returns
    -------
    Coreset
        Of at most ``k_j + t_j`` rows; those drawn more than once are one point.
    """
    X = _with_labels(rows)
    clusters, squared = nearest(X, X[seeds].astype(np.float64))
    squared[seeds] = 0.0
    n_draws = n_draws if squared.any() else 0
    masses = np.bincount(clusters, weights=rows.weights, minlength=len(seeds)).astype(np.float64)
    drawn = np.zeros(0, dtype=np.intp)
    gained, centers = np.zeros(0), masses
    if n_draws and negative_weights == "avoid":
        drawn, gained = _drawn_by_cost_and_mass(rows.weights, squared, n_draws + len(seeds), rng)
        centers = np.zeros(len(seeds))
    elif n_draws:
        for _ in range(_MOST_DRAWS if negative_weights == "resample" else 1):
            drawn, gained = _drawn_by_cost(rows.weights, squared, n_draws, rng)
            centers = masses - np.bincount(clusters[drawn], weights=gained, minlength=len(seeds))
            if (centers >= 0).all():
                break
    return _as_coreset(rows, np.concatenate([seeds, drawn]), np.concatenate([np.maximum(centers, 0), gained]))


def _drawn_by_cost(
    weights: NDArray[np.float64], squared: NDArray[np.float64], n_draws: int, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Rows drawn in proportion to w d^2, each of which stands for ``(c / t) / d^2``."""
    parts = weights * squared
    cost = float(parts.sum())
    drawn = rng.choice(len(parts), n_draws, p=parts / cost)
    return drawn, cost / n_draws / squared[drawn]


def _drawn_by_cost_and_mass(
    weights: NDArray[np.float64], squared: NDArray[np.float64], n_draws: int, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    parts = weights * squared
    chances = (parts / parts.sum() + weights / weights.sum()) / 2
    drawn = rng.choice(len(parts), n_draws, p=chances / chances.sum())
    return drawn, weights[drawn] / (n_draws * chances[drawn])


def _as_coreset(rows: Rows, chosen: NDArray[np.intp], weights: NDArray[np.float64]) -> Coreset:
    distinct, places = np.unique(chosen, return_inverse=True)
    summed = np.bincount(places, weights=weights)
    distinct, summed = distinct[summed > 0], summed[summed > 0]
    numeric = rows.target_type == NUMERIC
    return picked(
        rows,
        distinct,
        summed * (float(rows.weights.sum()) / summed.sum()),
        labels=None if rows.labels is None else rows.labels[distinct],
        target_type=rows.target_type,
        label_scale=with_scale(rows).label_scale if numeric else None,
    )


def _with_labels(rows: Rows) -> Floats:
    """Columns in which rows of unlike labels are apart, classes by the root mean square of the rows' distances."""
    if rows.labels is None:
        return rows.X
    if rows.target_type == NUMERIC:
        return joint_rows(rows).X
    codes = np.unique(rows.labels, return_inverse=True)[1]
    scale = math.sqrt(float(rows.weights @ rows.squares) / rows.weights.sum() / 2)
    return np.column_stack([rows.X, (scale * np.eye(codes.max() + 1, dtype=rows.X.dtype))[codes]])
