"""Columns of two codes as choices: of columns that stand for the values of one category, at most one is high."""

from __future__ import annotations

import dataclasses
from typing import Self

import numpy as np
from numpy.typing import NDArray

from .base import Shape
from .headers import cut
from .limits import check_time, is_worth_its_time
from .masks import packed_masks, unpacked_mask
from .stream import decode_tables, encode_tables

Codes = NDArray[np.uint8]
_MOST_COLUMNS = 255  # of a choice, so that its codes and that for none of them fit a byte
_WIDTHS = (1, 2, 4, 8)  # bits of a choice's code, so that choices of few columns are not written like those of many


@dataclasses.dataclass(frozen=True)
class Choices:
    """Columns of the same two codes, in runs of which at most one column at a point has the higher one.

    A run is written as one column: the number of the column that has the higher code, after a 0 for none of them where
    that occurs.

    Parameters
    ----------
    low, high : int
        The two codes.
    chosen : ndarray of bool of shape (d,)
        Columns that are written so.
    starts : ndarray of bool, one for each of these
        Those with which a run begins.
    always : ndarray of bool, one for each run
        Whether one of its columns has the higher code at every point.

    Examples
    --------
    >>> import numpy as np
    >>> codes = np.array([[3, 0, 0], [0, 3, 3], [1, 2, 3], [0, 0, 3]], dtype=np.uint8)
    >>> choices = Choices.find(codes, np.ones(4, dtype=bool))
    >>> choices.chosen.tolist(), choices.starts.tolist(), choices.always.tolist()
    ([True, True, False, True], [True, False, True], [True, False])
    >>> [(bits, table.tolist()) for bits, table in choices.tables(codes)]
    [(1, [[0, 1, 1], [0, 0, 1]])]
    """

    low: int
    high: int
    chosen: NDArray[np.bool_]
    starts: NDArray[np.bool_]
    always: NDArray[np.bool_]

    @classmethod
    def find(cls, codes: Codes, among: NDArray[np.bool_]) -> Self | None:
        """Runs as long as they can be, from the first column on; None where fewer than two columns have like codes.

        Parameters
        ----------
        codes : ndarray of shape (d, n)
        among : ndarray of bool of shape (d,)
            Columns that may be chosen.
        """
        low, high = codes.min(axis=1), codes.max(axis=1)
        binary = among & (low < high) & ((codes == low[:, None]) | (codes == high[:, None])).all(axis=1)
        if np.count_nonzero(binary) < 2:
            return None
        pairs = low.astype(np.intp) << 8 | high
        most = int(np.bincount(pairs[binary]).argmax())
        chosen = binary & (pairs == most)
        if np.count_nonzero(chosen) < 2:
            return None
        starts, always = _runs(codes[chosen] == most & 255)
        return cls(most >> 8, most & 255, chosen, starts, always)

    @property
    def forms(self) -> list[tuple[int, int]]:
        """Numbers of bits, and how many runs are written with so many."""
        return [(bits, int(of.sum())) for bits, of in self._by_width()]

    def tables(self, codes: Codes) -> list[tuple[int, Codes]]:
        """Numbers of bits, and the runs that are written with so many, of shape (k, n).

        Parameters
        ----------
        codes : ndarray of shape (d, n)
        """
        numbers = (codes[self.chosen] == self.high) * self._numbers[:, None]
        merged = np.add.reduceat(numbers, np.flatnonzero(self.starts), axis=0, dtype=np.uint8)
        return [(bits, merged[of]) for bits, of in self._by_width()]

    def codes_of(self, tables: list[Codes], n_points: int) -> Codes:
        """Inverse of `tables`: codes of the chosen columns.

        Raises
        ------
        ValueError
            When a run has a code that stands for none of its columns.
        """
        merged = np.zeros((len(self.always), n_points), dtype=np.uint8)
        for (_, of), table in zip(self._by_width(), tables, strict=True):
            merged[of] = table
        last = np.maximum.reduceat(self._numbers, np.flatnonzero(self.starts))
        if (merged > last[:, None]).any():
            raise ValueError("the point block's codes are corrupt: a choice is none of its columns")
        found = merged[np.cumsum(self.starts) - 1] == self._numbers[:, None]
        return np.where(found, np.uint8(self.high), np.uint8(self.low))

    def _by_width(self) -> list[tuple[int, NDArray[np.bool_]]]:
        """Numbers of bits, and the runs whose codes take so many."""
        n_codes = np.diff(np.flatnonzero(self.starts), append=len(self.starts)) + ~self.always
        widths = np.array(_WIDTHS)[np.searchsorted(1 << np.array(_WIDTHS), n_codes)]
        return [(bits, widths == bits) for bits in _WIDTHS if (widths == bits).any()]

    @property
    def _numbers(self) -> Codes:
        """The code of each chosen column in its run."""
        runs = np.cumsum(self.starts) - 1
        places = np.arange(len(self.starts)) - np.flatnonzero(self.starts)[runs]
        return (places + ~self.always[runs]).astype(np.uint8)

    @property
    def surely_pay(self) -> bool:
        """Whether most columns are one-hot, so that a large table need not be written without choices to compare.

        Sparse columns, of which mostly none is high, make runs as well, but often take fewer bytes each by itself.
        """
        lengths = np.diff(np.flatnonzero(self.starts), append=len(self.starts))
        return bool(2 * lengths[self.always].sum() >= len(self.starts))

    def encode(self, codes: Codes, bits: int) -> bytes | None:
        """Choices and the other columns, or None where few bytes would stand for more codes than a decoder takes.

        Parameters
        ----------
        codes : ndarray of shape (d, n)
        bits : int
            Of the codes.
        """
        tables = [*self.tables(codes), (bits, codes[~self.chosen])]
        stream = encode_tables(tables)
        n_columns, bits_a_point = _totals([(width, len(table)) for width, table in tables])
        if not is_worth_its_time(n_columns, bits_a_point * codes.shape[1], len(stream)):
            return None
        return self.to_bytes() + stream

    def to_bytes(self) -> bytes:
        """Both codes and three masks."""
        return bytes([self.low, self.high]) + packed_masks([self.chosen, self.starts, self.always])

    @classmethod
    def from_bytes(cls, data: bytes, n_columns: int, bits: int) -> tuple[Self, bytes]:
        """Inverse of `to_bytes` for bytes that may be hostile, with the bytes that follow.

        Raises
        ------
        ValueError
            When the bytes are not what `to_bytes` writes for so many columns, with codes of so many bits.
        """
        (low, high), data = cut(data, 2)
        if not low < high < 1 << bits:
            raise ValueError(f"the point block's header has choices between codes {low} and {high} of {bits} bits")
        chosen, data = unpacked_mask(data, n_columns)
        starts, data = unpacked_mask(data, int(chosen.sum()))
        if not len(starts) or not starts[0]:
            raise ValueError("the point block's header has choices of no columns")
        always, data = unpacked_mask(data, int(starts.sum()))
        lengths = np.diff(np.flatnonzero(starts), append=len(starts))
        if lengths.max() > _MOST_COLUMNS or (lengths + ~always < 2).any():
            raise ValueError(f"the point block's header has choices of {lengths.min()} to {lengths.max()} columns")
        return cls(low, high, chosen, starts, always), data


