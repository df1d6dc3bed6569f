"""Cells of a clustering, replaced by their means: the robust coreset."""

from __future__ import annotations

import dataclasses
import math
from typing import final

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from ..clustering import group_means, refine, seed_centers
from ..nearest import Floats, nearest
from ..points import Coreset
from ..sampling import importance_sample, systematic_draw
from ..validation import RandomState, check_count, check_power
from ..ward import merged
from ..widths import correlations, regression
from .base import CoresetConstructor, share_points
from .cells import Cells, CellTargets, cells_around
from .products import Products
from .rows import SAMPLED_SHARE, Rows

# Up to this many points every one is a centre of the clustering itself; beyond, cells are cut in two levels.
_ONE_LEVEL_POINTS = 256
_ONE_LEVEL_STEPS = 5
# Seeds for each centre. Merging pairs until as many are left finds clusters that so few seeds would miss.
_SEEDS_PER_CENTER = 1.5
# Rows from which centres are seeded.
_SEEDED_ROWS = 10_000
_SEEDED_PER_CENTER = 50
# Rows from which cells are built where not all are read.
_SAMPLED_ROWS = 80_000
_SAMPLED_PER_POINT = 6
# Standard deviations of less than this share of the largest are rounding.
_ROUNDING = 1e-10
# Penalties of a target's slopes in all cells and in one group, times columns over cells: of five rows a column and more
# for one, in cells of some twenty rows, and about one row a column for the other, as images and tables fared best with.
_SHARED_PENALTY = 1 / 16
_OWN_PENALTY = 1 / 4


