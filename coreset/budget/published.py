"""The planners of arXiv 2204.06652: a proxy of the error of k points, combined with the codec's largest error."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..construction import joint_rows
from ..nearest import Floats, squared_distances_to, squares_about_mean
from ..quantizers import Quantizer
from ..targets import NUMERIC
from .forecasts import Forecast, Outcome, Task, nothing_fits
from .proxies import eigenvalue_errors, extrapolated, rows_to_look_at, traversal_distances

_QUANTILE = 0.95
_TRAVERSED_ROWS = 4096
_MOST_TRAVERSED = 1024
_TRIED_ROWS = 256
_TRIED_VALUES = 1 << 19
_MAX_DISTANCE = "largest distances to a farthest-first traversal"


def plan_by_eigenvalues(task: Task) -> Outcome:
    """EVD-MECB: the eigenvalues that k to 2k centres would still take; where there are none, the largest distance."""
    looked_at = _Looked(task)
    errors = eigenvalue_errors(looked_at.X, looked_at.weights, looked_at.numbers)
    used = looked_at.numbers[looked_at.fits]
    if len(used) and not (errors[looked_at.fits] > 0).all():
        remark = (
            f"With up to {used.max()} points there are more of them than the table's rank, where the eigenvalue bound "
            "says nothing: distances of a farthest-first traversal took its place."
        )
        return looked_at.outcome(looked_at.distances(1.0), _MAX_DISTANCE, remark)
    return looked_at.outcome(errors, "bounds from eigenvalues")


def plan_by_max_distance(task: Task) -> Outcome:
    """The largest distance to the nearest of k rows, each the farthest from those before it."""
    looked_at = _Looked(task)
    return looked_at.outcome(looked_at.distances(1.0), _MAX_DISTANCE)


def plan_by_quantile_distance(task: Task) -> Outcome:
    """Like `plan_by_max_distance`, of the distance that 95 % of the rows do not exceed, for the sake of outliers."""
    looked_at = _Looked(task)
    measure = f"the distance from {_QUANTILE:.0%} of the rows to a farthest-first traversal"
    return looked_at.outcome(looked_at.distances(_QUANTILE), measure)


PUBLISHED: dict[str, Callable[[Task], Outcome]] = {
    "eigenvalue": plan_by_eigenvalues,
    "max-distance": plan_by_max_distance,
    "quantile-distance": plan_by_quantile_distance,
}


class _Looked:
    """Some rows, and the number of points of every candidate."""

    def __init__(self, task: Task) -> None:
        rows = joint_rows(task.measured) if task.measured.target_type == NUMERIC else task.measured
        chosen = rows_to_look_at(len(rows), rows.X.shape[1], task.rng)
        self.X: Floats = rows.X[chosen]
        self.weights = rows.weights[chosen]
        self._task = task
        bound = task.builder.bound
        points = [bound.most_points(quantizer, task.budget) for quantizer in task.quantizers]
        self.fits = np.array(points) > 0
        self.numbers: NDArray[np.int64] = np.maximum(points, 1).astype(np.int64)

    def distances(self, quantile: float) -> NDArray[np.float64]:
        """The distance proxy of every candidate."""
        X = self.X[:: -(-len(self.X) // _TRAVERSED_ROWS)]
        most = min(int(self.numbers.max()), _MOST_TRAVERSED, len(X))
        return extrapolated(traversal_distances(X, most, quantile), self.numbers)

    def outcome(self, cells: NDArray[np.float64], measure: str, remark: str = "") -> Outcome:
        """Forecasts with ``eps + delta + eps delta``, eps and delta in units of the rows' root mean square.

        So scaled, the Lipschitz constant rho of the paper is one.
        """
        unit = math.sqrt(float(self.weights @ squares_about_mean(self.X, self.weights)) / self.weights.sum()) or 1.0
        forecasts = []
        for position, quantizer in enumerate(self._task.quantizers):
            if not self.fits[position]:
                forecasts.append(nothing_fits())
                continue
            n_points = int(self.numbers[position])
            eps, delta = cells[position] / unit, self._largest_error(quantizer) / unit
            forecasts.append(
                Forecast(
                    n_points,
                    self._task.builder.bound(n_points, quantizer),
                    False,
                    float(cells[position]),
                    delta * unit,
                    float(unit * (eps + delta + eps * delta)),
                )
            )
        described = f"{measure} and the codec's largest error, combined; units are those of the data"
        return Outcome(forecasts, described, remark)

    def _largest_error(self, quantizer: Quantizer) -> float:
        """The farthest that a codec moves any of some rows."""
        n_rows = max(1, min(_TRIED_ROWS, _TRIED_VALUES // self.X.shape[1]))
        some: Any = np.ascontiguousarray(self.X[:: -(-len(self.X) // n_rows)], dtype=np.float64)
        received = quantizer.decode(quantizer.encode(some), (some.shape[0], some.shape[1]))
        return float(np.sqrt(squared_distances_to(some, received).max()))
