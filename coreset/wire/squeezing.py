"""Codes of a few bits, squeezed by how often each came among those before it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..quantizers.limits import MOST_POINTS, is_worth_its_time
from ..quantizers.rans import BitDecoder, BitEncoder

_MOST_BITS = 10
_FIRST = 4  # codes that are written before any are counted

Codes = NDArray[np.int64]


def squeezed(codes: Codes, bits: int) -> bytes | None:
    """Bytes of codes, or None where a decoder would not take them: they are too many, too wide, or all alike.

    Parameters
    ----------
    codes : ndarray of shape (n,)
        Each below ``2 ** bits``.
    bits : int

    Examples
    --------
    >>> codes = np.zeros(800, dtype=np.int64)
    >>> codes[::100] = 5
    >>> data = squeezed(codes, 3)
    >>> len(data), bool((unsqueezed(data, 800, 3, "the codes") == codes).all())    # 300 bytes as they are
    (14, True)
    """
    if bits > _MOST_BITS or len(codes) > MOST_POINTS:
        return None
    encoder, counts = BitEncoder(), _Counts(bits)
    for batch in _batches(len(codes)):
        part = codes[batch]
        for depth in range(bits):
            nodes = (part >> (bits - depth)) + (1 << depth)
            encoder.put((part >> (bits - 1 - depth)) & 1, counts.chances(nodes))
        counts.add(part)
    data = encoder.finish()
    return data if is_worth_its_time(0, bits * len(codes), len(data)) else None


def unsqueezed(data: bytes, n_codes: int, bits: int, what: str) -> Codes:
    """Inverse of `squeezed` for bytes that may be hostile.

    Raises
    ------
    ValueError
        When the bytes are corrupt, or too few for so many codes.
    """
    if bits > _MOST_BITS or n_codes > MOST_POINTS or not is_worth_its_time(0, bits * n_codes, len(data)):
        raise ValueError(f"message is corrupt: {n_codes} of {what} of {bits} bits are not in {len(data)} bytes")
    try:
        return _decoded(BitDecoder(data, bits * n_codes), n_codes, bits)
    except ValueError:  # the decoder's words are about points
        raise ValueError(f"message is corrupt: the codes of {what} do not end where they should") from None


def _decoded(decoder: BitDecoder, n_codes: int, bits: int) -> Codes:
    codes, counts = np.zeros(n_codes, dtype=np.int64), _Counts(bits)
    for batch in _batches(n_codes):
        part = np.zeros(batch.stop - batch.start, dtype=np.int64)
        for depth in range(bits):
            part = 2 * part + decoder.get(counts.chances(part + (1 << depth)))
        counts.add(part)
        codes[batch] = part
    decoder.close()
    return codes


def _batches(n_codes: int) -> Iterator[slice]:
    """Codes that are written with the same counts: a few, then half as many as came before."""
    start = 0
    while start < n_codes:
        stop = min(n_codes, start + max(_FIRST, start // 2))
        yield slice(start, stop)
        start = stop


class _Counts:
    """How often each leading part of a code was seen, and how often a one followed it.

    A node of the tree of codes is its leading bits after a one, so that the root is 1.
    """

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._seen = np.zeros(2 << bits, dtype=np.int64)

    def chances(self, nodes: Codes) -> Codes:
        """Chances of a one in 4096ths: (ones + 0.4) / (seen + 0.8)."""
        ones = self._seen[2 * nodes + 1]
        return np.clip((5 * ones + 2) * 4096 // (5 * self._seen[nodes] + 4), 1, 4095)

    def add(self, codes: Codes) -> None:
        """Count codes."""
        for depth in range(self._bits + 1):
            nodes = (codes >> (self._bits - depth)) + (1 << depth)
            self._seen += np.bincount(nodes, minlength=len(self._seen))