def decode_choices(data: bytes, shape: Shape, bits: int) -> tuple[Codes, NDArray[np.bool_]]:
    """Inverse of `Choices.encode` for bytes that may be hostile.

    Returns
    -------
    codes : ndarray of shape (d, n)
    chosen : ndarray of bool of shape (d,)

    Raises
    ------
    ValueError
        When the bytes are corrupt, or too few for what they say.
    """
    choices, data = Choices.from_bytes(data, shape[0], bits)
    forms = [*choices.forms, (bits, shape[0] - len(choices.starts))]
    check_time(shape[1], *_totals(forms), len(data))
    *tables, others = decode_tables(data, forms, shape[1])
    codes = np.empty(shape, dtype=np.uint8)
    codes[choices.chosen] = choices.codes_of(tables, shape[1])
    codes[~choices.chosen] = others
    return codes, choices.chosen


def _totals(forms: list[tuple[int, int]]) -> tuple[int, int]:
    """Columns, and bits a point."""
    return sum(n_columns for _, n_columns in forms), sum(bits * n_columns for bits, n_columns in forms)


def _runs(high: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Where runs begin, and whether each has a high code at every point, of columns of shape (k, n)."""
    starts = np.zeros(len(high), dtype=bool)
    always = []
    start, taken = 0, np.zeros(high.shape[1], dtype=bool)
    for place, column in enumerate(high):
        if place - start == _MOST_COLUMNS or (taken & column).any():
            always.append(bool(taken.all()))
            start, taken = place, column.copy()
        else:
            taken |= column
        starts[start] = True
    return starts, np.array([*always, bool(taken.all())])
