"""A coreset and a quantizer to bytes."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..clustering import seed_centers
from ..labels import as_labels
from ..nearest import clustering_cost, squared_distances_to
from ..points import Coreset
from ..quantizers import Quantizer, Shape, check_quantizer
from ..targets import NUMERIC
from ..validation import storable_count
from .fields import block, seal, varint
from .labels import encode_label_table, encode_names
from .layout import (
    DTYPES,
    EXPONENT,
    HAS_LABELS,
    HAS_NAMES,
    HAS_SOURCE_ZSTD,
    HAS_TARGET,
    MAGIC,
    NO_TOTAL,
    SHORT,
    SHORT_NUMBERS,
    TOTAL,
    VERSION,
)
from .rough import leading_half, roughly_above
from .weights import decode_weights, encode_weights, max_weights_size

_CALIBRATION_CENTERS = 16
_BY_POINT = ("points", "weights", "labels", "spread", "groups", "sample_indices")


def encode(coreset: Coreset, quantizer: Quantizer) -> bytes:
    """Write a coreset as one message.

    What travels: points as the quantizer rounds them, weights on a logarithmic scale, as coarse as the points, with
    their total exact, labels, feature names, the source's row count, dtype and size after zstd, offset and certificate.
    Spread, groups, their variances and slopes, the covariance within cells and sample indices stay behind; the receiver
    uses the one spread that the offset implies, and the shape of the points themselves. (With the spreads of the points
    and the variances of their columns, accuracy on the scatter differed by less than its noise and costs of up to 200
    centres, after six bits a value, by at most 2 %.)

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
        When the quantizer cannot express a point or a target.
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
    119
    >>> decode(message).total_weight
    500.0
    """
    _check_coreset(coreset)
    check_quantizer("quantizer", quantizer)
    ordered = arranged(coreset, quantizer)
    columns = columns_sent(ordered)
    point_block, received = quantizer.encode_and_decode(columns)
    weight_block = encode_weights(ordered.weights, quantizer.precision)
    weights = decode_weights(weight_block, len(ordered), ordered.total_weight)
    body = (
        _body_head(ordered)
        + SHORT.pack(*_numbers_after(ordered, columns, received, weights))
        + block(weight_block)
        + _label_name_and_target_fields(ordered)
        + bytes([quantizer.wire_id])
        + quantizer.config_bytes()
        + block(point_block)
    )
    return seal(MAGIC + bytes([VERSION]) + block(body))


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
        When the quantizer cannot express a point or a target.
    TypeError
        When an argument has the wrong type.
    """
    _check_coreset(coreset)
    check_quantizer("quantizer", quantizer)
    ordered = arranged(coreset, quantizer)
    return _message_size(
        len(_body_head(ordered)),
        len(encode_weights(ordered.weights, quantizer.precision)),
        len(_label_name_and_target_fields(ordered)),
        quantizer.encoded_size(columns_sent(ordered)),
    )


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
        Bytes; no message is larger.

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
        names = [str(name) for name in feature_names]
        if len(names) != n_features:
            raise ValueError(f"feature_names has {len(names)} names, shape={shape} has {n_features} features")
        tables += len(block(encode_names(names)))
    return _message_size(
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


def arranged(coreset: Coreset, quantizer: Quantizer) -> Coreset:
    """The coreset with its points grouped by class, and within a class in the order that the quantizer asks for."""
    labels = coreset.labels
    if labels is None or coreset.target_type == NUMERIC:
        order, bounds = np.arange(len(coreset)), np.array([0, len(coreset)])
    else:
        order = np.argsort(labels, kind="stable")
        ordered = labels[order]
        bounds = np.concatenate([[0], np.flatnonzero(ordered[1:] != ordered[:-1]) + 1, [len(coreset)]])
    for start, stop in itertools.pairwise(bounds.tolist()):
        members = order[start:stop]
        arrangement = quantizer.arrangement(coreset.points[members])
        if arrangement is not None:
            order[start:stop] = members[arrangement]
    if (order[:-1] < order[1:]).all():
        return coreset
    return dataclasses.replace(
        coreset,
        **{name: field[order] for name in _BY_POINT if (field := getattr(coreset, name)) is not None},
    )


def columns_sent(coreset: Coreset) -> NDArray[np.float64]:
    """What a quantizer gets to write: the points, and a numeric target in the units that it travels in.

    Raises
    ------
    ValueError
        When the target overflows in these units.
    """
    if coreset.labels is None or coreset.target_type != NUMERIC:
        return coreset.points
    with np.errstate(over="ignore"):
        target = np.ldexp(coreset.labels, _exponent(coreset))
    if not np.isfinite(target).all():
        largest = float(np.abs(coreset.labels).max())
        raise ValueError(f"labels up to {largest:g} overflow with label_scale={coreset.label_scale:g}")
    return np.column_stack([coreset.points, target])


def _exponent(coreset: Coreset) -> int:
    """Exponent of the largest power of two that is no larger than the scale: scaling by it loses no digits."""
    return math.frexp(coreset.label_scale or 1.0)[1] - 1


def _message_size(head: int, weights: int, tables: int, points: int) -> int:
    body = head + SHORT.size + len(varint(weights)) + weights + tables + 3 + len(varint(points)) + points
    return len(MAGIC) + 1 + len(varint(body)) + body + 4


def _body_head(coreset: Coreset) -> bytes:
    flags = SHORT_NUMBERS | (HAS_NAMES if coreset.feature_names is not None else 0)
    if coreset.labels is not None:
        flags |= HAS_TARGET if coreset.target_type == NUMERIC else HAS_LABELS
    code = coreset.source_dtype.newbyteorder("<").str
    dtype = DTYPES.index(code) if code in DTYPES else 0
    counts = [coreset.n_source or 0, len(coreset), coreset.n_features]
    if coreset.source_zstd_bytes is not None:
        flags |= HAS_SOURCE_ZSTD
        counts.append(coreset.source_zstd_bytes)
    total = TOTAL.pack(coreset.total_weight)
    if coreset.total_weight == counts[0]:
        flags, total = flags | NO_TOTAL, b""
    return bytes([flags, dtype]) + b"".join(varint(count) for count in counts) + total


def _numbers_after(
    coreset: Coreset, sent: NDArray[np.float64], received: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[bytes, bytes, bytes]:
    """Offset and certificate of what the receiver will hold, in short; a target counts in the certificate alone."""
    with np.errstate(over="ignore"):
        reach = float(np.square(sent - sent[0]).sum(axis=1).max()) * coreset.total_weight
    if not math.isfinite(4 * reach):
        raise ValueError(f"points spans {sent.min():g} to {sent.max():g}: their squared distances overflow")
    moved = np.sqrt(squared_distances_to(sent, received))
    # Mass that lossy weights move travels at most the diameter, which is at most twice the radius about the mean.
    diameter = 2 * math.sqrt(squared_distances_to(received, received.mean(axis=0)).max())
    shifted = 0.5 * float(np.abs(coreset.weights - weights).sum()) * diameter
    total = coreset.total_displacement + float(coreset.weights @ moved) + shifted
    largest = coreset.max_displacement + float(moved.max())
    offset = calibrated_offset(coreset, received[:, : coreset.n_features], weights)
    return leading_half(offset), roughly_above(largest), roughly_above(total)


def calibrated_offset(coreset: Coreset, points: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """The offset of a message with these points and weights; see `encode`."""
    used = np.flatnonzero(coreset.weights)
    if len(used) == 0:
        return coreset.offset
    sent, masses, received = coreset.points[used], coreset.weights[used], points[used]
    rng = np.random.default_rng(0)  # the message is a function of the coreset alone
    lost = 0.0
    for candidates in (sent, received):
        centers = candidates[seed_centers(candidates, masses, _CALIBRATION_CENTERS, rng)]
        lost += clustering_cost(sent, centers, masses) - clustering_cost(received, centers, weights[used])
    return coreset.offset + lost / 2


def _label_name_and_target_fields(coreset: Coreset) -> bytes:
    blocks = b""
    if coreset.labels is not None and coreset.target_type != NUMERIC:
        classes, counts = np.unique(coreset.labels, return_counts=True)
        blocks += block(encode_label_table(classes) + b"".join(varint(int(count)) for count in counts))
    if coreset.feature_names is not None:
        blocks += block(encode_names(coreset.feature_names))
    if coreset.target_type == NUMERIC:
        blocks += EXPONENT.pack(_exponent(coreset))
    return blocks
