"""Codec 3 as docs/format.md tells it: the parser written from that page reads what this library encodes."""

from __future__ import annotations

import decimal
import math
import re
import zlib
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from coreset import ContextQuantizer, Coreset, decode, encode
from coreset.quantizers.masks import packed_masks
from coreset.quantizers.stream import encode_codes

from .page_bytes import Bytes
from .page_codes import CHANCE, LOGIT, Depth, Table
from .page_context import mask, single_table
from .test_format_page import check_points, parsed

PAGE = Path(__file__).parents[2] / "docs" / "format.md"


def one_hot(rng, n):
    """Choices of 1, 2, 4 and 8 bits, two columns that are like each other, and sparse ones."""
    choices = [np.eye(k)[rng.integers(0, k, n)] for k in (2, 3, 5, 20)]
    near = rng.normal(size=(n, 2)) @ [[1.0, 1.0], [0.0, 0.1]]
    return np.concatenate([*choices, near, rng.random((n, 3)) < 0.05], axis=1)


def clusters(rng, n, d, width=0.01):
    return rng.normal(size=(8, d))[rng.integers(0, 8, n)] + rng.normal(0, width, (n, d))


def alike(rng, n, d):
    """Columns that are about equally like each other."""
    return rng.normal(size=(n, 1)) + rng.normal(size=(n, d))


def path(rng, n, d):
    return np.cumsum(rng.normal(size=(n, d)), axis=0) @ rng.normal(size=(d, d))


def repeated(rng, n, d):
    """Many columns, ten of which always are like each other."""
    return np.repeat(rng.normal(size=(n, d)), 10, axis=1)


def digits(n):
    return load_digits().data[:n]


def columns_of_all_kinds(rng, n):
    """A constant that single precision does not hold, zeros, and columns tiny, huge, far from zero and with tails."""
    rows = rng.normal(size=(n, 6)) * [1e-300, 1e-5, 1.0, 1e9, 1e100, 1.0] + [0, 0, 1e6, 0, 0, 0]
    rows[:, 5] = np.exp(3 * rows[:, 5])
    return np.column_stack([np.full(n, 0.1), np.zeros(n), rows])


# A table, the codec and the flags of the block.
FRESH = {
    "packed": (lambda rng: rng.random((30, 5)), ContextQuantizer(7), 0),
    "one point": (lambda rng: rng.random((1, 3)), ContextQuantizer(4), 0),
    "two points": (lambda rng: path(rng, 2, 3), ContextQuantizer(8, "table"), 0),
    "kinds of columns": (lambda rng: columns_of_all_kinds(rng, 150), ContextQuantizer(4), 1),
    "kinds of columns, packed": (lambda rng: columns_of_all_kinds(rng, 12), ContextQuantizer(5), 0),
    "many points of one bit": (lambda rng: path(rng, 5000, 2), ContextQuantizer(1), 1),
    "two bits": (lambda rng: path(rng, 400, 4), ContextQuantizer(2), 1),
    "three bits, table": (lambda rng: path(rng, 300, 4), ContextQuantizer(3, "table"), 1),
    "corrected table": (lambda rng: path(rng, 500, 5), ContextQuantizer(4), 3),
    "corrected, many points": (lambda rng: alike(rng, 1100, 7), ContextQuantizer(2), 3),
    "image, corrected, one bit": (lambda rng: digits(100), ContextQuantizer(1, "table"), 3),
    "image, corrected": (lambda rng: digits(150), ContextQuantizer(2), 3),
    "image of eight bits": (lambda rng: digits(30), ContextQuantizer(8, "table"), 1),
    "centres": (lambda rng: clusters(rng, 300, 8), ContextQuantizer(6), 5),
    "centres, table": (lambda rng: clusters(rng, 300, 6), ContextQuantizer(8, "table"), 5),
    "centres of few bits": (lambda rng: clusters(rng, 120, 10, 0.1), ContextQuantizer(8), 5),
    "centres, five bits": (lambda rng: clusters(rng, 1500, 2), ContextQuantizer(5), 5),
    "choices": (lambda rng: one_hot(rng, 200), ContextQuantizer(5), 9),
    "choices, table, one-hot": (lambda rng: one_hot(rng, 150), ContextQuantizer(3, "table", one_hot=True), 9),
    "choices, corrected": (lambda rng: np.hstack([one_hot(rng, 500), path(rng, 500, 5)]), ContextQuantizer(2), 11),
    "strips": (lambda rng: repeated(rng, 30, 20), ContextQuantizer(1), 1),
    "too wide to learn": (lambda rng: repeated(rng, 8, 110), ContextQuantizer(1, "table"), 1),
    "trailing bits without counts": (lambda rng: repeated(rng, 10, 6), ContextQuantizer(8), 1),
}


