"""The format as docs/format.md tells it: a parser written from that page alone reads the stored messages."""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coreset import Coreset, UniformQuantizer, decode, encode

from .page_bytes import Bytes, Coder
from .page_context import context

FIXTURES = Path(__file__).parent / "messages"
STORED = sorted(FIXTURES.glob("v1-*.cset"))


def parsed(message: bytes) -> dict[str, Any]:
    assert zlib.crc32(message[:-4]) == int.from_bytes(message[-4:], "little")
    envelope = Bytes(message[:-4])
    assert envelope.take(4) == b"CSET"
    assert envelope.unpack("B") == 1
    body = envelope.block()
    assert not envelope.data
    flags, source_type, rows, m, d = body.unpack("B"), body.unpack("B"), body.varint(), body.varint(), body.varint()
    if flags & 16:
        body.varint()
    total = float(rows) if flags & 32 else body.unpack("d")
    if flags & 8:
        fields = [("<d", bytes(4) + body.take(4)), ("<f", bytes(2) + body.take(2)), ("<f", bytes(2) + body.take(2))]
        numbers = [struct.unpack(form, data)[0] for form, data in fields]
    else:
        numbers = [body.unpack("d"), body.unpack("f"), body.unpack("f")]
    weights = weights_of(body.block(), m, total)
    labels = labels_of(body.block()) if flags & 1 else None
    names = names_of(body.block(), d, squeezed=bool(flags & 64)) if flags & 2 else None
    exponent = body.unpack("h") if flags & 4 else None
    codec, configuration, block = body.unpack("B"), body.take(2), body.block()
    assert not body.data
    point_block = block.data
    columns = {1: rounding, 2: uniform, 3: context}[codec](block, configuration, m, d + (exponent is not None))
    assert not block.data
    points = [row[:d] for row in columns]
    if exponent is not None:
        labels = [row[d] * 2.0**-exponent for row in columns]
    return {
        "source_type": source_type,
        "rows": rows,
        "point_block": point_block,
        "points": points,
        "weights": weights,
        "labels": labels,
        "names": names,
        "numbers": numbers,
    }


def weights_of(block: Bytes, m: int, total: float) -> list[float]:
    head = block.unpack("B")
    if head == 0:
        assert not block.data
        return [total / m] * m
    width, zero = head & 31, int(head & 128 > 0)
    ratio = block.unpack("H") / 32 if head & 64 else block.unpack("d")
    codes = entropy_coded(block, m, width) if head & 32 else block.codes(m, width)
    assert not block.data
    levels = max(2**width - 1 - zero, 1)
    relative = [0.0 if zero and c == 0 else math.exp((c - zero) * ratio / levels - ratio) for c in codes]
    return [total / math.fsum(relative) * r for r in relative]


