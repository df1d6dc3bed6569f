"""The context quantizer and its parts: levels, the model of the codes, the entropy coder and the correction."""

from __future__ import annotations

import itertools
import math
import time
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.distance import cdist
from sklearn.datasets import load_digits

from coreset import ContextQuantizer, Coreset, RobustCoreset, UniformQuantizer, decode, encode, encoded_size
from coreset.quantizers import rans
from coreset.quantizers.bits import pack_bits
from coreset.quantizers.column_levels import ColumnLevels
from coreset.quantizers.mixing import Mixer, logit_table, probability_table
from coreset.quantizers.modelling import walk
from coreset.quantizers.order import Order, passes
from coreset.quantizers.parents import correlated_columns, ruled_parents
from coreset.quantizers.rans import BitDecoder, BitEncoder, n_lanes
from coreset.quantizers.spacing import SPACED_BITS
from coreset.quantizers.stream import encode_codes, has_large_batches
from coreset.quantizers.stride import find_stride
from coreset.quantizers.table_levels import TableLevels

BOTH = pytest.mark.parametrize("scope", ["column", "table"])
EVERY = [ContextQuantizer(bits, scope) for bits in (1, 2, 3, 4, 5, 8) for scope in ("column", "table")]


def squeezed(codes, bits, stride=0):
    """Codes of shape (d, n) through model and coder and back."""
    order = Order.of(np.arange(len(codes)), codes.shape[1], stride)
    known = codes[order.columns]
    encoder = BitEncoder()

    def code(ones, parts, depth):
        wanted = np.concatenate([known[part.start : part.stop, part.rows].ravel() for part in parts])
        found = (wanted >> (bits - 1 - depth)) & 1
        encoder.put(found, ones)
        return found

    filled = np.zeros((len(codes) + 1, codes.shape[1]), dtype=np.uint8)
    walk(filled, order, bits, code)
    np.testing.assert_array_equal(filled[:-1], known)
    data = encoder.finish()
    decoder = BitDecoder(data, codes.size * bits)
    filled[:] = 0
    walk(filled, order, bits, lambda ones, parts, depth: decoder.get(ones))
    decoder.close()
    np.testing.assert_array_equal(filled[:-1], known)
    return data


# --- the entropy coder ---


@given(st.lists(st.lists(st.tuples(st.integers(0, 1), st.integers(1, 4095)), max_size=20), max_size=6))
def test_bits_come_back_whatever_their_probabilities(batches):
    encoder = BitEncoder()
    arrays = [np.array(batch, dtype=np.int64).reshape(-1, 2) for batch in batches]
    for batch in arrays:
        encoder.put(batch[:, 0], batch[:, 1])
    decoder = BitDecoder(encoder.finish(), sum(map(len, arrays)))
    for batch in arrays:
        np.testing.assert_array_equal(decoder.get(batch[:, 1]), batch[:, 0])
    decoder.close()


@pytest.mark.parametrize("share", [1, 2000, 4095])
def test_bits_of_many_lanes_come_back(rng, share):
    # Where ones are sure there are no words to begin lanes with, and zeros take their place.
    batches = [rng.integers(max(1, share - 5), min(4095, share + 5) + 1, n) for n in (3000, 1, 20_000, 7, 500, 300)]
    encoder = BitEncoder()
    bits = [(rng.random(len(ones)) * 4096 < ones).astype(np.uint8) for ones in batches]
    for found, ones in zip(bits, batches, strict=True):
        encoder.put(found, ones)
    n_bits = sum(map(len, batches))
    assert n_lanes(12, n_bits, n_bits) > n_lanes(12, n_bits, 200) == 1
    decoder = BitDecoder(encoder.finish(), n_bits)
    for found, ones in zip(bits, batches, strict=True):
        np.testing.assert_array_equal(decoder.get(ones), found)
    decoder.close()


@pytest.mark.parametrize("n_bits", [500, 30_000, 120_000])  # 1, 14 and 50 lanes in the end
def test_lanes_in_turn_and_side_by_side_are_the_same_coder(rng, monkeypatch, n_bits):
    ones = rng.integers(1, 4096, n_bits)
    bits = (rng.random(n_bits) * 4096 < ones).astype(np.uint8)
    ends = np.sort(rng.integers(0, n_bits, 9))
    batches = list(zip(np.split(bits, ends), np.split(ones, ends), strict=True))
    streams = []
    for few in (0, 1000):
        monkeypatch.setattr(rans, "_FEW_LANES", few)
        encoder = BitEncoder()
        for found, chances in batches:
            encoder.put(found, chances)
        streams.append(encoder.finish())
    assert streams[0] == streams[1]
    for few in (0, 1000):
        monkeypatch.setattr(rans, "_FEW_LANES", few)
        decoder = BitDecoder(streams[0], n_bits)
        for found, chances in batches:
            np.testing.assert_array_equal(decoder.get(chances), found)
        decoder.close()
        with pytest.raises(ValueError, match="end early"):
            BitDecoder(streams[0][:-20], n_bits).get(ones)


