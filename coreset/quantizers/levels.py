"""Levels of a few bits, fitted to the values and written in few bytes: two ends a column, or one list for the table."""

from __future__ import annotations

import dataclasses
import zlib

import numpy as np
from numpy.typing import NDArray

from .base import Shape
from .bits import pack_bits, packed_size, ragged_digits, ragged_numbers, unpack_bits

Floats = NDArray[np.float64]
_MOST_LISTED = 4  # bits of levels that are listed one by one
_ROUNDS = 12
_FITTED_POINTS = 4096  # by which a column's ends are fitted
_BLOCK = 1 << 16  # values whose columns are fitted at a time
_REACHES = (0.8, 1.49, 2.05, 2.51, 2.92, 3.28, 3.61, 3.93)  # from a bell's mean to the best outer level (Max, 1960)
_SAMPLE = 1 << 16  # values by which the table's levels are fitted
_MOST_UNITS = 48  # bits of a column's first level, in units; columns that need more are constant for our purposes
_LEAST_EXPONENT = -1074
_GUARD = 3  # bits by which an end is finer than the distance of its levels
_HEAD = 4  # bytes before the columns' ends


@dataclasses.dataclass(frozen=True)
class ColumnLevels:
    """Levels at equal distances between two ends a column, written as multiples of a power of two.

    A column without distinct levels is idle: it has one value, and its codes are zero.
    """

    low: Floats
    high: Floats
    bits: int
    active: NDArray[np.bool_]

    @classmethod
    def fit(cls, points: Floats, bits: int) -> ColumnLevels:
        """Ends with a small squared error, as they will be written."""
        low, high = _fitted_ends(points, bits)
        exponents, first, steps = _in_units(low, high, bits)
        active = steps > 0
        # A column that rounds to one level keeps its middle, which for a constant is its value.
        least = points.min(axis=0)
        middle = least + (points.max(axis=0) - least) / 2
        low, high = np.ldexp(first, exponents), np.ldexp(first + steps, exponents)
        low[~active] = high[~active] = _kept(middle[~active])
        return cls(low, high, bits, active)

    def codes(self, points: Floats) -> NDArray[np.uint8]:
        """The nearest level of each value, of shape (d, n)."""
        last = 2**self.bits - 1
        span = np.where(self.active, self.high - self.low, 1.0)
        shares = (points.T - self.low[:, None]) / span[:, None]
        shares[~self.active] = 0
        return np.rint(shares * last).clip(0, last).astype(np.uint8)

    def values(self, codes: NDArray[np.uint8]) -> Floats:
        """Values of codes of shape (d, n)."""
        share = codes / float(2**self.bits - 1)
        return self.low[:, None] * (1 - share) + self.high[:, None] * share

    @property
    def scales(self) -> Floats:
        """The distance between the ends of each column."""
        return self.high - self.low

    def to_bytes(self) -> bytes:
        """Masks of idle columns and of zeros among them, their values, and the ends of the others."""
        idle = self.low[~self.active]
        constants = idle[idle != 0]
        narrow = _survives_float32(constants)
        masks = _packed_masks([self.active, idle != 0])
        ends = _pack_ends(self.low[self.active], self.high[self.active], self.bits)
        return bytes([not narrow]) + masks + constants.astype("<f4" if narrow else "<f8").tobytes() + ends

    @classmethod
    def from_bytes(cls, data: bytes, n_features: int, bits: int) -> tuple[ColumnLevels, bytes]:
        """Inverse of `to_bytes` for bytes that may be hostile, with the bytes that follow."""
        if not data or data[0] > 1:
            raise ValueError("the point block's header is not one of columns' levels")
        stored = np.dtype("<f8" if data[0] else "<f4")
        active, data = _unpacked_mask(data[1:], n_features)
        nonzero, data = _unpacked_mask(data, n_features - int(active.sum()))
        end = int(nonzero.sum()) * stored.itemsize
        _check_length(data, end)
        idle = np.zeros(len(nonzero))
        idle[nonzero] = np.frombuffer(data[:end], stored)
        low, high = np.zeros(n_features), np.zeros(n_features)
        low[~active] = high[~active] = idle
        low[active], high[active], data = _unpack_ends(data[end:], int(active.sum()), bits)
        _check_finite(low, high)
        return cls(low, high, bits, active), data

    @staticmethod
    def max_bytes(shape: Shape, bits: int) -> int:
        """No levels of such a table take more."""
        # An active column: exponent of 12 bits, steps, length of 6 bits, first level. An idle one: two bits in masks
        # and 64 for its value, which is less.
        column = 1 + 12 + bits + _GUARD + 6 + _MOST_UNITS + 2
        return 1 + 2 + 2 + _HEAD + packed_size(shape[1] * column, 1)


