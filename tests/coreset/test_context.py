"""The context quantizer: what its points come back as, what they cost, and how messages carry them."""

from __future__ import annotations

import math
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.distance import cdist
from sklearn.datasets import load_digits

from coreset import ContextQuantizer, Coreset, RobustCoreset, UniformQuantizer, decode, encode, encoded_size
from coreset.quantizers.bits import pack_bits
from coreset.quantizers.column_levels import ColumnLevels

BOTH = pytest.mark.parametrize("scope", ["column", "table"])
EVERY = [ContextQuantizer(bits, scope) for bits in (1, 2, 3, 4, 5, 8) for scope in ("column", "table")]


@pytest.mark.parametrize("codec", EVERY, ids=repr)
@settings(max_examples=25)
@given(
    points=hnp.arrays(
        np.float64,
        st.tuples(st.integers(1, 30), st.integers(1, 20)),
        elements=st.floats(-1e150, 1e150) | st.sampled_from([0.0, -0.0, 5e-324, -1e-310, 1.0, 2.0**1000]),
        fill=st.sampled_from([0.0, 1.0, 3e5]),
    )
)
def test_sizes_are_exact_and_bounded_for_any_points(codec, points):
    data = codec.encode(points)
    assert len(data) == codec.encoded_size(points) <= codec.max_encoded_size(points.shape)
    decoded = codec.decode(data, points.shape)
    assert decoded.shape == points.shape
    assert np.isfinite(decoded).all()
    # No value leaves its column's range by more than a unit of its ends, a 16th of the range; or the table's.
    axis = 0 if codec.scope == "column" else None
    low, high = points.min(axis=axis), points.max(axis=axis)
    slack = high / 16 - low / 16 + np.maximum(np.abs(low), np.abs(high)) * 1e-6
    assert (decoded >= low - slack).all()
    assert (decoded <= high + slack).all()


@BOTH
def test_binary_columns_come_back_and_cost_their_information(rng, scope):
    points = (rng.random((400, 30)) < 0.05).astype(float)
    codec = ContextQuantizer(1, scope)
    data = codec.encode(points)
    share = points.mean()
    entropy = -points.size * (share * math.log2(share) + (1 - share) * math.log2(1 - share)) / 8
    # Ends of thirty columns take some three bytes each, and the model learns its contexts at a price: a fifth is ample.
    assert len(data) < 1.2 * entropy + 100
    assert len(data) < 12_000 / 8
    # Where a correction was worth its bytes, it adds at most what it could not explain.
    assert np.square(codec.decode(data, points.shape) - points).mean() < 1e-3


@BOTH
def test_empty_and_constant_columns_cost_a_bit_or_their_value(scope):
    codec = ContextQuantizer(2, scope)
    column = np.linspace(0, 1, 64)[:, None]
    alone = codec.encoded_size(column)
    empty = np.concatenate([column, np.zeros((64, 800))], axis=1)
    # A mask of 800 columns takes 100 bytes, and two of them far less when deflated.
    assert codec.encoded_size(empty) - alone < 40
    constant = np.concatenate([column, np.full((64, 10), 1.0)], axis=1)
    # Ten float32; or 640 codes, which the mixer soon expects: less than a byte a column, and learning.
    assert codec.encoded_size(constant) - alone < 50


def test_sparse_columns_cost_the_place_of_what_is_in_them(rng):
    points = np.zeros((512, 300))
    points[rng.integers(0, 512, 300), np.arange(300)] = 1
    # One of 512 places is 9 bits, which a model of single bits exceeds by log2(e) for each: 391 bytes in all.
    assert ContextQuantizer(1, "table").encoded_size(points) < 391 * 1.35
    assert UniformQuantizer(1).encoded_size(points) > 512 * 300 / 8


@pytest.mark.parametrize("codec", EVERY, ids=repr)
def test_independent_codes_do_not_expand(rng, codec):
    points = rng.uniform(size=(100, 40))
    head = len(codec._kind.fit(points, codec.bits).to_bytes())
    assert codec.encoded_size(points) <= 1 + head + 100 * 40 * codec.bits / 8