def test_one_bit_by_hand():
    # A one of probability 1/4 from the state 65536: 65536 // 1024 << 12 = 262144, plus 65536 % 1024 = 0, plus start 0.
    # Beyond its low 16 bits, which are zero, that is 4: two digits after the leading one, and these are 00.
    encoder = BitEncoder()
    encoder.put(np.array([1]), np.array([1024]))
    assert encoder.finish() == bytes([0b00100000, 0, 0])
    # A zero of probability 3/4: 65536 // 3072 = 21, rest 1024, and it begins after the ones.
    encoder = BitEncoder()
    encoder.put(np.array([0]), np.array([1024]))
    assert encoder.finish() == b"\0" + ((21 << 12) + 1024 + 1024 - 65536).to_bytes(2, "little")


def test_length_is_the_information_and_the_states(rng):
    ones = rng.integers(1, 4096, 50_000)
    bits = rng.random(50_000) * 4096 < ones
    information = -np.log2(np.where(bits, ones, 4096 - ones) / 4096).sum() / 8
    encoder = BitEncoder()
    for start in range(0, 50_000, 500):
        encoder.put(bits[start : start + 500], ones[start : start + 500])
    # A state of at least 2**16 in 4096 parts loses at most log2(1 + 1/16) bits a bit, and far less on average; 24
    # states take half a byte each, on average, for how long they are.
    assert information < len(encoder.finish()) < information * 1.002 + 24


def test_changed_streams_are_noticed(rng):
    ones = rng.integers(1000, 3000, 500)
    encoder = BitEncoder()
    encoder.put(rng.integers(0, 2, 500), ones)
    data = encoder.finish()
    for bad in (data[:-2], data + b"\1\0", data[:3], data[:-1], b"", bytes(4) + data[4:]):
        with pytest.raises(ValueError, match="point block"):
            _decoded(bad, ones)


def _decoded(data, ones):
    decoder = BitDecoder(data, len(ones))
    bits = decoder.get(ones)
    decoder.close()
    return bits


# --- the model ---


def test_tables_of_logits_are_the_formula():
    p = np.arange(1, 4096)
    np.testing.assert_allclose(logit_table()[1:], np.clip(256 * np.log(p / (4096 - p)), -2047, 2047), atol=0.5000001)
    logits = np.arange(-2047, 2048)
    np.testing.assert_allclose(probability_table(), 65536 / (1 + np.exp(-logits / 256)), atol=0.5000001)


def test_the_mixer_finds_the_kind_of_context_that_tells(rng):
    mixer = Mixer([2, 2], 1)
    cost = 0.0
    for _ in range(40):
        bits = rng.integers(0, 2, 100)
        ones = mixer.predict(np.stack([bits, rng.integers(0, 2, 100)]), [(0, slice(0, 100))])
        cost = -np.log2(np.where(bits, ones, 4096 - ones) / 4096).mean()
        mixer.update(bits)
    assert cost < 0.02  # bits; the second kind alone would cost 1


def test_counts_are_halved_and_the_mixer_follows_a_change():
    mixer = Mixer([1], 1)
    contexts = np.zeros((1, 500), dtype=np.int64)
    for bit in (1, 0):
        for _ in range(12):
            ones = mixer.predict(contexts, [(0, slice(0, 500))])
            mixer.update(np.full(500, bit))
        assert (ones > 3900).all() if bit else (ones < 200).all()


@pytest.mark.parametrize(("n_points", "n_columns"), [(1, 1), (2, 200), (3, 1), (17, 5), (100, 500), (1000, 3)])
def test_each_point_is_in_one_pass_between_known_ones(n_points, n_columns):
    coded: list[int] = []
    for part in passes(n_points, n_columns):
        rows, known = (list(range(*s.indices(n_points))) for s in (part.rows, part.known))
        assert set(known) == set(coded)
        if coded:
            assert len(rows) <= len(known)
            for row, before in zip(rows, known, strict=False):
                assert row - before == rows[0]
        coded += rows
    assert sorted(coded) == list(range(n_points))


