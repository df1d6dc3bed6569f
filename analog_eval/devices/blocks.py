"""Draws and weights in blocks, so that what is computed on the way fits into the processor's cache."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["BLOCK", "blocks"]

#: Weights (times draws) a block.  Where a tensor has more, it belongs to the order of the random numbers.
BLOCK = 2**14


def blocks(n_draws: int, n_weights: int) -> Iterator[tuple[slice, slice]]:
    """Yield parts of draws and weights, draw after draw, so that more draws do not change the first ones.

    Examples
    --------
    >>> [(d.start, d.stop, w.start, w.stop) for d, w in blocks(3, 10_000)]
    [(0, 1, 0, 10000), (1, 2, 0, 10000), (2, 3, 0, 10000)]
    >>> [(d.start, d.stop, w.start, w.stop) for d, w in blocks(3, 8000)]
    [(0, 2, 0, 8000), (2, 3, 0, 8000)]
    """
    step = max(1, BLOCK // max(1, n_weights))
    for draw in range(0, n_draws, step):
        for start in range(0, n_weights, BLOCK):
            yield slice(draw, min(draw + step, n_draws)), slice(start, min(start + BLOCK, n_weights))
