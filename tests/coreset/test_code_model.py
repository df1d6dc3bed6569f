"""The model under the context quantizer: which codes tell of which, and the chances that they give."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coreset.quantizers.mixing import Mixer, logit_table, probability_table
from coreset.quantizers.modelling import walk
from coreset.quantizers.order import Order, passes
from coreset.quantizers.parents import correlated_columns, ruled_parents
from coreset.quantizers.rans import BitDecoder, BitEncoder
from coreset.quantizers.stride import find_stride


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
