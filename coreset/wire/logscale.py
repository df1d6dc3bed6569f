"""Numbers of which only the ratios count, in a few bits each on a logarithmic scale."""

from __future__ import annotations

import math
import struct

import numpy as np
from numpy.typing import NDArray

from ..quantizers import pack_bits, packed_size, unpack_bits
from .fields import Reader
from .squeezing import squeezed, unsqueezed

MOST_BITS = 24
# Flags beside the bits of a code: code 0 is a zero; the ratio is in two bytes; codes through the entropy coder.
_ZEROS, _SHORT, _SQUEEZED = 128, 64, 32
_LONG_RATIO, _SHORT_RATIO = struct.Struct("<d"), struct.Struct("<H")
_UNIT = 32  # parts of a ratio's logarithm in two bytes
_MOST_RATIO = 1500  # the logarithm of the largest double over the smallest is 1454.9


def max_log_size(n_values: int, max_bits: int) -> int:
    """The most bytes that `encode_logs` takes."""
    return 1 + _SHORT_RATIO.size + packed_size(n_values, max_bits)


def encode_logs(values: NDArray[np.float64], tolerance: float, max_bits: int) -> bytes:
    """Bits a code and flags in one byte; then the logarithm of the largest ratio; then codes, squeezed where that pays.

    Parameters
    ----------
    values : ndarray of shape (n,)
        At least 0; zeros stay zeros, and what is less than some 1e-308 of the largest becomes one.
    tolerance : float
        No logarithm is off by more, unless `max_bits` are too few for that.
    max_bits : int
        2 to 24.

    Returns
    -------
    bytes
        One where all values are equal.
    """
    positive = values > 0
    if not positive.any() or (values == values[0]).all():
        return bytes([0])
    logs = np.log(values[positive])
    logs -= logs.min()
    zeros = int(not positive.all())
    units = math.ceil(float(logs.max()) * _UNIT)
    ratio = units / _UNIT
    for bits in range(1, max_bits + 1):
        levels = 2**bits - 1 - zeros
        if levels == 0 and ratio > 0:
            continue
        codes = np.rint(logs * (levels / ratio)) if ratio > 0 else np.zeros_like(logs)
        if ratio == 0 or np.abs(codes * (ratio / levels) - logs).max() <= tolerance:
            break
    stream = np.zeros(len(values), dtype=np.uint64)
    stream[positive] = codes.astype(np.uint64) + np.uint64(zeros)
    flags, written = zeros * _ZEROS | _SHORT, pack_bits(stream, bits)
    shorter = squeezed(stream.astype(np.int64), bits)
    if shorter is not None and len(shorter) < len(written):
        flags, written = flags | _SQUEEZED, shorter
    return bytes([bits | flags]) + _SHORT_RATIO.pack(units) + written


def decode_logs(data: bytes, n_values: int, what: str) -> NDArray[np.float64]:
    """Inverse of `encode_logs` up to a common factor: the largest value is at most one, and near it.

    Raises
    ------
    ValueError
        When the bytes are corrupt.
    """
    reader = Reader(data)
    (head,) = reader.take(1, what)
    bits, zeros = head & (_SQUEEZED - 1), int(head & _ZEROS > 0)
    if head & (_SQUEEZED | _SHORT) == _SQUEEZED:
        raise ValueError(f"message is corrupt: the head of {what} is {head}")
    if bits == 0:
        reader.end(f"equal {what}")
        return np.ones(n_values)
    if bits > MOST_BITS:
        raise ValueError(f"message is corrupt: {bits} bits for each of {what} are more than {MOST_BITS}")
    if head & _SHORT:
        ratio = _SHORT_RATIO.unpack(reader.take(_SHORT_RATIO.size, what))[0] / _UNIT
    else:
        (ratio,) = _LONG_RATIO.unpack(reader.take(_LONG_RATIO.size, what))
    if not 0 <= ratio <= _MOST_RATIO:
        raise ValueError(f"message is corrupt: the logarithm of the ratio of {what} is {ratio}")
    rest = data[reader.position :]
    read = unsqueezed(rest, n_values, bits, what) if head & _SQUEEZED else unpack_bits(rest, n_values, bits)
    codes = read.astype(np.float64)
    levels = max(2**bits - 1 - zeros, 1)
    values = np.exp((codes - zeros) * (ratio / levels) - ratio)
    if zeros:
        values[codes == 0] = 0.0
    return values
