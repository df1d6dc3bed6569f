"""The message: a coreset and a quantizer to bytes, and back from bytes that may be hostile.

Layout of version 1, little-endian; a varint is unsigned LEB128, a block is a varint length and that many bytes::

    magic "CSET" | version, 1 byte | varint length of the body | body | CRC-32 of all before it, 4 bytes

    body: flags, 1 byte (1 labels, 2 feature names) | source dtype, 1 byte | varint n_source | varint n_points
          | varint n_features | total weight, float64 | offset, float64 | max and total displacement, 2 float32
          | block of weights | block of labels, if flagged | block of names, if flagged
          | quantizer, 1 byte | its configuration, 2 bytes | block of points

Points stand grouped by label, in ascending order, so that labels cost a count a class. There is no pickle in it.
"""

from __future__ import annotations

import dataclasses
import math
import struct
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .clustering import seed_centers
from .nearest import clustering_cost, squared_distances_to
from .points import Coreset, as_labels
from .quantizers import Quantizer, Shape, pack_bits, packed_size, quantizer_from_wire, unpack_bits

MAGIC = b"CSET"
VERSION = 1
DEFAULT_MAX_OUTPUT_BYTES = 1 << 30

_NUMBERS = struct.Struct("<ddff")  # total weight, offset, max displacement, total displacement
_RATIO = struct.Struct("<d")
_HAS_LABELS, _HAS_NAMES = 1, 2
_MAX_WEIGHT_BITS = 8
_WEIGHT_TOLERANCE = math.log(1.01)
_CALIBRATION_CENTERS = 16
# Positions are for ever; a type that is not listed travels as float64.
_DTYPES = ("<f8", "<f4", "<f2", "|u1", "|i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8", "|b1")


class Reader:
    """Takes fields off the front of bytes that may be hostile; every read is bounded by what is there."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def take(self, length: int, what: str) -> bytes:
        """The next `length` bytes.

        Raises
        ------
        ValueError
            When fewer are left.
        """
        if length > len(self.data) - self.position:
            raise ValueError(
                f"message is truncated: {what} takes {length} bytes, {len(self.data) - self.position} are left"
            )
        self.position += length
        return self.data[self.position - length : self.position]

    def varint(self, what: str) -> int:
        """The next unsigned LEB128 number, below 2**63.

        Raises
        ------
        ValueError
            When it does not end in nine bytes.
        """
        value = 0
        for shift in range(0, 63, 7):
            (octet,) = self.take(1, what)
            value |= (octet & 127) << shift
            if octet < 128:
                return value
        raise ValueError(f"message is corrupt: {what} is no number below 2**63")

    def block(self, what: str) -> bytes:
        """The next length-prefixed block."""
        return self.take(self.varint(f"the length of {what}"), what)

    def end(self, what: str) -> None:
        """Check that nothing is left.

        Raises
        ------
        ValueError
            When something is.
        """
        if self.position != len(self.data):
            raise ValueError(f"message is corrupt: {len(self.data) - self.position} bytes are left over after {what}")


def varint(value: int) -> bytes:
    """Unsigned LEB128 bytes of a number from 0 to 2**63 - 1."""
    octets = bytearray()
    while value > 127:
        octets.append(value & 127 | 128)
        value >>= 7
    octets.append(value)
    return bytes(octets)


def block(data: bytes) -> bytes:
    """The data after a varint of its length."""
    return varint(len(data)) + data


def seal(data: bytes) -> bytes:
    """The data and its CRC-32."""
    return data + zlib.crc32(data).to_bytes(4, "little")


def unseal(data: bytes) -> bytes:
    """Inverse of `seal`.

    Raises
    ------
    ValueError
        When the checksum does not match.
    """
    if len(data) < 4 or zlib.crc32(data[:-4]) != int.from_bytes(data[-4:], "little"):
        raise ValueError("message is corrupt: its checksum does not match")
    return data[:-4]


def encode(coreset: Coreset, quantizer: Quantizer) -> bytes:
    """Write a coreset as one message.

    What travels: points as the quantizer rounds them, weights in at most 8 bits each on a logarithmic scale with their
    total exact, labels, feature names, the source's row count and dtype, offset and certificate. Spread and sample
    indices stay behind; the receiver uses the one spread that the offset implies. The offset is chosen such that the
    decoded k-means cost equals the coreset's on 16 centres spread over the points, since rounding alone would bias
    it; the certificate is widened by what quantization and lossy weights add (ours).

    Parameters
    ----------
    coreset : Coreset
    quantizer : Quantizer

    Returns
    -------
    bytes
        ``encoded_size(coreset, quantizer)`` of them. Points come back grouped by label.

    Raises
    ------
    ValueError
        When the quantizer cannot express a point.

    Examples
    --------
    >>> import numpy as np
    >>> from coreset import RobustCoreset, UniformQuantizer, decode, encode
    >>> X = np.random.default_rng(0).normal(size=(500, 4))
    >>> summary = RobustCoreset(n_points=20, random_state=0).fit(X).coreset_
    >>> message = encode(summary, UniformQuantizer(bits=4))
    >>> len(message)
    147
    >>> decode(message).total_weight
    500.0
    """
    _check_quantizer(quantizer)
    ordered = _grouped_by_label(coreset)
    point_block = quantizer.encode(ordered.points)
    weight_block = _encode_weights(ordered.weights)
    shape = (len(ordered), ordered.n_features)
    received = _decode_weights(weight_block, len(ordered), ordered.total_weight)
    numbers = _numbers_after(ordered, quantizer.decode(point_block, shape), received)
    body = (
        _body_head(ordered)
        + _NUMBERS.pack(*numbers)
        + block(weight_block)
        + _label_and_name_blocks(ordered)
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
        When the quantizer cannot express a point.
    """
    _check_quantizer(quantizer)
    ordered = _grouped_by_label(coreset)
    return _message_size(
        len(_body_head(ordered)),
        len(_encode_weights(ordered.weights)),
        len(_label_and_name_blocks(ordered)),
        quantizer.encoded_size(ordered.points),
    )