@pytest.mark.parametrize("name", FRESH)
def test_the_page_is_enough_to_read_what_is_encoded(name, rng):
    table, codec, flags = FRESH[name]
    points = table(rng)
    message = encode(Coreset(points, np.ones(len(points))), codec)
    read = parsed(message)
    assert read["point_block"][0] == flags
    assert ("image" in name) is (flags > 0 and read["point_block"][1:3] == b"\x08\0")
    spaced = codec.scope == "column" and 2 <= codec.bits <= 5
    check_points(read["points"], decode(message).points, corrected=bool(flags & 2), spaced=spaced)


@pytest.mark.parametrize("labels", ["classes", "numbers"])
def test_the_page_is_enough_for_labels_beside_the_codec(labels, rng):
    points = path(rng, 120, 3)
    given = rng.integers(0, 3, 120) if labels == "classes" else points[:, 0] - 5.5
    fields = {"labels": given} | ({} if labels == "classes" else {"target_type": "numeric", "label_scale": 3.0})
    message = encode(Coreset(points, np.ones(120), **fields), ContextQuantizer(6))
    read, received = parsed(message), decode(message)
    check_points(read["points"], received.points)
    np.testing.assert_array_equal(read["labels"], received.labels)


def test_every_form_of_a_block_is_among_them():
    assert {flags for _, _, flags in FRESH.values()} == {0, 1, 3, 5, 9, 11}


@pytest.mark.parametrize(
    ("n_columns", "n_points", "bits", "row"),
    [
        (1, 1, 3, 0),
        (0, 50, 4, 0),
        (5, 17, 4, 0),
        (9, 300, 6, 0),
        (30, 40, 2, 1),
        (30, 40, 2, 2),
        (60, 25, 5, 7),
        (150, 12, 3, 0),
        (129, 33, 7, 0),
        pytest.param(176, 200, 1, 0, marks=pytest.mark.slow),  # strips, as many as fill a batch
        pytest.param(129, 2052, 1, 0, marks=pytest.mark.slow),  # each second known point for learned neighbours
    ],
)
def test_tables_of_codes_come_back(n_columns, n_points, bits, row, rng):
    # Half of the columns follow their neighbours, so that chances are far from one half, too.
    codes = rng.integers(0, 1 << bits, (n_columns + 3, n_points)).astype(np.uint8)
    codes[2::2] = codes[1:-1:2][: len(codes[2::2])]
    active = np.sort(rng.choice(n_columns + 3, n_columns, replace=False))
    positions = active.tolist() if row else list(range(n_columns))
    block = Bytes(encode_codes(codes, active, bits, row))
    np.testing.assert_array_equal(single_table(block, positions, n_points, bits, row), codes[active])
    assert not block.data


def test_groups_are_cut_where_a_wave_has_many_columns(rng):
    row, n_points = 300, 2000
    active = np.array([3 * (17 - y) + row * y for y in range(17)])  # of one wave
    codes = np.zeros((active.max() + 1, n_points), dtype=np.uint8)
    codes[active] = np.cumsum(rng.random((len(active), n_points)) < 0.01, axis=1) % 2
    assert [len(group) for group in Table(active.tolist(), n_points, 1, row).groups] == [16, 1]
    block = Bytes(encode_codes(codes, active, 1, row))
    np.testing.assert_array_equal(single_table(block, active.tolist(), n_points, 1, row), codes[active])


