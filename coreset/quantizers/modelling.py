"""Codes of a table as bits with probabilities: which codes that are already known tell of the next ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .mixing import Ints, Mixer, logit_table

Codes = NDArray[np.uint8]
Coder = Callable[[Ints, int, slice, int], NDArray[np.uint8]]
_N_LEARNED = 4
_MOST_LEARNED = 1024  # columns among which parents are looked for: the search squares them
_LEAST_IMAGE = 16  # columns
_LEAST_LIKENESS = 0.15  # correlation with the pixel above
_STRIDE_SAMPLE = 1 << 19  # codes
_NARROW = 128  # columns
_WINDOWS = 45  # ones among at most 8 known rows
_SHARES = 21  # a logit in steps, or nothing


@dataclasses.dataclass(frozen=True)
class Pass:
    """Rows that are coded together, and what is known of their columns by then."""

    rows: slice
    known: slice | None
    low: Ints  # the window of known rows about each row
    high: Ints
    index: int


def passes(n_points: int, n_varying: int) -> list[Pass]:
    """Every k-th row first, then those halfway between, and so on: a row is coded when rows on both sides are known."""
    stride = 16 if n_varying <= _NARROW else 4
    found = [Pass(slice(0, n_points, stride), None, np.zeros(0, np.int64), np.zeros(0, np.int64), 0)]
    while stride > 1:
        half = stride // 2
        rows, known = slice(half, n_points, stride), slice(0, n_points, stride)
        n_rows, n_known = (len(range(*s.indices(n_points))) for s in (rows, known))
        if n_rows:
            place = np.arange(n_rows)
            low, high = np.maximum(place - 3, 0), np.minimum(place + 5, n_known)
            found.append(Pass(rows, known, low, high, len(found)))
        stride = half
    return found


def ruled_parents(column: int, stride: int) -> list[int]:
    """Columns before this one that a rule makes its neighbours; -1 where there is none.

    Parameters
    ----------
    column : int
    stride : int
        Columns a row of an image, or 0 for tables.
    """
    offsets = (1, 2, 3, 4, 5, 6, 7, 8)
    if stride:
        offsets = (1, stride, stride + 1, stride - 1, 2, 2 * stride, stride + 2, stride - 2)
    return [column - offset if offset <= column and offset > 0 else -1 for offset in offsets]


def walk(codes: Codes, varying: NDArray[np.intp], bits: int, stride: int, code: Coder) -> None:
    """Fill in `codes` with the bits that a coder gives for the probabilities that it is told.

    Parameters
    ----------
    codes : ndarray of shape (d + 1, n), uint8
        Zeros. The last column stands for those that are not there.
    varying : ndarray of int
        The columns to be coded, ascending; the rest stay zero.
    bits : int
        1 to 4 bits a code.
    stride : int
        Columns a row of an image, or 0.
    code : callable
        Takes probabilities of ones in 4096ths, and the column, rows and depth of the bits, and returns the bits.
    """
    model = _Model(bits)
    for part in passes(codes.shape[1], len(varying)):
        known = codes[:, part.known] if part.known is not None else codes[:, :0]
        learned = correlated_columns(known, varying, earlier=True)
        for rank, column in enumerate(varying.tolist()):
            ruled = codes[ruled_parents(column, stride), part.rows]
            taught = codes[learned[rank], part.rows]
            codes[column, part.rows] = model.column(part, codes[column], ruled, taught, code, column)


def correlated_columns(codes: Codes, columns: NDArray[np.intp], *, earlier: bool) -> NDArray[np.intp]:
    """Four others that correlate most with each column, most first.

    Parameters
    ----------
    codes : ndarray of shape (d, n)
    columns : ndarray of int
        Those that are looked at.
    earlier : bool
        Whether only columns before each are found.

    Returns
    -------
    ndarray of shape (len(columns), 4), int
        -1 where there is none, or where the columns are so many that a search would take long.
    """
    n_columns = len(columns)
    found = np.full((n_columns, _N_LEARNED), -1, dtype=np.intp)
    if not 1 < n_columns <= _MOST_LEARNED:
        return found
    known = codes[columns].astype(np.float64)
    # Sums of products of small integers are exact in doubles whatever their order, so all machines rank alike.
    sums = known.sum(axis=1)
    products = known.shape[1] * (known @ known.T) - np.outer(sums, sums)
    variances = np.maximum(np.diag(products), 1.0)
    scores = np.square(products) / variances  # the column's own variance is the same for all that vie
    scores = np.tril(scores, -1) if earlier else scores - np.diag(np.diag(scores))
    rows = np.arange(n_columns)
    for place in range(_N_LEARNED):
        best = scores.argmax(axis=1)
        some = scores[rows, best] > 0
        found[some, place] = columns[best[some]]
        scores[rows, best] = 0
    return found


class _Model:
    """The contexts of a table's bits and the mixer that learns from them."""

    def __init__(self, bits: int) -> None:
        nodes = 1 << bits
        self._bits = bits
        self._drop = max(bits - 3, 0)
        self._coarse = nodes >> self._drop
        kinds = [256, _WINDOWS * 4, _SHARES * 16, _WINDOWS * 16, _SHARES * 16]
        if bits > 1:
            kinds.append(self._coarse**2 * 4)
        self._mixer = Mixer([(nodes - 1) * kind for kind in kinds], bits * 5)

    def column(self, part: Pass, target: Codes, ruled: Codes, taught: Codes, code: Coder, column: int) -> Codes:
        """Codes of one column in the rows of one pass."""
        n_rows = ruled.shape[1]
        if part.known is None:
            counts = None
            totals = self._totals(ruled[:2].ravel())
        else:
            counts, totals = self._counts(target[part.known], part)
        prefix = np.zeros(n_rows, dtype=np.int64)
        for depth in range(self._bits):
            contexts = self._contexts(depth, prefix, ruled, taught, counts, totals)
            ones = self._mixer.predict(contexts, depth * 5 + part.index)
            found = code(ones, column, part.rows, depth)
            self._mixer.update(found)
            prefix = prefix * 2 + found
        return prefix.astype(np.uint8)

    def _totals(self, known: Codes) -> Ints:
        """How many known codes reach each level, from 0 to one beyond the last."""
        levels = np.bincount(known, minlength=1 << self._bits)
        return np.concatenate([levels[::-1].cumsum()[::-1], [0]])

    def _counts(self, known: Codes, part: Pass) -> tuple[Ints, Ints]:
        """How many of the nearest known codes of each row reach each level, and how many of all."""
        reach = known >= np.arange((1 << self._bits) + 1, dtype=np.uint8)[:, None]
        running = np.zeros((len(reach), len(known) + 1), dtype=np.int64)
        np.cumsum(reach, axis=1, out=running[:, 1:])
        return running[:, part.high] - running[:, part.low], running[:, -1]

    def _contexts(
        self, depth: int, prefix: Ints, ruled: Codes, taught: Codes, counts: Ints | None, totals: Ints
    ) -> Ints:
        height = self._bits - depth
        least, split, most = prefix << height, (2 * prefix + 1) << (height - 1), (prefix + 1) << height
        node = prefix + ((1 << depth) - 1)
        if depth == 0:
            above, learned = ruled >= split[0], taught >= split[0]
        else:
            above, learned = ruled >= split, taught >= split
        eight = _as_number(above)
        four, near = eight >> 4, eight >> 6
        taughts = _as_number(learned)
        two = taughts >> 2
        # Of the known codes, those with the same leading bits tell how the next one falls.
        ones, seen = totals[split] - totals[most], totals[least] - totals[most]
        share = 1 + (logit_table()[((2 * ones + 1) << 12) // (2 * seen + 2)] + 2047) * (_SHARES - 1) // 4095
        if counts is None:
            window = np.zeros(len(prefix), dtype=np.int64)
        else:
            rows = np.arange(len(prefix))
            top = counts[most, rows]
            among = counts[least, rows] - top
            window = among * (among + 1) // 2 + counts[split, rows] - top
        kinds = [
            node * 256 + eight,
            (node * _WINDOWS + window) * 4 + near,
            (node * _SHARES + share) * 16 + near * 4 + two,
            (node * _WINDOWS + window) * 16 + taughts,
            (node * _SHARES + share) * 16 + four,
        ]
        if self._bits > 1:
            pair = (ruled[0] >> self._drop).astype(np.int64) * self._coarse + (ruled[1] >> self._drop)
            kinds.append((node * self._coarse**2 + pair) * 4 + two)
        return np.stack(kinds)


def _as_number(digits: NDArray[np.bool_]) -> Ints:
    """Binary digits, the leading one first, of shape (k, n), to n numbers; k is at most 8."""
    shifts = np.arange(len(digits) - 1, -1, -1, dtype=np.uint8)[:, None]
    return np.bitwise_or.reduce(digits.view(np.uint8) << shifts, axis=0).astype(np.int64)


def find_stride(codes: Codes) -> int:
    """Columns a row, if the columns seem to be the pixels of an image; else 0.

    It is the distance, of two or more, at which columns correlate most, beyond the first distance at which they
    correlate least: in an image that is the pixel above.

    Parameters
    ----------
    codes : ndarray of shape (d, n)

    Returns
    -------
    int
        At most 65535.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.random.default_rng(0).integers(0, 2, (6, 1, 100))
    >>> find_stride(np.tile(rows, (1, 5, 1)).transpose(1, 0, 2).reshape(30, 100).astype(np.uint8))
    6
    """
    n_columns = len(codes)
    if n_columns < _LEAST_IMAGE:
        return 0
    sample = codes[:, :: max(1, codes.size // _STRIDE_SAMPLE)].astype(np.float64)
    sample -= sample.mean(axis=1, keepdims=True)
    # The products at every distance at once (Wiener and Khinchin).
    spectrum = np.square(np.abs(np.fft.rfft(sample, 2 * n_columns, axis=0))).sum(axis=1)
    products = np.fft.irfft(spectrum)[: min(n_columns // 2, 65535) + 1]
    if products[0] <= 0:
        return 0
    shares = products / products[0]
    rising = np.flatnonzero(np.diff(shares) > 0)
    if len(rising) == 0 or rising[0] < 1:
        return 0
    start = max(2, int(rising[0]) + 1)
    best = start + int(shares[start:].argmax()) if start < len(shares) else 0
    return best if best and shares[best] > _LEAST_LIKENESS else 0
