"""How the levels of a column are spaced between its ends: equally, or closer where most values of long tails are."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
EQUAL = 0
N_SPACINGS, SPACING_BITS = 4, 2
# Fewer bits have no levels between the ends; with more of them, levels at equal distances do as well once the codes
# are squeezed.
SPACED_BITS = range(2, 6)
_STEEPNESS = 2.5


@functools.cache
def spacings(bits: int) -> Floats:
    """Places of the levels, from 0 to 1: at equal distances, closer near the low end, near the high one, in the middle.

    Parameters
    ----------
    bits : int

    Returns
    -------
    ndarray of shape (4, 2 ** bits)
        Ascending rows; exponential laws (ours), as the companding of telephony uses them.
    """
    equal = np.arange(1 << bits) / ((1 << bits) - 1)
    low = np.expm1(_STEEPNESS * equal) / np.expm1(_STEEPNESS)
    middle = 0.5 + 0.5 * np.sinh(_STEEPNESS * (2 * equal - 1)) / np.sinh(_STEEPNESS)
    found = np.stack([equal, low, 1 - low[::-1], middle])
    found.setflags(write=False)
    return found


def nearest_codes(shares: Floats, places: Floats) -> NDArray[np.uint8]:
    """The nearest level of each value.

    Parameters
    ----------
    shares : ndarray
        Values in units in which the ends are 0 and 1.
    places : ndarray of shape (2 ** bits,)
        A row of `spacings`.

    Returns
    -------
    ndarray of the shape of `shares`, uint8
    """
    codes = np.zeros(shares.shape, dtype=np.uint8)
    for bound in (places[1:] + places[:-1]) / 2:  # so few comparisons are faster than a search
        codes += bound < shares
    return codes
