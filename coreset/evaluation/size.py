"""How much a summary holds, in rows and in bits."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from ..points import Coreset
from ..quantizers import Quantizer
from ..wire import decode, encoded_size


def effective_sample_size(coreset: Coreset) -> float:
    """Kish's effective sample size, ``(sum w)^2 / sum w^2``.

    Rows of equal weight whose mean would be as uncertain as that of the weighted points. (Kish, "Survey Sampling",
    1965.)

    Parameters
    ----------
    coreset : Coreset

    Returns
    -------
    float
        Between 1 and the number of points.

    Raises
    ------
    ValueError
        When every weight is zero.

    Examples
    --------
    >>> from coreset import Coreset, effective_sample_size
    >>> effective_sample_size(Coreset([[0.0], [1.0], [2.0]], weights=[1, 1, 0]))
    2.0
    """
    largest = float(coreset.weights.max())
    if largest == 0:
        raise ValueError("every weight of the coreset is zero")
    shares = coreset.weights / largest  # squares of the weights themselves can overflow or vanish
    return math.fsum(shares) ** 2 / math.fsum(np.square(shares))


@dataclasses.dataclass(frozen=True)
class InformationSize:
    """Bits of a summary.

    Parameters
    ----------
    bits : int
        Of everything: points, weights, labels and, in a message, header and checksum.
    bits_per_value : float
        ``bits / (n_points n_features)``: what one coordinate of a point costs, all else included.
    source_ratio : float
        ``bits`` over those of the source's features, ``8 itemsize n_source n_features``; its labels are not counted.
        nan where the summary stands for no row.
    """

    bits: int
    bits_per_value: float
    source_ratio: float


def information_size(summary: Coreset | bytes, quantizer: Quantizer | None = None) -> InformationSize:
    """Bits of a summary as it lies in memory, as a message would carry it, or of messages that exist.

    Parameters
    ----------
    summary : Coreset or bytes-like
        Bytes are one message, or several one after the other.
    quantizer : Quantizer, optional
        Counts the bits of ``encode(summary, quantizer)``, without encoding the points. None counts points, weights and
        labels in memory (`Coreset.nbytes`).

    Returns
    -------
    InformationSize

    Raises
    ------
    ValueError
        When bytes are no message, come with a quantizer, or the quantizer cannot express a point.
    TypeError
        When `summary` is neither a `Coreset` nor bytes-like, or `quantizer` is no quantizer.

    Examples
    --------
    >>> from coreset import Coreset, UniformQuantizer, information_size
    >>> summary = Coreset([[0.0, 1.0], [2.0, 3.0]], weights=[50, 50], n_source=100)
    >>> information_size(summary)  # 4 values and 2 weights of 64 bits, for 200 values
    InformationSize(bits=384, bits_per_value=96.0, source_ratio=0.03)
    >>> information_size(summary, UniformQuantizer(bits=4)).bits
    392
    """
    if isinstance(summary, Coreset):
        return _information(summary, summary.nbytes if quantizer is None else encoded_size(summary, quantizer))
    if quantizer is not None:
        raise ValueError("quantizer is for a Coreset; bytes already are messages")
    try:
        message = bytes(memoryview(summary))
    except TypeError:
        raise TypeError(f"summary must be a Coreset or bytes, not {type(summary).__name__}") from None
    return _information(decode(message), len(message))


def _information(coreset: Coreset, n_bytes: int) -> InformationSize:
    source_bytes = coreset.source_dtype.itemsize * (coreset.n_source or 0) * coreset.n_features
    ratio = n_bytes / source_bytes if source_bytes else math.nan
    return InformationSize(8 * n_bytes, 8 * n_bytes / coreset.points.size, ratio)
