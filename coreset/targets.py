"""Targets of points: classes, or numbers to regress on."""

from __future__ import annotations

import math
import numbers
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .labels import as_labels
from .validation import frozen

CLASS, NUMERIC = "class", "numeric"


def check_target_type(target_type: object) -> str:
    """Return what a user asked for.

    Raises
    ------
    ValueError
        When it is none of "auto", "class" and "numeric".
    """
    if target_type not in ("auto", CLASS, NUMERIC):
        raise ValueError(f"target_type={target_type!r} must be 'auto', 'class' or 'numeric'")
    return str(target_type)


def check_label_scale(label_scale: object) -> float | None:
    """Return a scale as a float, or None for "auto".

    Raises
    ------
    ValueError
        When it is neither "auto" nor a positive number.
    """
    if isinstance(label_scale, str) and label_scale == "auto":
        return None
    usable = isinstance(label_scale, numbers.Real) and not isinstance(label_scale, bool)
    if not usable or not 0 < float(label_scale) < math.inf:  # type: ignore[arg-type]
        raise ValueError(f"label_scale={label_scale!r} must be 'auto' or a positive number")
    return float(label_scale)  # type: ignore[arg-type]


def too_few_points(n_points: int, classes: NDArray[Any], where: str) -> str:
    """What to tell a user whose classes are more than the points; maybe they are numbers.

    Parameters
    ----------
    n_points : int
    classes : ndarray of shape (n_classes,)
    where : str
        Whose classes these are, such as "in y".

    Returns
    -------
    str
    """
    hint = "" if classes.dtype.kind in "bU" else "; target_type='numeric' takes y for numbers"
    return f"n_points={n_points} is less than the {len(classes)} classes {where}{hint}"


def is_continuous(y: NDArray[Any]) -> bool:
    """Whether some of the numbers are no integers, so that they cannot be meant as classes."""
    return y.dtype.kind == "f" and not bool((y == np.round(y)).all())


def typed_targets(y: ArrayLike, target_type: str) -> tuple[NDArray[Any], str]:
    """Targets as classes or as numbers, and which of the two they are.

    Parameters
    ----------
    y : array-like of shape (n,)
    target_type : {"auto", "class", "numeric"}
        "auto" makes floats that are not all integers numbers, everything else classes.

    Returns
    -------
    targets : ndarray of shape (n,)
        float64 when they are numbers.
    target_type : {"class", "numeric"}

    Raises
    ------
    ValueError
        When classes are asked for and `y` is continuous, or a value is NaN or infinite.
    TypeError
        When numbers are asked for and `y` holds none, or `y` is of no usable type.
    """
    labels = as_labels(y)
    if target_type == NUMERIC:
        return _as_numbers(labels, "y"), NUMERIC
    if not is_continuous(labels):
        return labels, CLASS
    if target_type == CLASS:
        raise ValueError("y is continuous, but target_type='class': target_type='numeric' keeps numbers")
    return labels.astype(np.float64), NUMERIC


def _as_numbers(labels: NDArray[Any], name: str) -> NDArray[np.float64]:
    """Numbers as float64.

    Raises
    ------
    TypeError
        When they are strings.
    ValueError
        When they are integers that a float cannot hold.
    """
    if labels.dtype.kind == "U":
        raise TypeError(f"{name} holds strings, but its target_type is 'numeric'")
    values = labels.astype(np.float64)
    if labels.dtype.kind in "iu" and labels.size and np.abs(values).max() >= 2**53:
        raise ValueError(f"{name} holds integers of 2**53 or more, which a float cannot hold")
    return values


def checked_target_fields(
    labels: ArrayLike | None, target_type: str | None, label_scale: float | None
) -> dict[str, Any]:
    """The fields ``labels``, ``target_type`` and ``label_scale`` of a `Coreset`, checked and completed.

    Raises
    ------
    ValueError, TypeError
        When they do not fit together.
    """
    if labels is None:
        if target_type is not None or label_scale is not None:
            raise ValueError(
                f"target_type={target_type!r} and label_scale={label_scale} are for labels, labels is None"
            )
        return {}
    checked = as_labels(labels, "labels")
    if target_type not in (None, CLASS, NUMERIC):
        raise ValueError(f"target_type={target_type!r} must be 'class' or 'numeric'")
    if target_type != NUMERIC:
        if label_scale is not None:
            raise ValueError(f"label_scale={label_scale} is for a numeric target, labels are classes")
        return {"labels": frozen(checked, checked.dtype), "target_type": CLASS}
    scale = 1.0 if label_scale is None else check_label_scale(label_scale)
    if scale is None:
        raise ValueError("label_scale='auto' must be a number here")
    return {
        "labels": frozen(_as_numbers(checked, "labels"), np.float64),
        "target_type": NUMERIC,
        "label_scale": scale,
    }


def fitted_slopes(
    points: NDArray[np.float64], targets: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Slopes of a linear fit through weighted points: how their target changes with each column.

    Ridge regression on columns of unit variance, whose penalty weighs as much as one average point; so that few points
    in many dimensions do not make up slopes. (Ours.)

    Parameters
    ----------
    points : ndarray of shape (m, d)
    targets : ndarray of shape (m,)
    weights : ndarray of shape (m,)

    Returns
    -------
    ndarray of shape (d,)
        In units of the target per unit of the column; zero for a constant column.
    """
    n_features = points.shape[1]
    if not weights.any():
        return np.zeros(n_features)
    share = weights / weights.sum()
    centred = points - points[0]
    centred -= share @ centred
    # A column that varies by rounding alone has no slope.
    deviations = np.sqrt(share @ centred**2)
    varies = deviations > 1e-12 * np.abs(points).max(axis=0)
    columns = centred[:, varies] / deviations[varies]
    change = targets - targets[0]
    roots = np.sqrt(share)[:, None]
    penalty = np.sqrt(1.0 / len(points)) * np.eye(columns.shape[1])
    system = np.concatenate([roots * columns, penalty])
    answer = np.concatenate([roots[:, 0] * (change - share @ change), np.zeros(columns.shape[1])])
    slopes = np.zeros(n_features)
    slopes[varies] = np.linalg.lstsq(system, answer)[0] / deviations[varies]
    return slopes
