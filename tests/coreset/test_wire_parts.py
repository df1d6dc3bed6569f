"""The parts of a message by hand: labels, numbers on a logarithmic scale, rough ones, offset, certificate, sizes."""

from __future__ import annotations

import dataclasses
import math
import struct
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from coreset import Coreset, RoundingQuantizer, UniformQuantizer, decode, encode, encoded_size, max_encoded_size
from coreset.quantizers.limits import MOST_POINTS
from coreset.wire import Draft, calibrated_offset, from_rough, merge_within, roughly, varint
from coreset.wire.drafts import arranged
from coreset.wire.labels import encode_label_table
from coreset.wire.logscale import decode_logs, encode_logs, max_log_size
from coreset.wire.rough import from_leading_half, leading_half, roughly_above
from coreset.wire.squeezing import squeezed, unsqueezed
from coreset.wire.weights import decode_weights, encode_weights, max_weights_size

LOSSLESS = RoundingQuantizer(52)


@pytest.mark.parametrize(
    ("classes", "written"),
    [
        ([False, True], b"b\2\0\2"),
        ([3, 4, 5], b"r\3\6"),
        ([-2, -1], b"r\2\3"),
        ([7], b"i\1\x0e"),
        ([3, 5], b"i\2\6\x0a"),
        ([0.5, 1.5], b"f\2" + struct.pack("<dd", 0.5, 1.5)),
        (["", "é"], b"U\2\0\2\xc3\xa9"),
        ([-(2**61), 0], b"i\2" + varint(2**62 - 1) + b"\0"),
        ([0, 2**61 - 1], b"i\2\0" + varint(2**62 - 2)),
    ],
)
def test_tables_of_labels(classes, written):
    assert encode_label_table(np.array(classes)) == written


def test_labels_that_follow_each_other_can_be_listed():
    classes = np.arange(3, 6, dtype=np.uint8)
    assert encode_label_table(classes) == b"r\3\6"
    assert encode_label_table(classes, listed=True) == b"i\3\6\x08\x0a"


@pytest.mark.parametrize("classes", [[0, 2**61], [-(2**61) - 1, 0]])
def test_labels_of_62_bits_are_too_large(classes):
    message = f"^labels {classes[0]} to {classes[1]} are too large: their size must stay below "
    with pytest.raises(ValueError, match=message + r"2\*\*61$"):
        encode_label_table(np.array(classes))


@pytest.mark.parametrize(
    ("values", "written"),
    [
        ([0.0, 0.0, 0.0], b"\0"),
        ([5.0, 5.0], b"\0"),
        # One bit a code: the flag of a short ratio, whose logarithm, nearly one, is 32 parts.
        ([1.0, 0.999 * np.e], b"\x41" + struct.pack("<H", 32) + b"\x40"),
        # The code 0 is for zeros, so that one bit tells these from values that are equal.
        ([0.0, 3.0, 3.0], b"\xc1" + struct.pack("<H", 0) + b"\x60"),
        # Two bits: 0 for the zero, 1 and 3 for the ends, 2 between them.
        ([0.0, 1.0, np.e, 0.999 * np.e**2], b"\xc2" + struct.pack("<H", 64) + b"\x1b"),
    ],
)
def test_numbers_on_a_logarithmic_scale(values, written):
    values = np.array(values)
    assert encode_logs(values, 0.01, 8) == written
    read = decode_logs(written, len(values), "the values")
    top = values.max() or 1.0
    expected = np.ones(len(values)) if written == b"\0" else values / top
    np.testing.assert_allclose(read, expected, rtol=2e-3)
    assert len(written) <= max_log_size(len(values), 8)


def test_a_long_ratio_is_read():
    # Messages from before ratios were short: their logarithm is a double.
    assert decode_logs(b"\1" + struct.pack("<d", 2.0) + b"\x40", 2, "it").tolist() == pytest.approx(
        [np.exp(-2.0), 1.0], rel=1e-15
    )
    assert decode_logs(b"\1" + struct.pack("<d", 1500.0) + b"\x40", 2, "it")[1] == 1.0
    assert decode_logs(b"\1" + struct.pack("<d", 0.0) + b"\x40", 2, "it").tolist() == [1.0, 1.0]


