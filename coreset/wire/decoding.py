"""Bytes that may be hostile to coresets."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..points import Coreset
from ..quantizers import Quantizer, Shape, quantizer_from_wire
from ..targets import CLASS, NUMERIC
from ..validation import check_count
from .fields import Reader, unseal, varint
from .labels import count_classes, decode_labels
from .layout import (
    DTYPES,
    EXPONENT,
    HAS_LABELS,
    HAS_NAMES,
    HAS_SOURCE_ZSTD,
    HAS_TARGET,
    KNOWN_FLAGS,
    LEAST_EXPONENT,
    MAGIC,
    MOST_EXPONENT,
    NO_TOTAL,
    NUMBERS,
    SHORT,
    SHORT_NUMBERS,
    SQUEEZED_NAMES,
    TOTAL,
    VERSION,
)
from .names import decode_names, held_bytes
from .rough import from_leading_half, from_rough
from .weights import decode_weights

DEFAULT_MAX_OUTPUT_BYTES = 1 << 30
_LEAST_FOR_NAMES = 1 << 20


def decode(message: bytes, *, max_output_bytes: int = DEFAULT_MAX_OUTPUT_BYTES) -> Coreset:
    """Read one message, or several one after the other, which are merged.

    Parameters
    ----------
    message : bytes-like
        May come from anywhere: it is checked before it is believed.
    max_output_bytes : int, default=2**30
        The most bytes that the decoded points, weights and labels may take, and names of columns besides, which may
        always take a megabyte; a message that says more is refused before anything of that size is allocated. Some 60
        bytes can stand for a table of this size, which takes about two seconds at the default; for less, lower it.

    Returns
    -------
    Coreset

    Raises
    ------
    ValueError
        When the bytes are truncated, corrupt, of an unknown version, or larger than allowed when decoded.
    TypeError
        When `message` is not bytes-like, or `max_output_bytes` no integer.
    """
    coresets = []
    left = check_count("max_output_bytes", max_output_bytes, 0)
    left_for_names = max(left, _LEAST_FOR_NAMES)
    for body, _ in _bodies(_as_bytes(message)):
        coresets.append(_decode_body(Reader(body), left, left_for_names))
        left -= coresets[-1].nbytes
        left_for_names -= held_bytes(coresets[-1].feature_names or ())
    return coresets[0] if len(coresets) == 1 else merge_within(coresets, max_output_bytes)


def _as_bytes(message: object) -> bytes:
    try:
        return bytes(memoryview(message))  # type: ignore[arg-type]
    except TypeError as error:
        raise TypeError(
            f"message is a {type(message).__name__}, not bytes; Path(...).read_bytes() reads a file"
        ) from error


def merge_within(coresets: list[Coreset], max_output_bytes: int = DEFAULT_MAX_OUTPUT_BYTES) -> Coreset:
    """Merge, unless the result would take more than `max_output_bytes`.

    Raises
    ------
    ValueError
        When it would, or when the coresets do not fit together.
    """
    label_bytes = max(0 if c.labels is None else c.labels.itemsize for c in coresets)
    output = sum(c.points.nbytes + c.weights.nbytes + label_bytes * len(c) for c in coresets)
    if output > max_output_bytes:
        raise ValueError(f"the merged messages take {output} bytes, max_output_bytes is {max_output_bytes}")
    return Coreset.merge(*coresets)


def inspect(message: bytes) -> list[dict[str, Any]]:
    """What messages say of themselves, without decoding their points.

    Parameters
    ----------
    message : bytes-like
        One message, or several one after the other.

    Returns
    -------
    list of dict
        One a message: ``n_points``, ``n_features``, ``n_source``, ``source_dtype``, ``source_zstd_bytes``,
        ``target_type``, ``n_classes``, ``quantizer``, ``message_bytes`` and ``parts``, which has the bytes of each part
        by name. A block's length counts in the block; ``header`` is all that is in no block.

    Raises
    ------
    ValueError
        When the bytes are truncated, corrupt, or of an unknown version.
    """
    return [
        {
            "n_points": fields.shape[0],
            "n_features": fields.shape[1],
            "n_source": fields.n_source,
            "source_dtype": fields.source_dtype,
            "source_zstd_bytes": fields.source_zstd_bytes,
            "target_type": fields.target_type,
            "n_classes": 0 if fields.labels is None else count_classes(fields.labels, fields.shape[0]),
            "quantizer": fields.quantizer,
            "message_bytes": size,
            "parts": _part_sizes(fields, size),
        }
        for body, size in _bodies(_as_bytes(message))
        for fields in [_read_fields(Reader(body))]
    ]


def _bodies(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Body and size of each message, after its magic, version and checksum were checked."""
    if not data:
        raise ValueError("message is empty")
    reader = Reader(data)
    while reader.position < len(data):
        start = reader.position
        if reader.take(4, "the magic") != MAGIC:
            raise ValueError(f"message does not begin with {MAGIC!r} at byte {start}")
        (version,) = reader.take(1, "the version")
        if version != VERSION:
            raise ValueError(f"message has version {version}, this library reads {VERSION}")
        body = reader.block("the body")
        reader.take(4, "the checksum")
        unseal(data[start : reader.position])
        yield body, reader.position - start


