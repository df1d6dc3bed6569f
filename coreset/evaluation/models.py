"""What models that were found on a summary are worth on the data."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from ..construction import Rows
from ..labels import as_labels
from ..points import Coreset
from ..targets import is_continuous
from .centers import checked_source

Model = TypeVar("Model")
Floats = NDArray[np.float64]


def normalized_cost(
    X: ArrayLike,
    coreset: Coreset,
    solve: Callable[[Floats, Floats], Model],
    cost: Callable[[Floats, Floats, Model], float],
    *,
    sample_weight: ArrayLike | None = None,
    optimum: float | None = None,
) -> float:
    """Cost on the data of the model solved on the summary, over that of the model solved on the data.

    ``cost(P, x_S) / cost(P, x*)``, the measure of Lu, Li, He, Wang, Narayanan and Chan, "Robust Coreset Construction
    for Distributed Machine Learning", JSAC 38(10), 2020 (arXiv 1904.05961), for any problem that can be solved on
    weighted points. Unlike `distortion` it does not ask whether the summary knows the cost, only whether it leads to a
    good model.

    Parameters
    ----------
    X : array-like of shape (n, d)
        The data that was summarised.
    coreset : Coreset
        A summary, or the scatter of one. Points of weight zero are left out.
    solve : callable
        ``solve(points, weights)`` returns a model: whatever `cost` takes. Called on the summary and, unless `optimum`
        is given, on the rows.
    cost : callable
        ``cost(points, weights, model)`` returns a number that is not negative. Called on the rows only.
    sample_weight : array-like of shape (n,), optional
    optimum : float, optional
        ``cost(P, x*)``, where it is known or shared by many summaries.

    Returns
    -------
    float
        1.0 is perfect. Less comes out where `solve` finds a worse local optimum on the data than on the summary.

    Raises
    ------
    ValueError
        When X does not have the coreset's columns, every weight of the coreset is zero, or a cost or `optimum` is
        negative or not finite.
    TypeError
        When `coreset` is not a `Coreset`.

    Examples
    --------
    >>> import numpy as np
    >>> from coreset import Coreset, normalized_cost
    >>> X = np.array([[0.0], [1.0], [9.0], [10.0]])
    >>> def mean(points, weights):
    ...     return np.average(points, axis=0, weights=weights)
    >>> def squares(points, weights, center):
    ...     return weights @ ((points - center) ** 2).sum(axis=1)
    >>> normalized_cost(X, Coreset([[0.5], [9.5]], weights=[2, 2]), mean, squares)
    1.0
    >>> round(normalized_cost(X, Coreset([[0.5], [9.5]], weights=[3, 1]), mean, squares), 3)  # 4 * 2.25 ** 2 too much
    1.247
    """
    rows = checked_source(X, coreset, sample_weight)
    used = coreset.weights > 0
    if not used.any():
        raise ValueError("every weight of the coreset is zero")
    reached = _cost(cost, rows, solve(coreset.points[used], coreset.weights[used]))
    if optimum is None:
        optimum = _cost(cost, rows, solve(rows.X.astype(np.float64), rows.weights))
    elif not 0 <= optimum < math.inf:
        raise ValueError(f"optimum={optimum} must be finite and not negative")
    if optimum == 0:
        return 1.0 if reached == 0 else math.inf
    return reached / optimum


def _cost(cost: Callable[[Floats, Floats, Model], float], rows: Rows, model: Model) -> float:
    value = float(cost(rows.X.astype(np.float64), rows.weights, model))
    if not 0 <= value < math.inf:
        raise ValueError(f"cost returned {value}, which must be finite and not negative")
    return value


@dataclasses.dataclass(frozen=True)
class AccuracyLoss:
    """Accuracy that training on a summary costs.

    Parameters
    ----------
    loss : float
        Accuracy of the full model minus that of the summary's; negative where the summary's is better.
    ci_low, ci_high : float
        Interval of the loss over test rows.
    full, summary : float
        The two accuracies.
    n_test : int
        Held-out rows.
    """

    loss: float
    ci_low: float
    ci_high: float
    full: float
    summary: float
    n_test: int


def accuracy_loss(
    full_model: Any, summary_model: Any, X_test: ArrayLike, y_test: ArrayLike, *, confidence_level: float = 0.95
) -> AccuracyLoss:
    """Accuracy lost by training on a summary instead of on everything, on the same held-out rows.

    With ``b`` rows that only the full model gets right and ``c`` that only the summary's does, the loss is
    ``(b - c) / n``. Rows on which the models agree cancel, so the interval is mostly much narrower than that of either
    accuracy. It is the adjusted Wald interval of Agresti and Min, "Simple improved confidence intervals for comparing
    matched proportions" (Statistics in Medicine, 2005): half a row is added to each cell of the 2 x 2 table, and then
    ``(b - c) / n -+ z sqrt(b + c - (b - c)^2 / n) / n``. It speaks of test rows only; how much the loss varies over
    summaries and splits takes repetitions.

    Parameters
    ----------
    full_model, summary_model : fitted classifiers
        Trained on all rows, and by ``coreset.train``. Anything with `predict`.
    X_test : array-like of shape (n, d)
        Rows that neither model was trained on.
    y_test : array-like of shape (n,)
    confidence_level : float, default=0.95

    Returns
    -------
    AccuracyLoss

    Raises
    ------
    ValueError
        When `confidence_level` is not between 0 and 1, there is no row, or a model predicts another number of labels
        than `y_test` has.
    TypeError
        When a model cannot predict.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from coreset import RobustCoreset, accuracy_loss
    >>> X, y = load_digits(return_X_y=True)
    >>> model = LogisticRegression(max_iter=1000)
    >>> summary = RobustCoreset(n_points=200, random_state=0).fit(X[:1200], y[:1200]).coreset_
    >>> result = accuracy_loss(model.fit(X[:1200], y[:1200]), summary.train(model), X[1200:], y[1200:])
    >>> result.n_test, result.ci_low < result.loss < result.ci_high < 0.1
    (597, True)
    """
    if not 0 < confidence_level < 1:
        raise ValueError(f"confidence_level={confidence_level} must be between 0 and 1")
    truth = as_labels(y_test, "y_test")
    if len(truth) == 0:
        raise ValueError("y_test is empty: there is no held-out row")
    full = _hits("full_model", full_model, X_test, truth)
    summary = _hits("summary_model", summary_model, X_test, truth)
    n = len(truth)
    low, high = _matched_interval(int((full & ~summary).sum()), int((~full & summary).sum()), n, confidence_level)
    accuracies = float(full.mean()), float(summary.mean())
    return AccuracyLoss((int(full.sum()) - int(summary.sum())) / n, low, high, *accuracies, n)


def _hits(name: str, model: Any, X_test: ArrayLike, truth: NDArray[Any]) -> NDArray[np.bool_]:
    if not hasattr(model, "predict"):
        raise TypeError(f"{name} of type {type(model).__name__} has no `predict`")
    predicted = as_labels(model.predict(X_test), name)
    if predicted.shape != truth.shape:
        raise ValueError(f"{name} predicts {len(predicted)} labels for X_test, y_test has {len(truth)}")
    if is_continuous(truth) or is_continuous(predicted):
        raise TypeError(f"{name} or y_test holds numbers that are no classes: accuracy is about classes")
    if (predicted.dtype.kind == "U") != (truth.dtype.kind == "U"):
        raise TypeError(f"{name} predicts labels of type {predicted.dtype}, y_test has {truth.dtype}")
    return np.asarray(predicted == truth)


def _matched_interval(b: int, c: int, n: int, confidence_level: float) -> tuple[float, float]:
    """Agresti and Min's interval of ``(b - c) / n`` from the discordant counts."""
    rows = n + 2
    discordant, gap = b + c + 1, b - c
    half = float(norm.ppf(0.5 + confidence_level / 2)) * math.sqrt(discordant - gap**2 / rows) / rows
    return max(gap / rows - half, -1.0), min(gap / rows + half, 1.0)
