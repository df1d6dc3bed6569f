"""Which of the columns: masks in few bytes."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from .bits import packed_size
from .headers import check_length, cut

# How a mask is written, in its first byte: bit by bit, deflated, or as a number that counts tell; of an image with rows
# of so many columns, that many more.
_PLAIN, _DEFLATED, _COUNTED = 0, 1, 2
_LONGEST_ROW = 255 - _COUNTED
_MOST_COUNTED = 8192  # columns, since a step takes the time of the number's length
_MOST_BYTES = 255  # of the number
_STEP = 2  # halves by which a column counts
_Mask = NDArray[np.bool_]


def packed_masks(masks: list[_Mask], row: int = 0) -> bytes:
    """Each mask in the shortest of several ways.

    Parameters
    ----------
    masks : list of ndarray of bool
    row : int, default=0
        Columns in a row, where they are an image's; 0 where they are not.

    Returns
    -------
    bytes
        No mask takes more than a byte and its bits.
    """
    return b"".join(_packed(mask, row) for mask in masks)


def unpacked_mask(data: bytes, length: int) -> tuple[_Mask, bytes]:
    """Inverse of `packed_masks` for one mask, with the bytes that follow, for bytes that may be hostile.

    Raises
    ------
    ValueError
        When the bytes hold no mask of so many columns.
    """
    check_length(data, 1)
    kind, data = data[0], data[1:]
    if kind >= _COUNTED:
        return _from_counted(data, length, kind - _COUNTED)
    plain, data = _inflated(data, length) if kind == _DEFLATED else cut(data, packed_size(length, 1))
    return np.unpackbits(np.frombuffer(plain, np.uint8), count=length).astype(bool), data


def _packed(mask: _Mask, row: int) -> bytes:
    plain = np.packbits(mask).tobytes()
    packer = zlib.compressobj(9, wbits=-15)
    ways = [bytes([_PLAIN]) + plain, bytes([_DEFLATED]) + packer.compress(plain) + packer.flush()]
    if len(mask) <= _MOST_COUNTED:
        ways += _counted(mask, row if 1 < row <= _LONGEST_ROW else 0)
    return min(ways, key=len)


def _counted(mask: _Mask, row: int) -> list[bytes]:
    """The mask as one number, in which a column takes what those before it with like neighbours let expect, if short.

    Asymmetric numeral systems (Duda, arXiv 1311.2540) in a number of any length, by the estimator of Krichevsky and
    Trofimov (1981); the neighbours are ours.
    """
    counts = _Counts(row)
    bits = mask.tolist()
    steps = []
    for place, bit in enumerate(bits):
        near = counts.near(bits, place)
        zeros, ones = near
        steps.append((near[bit], zeros if bit else 0, zeros + ones))
        near[bit] += _STEP
    number = 0
    for share, start, total in reversed(steps):
        number = number // share * total + start + number % share
        if number.bit_length() > 8 * _MOST_BYTES:
            return []
    n_bytes = packed_size(number.bit_length(), 1)
    return [bytes([_COUNTED + row, n_bytes]) + number.to_bytes(n_bytes, "little")]


def _from_counted(data: bytes, length: int, row: int) -> tuple[_Mask, bytes]:
    if length > _MOST_COUNTED:
        raise ValueError(f"the point block's header counts {length} columns, at most {_MOST_COUNTED} may be")
    check_length(data, 1)
    written, data = cut(data[1:], data[0])
    number = int.from_bytes(written, "little")
    counts = _Counts(row)
    bits: list[bool] = []
    for place in range(length):
        near = counts.near(bits, place)
        zeros, ones = near
        rest, slot = divmod(number, zeros + ones)
        bit = slot >= zeros
        number = rest * near[bit] + slot - (zeros if bit else 0)
        bits.append(bit)
        near[bit] += _STEP
    if number or written.endswith(b"\0"):
        raise ValueError("the point block's header has a corrupt mask of columns")
    return np.array(bits, dtype=bool), data


class _Counts:
    """How often columns were in the mask, by whether those before them and above them were, in halves."""

    def __init__(self, row: int) -> None:
        self._row = row
        self._counts = [[1, 1] for _ in range(8)]

    def near(self, bits: list[bool], place: int) -> list[int]:
        """The counts of zeros and ones that tell of a place, to be read and added to."""
        context = int(place > 0 and bits[place - 1])
        above = place - self._row
        if self._row > 1 and above >= 0:
            context += 2 * bits[above] + 4 * bits[above + 1]
        return self._counts[context]


def _inflated(data: bytes, length: int) -> tuple[bytes, bytes]:
    size = packed_size(length, 1)
    reader = zlib.decompressobj(wbits=-15)
    try:
        plain = reader.decompress(data, size + 1)
    except zlib.error as error:
        raise ValueError("the point block's header has a corrupt mask of columns") from error
    if not reader.eof or len(plain) != size:
        raise ValueError("the point block's header has a mask of another number of columns")
    return plain, reader.unused_data
