"""Numbers of which the leading digits are enough, in half of their bytes."""

from __future__ import annotations

import math
import struct

_LARGEST = 3.3e38  # of single precision, nearly


def roughly(value: float) -> bytes:
    """The leading half of a number in single precision: less by under a hundredth, and at most 3.3e38.

    Parameters
    ----------
    value : float
        Not negative.

    Examples
    --------
    >>> from_rough(roughly(1000.0)), from_rough(roughly(1003.0))
    (1000.0, 1000.0)
    """
    return struct.pack("<f", min(value, _LARGEST))[2:]


def from_rough(data: bytes) -> float:
    """Inverse of `roughly` for two bytes that may be hostile: any number at all, or NaN."""
    return float(struct.unpack("<f", b"\0\0" + data)[0])


def roughly_above(value: float) -> bytes:
    """The least number that two bytes can say and that is no smaller; what is not finite or too large for it is NaN.

    Parameters
    ----------
    value : float
        Not negative, or NaN.

    Examples
    --------
    >>> from_rough(roughly_above(1000.0)), from_rough(roughly_above(1000.1)), from_rough(roughly_above(1e39))
    (1000.0, 1004.0, nan)
    """
    if not value <= _LARGEST:
        return struct.pack("<f", math.nan)[2:]
    (bits,) = struct.unpack("<H", roughly(value))
    while from_rough(struct.pack("<H", bits)) < value:
        bits += 1
    return struct.pack("<H", bits)


def leading_half(value: float) -> bytes:
    """Four bytes of a double, rounded: off by at most 2**-21 of the value.

    Examples
    --------
    >>> from_leading_half(leading_half(1e300)) == 1e300, abs(from_leading_half(leading_half(1e300)) / 1e300 - 1) < 5e-7
    (False, True)
    """
    (bits,) = struct.unpack("<Q", struct.pack("<d", value))
    rounded = struct.pack("<I", bits + (1 << 31) >> 32)
    return rounded if math.isfinite(from_leading_half(rounded)) else struct.pack("<I", bits >> 32)


def from_leading_half(data: bytes) -> float:
    """Inverse of `leading_half` for four bytes that may be hostile."""
    return float(struct.unpack("<d", bytes(4) + data)[0])
