"""Weights in at most eight bits each, on a logarithmic scale, their total exact."""

from __future__ import annotations

import math
import struct

import numpy as np
from numpy.typing import NDArray

from ..quantizers import pack_bits, packed_size, unpack_bits
from .fields import Reader

MAX_WEIGHT_BITS = 8
_RATIO = struct.Struct("<d")
_TOLERANCE = math.log(1.01)  # fewer bits are enough when no weight is off by more


def max_weights_size(n_points: int) -> int:
    """The most bytes that `encode_weights` takes."""
    return 1 + _RATIO.size + packed_size(n_points, MAX_WEIGHT_BITS)


def encode_weights(weights: NDArray[np.float64]) -> bytes:
    """Bits a weight and zero flag in one byte; then the logarithm of the largest ratio; then codes on a log scale."""
    positive = weights > 0
    if not positive.any() or (weights == weights[0]).all():
        return bytes([0])
    logs = np.log(weights[positive])
    logs -= logs.min()
    ratio = float(logs.max())
    zeros = int(not positive.all())
    for bits in range(1, MAX_WEIGHT_BITS + 1):
        levels = 2**bits - 1 - zeros
        if levels == 0 and ratio > 0:
            continue
        codes = np.rint(logs * (levels / ratio)) if ratio > 0 else np.zeros_like(logs)
        if ratio == 0 or np.abs(codes * (ratio / levels) - logs).max() <= _TOLERANCE:
            break
    stream = np.zeros(len(weights), dtype=np.uint64)
    stream[positive] = codes.astype(np.uint64) + np.uint64(zeros)
    return bytes([bits | zeros << 7]) + _RATIO.pack(ratio) + pack_bits(stream, bits)


def decode_weights(data: bytes, n_points: int, total: float) -> NDArray[np.float64]:
    """Inverse of `encode_weights`, up to its rounding, for weights that sum to `total`.

    Raises
    ------
    ValueError
        When the bytes are corrupt.
    """
    reader = Reader(data)
    (head,) = reader.take(1, "the weights")
    bits, zeros = head & 127, head >> 7
    if bits == 0:
        reader.end("equal weights")
        return np.full(n_points, total / n_points)
    if bits > MAX_WEIGHT_BITS:
        raise ValueError(f"message is corrupt: {bits} bits a weight are more than {MAX_WEIGHT_BITS}")
    (ratio,) = _RATIO.unpack(reader.take(_RATIO.size, "the weights"))
    if not 0 <= ratio <= 1500:  # the logarithm of the largest double over the smallest is 1454.9
        raise ValueError(f"message is corrupt: the logarithm of the weights' ratio is {ratio}")
    codes = unpack_bits(data[reader.position :], n_points, bits).astype(np.float64)
    levels = max(2**bits - 1 - zeros, 1)
    # The largest weight is one, so that nothing overflows; the total scales them all.
    weights = np.exp((codes - zeros) * (ratio / levels) - ratio)
    if zeros:
        weights[codes == 0] = 0.0
    mass = weights.sum()
    if not mass > 0:
        raise ValueError("message is corrupt: no weight is positive")
    weights *= total / mass
    heaviest = int(weights.argmax())
    for _ in range(2):  # what rounding left of the total goes to one weight, which can round again
        weights[heaviest] += math.fsum([total, *-weights])
    return weights
