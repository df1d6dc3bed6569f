"""How the outputs of a torch module become predictions, which only the true labels or targets can tell.

With several outputs a row and `y` of shape (n_rows,) the outputs are scores of classes, the greatest wins, and `y`
holds class numbers 0 to n_outputs - 1.  With one output a row and integers 0 and 1, or -1 and 1, in `y` it is a logit:
the greater class where it is positive.  Anything else is a regression: one float in `y` per output, or integers that
are no such pair for one output.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from analog_eval.adapters.base import winning_labels

__all__ = ["Reading", "reading_for"]


@dataclass(frozen=True, eq=False)
class Reading:
    """How outputs become predictions.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,) or None
        Labels, or None for a regression.
    normalized : bool
        Whether outputs are probabilities already.
    """

    classes: NDArray[Any] | None = None
    normalized: bool = False

    def predictions(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """Return labels of shape (n_rows,), or numbers of shape (n_rows,) or (n_rows, n_outputs)."""
        if self.classes is not None:
            return winning_labels(outputs, self.classes)
        return _flat(outputs)

    def decisions(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """Return scores of shape (n_rows, n_classes); for two classes (n_rows,), positive for the second one."""
        outputs = _flat(outputs)
        return outputs[:, 1] - outputs[:, 0] if outputs.ndim == 2 and outputs.shape[1] == 2 else outputs

    def probabilities(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """Return probabilities of shape (n_rows, n_classes)."""
        outputs = _flat(outputs).astype(np.float64)
        if outputs.ndim == 1:
            return np.column_stack([expit(-outputs), expit(outputs)])
        return outputs if self.normalized else np.asarray(softmax(outputs, axis=1))


def reading_for(outputs: NDArray[Any], truth: NDArray[Any]) -> Reading:
    """Return how `outputs` are to be read so that they can be compared with `truth`.

    Parameters
    ----------
    outputs : ndarray of shape (n_rows,) or (n_rows, n_outputs)
        What the module answers without noise.
    truth : ndarray of shape (n_rows,) or (n_rows, n_targets)
        Labels or targets.

    Returns
    -------
    Reading

    Raises
    ------
    ValueError
        If the outputs are NaN, or the two cannot be compared.

    Examples
    --------
    >>> reading_for(np.array([[0.1, 2.0], [0.3, -1.0]]), np.array([1, 0])).classes.tolist()
    [0, 1]
    >>> reading_for(np.array([[0.1], [0.3]]), np.array([0.2, 0.3])).classes is None
    True
    """
    if truth.dtype.kind not in "fiub":
        raise ValueError(f"y holds {truth.dtype}, but a torch module answers with class numbers; give y as 0, 1, ...")
    bad = np.isnan(outputs)
    if bad.any():
        rows = int(bad.reshape(len(bad), -1).any(axis=1).sum())
        raise ValueError(f"the model answers NaN without any noise, in {rows} of the {len(outputs)} rows of X")
    if truth.ndim == 2 and truth.shape[1] == 1:
        truth = truth.ravel()
    return _scores(outputs, truth) if outputs.ndim == 2 and outputs.shape[1] > 1 else _one_output(outputs, truth)


def _flat(outputs: NDArray[Any]) -> NDArray[Any]:
    return outputs.ravel() if outputs.ndim == 2 and outputs.shape[1] == 1 else outputs


def _scores(outputs: NDArray[Any], truth: NDArray[Any]) -> Reading:
    """Return the reading of two or more outputs a row."""
    n_outputs = outputs.shape[1]
    integral = truth.dtype.kind != "f" or bool((truth == np.rint(truth)).all())
    if truth.ndim == 2:
        if truth.dtype.kind != "f":
            raise ValueError(
                f"y holds {truth.dtype} of shape {truth.shape}: give class numbers of shape ({len(truth)},), or floats "
                "for a regression with several outputs"
            )
        return Reading()
    if not integral:
        raise ValueError(f"y has shape {truth.shape} and holds no class numbers, but the model answers {outputs.shape}")
    outside = truth[(truth < 0) | (truth >= n_outputs)]
    if outside.size:
        raise ValueError(f"y holds class {outside[0]:g}, but the model has {n_outputs} outputs, 0 to {n_outputs - 1}")
    normalized = bool((outputs >= 0).all() and np.abs(outputs.sum(axis=1, dtype=np.float64) - 1.0).max() < 1e-2)
    return Reading(np.arange(n_outputs), normalized)


def _one_output(outputs: NDArray[Any], truth: NDArray[Any]) -> Reading:
    """Return the reading of one output a row."""
    if truth.dtype.kind == "f" or truth.ndim == 2:
        return Reading()
    pair = next((pair for pair in ((0, 1), (-1, 1)) if np.isin(truth, pair).all()), None)
    if pair is None:
        return Reading()
    if (outputs >= 0).all() and (outputs <= 1).all():
        raise ValueError(
            f"y holds the labels {pair[0]} and {pair[1]}, so the model's one output should be a logit, positive for "
            f"{pair[1]}, but it lies in [0, 1] for all rows of X. Leave out the sigmoid, or give y as floats and "
            "metric=f(y_true, y_pred)"
        )
    return Reading(np.array(pair))
