"""Rows drawn by how much a cost can depend on them: sensitivity sampling."""

from __future__ import annotations

import math
from typing import final

import numpy as np
from numpy.typing import NDArray

from ..clustering import refine, seed_centers
from ..nearest import Floats, nearest
from ..points import Coreset
from ..sampling import draw_once, importance_sample, shuffled_sort
from ..validation import RandomState, check_count, check_power
from .base import CoresetConstructor, picked
from .rows import SAMPLED_SHARE, Rows

# Rows that are assigned to the rough clusters: all of a smaller table, a sample of a larger one.
_ASSIGNED_ROWS = 50_000
_ASSIGNED_PER_POINT = 5
# Rows from which the rough centres are seeded.
_SEEDED_ROWS = 8_000
_SEEDED_PER_CENTER = 20


@final
class SensitivityCoreset(CoresetConstructor):
    """Rows drawn by distance to a rough clustering, weighted so that each rough cluster keeps its mass.

    A row is drawn with probability in proportion to ``w d^power / C + w / M``, where C and M are the cost and the mass
    of its rough cluster, and weighs its weight over that probability; a cluster without cost draws by mass alone. Then
    the weights of each cluster are multiplied by what its mass lacks, so that cluster masses and the total are exact.

    Parameters
    ----------
    n_points : int, default=1000
        Rows to draw. With labels, classes share them by their squared distances to their means, with at least one each.
    n_clusters : "auto" or int, default="auto"
        Rough clusters, at most `n_points`; "auto" takes ``3 * sqrt(n_points)``. No more than half the points (of a
        class, with labels) are used, so that every cluster expects at least one draw; the systematic draw then gives it
        one, and none goes without.
    power : {1, 2}, default=2
        2 for k-means-like costs, 1 for k-median-like ones.
    target_type : {"auto", "class", "numeric"}, default="auto"
        What `y` is: classes, or numbers to regress on. "auto" takes floats that are not all integers for numbers and
        everything else for classes; "numeric" makes numbers of integers too.
    label_scale : "auto" or float, default="auto"
        Units of X that a unit of a numeric target counts as. Large ones tell rows of like features and unlike targets
        apart, at the price of biased slopes; "auto" lets the target deviate a tenth as much as the columns do (ours).
    random_state : int, RandomState, Generator or None, default=None

    Attributes
    ----------
    coreset_ : Coreset
        With `sample_indices`; its total weight is exact. Its certificate is nan.

    Notes
    -----
    Sources: Feldman and Langberg, "A Unified Framework for Approximating and Clustering Data" (STOC 2011), for the
    framework; Bansal, Cohen-Addad, Prabhu, Saulpic and Schwiegelshohn, "Sensitivity Sampling for k-Means: Worst Case
    and Stability Optimal Coreset Bounds" (2024, arXiv 2405.01339), for the size.

    This project's own: rows are drawn without repetition (one whose expected draws reach one is certain), evenly over
    clusters and, inside them, over distances; and a table of more than 50,000 rows (or five per point) is first sampled
    to that number by the law of `LightweightCoreset`, whose weights are carried through. Then only the sample is
    assigned to clusters, and the cluster masses that are kept are those of the sample. Calibration makes costs ratio
    estimates, whose bias vanishes in proportion to ``n_clusters / n_points``.

    Examples
    --------
    >>> import numpy as np
    >>> from coreset import SensitivityCoreset
    >>> X = np.random.default_rng(0).normal(size=(9995, 2))
    >>> far = np.full((5, 2), 1e4)
    >>> summary = SensitivityCoreset(n_points=200, random_state=0).fit(np.concatenate([X, far])).coreset_
    >>> len(summary), round(summary.total_weight), round(summary.weights[summary.points[:, 0] > 100].sum())
    (200, 10000, 5)
    """

    def __init__(
        self,
        n_points: int = 1000,
        *,
        n_clusters: int | str = "auto",
        power: int = 2,
        target_type: str = "auto",
        label_scale: float | str = "auto",
        random_state: RandomState = None,
    ) -> None:
        self.n_points = n_points
        self.n_clusters = n_clusters
        self.power = power
        self.target_type = target_type
        self.label_scale = label_scale
        self.random_state = random_state

    @property
    def _samples_first(self) -> bool:
        return True

    def _check_parameters(self) -> None:
        check_power(self.power)
        if isinstance(self.n_clusters, str):
            if self.n_clusters != "auto":
                raise ValueError(f"n_clusters={self.n_clusters!r} must be 'auto' or an integer")
        elif check_count("n_clusters", self.n_clusters) > self.n_points:
            raise ValueError(f"n_clusters={self.n_clusters} is more than n_points={self.n_points}")

    def _share_key(self, rows: Rows) -> float:
        return float(rows.weights @ (rows.squares if self.power == 2 else np.sqrt(rows.squares)))

    def _summarise(self, rows: Rows, n_points: int, rng: np.random.Generator) -> Coreset:
        n_assigned = max(_ASSIGNED_ROWS, _ASSIGNED_PER_POINT * n_points)
        sample, weights = np.arange(len(rows)), rows.weights
        if len(rows) >= SAMPLED_SHARE * n_assigned:
            drawn, drawn_weights = importance_sample(rows.importance, rows.weights, n_assigned, rng)
            if len(drawn) >= 2 * n_points:  # else a few heavy rows took the draws
                sample, weights = drawn, drawn_weights
        # Of all rows, no copy is made.
        X = rows.X if len(sample) == len(rows) else rows.X[sample]
        centers = self._rough_centers(X, rows.squares[sample], weights, n_points, rng)
        clusters, squared = nearest(X, centers)
        shares = _sensitivities(weights, squared if self.power == 2 else np.sqrt(squared), clusters)
        inside = squared / (2 * squared.max() or 1.0)
        order = shuffled_sort(clusters.astype(np.float64) + inside, rng)  # by cluster, then by distance
        drawn, factors = draw_once(shares, order, n_points, rng)
        calibrated = _calibrate(weights[drawn] * factors, clusters[drawn], _sums(clusters, weights))
        return picked(rows, sample[drawn], calibrated / calibrated.sum() * rows.weights.sum())

    def _rough_centers(
        self,
        X: Floats,
        squares: NDArray[np.float64],
        weights: NDArray[np.float64],
        n_points: int,
        rng: np.random.Generator,
    ) -> NDArray[np.float64]:
        wanted = round(3 * math.sqrt(n_points)) if isinstance(self.n_clusters, str) else self.n_clusters
        n_centers = min(wanted, max(1, n_points // 2))
        n_seeded = max(_SEEDED_ROWS, _SEEDED_PER_CENTER * n_centers)
        sample, weights = importance_sample(squares, weights, n_seeded, rng)
        X = X[sample]
        seeds = seed_centers(X, weights, n_centers, rng, power=self.power)
        return refine(X, weights, X[seeds].astype(np.float64))


def _sensitivities(
    weights: NDArray[np.float64], distances: NDArray[np.float64], clusters: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Share of each row in its cluster's mass, plus its share in the cluster's cost where there is one."""
    masses = _sums(clusters, weights)
    potentials = weights * distances
    costs = _sums(clusters, potentials)
    shares: NDArray[np.float64] = weights / masses[clusters]
    costly = costs[clusters] > 0
    shares[costly] += potentials[costly] / costs[clusters[costly]]
    return shares


def _sums(clusters: NDArray[np.intp], values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.bincount(clusters, weights=values).astype(np.float64)


def _calibrate(
    weights: NDArray[np.float64], clusters: NDArray[np.intp], masses: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Weights multiplied cluster by cluster so that they sum to the masses."""
    drawn = np.bincount(clusters, weights=weights, minlength=len(masses))
    factors = np.divide(masses, drawn, out=np.ones_like(masses), where=drawn > 0)
    calibrated: NDArray[np.float64] = weights * factors[clusters]
    return calibrated
