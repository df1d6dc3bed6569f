"""Levels of a few bits for each column, fitted to its values and written in few bytes."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from .base import Shape
from .bits import pack_bits, packed_size, unpack_bits
from .ends import in_units, max_ends_bytes, pack_ends, unpack_ends
from .fitting import equal_ends, spaced_ends
from .headers import check_finite, cut, kept, survives_float32
from .masks import packed_masks, unpacked_mask
from .spacing import EQUAL, SPACED_BITS, SPACING_BITS, nearest_codes, spacings

Floats = NDArray[np.float64]
_WIDE, _SPACED = 1, 2  # flags: constants in double precision; spacings that are not equal


@dataclasses.dataclass(frozen=True)
class ColumnLevels:
    """Levels between two ends a column, spaced equally or not, the ends being multiples of a power of two.

    A column without distinct levels is idle: it has one value, and its codes are zero.
    """

    low: Floats
    high: Floats
    spacing: NDArray[np.uint8]
    bits: int
    active: NDArray[np.bool_]

    @classmethod
    def fit(cls, points: Floats, bits: int) -> ColumnLevels:
        """Levels at equal distances with a small squared error, as they will be written."""
        return cls._written(points, *equal_ends(points, bits), np.full(points.shape[1], EQUAL, dtype=np.uint8), bits)

    def spaced(self, points: Floats) -> ColumnLevels:
        """Levels for the same points at other distances, for columns where that suits."""
        if self.bits not in SPACED_BITS:
            return self
        return self._written(points, *spaced_ends(points, self.low, self.high, self.bits), self.bits)

    @classmethod
    def _written(cls, points: Floats, low: Floats, high: Floats, spacing: NDArray[np.uint8], bits: int) -> ColumnLevels:
        exponents, first, steps = in_units(low, high, bits)
        active = steps > 0
        # A column that rounds to one level keeps its middle, which for a constant is its value.
        least = points.min(axis=0)
        middle = least + (points.max(axis=0) - least) / 2
        low, high = np.ldexp(first, exponents), np.ldexp(first + steps, exponents)
        low[~active] = high[~active] = kept(middle[~active])
        spacing[~active] = EQUAL
        return cls(low, high, spacing, bits, active)

    def codes(self, points: Floats) -> NDArray[np.uint8]:
        """The nearest level of each value, of shape (d, n)."""
        last = 2**self.bits - 1
        span = np.where(self.active, self.high - self.low, 1.0)
        shares = (points.T - self.low[:, None]) / span[:, None]
        shares[~self.active] = 0
        codes = np.rint(shares * last).clip(0, last).astype(np.uint8)
        for spacing in np.unique(self.spacing[self.spacing != EQUAL]):
            columns = np.flatnonzero(self.spacing == spacing)
            codes[columns] = nearest_codes(shares[columns], spacings(self.bits)[spacing])
        return codes

    def values(self, codes: NDArray[np.uint8]) -> Floats:
        """Values of codes of shape (d, n)."""
        share = codes / float(2**self.bits - 1)
        spaced = np.flatnonzero(self.spacing != EQUAL)
        share[spaced] = spacings(self.bits)[self.spacing[spaced, None], codes[spaced]]
        return self.low[:, None] * (1 - share) + self.high[:, None] * share

    @property
    def scales(self) -> Floats:
        """The distance between the ends of each column."""
        return self.high - self.low

    def to_bytes(self, row: int = 0) -> bytes:
        """Masks of idle columns and of zeros among them, their values, and ends and spacings of the others.

        Of images, `row` is the number of columns in one of their rows.
        """
        idle = self.low[~self.active]
        constants = idle[idle != 0]
        narrow = survives_float32(constants)
        spaced = bool((self.spacing != EQUAL).any())
        masks = packed_masks([self.active], row) + packed_masks([idle != 0])
        ends = pack_ends(self.low[self.active], self.high[self.active], self.bits)
        spacing = pack_bits(self.spacing[self.active].astype(np.uint64), SPACING_BITS) if spaced else b""
        flags = (not narrow) * _WIDE + spaced * _SPACED
        return bytes([flags]) + masks + constants.astype("<f4" if narrow else "<f8").tobytes() + ends + spacing

    @classmethod
    def from_bytes(cls, data: bytes, n_features: int, bits: int) -> tuple[ColumnLevels, bytes]:
        """Inverse of `to_bytes` for bytes that may be hostile, with the bytes that follow."""
        if not data or data[0] > _WIDE + (bits in SPACED_BITS) * _SPACED:
            raise ValueError("the point block's header is not one of columns' levels")
        stored = np.dtype("<f8" if data[0] & _WIDE else "<f4")
        spaced = bool(data[0] & _SPACED)
        active, data = unpacked_mask(data[1:], n_features)
        nonzero, data = unpacked_mask(data, n_features - int(active.sum()))
        constants, data = cut(data, int(nonzero.sum()) * stored.itemsize)
        idle = np.zeros(len(nonzero))
        idle[nonzero] = np.frombuffer(constants, stored)
        low, high = np.zeros(n_features), np.zeros(n_features)
        low[~active] = high[~active] = idle
        low[active], high[active], data = unpack_ends(data, int(active.sum()), bits)
        check_finite(low, high)
        spacing = np.full(n_features, EQUAL, dtype=np.uint8)
        if spaced:
            packed, data = cut(data, packed_size(int(active.sum()), SPACING_BITS))
            spacing[active] = unpack_bits(packed, int(active.sum()), SPACING_BITS)
        return cls(low, high, spacing, bits, active), data

    @staticmethod
    def max_bytes(shape: Shape, bits: int) -> int:
        """No levels of such a table take more."""
        # A bit in the mask for a column that varies; an idle one takes two bits in masks and 64, which is less.
        n_columns = shape[1]
        masks = 1 + packed_size(n_columns, 1) + 1
        return 1 + masks + max_ends_bytes(n_columns, bits) + packed_size(n_columns, SPACING_BITS)
