"""A coreset as a quantizer writes it: all that a message says, before it is sealed."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from typing import Self, final

import numpy as np
from numpy.typing import NDArray

from ..clustering import seed_centers
from ..nearest import clustering_cost, squared_distances_to
from ..points import Coreset
from ..quantizers import Quantizer
from ..targets import NUMERIC
from .fields import block, seal, varint
from .labels import encode_label_table
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
    SQUEEZED_NAMES,
    TOTAL,
    VERSION,
)
from .names import encode_names
from .rough import leading_half, roughly_above
from .weights import decode_weights, encode_weights

_CALIBRATION_CENTERS = 16
_ROUNDING = 1e-13  # of a sum of weights
_BY_POINT = ("points", "weights", "labels", "spread", "groups", "sample_indices")


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Draft:
    """A coreset and what a quantizer makes of its points.

    Parameters
    ----------
    coreset : Coreset
        In the order in which it is sent.
    quantizer : Quantizer
    point_block : bytes
        What the quantizer writes of the columns that are sent.
    columns : ndarray
        What a receiver reads from that.
    """

    coreset: Coreset
    quantizer: Quantizer
    point_block: bytes
    columns: NDArray[np.float64]

    @classmethod
    def of(cls, coreset: Coreset, quantizer: Quantizer) -> Self:
        """The draft of a coreset in any order."""
        return cls.of_arranged(arranged(coreset, quantizer), quantizer)

    @classmethod
    def of_arranged(cls, coreset: Coreset, quantizer: Quantizer) -> Self:
        """The draft of a coreset that `arranged` has put in order."""
        return cls(coreset, quantizer, *quantizer.encode_and_decode(columns_sent(coreset)))

    @functools.cached_property
    def weight_block(self) -> bytes:
        """The weights, as coarse as the points."""
        return encode_weights(self.coreset.weights, self.quantizer.precision)

    @functools.cached_property
    def message_bytes(self) -> int:
        """Bytes of the message."""
        return size_with(self.coreset, len(self.weight_block), len(self.point_block))

    def message(self) -> bytes:
        """The message."""
        coreset, quantizer = self.coreset, self.quantizer
        weights = decode_weights(self.weight_block, len(coreset), coreset.total_weight)
        body = (
            _body_head(coreset)
            + SHORT.pack(*_numbers_after(coreset, columns_sent(coreset), self.columns, weights))
            + block(self.weight_block)
            + _label_name_and_target_fields(coreset)
            + bytes([quantizer.wire_id])
            + quantizer.config_bytes()
            + block(self.point_block)
        )
        return seal(MAGIC + bytes([VERSION]) + block(body))


def size_with(ordered: Coreset, weights: int, points: int) -> int:
    """Bytes of the message of a coreset in the order in which it is sent, with blocks of so many bytes."""
    tables = len(_label_name_and_target_fields(ordered))
    return message_size(len(_body_head(ordered)), weights, tables, points)


def message_size(head: int, weights: int, tables: int, points: int) -> int:
    """Bytes of a message whose parts take so many."""
    body = head + SHORT.size + len(varint(weights)) + weights + tables + 3 + len(varint(points)) + points
    return len(MAGIC) + 1 + len(varint(body)) + body + 4


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


def check_reach(coreset: Coreset, sent: NDArray[np.float64]) -> None:
    """Raise ValueError where the numbers that a message has besides its points would overflow."""
    with np.errstate(over="ignore"):
        reach = float(np.square(sent - sent[0]).sum(axis=1).max()) * coreset.total_weight
    if not math.isfinite(4 * reach):
        raise ValueError(f"points spans {sent.min():g} to {sent.max():g}: their squared distances overflow")


def _exponent(coreset: Coreset) -> int:
    """Exponent of the largest power of two that is no larger than the scale: scaling by it loses no digits."""
    return math.frexp(coreset.label_scale or 1.0)[1] - 1


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


def _body_head(coreset: Coreset) -> bytes:
    flags = SHORT_NUMBERS
    if coreset.feature_names is not None:
        flags |= HAS_NAMES | SQUEEZED_NAMES * encode_names(coreset.feature_names)[1]
    if coreset.labels is not None:
        flags |= HAS_TARGET if coreset.target_type == NUMERIC else HAS_LABELS
    code = coreset.source_dtype.newbyteorder("<").str
    dtype = DTYPES.index(code) if code in DTYPES else 0
    counts = [coreset.n_source or 0, len(coreset), coreset.n_features]
    if coreset.source_zstd_bytes is not None:
        flags |= HAS_SOURCE_ZSTD
        counts.append(coreset.source_zstd_bytes)
    total = TOTAL.pack(coreset.total_weight)
    # Weights that a sum made differ from the count by rounding alone, which is not worth eight bytes.
    if math.isclose(coreset.total_weight, counts[0], rel_tol=_ROUNDING):
        flags, total = flags | NO_TOTAL, b""
    return bytes([flags, dtype]) + b"".join(varint(count) for count in counts) + total


def _numbers_after(
    coreset: Coreset, sent: NDArray[np.float64], received: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[bytes, bytes, bytes]:
    """Offset and certificate of what the receiver will hold, in short; a target counts in the certificate alone."""
    check_reach(coreset, sent)
    moved = np.sqrt(squared_distances_to(sent, received))
    # Mass that lossy weights move travels at most the diameter, which is at most twice the radius about the mean.
    diameter = 2 * math.sqrt(squared_distances_to(received, received.mean(axis=0)).max())
    shifted = 0.5 * float(np.abs(coreset.weights - weights).sum()) * diameter
    total = coreset.total_displacement + float(coreset.weights @ moved) + shifted
    largest = coreset.max_displacement + float(moved.max())
    offset = calibrated_offset(coreset, received[:, : coreset.n_features], weights)
    return leading_half(offset), roughly_above(largest), roughly_above(total)


def _label_name_and_target_fields(coreset: Coreset) -> bytes:
    blocks = b""
    if coreset.labels is not None and coreset.target_type != NUMERIC:
        classes, counts = np.unique(coreset.labels, return_counts=True)
        blocks += block(encode_label_table(classes) + b"".join(varint(int(count)) for count in counts))
    if coreset.feature_names is not None:
        blocks += block(encode_names(coreset.feature_names)[0])
    if coreset.target_type == NUMERIC:
        blocks += EXPONENT.pack(_exponent(coreset))
    return blocks
