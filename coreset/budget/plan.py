"""The plan of a budget: the number of points and the codec that stand closest to the rows."""

from __future__ import annotations

import bisect
import dataclasses
import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, clone

from ..construction import RobustCoreset, Rows, check_rows, joint_rows, target_settings, with_scale, with_target_column
from ..nearest import Floats, nearest
from ..points import Coreset
from ..quantizers import Quantizer, RoundingQuantizer, UniformQuantizer
from ..raw import target_dtype, zstd_bytes
from ..sampling import stratified_draw
from ..targets import NUMERIC
from ..validation import RandomState, as_generator, check_count
from ..wire import columns_sent, decode, encode, encoded_size, max_encoded_size

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PLANNERS = ("exhaustive",)
_ERROR_ROWS = 4096
_FILL_TRIES = 4
# In a smaller message the few bytes of the source's size after zstd would take the place of a point.
_LEAST_BUDGET_WITH_ZSTD = 1024
# Cells are best cut with little regard to the target, but its rounding spoils regressions as much as a column's.
_MEASURED_SHARE = 1.0


def default_quantizers() -> list[Quantizer]:
    """The codecs that a planner tries unless told otherwise.

    Returns
    -------
    list of Quantizer
    """
    uniform = [UniformQuantizer(bits, scope) for scope in ("column", "table") for bits in (1, 2, 3, 4, 6, 8, 12)]
    return [*uniform, *(RoundingQuantizer(bits) for bits in (2, 5, 10, 23))]


@dataclasses.dataclass(frozen=True)
class BudgetPlan:
    """How a budget is best spent.

    Parameters
    ----------
    n_points : int
        Points of the chosen message.
    quantizer : Quantizer
        Its codec.
    table : pandas.DataFrame
        A row a candidate: ``quantizer`` (the codec), ``n_points``, ``message_bytes``, ``error`` and ``chosen``. The
        error is the root mean squared distance from a row to the nearest decoded point (of its class), in the data's
        units. A numeric target counts as one more column in that, which deviates as much as the others on average, so
        that no codec is chosen that spoils it. A candidate that fits no point has 0 points and no error.
    """

    n_points: int
    quantizer: Quantizer
    table: pd.DataFrame

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw every candidate's error against its number of points.

        Parameters
        ----------
        ax : matplotlib Axes, optional

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ImportError
            When matplotlib is missing.
        """
        from ..plots import plot_plan

        return plot_plan(self.table, ax)


@dataclasses.dataclass(frozen=True)
class _Candidate:
    message: bytes
    n_points: int
    error: float


def plan_budget(
    X: ArrayLike,
    budget_bytes: int,
    *,
    y: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    planner: str = "exhaustive",
    base: BaseEstimator | None = None,
    quantizers: Sequence[Quantizer] | None = None,
    random_state: RandomState = None,
) -> BudgetPlan:
    """Find the number of points and the codec whose message, within the budget, stands closest to the rows.

    The exhaustive planner builds and encodes the largest coreset that fits for every codec and measures its error, as
    the exhaustive scheme of arXiv 2204.06652 does for the widths of one rounding quantizer; our error is measured
    instead of bounded.

    Parameters
    ----------
    X : array-like of shape (n, d)
    budget_bytes : int
        Bytes that the whole message may take.
    y : array-like of shape (n,), optional
        Class labels or a numeric target, as `base` takes them.
    sample_weight : array-like of shape (n,), optional
    planner : {"exhaustive"}, default="exhaustive"
    base : estimator with `n_points` and `random_state`, optional
        `RobustCoreset` by default.
    quantizers : sequence of Quantizer, optional
        Candidates; `default_quantizers` by default.
    random_state : int, RandomState, Generator or None, default=None

    Returns
    -------
    BudgetPlan

    Raises
    ------
    ValueError
        When the budget holds not even one point (a class); the message names the least budget.
    TypeError
        When an argument has the wrong type.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from coreset import plan_budget
    >>> X, y = load_iris(return_X_y=True)
    >>> plan = plan_budget(X, 256, y=y, random_state=0)
    >>> bool((plan.table["message_bytes"] <= 256).all()), plan.n_points > 20
    (True, True)
    """
    rows = check_rows(BaseEstimator(), X, y, sample_weight, **target_settings(base))
    codecs = default_quantizers() if quantizers is None else list(quantizers)
    return search(
        rows,
        budget_bytes,
        feature_names=None,
        base=base,
        quantizers=codecs,
        planner=planner,
        random_state=random_state,
    )[0]


def search(
    rows: Rows,
    budget_bytes: int,
    *,
    feature_names: tuple[str, ...] | None,
    base: BaseEstimator | None,
    quantizers: Sequence[Quantizer],
    planner: str,
    random_state: RandomState,
) -> tuple[BudgetPlan, bytes]:
    """The plan and the message that it chose, for rows that are checked; see `plan_budget`."""
    check_count("budget_bytes", budget_bytes)
    if planner not in PLANNERS:
        raise ValueError(f"planner={planner!r} must be one of {PLANNERS}")
    if not quantizers:
        raise ValueError("quantizers is empty, so there is no candidate to choose from")
    seed, rng = _seeds(random_state)
    measured = rows
    if rows.target_type == NUMERIC:
        rows = with_scale(rows)
        measured = joint_rows(with_scale(dataclasses.replace(rows, label_scale=None), _MEASURED_SHARE))
    source_zstd_bytes = _affordable_zstd_bytes(rows, feature_names, quantizers, budget_bytes)
    builder = _Builder(rows, measured, feature_names, source_zstd_bytes, _check_base(base), seed)
    targets = stratified_draw(rows.weights, min(len(rows), _ERROR_ROWS), rng)
    candidates = [_fill(builder, quantizer, budget_bytes, targets) for quantizer in quantizers]
    fitting = [c for c in candidates if len(c.message) <= budget_bytes]
    if not fitting:
        least = min(len(c.message) for c in candidates)
        kinds = {None: "", NUMERIC: " and a target"}
        raise ValueError(
            f"budget_bytes={budget_bytes} is too small: the smallest message, one point of {rows.X.shape[1]} features"
            f"{kinds.get(rows.target_type, ' for each class')}, takes {least} bytes{_hint(rows, builder.base)}"
        )
    chosen = candidates.index(min(fitting, key=lambda c: c.error))
    plan = BudgetPlan(
        candidates[chosen].n_points, quantizers[chosen], _table(quantizers, candidates, budget_bytes, chosen)
    )
    return plan, candidates[chosen].message


def least_message_bytes(rows: Rows, feature_names: tuple[str, ...] | None, quantizers: Sequence[Quantizer]) -> int:
    """A budget that is surely enough for one point (a class), in bytes.

    Parameters
    ----------
    rows : Rows
    feature_names : tuple of str or None
    quantizers : sequence of Quantizer

    Returns
    -------
    int
    """
    return _least(_Bound(rows, feature_names), quantizers)


def _least(bound: _Bound, quantizers: Sequence[Quantizer]) -> int:
    return min(bound(bound.least_points, quantizer) for quantizer in quantizers)


def _affordable_zstd_bytes(
    rows: Rows, feature_names: tuple[str, ...] | None, quantizers: Sequence[Quantizer], budget: int
) -> int | None:
    """The source's size after zstd; None where the budget has better use for its bytes, or would be too small."""
    if budget < _LEAST_BUDGET_WITH_ZSTD:
        return None
    target = rows.labels
    if target is not None:
        classes, codes = (None, target) if rows.target_type == NUMERIC else np.unique(target, return_inverse=True)
        stored = target_dtype(rows.source_dtype, rows.target_type, 0 if classes is None else len(classes))
        with np.errstate(over="ignore"):  # of numbers that the table's type cannot hold
            target = codes.astype(stored)
    size = zstd_bytes(rows.X, rows.source_dtype, target)
    return size if size is not None and _least(_Bound(rows, feature_names, size), quantizers) <= budget else None