@pytest.mark.parametrize("shape", [(1, 1), (1, 2000), (2, 3000), (5000, 1), (16, 1500), (3, 7)])
@BOTH
def test_shapes_of_all_kinds(rng, shape, scope):
    points = rng.normal(size=shape)
    codec = ContextQuantizer(3, scope)
    data = codec.encode(points)
    assert len(data) <= codec.max_encoded_size(shape)
    error = np.square(codec.decode(data, shape) - points).mean()
    # Three bits leave some 4% of a bell's variance; one point leaves nothing in columns of their own.
    assert error < 0.06


def test_images_take_three_quarters_of_what_uniform_levels_take_deflated_at_half_the_error():
    points = load_digits().data[:200]
    codec, plain = ContextQuantizer(1, "table"), UniformQuantizer(1, "table")
    data, other = codec.encode(points), plain.encode(points)
    assert len(data) < 0.75 * len(zlib.compress(other, 9))
    error, plain_error = (
        np.square(q.decode(d, points.shape) - points).mean() for q, d in ((codec, data), (plain, other))
    )
    assert error < 0.5 * plain_error


def test_correction_learns_what_neighbours_tell(rng):
    # Columns that are noisy copies of one: the codes of nine say what the code of the tenth leaves open.
    points = rng.normal(size=(2000, 1)) + 0.3 * rng.normal(size=(2000, 12))
    codec = ContextQuantizer(1)
    data = codec.encode(points)
    assert data[0] == 3
    levels = ColumnLevels.fit(points, 1)
    without = np.square(points - levels.values(levels.codes(points)).T).mean()
    assert np.square(points - codec.decode(data, points.shape)).mean() < 0.8 * without


def test_encoding_is_a_function_of_the_points(rng):
    points = rng.normal(size=(300, 20))
    codec = ContextQuantizer(2)
    assert codec.encode(points) == codec.encode(np.asfortranarray(points)) == codec.encode(points.copy())


STORED = (
    "01000000007ffff00000fb070004000000000000000000000000000080000000000000008065c08c18f5129ecf7bfe7ad1cc"
    "4012977a58f40f8efea80bc3858211a8f753e9224413d6d15ddcec62aba056bb8496993c9b6751e48e900bbd7d67fba6412d"
    "baaebbe834ef36be2ee65ca0dbcf34b3428d2caaabf7fe4ee7b77da7eda375f51e"
)