def max_encoded_size(
    shape: Shape,
    quantizer: Quantizer,
    *,
    classes: ArrayLike | None = None,
    feature_names: Sequence[str] | None = None,
    n_source: int = 2**63 - 1,
) -> int:
    """Bound on the size of every message of a given shape.

    Parameters
    ----------
    shape : tuple of int
        Points and features.
    quantizer : Quantizer
    classes : array-like, optional
        All class labels that can occur; leave out for messages without labels.
    feature_names : sequence of str, optional
        Leave out for messages without names.
    n_source : int, optional
        The most rows that the message can stand for.

    Returns
    -------
    int
        Bytes; no message is larger.

    Raises
    ------
    ValueError
        When the shape is not positive.

    Examples
    --------
    >>> from coreset import UniformQuantizer, max_encoded_size
    >>> max_encoded_size((20, 4), UniformQuantizer(bits=4))
    188
    """
    _check_quantizer(quantizer)
    n_points, n_features = shape
    if n_points < 1 or n_features < 1:
        raise ValueError(f"shape={shape} must be positive")
    head = 2 + sum(len(varint(value)) for value in (n_source, n_points, n_features))
    tables = 0
    if classes is not None:
        table = _encode_label_table(np.unique(as_labels(classes, "classes")))
        n_classes = len(np.unique(np.asarray(classes)))
        tables += len(block(bytes(len(table) + n_classes * len(varint(n_points)))))
    if feature_names is not None:
        tables += len(block(_encode_names(feature_names)))
    weights = 1 + _RATIO.size + packed_size(n_points, _MAX_WEIGHT_BITS)
    return _message_size(head, weights, tables, quantizer.max_encoded_size(shape))


def decode(message: bytes, *, max_output_bytes: int = DEFAULT_MAX_OUTPUT_BYTES) -> Coreset:
    """Read one message, or several one after the other, which are merged.

    Parameters
    ----------
    message : bytes-like
        May come from anywhere: it is checked before it is believed.
    max_output_bytes : int, default=2**30
        The most bytes that the decoded points, weights and labels may take; a message that says more is refused before
        anything of that size is allocated.

    Returns
    -------
    Coreset

    Raises
    ------
    ValueError
        When the bytes are truncated, corrupt, of an unknown version, or larger than allowed when decoded.
    TypeError
        When `message` is not bytes-like.
    """
    coresets = []
    budget = max_output_bytes
    for body, _ in _bodies(bytes(memoryview(message))):
        coreset, used = _decode_body(Reader(body), budget)
        budget -= used
        coresets.append(coreset)
    return coresets[0] if len(coresets) == 1 else Coreset.merge(*coresets)


