"""Weights as coarse as the points that they belong to, their total exact."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .logscale import decode_logs, encode_logs, max_log_size


def max_weights_size(n_points: int, precision: int) -> int:
    """The most bytes that `encode_weights` takes."""
    return max_log_size(n_points, _most_bits(precision))


def encode_weights(weights: NDArray[np.float64], precision: int) -> bytes:
    """Weights on a logarithmic scale.

    They have half the digits of the points' values, since what they are off by averages out over the points: by at most
    18 % with points of one bit, 6 % with four, 2 % with eight.

    Parameters
    ----------
    weights : ndarray of shape (m,)
    precision : int
        Of the quantizer.

    Returns
    -------
    bytes
    """
    return encode_logs(weights, 2.0 ** -(2 + precision / 2), _most_bits(precision))


def _most_bits(precision: int) -> int:
    return 6 + min(precision, 36) // 2


def decode_weights(data: bytes, n_points: int, total: float) -> NDArray[np.float64]:
    """Inverse of `encode_weights`, up to its rounding, for weights that sum to `total`.

    Raises
    ------
    ValueError
        When the bytes are corrupt.
    """
    weights = decode_logs(data, n_points, "the weights")
    if len(data) == 1:
        return np.full(n_points, total / n_points)
    mass = weights.sum()
    if not mass > 0:
        raise ValueError("message is corrupt: no weight is positive")
    weights *= total / mass
    heaviest = int(weights.argmax())
    for _ in range(2):  # what rounding left of the total goes to one weight, which can round again
        weights[heaviest] += math.fsum([total, *-weights])
    return weights
