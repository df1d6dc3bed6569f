"""The largest coreset whose message a budget holds."""

from __future__ import annotations

import math
from collections.abc import Callable

from ..points import Coreset
from ..quantizers import Quantizer
from ..wire import Draft
from .building import Builder
from .nesting import MergeChain

# Points that a coreset has beyond the number expected to fit, so that merging them fills the budget.
_SPARE_SHARE = 0.02
# A coreset that is larger than what fits by more than this is built anew, since merging is worse than building.
_MERGED_SHARE = 0.15
_REBUILDS = 2
# What is much of a budget to be left, and where larger sizes are tried then, as shares of the room.
_MUCH_LEFT = 0.02
_TRIES_BEYOND = (1.0, 0.75, 0.5, 0.25)


def fill(builder: Builder, quantizer: Quantizer, budget: int, guess: int, known: Draft | None = None) -> Draft | None:
    """The largest coreset that fits, by true encodings.

    Cells are built a little too large and then merged, pair by pair, until the message fits; the next larger coreset
    of that chain does not fit. Coresets that pick rows are built anew instead. Sizes of some codecs do not rise with
    every point: larger sizes that fit by chance, beyond the first that does not, are not looked for.

    Parameters
    ----------
    builder : Builder
    quantizer : Quantizer
    budget : int
    guess : int
        Points that may fit.
    known : Draft, optional
        One of about so many points, fitting or not, to begin with.

    Returns
    -------
    Draft or None
        None when not even one point (a class) fits.
    """
    least, high = builder.bound.least_points, len(builder.rows)
    guess = min(max(guess, least), high)
    rebuilds_left = _REBUILDS
    while True:
        fits, beyond = _bracket(builder, quantizer, budget, guess, known)
        if beyond is not None and beyond.coreset.sample_indices is not None and len(beyond.coreset) == high > least:
            fits, beyond = _with_one_row_less(builder, quantizer, budget, fits, beyond)
        if beyond is None:
            return fits
        if beyond.coreset.sample_indices is not None:
            return _largest(builder.build, quantizer, budget, least, fits, beyond)
        guess = max(least, math.floor(len(beyond.coreset) * budget / beyond.message_bytes))
        if guess >= (1 - _MERGED_SHARE) * len(beyond.coreset) or rebuilds_left == 0:
            chain = MergeChain(beyond.coreset, power=builder.power)
            return _largest(chain, quantizer, budget, least, None, beyond) or fits
        rebuilds_left -= 1
        known = None


def _with_one_row_less(
    builder: Builder, quantizer: Quantizer, budget: int, fits: Draft | None, beyond: Draft
) -> tuple[Draft | None, Draft | None]:
    """Like `_bracket`, where all rows do not fit: one point less shows whether the base picks rows or averages them."""
    coreset = builder.build(len(beyond.coreset) - 1)
    tried = Draft.of(coreset, quantizer)
    if tried.message_bytes > budget:
        return fits, tried
    return tried, beyond if coreset.sample_indices is not None else None


def _bracket(
    builder: Builder, quantizer: Quantizer, budget: int, guess: int, known: Draft | None
) -> tuple[Draft | None, Draft | None]:
    """The largest coreset found to fit, and a larger one that does not; None for one that there is not."""
    high = len(builder.rows)
    asked = with_spare(guess, high) if known is None else len(known.coreset)
    fits: Draft | None = None
    earlier: tuple[int, int] | None = None
    while True:
        tried = known or Draft.of(builder.build(asked), quantizer)
        known = None
        if tried.message_bytes > budget:
            return fits, tried
        if fits is None or len(tried.coreset) > len(fits.coreset):
            fits = tried
        if asked == high:
            return fits, None
        # A secant through the last two sizes; of a first one alone, as if there were no header.
        step = tried.message_bytes / asked
        if earlier is not None and earlier[1] < tried.message_bytes:
            step = (tried.message_bytes - earlier[1]) / (asked - earlier[0])
        earlier = asked, tried.message_bytes
        room = min(7.0 * asked, (budget - tried.message_bytes) / step)
        asked = with_spare(math.ceil(asked + room), high)


def with_spare(n_points: int, most: int) -> int:
    """Points of a coreset to be merged to about so many; at most so many."""
    return min(most, n_points + 1 + math.ceil(_SPARE_SHARE * n_points))


def _largest(
    coreset_of: Callable[[int], Coreset],
    quantizer: Quantizer,
    budget: int,
    least: int,
    fits: Draft | None,
    beyond: Draft,
) -> Draft | None:
    """Search between a number of points that fits, if one is known, and one that does not, by what a point takes."""
    low = least - 1 if fits is None else len(fits.coreset)
    high, high_bytes = len(beyond.coreset), beyond.message_bytes
    step = high_bytes / high  # bytes a point, somewhat more than one more takes
    for turn in range(64):
        if high - low <= 1:
            break
        if turn >= 8:  # sizes that follow no line
            middle = (low + high) // 2
        elif fits is None:
            middle = high - max(1, math.ceil((high_bytes - budget) / step))
        else:
            step = max((high_bytes - fits.message_bytes) / (high - low), 1e-9)
            middle = low + max(1, math.floor((budget - fits.message_bytes) / step))
        middle = min(max(middle, low + 1), high - 1)
        tried = Draft.of(coreset_of(middle), quantizer)
        if tried.message_bytes <= budget:
            low, fits = middle, tried
        else:
            high, high_bytes = middle, tried.message_bytes
    return None if fits is None else _luckier(coreset_of, quantizer, budget, fits, beyond)


def _luckier(
    coreset_of: Callable[[int], Coreset], quantizer: Quantizer, budget: int, fits: Draft, beyond: Draft
) -> Draft:
    """A larger size that fits, although smaller ones do not, where much is left: levels fall in place now and then."""
    for share in _TRIES_BEYOND:
        room = budget - fits.message_bytes
        if room <= _MUCH_LEFT * budget:
            break
        size = len(fits.coreset) + int(share * len(fits.coreset) * room / fits.message_bytes)
        if len(fits.coreset) < size < len(beyond.coreset):
            tried = Draft.of(coreset_of(size), quantizer)
            if tried.message_bytes <= budget:
                fits = tried
    return fits
