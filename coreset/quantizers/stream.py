"""Codes of a table to entropy-coded bytes and back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .base import Shape
from .modelling import Part, walk
from .order import Order
from .rans import BitDecoder, BitEncoder

Codes = NDArray[np.uint8]
_FREE_STEPS, _BITS_A_STEP = 1 << 11, 512  # for how often a batch's bits are predicted, which has a cost of its own


def has_large_batches(order: Order, n_points: int, bits: int) -> bool:
    """Whether batches are few, or have many bits on average; few points of a large image can have many small ones."""
    n_bits = len(order.columns) * n_points * bits
    return order.n_batches(n_points) * bits <= _FREE_STEPS + n_bits // _BITS_A_STEP


def encode_codes(codes: Codes, active: NDArray[np.intp], bits: int, stride: int) -> bytes:
    """Write the codes of some columns.

    Parameters
    ----------
    codes : ndarray of shape (d, n)
        Each below ``2 ** bits``.
    active : ndarray of shape (k,), intp
        The columns that are written.
    bits : int
        1 to 8.
    stride : int
        Columns a row of an image, or 0 for tables.
    """
    encoder = BitEncoder()
    _put(encoder, codes, Order.of(active, codes.shape[1], stride), bits)
    return encoder.finish()


def encode_tables(tables: list[tuple[int, Codes]]) -> bytes:
    """Write several tables one after the other, which know nothing of each other.

    Parameters
    ----------
    tables : list of (int, ndarray)
        Bits of the codes, and these, of shape (d, n).
    """
    encoder = BitEncoder()
    for bits, codes in tables:
        if len(codes):
            _put(encoder, codes, Order.of(np.arange(len(codes)), codes.shape[1], 0), bits)
    return encoder.finish()


def _put(encoder: BitEncoder, codes: Codes, order: Order, bits: int) -> None:
    known = codes[order.columns]

    def code(ones: NDArray[np.integer], parts: list[Part], depth: int) -> Codes:
        if depth == 0:
            wanted[:] = [known[part.start : part.stop, part.rows].ravel() for part in parts]
        found: Codes = (np.concatenate(wanted) >> np.uint8(bits - 1 - depth)) & np.uint8(1)
        encoder.put(found, ones)
        return found

    wanted: list[Codes] = []
    walk(_unknown(known.shape), order, bits, code)


def decode_codes(data: bytes, shape: Shape, active: NDArray[np.intp], bits: int, stride: int) -> Codes:
    """Inverse of `encode_codes` for bytes that may be hostile; codes of other columns are zero.

    Raises
    ------
    ValueError
        When the bytes are corrupt, or batches so small that they would take long.
    """
    order = Order.of(active, shape[1], stride)
    if not has_large_batches(order, shape[1], bits):
        raise ValueError(
            f"the point block says that {stride} columns are a row: {shape[1]} points are too few for that"
        )
    decoder = BitDecoder(data, len(active) * shape[1] * bits)
    codes = np.zeros(shape, dtype=np.uint8)
    codes[order.columns] = _get(decoder, order, shape[1], bits)
    decoder.close()
    return codes


def decode_tables(data: bytes, forms: list[tuple[int, int]], n_points: int) -> list[Codes]:
    """Inverse of `encode_tables` for bytes that may be hostile.

    Parameters
    ----------
    data : bytes
    forms : list of (int, int)
        Bits and columns of each table.
    n_points : int

    Raises
    ------
    ValueError
        When the bytes are corrupt.
    """
    decoder = BitDecoder(data, n_points * sum(bits * n_columns for bits, n_columns in forms))
    tables = []
    for bits, n_columns in forms:
        order = Order.of(np.arange(n_columns), n_points, 0)
        codes = np.zeros((n_columns, n_points), dtype=np.uint8)
        codes[order.columns] = _get(decoder, order, n_points, bits)
        tables.append(codes)
    decoder.close()
    return tables


def _get(decoder: BitDecoder, order: Order, n_points: int, bits: int) -> Codes:
    found = _unknown((len(order.columns), n_points))
    walk(found, order, bits, lambda ones, parts, depth: decoder.get(ones))
    return found[:-1]


def _unknown(shape: Shape) -> Codes:
    """Codes to be filled in, with a column more for those that are not there."""
    return np.zeros((shape[0] + 1, shape[1]), dtype=np.uint8)
