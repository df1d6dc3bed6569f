"""The value that flows through the package: a small weighted point set that stands for a large one."""

from __future__ import annotations

import dataclasses
import math
import numbers
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .groups import checked_group_fields
from .merging import merged_fields
from .nearest import nearest
from .scattering import columns_as_shape, scatter_points
from .targets import CLASS, NUMERIC, checked_target_fields, fitted_slopes
from .training import Estimator, fit_weighted
from .validation import RandomState, as_generator, check_power, frozen, masses, not_negative, storable_count
from .widths import Widths, correlations

if TYPE_CHECKING:
    import pandas as pd


@dataclasses.dataclass(frozen=True, eq=False)
class Coreset:
    """A small weighted point set whose costs stand for those of a large one.

    It keeps no reference to the data that it was made of; its arrays are read-only copies.

    Parameters
    ----------
    points : array-like of shape (n_points, n_features)
        Stored as float64.
    weights : array-like of shape (n_points,)
        Not negative; their sum is the mass of the source.
    labels : array-like of shape (n_points,), optional
        Class of each point, or its numeric target: the mean of its cell, or the picked row's own, in its units.
    offset : float, default=0.0
        What ``sum w d^2`` over the points lacks of the source's cost: the squared distances of the rows to the point
        that replaced them. `cost` with ``power=2`` adds it. It can be negative after coarse quantization.
    spread : array-like of shape (n_points,), optional
        Root mean squared distance of a cell's rows to its point, in the data's units; of constructions with ``power=1``
        the mean distance. When None, the single spread ``sqrt(offset / total weight)`` serves every point.
    groups : array-like of int of shape (n_points,), optional
        Rough cluster of each point, a row of `group_variances`.
    group_variances : array-like of shape (n_groups, n_features), optional
        Mean variance of each column within the cells of each group: the shape of what `scatter` gives back.
    max_displacement, total_displacement : float, default=nan
        Certificate: the largest distance of a source row to the point that stands for it, and the weighted sum of these
        distances, in the data's units; nan when unknown, as for samples. With a numeric target they are distances of
        ``(x, label_scale * y)``.
    n_source : int, optional
        Rows summarised; by default the number of points.
    source_dtype : dtype-like, default=float64
        Type that the source was stored in, against which byte ratios are taken.
    feature_names : tuple of str, optional
    sample_indices : array-like of int of shape (n_points,), optional
        Source row of each point, for methods that pick rows; merging, streams and messages do not keep it.
    target_type : {"class", "numeric"}, optional
        What the labels are; "class" unless told otherwise, None without labels. Numeric ones are stored as float64.
    label_scale : float, optional
        Units of the points that a unit of a numeric target counts as in the certificate; 1 unless told otherwise.
        Points, offset, spread and variances are about the features alone.
    group_slopes : array-like of shape (n_groups, n_features), optional
        Slopes of a numeric target's regression on the columns within the cells of each group: how `scatter` moves it.
    within_covariance : array-like of shape (n_features, n_features), optional
        Mean covariance of the columns within all cells, by mass: what the covariance of the points lacks of that of the
        source. With a numeric target, its covariance with them is one more column.
    source_zstd_bytes : int, optional
        What the source takes after zstd, against which a byte ratio is taken; None where nobody measured it. A budget
        measures it on part of the rows.

    Raises
    ------
    ValueError
        When shapes disagree or a value is not finite or a weight negative, or the weights' sum leaves a double's range.
    TypeError
        When labels have no usable type, or a numeric target is none.

    Examples
    --------
    >>> import numpy as np
    >>> from coreset import Coreset
    >>> pair = Coreset(points=[[0.0], [10.0]], weights=[2, 2], offset=4.0)   # rows -1, 1, 9, 11
    >>> pair.cost(np.array([[0.0], [10.0]]))
    4.0
    >>> pair.cost(np.array([[5.0]]))            # 4 * 25 + 4, as over the rows themselves
    104.0
    """

    points: NDArray[np.float64]
    weights: NDArray[np.float64]
    labels: NDArray[Any] | None = None
    offset: float = 0.0
    spread: NDArray[np.float64] | None = None
    groups: NDArray[np.int64] | None = None
    group_variances: NDArray[np.float64] | None = None
    max_displacement: float = math.nan
    total_displacement: float = math.nan
    n_source: int | None = None
    source_dtype: np.dtype[Any] = dataclasses.field(default_factory=lambda: np.dtype(np.float64))
    feature_names: tuple[str, ...] | None = None
    sample_indices: NDArray[np.int64] | None = None
    target_type: str | None = None
    label_scale: float | None = None
    group_slopes: NDArray[np.float64] | None = None
    within_covariance: NDArray[np.float64] | None = None
    source_zstd_bytes: int | None = None

    def __post_init__(self) -> None:
        points = frozen(self.points, np.float64)
        if points.ndim != 2 or 0 in points.shape:
            raise ValueError(f"points has shape {points.shape}, expected (n_points, n_features), both at least one")
        if not np.isfinite(points).all():
            raise ValueError("points contains NaN or infinity")
        if not math.isfinite(self.offset):
            raise ValueError(f"offset={self.offset} must be finite")
        fields = {
            "points": points,
            "weights": masses("weights", self.weights),
            "offset": float(self.offset),
            "n_source": storable_count("n_source", len(points) if self.n_source is None else self.n_source),
            "source_dtype": np.dtype(self.source_dtype),
            "source_zstd_bytes": None
            if self.source_zstd_bytes is None
            else storable_count("source_zstd_bytes", self.source_zstd_bytes),
            **self._checked_optional_fields(),
        }
        for name in ("weights", "labels", "spread", "groups", "sample_indices"):
            if name in fields and fields[name].shape != (len(points),):
                raise ValueError(f"{name} has shape {fields[name].shape}, expected ({len(points)},) to match points")
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    def _checked_optional_fields(self) -> dict[str, Any]:
        for name in ("max_displacement", "total_displacement"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)} must not be negative")
        fields = checked_target_fields(self.labels, self.target_type, self.label_scale)
        if self.spread is not None:
            fields["spread"] = not_negative("spread", self.spread)
        if self.sample_indices is not None:
            fields["sample_indices"] = frozen(self.sample_indices, np.int64)
        n_features = np.shape(self.points)[1]
        fields |= checked_group_fields(
            self.groups,
            self.group_variances,
            self.group_slopes,
            self.within_covariance,
            n_features,
            numeric=self.target_type == NUMERIC,
        )
        if self.feature_names is not None:
            names = fields["feature_names"] = tuple(str(name) for name in self.feature_names)
            if len(names) != n_features:
                raise ValueError(f"feature_names has {len(names)} names, points has {n_features} columns")
        return fields

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for value in state.values():
            if isinstance(value, np.ndarray):
                value.setflags(write=False)  # which copies and pickles forget

    def __len__(self) -> int:
        return len(self.points)

    def __repr__(self) -> str:
        classes = "" if self.labels is None else f", {len(np.unique(self.labels))} classes"
        if self.target_type == NUMERIC:
            classes = ", numeric target"
        return (
            f"Coreset({len(self)} points x {self.n_features} features{classes}, "
            f"total weight {self.total_weight:.6g}, from {self.n_source} rows)"
        )

    @property
    def n_features(self) -> int:
        """Number of columns of the points."""
        return int(self.points.shape[1])

    @property
    def total_weight(self) -> float:
        """Sum of the weights, correctly rounded: the mass of the source."""
        return math.fsum(self.weights)

    @property
    def nbytes(self) -> int:
        """Bytes that points, weights and labels take in memory."""
        return self.points.nbytes + self.weights.nbytes + (0 if self.labels is None else self.labels.nbytes)

    def _spreads(self) -> NDArray[np.float64]:
        if self.spread is not None:
            return self.spread
        total = self.total_weight
        return np.full(len(self), math.sqrt(max(self.offset, 0.0) / total) if total > 0 else 0.0)

    def _widths(self, *, correlated: bool = False) -> Widths | None:
        """Second moments within the cell of each point, and correlations if asked for; None where no cell has width."""
        spreads = self._spreads()
        if not spreads.any():
            return None
        shapes = self._shapes()
        totals = shapes.sum(axis=1, keepdims=True)
        even = np.full_like(shapes, 1 / self.n_features)
        variances = spreads[:, None] ** 2 * np.divide(shapes, totals, out=even, where=totals > 0)
        slopes = self._slopes() if self.target_type == NUMERIC else None
        covariance = self.within_covariance
        if covariance is None or not np.trace(covariance) > 0:
            return Widths(variances, slopes=slopes)
        correlation = correlations(covariance, variances, self.weights) if correlated else None
        return Widths(variances, covariance, slopes, correlation)

    def _shapes(self) -> NDArray[np.float64]:
        """Relative variances of the columns within the cell of each point."""
        if self.groups is not None and self.group_variances is not None:
            shapes: NDArray[np.float64] = self.group_variances[self.groups]
            return shapes
        if self.within_covariance is not None:
            return np.tile(np.diag(self.within_covariance), (len(self), 1))
        classes = self.labels if self.target_type == CLASS else None
        return np.tile(columns_as_shape(self.points, self.weights, classes), (len(self), 1))

    def cost(self, centers: ArrayLike, *, power: int = 2) -> float:
        """Clustering cost of the source on these centres, estimated from the summary.

        With ``power=2`` it is ``sum w min d^2 + offset``, which for cells whose rows share their nearest centre is
        exact (and 0 should a negative offset make it less). With ``power=1`` it is ``sum w sqrt(min d^2 + spread^2)``,
        an approximation of this project's own that counts each cell's width once; without it a k-median cost misses the
        width altogether.

        Parameters
        ----------
        centers : array-like of shape (k, n_features)
        power : {1, 2}, default=2
            1 for the k-median cost, 2 for the k-means cost.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            When `centers` has another number of columns, no row or a value that is not finite.
        """
        checked = np.atleast_2d(np.asarray(centers, dtype=np.float64))
        if checked.ndim != 2 or len(checked) == 0 or checked.shape[1] != self.n_features:
            raise ValueError(f"centers has shape {checked.shape}, expected (k, {self.n_features}) with k >= 1")
        if not np.isfinite(checked).all():
            raise ValueError("centers contains NaN or infinity")
        squared = nearest(self.points, checked)[1]
        if check_power(power) == 2:
            return max(float(self.weights @ squared) + self.offset, 0.0)
        return float(self.weights @ np.sqrt(squared + self._spreads() ** 2))

    def error_bound(self, lipschitz: float) -> float:
        """Largest error that replacing rows by points can cause in a sum of costs.

        ``|sum_p w_p cost(p, x) - sum_s w_s cost(s, x)| <= lipschitz * total_displacement`` for every model x, when
        ``cost(., x)`` is Lipschitz in the point. It is about the points alone: the offset plays no part. (Derived for
        this project from the triangle inequality; compare theorem and constants in arXiv 1904.05961.)

        Parameters
        ----------
        lipschitz : float
            Lipschitz constant of one row's cost, in cost per unit of distance. With a numeric target the cost is one of
            the row and its target, and distances are those of ``(x, label_scale * y)``: a cost that changes by at most
            a per unit of x and b per unit of y has the constant ``sqrt(a**2 + (b / label_scale)**2)``.

        Returns
        -------
        float
            nan when the certificate is unknown.

        Raises
        ------
        ValueError
            When `lipschitz` is negative or nan.
        """
        if not lipschitz >= 0:
            raise ValueError(f"lipschitz={lipschitz} must not be negative or nan")
        return float(lipschitz) * self.total_displacement

    @staticmethod
    def merge(*coresets: Coreset) -> Coreset:
        """Union of summaries of disjoint data: points are put together, offsets and certificates added up.

        Parameters
        ----------
        *coresets : Coreset
            With the same features; all with labels or all without, of the same `target_type`. Where some have no
            feature names, those of the others are taken. Row indices are dropped, since they count in different tables.
            With numeric targets the certificate holds with the least `label_scale`.

        Returns
        -------
        Coreset

        Raises
        ------
        ValueError
            When nothing is given, or features, labels or their types disagree.

        Examples
        --------
        >>> from coreset import Coreset
        >>> Coreset.merge(Coreset([[0.0]], [1]), Coreset([[1.0]], [3], offset=2.0)).total_weight
        4.0
        """
        return Coreset(**merged_fields(coresets))

    def to_frame(self) -> pd.DataFrame:
        """The points as a DataFrame, with columns ``weight`` and, if there are labels, ``label`` at the end.

        Returns
        -------
        pandas.DataFrame of shape (n_points, n_features + 1 or 2)

        Raises
        ------
        ValueError
            When a feature is itself called ``weight`` or ``label``.
        """
        import pandas as pd

        names = self.feature_names or tuple(f"x{column}" for column in range(self.n_features))
        extra = {"weight": self.weights} if self.labels is None else {"weight": self.weights, "label": self.labels}
        if taken := sorted(set(names) & set(extra)):
            raise ValueError(f"feature_names {taken} are the names of the columns that to_frame adds")
        return pd.DataFrame(self.points.copy(), columns=pd.Index(names)).assign(**extra)

    def scatter(self, copies: int = 4, *, random_state: RandomState = 0) -> Coreset:
        """Cells given their width back: each point replaced by `copies` seeded deviates around it.

        A cell counts all its rows at one place, so on data without structure it over-estimates the cost of centres that
        would share its rows, and it hides variance from models. The deviates come in antipodal pairs, so that every
        cell's mean stays exact. They are drawn from Gaussians whose expected squared distance to the point is
        ``spread**2``, with the column variances of the cell's group and correlations that all cells share; then one
        linear map gives them, all together, exactly `within_covariance`. The scatter of a `RobustCoreset` (with
        ``power=2``) thus has the mean and the covariance of its rows, and principal components and linear or ridge
        regressions on it are those of the rows; from 20,000 rows on, up to what a sample tells of the covariance. The
        map is left out where the deviates are, in effect, fewer than 1.25 for each column, so that more copies help,
        and where cells are so unlike that it would move deviates far.

        What `spread` does not explain stays an offset, and is not scattered: all of a negative one, which coarse
        quantization can leave, and, of constructions with ``power=1``, what the mean square of the distances has beyond
        the square of their mean. Without `group_variances`, as after decoding a message, the shape is that of the
        points' columns, about the means of the classes if there are some.

        A numeric target moves along with the deviates, by `group_slopes`, and by what these lack, all cells together,
        of its covariance with the columns: left where it is, it would flatten regressions (the errors-in-variables
        bias), and centres alone, where cells mix rows and targets, steepen them. Without `group_slopes`, as after
        decoding a message, the slopes of a linear fit through the points serve all of them; a model of these deviates
        is close to one of the points.

        Solve clusterings on the coreset itself, and evaluate centres or train models on the scatter. (Ours.)

        Parameters
        ----------
        copies : int, default=4
            Even, at least 2.
        random_state : int, RandomState, Generator or None, default=0

        Returns
        -------
        Coreset
            Of ``copies * n_points`` points with the same total weight and no certificate.

        Raises
        ------
        ValueError
            When `copies` is odd or less than 2.

        Examples
        --------
        >>> import numpy as np
        >>> from coreset import RobustCoreset
        >>> X = np.random.default_rng(0).normal(size=(20_000, 8))        # no clusters at all
        >>> summary = RobustCoreset(n_points=400, random_state=0).fit(X).coreset_
        >>> centers = X[:50]
        >>> truth = float(((X[:, None] - centers) ** 2).sum(axis=2).min(axis=1).sum())
        >>> summary.cost(centers) / truth > 1.1, abs(summary.scatter(16).cost(centers) / truth - 1) < 0.02
        (True, True)
        """
        if isinstance(copies, bool) or not isinstance(copies, numbers.Integral) or copies < 2 or copies % 2:
            raise ValueError(f"copies={copies!r} must be an even number of at least 2, since deviates come in pairs")
        rest = self.offset - float(self.weights @ self._spreads() ** 2)
        scattered, labels = np.tile(self.points, (copies, 1)), None
        if (widths := self._widths(correlated=True)) is not None:
            targets = self.labels if self.target_type == NUMERIC else None
            rng = as_generator(random_state)
            scattered, labels = scatter_points(self.points, self.weights, targets, widths, int(copies), rng)
        if labels is None and self.labels is not None:
            labels = np.tile(self.labels, copies)
        return Coreset(
            scattered,
            np.tile(self.weights / copies, copies),
            labels=labels,
            offset=rest if abs(rest) > 1e-9 * abs(self.offset) else 0.0,
            spread=np.zeros(copies * len(self)),  # what offset is left is about squares, and no width
            n_source=self.n_source,
            source_dtype=self.source_dtype,
            feature_names=self.feature_names,
            target_type=self.target_type,
            label_scale=self.label_scale,
            source_zstd_bytes=self.source_zstd_bytes,
        )

    def _slopes(self) -> NDArray[np.float64]:
        """How a numeric target changes with each column within the cell of each point."""
        if self.group_slopes is not None and self.groups is not None:
            slopes: NDArray[np.float64] = self.group_slopes[self.groups]
            return slopes
        return np.tile(fitted_slopes(self.points, np.asarray(self.labels), self.weights), (len(self), 1))

    def train(self, estimator: Estimator, *, copies: int = 1) -> Estimator:
        """Fit a clone of a scikit-learn estimator on the weighted points, or on their scatter.

        Weights go to every step of a pipeline that takes them, nested pipelines included; they sum to the mass of the
        source, so that a penalty weighs as much as it would on the full data. With scikit-learn's metadata routing
        switched on, they go where the estimator requests ``sample_weight``; a grid search needs that, since it would
        score its folds without weights, and so do the scalers in a ColumnTransformer, which go without otherwise.

        Centres have a smaller variance than the rows that they replace, and a scaler divides by that smaller standard
        deviation: a penalty or a threshold behind it then meets larger columns than it would have. The scatter restores
        variances, covariances and slopes. R2 of a linear regression on 500 points of 10,000 rows
        (``benchmarks/targets.py``, noisy line) is 0.526 with the default `label_scale`, as on all rows, and 0.338 with
        ten times that; on the scatter 0.526 and 0.526. Of a forest it is 0.44 and 0.45, on the scatter 0.50 and 0.47,
        on all rows 0.48. After a message, which leaves behind what is known of the cells, the scatter mends the
        variances alone (with ten times the default scale: linear 0.347, forest 0.354).

        Parameters
        ----------
        estimator : scikit-learn estimator or Pipeline
            Its final step must take ``sample_weight``.
        copies : int, default=1
            1 trains on the points themselves; an even number on ``scatter(copies)``.

        Returns
        -------
        estimator
            A fitted clone; the argument stays as it was.

        Raises
        ------
        TypeError
            When no sample weights reach the final step, or the target is not of the estimator's kind: numbers for a
            classifier, strings for a regressor. Classes that are numbers do for a regressor.
        ValueError
            When `copies` is neither 1 nor even, or the estimator needs a target and there are no labels.

        Examples
        --------
        >>> from sklearn.linear_model import LogisticRegression
        >>> from coreset import Coreset
        >>> summary = Coreset([[-1.0], [1.0]], weights=[50, 50], labels=["no", "yes"])
        >>> str(summary.train(LogisticRegression()).predict([[3.0]])[0])
        'yes'
        """
        import pandas as pd

        if copies == 0:
            raise ValueError("copies=0 must be 1, for the points themselves, or an even number")
        rows = self if copies == 1 else self.scatter(copies)
        X = pd.DataFrame(rows.points, columns=list(rows.feature_names)) if rows.feature_names else rows.points
        return fit_weighted(estimator, X, rows.labels, rows.weights, target_type=self.target_type)
