"""Probabilities of bits from what was seen in several contexts, mixed: the model under the context quantizer.

All of it is integer arithmetic, so that a decoder on another machine comes to the same probabilities.
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
_MEMORY = 2  # each batch takes a quarter of the curvature that earlier ones left
_CALM = 3  # a step is this part of Newton's along one weight, since the predictions are correlated


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
        Sets of weights, of which each batch uses one.

    References
    ----------
    Mahoney, "Adaptive weighing of context models for lossless data compression", Florida Tech. CS-2005-16; counts are
    estimated as in Krichevsky and Trofimov, "The performance of universal encoding", IEEE Trans. Inf. Theory, 1981.
    Weights move by steps of Newton's method along each, for whole batches, which is ours.

    Examples
    --------
    >>> import numpy as np
    >>> mixer = Mixer([2], 1)
    >>> contexts = np.array([[0, 0, 1, 1]])
    >>> mixer.predict(contexts, 0).tolist()
    [2048, 2048, 2048, 2048]
    >>> mixer.update(np.array([1, 1, 0, 0]))
    >>> ones = mixer.predict(contexts, 0)
    >>> bool(ones[0] > 3000), bool(ones[2] < 1000)
    (True, True)
    """

    def __init__(self, sizes: list[int], n_sets: int) -> None:
        self._offsets = np.cumsum([0, *sizes[:-1]])[:, None]
        total = sum(sizes)
        self._ones = np.zeros(total, dtype=np.int64)
        self._seen = np.zeros(total, dtype=np.int64)
        self._logits = np.zeros(total, dtype=np.int64)
        n_kinds = len(sizes)
        self._weights = np.full((n_sets, n_kinds), _UNIT if n_kinds == 1 else _UNIT * 5 // 4 // n_kinds, dtype=np.int64)
        self._curvature = np.full((n_sets, n_kinds), 1 << 36, dtype=np.int64)

    def predict(self, contexts: Ints, weight_set: int) -> Ints:
        """Chances of a one, in 4096ths, for a batch of bits.

        Parameters
        ----------
        contexts : ndarray of shape (n_kinds, n), int64
            Each in 0 to its kind's size less one.
        weight_set : int

        Returns
        -------
        ndarray of shape (n,), int64
            1 to 4095.
        """
        self._set = weight_set
        self._contexts = contexts + self._offsets
        self._inputs = self._logits[self._contexts]
        mixed = self._weights[weight_set] @ self._inputs >> 16
        np.clip(mixed, -_REACH, _REACH, out=mixed)
        self._share = probability_table()[mixed + _REACH]
        return np.clip(self._share >> 4, 1, 4095)

    def update(self, bits: NDArray[np.integer]) -> None:
        """Learn from the bits that were predicted last."""
        self._move_weights(bits)
        flat = self._contexts.ravel()
        ones = self._contexts[:, bits.astype(bool)].ravel()
        if len(flat) < len(self._seen):  # of few bits, only the contexts that occurred
            np.add.at(self._seen, flat, 1)
            np.add.at(self._ones, ones, 1)
            changed: slice | Ints = flat
        else:
            self._seen += np.bincount(flat, minlength=len(self._seen))
            self._ones += np.bincount(ones, minlength=len(self._seen))
            changed = slice(None)
        seen, counted = self._seen[changed], self._ones[changed]
        over = seen > _LIMIT
        if over.any():
            seen, counted = seen >> over, counted >> over
            self._seen[changed], self._ones[changed] = seen, counted
        # (ones + 0.4) / (seen + 0.8): a little surer of a context with one outcome than adding halves.
        self._logits[changed] = logit_table()[((5 * counted + 2) << 12) // (5 * seen + 4)]

    def _move_weights(self, bits: NDArray[np.integer]) -> None:
        errors = (bits.astype(np.int64) << 16) - self._share
        spread = self._share * (65536 - self._share) >> 16
        slopes = self._inputs @ errors
        curvatures = np.square(self._inputs) @ spread
        held = self._curvature[self._set]
        held += curvatures - (held >> _MEMORY)
        # Python's integers hold what a product of these would overflow; logits of 1/256 leave a factor of 2 ** 24.
        for kind, (slope, curvature) in enumerate(zip(slopes.tolist(), held.tolist(), strict=True)):
            moved = int(self._weights[self._set, kind]) + (slope << 24) // ((curvature + 1) * _CALM)
            self._weights[self._set, kind] = max(-4 * _UNIT, min(4 * _UNIT, moved))
