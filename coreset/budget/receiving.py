"""What a receiver makes of a coreset's columns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..points import Coreset
from ..targets import NUMERIC
from ..wire import columns_sent


def received(coreset: Coreset, columns: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[Any] | None]:
    """Points and labels from columns as they travel.

    Parameters
    ----------
    coreset : Coreset
        What was sent.
    columns : ndarray
        As they are decoded.

    Returns
    -------
    points : ndarray of shape (m, d)
    labels : ndarray of shape (m,) or None
    """
    if coreset.target_type != NUMERIC or coreset.labels is None:
        return columns, coreset.labels
    sent, largest = columns_sent(coreset)[:, -1], int(np.abs(coreset.labels).argmax())
    unit = sent[largest] / coreset.labels[largest] if coreset.labels[largest] else 1.0  # a power of two
    return columns[:, :-1], columns[:, -1] / unit
