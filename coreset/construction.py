"""Estimators that turn weighted rows into a `Coreset` of a given number of points."""

from __future__ import annotations

import dataclasses
import math
import numbers
from abc import ABC, abstractmethod
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, validate_data

from .clustering import (
    SEEDING_ROWS,
    group_means,
    importance_sample,
    lloyd,
    seed_centers,
    systematic_draw,
    weighted_mean,
)
from .nearest import Floats, nearest, squared_distances_to
from .points import Coreset, as_labels, check_power

RandomState = int | np.random.RandomState | np.random.Generator | None

# Up to this many points every one is a centre of the clustering itself; beyond, cells are cut in two levels.
_ONE_LEVEL_POINTS = 256
_ONE_LEVEL_STEPS = 10


def as_generator(random_state: RandomState) -> np.random.Generator:
    """Turn what users pass as `random_state` into a NumPy Generator.

    Parameters
    ----------
    random_state : int, RandomState, Generator or None

    Returns
    -------
    numpy.random.Generator

    Raises
    ------
    ValueError
        When it is none of these.
    """
    if isinstance(random_state, np.random.Generator):
        return random_state
    if random_state is None or isinstance(random_state, numbers.Integral):
        return np.random.default_rng(None if random_state is None else int(random_state))
    return np.random.default_rng(check_random_state(random_state).randint(0, 2**31 - 1, size=4))


