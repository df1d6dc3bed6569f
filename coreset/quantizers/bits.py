"""Codes of any width, packed bit by bit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_CHUNK = 1 << 16  # codes unpacked at a time, so that bits held as bytes never outgrow the output


def packed_size(n_codes: int, width: int) -> int:
    """Bytes that `n_codes` codes of `width` bits take."""
    return (n_codes * width + 7) // 8


def pack_bits(codes: NDArray[np.uint64], width: int) -> bytes:
    """Write codes one after the other, each in `width` bits, most significant bit first.

    Parameters
    ----------
    codes : ndarray of shape (n,), uint64
        Each below ``2 ** width``.
    width : int
        0 to 64.

    Returns
    -------
    bytes
        ``packed_size(n, width)`` of them; the last byte is filled up with zeros.
    """
    chunks = []
    for start in range(0, len(codes) if width else 0, _CHUNK):  # a chunk ends on a byte, since 8 divides it
        octets = codes[start : start + _CHUNK].astype(">u8").view(np.uint8).reshape(-1, 8)
        bits = np.unpackbits(octets[:, -((width + 7) // 8) :], axis=1)[:, -width:]
        chunks.append(np.packbits(bits).tobytes())
    return b"".join(chunks)


def unpack_bits(data: bytes, n_codes: int, width: int) -> NDArray[np.uint64]:
    """Inverse of `pack_bits`.

    Raises
    ------
    ValueError
        When `data` has another length than `n_codes` codes take.
    """
    if len(data) != packed_size(n_codes, width):
        raise ValueError(f"{n_codes} codes of {width} bits take {packed_size(n_codes, width)} bytes, found {len(data)}")
    codes = np.zeros(n_codes, dtype=np.uint64)
    if width == 0:
        return codes
    raw = np.frombuffer(data, dtype=np.uint8)
    n_octets = (width + 7) // 8
    for start in range(0, n_codes, _CHUNK):
        length = min(_CHUNK, n_codes - start)
        bits = np.unpackbits(raw[start * width // 8 :], count=length * width).reshape(length, width)
        padded = np.zeros((length, 8 * n_octets), dtype=np.uint8)
        padded[:, -width:] = bits
        octets = np.zeros((length, 8), dtype=np.uint8)
        octets[:, -n_octets:] = np.packbits(padded, axis=1)
        codes[start : start + length] = octets.view(">u8")[:, 0]
    return codes


def ragged_digits(numbers: NDArray[np.uint64], lengths: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """The last binary digits of numbers, one number after the other, as many of each as its length says."""
    shifts = _countdown(lengths)
    return ((np.repeat(numbers, lengths.astype(np.int64)) >> shifts) & np.uint64(1)).astype(np.uint8)


def ragged_numbers(digits: NDArray[np.uint8], lengths: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Inverse of `ragged_digits`; there are as many digits as the lengths sum up to, each at most 64."""
    # Sums of the digits up to each number's end; uint64 wraps, and differences of wrapped sums are still right.
    running = np.concatenate([np.zeros(1, np.uint64), np.cumsum(digits.astype(np.uint64) << _countdown(lengths))])
    places = np.concatenate([np.zeros(1, np.uint64), np.cumsum(lengths)]).astype(np.int64)
    return running[places[1:]] - running[places[:-1]]


def _countdown(lengths: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """For each length its numbers less one down to zero, one after the other."""
    ends = np.repeat(np.cumsum(lengths, dtype=np.uint64), lengths.astype(np.int64))
    return np.asarray(ends - np.uint64(1) - np.arange(len(ends), dtype=np.uint64))
