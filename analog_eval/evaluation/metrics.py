"""Scores of predictions: what a sweep measures, and what each row contributes to it.

A *row metric* is ``ceiling - mean of the rows' losses``, or that mean itself.  Only for those can the uncertainty that
comes from the choice of test rows be told from one pass over the data; any other metric is taken as it is.
"""

from __future__ import annotations

import inspect
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import get_scorer

from analog_eval.adapters import Adapter, Arrays, Predictor

__all__ = ["Data", "Evaluation", "Metric", "MetricArgument", "PredictionMetric", "RowMetric", "resolve_metric"]

MetricArgument: TypeAlias = str | Callable[..., float] | None
Evaluation: TypeAlias = tuple[float, NDArray[Any] | None]
Losses: TypeAlias = Callable[[NDArray[Any]], NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Data:
    """Checked test data.

    Parameters
    ----------
    inputs : object
        What the innermost model gets: the test rows after the steps before it.
    y : ndarray of shape (n_rows,) or (n_rows, n_outputs)
        True labels or targets.
    sample_weight : ndarray of shape (n_rows,) or None
        Weights of the rows as the user gave them, finite, >= 0, not all 0.
    """

    inputs: Any
    y: NDArray[Any]
    sample_weight: NDArray[np.float64] | None

    @cached_property
    def weights(self) -> NDArray[np.float64] | None:
        """Weights of shape (n_rows,) in units of the greatest, so that their squares neither vanish nor overflow."""
        return None if self.sample_weight is None else self.sample_weight / self.sample_weight.max()

    @property
    def keywords(self) -> dict[str, NDArray[np.float64]]:
        """What functions and scorers get besides the rows: the weights, in the user's own unit."""
        return {} if self.sample_weight is None else {"sample_weight": self.sample_weight}

    @property
    def n_used(self) -> int:
        """Number of rows with a weight above 0."""
        return len(self.y) if self.weights is None else int(np.count_nonzero(self.weights))

    def mean(self, values: NDArray[Any]) -> Any:
        """Return the weighted mean over the rows, a float or an array of shape (n_outputs,)."""
        if self.weights is None:
            # Counting takes an eighth of the time that NumPy's mean of truth values does, and gives the same number.
            counted = values.ndim == 1 and values.dtype == bool
            return np.count_nonzero(values) / len(values) if counted else values.mean(axis=0)
        return self.weights @ values / self.weights.sum()


class Metric(ABC):
    """A score of a model that holds given arrays."""

    name: str
    #: Whether a greater score is better; of a user's function that is assumed.
    greater_is_better: bool = True
    #: Score of the best constant guess, NaN where there is none or it is not known.
    chance: float
    #: Least and greatest possible score, infinite where not known.
    bounds: tuple[float, float] = (-np.inf, np.inf)

    @abstractmethod
    def __call__(self, arrays: Arrays) -> Evaluation:
        """Return the score and, for a row metric, the losses of the rows, (n_rows,) or (n_rows, n_outputs)."""

    def clean(self, predictions: NDArray[Any], arrays: Arrays) -> Evaluation:
        """Return the score without noise, given the model's own predictions and its own arrays."""
        return self(arrays)


class PredictionMetric(Metric):
    """A score that depends on the model only through its predictions."""

    _predict: Predictor

    def __call__(self, arrays: Arrays) -> Evaluation:
        """Return the score of a model that holds `arrays`."""
        return self.score(self._predict(arrays))

    def clean(self, predictions: NDArray[Any], arrays: Arrays) -> Evaluation:
        """Return the score of the model's own predictions: the sweep's shortcuts have no say in the reference."""
        return self.score(predictions)

    @abstractmethod
    def score(self, predictions: NDArray[Any]) -> Evaluation:
        """Return the score of given predictions."""


class RowMetric(PredictionMetric):
    """Score ``ceiling + sign * mean(losses)``.

    Parameters
    ----------
    name : str
        Name for reports.
    predict : callable
        From arrays to predictions.
    data : Data
        Test data.
    losses : callable
        From predictions to losses >= 0, of shape (n_rows,) or (n_rows, n_outputs).
    ceiling : float
        Score of perfect predictions.
    chance : float
        Score of the best constant guess.
    chance_losses : ndarray of shape (n_rows,) or (n_rows, n_outputs), optional
        Losses of that guess, where its score moves with the rows; None: it is taken for known.
    leverage : float or ndarray of shape (n_rows, n_outputs)
        How much of the losses' common denominator a row carries, with mean 1; 1 when there is no denominator.
    proportion : bool
        Whether losses are 0 or 1.
    sign : {-1.0, 1.0}
        1 makes the losses themselves the score, of which less is better.
    """

    def __init__(
        self,
        name: str,
        predict: Predictor,
        data: Data,
        losses: Losses,
        *,
        ceiling: float,
        chance: float,
        chance_losses: NDArray[np.float64] | None = None,
        leverage: NDArray[np.float64] | float = 1.0,
        proportion: bool = False,
        sign: float = -1.0,
    ) -> None:
        self.name, self.chance, self.ceiling, self.leverage = name, chance, ceiling, leverage
        self.proportion, self.data, self.sign, self.chance_losses = proportion, data, sign, chance_losses
        self.greater_is_better = sign < 0.0
        self.bounds = (-np.inf, ceiling) if sign < 0.0 else (ceiling, np.inf)
        self._predict, self._losses = predict, losses

    def score(self, predictions: NDArray[Any]) -> Evaluation:
        """Return the score and the losses of given predictions."""
        losses = self._losses(predictions)
        mean = self.data.mean(losses)
        return self.ceiling + self.sign * float(mean if losses.ndim == 1 else mean.mean()), losses


class _TopKMetric(RowMetric):
    """Top-k accuracy: its predictions are the scores of all classes, of which the model itself tells only the best."""

    def clean(self, predictions: NDArray[Any], arrays: Arrays) -> Evaluation:
        return self(arrays)


class _FunctionMetric(PredictionMetric):
    """A user's ``f(y_true, y_pred)``."""

    def __init__(self, function: Callable[..., float], predict: Predictor, data: Data) -> None:
        self.name = _function_name(function)
        self.chance = float("nan")
        self._function, self._predict, self._data = function, predict, data
        if data.keywords and not _takes_sample_weight(function):
            raise ValueError(f"sample_weight was given, but metric {self.name} has no argument of that name")

    def score(self, predictions: NDArray[Any]) -> Evaluation:
        return _number(self._function(self._data.y, predictions, **self._data.keywords), self.name), None


class _ScorerMetric(Metric):
    """A scikit-learn scorer, called with a stand-in that holds the noisy weights."""

    def __init__(
        self,
        scorer: Callable[..., float],
        name: str,
        adapter: Adapter,
        data: Data,
        *,
        chance: float = float("nan"),
        bounds: tuple[float, float] = Metric.bounds,
    ) -> None:
        self.name, self.chance, self.bounds = name, chance, bounds
        self._scorer, self._adapter, self._data = scorer, adapter, data

    def __call__(self, arrays: Arrays) -> Evaluation:
        stand_in = self._adapter.rebuilt(arrays)
        try:
            value = self._scorer(stand_in, self._data.inputs, self._data.y, **self._data.keywords)
        except (AttributeError, TypeError) as error:
            # A missing predict_proba, or no place for sample_weight.
            raise TypeError(f"metric={self.name!r} does not suit {type(stand_in).__name__}: {error}") from error
        return _number(value, self.name), None


def resolve_metric(
    metric: MetricArgument, adapter: Adapter, data: Data, task: str, predict: Predictor | None = None
) -> Metric:
    """Return what computes `metric` for the adapter's model.

    Parameters
    ----------
    metric : str, callable or None
        Scorer, its name, ``"top_3_accuracy"`` and the like, ``"mse"``, ``f(y_true, y_pred)``, or None: accuracy for
        labels, R^2 for numbers.
    adapter : Adapter
        View of the model.
    data : Data
        Test data.
    task : {"classification", "regression"}
        What the model predicts.
    predict : callable, optional
        From arrays to predictions of `data.inputs`; default: the adapter's.

    Returns
    -------
    Metric
        A `RowMetric` for accuracy, top-k accuracy, r2, mse, neg_mean_squared_error and neg_mean_absolute_error.

    Raises
    ------
    ValueError
        If the scorer's name is unknown, a function cannot take the sample weights, or k does not suit the model.
    TypeError
        If `metric` is neither a name nor callable.
    """
    if metric is None:
        metric = "accuracy" if task == "classification" else "r2"
    predict = predict or adapter.predictor(data.inputs)
    if isinstance(metric, str):
        if metric == "accuracy":
            return _accuracy(predict, data)
        if metric in ("r2", "mse", "neg_mean_squared_error", "neg_mean_absolute_error"):
            return _regression(metric, predict, data)
        if match := re.fullmatch(r"top_(\d+)_accuracy", metric):
            return _top_k_accuracy(int(match[1]), adapter, data)
        try:
            scorer = get_scorer(metric)
        except (ValueError, KeyError) as error:
            raise ValueError(
                f"metric={metric!r} is neither 'mse', 'top_k_accuracy' with a number for k, nor the name of a "
                "scikit-learn scorer"
            ) from error
        return _ScorerMetric(
            scorer, metric, adapter, data, chance=_known_chance(metric, data.y), bounds=_known_bounds(metric)
        )
    if not callable(metric):
        raise TypeError(f"metric must be a scorer or its name, f(y_true, y_pred) or None, got {metric!r}")
    if _is_scorer(metric):
        return _ScorerMetric(metric, _function_name(metric), adapter, data)
    return _FunctionMetric(metric, predict, data)


def _accuracy(predict: Predictor, data: Data) -> RowMetric:
    def wrong(predictions: NDArray[Any]) -> NDArray[np.bool_]:
        if predictions.shape != data.y.shape:
            raise ValueError(f"y has shape {data.y.shape}, but the model predicts shape {predictions.shape}")
        different = np.asarray(predictions != data.y)
        return different if different.ndim == 1 else np.asarray(different.any(axis=1))

    _, rows = np.unique(data.y, axis=0 if data.y.ndim > 1 else None, return_inverse=True)
    counts = np.bincount(rows.ravel(), weights=data.weights)
    chance = float(counts.max() / counts.sum())
    return RowMetric("accuracy", predict, data, wrong, ceiling=1.0, chance=chance, proportion=True)


def _top_k_accuracy(k: int, adapter: Adapter, data: Data) -> RowMetric:
    name, classes = f"top_{k}_accuracy", adapter.classes
    if classes is None or data.y.ndim != 1:
        raise ValueError(f"metric={name!r} needs a classifier that tells its classes, and one label a row")
    if not 1 <= k < len(classes):
        raise ValueError(f"metric={name!r}: k={k} must be >= 1 and below the number of classes, {len(classes)}")
    order = np.argsort(classes)
    # A label that the model does not know is never among its best.
    places = np.searchsorted(classes, data.y, sorter=order).clip(max=len(classes) - 1)
    places = order[places]
    known = classes[places] == data.y
    rows, columns = np.arange(len(data.y)), np.arange(len(classes))

    def missed(scores: NDArray[Any]) -> NDArray[np.bool_]:
        table = np.stack([-scores.ravel(), scores.ravel()], axis=1) if len(classes) == 2 else scores
        own = table[rows, places][:, None]
        # Among equal scores the last class is the best, as for scikit-learn; a NaN is better than the true class.
        better = ~(table <= own) | ((table == own) & (columns > places[:, None]))
        return np.asarray(~known | (np.count_nonzero(better, axis=1) >= k))

    shares = np.bincount(places[known], weights=None if data.weights is None else data.weights[known])
    total = len(data.y) if data.weights is None else data.weights.sum()
    chance = float(np.sort(shares)[-k:].sum() / total)
    return _TopKMetric(name, adapter.scores(data.inputs), data, missed, ceiling=1.0, chance=chance, proportion=True)


def _regression(name: str, predict: Predictor, data: Data) -> RowMetric:
    if data.y.dtype.kind not in "fiub":
        raise ValueError(f"metric={name!r} needs numbers in y, got dtype {data.y.dtype}")
    truth = data.y.astype(np.float64).reshape(len(data.y), -1)

    def errors(predictions: NDArray[Any]) -> NDArray[np.float64]:
        columns = np.asarray(predictions, dtype=np.float64).reshape(len(predictions), -1)
        if columns.shape != truth.shape:
            raise ValueError(f"y has shape {data.y.shape}, but the model predicts shape {predictions.shape}")
        return columns - truth

    if name == "neg_mean_absolute_error":
        chance = float("nan")
        return RowMetric(name, predict, data, lambda p: np.abs(errors(p)), ceiling=0.0, chance=chance)
    scatter = (truth - data.mean(truth)) ** 2
    variance = data.mean(scatter)
    if name in ("mse", "neg_mean_squared_error"):
        sign = 1.0 if name == "mse" else -1.0
        # The best constant guess is the mean of y.
        chance = sign * float(np.mean(variance))
        return RowMetric(
            name,
            predict,
            data,
            lambda p: errors(p) ** 2,
            ceiling=0.0,
            chance=chance,
            chance_losses=scatter,
            sign=sign,
        )
    # R^2 of a constant y is undefined: NaN, and the report says so.
    unit = np.where(np.ptp(truth, axis=0) > 0.0, variance, np.nan)
    return RowMetric(
        name, predict, data, lambda p: errors(p) ** 2 / unit, ceiling=1.0, chance=0.0, leverage=scatter / unit
    )


def _known_chance(name: str, y: NDArray[Any]) -> float:
    """Return the score of a constant guess for the scorers where that is a fixed number."""
    if name == "balanced_accuracy":
        return 1.0 / len(np.unique(y))
    return 0.5 if name == "roc_auc" else float("nan")


def _known_bounds(name: str) -> tuple[float, float]:
    """Return the least and the greatest score of scikit-learn's scorers where those are certain."""
    shares = ("average_precision", "balanced_accuracy", "f1", "jaccard", "precision", "recall", "roc_auc", "top_k")
    if name.startswith(shares):
        return 0.0, 1.0
    if name == "matthews_corrcoef":
        return -1.0, 1.0
    return (-np.inf, 0.0) if name.startswith("neg_") else Metric.bounds


def _number(value: Any, name: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"metric {name} returned {type(value).__name__}, not a number") from None


def _function_name(function: Callable[..., Any]) -> str:
    if isinstance(function, partial):
        # Its own text holds a memory address.
        return _function_name(function.func)
    return str(getattr(function, "__name__", function))


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return []


def _takes_sample_weight(function: Callable[..., Any]) -> bool:
    return any(p.name == "sample_weight" or p.kind is p.VAR_KEYWORD for p in _parameters(function))


def _is_scorer(function: Callable[..., Any]) -> bool:
    parameters = _parameters(function)
    return bool(parameters) and parameters[0].name == "estimator"
