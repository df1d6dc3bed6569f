"""Blocks of the context quantizer that are changed, made up or would take long."""

from __future__ import annotations

import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from coreset import ContextQuantizer
from coreset.quantizers.order import Order
from coreset.quantizers.stream import encode_codes, has_large_batches
from coreset.quantizers.table_levels import TableLevels

EVERY = [ContextQuantizer(bits, scope) for bits in (1, 2, 3, 4, 5, 8) for scope in ("column", "table")]


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


def _wide_block(stride):
    """Eight bits of two points of 4000 columns, in as many batches as there are columns where these are an image's."""
    codes = np.random.default_rng(0).integers(0, 256, (4000, 2), dtype=np.uint8)
    codes[0, 0], codes[:, 1] = 0, codes[:, 0] + 1  # active all of them, with both ends
    head = bytes([1]) + stride.to_bytes(2, "little") + b"\0\0" + b"\xff" * 500
    ends = np.array([0.0, 255.0], "<f4").tobytes()
    return head + ends + encode_codes(codes, np.arange(4000), 8, stride), codes


def test_blocks_of_many_small_batches_are_refused_before_any_is_decoded(monkeypatch):
    codec = ContextQuantizer(8, "table")
    block, codes = _wide_block(0)
    np.testing.assert_allclose(codec.decode(block, (2, 4000)), codes.T)
    block = _wide_block(2)[0]
    monkeypatch.setattr("coreset.quantizers.stream.walk", lambda *_: pytest.fail("batches are walked through"))
    with pytest.raises(ValueError, match="says that 2 columns are a row: 2 points are too few"):
        codec.decode(block, (2, 4000))


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


def test_equal_codes_of_a_huge_table_are_refused_in_no_time():
    # Some 500 bytes would keep a decoder busy for long, since equal codes take almost none.
    bits, n_points, columns = 4, 1 << 17, 8
    levels = TableLevels(np.arange(16.0), np.ones(columns, dtype=bool)).to_bytes()
    stream = encode_codes(np.zeros((columns, n_points), dtype=np.uint8), np.arange(columns), bits, 0)
    block = bytes([1, 0, 0]) + levels + stream
    assert len(block) < 1000
    with pytest.raises(ValueError, match="too few for 131072 points"):
        ContextQuantizer(bits, "table").decode(block, (n_points, columns))
