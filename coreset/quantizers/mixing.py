"""Probabilities of bits from what was seen in several contexts, mixed: the model under the context quantizer.

All of it is arithmetic of integers, of doubles that hold integers below 2 ** 53, so that no sum depends on its order,
or in steps that IEEE 754 rounds alike everywhere: a decoder on another machine finds the same probabilities.
"""

from __future__ import annotations

import decimal
import functools

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
_REACH = 2047  # logits run from -2047 to 2047, in units of 1/256
_LIMIT = 1023  # counts beyond are halved, so that contexts follow what changes
_UNIT = 1 << 16  # of weights
_Floats = NDArray[np.float64]
_BELIEF = 6.0  # how often a context counts as seen where its chances are believed in
_MEMORY = 4096  # bits, about, whose curvature is kept
_RIDGE = float(1 << 36)  # curvature that weights begin with, in units of 2 ** -30
_MOST_WEIGHT = 4.0 * _UNIT


@functools.cache
def logit_table() -> Ints:
    """The logit of ``p / 4096`` for p of 0 to 4095, in units of 1/256; 0 counts as one half."""
    with decimal.localcontext() as context:  # decimal logarithms are rounded alike on every machine
        context.prec = 12
        table = np.zeros(4096, dtype=np.int64)
        for p in range(2049, 4096):
            logit = (decimal.Decimal(p) / decimal.Decimal(4096 - p)).ln() * 256
            table[p] = min(_REACH, int(logit.to_integral_value()))
            table[4096 - p] = -table[p]
    table[0] = table[1]
    return table


@functools.cache
def probability_table() -> Ints:
    """The probability of each logit from -2047 to 2047, in 65536ths."""
    with decimal.localcontext() as context:
        context.prec = 12
        table = np.zeros(2 * _REACH + 1, dtype=np.int64)
        for logit in range(_REACH + 1):
            share = 65536 / (1 + (decimal.Decimal(-logit) / 256).exp())
            table[_REACH + logit] = int(share.to_integral_value())
            table[_REACH - logit] = 65536 - table[_REACH + logit]
    return table