@pytest.mark.parametrize(("n_columns", "n_points", "stride"), [(1, 5, 0), (600, 30, 0), (784, 9, 28), (40, 70_000, 7)])
def test_parents_are_coded_before(rng, n_columns, n_points, stride):
    columns = np.flatnonzero(rng.random(n_columns) < 0.8) if n_columns > 1 else np.zeros(1, np.intp)
    order = Order.of(columns, n_points, stride)
    assert sorted(order.columns) == columns.tolist()
    parents = ruled_parents(order)
    for start, stop in itertools.pairwise(order.starts.tolist()):
        own = parents[:, start:stop]
        assert ((own < start) | (own == len(columns))).all()
    if stride:
        above = [i for i, c in enumerate(order.columns) if parents[1, i] < len(columns)]
        assert all(order.columns[parents[1, i]] == order.columns[i] - stride for i in above)
        assert len(above) > n_columns / 2


@settings(max_examples=40)
@given(
    st.integers(1, 8),
    st.tuples(st.integers(1, 12), st.integers(1, 40)),
    st.integers(0, 5),
    st.randoms(use_true_random=False),
)
def test_codes_come_back(bits, shape, stride, random):
    rng = np.random.default_rng(random.getrandbits(32))
    squeezed(rng.integers(0, 2**bits, shape).astype(np.uint8), bits, stride)


def test_codes_of_several_lanes_come_back(rng):
    codes = (rng.random((300, 400)) < np.linspace(0, 1, 300)[:, None]).astype(np.uint8)
    assert int.from_bytes(squeezed(codes, 1, 20)[:2], "little") > 1


def test_a_column_like_one_before_costs_little(rng):
    codes = rng.integers(0, 2, (40, 256)).astype(np.uint8)
    alone = len(squeezed(codes, 1))
    followed = len(squeezed(np.concatenate([codes, codes[rng.permutation(40)]]), 1))
    # Forty columns of 256 random bits take 1280 bytes. The copies are found after sixteen rows, where chance rarely
    # makes two columns equal, but some of a column's first rows are paid for; half of the price is far from none.
    assert alone >= 1280
    assert followed - alone < 640


def test_correlated_columns_by_hand():
    codes = np.array([[0, 0, 1, 1, 0, 1], [0, 1, 0, 1, 1, 0], [1, 1, 0, 0, 1, 0], [0, 0, 0, 0, 0, 0]], dtype=np.uint8)
    found = correlated_columns(codes)
    assert found[0, 0] == 2  # its opposite tells as much as an equal
    assert found[0, 2] == 0
    assert (found[:, 3] == 4).all()  # a constant correlates with none


@pytest.mark.parametrize("width", [8, 13, 28])
def test_the_width_of_an_image_is_found(rng, width):
    noise = rng.normal(size=(200, 20, width))
    smooth = sum(np.roll(noise, shift, axis) for shift in (0, 1) for axis in (1, 2))
    assert find_stride((smooth.reshape(200, -1).T > 0).astype(np.uint8)) == width


def test_no_width_is_found_in_independent_columns_or_few(rng):
    assert find_stride(rng.integers(0, 2, (100, 500)).astype(np.uint8)) == 0
    assert find_stride(np.zeros((100, 10), dtype=np.uint8)) == 0
    assert find_stride(rng.integers(0, 2, (5, 100)).astype(np.uint8)) == 0


# --- levels ---


def test_levels_of_columns_by_hand():
    points = np.array([[0.0, 2.0], [4.0, 2.0], [0.0, 2.0]])
    levels = ColumnLevels.fit(points, 1)
    assert levels.active.tolist() == [True, False]
    assert (levels.low[0], levels.high[0], levels.low[1]) == (0, 4, 2)
    # flag; a mask of two columns; a mask of one constant that is not zero; float32 of 2; exponent of the unit, 4/16,
    # as -2 + 2048; widths of spread and of lengths; 4 bits of 16 - 16 steps; nothing for the first level, zero
    assert levels.to_bytes() == bytes([0, 0, 0b10000000, 0, 0b10000000]) + np.float32(2).tobytes() + bytes(
        [2046 & 255, 2046 >> 8, 0, 0, 0]
    )


