"""Numbers of which two digits are enough, in two bytes."""

from __future__ import annotations

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