def test_stored_bytes_are_read_and_written_as_ever():
    row, column = np.mgrid[:48, :20]
    points = ((row * column // 7) % 3 % 2 + 2 * (column == 5)).astype(float)
    codec = ContextQuantizer(2)
    assert codec.encode(points).hex() == STORED
    np.testing.assert_array_equal(codec.decode(bytes.fromhex(STORED), points.shape), points)


def test_eight_bits_cost_what_their_information_costs(rng):
    constant, binary, normal = np.full((1000, 40), 3.25), rng.integers(0, 2, (1000, 5)), rng.normal(size=(1000, 5))
    points = np.concatenate([constant, binary, normal], axis=1)
    codec = ContextQuantizer(8)
    # 160 bytes of constants; a bit for each binary value; a bell over 6.5 standard deviations takes 7.4 bits.
    assert codec.encoded_size(points) < 1.12 * (160 + 1000 * 5 * 1 / 8 + 1000 * 5 * 7.4 / 8)
    decoded = codec.decode(codec.encode(points), points.shape)
    np.testing.assert_array_equal(decoded[:, :45], points[:, :45])


def test_sparse_columns_of_many_bits_cost_little_where_they_are_zero(rng):
    points = np.where(rng.random((1000, 50)) < 0.02, rng.normal(size=(1000, 50)), 0)
    # The places of the others take 7100 bits, and their values 1000 times eight: a third more is for learning.
    assert ContextQuantizer(8).encoded_size(points) < 2 * (7100 + 8000) / 8
    assert ContextQuantizer(1, "table").encoded_size(points) < 500


def test_messages_put_neighbours_next_to_each_other(rng):
    centres = rng.normal(size=(20, 30)) * 10
    points = (centres[:, None] + rng.normal(size=(20, 30, 30))).reshape(600, 30)
    summary = Coreset(points[rng.permutation(600)], np.ones(600))
    codec = ContextQuantizer(1)
    message = encode(summary, codec)
    assert len(message) == encoded_size(summary, codec) < 0.5 * codec.encoded_size(summary.points)
    received = decode(message).points
    place = np.argmin(np.square(received[:, None] - centres).sum(axis=2), axis=1)
    assert np.count_nonzero(np.diff(place)) == 19


def test_a_message_carries_it(rng):
    X, y = load_digits(return_X_y=True)
    summary = RobustCoreset(n_points=60, random_state=0).fit(X, y).coreset_
    codec = ContextQuantizer(1, "table")
    message = encode(summary, codec)
    assert len(message) == encoded_size(summary, codec) < 1000
    received = decode(message)
    assert len(received) == 60
    assert received.total_weight == pytest.approx(summary.total_weight)


def test_more_points_than_are_squeezed_are_packed(rng):
    bits = rng.integers(0, 2, ((1 << 17) + 1, 1))
    codec = ContextQuantizer(1)
    data = codec.encode(bits.astype(float))
    assert data[0] == 0
    assert data.endswith(pack_bits(bits.ravel().astype(np.uint64), 1))
    np.testing.assert_array_equal(codec.decode(data, bits.shape), bits)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ContextQuantizer(0), ValueError, r"bits=0 must be in 1\.\.8"),
        (lambda: ContextQuantizer(9), ValueError, r"bits=9 must be in 1\.\.8"),
        (lambda: ContextQuantizer(1.0), TypeError, "bits=1.0 must be an integer"),
        (lambda: ContextQuantizer(1, "row"), ValueError, "scope='row' must be one of"),
        (lambda: ContextQuantizer.from_config_bytes(b"\1\4"), ValueError, "scope 4 of the context quantizer"),
        (lambda: ContextQuantizer(1).decode(b"\4abc", (1, 1)), ValueError, "header is not one of a context quantizer"),
        (lambda: ContextQuantizer(1).encode(np.array([[1e308], [0.0]])), ValueError, r"points spans 0 to 1e\+308"),
    ],
)
def test_bad_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("bits", [1, 2, 4, 7])
@pytest.mark.parametrize("scope", ["column", "table"])
@pytest.mark.parametrize("kind", ["image", "table", "few", "constant"])
def test_what_the_encoder_says_is_decoded(rng, bits, scope, kind):
    points = {
        "image": lambda: (
            np.add.outer(rng.normal(size=120), np.add.outer(np.arange(8.0), np.arange(8.0))).reshape(120, 64).round(1)
        ),
        "table": lambda: np.cumsum(rng.normal(size=(500, 12)), axis=1) * np.geomspace(1e-3, 1e3, 12) + 1e5,
        "few": lambda: rng.normal(size=(3, 2)),
        "constant": lambda: np.full((40, 5), 0.1),
    }[kind]()
    codec = ContextQuantizer(bits, scope)
    data, values = codec.encode_and_decode(points)
    assert data == codec.encode(points)
    np.testing.assert_array_equal(values, codec.decode(data, points.shape))


def test_numeric_targets_stay_with_points_that_are_put_next_to_each_other(rng):
    X = rng.normal(size=(3000, 3))
    summary = RobustCoreset(60, random_state=0).fit(X, X[:, 0] + 0.1 * rng.normal(size=3000)).coreset_
    received = decode(encode(summary, ContextQuantizer(8)))
    index = cdist(received.points, summary.points).argmin(axis=1)
    assert sorted(index) == list(range(60))
    assert not (index == np.arange(60)).all()  # another order
    step = (summary.labels.max() - summary.labels.min()) / 255
    np.testing.assert_allclose(received.labels, summary.labels[index], atol=step)
    np.testing.assert_allclose(received.weights, summary.weights[index], rtol=0.02)