@given(
    hnp.arrays(
        np.float64,
        st.tuples(st.integers(1, 12), st.integers(1, 6)),
        elements=st.floats(-1e300, 1e300) | st.sampled_from([0.0, 5e-324, 1e-310, 1e9, 1e9 + 1e-3]),
    ),
    st.integers(1, 8),
    st.sampled_from([ColumnLevels, TableLevels]),
)
def test_levels_come_back_with_what_follows(points, bits, kind):
    levels = kind.fit(points, bits).spaced(points)
    data = levels.to_bytes()
    assert len(data) <= kind.max_bytes(points.shape, bits)
    again, rest = kind.from_bytes(data + b"more", points.shape[1], bits)
    assert rest == b"more"
    codes = levels.codes(points)
    assert not codes[~levels.active].any()
    np.testing.assert_array_equal(again.values(codes), levels.values(codes))


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
def test_levels_are_near_the_best_for_a_bell(rng, bits):
    # Max, "Quantizing for minimum distortion", 1960, gives these errors for normal data; the first for any levels,
    # the second for levels at equal distances. Ends in units of a 16th of their distance and chance add a little.
    any_levels, equal = {1: (0.3634, 0.3634), 2: (0.1175, 0.1188), 3: (0.03454, 0.03744), 4: (0.009497, 0.01154)}[bits]
    points = rng.normal(size=(20_000, 2))
    for kind, best in ((TableLevels, any_levels), (ColumnLevels, equal)):
        levels = kind.fit(points, bits)
        error = np.square(points - levels.values(levels.codes(points)).T).mean()
        assert 0.95 * best < error < 1.06 * best


@pytest.mark.parametrize("bits", SPACED_BITS)
def test_long_tails_are_met_by_levels_closer_where_most_values_are(rng, bits):
    tail = rng.lognormal(sigma=1.0, size=4000)
    points = np.column_stack([tail, -tail, np.where(rng.random(4000) < 0.5, tail, -tail), rng.uniform(size=4000)])
    equal = ColumnLevels.fit(points, bits)
    spaced = equal.spaced(points)
    assert spaced.spacing.tolist() == [1, 2, 3, 0]  # near the low end, the high one, the middle; equal
    errors = [np.square(points - levels.values(levels.codes(points)).T).mean(axis=0) for levels in (spaced, equal)]
    assert (errors[0][:3] < 0.85 * errors[1][:3]).all()
    assert errors[0][3] == errors[1][3]
    assert spaced.to_bytes()[-1] == 0b01_10_11_00  # two bits a column


@pytest.mark.parametrize("bits", SPACED_BITS)
def test_codes_are_those_of_the_nearest_level(rng, bits):
    points = rng.lognormal(size=(500, 3)) * [1, -1, 1]
    levels = ColumnLevels.fit(points, bits).spaced(points)
    assert (levels.spacing != 0).any()
    every = levels.values(np.tile(np.arange(2**bits, dtype=np.uint8), (3, 1)))
    assert (np.diff(every) > 0).all()
    gaps = np.abs(points.T[:, :, None] - every[:, None])
    np.testing.assert_allclose(
        np.abs(points.T - levels.values(levels.codes(points))), gaps.min(axis=2), rtol=1e-9, atol=1e-12
    )


# --- the codec ---


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


@pytest.mark.parametrize("codec", EVERY, ids=repr)
def test_changed_blocks_are_refused_or_finite(rng, codec):
    images = load_digits().data[:40]
    mixed = np.concatenate([rng.normal(size=(40, 3)) * 10.0 ** np.arange(-2, 1), np.zeros((40, 20))], axis=1)
    for points, n_tries in ((images, 2), (mixed, 12)):
        data = codec.encode(points)
        for position in rng.integers(0, len(data), n_tries).tolist() + list(range(n_tries)):
            changed = bytearray(data)
            changed[position] ^= 1 << int(rng.integers(8))
            _check_refused_or_finite(codec, bytes(changed), points.shape)
            _check_refused_or_finite(codec, data[:position], points.shape)


def _check_refused_or_finite(codec, data, shape):
    try:
        with np.errstate(all="ignore"):  # as the decoder of messages does
            decoded = codec.decode(data, shape)
    except ValueError:
        return
    assert decoded.shape == shape
    assert np.isfinite(decoded).all()


@pytest.mark.parametrize("codec", [ContextQuantizer(1, "table"), ContextQuantizer(4)], ids=repr)
def test_decoding_takes_a_few_times_the_output(rng, codec):
    points = rng.normal(size=(1500, 40))
    data = codec.encode(points)
    tracemalloc.start()
    codec.decode(data, points.shape)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Contexts of four bits take some two megabytes, whatever the size of the points.
    assert peak < 4e6 + 6 * (points.nbytes + len(data))