class Mixer:
    """Counts of bits in contexts of several kinds, and the weights of these kinds.

    Each kind of context predicts a bit by the share of ones that followed it. The mean of their logits, with weights
    learned online, is the prediction. Bits come in batches, which are predicted with the same counts and weights.

    Parameters
    ----------
    sizes : list of int
        Number of contexts of each kind.
    n_sets : int
        Sets of weights, of which each part of a batch uses one.
    chances : list of (ndarray or None), optional
        For each kind what its contexts are believed to be followed by at first: chances of a one, of which a kind has
        as many as repeat over its contexts.

    References
    ----------
    Mahoney, "Adaptive weighing of context models for lossless data compression", Florida Tech. CS-2005-16; counts are
    estimated as in Krichevsky and Trofimov, "The performance of universal encoding", IEEE Trans. Inf. Theory, 1981.
    Weights move by a step of Newton's method for each batch, which is ours.

    Examples
    --------
    >>> import numpy as np
    >>> mixer = Mixer([2], 1)
    >>> contexts = np.array([[0, 0, 1, 1]])
    >>> mixer.predict(contexts, [(0, slice(0, 4))]).tolist()
    [2048, 2048, 2048, 2048]
    >>> mixer.update(np.array([1, 1, 0, 0]))
    >>> ones = mixer.predict(contexts, [(0, slice(0, 4))])
    >>> bool(ones[0] > 3000), bool(ones[2] < 1000)
    (True, True)
    """

    def __init__(self, sizes: list[int], n_sets: int, chances: list[_Floats | None] | None = None) -> None:
        self._offsets = np.cumsum([0, *sizes[:-1]])[:, None]
        total = sum(sizes)
        self._ones = np.zeros(total)
        self._seen = np.zeros(total)
        self._logits = np.zeros(total)
        for start, size, first in zip(self._offsets[:, 0].tolist(), sizes, chances or [], strict=False):
            if first is not None:
                self._seen[start : start + size] = _BELIEF
                self._ones[start : start + size] = _BELIEF * np.resize(first, size)
        if chances:
            self._learn(slice(None))
        n_kinds = len(sizes)
        self._weights = np.full((n_sets, n_kinds), float(_UNIT if n_kinds == 1 else _UNIT * 5 // 4 // n_kinds))
        self._curvature = np.zeros((n_sets, n_kinds, n_kinds))
        self._ridge = np.eye(n_kinds) * _RIDGE
        self._slopes = np.zeros((n_sets, n_kinds))

    def predict(self, contexts: NDArray[np.integer], parts: list[tuple[int, slice]]) -> NDArray[np.integer]:
        """Chances of a one, in 4096ths, for a batch of bits.

        Parameters
        ----------
        contexts : ndarray of shape (n_kinds, n), int
            Each in 0 to its kind's size less one.
        parts : list of (int, slice)
            Sets of weights and the bits that use them, all in all each bit once; at most 65536 bits a part.

        Returns
        -------
        ndarray of shape (n,), int
            1 to 4095.
        """
        self._parts = parts
        self._contexts = np.add(contexts, self._offsets, dtype=np.intp)
        self._inputs = self._logits.take(self._contexts)
        mixed = np.empty(self._inputs.shape[1])
        for index, part in parts:
            np.matmul(self._weights[index], self._inputs[:, part], out=mixed[part])
        mixed *= 1 / 65536
        np.rint(mixed, out=mixed)
        np.minimum(mixed, _REACH, out=mixed)
        np.maximum(mixed, -_REACH, out=mixed)
        places = mixed.astype(np.int16)
        places += _REACH
        self._share = probability_table().take(places)
        ones = (self._share >> 4).astype(np.uint16)
        return np.minimum(np.maximum(ones, 1), 4095)

    def update(self, bits: NDArray[np.integer]) -> None:
        """Learn from the bits that were predicted last."""
        self._move_weights(bits)
        keys = self._contexts
        keys *= 2
        keys += bits
        flat = keys.ravel()
        if 4 * len(flat) < len(self._seen):  # of few bits, only the contexts that occurred
            places = flat >> 1
            np.add.at(self._seen, places, 1)
            np.add.at(self._ones, places, flat & 1)
            self._learn(places)
        else:
            found = np.bincount(flat, minlength=2 * len(self._seen)).reshape(-1, 2)
            self._seen += found[:, 0]
            self._seen += found[:, 1]
            self._ones += found[:, 1]
            self._learn(slice(None))

    def _learn(self, changed: slice | NDArray[np.intp]) -> None:
        seen, ones = self._seen[changed], self._ones[changed]
        if (seen > _LIMIT).any():
            over = seen > _LIMIT
            seen, ones = (np.where(over, np.floor(part / 2), part) for part in (seen, ones))
            self._seen[changed], self._ones[changed] = seen, ones
        # (ones + 0.4) / (seen + 0.8): a little surer of a context with one outcome than adding halves.
        shares = ((ones * 5 + 2) * 4096 / (seen * 5 + 4)).astype(np.int64)
        self._logits[changed] = _logits().take(shares)

    def _move_weights(self, bits: NDArray[np.integer]) -> None:
        errors = (np.multiply(bits, 65536, dtype=np.int64) - self._share).astype(np.float64)
        spread = (self._share * (65536 - self._share) >> 18).astype(np.float64)
        inputs = self._inputs
        weighed = inputs * spread
        sets = [index for index, _ in self._parts]
        slopes, curvature = self._slopes[: len(sets)], self._curvature[sets]
        for place, (_, part) in enumerate(self._parts):
            curvature[place] *= _MEMORY / (_MEMORY + part.stop - part.start)
            curvature[place] += weighed[:, part] @ inputs[:, part].T
            np.matmul(inputs[:, part], errors[part], out=slopes[place])
        self._curvature[sets] = curvature
        steps = _solved(curvature + self._ridge, slopes)
        moved = self._weights[sets] + np.rint(steps * (1 << 22))
        self._weights[sets] = np.minimum(np.maximum(moved, -_MOST_WEIGHT), _MOST_WEIGHT)


def _solved(matrices: _Floats, sides: _Floats) -> _Floats:
    """Solutions of positive definite systems, by elimination whose steps are rounded alike on every machine."""
    size = matrices.shape[1]
    system = np.concatenate([matrices, sides[:, :, None]], axis=2)
    for row in range(size):
        pivot = system[:, row, row:] / system[:, row, row, None]
        system[:, row, row:] = pivot
        system[:, :, row:] -= np.where(np.arange(size) == row, 0.0, system[:, :, row])[:, :, None] * pivot[:, None, :]
    return system[:, :, size]


@functools.cache
def _logits() -> _Floats:
    return logit_table().astype(np.float64)
