"""What the functions of this room are given, checked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse

from analog_eval.adapters import Adapter, as_array
from analog_eval.evaluation.metrics import Data
from analog_eval.noise import WeightNoise

__all__ = ["DEFAULT_LEVELS", "check_count", "check_data", "check_labels", "check_levels", "predicts_labels"]

DEFAULT_LEVELS: tuple[float, ...] = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4)


def check_levels(levels: ArrayLike, noise: WeightNoise) -> NDArray[np.float64]:
    """Return the levels in ascending order, or raise where they mean nothing to `noise`."""
    if levels is DEFAULT_LEVELS and noise.clean_level != 0.0:
        raise ValueError(
            f"levels: the default grid holds ratios, but noise={noise!r} takes another unit: {noise.level_label()}; "
            "give levels of your own"
        )
    if levels is None:
        raise TypeError("levels must be numbers, got None")
    # As they are, since a number made of them would no longer tell what is none.
    given = np.array(getattr(levels, "tolist", lambda: levels)(), dtype=object, ndmin=1)
    if given.ndim != 1 or given.size == 0:
        raise ValueError(f"levels must be a non-empty list of numbers, got shape {given.shape}")
    grid = np.array([noise.check_level(level) for level in given], dtype=np.float64)
    values, counts = np.unique(grid, return_counts=True)
    if (counts > 1).any():
        raise ValueError(f"levels holds {values[counts > 1].tolist()} more than once")
    return values


def check_count(value: int, name: str) -> int:
    """Return `value` as an int >= 1, or raise naming `name`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be an int, got {value!r}")
    if value < 1:
        raise ValueError(f"{name}={value} must be >= 1")
    return int(value)


def check_data(
    adapter: Adapter, X: Any, y: ArrayLike, sample_weight: ArrayLike | None
) -> tuple[Adapter, Data, NDArray[Any]]:
    """Return the adapter suited to `y`, the checked test data and the model's own predictions for it."""
    rows = X if hasattr(X, "shape") else np.asarray(X)
    n_rows = rows.shape[0] if rows.shape else 0
    if n_rows == 0:
        raise ValueError(f"X must have rows, got shape {rows.shape}")
    truth = _check_truth(y, n_rows)
    weights = _check_sample_weight(sample_weight, n_rows)
    inputs = adapter.transform(rows)
    adapter = adapter.suited_to(inputs, truth)
    predictions = np.asarray(adapter.holder.predict(inputs))
    if predictions.ndim == 0 or len(predictions) != n_rows:
        raise ValueError(f"the model predicts shape {predictions.shape} for X with {n_rows} rows")
    if truth.ndim == 2 and truth.shape[1] == 1 and predictions.ndim == 1:
        truth = truth.ravel()
    return adapter, Data(inputs, truth, weights), predictions


def _check_truth(y: ArrayLike, n_rows: int) -> NDArray[Any]:
    truth = as_array(y)
    if issparse(y) or truth.ndim not in (1, 2):
        raise ValueError(f"y must be an array of shape (n_rows,) or (n_rows, n_outputs), got shape {truth.shape}")
    if len(truth) != n_rows:
        raise ValueError(f"y has {len(truth)} rows, but X has {n_rows}")
    missing = pd.isna(truth) if truth.dtype.kind != "f" else ~np.isfinite(truth)
    if missing.any():
        raise ValueError(f"y holds {int(missing.sum())} missing, NaN or infinite entries")
    # Columns of tables often come as objects; the numbers or strings in them are what counts.
    return np.array(truth.tolist()) if truth.dtype.kind == "O" else truth


def _check_sample_weight(sample_weight: ArrayLike | None, n_rows: int) -> NDArray[np.float64] | None:
    if sample_weight is None:
        return None
    try:
        weights = np.asarray(as_array(sample_weight), dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError("sample_weight must hold numbers") from None
    if weights.shape != (n_rows,):
        raise ValueError(f"sample_weight has shape {weights.shape}, but X has {n_rows} rows")
    if not np.isfinite(weights).all() or (weights < 0.0).any():
        raise ValueError("sample_weight holds entries that are negative, NaN or infinite")
    if not weights.any():
        raise ValueError("sample_weight is 0 in every row")
    return weights


def predicts_labels(adapter: Adapter, predictions: NDArray[Any]) -> bool:
    """Whether the model answers with labels rather than with numbers."""
    return adapter.classes is not None or predictions.dtype.kind not in "fc"


def check_labels(adapter: Adapter, data: Data, predictions: NDArray[Any], task: str) -> None:
    """Raise if `y` and the model's labels have nothing in common, which is a mix-up rather than a bad model."""
    if task != "classification" or data.y.ndim != 1 or predictions.ndim != 1:
        return
    known = predictions if adapter.classes is None else adapter.classes
    strings = [array.dtype.kind in "USO" for array in (known, data.y)]
    if strings[0] != strings[1] or (adapter.classes is not None and not np.isin(data.y, known).any()):
        raise ValueError(
            f"y holds none of the model's labels: y has {np.unique(data.y)[:5].tolist()}, "
            f"the model {np.unique(known)[:5].tolist()}"
        )