def check_count(name: str, value: object, least: int = 1) -> int:
    """Return `value` as an int when it is an integer of at least `least`.

    Raises
    ------
    TypeError
        When it is no integer.
    ValueError
        When it is too small.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name}={value!r} must be an integer")
    if value < least:
        raise ValueError(f"{name}={value} must be at least {least}")
    return int(value)


@dataclasses.dataclass(frozen=True)
class Rows:
    """Checked input of a construction.

    Parameters
    ----------
    X : ndarray of shape (n, d), float32 or float64, C order
    weights : ndarray of shape (n,), float64
        Positive.
    labels : ndarray of shape (n,), optional
    indices : ndarray of shape (n,), int64
        Row numbers in the caller's table.
    source_dtype : numpy.dtype
        As the caller stored the table.
    """

    X: Floats
    weights: NDArray[np.float64]
    labels: NDArray[Any] | None
    indices: NDArray[np.int64]
    source_dtype: np.dtype[Any]

    def __len__(self) -> int:
        return len(self.X)

    def take(self, rows: NDArray[Any]) -> Rows:
        """Subset of the rows."""
        labels = None if self.labels is None else self.labels[rows]
        return Rows(self.X[rows], self.weights[rows], labels, self.indices[rows], self.source_dtype)


def check_rows(estimator: BaseEstimator, X: ArrayLike, y: ArrayLike | None, sample_weight: ArrayLike | None) -> Rows:
    """Validate a table the way scikit-learn does, and leave out rows of weight zero.

    Sets ``n_features_in_`` and ``feature_names_in_`` on the estimator.

    Parameters
    ----------
    estimator : BaseEstimator
    X : array-like of shape (n, d)
    y : array-like of shape (n,), optional
        Class labels.
    sample_weight : array-like of shape (n,), optional

    Returns
    -------
    Rows

    Raises
    ------
    ValueError
        On NaN, infinity, an empty table, lengths that disagree, negative weights, weights that are all zero, values
        whose squares overflow, or a continuous `y`.
    TypeError
        On sparse input or labels of no usable type.
    """
    source_dtype = _stored_dtype(X)
    checked = validate_data(estimator, X, dtype=[np.float64, np.float32], order="C")
    weights = _check_sample_weight(sample_weight, checked, dtype=np.float64, ensure_non_negative=True)
    present = np.flatnonzero(weights)
    if len(present) == 0:
        raise ValueError(f"sample_weight is zero for all {len(checked)} rows, so there is nothing to summarise")
    rows = Rows(
        _squarable(checked, float(weights.sum())),
        weights,
        _check_labels(y, len(checked)),
        np.arange(len(checked)),
        source_dtype,
    )
    return rows if len(present) == len(checked) else rows.take(present)


def _squarable(X: Floats, mass: float) -> Floats:
    """The table in a type whose squared distances neither overflow nor vanish."""
    low, high = float(X.min()), float(X.max())
    half_span = high / 2 - low / 2
    if X.dtype == np.float32 and not 1e-12 < half_span < 1e12:
        X = X.astype(np.float64)
    if half_span > math.sqrt(np.finfo(X.dtype).max / (4 * X.shape[1] * max(mass, 1.0))):
        raise ValueError(f"X spans {low:g} to {high:g}: the squared distances overflow, so scale it down first")
    return X


def _stored_dtype(X: object) -> np.dtype[Any]:
    dtypes = getattr(X, "dtypes", None)  # a DataFrame has one a column
    candidates = list(dtypes) if dtypes is not None else [getattr(X, "dtype", np.dtype(np.float64))]
    if all(isinstance(d, np.dtype) and d.kind in "biuf" for d in candidates) and candidates:
        return np.result_type(*candidates)
    return np.dtype(np.float64)


def _check_labels(y: ArrayLike | None, n_rows: int) -> NDArray[Any] | None:
    if y is None:
        return None
    labels = as_labels(y)
    if len(labels) != n_rows:
        raise ValueError(f"y has {len(labels)} labels, X has {n_rows} rows")
    if labels.dtype.kind == "f" and not (labels == np.round(labels)).all():
        raise ValueError(
            "y is continuous; labels are classes here. To keep a regression target in the summary, "
            "append it to X as a scaled column"
        )
    return labels


class CoresetConstructor(BaseEstimator, ABC):
    """What every construction shares: checking, one summary a class, assembly.

    A subclass has the parameters `n_points` and `random_state` and computes in `_share_key` and `_summarise`.
    """

    n_points: int
    random_state: RandomState

    def fit(
        self, X: ArrayLike, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> CoresetConstructor:
        """Summarise the rows.

        With labels, each class is summarised apart, so that no point mixes classes and no class is lost.

        Parameters
        ----------
        X : array-like of shape (n, d)
        y : array-like of shape (n,), optional
            Class labels.
        sample_weight : array-like of shape (n,), optional
            Weight three means the same row three times; zero means that it is absent.

        Returns
        -------
        self
            With ``coreset_``.

        Raises
        ------
        ValueError
            On bad values, or fewer points than classes; see `check_rows` for the list.
        TypeError
            On values of the wrong type.
        """
        n_points = check_count("n_points", self.n_points)
        self._check_parameters()
        rows = check_rows(self, X, y, sample_weight)
        rng = as_generator(self.random_state)
        coreset = self._whole(rows, n_points, rng) if rows.labels is None else self._by_class(rows, n_points, rng)
        names = getattr(self, "feature_names_in_", None)
        self.coreset_ = dataclasses.replace(coreset, feature_names=None if names is None else tuple(names))
        return self

    def _check_parameters(self) -> None:
        """Raise for parameters that only the subclass knows."""

    @abstractmethod
    def _share_key(self, rows: Rows) -> float:
        """How much of the points a class gets, relative to the others."""

    @abstractmethod
    def _summarise(self, rows: Rows, n_points: int, rng: np.random.Generator) -> Coreset:
        """Summary of more than `n_points` rows, without labels."""

    def _whole(self, rows: Rows, n_points: int, rng: np.random.Generator) -> Coreset:
        if len(rows) > n_points:
            return self._summarise(rows, n_points, rng)
        return Coreset(
            rows.X.astype(np.float64),
            rows.weights,
            max_displacement=0.0,
            total_displacement=0.0,
            source_dtype=rows.source_dtype,
            sample_indices=rows.indices,
        )

    def _by_class(self, rows: Rows, n_points: int, rng: np.random.Generator) -> Coreset:
        classes, codes = np.unique(np.asarray(rows.labels), return_inverse=True)
        if n_points < len(classes):
            raise ValueError(f"n_points={n_points} is less than the {len(classes)} classes in y")
        members = [rows.take(np.flatnonzero(codes == code)) for code in range(len(classes))]
        shares = share_points(
            np.array([self._share_key(part) for part in members]), np.array([len(part) for part in members]), n_points
        )
        parts = [
            self._whole(part, int(share), child)
            for part, share, child in zip(members, shares, rng.spawn(len(members)), strict=True)
        ]
        indices = [part.sample_indices for part in parts]
        return dataclasses.replace(
            Coreset.merge(*parts),
            labels=np.repeat(classes, [len(part) for part in parts]),
            sample_indices=None if any(i is None for i in indices) else np.concatenate(indices),  # type: ignore[arg-type]
        )


def share_points(keys: NDArray[np.float64], limits: NDArray[np.int64], n_points: int) -> NDArray[np.int64]:
    """Share points out in proportion to `keys`: at least one each, at most `limits` each, never more in all.

    Parameters
    ----------
    keys : ndarray of shape (n_groups,)
        Not negative.
    limits : ndarray of shape (n_groups,), int64
        At least one.
    n_points : int
        At least the number of groups.

    Returns
    -------
    ndarray of shape (n_groups,), int64
        Sums to ``min(n_points, sum(limits))`` unless keys of zero hold points back.
    """
    shares = np.ones(len(keys), dtype=np.int64)
    while True:
        left = n_points - int(shares.sum())
        room = np.where(keys > 0, limits - shares, 0)
        if left <= 0 or not room.any():
            return shares
        open_keys = np.where(room > 0, keys, 0.0)
        open_keys = open_keys / open_keys.max()  # tiny keys must not underflow in the sum
        wanted = left * open_keys / open_keys.sum()
        grant = np.minimum(np.floor(wanted).astype(np.int64), room)
        if not grant.any():
            best = np.lexsort((np.arange(len(keys)), -wanted))[: min(left, int((room > 0).sum()))]
            grant[best] = np.minimum(1, room[best])
        shares += grant


@final
class UniformCoreset(CoresetConstructor):
    """Rows drawn in proportion to their weight, each standing for the same mass: the baseline.

    With labels, each class gets points in proportion to its mass and at least one.

    Parameters
    ----------
    n_points : int, default=1000
        Draws. A row whose weight exceeds ``total / n_points`` can be drawn several times and comes back once, with the
        weight of all its draws, so that fewer points come back.
    random_state : int, RandomState, Generator or None, default=None

    Attributes
    ----------
    coreset_ : Coreset
        Unbiased for every sum of costs; its total weight is exact. Its certificate is nan.

    Examples
    --------
    >>> import numpy as np
    >>> from coreset import UniformCoreset
    >>> X = np.arange(100.0).reshape(-1, 1)
    >>> summary = UniformCoreset(n_points=10, random_state=0).fit(X).coreset_
    >>> len(summary), summary.total_weight
    (10, 100.0)
    """

    def __init__(self, n_points: int = 1000, *, random_state: RandomState = None) -> None:
        self.n_points = n_points
        self.random_state = random_state

    def _share_key(self, rows: Rows) -> float:
        return float(rows.weights.sum())

    def _summarise(self, rows: Rows, n_points: int, rng: np.random.Generator) -> Coreset:
        order = rng.permutation(len(rows))
        drawn = systematic_draw(rows.weights[order], n_points, rng)
        chosen, counts = np.unique(order[drawn], return_counts=True)
        return Coreset(
            rows.X[chosen].astype(np.float64),
            counts * (rows.weights.sum() / n_points),
            n_source=len(rows),
            source_dtype=rows.source_dtype,
            sample_indices=rows.indices[chosen],
        )


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
    random_state : int, RandomState, Generator or None, default=None

    Attributes
    ----------
    coreset_ : Coreset
        With offset, spread and certificate. Its k-means cost never lies below that of the rows.

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

    def __init__(self, n_points: int = 1000, *, power: int = 2, random_state: RandomState = None) -> None:
        self.n_points = n_points
        self.power = power
        self.random_state = random_state

    def _check_parameters(self) -> None:
        check_power(self.power)

    def _share_key(self, rows: Rows) -> float:
        squared = squared_distances_to(rows.X, weighted_mean(rows.X, rows.weights))
        return float(rows.weights @ (squared if self.power == 2 else np.sqrt(squared)))

    def _summarise(self, rows: Rows, n_points: int, rng: np.random.Generator) -> Coreset:
        if n_points <= _ONE_LEVEL_POINTS:
            cells = nearest(rows.X, self._centers(rows, n_points, _ONE_LEVEL_STEPS, rng))[0]
        else:
            cells = self._two_level_cells(rows, n_points, rng)
        return _replace_cells(rows, cells)

    def _centers(self, rows: Rows, n_centers: int, n_steps: int, rng: np.random.Generator) -> NDArray[np.float64]:
        sample, weights = importance_sample(rows.X, rows.weights, SEEDING_ROWS, rng)
        X = rows.X[sample]
        seeds = seed_centers(X, weights, n_centers, rng, power=self.power)
        return lloyd(X, weights, X[seeds].astype(np.float64), max_iterations=n_steps).centers

    def _two_level_cells(self, rows: Rows, n_points: int, rng: np.random.Generator) -> NDArray[np.intp]:
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
        return cells


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


def _replace_cells(rows: Rows, cells: NDArray[np.intp]) -> Coreset:
    """Replace every cell by its weighted mean and account for what that loses."""
    used, cells = np.unique(cells, return_inverse=True)
    means, masses = group_means(rows.X, rows.weights, cells, len(used))
    # Rounding must not carry a mean outside its data: a constant column stays one, and costs nothing in a message.
    np.clip(means, rows.X.min(axis=0), rows.X.max(axis=0), out=means)
    squared = squared_distances_to(rows.X, means[cells])
    residuals = np.bincount(cells, weights=rows.weights * squared, minlength=len(used))
    distances = np.sqrt(squared)
    return Coreset(
        means,
        masses,
        offset=float(residuals.sum()),
        spread=np.sqrt(residuals / masses),
        max_displacement=float(distances.max()),
        total_displacement=float(rows.weights @ distances),
        n_source=len(rows),
        source_dtype=rows.source_dtype,
    )
