"""Codecs: a shared list of checks that every registered one passes, then what is particular to each."""

from __future__ import annotations

import dataclasses
import json
import pickle
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from coreset import ContextQuantizer, Quantizer, RoundingQuantizer, UniformQuantizer, get_quantizer, register_quantizer
from coreset.quantizers import pack_bits, quantizer_from_wire, unpack_bits
from coreset.quantizers.base import _REGISTRY
from coreset.quantizers.bits import ragged_digits, ragged_numbers

EXAMPLES: dict[str, list[Quantizer]] = {
    "context": [ContextQuantizer(b, scope) for b in (1, 2, 3, 4, 5, 8) for scope in ("column", "table")],
    "rounding": [RoundingQuantizer(s, layout) for s in (0, 1, 7, 23, 52) for layout in ("packed", "paper")],
    "uniform": [UniformQuantizer(b, scope) for b in (1, 2, 5, 12, 32) for scope in ("column", "table")],
}
every_codec = pytest.mark.parametrize("codec", [c for codecs in EXAMPLES.values() for c in codecs], ids=repr)
moderate = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 9), st.integers(1, 5)),
    elements=st.floats(-1e6, 1e6) | st.sampled_from([0.0, -0.0, 5e-324, 1e-310, 1.5]),
)


def test_every_registered_codec_has_examples_here():
    assert set(_REGISTRY) == set(EXAMPLES)


@every_codec
@given(points=moderate)
def test_sizes_are_exact_and_bounded_and_decoding_is_stable(codec, points):
    data = codec.encode(points)
    assert len(data) == codec.encoded_size(points) <= codec.max_encoded_size(points.shape)
    decoded = codec.decode(data, points.shape)
    assert decoded.shape == points.shape
    assert decoded.dtype == np.float64
    assert np.isfinite(decoded).all()
    # What a codec wrote it writes again: the levels are fixed points, up to the float64 rounding of a level.
    again = codec.decode(codec.encode(decoded), points.shape)
    np.testing.assert_allclose(again, decoded, rtol=1e-6, atol=1e-6 * np.ptp(points))


@every_codec
def test_configuration_round_trips(codec):
    assert get_quantizer(codec.get_config()) == codec
    assert pickle.loads(pickle.dumps(codec)) == codec
    assert quantizer_from_wire(codec.wire_id, codec.config_bytes()) == codec
    with pytest.raises(dataclasses.FrozenInstanceError):
        codec.id = "x"  # type: ignore[misc]


@every_codec
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(codec, bad):
    for call in (codec.encode, codec.encoded_size):
        with pytest.raises(ValueError, match="points contains NaN or infinity"):
            call(np.array([[1.0, bad]]))


@every_codec
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (3,)])
def test_shapes_without_points_are_refused(codec, shape):
    with pytest.raises(ValueError, match="points has shape"):
        codec.encode(np.zeros(shape))


