"""Names of columns in few bytes."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coreset import Coreset, UniformQuantizer, decode, encode, encoded_size, max_encoded_size
from coreset.wire import varint
from coreset.wire.names import decode_names, encode_names, held_bytes

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
    most = held_bytes(names) + 2 * len(names)
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
        (deflated(b"\x02a"), 2, "^message is truncated: the length of a feature name takes 1 bytes, 0 are left$"),
        (deflated(b"\x04ab"), 1, "^message is truncated: a feature name takes 3 bytes, 2 are left$"),
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
        with pytest.raises(ValueError, match=r"feature names take more than the \d+ bytes"):
            read(data, n_features, most_bytes=20_000)


def test_names_may_take_just_so_many_bytes():
    data, most = deflated(b"\x03p9\0\x02x"), held_bytes(("p9", "p10", "x"))
    assert read(data, 3, most) == ("p9", "p10", "x")
    with pytest.raises(ValueError, match=rf"^feature names take more than the {most - 1} bytes that max_output_bytes"):
        read(data, 3, most - 1)


@given(st.binary(max_size=60), st.integers(0, 40))
def test_hostile_names_are_names_or_an_error(data, n_features):
    try:
        names = read(deflated(data), n_features)
    except ValueError:
        return
    assert len(names) == n_features
    assert held_bytes(names) <= 1000


def test_names_of_digits_take_no_longer_than_others():
    # A search for the number at the end of the whole name would take minutes.
    written = varint(10_001) + b"1" * 10_000 + b"\0" * 6_699
    names = read(deflated(written), 6_700, most_bytes=1 << 30)
    assert names[1] == "1" * 9_999 + "2"
    assert len(names[-1]) == 10_000


def test_all_messages_share_what_names_may_take():
    names = tuple(f"{'a' * 4000}{number}" for number in range(1000))
    message = encode(Coreset(np.zeros((1, 1000)), [1], feature_names=names), UniformQuantizer(1, "table"))
    assert len(message) < 350
    assert decode(message, max_output_bytes=5_000_000).feature_names == names
    with pytest.raises(ValueError, match="feature names take more than the"):
        decode(2 * message, max_output_bytes=5_000_000)


def test_names_do_not_count_as_points():
    sent = Coreset(np.zeros((1, 4)), np.ones(1), feature_names=COUNTING[:4])
    message = encode(sent, UniformQuantizer(1))
    assert decode(message, max_output_bytes=sent.nbytes).feature_names == tuple(COUNTING[:4])
    assert decode(message, max_output_bytes=2**80).feature_names == tuple(COUNTING[:4])


def test_a_million_names_and_more_are_not_squeezed():
    names = ("a",) * ((1 << 20) + 1)
    assert encode_names(names)[1] is False
    with pytest.raises(ValueError, match="1048577 feature names are squeezed"):
        read(deflated(b"\2a"), len(names))
