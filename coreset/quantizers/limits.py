"""How many columns and bits a block of squeezed codes may stand for, which bounds what a hostile one takes in time."""

from __future__ import annotations

MOST_POINTS = 1 << 17  # in a squeezed block: the model takes some hundred bytes for each
_FREE_COLUMNS, _COLUMNS_A_BYTE = 1024, 8  # whatever the block's size, and those for each of its bytes
_FREE_BITS, _BITS_A_BYTE = 1 << 20, 1024


def is_worth_its_time(n_columns: int, n_bits: int, n_bytes: int) -> bool:
    """Whether a block is long enough for the columns that are walked through for it, and the bits of their codes."""
    return n_columns <= _FREE_COLUMNS + _COLUMNS_A_BYTE * n_bytes and n_bits <= _FREE_BITS + _BITS_A_BYTE * n_bytes


def check_time(n_points: int, n_columns: int, bits_a_point: int, n_bytes: int) -> None:
    """Raise when a block says that it stands for more than an encoder would have squeezed into it.

    Raises
    ------
    ValueError
    """
    if n_points > MOST_POINTS:
        raise ValueError(
            f"the point block's header says that codes of {n_points} points are squeezed, too many for that"
        )
    if not is_worth_its_time(n_columns, 0, n_bytes):
        raise ValueError(f"the point block has {n_bytes} bytes of codes, too few for {n_columns} columns")
    if not is_worth_its_time(0, n_points * bits_a_point, n_bytes):
        raise ValueError(f"the point block has {n_bytes} bytes of codes, too few for {n_points} points")