@pytest.mark.parametrize("tolerance", [0.3, 0.1, 0.01])
def test_no_logarithm_is_off_by_more_than_was_asked_for_and_no_bit_is_spent_in_vain(rng, tolerance):
    logs = np.sort(rng.uniform(0, 3, 300))
    data = encode_logs(np.exp(logs), tolerance, 16)
    read = np.log(decode_logs(data, 300, "them"))
    lost = np.abs((read - read[0]) - (logs - logs[0]))
    assert lost.max() <= tolerance + 1e-12
    bits = data[0] & 31
    # With a bit less, the steps would be twice as wide, and half of one more than the tolerance.
    assert 3 / (2 ** (bits - 1) - 1) / 2 > tolerance * 0.95


def test_few_bits_are_used_up_where_they_do_not_suffice():
    data = encode_logs(np.exp(np.linspace(0, 3, 50)), 1e-6, 4)
    assert data[0] & 31 == 4


@pytest.mark.parametrize(("precision", "most", "lost"), [(1, 6, 0.18), (4, 8, 0.0625), (8, 10, 0.0157), (52, 24, 7e-8)])
def test_weights_have_half_the_digits_of_the_points(rng, precision, most, lost):
    weights = rng.uniform(1, 9, 200)
    data = encode_weights(weights, precision)
    assert max_weights_size(200, precision) == 3 + -(-200 * most // 8) >= len(data)
    read = decode_weights(data, 200, float(weights.sum()))
    # All weights may be off alike, which their total then mends.
    off = np.log(read / weights)
    assert np.ptp(off) <= 2 * lost
    assert np.ptp(off) > lost / 4
    assert read.sum() == pytest.approx(weights.sum(), rel=1e-15)


@pytest.mark.parametrize("total", [1.0, 0.1, 1e-300, 3.0, 1e300])
def test_weights_sum_to_their_total_to_the_last_bit(total):
    for seed in range(20):
        weights = np.random.default_rng(seed).uniform(0, 1, 7)
        assert math.fsum(decode_weights(encode_weights(weights, 3), 7, total)) == total
    assert decode_weights(b"\0", 3, total).tolist() == [total / 3] * 3  # equal, whatever their sum rounds to


def test_rough_numbers_by_hand():
    # Eight bits of mantissa: 1 + k / 128 between one and two.
    assert roughly(1.0) == roughly(1 + 0.99 / 128) == b"\x80\x3f"
    assert roughly_above(1.0) == b"\x80\x3f"
    assert roughly_above(1 + 1e-6) == roughly_above(1 + 1 / 128) == b"\x81\x3f"
    assert from_rough(b"\x81\x3f") == 1 + 1 / 128
    assert roughly(0.0) == roughly_above(0.0) == b"\0\0"
    assert from_rough(roughly(1e300)) == from_rough(roughly(3.3e38)) > 3.2e38
    assert np.isfinite(from_rough(roughly_above(3.3e38)))
    for value in (3.31e38, np.inf, np.nan):
        assert np.isnan(from_rough(roughly_above(value)))


def test_half_a_double_by_hand():
    # 20 bits of mantissa are kept: one and half a unit of the last of them is between two.
    unit = 2.0**-20
    for steps, kept in ((0, 0), (0.49, 0), (0.51, 1), (1.2, 1)):
        for sign in (1, -1):
            assert from_leading_half(leading_half(sign * (1 + steps * unit))) == sign * (1 + kept * unit)
    assert leading_half(1.0) == struct.pack("<d", 1.0)[4:]
    # Rounding the largest double up would make it infinite.
    assert from_leading_half(leading_half(sys.float_info.max)) == 2.0**1023 * (2 - unit)
    assert from_leading_half(leading_half(-sys.float_info.max)) == -(2.0**1023) * (2 - unit)


@pytest.mark.parametrize("bits", [1, 3, 10])
def test_codes_of_up_to_ten_bits_are_squeezed(bits):
    codes = np.zeros(3000, dtype=np.int64)
    codes[::100] = 2**bits - 1
    data = squeezed(codes, bits)
    assert len(data) < 3000 * bits / 8 / 2
    read = unsqueezed(data, 3000, bits, "them")
    assert (read.dtype, read.tolist()) == (np.int64, codes.tolist())
    assert squeezed(codes, 11) is None
    with pytest.raises(
        ValueError, match=rf"^message is corrupt: 3000 of them of 11 bits are not in {len(data)} bytes$"
    ):
        unsqueezed(data, 3000, 11, "them")


def test_more_codes_than_so_few_bytes_can_stand_for_are_not_read():
    with pytest.raises(ValueError, match=f"^message is corrupt: {MOST_POINTS} of them of 10 bits are not in 20 bytes$"):
        unsqueezed(bytes(20), MOST_POINTS, 10, "them")


def test_codes_that_are_all_alike_would_be_too_few_bytes():
    assert squeezed(np.zeros(1 << 20, dtype=np.int64), 3) is None


def test_the_offset_by_hand():
    # Sent: 0 and 10 of weights 1 and 3. Received: 1 and 8 of weights 2 and 2. With few points all are centres.
    sent = Coreset([[0.0], [10.0]], [1, 3], offset=100.0)
    received, weights = np.array([[1.0], [8.0]]), np.array([2.0, 2.0])
    # On the points that were sent: 0 - (2 * 1 + 2 * 4); on those received: (1 * 1 + 3 * 4) - 0.
    assert calibrated_offset(sent, received, weights) == pytest.approx(100 + (-10 + 13) / 2, rel=1e-15)


def test_points_without_weight_play_no_part_in_the_offset():
    sent = Coreset([[0.0], [10.0], [5.0]], [1, 3, 0], offset=100.0)
    received, weights = np.array([[1.0], [8.0], [5.0]]), np.array([2.0, 2.0, 0.0])
    assert calibrated_offset(sent, received, weights) == pytest.approx(101.5, rel=1e-15)
    empty = dataclasses.replace(sent, weights=np.zeros(3))
    assert calibrated_offset(empty, received, np.zeros(3)) == 100.0


def test_sixteen_centres_make_the_offset():
    # Points stay where they are and weights do not: with all of them as centres nothing is lost.
    points = 2.0 ** np.arange(30)[:, None]
    sent = Coreset(points, np.ones(30), offset=0.0)
    moved = calibrated_offset(sent, points, np.linspace(0.5, 1.5, 30))
    assert moved != 0.0
    few = Coreset(points[:16], np.ones(16), offset=0.0)
    assert calibrated_offset(few, points[:16], np.linspace(0.5, 1.5, 16)) == 0.0


def test_the_certificate_by_hand():
    # One point moves by a half, and no weight: 1 + 1/2 at most, and 2 + 3/2 in sum, which two bytes hold exactly.
    sent = Coreset([[0.0], [10.0]], [3, 3], max_displacement=1.0, total_displacement=2.0, n_source=6)
    draft = Draft(sent, LOSSLESS, LOSSLESS.encode(sent.points), np.array([[0.5], [10.0]]))
    received = decode(draft.message())
    assert (received.max_displacement, received.total_displacement) == (1.5, 3.5)
    assert len(draft.message()) == draft.message_bytes


def test_mass_that_weights_move_travels_the_diameter():
    sent = Coreset([[0.0], [4.0], [1.0]], [1.0, 2.0, 3.4], max_displacement=0.0, total_displacement=0.0)
    received = decode(encode(sent, RoundingQuantizer(4)))
    assert received.points.tolist() == sent.points.tolist()
    # The mean is 5/3, from which the farthest point is 7/3; half of the differences is what moves.
    moved = np.abs(received.weights - sent.weights).sum() / 2 * 2 * (7 / 3)
    assert moved > 0.01
    assert moved <= received.total_displacement <= moved * (1 + 2**-7)
    assert received.max_displacement == 0.0


def test_a_target_counts_in_the_certificate():
    sent = Coreset(
        [[0.0], [1.0]],
        [1, 1],
        labels=[0.0, 3.0],
        target_type="numeric",
        label_scale=2.0,
        max_displacement=1.0,
        total_displacement=1.0,
    )
    # Read as (0, 0) and (1, 7) where (0, 0) and (1, 2 * 3) were sent.
    columns = np.array([[0.0, 0.0], [1.0, 6.0]])
    moved = np.array([[0.0, 0.0], [1.0, 7.0]])
    received = decode(Draft(sent, LOSSLESS, LOSSLESS.encode(columns), moved).message())
    assert (received.max_displacement, received.total_displacement) == (2.0, 2.0)
    assert (received.label_scale, received.labels.tolist()) == (2.0, [0.0, 3.0])


def test_a_message_is_a_function_of_its_coreset(rng):
    sent = Coreset(rng.normal(size=(60, 3)), rng.uniform(1, 5, 60), labels=np.resize(["a", "b"], 60))
    assert encode(sent, UniformQuantizer(2)) == encode(sent, UniformQuantizer(2))


@pytest.mark.parametrize(
    ("dtype", "received"),
    [(">f4", "float32"), ("<i8", "int64"), ("|b1", "bool"), ("<c16", "float64"), ("<f8", "float64")],
)
def test_types_that_are_not_listed_travel_as_doubles(dtype, received):
    sent = Coreset([[0.0]], [1], source_dtype=dtype)
    assert decode(encode(sent, LOSSLESS)).source_dtype == received


def test_classes_keep_what_belongs_to_their_points():
    sent = Coreset([[3.0], [1.0], [2.0]], [4, 1, 4], labels=["b", "a", "b"], n_source=9)
    received = decode(encode(sent, LOSSLESS))
    assert received.labels.tolist() == ["a", "b", "b"]
    assert received.points.ravel().tolist() == [1.0, 3.0, 2.0]  # of one class in the order in which they were
    np.testing.assert_allclose(received.weights, [1, 4, 4], rtol=1e-3)


def test_what_is_merged_may_take_just_so_many_bytes():
    parts = [Coreset([[0.0, 1.0]], [1], labels=["ab"]), Coreset([[0.0, 1.0]] * 2, [1, 1], labels=["a", "b"])]
    # Three points of two values and a weight, and texts of two letters for all.
    exact = 3 * (2 * 8 + 8) + 3 * 8
    assert len(merge_within(parts, exact)) == 3
    message = f"^the merged messages take {exact} bytes, max_output_bytes is {exact - 1}$"
    with pytest.raises(ValueError, match=message):
        merge_within(parts, exact - 1)
    plain = [Coreset([[0.0]], [1]), Coreset([[1.0]], [1])]
    assert len(merge_within(plain, 32)) == 2
    with pytest.raises(ValueError, match=r"^the merged messages take 32 bytes"):
        merge_within(plain, 31)


def test_messages_one_after_the_other_share_what_they_may_take():
    one = encode(Coreset(np.eye(2), [1, 1]), LOSSLESS)  # 2 * (16 + 8) bytes
    assert len(decode(one, max_output_bytes=48)) == 2
    with pytest.raises(ValueError, match=r"^decoding takes 48 bytes, max_output_bytes leaves 47$"):
        decode(one, max_output_bytes=47)
    assert len(decode(one + one, max_output_bytes=96)) == 4
    with pytest.raises(ValueError, match=r"^decoding takes 48 bytes, max_output_bytes leaves 47$"):
        decode(one + one, max_output_bytes=95)
    with pytest.raises(ValueError, match=r"^message does not begin with b'CSET' at byte \d+$"):
        decode(one + b"????")


def test_the_bound_by_hand():
    codec = UniformQuantizer(3)
    # Flags and type, three numbers, the total, offset and certificate, weights of up to seven bits, codec, points.
    body = 2 + 3 + 8 + 8 + (1 + 3 + 4) + 3 + (1 + codec.max_encoded_size((4, 2)))
    assert max_encoded_size((4, 2), codec, n_source=0) == 4 + 1 + 1 + body + 4


@pytest.mark.parametrize(
    ("more", "n_bytes"),
    [
        ({"n_source": 127}, 0),
        ({"n_source": 128}, 1),
        ({"n_source": 2**63 - 1}, 8),
        ({"source_zstd_bytes": 0}, 1),
        ({"source_zstd_bytes": 128}, 2),
        ({"feature_names": ("a", "b")}, 1 + 4),  # too short to squeeze
        ({"classes": (5, 9)}, 1 + 2 + 2 + 2),  # length, kind and number, classes, a count each
        ({"classes": [9, 8, 9, 8]}, 1 + 2 + 2 + 2),  # a part of them need not follow each other
        ({"classes": ("x", "yy")}, 1 + 2 + 5 + 2),
    ],
)
def test_what_each_part_adds_to_the_bound(more, n_bytes):
    codec = UniformQuantizer(3)
    plain = max_encoded_size((4, 2), codec, n_source=0)
    assert max_encoded_size((4, 2), codec, **{"n_source": 0, **more}) == plain + n_bytes
    assert max_encoded_size((4, 2), codec) == max_encoded_size((4, 2), codec, n_source=2**63 - 1)


def test_the_bound_names_classes_that_are_none():
    with pytest.raises(TypeError, match=r"^Unknown label type: classes must hold only one of"):
        max_encoded_size((4, 2), UniformQuantizer(3), classes=[1, "a"])


def test_a_count_of_a_class_may_be_that_of_all_points():
    codec = UniformQuantizer(3)
    assert max_encoded_size((200, 2), codec, classes=(5, 9)) - max_encoded_size((200, 2), codec) == 1 + 2 + 2 + 2 * 2


def test_a_target_is_a_column_and_an_exponent():
    codec = UniformQuantizer(3)
    columns = codec.max_encoded_size((4, 3)) - codec.max_encoded_size((4, 2))
    target = max_encoded_size((4, 2), codec, n_source=0, numeric_target=True)
    assert target == max_encoded_size((4, 2), codec, n_source=0) + columns + 2
    with pytest.raises(
        ValueError, match=r"^classes are given and numeric_target is true: a message has one kind of labels$"
    ):
        max_encoded_size((4, 2), codec, classes=(0, 1), numeric_target=True)


def test_names_and_classes_both_add_to_the_bound():
    codec = UniformQuantizer(3)
    plain, names, classes = {}, {"feature_names": ("a", "b")}, {"classes": (5, 9)}
    size = [max_encoded_size((4, 2), codec, **more) for more in (plain, names, classes, names | classes)]
    assert size[3] - size[0] == (size[1] - size[0]) + (size[2] - size[0])


@pytest.mark.parametrize(
    "size",
    [lambda codec: encoded_size(Coreset(np.eye(2), np.ones(2)), codec), lambda codec: max_encoded_size((4, 2), codec)],
    ids=["exact", "bound"],
)
def test_sizes_name_what_is_no_codec(size):
    with pytest.raises(TypeError, match=r"^quantizer='zip' is no Quantizer$"):
        size("zip")


def test_points_of_each_class_are_arranged_alone():
    backwards = SimpleNamespace(arrangement=lambda points: np.arange(len(points))[::-1])
    coreset = Coreset(np.arange(6.0)[:, None], np.ones(6), labels=np.array([2, 0, 1, 2, 0, 1]))
    assert arranged(coreset, backwards).points.ravel().tolist() == [4, 1, 5, 2, 3, 0]