@dataclasses.dataclass(frozen=True)
class TableLevels:
    """One list of levels for the table. A column of first levels is idle.

    Up to 16 levels are where the values are (Lloyd, 1982). More are at equal distances: their list would take long to
    write, and among codes that are squeezed afterwards equal distances are as good.
    """

    levels: Floats
    active: NDArray[np.bool_]

    @classmethod
    def fit(cls, points: Floats, bits: int) -> TableLevels:
        """Levels with a small squared error, as they will be written."""
        if bits > _MOST_LISTED:
            ends = _kept_ends(np.array([points.min(), points.max()]))
            every = cls(_between(ends, bits), np.ones(points.shape[1], dtype=bool))
            return cls(every.levels, np.asarray(every.codes(points).any(axis=1)))
        levels = _lloyd(points, 2**bits)
        narrow = _narrowed(levels)
        # Stricter than the levels need, so that what was decoded is written again as it is.
        if (np.abs(narrow - levels) <= 4e-7 * np.ptp(levels)).all():
            levels = narrow
        every = cls(levels, np.ones(points.shape[1], dtype=bool))
        return cls(levels, np.asarray(every.codes(points).any(axis=1)))

    def codes(self, points: Floats) -> NDArray[np.uint8]:
        """The nearest level of each value, of shape (d, n)."""
        if len(self.levels) > 1 << _MOST_LISTED:
            low, span = self.levels[0], self.levels[-1] - self.levels[0]
            shares = (points.T - low) / (span if span > 0 else 1.0)
            return np.rint(shares.clip(0, 1) * (len(self.levels) - 1)).astype(np.uint8)
        halfway = self.levels[1:] / 2 + self.levels[:-1] / 2
        codes = np.zeros(points.T.shape, dtype=np.uint8)
        for bound in halfway:  # at most fifteen comparisons, each far faster than a search
            codes += bound < points.T
        return codes

    def values(self, codes: NDArray[np.uint8]) -> Floats:
        """Values of codes of shape (d, n)."""
        return self.levels[codes]

    @property
    def scales(self) -> Floats:
        """The distance between the first and the last level, for each column."""
        return np.full(len(self.active), self.levels[-1] - self.levels[0])

    def to_bytes(self) -> bytes:
        """The mask of idle columns and the levels, or their ends."""
        written = self.levels[[0, -1]] if len(self.levels) > 1 << _MOST_LISTED else self.levels
        narrow = bool((_narrowed(written) == written).all())
        return bytes([not narrow]) + _packed_masks([self.active]) + written.astype("<f4" if narrow else "<f8").tobytes()

    @classmethod
    def from_bytes(cls, data: bytes, n_features: int, bits: int) -> tuple[TableLevels, bytes]:
        """Inverse of `to_bytes` for bytes that may be hostile, with the bytes that follow."""
        if not data or data[0] > 1:
            raise ValueError("the point block's header is not one of a table's levels")
        stored = np.dtype("<f8" if data[0] else "<f4")
        active, data = _unpacked_mask(data[1:], n_features)
        end = stored.itemsize * (2 if bits > _MOST_LISTED else 1 << bits)
        _check_length(data, end)
        levels = np.frombuffer(data[:end], stored).astype(np.float64)
        _check_finite(levels, levels)
        return cls(_between(levels, bits) if bits > _MOST_LISTED else levels, active), data[end:]

    @staticmethod
    def max_bytes(shape: Shape, bits: int) -> int:
        """No levels of such a table take more."""
        return 1 + 1 + packed_size(shape[1], 1) + (16 if bits > _MOST_LISTED else 8 << bits)


Levels = ColumnLevels | TableLevels


