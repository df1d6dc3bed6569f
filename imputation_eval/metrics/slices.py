"""Samples projected on random directions, and what of two sorted samples moves where."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from imputation_eval.neighborhoods import center_of

_Array = NDArray[np.float64]
_Indices = NDArray[np.intp]
_BLOCK_ENTRIES = 2**21  # projected values at a time, which bounds the memory at any n
DEFAULT_PROJECTIONS = 100


def sorted_projections(
    x: _Array, y: _Array, n_projections: int, rng: np.random.Generator
) -> Iterator[tuple[_Array, _Array]]:
    """Yield blocks (n_block, n) and (n_block, m) of both samples projected on random unit vectors, rows sorted.

    A sample of one column is its only projection, whatever ``n_projections`` says.
    """
    center = center_of(x)
    x, y = x - center, y - center
    directions = rng.normal(size=(n_projections, x.shape[1])) if x.shape[1] > 1 else np.ones((1, 1))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    n_block = max(1, _BLOCK_ENTRIES // max(len(x), len(y)))
    for start in range(0, len(directions), n_block):
        block = directions[start : start + n_block]
        yield np.sort(block @ x.T, axis=1), np.sort(block @ y.T, axis=1)


def monotone_coupling(n: int, m: int) -> tuple[_Indices, _Indices, _Array]:
    """Return which of n sorted values moves to which of m sorted ones, and how much mass of 1 does.

    That is the optimal coupling in one dimension for every convex cost.
    """
    # Masses in units of 1 / (n m): the i-th of n values ends at (i + 1) m, the j-th of m at (j + 1) n.
    ends = np.union1d(np.arange(1, n + 1) * m, np.arange(1, m + 1) * n)
    return (ends - 1) // m, (ends - 1) // n, np.diff(ends, prepend=0) / (n * m)
