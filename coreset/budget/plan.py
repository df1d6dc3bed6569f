"""The plan of a budget: the number of points and the codec that stand closest to the rows."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from ..construction import Rows, check_rows, target_settings, with_scale
from ..quantizers import Quantizer, UniformQuantizer, check_quantizer, has_one_hot_columns
from ..targets import NUMERIC
from ..validation import RandomState, as_generator, check_count
from ..wire import Draft
from .building import Bound, Builder, affordable_zstd_bytes, checked_base
from .candidates import MOST_CONTEXT_COLUMNS, default_quantizers, published_quantizers
from .empirical import plan_empirically
from .exhaustive import least_size, plan_exhaustively
from .filling import fill
from .forecasts import Forecast, Outcome, Task
from .published import PUBLISHED
from .report import BudgetPlan, comparison

_PLANNERS: dict[str, Callable[[Task], Outcome]] = {
    "empirical": plan_empirically,
    "exhaustive": plan_exhaustively,
    **PUBLISHED,
}
PLANNERS = tuple(_PLANNERS)
# Cells are best cut with little regard to the target, but its rounding spoils regressions as much as a column's.
_MEASURED_SHARE = 1.0
# A message whose error is larger than was forecast by this gives way to other codecs, of which so many are filled.
_AS_EXPECTED = 1.5
_MOST_MESSAGES = 4
_ENOUGH_BITS = 8


def plan_budget(
    X: ArrayLike,
    budget_bytes: int,
    *,
    y: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    planner: str = "empirical",
    base: BaseEstimator | None = None,
    quantizers: Sequence[Quantizer] | None = None,
    random_state: RandomState = None,
) -> BudgetPlan:
    """Find the number of points and the codec whose message, within the budget, stands closest to the rows.

    Whatever the planner, the message of the chosen candidate is built in full, and filled: it is within the budget,
    and with one point more it would not be.

    Parameters
    ----------
    X : array-like of shape (n, d)
    budget_bytes : int
        Bytes that the whole message may take.
    y : array-like of shape (n,), optional
        Class labels or a numeric target, as `base` takes them.
    sample_weight : array-like of shape (n,), optional
    planner : {"empirical", "exhaustive", "eigenvalue", "max-distance", "quantile-distance"}, default="empirical"
        "empirical" (ours) tries codecs on small coresets of some rows, measures their errors, and forecasts from these
        what every codec would reach; the leading ones are tried again on coresets of all rows. With a target, which is
        there to train on, the error is the root of the mean of two squared energy distances from the rows, those to the
        points and to their scatter: of classes each by itself, of a numeric target as one column more. Without one it
        is the root mean squared distance of rows held out to the nearest decoded point. "exhaustive" builds and encodes
        the largest coreset for every codec, as the scheme of that name in arXiv 2204.06652, and measures the same
        errors where that bounds them. The others are of that paper and measure nothing: they add to the codec's largest
        error a proxy for that of k points. "eigenvalue" (EVD-MECB) takes it from the eigenvalues of the scatter matrix,
        or where those are too few from "max-distance", the radius of a farthest-first traversal; "quantile-distance"
        (ours) leaves the farthest 5 % of the rows out of that.
    base : estimator with `n_points` and `random_state`, optional
        `RobustCoreset` by default.
    quantizers : sequence of Quantizer, optional
        Candidates; `default_quantizers` by default, and with the paper's planners the widths of its rounding quantizer.
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

    References
    ----------
    Lu, He, Wang, Liu, Mahdavi, Narayanan, Chan and Pasteris, "Joint Coreset Construction and Quantization for
    Distributed Machine Learning", IFIP Networking 2020 (arXiv 2204.06652).

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
    return search(
        rows,
        budget_bytes,
        feature_names=None,
        base=base,
        quantizers=quantizers,
        planner=planner,
        random_state=random_state,
    )[0]


def search(
    rows: Rows,
    budget_bytes: int,
    *,
    feature_names: tuple[str, ...] | None,
    base: BaseEstimator | None,
    quantizers: Sequence[Quantizer] | None,
    planner: str,
    random_state: RandomState,
) -> tuple[BudgetPlan, bytes]:
    """The plan and the message that it chose, for rows that are checked; see `plan_budget`."""
    budget = check_count("budget_bytes", budget_bytes)
    if planner not in PLANNERS:
        raise ValueError(f"planner={planner!r} must be one of {PLANNERS}")
    if quantizers is None:
        if planner in PUBLISHED:
            quantizers = published_quantizers()
        else:
            one_hot = rows.X.shape[1] <= MOST_CONTEXT_COLUMNS and has_one_hot_columns(rows.X)
            quantizers = default_quantizers(rows.X.shape[1], one_hot=one_hot)
    candidates = _checked_candidates(quantizers)
    rng = as_generator(random_state)
    seed = int(rng.integers(2**31))
    measured = rows
    if rows.target_type == NUMERIC:
        measured = with_scale(dataclasses.replace(rows, label_scale=None), _MEASURED_SHARE)
        rows = with_scale(rows)
    zstd_bytes = affordable_zstd_bytes(rows, feature_names, candidates, budget)
    builder = Builder(rows, feature_names, checked_base(base), seed, zstd_bytes)
    task = Task(builder, measured, candidates, budget, rng)
    _check_budget(task)
    outcome = _PLANNERS[planner](task)
    found = _filled(task, outcome)
    chosen = min(found, key=lambda position: found[position][1])
    filled = found[chosen][0]
    table = _table(task, _as_found(outcome.forecasts, found, chosen), chosen)
    plan = BudgetPlan(
        len(filled.coreset), task.quantizers[chosen], table, planner, budget, outcome.measure, outcome.remark
    )
    return plan, filled.message()


