"""Numbers of groups, of which many in a row are equal: how long each run is, and whose it is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .bits import pack_bits, packed_size, ragged_digits, ragged_numbers, unpack_bits
from .headers import cut

_COUNT = 4  # bytes of the number of runs
_HEAD = _COUNT + 1


def pack_runs(groups: NDArray[np.intp], n_groups: int) -> bytes:
    """Write group numbers, which are counted in the order in which groups come first.

    The length of each run comes as its number of binary digits and then these digits but the first. When there are as
    many runs as groups, nothing else needs to be said.

    Parameters
    ----------
    groups : ndarray of shape (n,), int
    n_groups : int
        All of ``0 .. n_groups - 1`` occur, none before a smaller one.

    Returns
    -------
    bytes

    Examples
    --------
    >>> import numpy as np
    >>> data = pack_runs(np.array([0, 0, 0, 1, 2, 2]), 3)
    >>> unpack_runs(data + b"more", 6, 3)
    (array([0, 0, 0, 1, 2, 2]), b'more')
    """
    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    lengths = np.diff(starts, append=len(groups)).astype(np.uint64)
    n_digits = np.frexp(lengths.astype(np.float64))[1].astype(np.uint64) - np.uint64(1)  # but the first
    width = int(n_digits.max()).bit_length()
    head = len(starts).to_bytes(_COUNT, "little") + bytes([width])
    numbers = pack_bits(n_digits, width) + np.packbits(ragged_digits(lengths, n_digits)).tobytes()
    owners = b"" if len(starts) == n_groups else pack_bits(groups[starts].astype(np.uint64), _width(n_groups))
    return head + numbers + owners


def unpack_runs(data: bytes, n_points: int, n_groups: int) -> tuple[NDArray[np.intp], bytes]:
    """Inverse of `pack_runs` for bytes that may be hostile, with the bytes that follow.

    Raises
    ------
    ValueError
        When the runs are not of so many points and groups.
    """
    head, data = cut(data, _HEAD)
    n_runs, width = int.from_bytes(head[:_COUNT], "little"), head[_COUNT]
    if not n_groups <= n_runs <= n_points or width > 5:
        raise ValueError(f"the point block's header has {n_runs} runs of {n_groups} groups for {n_points} points")
    packed, data = cut(data, packed_size(n_runs, width))
    n_digits = unpack_bits(packed, n_runs, width)
    packed, data = cut(data, packed_size(int(n_digits.sum()), 1))
    digits = np.unpackbits(np.frombuffer(packed, np.uint8), count=int(n_digits.sum()))
    lengths = ragged_numbers(digits, n_digits) | (np.uint64(1) << n_digits)
    owners = np.arange(n_runs)
    if n_runs > n_groups:
        packed, data = cut(data, packed_size(n_runs, _width(n_groups)))
        owners = unpack_bits(packed, n_runs, _width(n_groups)).astype(np.intp)
    if int(lengths.sum()) != n_points or owners.max() >= n_groups:
        raise ValueError(f"the point block's header has runs of {int(lengths.sum())} points, there are {n_points}")
    return np.repeat(owners, lengths.astype(np.int64)), data


def renumbered(groups: NDArray[np.intp]) -> NDArray[np.intp]:
    """The same groups, numbered in the order in which they come."""
    _, first, numbers = np.unique(groups, return_index=True, return_inverse=True)
    ranks = np.empty(len(first), dtype=np.intp)
    ranks[np.argsort(first)] = np.arange(len(first))
    return ranks[numbers]


def _width(n_groups: int) -> int:
    return (n_groups - 1).bit_length()
