"""Class labels as a table of classes and a count of each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .fields import Reader, varint
from .names import decode_text, encode_texts


def _zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1


def _unzigzag(value: int) -> int:
    return value >> 1 if value % 2 == 0 else -(value + 1 >> 1)


def encode_label_table(classes: NDArray[Any], *, listed: bool = False) -> bytes:
    """Kind of label, number of classes and the classes; a count for each follows.

    Integers that follow each other are told by the first, unless they are to be listed. The table of a part of the
    classes is no longer than the list of all.
    """
    kind = {"b": b"b", "i": b"i", "u": b"i", "f": b"f", "U": b"U"}[classes.dtype.kind]
    head = kind + varint(len(classes))
    if kind == b"U":
        return head + encode_texts(classes.tolist())
    if kind == b"f":
        return head + classes.astype("<f8").tobytes()
    if len(classes) and not -(2**61) <= int(classes[0]) <= int(classes[-1]) < 2**61:
        raise ValueError(f"labels {classes[0]} to {classes[-1]} are too large: their size must stay below 2**61")
    if kind == b"i" and len(classes) > 1 and int(classes[-1]) - int(classes[0]) == len(classes) - 1 and not listed:
        return b"r" + varint(len(classes)) + varint(_zigzag(int(classes[0])))
    return head + b"".join(varint(_zigzag(int(value))) for value in classes)


def count_classes(data: bytes, n_points: int) -> int:
    """Number of classes that a block of labels begins with.

    Raises
    ------
    ValueError
        When there are none, or more than points.
    """
    reader = Reader(data)
    reader.take(1, "the labels")
    return _read_count(reader, n_points)


def _read_count(reader: Reader, n_points: int) -> int:
    n_classes = reader.varint("the number of classes")
    if not 1 <= n_classes <= n_points:
        raise ValueError(f"message is corrupt: {n_classes} classes for {n_points} points")
    return n_classes


def decode_labels(data: bytes, n_points: int, budget: int) -> NDArray[Any]:
    """Label of every point.

    Raises
    ------
    ValueError
        When the bytes are corrupt, or the labels would take more than `budget` bytes.
    """
    reader = Reader(data)
    kind = reader.take(1, "the labels")
    _check_room(8 * n_points, budget)
    n_classes = _read_count(reader, n_points)
    if kind == b"U":
        texts = [decode_text(reader, "a label") for _ in range(n_classes)]
        # NumPy gives every string the room of the longest, so that one long label would multiply.
        _check_room(4 * max(map(len, texts)) * n_points, budget)
        classes = np.array(texts)
    elif kind == b"f":
        classes = np.frombuffer(reader.take(8 * n_classes, "the labels"), "<f8").astype(np.float64)
    elif kind == b"r":
        first = _unzigzag(reader.varint("a label"))
        if first + n_classes > 2**61:
            raise ValueError(f"message is corrupt: {n_classes} labels from {first} on are too large")
        classes = first + np.arange(n_classes)
    elif kind in (b"i", b"b"):
        classes = np.array([_unzigzag(reader.varint("a label")) for _ in range(n_classes)], dtype=np.int64)
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


def _check_room(output: int, budget: int) -> None:
    if output > budget:
        raise ValueError(f"decoding the labels takes {output} bytes, max_output_bytes leaves {budget}")