def _fitted_ends(points: Floats, bits: int) -> tuple[Floats, Floats]:
    """Ends of levels a column, the better of two starts: the column's range, and what suits a bell."""
    least, most = points.min(axis=0), points.max(axis=0)
    low, high = least.copy(), most.copy()
    varying = np.flatnonzero(most > least)
    size = max(1, _BLOCK // min(len(points), _FITTED_POINTS))
    for start in range(0, len(varying), size):
        columns = varying[start : start + size]
        found = _block_ends(points[:, columns], least[columns], most[columns], bits)
        low[columns], high[columns] = found
    return low, high


def _block_ends(points: Floats, least: Floats, most: Floats, bits: int) -> tuple[Floats, Floats]:
    sample = np.ascontiguousarray(points[:: -(-len(points) // _FITTED_POINTS)].T)
    scale = most - least
    shares = (sample - least[:, None]) / scale[:, None]  # in units of the range, in which no square overflows
    wide = _alternated(shares, np.zeros(len(scale)), np.ones(len(scale)), bits)
    mean, reach = shares.mean(axis=1), _REACHES[bits - 1] * shares.std(axis=1)
    close = _alternated(shares, np.maximum(mean - reach, 0), np.minimum(mean + reach, 1), bits)
    # The first start finds levels that were decoded again, so the second has to be clearly better.
    better = close[2] < wide[2] - 1e-9 * shares.shape[1]
    low, high = (np.where(better, c, w) for c, w in zip(close[:2], wide[:2], strict=True))
    return np.asarray(least + low * scale), np.asarray(least + high * scale)


def _alternated(shares: Floats, low: Floats, high: Floats, bits: int) -> tuple[Floats, Floats, Floats]:
    """Nearest codes and best ends in turn, as in Lloyd's method; the ends and the squared error."""
    low, high, errors = low.copy(), high.copy(), np.zeros(len(low))
    moving = np.arange(len(low))
    left = shares
    sums, squares = shares.sum(axis=1), np.einsum("ij,ij->i", shares, shares)
    last = 2**bits - 1
    n_points = shares.shape[1]
    for turn in range(_ROUNDS + 1):
        first, end = low[moving], high[moving]
        codes = left - first[:, None]
        codes *= (last / np.where(end > first, end - first, 1.0))[:, None]
        np.rint(codes, out=codes)
        np.maximum(codes, 0, out=codes)
        np.minimum(codes, last, out=codes)
        total, power = codes.sum(axis=1) / last, np.einsum("ij,ij->i", codes, codes) / last**2
        product = np.einsum("ij,ij->i", codes, left) / last
        span = end - first
        errors[moving] = (
            squares[moving]
            - 2 * (first * sums[moving] + span * product)
            + first * (n_points * first + 2 * span * total)
            + span**2 * power
        )
        variance = power - total**2 / n_points
        some = variance > 1e-9
        slope = np.where(some, (product - total * sums[moving] / n_points) / np.where(some, variance, 1), span)
        start = np.where(some, (sums[moving] - slope * total) / n_points, first)
        # Within the range, so that both ends are used and what is decoded has the same ends.
        fresh, beyond = start.clip(0, 1), (start + slope).clip(0, 1)
        moved = np.maximum(np.abs(fresh - first), np.abs(beyond - end)) > 2.0 ** -(bits + _GUARD + 6)
        if turn == _ROUNDS or not moved.any():
            break
        low[moving], high[moving] = np.where(moved, fresh, first), np.where(moved, beyond, end)
        if 4 * np.count_nonzero(moved) < 3 * len(moving):
            left = left[moved]
            moving = moving[moved]
    return low, high, errors


def _in_units(low: Floats, high: Floats, bits: int) -> tuple[NDArray[np.int64], Floats, Floats]:
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


def _pack_ends(low: Floats, high: Floats, bits: int) -> bytes:
    if len(low) == 0:
        return b""
    exponents, first, steps = _in_units(low, high, bits)
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


def _unpack_ends(data: bytes, n_columns: int, bits: int) -> tuple[Floats, Floats, bytes]:
    if n_columns == 0:
        return np.zeros(0), np.zeros(0), data
    _check_length(data, _HEAD)
    base = int.from_bytes(data[:2], "little") - 2048
    spread, width = data[2], data[3]
    if spread > 12 or width > 6 or not _LEAST_EXPONENT <= base <= 1024:
        raise ValueError("the point block's header is not one of columns' ends")
    data = data[_HEAD:]
    numbers = []
    for field in (spread, bits + _GUARD, width):
        end = packed_size(n_columns, field)
        _check_length(data, end)
        numbers.append(unpack_bits(data[:end], n_columns, field))
        data = data[end:]
    exponents, steps, lengths = numbers
    if (lengths > _MOST_UNITS + 2).any():
        raise ValueError("the point block's header has an end that is too far from zero")
    n_digits = int(lengths.sum())
    end = packed_size(n_digits, 1)
    _check_length(data, end)
    digits = np.unpackbits(np.frombuffer(data[:end], np.uint8), count=n_digits)
    zigzag = ragged_numbers(digits, lengths)
    first = (zigzag >> np.uint64(1)).astype(np.float64) * np.where(zigzag & np.uint64(1), -1.0, 1.0)
    first -= (zigzag & np.uint64(1)).astype(np.float64)
    units = exponents.astype(np.int64) + base
    last = first + steps.astype(np.float64) + float(1 << (bits + _GUARD))
    return np.ldexp(first, units), np.ldexp(last, units), data[end:]


def _lloyd(points: Floats, n_levels: int) -> Floats:
    """Ascending levels at the means of the values nearest to them, or the values themselves where they are few."""
    flat = points.ravel()
    sample = np.sort(flat[:: max(1, -(-len(flat) // _SAMPLE))])
    distinct = np.unique(sample)
    if len(distinct) <= n_levels:
        distinct = np.unique(flat)
    if len(distinct) <= n_levels:
        return np.concatenate([distinct, np.full(n_levels - len(distinct), distinct[-1])])
    scale = float(max(abs(distinct[0]), abs(distinct[-1])))
    sample, distinct = sample / scale, distinct / scale
    middles = (np.arange(n_levels) + 0.5) / n_levels
    # Quantiles of the distinct values, where a background, however large, gets one level; or equal distances.
    starts = (np.quantile(distinct, middles), distinct[0] + middles * (distinct[-1] - distinct[0]))
    return np.asarray(min((_lloyd_from(start, sample) for start in starts), key=lambda found: found[0])[1] * scale)


def _lloyd_from(levels: Floats, sample: Floats) -> tuple[float, Floats]:
    """Squared error and levels after nearest values and means in turn, of an ascending sample."""
    sums, squares = (np.concatenate([[0.0], np.cumsum(part)]) for part in (sample, np.square(sample)))
    for _ in range(8 * _ROUNDS):
        cuts = np.concatenate([[0], np.searchsorted(sample, (levels[1:] + levels[:-1]) / 2), [len(sample)]])
        counts, masses = np.diff(cuts), np.diff(sums[cuts])
        error = float((np.diff(squares[cuts]) - 2 * levels * masses + counts * levels**2).sum())
        moved = np.where(counts > 0, masses / np.maximum(counts, 1), levels)
        if (moved == levels).all():
            break
        levels = moved
    return error, levels


def _packed_masks(masks: list[NDArray[np.bool_]]) -> bytes:
    """Each mask bit by bit after a 0, or deflated after a 1 where that is shorter."""
    parts = []
    for mask in masks:
        plain = np.packbits(mask).tobytes()
        packer = zlib.compressobj(9, wbits=-15)
        squeezed = packer.compress(plain) + packer.flush()
        parts.append(b"\1" + squeezed if len(squeezed) < len(plain) else b"\0" + plain)
    return b"".join(parts)


def _unpacked_mask(data: bytes, length: int) -> tuple[NDArray[np.bool_], bytes]:
    """Inverse of `_packed_masks` for one mask, with the bytes that follow."""
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
        _check_length(data, 1 + size)
        plain, data = data[1 : 1 + size], data[1 + size :]
    return np.unpackbits(np.frombuffer(plain, np.uint8), count=length).astype(bool), data


def _between(ends: Floats, bits: int) -> Floats:
    """Levels at equal distances; weighing both ends, instead of adding steps to one, gives both back exactly."""
    share = np.arange(1 << bits) / ((1 << bits) - 1)
    return ends[0] * (1 - share) + ends[1] * share


def _kept_ends(ends: Floats) -> Floats:
    """Ends as float32 holds them, where that shifts no level by more than a small part of the levels' distances."""
    narrow = _narrowed(ends)
    return narrow if (np.abs(narrow - ends) <= 4e-7 * np.ptp(ends)).all() else ends


def _kept(values: Floats) -> Floats:
    """Values as float32 holds them, where it holds them all."""
    return _narrowed(values) if _survives_float32(values) else values


def _survives_float32(values: Floats) -> bool:
    return bool((np.abs(_narrowed(values) - values) <= 2.0**-24 * np.abs(values)).all())


def _narrowed(values: Floats) -> Floats:
    with np.errstate(over="ignore", under="ignore"):
        return values.astype(np.float32).astype(np.float64)


def _check_length(data: bytes, least: int) -> None:
    if len(data) < least:
        raise ValueError(f"the point block's header is cut off: {len(data)} bytes are left, {least} should follow")


def _check_finite(low: Floats, high: Floats) -> None:
    limit = np.finfo(np.float64).max / 4
    if not (np.isfinite(low).all() and np.isfinite(high).all() and max(np.abs(low).max(), np.abs(high).max()) <= limit):
        raise ValueError("the point block's levels contain NaN, infinity or values too large")
