"""Codes of a table as bits with probabilities: which codes that are already known tell of the next ones."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .mixing import Mixer, logit_table, probability_table
from .order import Order, Pass, passes
from .parents import MOST_LEARNED, N_LEARNED, N_RULED, likeness, most_correlated, ruled_parents

Codes = NDArray[np.uint8]
Coder = Callable[[NDArray[np.integer], list["Part"], int], Codes]
_LEADING = 4  # bits of a code, at most, that are predicted from other columns; the rest from the column's own codes
_LEARNING = 512  # points by which columns that correlate are found
_ENOUGH = 128  # such points; with fewer it is worth to look again in the next pass
_WINDOW = 8  # known points about each
_WINDOWS = 45  # ones among at most 8 known points
_SHARES = 21  # a logit in steps, or nothing
_COUNTS = 8  # how often a column had a code's leading bits, in steps
_SETS = 5  # of weights
_NOWHERE = 255  # stands for points that are not there; no leading bits are equal to its own


@dataclasses.dataclass(frozen=True)
class Part:
    """Codes of some columns at the points of one pass: a part of a batch."""

    index: int  # of the pass
    rows: slice
    known: slice
    start: int  # first column, by its place in the order
    stop: int
    bits: slice  # where its codes stand in the batch

    @property
    def shape(self) -> tuple[int, int]:
        """How many columns and points."""
        n_columns = self.stop - self.start
        return n_columns, (self.bits.stop - self.bits.start) // n_columns


def walk(table: Codes, order: Order, bits: int, code: Coder) -> None:
    """Fill in a table with the bits that a coder gives for the probabilities that it is told.

    Each batch has columns of one group at the points of the first pass, those of the group before at the points of the
    second, and so on.

    Parameters
    ----------
    table : ndarray of shape (d + 1, n), uint8
        Zeros. The columns in their order; the last stands for those that are not there.
    order : Order
        Of d columns.
    bits : int
        1 to 8 bits a code.
    code : callable
        Takes probabilities of ones in 4096ths, and the parts of the batch and depth of the bits, and returns the bits.
    """
    model = _Model(table, order, bits)
    n_points = table.shape[1]
    every = passes(n_points, len(order.columns))
    n_groups = len(order.starts) - 1
    for step in range(order.n_batches(n_points)):
        parts = []
        end = 0
        for index, part in enumerate(every):
            if 0 <= step - index < n_groups:
                start, stop = order.starts[step - index : step - index + 2].tolist()
                begin, end = end, end + (stop - start) * len(range(*part.rows.indices(n_points)))
                parts.append(Part(index, part.rows, part.known, start, stop, slice(begin, end)))
        model.batch(parts, end, code)


class _Learned:
    """The columns before each that correlate most with it at the points that are known before a pass."""

    def __init__(self, table: Codes, bits: int, every: list[Pass]) -> None:
        n_columns, n_points = len(table) - 1, table.shape[1]
        self._table = table
        self._drop = max(bits - _LEADING, 0)
        self._found = np.full((N_LEARNED, n_columns), n_columns, dtype=np.intp)
        self._known: dict[int, NDArray[np.float32]] = {}
        self._steps = {}
        n_known = 0
        for index, part in enumerate(every):
            if n_known < _ENOUGH and 1 < n_columns <= MOST_LEARNED:
                n_known = len(range(*part.known.indices(n_points)))
                self._steps[index] = step = max(1, -(-n_known // _LEARNING))
                self._known[index] = np.zeros((n_columns, -(-n_known // step)), dtype=np.float32)

    def parents(self, part: Part) -> NDArray[np.intp]:
        """Places of four columns for each of a part; passes in which much is known leave them as they are."""
        columns = slice(part.start, part.stop)
        known = self._known.get(part.index)
        if known is not None and part.index:
            found = self._table[columns, part.known]
            known[columns] = found[:, :: self._steps[part.index]] >> self._drop
            if part.start:
                self._found[:, columns] = most_correlated(likeness(known[columns], known[: part.start]), len(known))
        return self._found[:, columns]


class _Model:
    """The contexts of a table's bits and the mixers that learn from them, one for each depth."""

    def __init__(self, table: Codes, order: Order, bits: int) -> None:
        n_columns, n_points = len(order.columns), table.shape[1]
        self._table = table
        self._bits = bits
        self._leading = min(bits, _LEADING)
        self._drop = max(self._leading - 3, 0)
        self._coarse = 1 << (self._leading - self._drop)
        self._ruled = ruled_parents(order)
        self._learned = None if order.stride else _Learned(table, bits, passes(n_points, n_columns))
        # How often each column had each code; of few points the trailing bits are not worth their memory.
        self._counted = bits if 1 << bits <= 16 * n_points else self._leading
        self._counts = np.zeros((n_columns + 1, 1 << self._counted), dtype=np.int32)
        self._mixers = []
        for depth in range(bits):
            kinds: list[int] = [_SHARES * _COUNTS]
            chances: list[NDArray[np.float64] | None] = [np.repeat(_share_chances(), _COUNTS)]
            if depth < self._leading:
                shares, windows = _share_chances(), _window_chances()
                kinds = [256, _WINDOWS * 4, _SHARES * 16, _WINDOWS * 16, _SHARES * 16]
                chances = [None, np.repeat(windows, 4), np.repeat(shares, 16)]
                chances += [np.repeat(windows, 16), np.repeat(shares, 16), None]
                kinds += [self._coarse**2 * 4] if bits > 1 else []
                kinds = [kind << depth for kind in kinds]
            self._mixers.append(Mixer(kinds, _SETS, chances))

    def batch(self, parts: list[Part], n_codes: int, code: Coder) -> None:
        """Codes of a batch, into the table."""
        around = self._around(parts, n_codes)
        slots = np.repeat(
            np.arange(sum(part.shape[0] for part in parts)), np.concatenate([np.full(*part.shape) for part in parts])
        )
        counts, own = self._counts_of(parts)
        weights = _joined(parts)
        prefix = np.zeros(n_codes, dtype=np.uint8)
        for depth in range(self._bits):
            places = (slots << depth) + prefix if depth else slots
            if depth < self._leading:
                contexts = self._leading_contexts(depth, prefix, around, _shares(counts, depth).take(places))
            elif depth < self._counted:
                contexts = _counted(own, depth).take(places)[None]
            else:
                contexts = np.zeros((1, n_codes), dtype=np.uint16)
            mixer = self._mixers[depth]
            found = code(mixer.predict(contexts, weights), parts, depth)
            mixer.update(found)
            prefix <<= 1
            prefix |= found
        self._keep(parts, slots, prefix)

    def _keep(self, parts: list[Part], slots: NDArray[np.intp], codes: Codes) -> None:
        for part in parts:
            self._table[part.start : part.stop, part.rows] = codes[part.bits].reshape(part.shape)
        keys = (slots << self._counted) + (codes >> (self._bits - self._counted))
        columns = np.concatenate([np.arange(part.start, part.stop) for part in parts])
        found = np.bincount(keys, minlength=len(columns) << self._counted)
        # Parts have different columns, each of them once.
        self._counts[columns] += found.reshape(len(columns), -1).astype(np.int32)

    def _around(self, parts: list[Part], n_codes: int) -> tuple[Codes, Codes]:
        """Leading bits of codes: of neighbours by rule, then of learned ones; and of the column at known points."""
        others = np.empty((N_RULED + N_LEARNED, n_codes), dtype=np.uint8)
        window = np.empty((_WINDOW, n_codes), dtype=np.uint8)
        table = self._table
        drop = self._bits - self._leading
        for part in parts:
            n_columns, n_rows = part.shape
            columns = slice(part.start, part.stop)
            rows = table[:, part.rows]
            parents = self._ruled[:, columns]
            if self._learned:
                parents = np.concatenate([parents, self._learned.parents(part)])
            others[:, part.bits] = rows[parents].reshape(len(others), -1)
            near = window[:, part.bits].reshape(_WINDOW, n_columns, n_rows)
            if part.index == 0:
                near[:] = _NOWHERE
                continue
            known = table[columns, part.known]
            padded = np.full((n_columns, n_rows + _WINDOW), _NOWHERE, dtype=np.uint8)
            padded[:, 3 : 3 + known.shape[1]] = known >> drop if drop else known
            for place in range(_WINDOW):
                near[place] = padded[:, place : place + n_rows]
        if drop:
            others >>= drop
        return others, window

    def _counts_of(self, parts: list[Part]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """How often each column of a batch had each leading code, or its two nearest, and how often each code."""
        own = np.concatenate([self._counts[part.start : part.stop] for part in parts])
        counts = own.reshape(len(own), 1 << self._leading, -1).sum(axis=2, dtype=np.int32)
        if parts[0].index == 0:
            near = self._counts[self._ruled[:2, parts[0].start : parts[0].stop]].sum(axis=0, dtype=np.int32)
            counts[: len(near)] = near.reshape(len(near), 1 << self._leading, -1).sum(axis=2)
        return counts, own

    def _leading_contexts(
        self, depth: int, prefix: Codes, around: tuple[Codes, Codes], share: NDArray[np.uint16]
    ) -> NDArray[np.uint16]:
        others, window = around
        height = np.uint8(self._leading - depth - 1)
        odd = 2 * prefix + np.uint8(1)
        above = (others >> height if height else others) >= odd
        eight, taughts = _as_number(above[:N_RULED]), _as_number(above[N_RULED:])
        four, near, two = eight >> 4, eight >> 6, taughts >> 2
        # Of the known codes, those with the same leading bits tell how the next one falls.
        tails = window >> height if height else window
        among = np.add.reduce((tails | np.uint8(1)) == odd, axis=0, dtype=np.uint8)
        ones = np.add.reduce(tails == odd, axis=0, dtype=np.uint8)
        wide = prefix.astype(np.uint16)
        windows = wide * _WINDOWS + (among * (among + 1) // 2 + ones)
        shares = wide * _SHARES + share
        contexts = np.empty((6 if self._bits > 1 else 5, len(prefix)), dtype=np.uint16)
        contexts[0] = wide * 256 + eight
        contexts[1] = windows * 4 + near
        contexts[2] = shares * 16 + (near * 4 + two)
        contexts[3] = windows * 16 + taughts
        contexts[4] = shares * 16 + four
        if self._bits > 1:
            pair = (others[0] >> self._drop).astype(np.uint16) * self._coarse + (others[1] >> self._drop)
            contexts[5] = (wide * self._coarse**2 + pair) * 4 + two
        return contexts


def _joined(parts: list[Part]) -> list[tuple[int, slice]]:
    """Sets of weights: one for each of the first passes and one for all others, whose codes follow each other."""
    sets = [(part.index, part.bits) for part in parts if part.index < _SETS - 1]
    rest = [part.bits for part in parts if part.index >= _SETS - 1]
    return [*sets, (_SETS - 1, slice(rest[0].start, rest[-1].stop))] if rest else sets


def _splits(counts: NDArray[np.int32], depth: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How often each node at a depth was seen, and how often a one followed, all in one row."""
    halves = counts.reshape(len(counts) << depth, 2, -1).sum(axis=2, dtype=np.int64)
    return halves[:, 0] + halves[:, 1], halves[:, 1]


def _shares(counts: NDArray[np.int32], depth: int) -> NDArray[np.uint16]:
    """Each column's and node's share of ones, in steps of its logit."""
    seen, ones = _splits(counts, depth)
    logits = logit_table()[((2 * ones + 1) << 12) // (2 * seen + 2)]
    return (1 + (logits + 2047) * (_SHARES - 1) // 4095).astype(np.uint16)


def _counted(counts: NDArray[np.int32], depth: int) -> NDArray[np.uint16]:
    """The same, with how often the node was seen."""
    seen, _ = _splits(counts, depth)
    times = np.minimum(np.frexp(seen.astype(np.float64))[1], _COUNTS - 1).astype(np.uint16)
    return _shares(counts, depth) * _COUNTS + times


@functools.cache
def _share_chances() -> NDArray[np.float64]:
    """The chance of a one in the middle of each step of a share; none is known for the first."""
    steps = np.arange(_SHARES - 1)
    chances = probability_table()[(2 * steps + 1) * 4095 // (2 * (_SHARES - 1))] / 65536
    return np.concatenate([[0.5], chances])


@functools.cache
def _window_chances() -> NDArray[np.float64]:
    """The chance of a one by how many of the known points about it have one, for each number of these."""
    pairs = [(ones, among) for among in range(_WINDOW + 1) for ones in range(among + 1)]
    return np.array([(2 * ones + 1) / (2 * among + 2) for ones, among in pairs])


def _as_number(digits: NDArray[np.bool_]) -> Codes:
    """Binary digits, the leading one first, of shape (k, n), to n numbers; k is at most 8."""
    number = digits[0].view(np.uint8).copy()
    for digit in digits[1:]:
        number <<= 1
        number |= digit
    return number