def test_decoding_levels_far_from_zero_takes_a_few_times_the_output(rng):
    points = 1e12 + rng.normal(size=(2, 50_000))
    codec = ContextQuantizer(1)
    data = codec.encode(points)
    tracemalloc.start()
    codec.decode(data, points.shape)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 14 * (points.nbytes + len(data))  # each column's ends, and a byte for each of their digits


@given(st.binary(max_size=60), st.integers(1, 8), st.sampled_from(["column", "table"]), st.integers(0, 3))
def test_any_bytes_are_refused_or_finite(data, bits, scope, flags):
    codec = ContextQuantizer(bits, scope)
    try:
        with np.errstate(all="ignore"):
            decoded = codec.decode(bytes([flags]) + data, (4, 3))
    except ValueError:
        return
    assert decoded.shape == (4, 3)
    assert np.isfinite(decoded).all()


def test_blocks_that_would_take_long_are_refused():
    n_features = 1 << 20
    everything = b"\1" + zlib.compress(b"\xff" * (n_features // 8), 9)[2:-4]
    head = b"\0" + everything + np.array([0.0, 1.0], "<f4").tobytes()
    codec = ContextQuantizer(1, "table")
    with pytest.raises(ValueError, match="too few for 1048576 columns"):
        codec.decode(b"\1\0\0" + head + bytes(1000), (1, n_features))
    with pytest.raises(ValueError, match="too few for 1048576 columns"):
        codec.decode(b"\3\0\0" + bytes(32) + head + bytes(1000), (1, n_features))
    one = b"\0\0\x80" + np.array([0.0, 1.0], "<f4").tobytes()
    with pytest.raises(ValueError, match="codes of 131073 points are squeezed"):
        codec.decode(b"\1\0\0" + one + bytes(1000), (131073, 1))


def wide_block(stride):
    """Eight bits of two points of 4000 columns, in as many batches as there are columns where these are an image's."""
    codes = np.random.default_rng(0).integers(0, 256, (4000, 2), dtype=np.uint8)
    codes[0, 0], codes[:, 1] = 0, codes[:, 0] + 1  # active all of them, with both ends
    head = bytes([1]) + stride.to_bytes(2, "little") + b"\0\0" + b"\xff" * 500
    ends = np.array([0.0, 255.0], "<f4").tobytes()
    return head + ends + encode_codes(codes, np.arange(4000), 8, stride), codes


def test_blocks_of_many_small_batches_are_refused():
    codec = ContextQuantizer(8, "table")
    block, codes = wide_block(0)
    np.testing.assert_allclose(codec.decode(block, (2, 4000)), codes.T)
    block = wide_block(2)[0]
    start = time.process_time()
    with pytest.raises(ValueError, match="says that 2 columns are a row: 2 points are too few"):
        codec.decode(block, (2, 4000))
    assert time.process_time() - start < 0.5


def test_the_encoder_writes_no_block_of_many_small_batches(rng, monkeypatch):
    monkeypatch.setattr("coreset.quantizers.context.find_stride", lambda codes: 2)
    points = rng.normal(size=(2, 4000))
    data = ContextQuantizer(8, "table").encode(points)
    assert data[:3] == b"\1\0\0"
    assert ContextQuantizer(8, "table").decode(data, points.shape).shape == points.shape


@given(st.integers(1, 5000), st.integers(1, 1 << 17), st.integers(1, 8))
@settings(max_examples=200)
def test_batches_of_tables_are_large(n_columns, n_points, bits):
    assert has_large_batches(Order.of(np.arange(n_columns), n_points, 0), n_points, bits)


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


def test_equal_codes_of_a_huge_table_are_refused_in_no_time():
    # Some 500 bytes would keep a decoder busy for long, since equal codes take almost none.
    bits, n_points, columns = 4, 1 << 17, 8
    levels = TableLevels(np.arange(16.0), np.ones(columns, dtype=bool)).to_bytes()
    stream = encode_codes(np.zeros((columns, n_points), dtype=np.uint8), np.arange(columns), bits, 0)
    block = bytes([1, 0, 0]) + levels + stream
    assert len(block) < 1000
    with pytest.raises(ValueError, match="too few for 131072 points"):
        ContextQuantizer(bits, "table").decode(block, (n_points, columns))


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