def entropy_coded(block: Bytes, m: int, width: int) -> list[int]:
    coder, seen, codes = Coder(block, m * width), dict[str, int](), list[str]()
    while len(codes) < m:
        batch = [""] * min(max(4, len(codes) // 2), m - len(codes))
        for _ in range(width):
            ones = [(5 * seen.get(b + "1", 0) + 2) * 4096 // (5 * seen.get(b, 0) + 4) for b in batch]
            run = coder.run([min(max(one, 1), 4095) for one in ones])
            batch = [b + bit for b, bit in zip(batch, run, strict=True)]
        for code in batch:
            for depth in range(width + 1):
                seen[code[:depth]] = seen.get(code[:depth], 0) + 1
        codes += batch
    coder.end()
    return [int(code, 2) for code in codes]


def labels_of(block: Bytes) -> list[Any]:
    kind, n_classes = block.take(1), block.varint()
    if kind == b"r":
        first = block.zigzag()
        values: list[Any] = [first + i for i in range(n_classes)]
    else:
        read = {
            b"i": block.zigzag,
            b"b": lambda: bool(block.zigzag()),
            b"f": lambda: block.unpack("d"),
            b"U": lambda: block.block().data.decode(),
        }[kind]
        values = [read() for _ in range(n_classes)]
    labels = [value for value in values for _ in range(block.varint())]
    assert not block.data
    return labels


def names_of(block: Bytes, d: int, *, squeezed: bool) -> list[str]:
    if not squeezed:
        return [block.block().data.decode() for _ in range(d)]
    inflated, names = Bytes(zlib.decompress(block.data, wbits=-15)), []
    for _ in range(d):
        length = inflated.varint()
        if length:
            names.append(inflated.take(length - 1).decode())
        else:
            end = names[-1][-18:]
            digits = end[len(end.rstrip("0123456789")) :]
            names.append(names[-1][: -len(digits)] + str(int(digits) + 1).zfill(len(digits)))
    return names


def uniform(block: Bytes, configuration: bytes, m: int, n_columns: int) -> list[list[float]]:
    bits, scope = configuration
    form = "d" if block.unpack("B") else "f"
    varying = [j for j, varies in enumerate(block.codes(n_columns, 1)) if varies]
    if scope == 0:
        low = [block.unpack(form) for _ in range(n_columns)]
        high = dict(zip(varying, [block.unpack(form) for _ in varying], strict=True))
        constant = dict(enumerate(low))
        codes = block.codes(m * len(varying), bits)
    else:
        first, last = block.unpack(form), block.unpack(form)
        low, high = [first] * n_columns, dict.fromkeys(varying, last)
        still = [j for j in range(n_columns) if j not in varying]
        codes = block.codes(len(still) + m * len(varying), bits)
        shares = [code / (2**bits - 1) for code in codes[: len(still)]]
        constant = {j: first * (1 - share) + last * share for j, share in zip(still, shares, strict=True)}
        codes = codes[len(still) :]
    rows = []
    for i in range(m):
        row = [constant.get(j, 0.0) for j in range(n_columns)]
        for place, j in enumerate(varying):
            share = codes[i * len(varying) + place] / (2**bits - 1)
            row[j] = low[j] * (1 - share) + high[j] * share
        rows.append(row)
    return rows


def rounding(block: Bytes, configuration: bytes, m: int, n_columns: int) -> list[list[float]]:
    significant, layout = configuration
    if layout == 1:
        leading = block.codes(m * n_columns, 12 + significant)
    else:
        low, exponent_bits, sign_bits = block.unpack("H"), block.unpack("B"), block.unpack("B")
        width = sign_bits + exponent_bits + significant
        leading = []
        for code in block.codes(m * n_columns, width) if exponent_bits else [0] * (m * n_columns):
            sign = code >> (exponent_bits + significant)
            exponent = code >> significant & (2**exponent_bits - 1)
            significand = code & (2**significant - 1)
            biased = exponent + low - 1 if exponent else 0
            bits = (sign << 11 | biased) << significant | significand
            leading.append(bits if exponent else 0)
    values = [struct.unpack("<d", struct.pack("<Q", bits << (52 - significant)))[0] for bits in leading]
    return [values[i * n_columns : (i + 1) * n_columns] for i in range(m)]


def check_points(read: Any, expected: Any, *, corrected: bool = False, spaced: bool = False) -> None:
    """Equal, but where the page says that values are fixed but for their last digits."""
    tolerance = 1e-6 * np.ptp(expected) if corrected else 1e-15 * np.abs(expected).max(axis=0) if spaced else 0
    assert (np.abs(np.array(read) - expected) <= tolerance).all()


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_the_page_is_enough_to_read_stored_messages(path):
    expected, read = np.load(path.with_suffix(".npz")), parsed(path.read_bytes())
    check_points(read["points"], expected["points"], corrected="corrected" in path.stem, spaced="spaced" in path.stem)
    np.testing.assert_allclose(read["weights"], expected["weights"], rtol=1e-12)
    np.testing.assert_array_equal(read["labels"], expected["labels"])
    np.testing.assert_array_equal(read["numbers"], expected["numbers"])
    assert read["names"] == (expected["names"].tolist() if "names" in expected else list("abc"))


@pytest.mark.parametrize(("n_points", "many"), [(200, False), (3000, True)])
def test_the_page_is_enough_for_one_state_and_for_many(n_points, many, rng, monkeypatch):
    made, begin = [], Coder.__init__
    monkeypatch.setattr(Coder, "__init__", lambda self, *given: (begin(self, *given), made.append(self.lanes))[0])
    coreset = Coreset(rng.normal(size=(n_points, 2)), rng.integers(1, 9, n_points) ** 2.0)
    message = encode(coreset, UniformQuantizer(8))
    read, received = parsed(message), decode(message)
    assert [lanes > 1 for lanes in made] == [many]
    np.testing.assert_array_equal(read["points"], received.points)
    np.testing.assert_allclose(read["weights"], received.weights, rtol=1e-12)


def test_both_plain_codecs_and_every_scope_and_layout_are_among_them():
    stems = {path.stem for path in STORED}
    assert {"v1-uniform-column", "v1-uniform-table", "v1-rounding-packed", "v1-rounding-paper"} <= stems
    assert {"v1-short-rows", "v1-squeezed-names", "v1-numeric-uniform-column"} <= stems
