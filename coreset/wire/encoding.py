"""A coreset and a quantizer to bytes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ..labels import as_labels
from ..points import Coreset
from ..quantizers import Quantizer, Shape, check_quantizer
from ..validation import storable_count
from .drafts import Draft, arranged, check_reach, columns_sent, message_size, size_with
from .fields import block, varint
from .labels import encode_label_table
from .layout import EXPONENT, TOTAL
from .names import encode_names
from .weights import encode_weights, max_weights_size


def encode(coreset: Coreset, quantizer: Quantizer) -> bytes:
    """Write a coreset as one message.

    What travels: points as the quantizer rounds them, weights on a logarithmic scale, as coarse as the points, with
    their total exact but for rounding, labels, feature names, the source's row count, dtype and size after zstd, offset
    and certificate. Spread, groups, their variances and slopes, the covariance within cells and sample indices stay
    behind; the receiver uses the one spread that the offset implies, and the shape of the points themselves. (With the
    spreads of the points and the variances of their columns, accuracy on the scatter differed by less than its noise
    and costs of up to 200 centres, after six bits a value, by at most 2 %.)

    A numeric target travels as one more column, rounded like the points, in units of the largest power of two that does
    not exceed the coreset's `label_scale`. That is the scale which the receiver has, and with which the certificate
    holds.

    Rounding biases k-means costs, so the offset is chosen anew: the mean of two values, one that makes the decoded cost
    equal the coreset's on 16 of its points, one that does so on 16 decoded points. The first alone suits centres that
    were chosen without the message, the second those that are solved on it (ours; with one or two bits over heavy
    tails neither kind is served well). The certificate is widened by what quantization and lossy weights add.

    Parameters
    ----------
    coreset : Coreset
    quantizer : Quantizer

    Returns
    -------
    bytes
        ``encoded_size(coreset, quantizer)`` of them. Points come back grouped by class, and rearranged within it where
        the quantizer profits.

    Raises
    ------
    ValueError
        When the quantizer cannot express a point or a target, or squared distances of points overflow.
    TypeError
        When an argument has the wrong type.

    Examples
    --------
    >>> import numpy as np
    >>> from coreset import RobustCoreset, UniformQuantizer, decode, encode
    >>> X = np.random.default_rng(0).normal(size=(500, 4))
    >>> summary = RobustCoreset(n_points=20, random_state=0).fit(X).coreset_
    >>> message = encode(summary, UniformQuantizer(bits=4))
    >>> len(message)
    116
    >>> decode(message).total_weight
    500.0
    """
    _check_coreset(coreset)
    check_quantizer("quantizer", quantizer)
    return Draft.of(coreset, quantizer).message()


def encoded_size(coreset: Coreset, quantizer: Quantizer) -> int:
    """Exactly ``len(encode(coreset, quantizer))``, without encoding the points.

    Parameters
    ----------
    coreset : Coreset
    quantizer : Quantizer

    Returns
    -------
    int
        Bytes.

    Raises
    ------
    ValueError
        When `encode` would raise it.
    TypeError
        When an argument has the wrong type.
    """
    _check_coreset(coreset)
    check_quantizer("quantizer", quantizer)
    ordered = arranged(coreset, quantizer)
    weights = encode_weights(ordered.weights, quantizer.precision)
    columns = columns_sent(ordered)
    check_reach(ordered, columns)
    return size_with(ordered, len(weights), quantizer.encoded_size(columns))


def max_encoded_size(
    shape: Shape,
    quantizer: Quantizer,
    *,
    classes: ArrayLike | None = None,
    numeric_target: bool = False,
    feature_names: Sequence[str] | None = None,
    n_source: int = 2**63 - 1,
    source_zstd_bytes: int | None = None,
) -> int:
    """Bound on the size of every message of a given shape.

    Parameters
    ----------
    shape : tuple of int
        Points and features.
    quantizer : Quantizer
    classes : array-like, optional
        All class labels that can occur; leave out for messages without classes.
    numeric_target : bool, default=False
        Whether the messages have a numeric target; the shape does not count it.
    feature_names : sequence of str, optional
        Leave out for messages without names.
    n_source : int, optional
        The most rows that the message can stand for.
    source_zstd_bytes : int, optional
        The most that a coreset's field of that name can be; leave out for messages without it.

    Returns
    -------
    int
        Bytes; no message is larger. (Where there are names, of those that are written with the zlib of this machine.)

    Raises
    ------
    ValueError
        When the shape is not positive, names are more or fewer than features, a number is one that no message holds, or
        messages are to have both classes and a numeric target.
    TypeError
        When an argument has the wrong type.

    Examples
    --------
    >>> from coreset import UniformQuantizer, max_encoded_size
    >>> max_encoded_size((20, 4), UniformQuantizer(bits=4))
    174
    """
    check_quantizer("quantizer", quantizer)
    n_points, n_features = _checked_shape(shape)
    if numeric_target and classes is not None:
        raise ValueError("classes are given and numeric_target is true: a message has one kind of labels")
    counts = (storable_count("n_source", n_source), n_points, n_features)
    head = 2 + sum(len(varint(value)) for value in counts) + TOTAL.size
    if source_zstd_bytes is not None:
        head += len(varint(storable_count("source_zstd_bytes", source_zstd_bytes)))
    tables = EXPONENT.size if numeric_target else 0
    if classes is not None:
        distinct = np.unique(as_labels(classes, "classes"))
        size = len(encode_label_table(distinct, listed=True)) + len(distinct) * len(varint(n_points))
        tables += len(varint(size)) + size
    if feature_names is not None:
        names = tuple(str(name) for name in feature_names)
        if len(names) != n_features:
            raise ValueError(f"feature_names has {len(names)} names, shape={shape} has {n_features} features")
        tables += len(block(encode_names(names)[0]))
    return message_size(
        head,
        max_weights_size(n_points, quantizer.precision),
        tables,
        quantizer.max_encoded_size((n_points, n_features + numeric_target)),
    )


def _check_coreset(coreset: object) -> None:
    if not isinstance(coreset, Coreset):
        raise TypeError(f"coreset is a {type(coreset).__name__}, not a Coreset")


def _checked_shape(shape: Shape) -> Shape:
    if not isinstance(shape, Sequence) or len(shape) != 2:
        raise TypeError(f"shape={shape!r} must be two integers, of points and of features")
    if any(storable_count(f"shape[{axis}]", size) == 0 for axis, size in enumerate(shape)):
        raise ValueError(f"shape={shape} must be positive")
    return int(shape[0]), int(shape[1])
