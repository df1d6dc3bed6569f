"""Names of columns in few bytes."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coreset import Coreset, UniformQuantizer, decode, encode, encoded_size, max_encoded_size
from coreset.wire import varint
from coreset.wire.names import decode_names, encode_names

NAMES = st.text(max_size=6) | st.integers(0, 12).map(lambda number: f"c{number:02d}") | st.integers(0, 12).map(str)
COUNTING = [f"p{number}" for number in range(64)]


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(9, wbits=-15)
    return packer.compress(data) + packer.flush()


def read(data: bytes, n_features: int, most_bytes: int = 1000) -> tuple[str, ...]:
    return decode_names(data, n_features, squeezed=True, most_bytes=most_bytes)


@given(st.lists(NAMES, max_size=30).map(tuple))
def test_names_come_back(names):
    data, squeezed = encode_names(names)
    most = sum(len(name.encode("utf-8", "surrogatepass")) for name in names) + 2 * len(names)
    assert decode_names(data, len(names), squeezed=squeezed, most_bytes=most) == names


@pytest.mark.parametrize(
    ("names", "written"),
    [
        (["p9", "p10", "p11"], b"\x03p9\0\0"),
        (["c08", "c09", "c10"], b"\x04c08\0\0"),
        (["99", "100"], b"\x0399\0"),
        (["a", "a"], b"\x02a\x02a"),
        (["x1", "x3"], b"\x03x1\x03x3"),
        (["x01", "x2"], b"\x04x01\x03x2"),
        (["", "1"], b"\x01\x021"),
    ],
)
def test_names_that_count_are_a_byte(names, written):
    assert read(deflated(written), len(names)) == tuple(names)
    data, squeezed = encode_names(tuple(names))
    assert data == (deflated(written) if squeezed else b"".join(bytes([len(name)]) + name.encode() for name in names))


def test_columns_that_are_numbered_cost_next_to_nothing(rng):
    points = rng.normal(size=(3, 64))
    named, nameless = (Coreset(points, np.ones(3), feature_names=names) for names in (COUNTING, None))
    quantizer = UniformQuantizer(2)
    message = encode(named, quantizer)
    assert len(message) - len(encode(nameless, quantizer)) <= 14
    assert decode(message).feature_names == tuple(COUNTING)
    assert (
        encoded_size(named, quantizer) == len(message) <= max_encoded_size((3, 64), quantizer, feature_names=COUNTING)
    )


def test_names_that_repeat_their_words_are_deflated():
    names = tuple(f"{kind} of the {part}" for kind in ("length", "width") for part in ("petal", "sepal", "leaf"))
    data, squeezed = encode_names(names)
    assert squeezed
    assert len(data) < 0.7 * sum(len(name) + 1 for name in names)


def test_corrupt_names_are_errors():
    for data, n_features, message in (
        (b"\xff\xff", 1, "cannot be inflated"),
        (deflated(b"\x02a")[:-1], 1, "do not end where they should"),
        (deflated(b"\x02a") + b"x", 1, "do not end where they should"),
        (deflated(b"\0"), 1, "counts on from one without a number"),
        (deflated(b"\x02a\0"), 2, "counts on from one without a number"),
        (deflated(b"\x02a"), 2, "truncated"),
        (deflated(b"\x02a\x02b"), 1, "left over"),
        (deflated(b"\x02\xff"), 1, "no UTF-8"),
    ):
        with pytest.raises(ValueError, match=message):
            read(data, n_features)


def test_bombs_are_refused_before_they_are_inflated():
    long, counting = varint(2_000_000) + b"a" * 1_999_999, varint(1001) + b"a" * 999 + b"1" + b"\0" * 99
    for written, n_features in ((long, 1), (counting, 100)):
        data = deflated(written)
        assert len(data) < 2500
        with pytest.raises(ValueError, match=r"feature names takes \d+ bytes, max_output_bytes leaves"):
            read(data, n_features, most_bytes=20_000)


@given(st.binary(max_size=60), st.integers(0, 40))
def test_hostile_names_are_names_or_an_error(data, n_features):
    try:
        names = read(deflated(data), n_features)
    except ValueError:
        return
    assert len(names) == n_features
    assert sum(map(len, names)) <= 1000