def test_counts_are_halved_after_large_runs_whether_or_not_their_context_occurred(rng):
    # Contexts of kind 1 come from one column each, but for the first, which comes again after eight columns of zeros.
    codes = np.repeat([1, 0, 1], [8, 8, 2])[:, None].repeat(3000, axis=1).astype(np.uint8)
    codes[-2:] = rng.random((2, 3000)) < 0.9
    block = Bytes(encode_codes(codes, np.arange(len(codes)), 1, 0))
    np.testing.assert_array_equal(single_table(block, list(range(len(codes))), 3000, 1), codes)


def test_counts_are_not_halved_after_small_runs_in_which_their_context_did_not_occur(rng):
    # A wave of a hundred columns, then forty waves of one, of which the first ones have neighbours that are ones.
    row, last = 300, 99 * 300
    active = np.array([297 - 3 * y + row * y for y in range(100)] + [last + x for x in range(1, 41)])
    codes = np.zeros((last + 41, 60), dtype=np.uint8)
    codes[active] = 1
    codes[last + 15 :] = rng.random((26, 60)) < 0.1
    table = Table(active.tolist(), 60, 1, row)
    assert [len(group) for group in table.groups] == [100] + [1] * 40
    block = Bytes(encode_codes(codes, active, 1, row))
    np.testing.assert_array_equal(single_table(block, active.tolist(), 60, 1, row), codes[active])


@pytest.mark.parametrize(
    ("columns", "row", "kind"),
    [
        (np.array([1, 2, 4, 7]), 0, 0),
        (np.arange(3, 9000), 0, 1),
        (np.arange(20, 900), 0, 2),
        (np.flatnonzero(np.tile(np.arange(28) % 27 > 5, 20)), 28, 30),
    ],
)
def test_masks_of_every_kind_come_back(columns, row, kind):
    member = np.zeros(int(columns.max()) + 5, dtype=bool)
    member[columns] = True
    block = Bytes(packed_masks([member], row) + b"more")
    assert block.data[0] == kind
    assert mask(block, len(member)) == np.unique(columns).tolist()
    assert block.data == b"more"


def test_tables_of_integers_are_those_of_the_page():
    with decimal.localcontext(prec=30):
        half, one = decimal.Decimal("0.5"), decimal.Decimal(1)
        values = [(decimal.Decimal(i) / (4096 - i)).ln() * 256 for i in range(1, 4096) if i != 2048]
        values += [65536 / (one + (-decimal.Decimal(x) / 256).exp()) for x in range(1, 2048)]
        assert min(abs(value % 1 - half if value > 0 else value % 1 + half) for value in values) > 1e-7
    chances = [CHANCE[x] for x in range(-2047, 2048)]
    told = re.findall(r"CRC-32.*?(\d{9,}).*?(\d{9,})", PAGE.read_text(encoding="utf-8"), re.S)[0]
    found = (zlib.crc32(np.array(LOGIT, "<i2").tobytes()), zlib.crc32(np.array(chances, "<u2").tobytes()))
    assert tuple(map(int, told)) == found
    assert {min(chances) // 16, max(chances) // 16} == {1, 4094}


def test_counts_are_doubles_as_the_page_warns():
    # 5 (6 * 7/10 + 1) + 2 = 28 is 27.999... in doubles, and 28 * 4096 / 64 a whole number.
    depth = Depth(1, 1)
    depth.counts[1,] = [6.0 + 6, 6.0 * 0.7 + 1]
    assert depth.logit((1,)) == LOGIT[28 * 64 - 1] != LOGIT[28 * 64]
    assert math.floor((5 * 5.2 + 2) * 4096 / 64) == 28 * 64
