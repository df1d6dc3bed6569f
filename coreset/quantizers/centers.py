"""Codes relative to those of rough centres: what is left of them in clusters that are narrow and far apart."""

from __future__ import annotations

import dataclasses
import math
from typing import Self

import numpy as np
from numpy.typing import NDArray

from .base import Shape
from .grouping import best_step, rough_groups
from .headers import cut
from .runs import pack_runs, renumbered, unpack_runs
from .stream import decode_codes, encode_codes

Codes = NDArray[np.uint8]
_LEAST_CODES = 1024  # of a table, fewer of which are hardly worth centres
_HEAD = 1 + 1 + 2 + 4
_SURE = 0.55  # share of the information in codes by themselves, of which a model of neighbouring codes leaves more


@dataclasses.dataclass(frozen=True)
class Centers:
    """Rough centres of codes, and which points are near each.

    A centre's code has fewer bits than a point's. It stands for the middle of the codes that begin with its bits, and a
    point's code is written as its distance to that, less the least of all, modulo the number of codes.

    Parameters
    ----------
    codes : ndarray of shape (d, k), uint8
        Of the centres.
    groups : ndarray of shape (n,), intp
        The centre of each point, numbered in the order in which they come.
    dropped : int
        Bits that the centres' codes have less than the points'.
    width : int
        Bits of a distance.
    least : int
        The least distance.
    """

    codes: Codes
    groups: NDArray[np.intp]
    dropped: int
    width: int
    least: int

    @classmethod
    def fit(cls, codes: Codes, bits: int) -> Self | None:
        """Centres of codes of shape (d, n), or None where they would not pay."""
        if codes.size < _LEAST_CODES:
            return None
        points = codes.T.astype(np.float64)
        groups = rough_groups(points)
        if groups is None:
            return None
        groups = renumbered(groups)
        sizes = np.bincount(groups)
        means = np.stack([np.bincount(groups, weights=column) / sizes for column in points.T])
        width = math.sqrt(np.square(points.T - means[:, groups]).mean())
        step = float(best_step(len(points) / len(sizes))) * width
        dropped = min(max(round(math.log2(max(step, 1.0))), 0), bits - 1)
        rough = (np.rint(means).astype(np.uint8) >> np.uint8(dropped)).astype(np.uint8)
        distances = codes.astype(np.int16) - cls(rough, groups, dropped, bits, 0)._middles()
        least, most = int(distances.min()), int(distances.max())
        digits = max((most - least).bit_length(), 1)
        if digits >= bits:
            return cls(rough, groups, dropped, bits, -(1 << (bits - 1)))
        return cls(rough, groups, dropped, digits, least)

    def distances(self, codes: Codes, bits: int) -> Codes:
        """What to write of codes of shape (d, n)."""
        return ((codes.astype(np.int16) - self._middles() - self.least) & ((1 << bits) - 1)).astype(np.uint8)

    def codes_at(self, distances: Codes, bits: int) -> Codes:
        """Inverse of `distances`."""
        return ((distances.astype(np.int16) + self._middles() + self.least) & ((1 << bits) - 1)).astype(np.uint8)

    def expected_size(self, distances: Codes) -> float:
        """Bytes of distances and centres by how often each column has each code."""
        return (_information(distances) + _information(self.codes)) / 8

    def surely_pay(self, codes: Codes, bits: int) -> bool:
        """Whether codes of shape (d, n) by themselves need not be tried."""
        return 8 * self.expected_size(self.distances(codes, bits)) < _SURE * _information(codes)

    def _middles(self) -> NDArray[np.int16]:
        """The codes that points are relative to, of shape (d, n)."""
        middles = (self.codes.astype(np.int16) << self.dropped) + ((1 << self.dropped) >> 1)
        return middles[:, self.groups]

    def to_bytes(self, bits: int) -> bytes:
        """How many centres, their form, the groups in runs, and the centres' codes after their length."""
        n_columns, n_groups = self.codes.shape
        stream = encode_codes(self.codes, np.arange(n_columns), bits - self.dropped, 0)
        form = bytes([n_groups - 1, self.dropped << 4 | self.width]) + self.least.to_bytes(2, "little", signed=True)
        return form + len(stream).to_bytes(4, "little") + pack_runs(self.groups, n_groups) + stream

    @classmethod
    def from_bytes(cls, data: bytes, shape: Shape, bits: int) -> tuple[Self, bytes]:
        """Inverse of `to_bytes` for bytes that may be hostile, with the bytes that follow.

        Parameters
        ----------
        data : bytes
        shape : tuple of int
            Columns and points.
        bits : int
            Of the points' codes.

        Raises
        ------
        ValueError
            When the bytes are not what `to_bytes` writes for this shape.
        """
        head, data = cut(data, _HEAD)
        n_groups, dropped, width = head[0] + 1, head[1] >> 4, head[1] & 15
        least, length = int.from_bytes(head[2:4], "little", signed=True), int.from_bytes(head[4:], "little")
        if not (dropped < bits and 1 <= width <= bits and abs(least) < 1 << bits):
            raise ValueError(f"the point block's header has centres that lack {dropped} of {bits} bits")
        groups, data = unpack_runs(data, shape[1], n_groups)
        stream, data = cut(data, length)
        codes = decode_codes(stream, (shape[0], n_groups), np.arange(shape[0]), bits - dropped, 0)
        return cls(codes, groups, dropped, width, least), data


def _information(codes: Codes) -> float:
    """Bits of codes of shape (d, n) by their counts in each column."""
    counts = np.bincount((codes + 256 * np.arange(len(codes))[:, None]).ravel())
    counts = counts[counts > 0]
    return float((counts * np.log2(codes.shape[1] / counts)).sum())
