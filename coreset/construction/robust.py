"""Cells of a clustering, replaced by their means: the robust coreset."""

from __future__ import annotations

import math
from typing import final

import numpy as np
from numpy.typing import NDArray

from ..clustering import (
    SEEDING_ROWS,
    group_means,
    importance_sample,
    lloyd,
    seed_centers,
    sums_by_group,
    systematic_draw,
    weighted_mean,
)
from ..nearest import Floats, nearest, row_blocks, squared_distances_to
from ..points import Coreset
from ..targets import NUMERIC
from ..validation import RandomState, check_power
from .base import CoresetConstructor, share_points
from .rows import Rows
from .targets import split_cells

# Up to this many points every one is a centre of the clustering itself; beyond, cells are cut in two levels.
_ONE_LEVEL_POINTS = 256
_ONE_LEVEL_STEPS = 10


@final
class RobustCoreset(CoresetConstructor):
    """Clustering centres weighted by the mass of their cells: one summary for many kinds of model.

    Up to 256 points the cells are those of a weighted k-means. Beyond, they are cut in two levels: a rough clustering,
    then in each rough cluster representatives drawn in proportion to distance^power plus its mean, whose cells are
    replaced by their weighted means. What the cells lose of the k-means cost is kept as the coreset's `offset`, and
    each cell's width as its `spread`.

    Parameters
    ----------
    n_points : int, default=1000
        The most points to return; duplicated rows can make them fewer.
    power : {1, 2}, default=2
        Power of the distances by which points are shared out: 2 for k-means-like costs, 1 for k-median-like ones.
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
        With offset, spread and certificate. Its k-means cost never lies below that of the rows, a numeric
        target or not.

    Notes
    -----
    That weighted k-clustering centres are a coreset for a broad range of costs is shown in Lu, Li, He, Wang, Narayanan
    and Chan, "Robust Coreset Construction for Distributed Machine Learning", JSAC 38(10), 2020 (arXiv 1904.05961). The
    two-level cells, the offset and the spread are this project's own way to get there fast.

    Examples
    --------
    >>> import numpy as np
    >>> from coreset import RobustCoreset
    >>> X = np.random.default_rng(0).normal(size=(5000, 3))
    >>> summary = RobustCoreset(n_points=200, random_state=0).fit(X).coreset_
    >>> len(summary), round(summary.total_weight)
    (200, 5000)
    >>> truth = ((X - X.mean(axis=0)) ** 2).sum()
    >>> bool(np.isclose(summary.cost(X.mean(axis=0)), truth))
    True
    """

    def __init__(
        self,
        n_points: int = 1000,
        *,
        power: int = 2,
        target_type: str = "auto",
        label_scale: float | str = "auto",
        random_state: RandomState = None,
    ) -> None:
        self.n_points = n_points
        self.power = power
        self.target_type = target_type
        self.label_scale = label_scale
        self.random_state = random_state

    def _check_parameters(self) -> None:
        check_power(self.power)

    def _share_key(self, rows: Rows) -> float:
        squared = squared_distances_to(rows.X, weighted_mean(rows.X, rows.weights))
        return float(rows.weights @ (squared if self.power == 2 else np.sqrt(squared)))

    def _summarise(self, rows: Rows, n_points: int, rng: np.random.Generator) -> Coreset:
        if n_points > _ONE_LEVEL_POINTS:
            return _replace_cells(rows, *self._two_level_cells(rows, n_points, rng))
        cells = nearest(rows.X, self._centers(rows, n_points, _ONE_LEVEL_STEPS, rng))[0]
        return _replace_cells(rows, cells, np.zeros(len(rows), dtype=np.intp))

    def _centers(self, rows: Rows, n_centers: int, n_steps: int, rng: np.random.Generator) -> NDArray[np.float64]:
        sample, weights = importance_sample(rows.X, rows.weights, SEEDING_ROWS, rng)
        X = rows.X[sample]
        seeds = seed_centers(X, weights, n_centers, rng, power=self.power)
        return lloyd(X, weights, X[seeds].astype(np.float64), max_iterations=n_steps).centers

    def _two_level_cells(
        self, rows: Rows, n_points: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Cell and rough cluster of each row."""
        # Assigning costs n d (rough + points / rough); the quality gains from more rough clusters than the optimum.
        rough = self._centers(rows, min(n_points // 2, round(3 * math.sqrt(n_points))), 1, rng)
        index, squared = nearest(rows.X, rough)
        distances = squared if self.power == 2 else np.sqrt(squared)
        # Sorted by distance, the systematic draws below are spread over all distances, and copies stay neighbours.
        order = np.lexsort((squared, index))
        members = np.split(order, np.cumsum(np.bincount(index, minlength=len(rough)))[:-1])
        members = [part for part in members if len(part)]
        costs = np.array([rows.weights[part] @ distances[part] for part in members])
        masses = np.array([rows.weights[part].sum() for part in members])
        keys = masses / masses.sum() + (costs / costs.sum() if costs.any() else 0.0)
        shares = share_points(keys, np.array([len(part) for part in members]), n_points)
        cells = np.empty(len(rows), dtype=np.intp)
        n_cells = 0
        for part, share, cost, mass in zip(members, shares, costs, masses, strict=True):
            picks = rows.weights[part] * (distances[part] + cost / mass) if cost > 0 else rows.weights[part]
            drawn = np.unique(systematic_draw(picks, int(share), rng))
            cells[part], n_new = _cells_around(rows.X[part], drawn, int(share))
            cells[part] += n_cells
            n_cells += n_new
        return cells, index


def _cells_around(X: Floats, drawn: NDArray[np.intp], n_cells: int) -> tuple[NDArray[np.intp], int]:
    """Cell of each row and their number; the farthest rows open those that copies and repeated draws left out."""
    index, squared = nearest(X, X[drawn].astype(np.float64))
    used = len(drawn)
    for _ in range(n_cells - len(np.unique(index))):
        farthest = int(squared.argmax())
        if squared[farthest] == 0:
            break
        distances = squared_distances_to(X, X[farthest].astype(np.float64))
        closer = distances < squared
        index[closer] = used
        squared[closer] = distances[closer]
        used += 1
    return index, used


def _replace_cells(rows: Rows, cells: NDArray[np.intp], groups: NDArray[np.intp]) -> Coreset:
    """Replace every cell by its weighted mean and account for what that loses."""
    used, cells = np.unique(cells, return_inverse=True)
    present, groups = np.unique(groups, return_inverse=True)
    means, masses = group_means(rows.X, rows.weights, cells, len(used))
    squared = np.empty(len(rows))
    variances = np.zeros((len(present), rows.X.shape[1]))
    for block in row_blocks(len(rows), rows.X.shape[1]):
        gap = (rows.X[block] - means[cells[block]]) ** 2
        squared[block] = gap.sum(axis=1)
        variances += sums_by_group(gap, rows.weights[block], groups[block], len(present))
    residuals = np.bincount(cells, weights=rows.weights * squared, minlength=len(used))
    distances = np.sqrt(squared)
    group_of_cell = np.empty(len(used), dtype=np.int64)
    group_of_cell[cells] = groups
    coreset = Coreset(
        means,
        masses,
        offset=float(residuals.sum()),
        spread=np.sqrt(residuals / masses),
        groups=group_of_cell,
        group_variances=variances / np.bincount(groups, weights=rows.weights)[:, None],
        max_displacement=float(distances.max()),
        total_displacement=float(rows.weights @ distances),
        n_source=len(rows),
        source_dtype=rows.source_dtype,
    )
    return split_cells(coreset, rows, cells) if rows.target_type == NUMERIC else coreset
