"""Ends of levels a column, fitted to the values and written in few bits as multiples of a power of two."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .bits import pack_bits, packed_size, ragged_digits, ragged_numbers, unpack_bits
from .headers import cut

Floats = NDArray[np.float64]
_LEAST_EXPONENT = -1074
_GUARD = 3  # bits by which an end is finer than the distance of its levels
_MOST_UNITS = 48  # bits of a column's first level, in units; columns that need more are constant for our purposes
_HEAD = 4  # bytes before the columns' ends


def in_units(low: Floats, high: Floats, bits: int) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Exponent of each column's unit, its first level and the units up to the last, none for a constant."""
    digits = bits + _GUARD
    exponents = np.frexp(high - low)[1].astype(np.int64) - 1 - digits
    exponents = np.maximum(exponents, _LEAST_EXPONENT)
    with np.errstate(over="ignore", invalid="ignore"):  # ends that overflow belong to columns that are too narrow
        for _ in range(2):  # where rounding carries, the unit is twice as large
            first, last = (np.rint(np.ldexp(ends, -exponents)) for ends in (low, high))
            exponents += last - first >= 2 << digits
        steps = last - first
    # Where the unit was doubled, both ends may round towards each other, by one unit.
    steps = np.where(steps == (1 << digits) - 1, 1 << digits, steps)
    narrow = (steps < 1 << digits) | (np.abs(first) >= 1 << _MOST_UNITS)
    return exponents, np.where(narrow, 0, first), np.where(narrow, 0, steps)


def pack_ends(low: Floats, high: Floats, bits: int) -> bytes:
    """Exponents, steps, lengths and first levels of columns that are not idle, each in as many bits as they need."""
    if len(low) == 0:
        return b""
    exponents, first, steps = in_units(low, high, bits)
    base = int(exponents.min())
    spread = int(exponents.max() - base).bit_length()
    signed = first.astype(np.int64)
    zigzag = ((signed << 1) ^ (signed >> 63)).astype(np.uint64)
    lengths = np.frexp(zigzag.astype(np.float64))[1].astype(np.uint64)  # exact: below 2 ** 50
    width = int(lengths.max()).bit_length()
    head = (base + 2048).to_bytes(2, "little") + bytes([spread, width])
    fields = pack_bits((exponents - base).astype(np.uint64), spread)
    fields += pack_bits(steps.astype(np.uint64) - np.uint64(1 << (bits + _GUARD)), bits + _GUARD)
    return head + fields + pack_bits(lengths, width) + np.packbits(ragged_digits(zigzag, lengths)).tobytes()


def unpack_ends(data: bytes, n_columns: int, bits: int) -> tuple[Floats, Floats, bytes]:
    """Inverse of `pack_ends` for bytes that may be hostile, with the bytes that follow."""
    if n_columns == 0:
        return np.zeros(0), np.zeros(0), data
    head, data = cut(data, _HEAD)
    base = int.from_bytes(head[:2], "little") - 2048
    spread, width = head[2], head[3]
    if spread > 12 or width > 6 or not _LEAST_EXPONENT <= base <= 1024:
        raise ValueError("the point block's header is not one of columns' ends")
    numbers = []
    for field in (spread, bits + _GUARD, width):
        packed, data = cut(data, packed_size(n_columns, field))
        numbers.append(unpack_bits(packed, n_columns, field))
    exponents, steps, lengths = numbers
    if (lengths > _MOST_UNITS + 2).any():
        raise ValueError("the point block's header has an end that is too far from zero")
    n_digits = int(lengths.sum())
    packed, data = cut(data, packed_size(n_digits, 1))
    digits = np.unpackbits(np.frombuffer(packed, np.uint8), count=n_digits)
    zigzag = ragged_numbers(digits, lengths)
    first = (zigzag >> np.uint64(1)).astype(np.float64) * np.where(zigzag & np.uint64(1), -1.0, 1.0)
    first -= (zigzag & np.uint64(1)).astype(np.float64)
    units = exponents.astype(np.int64) + base
    last = first + steps.astype(np.float64) + float(1 << (bits + _GUARD))
    return np.ldexp(first, units), np.ldexp(last, units), data


def max_ends_bytes(n_columns: int, bits: int) -> int:
    """No ends of so many columns take more."""
    # Exponent of 12 bits, steps, length of 6 bits, first level.
    return _HEAD + packed_size(n_columns, 12 + bits + _GUARD + 6 + _MOST_UNITS + 2) + 3