@final
class RobustCoreset(CoresetConstructor):
    """Clustering centres weighted by the mass of their cells: one summary for many kinds of model.

    Up to 256 points the cells are those of a weighted k-means, which begins with half as many centres again and merges
    pairs by Ward's method. Beyond, they are cut in two levels: a rough clustering, then in each rough cluster
    representatives drawn in proportion to distance^power plus its mean, whose cells are replaced by their weighted
    means. What the cells lose of the k-means cost is kept as the coreset's `offset`, and each cell's width as its
    `spread`.

    Of a table with 320,000 rows or more (or 24 a point) not every row is assigned to a cell, unless `exact` asks for
    it: the cells are built from a sample of 80,000 rows (or 6 a point), drawn by the law of `LightweightCoreset`.

    Parameters
    ----------
    n_points : int, default=1000
        The most points to return; duplicated rows can make them fewer.
    power : {1, 2}, default=2
        2 for k-means-like costs, 1 for k-median-like ones: the power of the distances by which points are shared out.
        With 1, `spread` is the mean distance of a cell's rows, which serves k-median costs better on heavy tails.
    exact : bool, default=False
        True reads every row of a large table too, which takes about three times as long: offset, spread and certificate
        are then those of all rows.
    min_cell_size : int, default=1
        Rows, whatever their weights, that every published point is the mean of at least. Cells with fewer are joined
        with their neighbours, so that there may be fewer points; a table, or a class, with fewer rows is an error.
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
        With offset, spread and certificate. Its k-means cost never lies below that of the rows that were read. Of a
        sample, offset and spread are about the rows in it (cells whose means were taken of few rows would leave more to
        the rows beside them) and the certificate is nan, since rows that were not read may lie anywhere.
    exact_ : bool
        Whether every row was read.

    Notes
    -----
    That weighted k-clustering centres are a coreset for a broad range of costs is shown in Lu, Li, He, Wang, Narayanan
    and Chan, "Robust Coreset Construction for Distributed Machine Learning", JSAC 38(10), 2020 (arXiv 1904.05961). The
    two-level cells, the offset and the spread are this project's own way to get there fast.

    **Privacy.** With ``min_cell_size=m`` no point, weight or label is about fewer than m of the rows given. That is
    aggregation, not differential privacy, and it promises no more than it says: equal rows are published as they are
    when m of them make a cell; `spread`, `offset`, the certificate, `group_variances`, `group_slopes` and
    `within_covariance` tell more about cells than their means, down to all values where rows are equal; several
    summaries of overlapping tables can be compared; and a person with several rows counts several times. `reduce` takes
    the points of a summary for such means, unless they have `sample_indices`, which merging and messages do not keep.

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
        exact: bool = False,
        min_cell_size: int = 1,
        target_type: str = "auto",
        label_scale: float | str = "auto",
        random_state: RandomState = None,
    ) -> None:
        self.n_points = n_points
        self.power = power
        self.exact = exact
        self.min_cell_size = min_cell_size
        self.target_type = target_type
        self.label_scale = label_scale
        self.random_state = random_state

    @property
    def exact_(self) -> bool:
        """Whether the last `fit` read every row, so that offset, spread and certificate are exact."""
        check_is_fitted(self)
        return not math.isnan(self.coreset_.max_displacement)

    @property
    def _samples_first(self) -> bool:
        return not self.exact

    def _check_parameters(self) -> None:
        check_power(self.power)
        check_count("min_cell_size", self.min_cell_size)
        if not isinstance(self.exact, bool | np.bool_):
            raise TypeError(f"exact={self.exact!r} must be True or False")

    def _share_key(self, rows: Rows) -> float:
        return float(rows.weights @ (rows.squares if self.power == 2 else np.sqrt(rows.squares)))

    def _least_size(self, rows: Rows) -> int:
        """Fewest rows of a cell; the points of a summary are means already."""
        return 1 if rows.summarised else self.min_cell_size

    def _most_points(self, rows: Rows) -> int:
        return max(1, len(rows) // self._least_size(rows))

    def _check_whole(self, rows: Rows, name: str) -> None:
        if len(rows) < self._least_size(rows):
            raise ValueError(f"min_cell_size={self.min_cell_size} is more than the {len(rows)} rows of {name}")

    def _keeps_rows(self, rows: Rows, n_points: int) -> bool:
        return self._least_size(rows) == 1 and super()._keeps_rows(rows, n_points)

    def _summarise(self, rows: Rows, n_points: int, rng: np.random.Generator) -> Coreset:
        n_points = min(n_points, self._most_points(rows))
        n_sampled = max(_SAMPLED_ROWS, _SAMPLED_PER_POINT * n_points * self._least_size(rows))
        large = len(rows) >= SAMPLED_SHARE * n_sampled
        sample = _sample(rows, n_sampled, rng) if large and not self.exact else None
        read = rows if sample is None else sample
        if sample is not None:
            rows.forget()  # only the sample is looked at from here on
        products = Products(read, wanted=self._keeps_covariance)
        if n_points > _ONE_LEVEL_POINTS:
            # The step makes cells a little better, and reading all of a large table once more costs too much for that.
            n_steps = 0 if large and read is rows else 1
            groups = self._two_levels(read, n_points, rng, n_steps, products)
        else:
            groups = self._one_level(read, n_points, rng, products)
        within = products.within(read)
        coreset = _assembled(groups, rows, within, self.power)
        return coreset if sample is None else _without_certificate(coreset)

    def _one_level(self, rows: Rows, n_points: int, rng: np.random.Generator, products: Products) -> list[Cells]:
        centers = self._centers(rows, n_points, _ONE_LEVEL_STEPS, rng)
        everyone = np.arange(len(rows))
        least = self._least_size(rows)
        return [cells_around(rows, everyone, centers, 0, min_size=least, products=products)]

    def _two_levels(
        self, rows: Rows, n_points: int, rng: np.random.Generator, n_steps: int, products: Products
    ) -> list[Cells]:
        """Cells of each rough cluster."""
        # Assigning costs n d (rough + points / rough); the quality gains from more rough clusters than the cheapest.
        least = self._least_size(rows)
        rough = self._centers(rows, round(2 * math.sqrt(n_points)), 1, rng)
        rows.forget()
        index, squared = _clusters_of_size(rows.X, rough, least)
        distances = squared if self.power == 2 else np.sqrt(squared)
        # Sorted by distance, the systematic draws below are spread over all distances, and copies stay neighbours.
        keys = squared / (squared.max() or 1.0)
        keys *= 0.5
        keys += index
        members = [part for part in np.split(np.argsort(keys), np.cumsum(np.bincount(index))[:-1]) if len(part)]
        del keys, index  # of a large table they are a share of the memory that counts
        costs = np.array([rows.weights[part] @ distances[part] for part in members])
        masses = np.array([rows.weights[part].sum() for part in members])
        needs = masses / masses.sum() + (costs / costs.sum() if costs.any() else 0.0)
        shares = _useful_shares(needs, rows.X, members, squared, n_points)
        cells = []
        for part, share, cost, mass in zip(members, shares, costs, masses, strict=True):
            picks = rows.weights[part] * (distances[part] + cost / mass) if cost > 0 else rows.weights[part]
            anchors = rows.X[part[np.unique(systematic_draw(picks, int(share), rng))]]
            cells.append(
                cells_around(rows, part, anchors, int(share), n_steps=n_steps, min_size=least, products=products)
            )
        return cells

    def _centers(self, rows: Rows, n_centers: int, n_steps: int, rng: np.random.Generator) -> NDArray[np.float64]:
        sample, weights = importance_sample(
            rows.squares, rows.weights, max(_SEEDED_ROWS, _SEEDED_PER_CENTER * n_centers), rng
        )
        X = rows.X[sample]
        n_seeds = math.ceil(_SEEDS_PER_CENTER * n_centers)
        centers = X[seed_centers(X, weights, n_seeds, rng, power=self.power)].astype(np.float64)
        if len(centers) > n_centers:
            means, masses = group_means(X, weights, nearest(X, centers)[0], len(centers))
            centers = merged(means, masses, n_centers)
        return refine(X, weights, centers, n_steps=n_steps)


def _sample(rows: Rows, n_sampled: int, rng: np.random.Generator) -> Rows | None:
    """Rows to build cells from, weighted; None where a few heavy ones take the draws."""
    chosen, weights = importance_sample(rows.importance, rows.weights, n_sampled, rng)
    if len(chosen) < n_sampled // 2:
        return None
    return dataclasses.replace(rows.take(chosen), weights=weights * (rows.weights.sum() / weights.sum()))


def _clusters_of_size(
    X: Floats, centers: NDArray[np.float64], min_size: int
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Nearest centre and squared distance, after leaving out centres that fewer rows are nearest to."""
    index, squared = nearest(X, centers)
    sizes = np.bincount(index, minlength=len(centers))
    kept = sizes >= min_size
    kept[sizes.argmax()] = True
    moved = np.flatnonzero(~kept[index])
    if len(moved):
        index[moved], squared[moved] = nearest(X, centers[kept], moved)
        index[moved] = np.flatnonzero(kept)[index[moved]]
    return index, squared