def _hint(rows: Rows, base: BaseEstimator) -> str:
    """What helps when every class needs a point but the classes may be meant as numbers."""
    if rows.labels is None or rows.target_type == NUMERIC or rows.labels.dtype.kind not in "iuf":
        return ""
    return "; target_type='numeric' of the base takes y for numbers" if hasattr(base, "target_type") else ""


def _seeds(random_state: RandomState) -> tuple[int, np.random.Generator]:
    rng = as_generator(random_state)
    return int(rng.integers(2**31)), rng


def _check_base(base: BaseEstimator | None) -> BaseEstimator:
    if base is None:
        return RobustCoreset()
    missing = {"n_points", "random_state"} - set(base.get_params() if hasattr(base, "get_params") else ())
    if missing:
        raise TypeError(f"base={base!r} must be an estimator with the parameters n_points and random_state")
    return base


class _Bound:
    """No message of so many points of these rows is larger."""

    def __init__(self, rows: Rows, feature_names: tuple[str, ...] | None, source_zstd_bytes: int | None = None) -> None:
        self._rows = rows
        self._feature_names = feature_names
        self._source_zstd_bytes = source_zstd_bytes
        self._classes = None if rows.labels is None or rows.target_type == NUMERIC else np.unique(rows.labels)
        self.least_points = 1 if self._classes is None else len(self._classes)

    def __call__(self, n_points: int, quantizer: Quantizer) -> int:
        return max_encoded_size(
            (n_points, self._rows.X.shape[1]),
            quantizer,
            classes=self._classes,
            numeric_target=self._rows.target_type == NUMERIC,
            feature_names=self._feature_names,
            n_source=len(self._rows),
            source_zstd_bytes=self._source_zstd_bytes,
        )