@dataclasses.dataclass(frozen=True)
class _Fields:
    """A body taken apart, its blocks still encoded."""

    shape: Shape
    n_source: int
    source_dtype: np.dtype[Any]
    source_zstd_bytes: int | None
    total_weight: float
    offset: float
    max_displacement: float
    total_displacement: float
    weights: bytes
    labels: bytes | None
    names: bytes | None
    names_are_squeezed: bool
    exponent: int | None
    quantizer: Quantizer
    points: bytes

    @property
    def output_bytes(self) -> int:
        """Bytes that points, weights and a numeric target take once decoded."""
        return 8 * self.shape[0] * (self.shape[1] + 1 + (self.exponent is not None))

    @property
    def target_type(self) -> str | None:
        """What the labels are."""
        if self.exponent is not None:
            return NUMERIC
        return None if self.labels is None else CLASS


def _part_sizes(fields: _Fields, message_bytes: int) -> dict[str, int]:
    """Bytes of the header and of every block, whatever blocks there are."""
    blocks = {field.name: getattr(fields, field.name) for field in dataclasses.fields(fields)}
    sizes = {name: len(varint(len(data))) + len(data) for name, data in blocks.items() if isinstance(data, bytes)}
    return {"header": message_bytes - sum(sizes.values()), **sizes}


def _read_fields(reader: Reader) -> _Fields:
    flags, dtype = reader.take(2, "the flags")
    if flags & ~KNOWN_FLAGS or dtype >= len(DTYPES):
        raise ValueError(f"message is corrupt: flags {flags} or dtype {dtype} is unknown")
    if flags & SQUEEZED_NAMES and not flags & HAS_NAMES:
        raise ValueError(f"message is corrupt: flags {flags} say that it has no names and that they are squeezed")
    if flags & HAS_LABELS and flags & HAS_TARGET:
        raise ValueError(f"message is corrupt: flags {flags} say that it has labels and a numeric target")
    n_source, n_points, n_features = (reader.varint(what) for what in ("n_source", "n_points", "n_features"))
    source_zstd_bytes = reader.varint("the source's size after zstd") if flags & HAS_SOURCE_ZSTD else None
    if n_points < 1 or n_features < 1:
        raise ValueError(f"message is corrupt: it says that it holds {n_points} points of {n_features} features")
    total = n_source if flags & NO_TOTAL else TOTAL.unpack(reader.take(TOTAL.size, "the total weight"))[0]
    offset, largest, displacement = _read_numbers(reader, short=bool(flags & SHORT_NUMBERS))
    if not (math.isfinite(total) and total >= 0):
        raise ValueError(f"message is corrupt: its total weight is {total}")
    weights = reader.block("the weights")
    labels = reader.block("the labels") if flags & HAS_LABELS else None
    names = reader.block("the feature names") if flags & HAS_NAMES else None
    exponent = EXPONENT.unpack(reader.take(EXPONENT.size, "the target's exponent"))[0] if flags & HAS_TARGET else None
    if exponent is not None and not LEAST_EXPONENT <= exponent <= MOST_EXPONENT:
        raise ValueError(f"message is corrupt: the exponent of its target is {exponent}")
    quantizer = quantizer_from_wire(reader.take(1, "the quantizer")[0], reader.take(2, "its configuration"))
    points = reader.block("the points")
    reader.end("the points")
    return _Fields(
        shape=(n_points, n_features),
        n_source=n_source,
        source_dtype=np.dtype(DTYPES[dtype]),
        source_zstd_bytes=source_zstd_bytes,
        total_weight=float(total),
        offset=offset,
        max_displacement=largest,
        total_displacement=displacement,
        weights=weights,
        labels=labels,
        names=names,
        names_are_squeezed=bool(flags & SQUEEZED_NAMES),
        exponent=exponent,
        quantizer=quantizer,
        points=points,
    )


def _read_numbers(reader: Reader, *, short: bool) -> tuple[float, float, float]:
    """Offset, and the largest and the total displacement."""
    if short:
        offset, largest, displacement = SHORT.unpack(reader.take(SHORT.size, "the totals"))
        return from_leading_half(offset), from_rough(largest), from_rough(displacement)
    offset, largest, displacement = NUMBERS.unpack(reader.take(NUMBERS.size, "the totals"))
    return offset, largest, displacement


def _decode_body(reader: Reader, budget: int, names_budget: int) -> Coreset:
    fields = _read_fields(reader)
    n_points, n_features = fields.shape
    left = budget - fields.output_bytes
    if left < 0:
        raise ValueError(f"decoding takes {fields.output_bytes} bytes, max_output_bytes leaves {budget}")
    labels = None if fields.labels is None else decode_labels(fields.labels, n_points, left)
    names = None
    if fields.names is not None:
        names = decode_names(fields.names, n_features, squeezed=fields.names_are_squeezed, most_bytes=names_budget)
    # Checksums stop accidents, not malice: hostile ranges may overflow, and Coreset refuses what is not finite.
    with np.errstate(all="ignore"):
        columns = fields.quantizer.decode(fields.points, (n_points, n_features + (fields.exponent is not None)))
        if fields.exponent is not None:
            labels = np.ldexp(columns[:, -1], -fields.exponent)
        weights = decode_weights(fields.weights, n_points, fields.total_weight)
    return Coreset(
        columns[:, :n_features],
        weights,
        labels=labels,
        offset=fields.offset,
        max_displacement=fields.max_displacement,
        total_displacement=fields.total_displacement,
        n_source=fields.n_source,
        source_dtype=fields.source_dtype,
        source_zstd_bytes=fields.source_zstd_bytes,
        feature_names=names,
        target_type=fields.target_type,
        label_scale=None if fields.exponent is None else math.ldexp(1.0, fields.exponent),
    )