@every_codec
def test_truncated_and_padded_bytes_are_refused(codec, rng):
    points = rng.normal(size=(7, 3))
    data = codec.encode(points)
    for bad in (data[:-1], data + b"\0", b"", data[: len(data) // 2]):
        with pytest.raises(ValueError, match=r"bytes|header"):
            codec.decode(bad, points.shape)


@every_codec
def test_the_largest_doubles_are_kept_or_refused(codec):
    points = np.array([[np.finfo(float).max], [1.0]])
    if codec == RoundingQuantizer(52, getattr(codec, "layout", "packed")):
        np.testing.assert_array_equal(codec.decode(codec.encode(points), points.shape), points)
        return
    for call in (codec.encode, codec.encoded_size):
        with pytest.raises(ValueError, match=r"round to infinity|spans 1 to 1.79769e\+308"):
            call(points)


@given(hnp.arrays(np.uint64, st.integers(0, 300)), st.integers(0, 64))
def test_bit_packing_round_trips(codes, width):
    codes = codes & np.uint64((1 << width) - 1)
    data = pack_bits(codes, width)
    assert len(data) == (len(codes) * width + 7) // 8
    np.testing.assert_array_equal(unpack_bits(data, len(codes), width), codes)


def test_bit_packing_by_hand_and_across_chunks(rng):
    assert pack_bits(np.array([1, 2, 3], dtype=np.uint64), 3) == bytes([0b00101001, 0b10000000])
    codes = rng.integers(0, 2**11, 200_001, dtype=np.uint64)
    np.testing.assert_array_equal(unpack_bits(pack_bits(codes, 11), len(codes), 11), codes)


def test_digits_of_any_number_come_back_across_chunks(rng):
    lengths = rng.integers(0, 65, 10_000).astype(np.uint64)
    numbers = rng.integers(0, 2**64, 10_000, dtype=np.uint64) >> np.minimum(64 - lengths, 63)
    numbers[lengths == 0] = 0
    np.testing.assert_array_equal(ragged_numbers(ragged_digits(numbers, lengths), lengths), numbers)


@given(st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False), st.integers(0, 51))
def test_rounding_is_to_the_nearest_of_the_short_numbers(value, bits):
    if abs(value) > 1e300 or 0 < abs(value) < 1e-290:
        return
    codec = RoundingQuantizer(bits, "paper")
    (rounded,) = codec.decode(codec.encode(np.array([[value]])), (1, 1))[0]
    if value == 0:
        assert rounded == 0
        return
    exponent = np.frexp(abs(value))[1]
    unit = Fraction(2) ** (int(exponent) - 1 - bits)
    exact = round(Fraction(float(abs(value))) / unit) * unit  # Python rounds halves to even, as IEEE 754 does
    assert Fraction(float(abs(rounded))) == exact
    assert np.signbit(rounded) == np.signbit(value)


def test_rounding_bound_of_the_docstring(rng):
    points = rng.normal(size=(200, 6)) * 10.0 ** rng.integers(-5, 5, (200, 6))
    for bits in (0, 3, 10):
        codec = RoundingQuantizer(bits)
        error = np.linalg.norm(points - codec.decode(codec.encode(points), points.shape), axis=1)
        assert (error <= 2.0 ** -(bits + 1) * np.linalg.norm(points, axis=1)).all()


def test_both_layouts_decode_alike_and_packed_is_smaller(rng):
    points = rng.uniform(1, 2, size=(50, 4))
    paper, packed = RoundingQuantizer(5, "paper"), RoundingQuantizer(5)
    np.testing.assert_array_equal(
        paper.decode(paper.encode(points), points.shape), packed.decode(packed.encode(points), points.shape)
    )
    assert paper.encoded_size(points) == 200 * 17 / 8
    assert packed.encoded_size(points) == 4 + 200 * (5 + 2) / 8  # exponents 0 and 1 and a code for zero: two bits


def test_packed_zeros_cost_nothing():
    assert RoundingQuantizer(10).encoded_size(np.zeros((1000, 10))) == 4


def test_full_width_rounding_is_lossless(rng):
    points = np.concatenate([rng.normal(size=(50, 3)), [[5e-324, -5e-324, 1e308]]])
    codec = RoundingQuantizer(52)
    np.testing.assert_array_equal(codec.decode(codec.encode(points), points.shape), points)


@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_uniform_error_is_at_most_half_a_step(rng, shift):
    points = rng.normal(size=(300, 4)) * [1, 10, 0.01, 5] + shift
    for bits in (1, 3, 8):
        codec = UniformQuantizer(bits)
        error = np.abs(points - codec.decode(codec.encode(points), points.shape))
        step = np.ptp(points, axis=0) / (2**bits - 1)
        # Ends stored in float32 may shift a level by a sixteenth of a step.
        assert (error <= step * (0.5 + 1 / 16)).all()


@pytest.mark.parametrize("bits", [1, 2, 3, 8, 13, 32])
def test_binary_constant_and_zero_columns_come_back_exactly(rng, bits):
    binary = rng.integers(0, 2, 50)
    points = np.column_stack([binary, 7 - 2 * binary, np.full(50, 3.0), np.zeros(50)]).astype(float)
    codec = UniformQuantizer(bits)
    np.testing.assert_array_equal(codec.decode(codec.encode(points), points.shape), points)
    # flag, bitmap of 4 columns, 4 lows and 2 highs in float32, 100 codes
    assert codec.encoded_size(points) == 1 + 1 + 6 * 4 + (100 * bits + 7) // 8


@pytest.mark.parametrize("bits", [1, 2, 5, 8])
def test_no_column_that_varies_comes_back_constant(rng, bits):
    # Among so many columns there are some whose ends both round towards each other when their unit is doubled.
    points = rng.normal(size=(6, 20_000)) * np.exp2(rng.uniform(-40, 40, 20_000))
    for codec in (UniformQuantizer(bits), ContextQuantizer(bits)):
        decoded = codec.decode(codec.encode(points), points.shape)
        assert (np.ptp(decoded, axis=0) > 0).all()


def test_a_constant_column_costs_no_bits_a_point():
    for scope in ("column", "table"):
        codec = UniformQuantizer(8, scope)
        column = np.linspace(0, 1, 1000)[:, None]
        more = codec.encoded_size(np.column_stack([column, np.full(1000, 0.5)])) - codec.encoded_size(column)
        assert more <= 8


def test_wide_parameters_only_where_narrow_ones_would_shift_levels(rng):
    near, far = rng.normal(size=(100, 3)), rng.normal(size=(100, 3)) + 1e9
    codec = UniformQuantizer(8)
    assert codec.encoded_size(far) - codec.encoded_size(near) == 6 * 4
    assert np.abs(codec.decode(codec.encode(far), far.shape) - far).max() < 0.02


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: RoundingQuantizer(53), ValueError, r"significant_bits=53 must be in 0\.\.52"),
        (lambda: RoundingQuantizer(2.0), TypeError, "significant_bits=2.0 must be an integer"),
        (lambda: RoundingQuantizer(2, "tight"), ValueError, "layout='tight'"),
        (lambda: UniformQuantizer(0), ValueError, r"bits=0 must be in 1\.\.32"),
        (lambda: UniformQuantizer(True), TypeError, "bits=True must be an integer"),
        (lambda: UniformQuantizer(3, "row"), ValueError, "scope='row'"),
        (lambda: get_quantizer({"id": "zip"}), ValueError, "id='zip', known are"),
        (lambda: get_quantizer({"id": ["zip"]}), ValueError, r"id=\['zip'\], known are"),
        (lambda: get_quantizer("uniform"), TypeError, "config='uniform' must be a dict"),
        (lambda: register_quantizer("uniform"), TypeError, "cls='uniform' must be a subclass of Quantizer"),
        (lambda: register_quantizer(dict), TypeError, "must be a subclass of Quantizer"),
        (lambda: quantizer_from_wire(250, b"\0\0"), ValueError, "quantizer 250, which is unknown"),
        (lambda: quantizer_from_wire(1, b"\x35\0"), ValueError, "significant_bits=53"),
        (lambda: quantizer_from_wire(1, b"\0\7"), ValueError, "layout 7"),
        (lambda: quantizer_from_wire(2, b"\1\7"), ValueError, "scope 7"),
    ],
)
def test_bad_parameters_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("narrow", "plain"),
    [
        (UniformQuantizer(np.uint8(16)), UniformQuantizer(16)),
        (UniformQuantizer(np.int8(8)), UniformQuantizer(8)),
        (ContextQuantizer(np.int8(8)), ContextQuantizer(8)),
        (ContextQuantizer(np.uint8(7), "table"), ContextQuantizer(7, "table")),
        (RoundingQuantizer(np.uint8(52)), RoundingQuantizer(52)),
        (RoundingQuantizer(np.int8(30), "paper"), RoundingQuantizer(30, "paper")),
    ],
    ids=repr,
)
def test_widths_of_any_integer_type_are_the_same(rng, narrow, plain):
    points = rng.normal(size=(50, 3))
    assert narrow.encode(points) == plain.encode(points)
    assert narrow.max_encoded_size(points.shape) == plain.max_encoded_size(points.shape)
    assert json.loads(json.dumps(narrow.get_config())) == plain.get_config()


def test_ids_cannot_be_taken_twice():
    class Impostor(RoundingQuantizer.__mro__[1]):  # type: ignore[misc]
        id, wire_id = "impostor", 2

    with pytest.raises(ValueError, match="has the id or wire_id of UniformQuantizer"):
        register_quantizer(Impostor)
    Impostor.wire_id = 256
    with pytest.raises(ValueError, match="wire_id=256"):
        register_quantizer(Impostor)