def _useful_shares(
    needs: NDArray[np.float64],
    X: Floats,
    members: list[NDArray[np.intp]],
    squared: NDArray[np.float64],
    n_points: int,
) -> NDArray[np.int64]:
    """Points for each rough cluster, in proportion to its needs, but no more than it has distinct rows."""
    limits = np.array([len(part) for part in members])
    shares = share_points(needs, limits, n_points)
    for cluster, part in enumerate(members):
        # Members are sorted by distance, and rows at different distances are distinct; others have to be compared.
        if 1 + np.count_nonzero(np.diff(squared[part])) < shares[cluster]:
            limits[cluster] = len(np.unique(X[part], axis=0))
    return share_points(needs, limits, n_points)


def _assembled(groups: list[Cells], rows: Rows, within: NDArray[np.float64] | None, power: int) -> Coreset:
    """Summary of the cells, those of each rough cluster a group, and the sum of the covariances within them."""
    distances = np.concatenate([cells.distances for cells in groups])
    masses = np.concatenate([cells.masses for cells in groups])
    residuals = np.concatenate([cells.residuals for cells in groups])
    group_masses = np.array([cells.masses.sum() for cells in groups])
    variances = np.array([cells.column_squares for cells in groups]) / group_masses[:, None]
    targets = [cells.targets for cells in groups if cells.targets is not None]
    covariance = None if within is None else within / group_masses.sum()
    return Coreset(
        np.concatenate([cells.means for cells in groups]),
        masses,
        labels=np.concatenate([target.means for target in targets]) if targets else None,
        offset=float(residuals.sum()),
        spread=np.sqrt(residuals / masses) if power == 2 else distances / masses,
        groups=np.repeat(np.arange(len(groups)), [len(cells.masses) for cells in groups]),
        group_variances=variances,
        group_slopes=_group_slopes(groups, targets, variances, group_masses, covariance) if targets else None,
        within_covariance=covariance,
        max_displacement=max(cells.max_displacement for cells in groups),
        total_displacement=math.fsum(cells.total_displacement for cells in groups),
        n_source=len(rows),
        source_dtype=rows.source_dtype,
        target_type=rows.target_type if targets else None,
        label_scale=rows.label_scale if targets else None,
    )


def _group_slopes(
    groups: list[Cells],
    targets: list[CellTargets],
    variances: NDArray[np.float64],
    masses: NDArray[np.float64],
    covariance: NDArray[np.float64] | None,
) -> NDArray[np.float64]:
    """Slopes of the target within each group: those of all cells, as far as its own rows do not tell otherwise.

    Ridge regressions from second moments, of all cells and then of what each group has beyond them, whose penalty is
    the less the more cells there are for each column. Without covariances each column is looked at by itself. (Ours.)
    """
    products = np.array([target.products for target in targets]) / masses[:, None]
    if covariance is None:
        return _over(products, variances, _ROUNDING**2)
    n_features = variances.shape[1]
    # Numbers of cells and not of rows, so that a weight of two is the same as two rows.
    n_cells = np.array([len(cells.masses) for cells in groups])
    shared = regression(covariance[:, :-1], covariance[:, -1], _SHARED_PENALTY * n_features / n_cells.sum())
    correlation = correlations(covariance, variances, masses)
    deviations = np.sqrt(variances)
    values, vectors = np.linalg.eigh(correlation)
    beyond = _over(products, deviations, _ROUNDING) - (deviations * shared) @ correlation
    penalties = (_OWN_PENALTY * n_features / n_cells) ** 2
    own = ((beyond @ vectors) / (np.maximum(values, 0.0) + penalties[:, None])) @ vectors.T
    return shared + _over(own, deviations, _ROUNDING)


def _over(values: NDArray[np.float64], widths: NDArray[np.float64], limit: float) -> NDArray[np.float64]:
    """Quotients; none for columns of less than this share of the largest width, which vary by rounding alone."""
    varies = widths > limit * widths.max(initial=0.0)
    with np.errstate(all="ignore"):
        quotients = np.where(varies, values / np.where(varies, widths, 1.0), 0.0)
    return np.where(np.isfinite(quotients), quotients, 0.0)


def _without_certificate(coreset: Coreset) -> Coreset:
    """Rows that were not read may lie anywhere."""
    return dataclasses.replace(coreset, max_displacement=math.nan, total_displacement=math.nan)
