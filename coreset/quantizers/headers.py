"""Parts of the headers of point blocks: numbers in single precision, and checks of what was read."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def kept(values: Floats) -> Floats:
    """Values as float32 holds them, where it holds them all."""
    return narrowed(values) if survives_float32(values) else values


def survives_float32(values: Floats) -> bool:
    """Whether single precision holds all values as closely as it holds any."""
    return bool((np.abs(narrowed(values) - values) <= 2.0**-24 * np.abs(values)).all())


def narrowed(values: Floats) -> Floats:
    """Values rounded to single precision."""
    with np.errstate(over="ignore", under="ignore"):
        return values.astype(np.float32).astype(np.float64)


def check_length(data: bytes, least: int) -> None:
    """Raise when fewer bytes are left than should follow."""
    if len(data) < least:
        raise ValueError(f"the point block's header is cut off: {len(data)} bytes are left, {least} should follow")


def cut(data: bytes, size: int) -> tuple[bytes, bytes]:
    """The first bytes, so many of them, and those that follow."""
    check_length(data, size)
    return data[:size], data[size:]


def check_finite(low: Floats, high: Floats) -> None:
    """Raise when levels would overflow."""
    limit = np.finfo(np.float64).max / 4
    if not (np.isfinite(low).all() and np.isfinite(high).all() and max(np.abs(low).max(), np.abs(high).max()) <= limit):
        raise ValueError("the point block's levels contain NaN, infinity or values too large")
