"""Codes of any width, packed bit by bit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_CHUNK = 1 << 16  # codes taken at a time, so that what is between stays in the cache
_RAGGED_CHUNK = 1 << 12  # numbers of digits that are read at a time


def packed_size(n_codes: int, width: int) -> int:
    """Bytes that `n_codes` codes of `width` bits take."""
    return (n_codes * width + 7) // 8


def pack_bits(codes: NDArray[np.unsignedinteger], width: int) -> bytes:
    """Write codes one after the other, each in `width` bits, most significant bit first.

    Parameters
    ----------
    codes : ndarray of shape (n,), of unsigned integers
        Each below ``2 ** width``.
    width : int
        0 to 64.

    Returns
    -------
    bytes
        ``packed_size(n, width)`` of them; the last byte is filled up with zeros.
    """
    if width == 0:
        return b""
    if width == 1:
        return np.packbits(codes.astype(bool)).tobytes()
    if width in (8, 16, 32, 64):
        return codes.astype(f">u{width // 8}").tobytes()
    # A chunk ends on a byte, since 8 divides it.
    chunks = [_packed_chunk(codes[start : start + _CHUNK], width) for start in range(0, len(codes), _CHUNK)]
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
    raw = np.frombuffer(data, dtype=np.uint8)
    if width == 1:
        return np.unpackbits(raw, count=n_codes).astype(np.uint64)
    if width in (8, 16, 32, 64):
        return raw.view(f">u{width // 8}").astype(np.uint64)
    codes = np.zeros(n_codes, dtype=np.uint64)
    for start in range(0, n_codes if width else 0, _CHUNK):
        chunk = codes[start : start + _CHUNK]
        first = start * width // 8
        chunk[:] = _unpacked_chunk(raw[first : first + packed_size(len(chunk), width)], len(chunk), width)
    return codes


def _packed_chunk(codes: NDArray[np.unsignedinteger], width: int) -> bytes:
    """Eight codes make as many bytes as they have bits: each of these bytes for all eights at once."""
    n_eights = -(-len(codes) // 8)
    eights = np.zeros((8, n_eights), dtype=_narrowest(width))
    n_whole = len(codes) // 8
    eights[:, :n_whole] = codes[: 8 * n_whole].reshape(-1, 8).T
    eights[: len(codes) - 8 * n_whole, n_whole:] = codes[8 * n_whole :, None]
    octets = np.zeros((width, n_eights), dtype=np.uint8)
    for place, code in enumerate(eights):
        for octet, shift in _overlaps(place, width):
            octets[octet] |= (code >> shift if shift >= 0 else code << -shift).astype(np.uint8)
    return octets.T.tobytes()[: packed_size(len(codes), width)]


def _unpacked_chunk(raw: NDArray[np.uint8], n_codes: int, width: int) -> NDArray[np.unsignedinteger]:
    n_eights = -(-n_codes // 8)
    octets = np.zeros((n_eights, width), dtype=np.uint8)
    octets.reshape(-1)[: len(raw)] = raw
    octets = np.ascontiguousarray(octets.T)
    kind = _narrowest(width)
    eights = np.zeros((n_eights, 8), dtype=kind)
    for place in range(8):
        code = np.zeros(n_eights, dtype=kind)
        for octet, shift in _overlaps(place, width):
            digits = octets[octet].astype(kind)
            code |= digits << shift if shift >= 0 else digits >> -shift
        eights[:, place] = code & ((1 << width) - 1)
    return eights.reshape(-1)[:n_codes]


def _overlaps(place: int, width: int) -> list[tuple[int, int]]:
    """Bytes that a code of an eight has bits in, and by how many places it is ahead of each."""
    first, end = place * width, (place + 1) * width
    return [(octet, end - 8 * (octet + 1)) for octet in range(first // 8, (end + 7) // 8)]


def _narrowest(width: int) -> np.dtype[np.unsignedinteger]:
    return np.dtype(f"u{next(size for size in (1, 2, 4, 8) if width <= 8 * size)}")


def ragged_digits(numbers: NDArray[np.uint64], lengths: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """The last binary digits of numbers, one number after the other, as many of each as its length says."""
    shifts = _countdown(lengths)
    return ((np.repeat(numbers, lengths.astype(np.int64)) >> shifts) & np.uint64(1)).astype(np.uint8)


def ragged_numbers(digits: NDArray[np.uint8], lengths: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Inverse of `ragged_digits`; there are as many digits as the lengths sum up to, each at most 64."""
    numbers = np.empty(len(lengths), dtype=np.uint64)
    end = 0
    for start in range(0, len(lengths), _RAGGED_CHUNK):  # since every digit takes some forty bytes meanwhile
        some = lengths[start : start + _RAGGED_CHUNK]
        first, end = end, end + int(some.sum())
        numbers[start : start + len(some)] = _ragged_chunk(digits[first:end], some)
    return numbers


def _ragged_chunk(digits: NDArray[np.uint8], lengths: NDArray[np.uint64]) -> NDArray[np.uint64]:
    # Sums of the digits up to each number's end; uint64 wraps, and differences of wrapped sums are still right.
    running = np.concatenate([np.zeros(1, np.uint64), np.cumsum(digits.astype(np.uint64) << _countdown(lengths))])
    places = np.concatenate([np.zeros(1, np.uint64), np.cumsum(lengths)]).astype(np.int64)
    return running[places[1:]] - running[places[:-1]]


def _countdown(lengths: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """For each length its numbers less one down to zero, one after the other."""
    ends = np.repeat(np.cumsum(lengths, dtype=np.uint64), lengths.astype(np.int64))
    return np.asarray(ends - np.uint64(1) - np.arange(len(ends), dtype=np.uint64))
