"""Parts of the headers of levels: masks of columns, numbers in single precision, and checks of what was read."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from .bits import packed_size

Floats = NDArray[np.float64]


def packed_masks(masks: list[NDArray[np.bool_]]) -> bytes:
    """Each mask bit by bit after a 0, or deflated after a 1 where that is shorter."""
    parts = []
    for mask in masks:
        plain = np.packbits(mask).tobytes()
        packer = zlib.compressobj(9, wbits=-15)
        squeezed = packer.compress(plain) + packer.flush()
        parts.append(b"\1" + squeezed if len(squeezed) < len(plain) else b"\0" + plain)
    return b"".join(parts)


def unpacked_mask(data: bytes, length: int) -> tuple[NDArray[np.bool_], bytes]:
    """Inverse of `packed_masks` for one mask, with the bytes that follow."""
    size = packed_size(length, 1)
    if not data or data[0] > 1:
        raise ValueError("the point block's header has no mask of columns")
    if data[0]:
        reader = zlib.decompressobj(wbits=-15)
        try:
            plain = reader.decompress(data[1:], size + 1)
        except zlib.error as error:
            raise ValueError("the point block's header has a corrupt mask of columns") from error
        if not reader.eof or len(plain) != size:
            raise ValueError("the point block's header has a mask of another number of columns")
        data = reader.unused_data
    else:
        check_length(data, 1 + size)
        plain, data = data[1 : 1 + size], data[1 + size :]
    return np.unpackbits(np.frombuffer(plain, np.uint8), count=length).astype(bool), data


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


def check_finite(low: Floats, high: Floats) -> None:
    """Raise when levels would overflow."""
    limit = np.finfo(np.float64).max / 4
    if not (np.isfinite(low).all() and np.isfinite(high).all() and max(np.abs(low).max(), np.abs(high).max()) <= limit):
        raise ValueError("the point block's levels contain NaN, infinity or values too large")