def _checked_candidates(quantizers: Iterable[Quantizer]) -> list[Quantizer]:
    if not isinstance(quantizers, Iterable):
        raise TypeError(f"quantizers={quantizers!r} must be a sequence of Quantizer")
    candidates = [check_quantizer(f"quantizers[{position}]", codec) for position, codec in enumerate(quantizers)]
    if not candidates:
        raise ValueError("quantizers is empty, so there is no candidate to choose from")
    return candidates


def least_message_bytes(rows: Rows, feature_names: tuple[str, ...] | None) -> int:
    """A budget that is surely enough for one point (a class), in bytes.

    Parameters
    ----------
    rows : Rows
    feature_names : tuple of str or None

    Returns
    -------
    int
    """
    bound = Bound(rows, feature_names)
    return min(bound(bound.least_points, quantizer) for quantizer in default_quantizers(rows.X.shape[1]))


def message_bytes_of_all(rows: Rows) -> int:
    """Bytes that are enough for all rows with eight bits a value: what little a message can do with more.

    Parameters
    ----------
    rows : Rows

    Returns
    -------
    int
    """
    return Bound(rows, None)(len(rows), UniformQuantizer(_ENOUGH_BITS))


def _check_budget(task: Task) -> None:
    """Raise when no codec fits one point (a class)."""
    builder, budget = task.builder, task.budget
    least = builder.bound.least_points
    if any(builder.bound(least, quantizer) <= budget for quantizer in task.quantizers):
        return
    needed = math.inf
    for quantizer in task.quantizers:
        needed = min(needed, least_size(builder, quantizer))
        if needed <= budget:
            break
    else:
        rows = builder.rows
        kinds = {None: "", NUMERIC: " and a target"}
        raise ValueError(
            f"budget_bytes={budget} is too small: the smallest message, one point of {rows.X.shape[1]} features"
            f"{kinds.get(rows.target_type, ' for each class')}, takes {needed} bytes{_hint(rows, builder.base)}"
        )


def _hint(rows: Rows, base: BaseEstimator) -> str:
    """What helps when every class needs a point but the classes may be meant as numbers."""
    if rows.labels is None or rows.target_type == NUMERIC or rows.labels.dtype.kind not in "iuf":
        return ""
    return "; target_type='numeric' of the base takes y for numbers" if hasattr(base, "target_type") else ""


def _filled(task: Task, outcome: Outcome) -> dict[int, tuple[Draft, float]]:
    """The candidate of the least error with its largest coreset, by true encodings, and the error that it has.

    Where a message turns out worse than was forecast, others follow that are expected to be better than the best so
    far: levels of a codec can fall badly at one size and well at others. Where none was thought to fit, those of the
    fewest bytes are filled and compared.
    """
    forecasts = outcome.forecasts
    found: dict[int, tuple[Draft, float]] = {}

    def rank(position: int) -> tuple[float, int, float]:
        forecast = forecasts[position]
        least_bytes = task.builder.bound(task.builder.bound.least_points, task.quantizers[position])
        return (forecast.error if forecast.fits and forecast.tried else math.inf, not forecast.tried, least_bytes)

    is_blind = not any(math.isfinite(rank(position)[0]) for position in range(len(forecasts)))
    for position in sorted(range(len(forecasts)), key=rank):
        forecast, quantizer = forecasts[position], task.quantizers[position]
        least = min((error for _, error in found.values()), default=math.inf)
        if found and (len(found) == _MOST_MESSAGES or (rank(position)[0] >= least and not is_blind)):
            break
        filled = forecast.filled or fill(task.builder, quantizer, task.budget, forecast.n_points, forecast.near)
        if filled is None:
            continue
        error_of = None if forecast.filled is not None else outcome.error_of
        error = forecast.error if error_of is None else error_of(filled)
        found[position] = filled, error
        if not is_blind and not error > _AS_EXPECTED * forecast.error:
            break
    if not found:
        raise AssertionError("some candidate fits, since the budget was checked")
    return found


def _as_found(forecasts: list[Forecast], found: dict[int, tuple[Draft, float]], chosen: int) -> list[Forecast]:
    """Forecasts with what was found of those that were filled; errors where several were, to compare them by."""
    shown = list(forecasts)
    for position, (filled, error) in found.items():
        shown[position] = dataclasses.replace(
            forecasts[position], n_points=len(filled.coreset), message_bytes=filled.message_bytes, measured=True
        )
        if len(found) > 1 or not math.isfinite(forecasts[position].error):
            is_surprise = position != chosen and math.isfinite(forecasts[position].error)
            note = "its message turned out worse than expected" if is_surprise else ""
            shown[position] = dataclasses.replace(shown[position], error=error, note=note)
    return shown


def _table(task: Task, shown: list[Forecast], chosen: int) -> pd.DataFrame:
    columns = ("n_points", "message_bytes", "measured", "cell_error", "quantization_error", "error")
    return pd.DataFrame(
        {
            "quantizer": list(task.quantizers),
            **{name: [getattr(forecast, name) for forecast in shown] for name in columns},
            "chosen": [position == chosen for position in range(len(shown))],
            "note": [_note(forecast, shown[chosen], position == chosen) for position, forecast in enumerate(shown)],
        }
    )


def _note(forecast: Forecast, best: Forecast, is_best: bool) -> str:
    if is_best:
        return "best error" if np.isfinite(forecast.error) else "the only one that fits"
    return forecast.note or comparison(forecast.error, best.error)