class _Builder:
    """Coresets of the same rows with the same seed, of any number of points."""

    def __init__(
        self,
        rows: Rows,
        measured: Rows,
        feature_names: tuple[str, ...] | None,
        source_zstd_bytes: int | None,
        base: BaseEstimator,
        seed: int,
    ) -> None:
        self.rows = rows
        self.measured = measured  # with a numeric target as a column
        self.feature_names = feature_names
        self.source_zstd_bytes = source_zstd_bytes
        self.base = base
        self.seed = seed
        self.bound = _Bound(rows, feature_names, source_zstd_bytes)
        # Codecs of like width ask for like sizes, one after the other.
        self.build = functools.lru_cache(maxsize=4)(self._build)

    def _build(self, n_points: int) -> Coreset:
        base = clone(self.base).set_params(n_points=n_points, random_state=self.seed)
        if self.rows.labels is not None and "target_type" in base.get_params():
            base.set_params(target_type=self.rows.target_type)
        if self.rows.target_type == NUMERIC and "label_scale" in base.get_params():
            base.set_params(label_scale=self.rows.label_scale)
        coreset: Coreset = base.fit(self.rows.X, self.rows.labels, self.rows.weights).coreset_
        if coreset.target_type != self.rows.target_type:
            raise TypeError(f"base={self.base!r} makes a {coreset.target_type} target of a {self.rows.target_type} one")
        return dataclasses.replace(
            coreset,
            feature_names=self.feature_names,
            source_dtype=self.rows.source_dtype,
            n_source=len(self.rows),
            source_zstd_bytes=self.source_zstd_bytes,
        )


def _fill(builder: _Builder, quantizer: Quantizer, budget: int, targets: NDArray[np.intp]) -> _Candidate:
    """The largest message within the budget; over it only when not even the least number of points fits."""
    low, high = builder.bound.least_points, len(builder.rows)
    n_points = bisect.bisect_right(range(low, high + 1), budget, key=lambda n: builder.bound(n, quantizer))
    n_points = max(low, low + n_points - 1)
    coreset = builder.build(n_points)
    size = encoded_size(coreset, quantizer)
    # The bound counts every column as varying; what constant ones leave over is spent by trying larger sizes, each the
    # secant through the largest size that fits and the last one that did not.
    slope = _bytes_per_point(coreset, quantizer)
    for _ in range(_FILL_TRIES):
        larger = min(high, n_points + int((budget - size) / slope))
        if size > budget or larger <= n_points:
            break
        tried = builder.build(larger)
        tried_size = encoded_size(tried, quantizer)
        if tried_size > budget:
            slope = (tried_size - size) / (larger - n_points)
        else:
            n_points, coreset, size = larger, tried, tried_size
    message = encode(coreset, quantizer)
    return _Candidate(message, len(coreset), _error(builder, targets, decode(message)))


def _bytes_per_point(coreset: Coreset, quantizer: Quantizer) -> float:
    """Bytes that one point more takes, its weight included, going by the columns that vary over these points."""
    columns = columns_sent(coreset)
    if len(coreset) == 1:
        return quantizer.max_encoded_size((9, columns.shape[1])) / 8 + 1
    doubled = np.concatenate([columns] * 2)
    return (quantizer.encoded_size(doubled) - quantizer.encoded_size(columns)) / len(coreset) + 1


def _error(builder: _Builder, targets: NDArray[np.intp], coreset: Coreset) -> float:
    """Root mean squared distance of rows, drawn by weight, to the nearest point of their class."""
    rows = builder.rows
    if rows.target_type == NUMERIC and coreset.labels is not None:
        points = with_target_column(coreset.points, coreset.labels, builder.measured)
        return float(np.sqrt(nearest(builder.measured.X[targets], points)[1].mean()))
    X: Floats = rows.X[targets]
    if rows.labels is None or coreset.labels is None:
        return float(np.sqrt(nearest(X, coreset.points)[1].mean()))
    labels = rows.labels[targets]
    total = sum(
        float(nearest(X[labels == label], coreset.points[coreset.labels == label])[1].sum())
        for label in np.unique(labels)
    )
    return float(np.sqrt(total / len(X)))


def _table(quantizers: Sequence[Quantizer], candidates: Sequence[_Candidate], budget: int, chosen: int) -> pd.DataFrame:
    fits = [len(candidate.message) <= budget for candidate in candidates]
    return pd.DataFrame(
        {
            "quantizer": list(quantizers),
            "n_points": [c.n_points if fit else 0 for c, fit in zip(candidates, fits, strict=True)],
            "message_bytes": [len(c.message) if fit else 0 for c, fit in zip(candidates, fits, strict=True)],
            "error": [c.error if fit else np.nan for c, fit in zip(candidates, fits, strict=True)],
            "chosen": [position == chosen for position in range(len(candidates))],
        }
    )