def inspect(message: bytes) -> list[dict[str, Any]]:
    """What messages say of themselves, without decoding their points.

    Parameters
    ----------
    message : bytes-like
        One message, or several one after the other.

    Returns
    -------
    list of dict
        One a message: ``n_points``, ``n_features``, ``n_source``, ``quantizer`` and ``message_bytes``.

    Raises
    ------
    ValueError
        When the bytes are truncated, corrupt, or of an unknown version.
    """
    return [
        {
            "n_points": fields["shape"][0],
            "n_features": fields["shape"][1],
            "n_source": fields["n_source"],
            "quantizer": fields["quantizer"],
            "message_bytes": size,
        }
        for body, size in _bodies(bytes(memoryview(message)))
        for fields in [_decode_fields(Reader(body), sys.maxsize)]
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


def _check_quantizer(quantizer: object) -> None:
    if not isinstance(quantizer, Quantizer):
        raise TypeError(f"quantizer={quantizer!r} is no Quantizer")


def _grouped_by_label(coreset: Coreset) -> Coreset:
    if coreset.labels is None or (coreset.labels[:-1] <= coreset.labels[1:]).all():
        return coreset
    order = np.argsort(coreset.labels, kind="stable")
    return dataclasses.replace(
        coreset,
        points=coreset.points[order],
        weights=coreset.weights[order],
        labels=coreset.labels[order],
        spread=None if coreset.spread is None else coreset.spread[order],
        sample_indices=None,
    )


def _message_size(head: int, weights: int, tables: int, points: int) -> int:
    body = head + _NUMBERS.size + len(varint(weights)) + weights + tables + 3 + len(varint(points)) + points
    return len(MAGIC) + 1 + len(varint(body)) + body + 4


def _body_head(coreset: Coreset) -> bytes:
    flags = (_HAS_LABELS if coreset.labels is not None else 0) | (
        _HAS_NAMES if coreset.feature_names is not None else 0
    )
    code = coreset.source_dtype.newbyteorder("<").str
    dtype = _DTYPES.index(code) if code in _DTYPES else 0
    counts = (coreset.n_source or 0, len(coreset), coreset.n_features)
    return bytes([flags, dtype]) + b"".join(varint(count) for count in counts)


def _numbers_after(
    coreset: Coreset, points: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[float, float, float, float]:
    """Total weight, offset and certificate of what the receiver will hold."""
    with np.errstate(over="ignore"):
        reach = float(np.square(coreset.points - coreset.points[0]).sum(axis=1).max()) * coreset.total_weight
    if not math.isfinite(4 * reach):
        low, high = coreset.points.min(), coreset.points.max()
        raise ValueError(f"points spans {low:g} to {high:g}: their squared distances overflow")
    moved = np.sqrt(squared_distances_to(coreset.points, points))
    # Mass that lossy weights move travels at most the diameter, which is at most twice the radius about the mean.
    diameter = 2 * math.sqrt(squared_distances_to(points, points.mean(axis=0)).max())
    shifted = 0.5 * float(np.abs(coreset.weights - weights).sum()) * diameter
    total = coreset.total_displacement + float(coreset.weights @ moved) + shifted
    largest = coreset.max_displacement + float(moved.max())
    offset = _calibrated_offset(coreset, points, weights)
    return coreset.total_weight, offset, _round_up(largest), _round_up(total)


def _calibrated_offset(coreset: Coreset, points: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    used = np.flatnonzero(coreset.weights)
    if len(used) == 0:
        return coreset.offset
    rng = np.random.default_rng(0)  # the message is a function of the coreset alone
    original, masses = coreset.points[used], coreset.weights[used]
    centers = original[seed_centers(original, masses, _CALIBRATION_CENTERS, rng)]
    return coreset.offset + clustering_cost(original, centers, masses) - clustering_cost(points, centers, weights)


def _round_up(value: float) -> float:
    if not math.isfinite(value) or value > float(np.finfo(np.float32).max):
        return math.nan
    narrow = np.float32(value)
    return float(narrow if narrow >= value else np.nextafter(narrow, np.float32(np.inf)))


def _encode_weights(weights: NDArray[np.float64]) -> bytes:
    """Bits a weight and zero flag in one byte; then the logarithm of the largest ratio; then codes on a log scale."""
    positive = weights > 0
    if not positive.any() or (weights == weights[0]).all():
        return bytes([0])
    logs = np.log(weights[positive])
    logs -= logs.min()
    ratio = float(logs.max())
    zeros = int(not positive.all())
    for bits in range(1, _MAX_WEIGHT_BITS + 1):
        levels = 2**bits - 1 - zeros
        if levels == 0 and ratio > 0:
            continue
        codes = np.rint(logs * (levels / ratio)) if ratio > 0 else np.zeros_like(logs)
        if ratio == 0 or np.abs(codes * (ratio / levels) - logs).max() <= _WEIGHT_TOLERANCE:
            break
    stream = np.zeros(len(weights), dtype=np.uint64)
    stream[positive] = codes.astype(np.uint64) + np.uint64(zeros)
    return bytes([bits | zeros << 7]) + _RATIO.pack(ratio) + pack_bits(stream, bits)


def _decode_weights(data: bytes, n_points: int, total: float) -> NDArray[np.float64]:
    reader = Reader(data)
    (head,) = reader.take(1, "the weights")
    bits, zeros = head & 127, head >> 7
    if bits == 0:
        reader.end("equal weights")
        return np.full(n_points, total / n_points)
    if bits > _MAX_WEIGHT_BITS:
        raise ValueError(f"message is corrupt: {bits} bits a weight are more than {_MAX_WEIGHT_BITS}")
    (ratio,) = _RATIO.unpack(reader.take(_RATIO.size, "the weights"))
    if not 0 <= ratio <= 1500:  # the logarithm of the largest double over the smallest is 1454.9
        raise ValueError(f"message is corrupt: the logarithm of the weights' ratio is {ratio}")
    codes = unpack_bits(data[reader.position :], n_points, bits).astype(np.float64)
    levels = max(2**bits - 1 - zeros, 1)
    # The largest weight is one, so that nothing overflows; the total scales them all.
    weights = np.exp((codes - zeros) * (ratio / levels) - ratio)
    if zeros:
        weights[codes == 0] = 0.0
    mass = weights.sum()
    if not mass > 0:
        raise ValueError("message is corrupt: no weight is positive")
    weights *= total / mass
    heaviest = int(weights.argmax())
    for _ in range(2):  # what rounding left of the total goes to one weight, which can round again
        weights[heaviest] += math.fsum([total, *-weights])
    return weights


def _label_and_name_blocks(coreset: Coreset) -> bytes:
    blocks = b""
    if coreset.labels is not None:
        classes, counts = np.unique(coreset.labels, return_counts=True)
        blocks += block(_encode_label_table(classes) + b"".join(varint(int(count)) for count in counts))
    if coreset.feature_names is not None:
        blocks += block(_encode_names(coreset.feature_names))
    return blocks


def _zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1


def _encode_label_table(classes: NDArray[Any]) -> bytes:
    """Kind of label, number of classes and the classes; a count for each follows."""
    kind = {"b": b"b", "i": b"i", "u": b"i", "f": b"f", "U": b"U"}[classes.dtype.kind]
    head = kind + varint(len(classes))
    if kind == b"U":
        return head + _encode_names(classes.tolist())
    if kind == b"f":
        return head + classes.astype("<f8").tobytes()
    if len(classes) and not -(2**61) <= int(classes[0]) <= int(classes[-1]) < 2**61:
        raise ValueError(f"labels {classes[0]} to {classes[-1]} are too large: their size must stay below 2**61")
    return head + b"".join(varint(_zigzag(int(value))) for value in classes)


def _decode_labels(data: bytes, n_points: int, budget: int) -> NDArray[Any]:
    reader = Reader(data)
    kind = reader.take(1, "the labels")
    n_classes = reader.varint("the number of classes")
    if not 1 <= n_classes <= n_points:
        raise ValueError(f"message is corrupt: {n_classes} classes for {n_points} points")
    if kind == b"U":
        texts = [_text(reader.block("a label")) for _ in range(n_classes)]
        # NumPy gives every string the room of the longest, so that one long label would multiply.
        if (output := 4 * max(map(len, texts)) * n_points) > budget:
            raise ValueError(f"decoding the labels takes {output} bytes, max_output_bytes leaves {budget}")
        classes = np.array(texts)
    elif kind == b"f":
        classes = np.frombuffer(reader.take(8 * n_classes, "the labels"), "<f8").astype(np.float64)
    elif kind in (b"i", b"b"):
        raw = [reader.varint("a label") for _ in range(n_classes)]
        classes = np.array([value >> 1 if value % 2 == 0 else -(value + 1 >> 1) for value in raw], dtype=np.int64)
    else:
        raise ValueError(f"message is corrupt: {kind!r} is no kind of label")
    if kind == b"b":
        if not np.isin(classes, (0, 1)).all():
            raise ValueError("message is corrupt: a boolean label is neither 0 nor 1")
        classes = classes.astype(bool)
    counts = [reader.varint("a class's count") for _ in range(n_classes)]
    reader.end("the labels")
    if sum(counts) != n_points:
        raise ValueError(f"message is corrupt: the classes count {sum(counts)} points of {n_points}")
    return np.repeat(classes, counts)


def _encode_names(names: Sequence[str]) -> bytes:
    return b"".join(block(name.encode("utf-8", "surrogatepass")) for name in names)


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        raise ValueError("message is corrupt: a name is no UTF-8") from None


def _decode_names(data: bytes, n_features: int) -> tuple[str, ...]:
    reader = Reader(data)
    names = tuple(_text(reader.block("a feature name")) for _ in range(n_features))
    reader.end("the feature names")
    return names


def _decode_fields(reader: Reader, budget: int) -> dict[str, Any]:
    """Fields of a body, with the blocks still encoded; refuses shapes whose output would exceed `budget` bytes."""
    flags, dtype = reader.take(2, "the flags")
    if flags > (_HAS_LABELS | _HAS_NAMES) or dtype >= len(_DTYPES):
        raise ValueError(f"message is corrupt: flags {flags} or dtype {dtype} is unknown")
    n_source, n_points, n_features = (reader.varint(what) for what in ("n_source", "n_points", "n_features"))
    if n_points < 1 or n_features < 1:
        raise ValueError(f"message is corrupt: it says that it holds {n_points} points of {n_features} features")
    output = 8 * n_points * (n_features + 2)  # points, weights, labels
    if output > budget:
        raise ValueError(f"decoding takes {output} bytes, max_output_bytes leaves {budget}")
    numbers = _NUMBERS.unpack(reader.take(_NUMBERS.size, "the totals"))
    if not (math.isfinite(numbers[0]) and numbers[0] >= 0):
        raise ValueError(f"message is corrupt: its total weight is {numbers[0]}")
    fields = {
        "shape": (n_points, n_features),
        "output": output,
        "n_source": n_source,
        "source_dtype": np.dtype(_DTYPES[dtype]),
        "numbers": numbers,
        "weights": reader.block("the weights"),
        "labels": reader.block("the labels") if flags & _HAS_LABELS else None,
        "names": reader.block("the feature names") if flags & _HAS_NAMES else None,
        "quantizer": quantizer_from_wire(reader.take(1, "the quantizer")[0], reader.take(2, "its configuration")),
        "points": reader.block("the points"),
    }
    reader.end("the points")
    return fields


def _decode_body(reader: Reader, budget: int) -> tuple[Coreset, int]:
    fields = _decode_fields(reader, budget)
    n_points, n_features = fields["shape"]
    total, offset, largest, displacement = fields["numbers"]
    read: Callable[[bytes, Shape], NDArray[np.float64]] = fields["quantizer"].decode
    # Checksums stop accidents, not malice: hostile ranges may overflow, and Coreset refuses what is not finite.
    with np.errstate(all="ignore"):
        points = read(fields["points"], fields["shape"])
        weights = _decode_weights(fields["weights"], n_points, total)
    coreset = Coreset(
        points,
        weights,
        labels=None
        if fields["labels"] is None
        else _decode_labels(fields["labels"], n_points, budget - fields["output"]),
        offset=offset,
        max_displacement=largest,
        total_displacement=displacement,
        n_source=fields["n_source"],
        source_dtype=fields["source_dtype"],
        feature_names=None if fields["names"] is None else _decode_names(fields["names"], n_features),
    )
    return coreset, fields["output"]
