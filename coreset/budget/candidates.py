"""Which codecs a planner tries, and how they belong together."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from ..quantizers import SCOPES, ContextQuantizer, Quantizer, RoundingQuantizer, UniformQuantizer

# A context quantizer walks through its columns one by one, which takes too long beyond so many.
MOST_CONTEXT_COLUMNS = 4096
_UNIFORM_BITS = (1, 2, 3, 4, 5, 6, 8, 12, 16)
_PUBLISHED_BITS = (*range(8), *range(9, 24, 2), 30, 40, 52)


def default_quantizers(n_features: int | None = None, *, one_hot: bool = False) -> list[Quantizer]:
    """The codecs that a planner tries unless told otherwise.

    The context quantizer in all its widths, which makes uniform levels of so few bits superfluous; uniform levels of
    more bits; rounding, which keeps the digits of small values. For tables that are too wide for the context quantizer,
    uniform levels of few bits take its place.

    Parameters
    ----------
    n_features : int, optional
        Columns of the table; not too many by default.
    one_hot : bool, default=False
        Whether the table has one-hot columns: the context quantizer is tried with and without rounding their averages.

    Returns
    -------
    list of Quantizer

    Examples
    --------
    >>> from coreset import default_quantizers
    >>> default_quantizers()[0]
    ContextQuantizer(bits=1, scope='column')
    >>> default_quantizers(100_000)[0]
    UniformQuantizer(bits=1, scope='column')
    """
    wide = n_features is not None and n_features > MOST_CONTEXT_COLUMNS
    most = 0 if wide else ContextQuantizer.MOST_BITS
    context = [ContextQuantizer(bits, scope) for scope in SCOPES for bits in range(1, most + 1)]
    if one_hot:
        context += [ContextQuantizer(bits, "column", one_hot=True) for bits in range(1, most + 1)]
    uniform = [UniformQuantizer(bits, scope) for scope in SCOPES for bits in _UNIFORM_BITS if bits > most]
    return [*context, *uniform, RoundingQuantizer(10), RoundingQuantizer(23)]


def published_quantizers() -> list[Quantizer]:
    """Widths of the published scheme, 12 to 64 bits a value, some of the larger ones left out.

    Returns
    -------
    list of Quantizer
    """
    return [RoundingQuantizer(bits, "paper") for bits in _PUBLISHED_BITS]


def families(quantizers: Sequence[Quantizer]) -> list[list[int]]:
    """Positions of codecs that differ in their number of bits alone, by bits; the fastest families first.

    Parameters
    ----------
    quantizers : sequence of Quantizer

    Returns
    -------
    list of list of int
    """
    groups: dict[Hashable, list[int]] = {}
    for position, quantizer in enumerate(quantizers):
        groups.setdefault(_family(quantizer), []).append(position)
    for group in groups.values():
        group.sort(key=lambda position: bits_of(quantizers[position]))
    return sorted(groups.values(), key=lambda group: isinstance(quantizers[group[0]], ContextQuantizer))


def bits_of(quantizer: Quantizer) -> int:
    """Bits of a codec's values by which its family ascends; 0 of a codec that has no such number."""
    bits = [getattr(quantizer, name, None) for name in ("bits", "significant_bits")]
    return next((number for number in bits if isinstance(number, int)), 0)


def _family(quantizer: Quantizer) -> Hashable:
    config = {key: value for key, value in quantizer.get_config().items() if key not in ("bits", "significant_bits")}
    return type(quantizer), tuple(sorted((key, repr(value)) for key, value in config.items()))
