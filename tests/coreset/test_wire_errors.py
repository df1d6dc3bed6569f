"""What is wrong with a message, in words: the part where it ends, and what no part may say."""

from __future__ import annotations

import re
import struct

import numpy as np
import pytest

from coreset import decode, inspect
from coreset.wire import Reader, seal, varint
from coreset.wire.labels import count_classes, decode_labels
from coreset.wire.logscale import decode_logs
from coreset.wire.names import decode_names, encode_names
from coreset.wire.weights import decode_weights

UNIFORM_POINTS = b"\0" + bytes(1) + struct.pack("<f", 0.0) * 2  # two points in constant columns

# What a body has, in order; a number after the name is the flag that says so. Of the pairs, a body has one.
HEAD = [("n_source", varint(300)), ("n_points", b"\x02"), ("n_features", b"\x02")]
TAIL = [
    ("the quantizer", b"\x02"),
    ("its configuration", b"\x08\0"),
    ("the length of the points", varint(len(UNIFORM_POINTS))),
    ("the points", UNIFORM_POINTS),
]
WEIGHTS = [("the length of the weights", b"\x01"), ("the weights", b"\0")]
PLAIN = [
    ("the flags", bytes([0, 1])),
    *HEAD,
    ("the total weight", struct.pack("<d", 7.0)),
    ("the totals", struct.pack("<dff", -1.0, 2.0, 3.0)),
    *WEIGHTS,
    *TAIL,
]
FULL = [
    ("the flags", bytes([1 | 2 | 8 | 16 | 32, 1])),
    *HEAD,
    ("the source's size after zstd", varint(5000)),
    ("the totals", struct.pack("<d", -1.0)[4:] + struct.pack("<f", 2.0)[2:] + struct.pack("<f", 3.0)[2:]),
    *WEIGHTS,
    ("the length of the labels", b"\x05"),
    ("the labels", b"U\x01\x01a\x02"),
    ("the length of the feature names", b"\x04"),
    ("the feature names", b"\x01p\x01q"),
    *TAIL,
]
TARGET = [
    ("the flags", bytes([4, 0])),
    *HEAD,
    ("the total weight", struct.pack("<d", 7.0)),
    ("the totals", struct.pack("<dff", -1.0, 2.0, 3.0)),
    *WEIGHTS,
    ("the target's exponent", struct.pack("<h", -3)),
    *TAIL[:2],
    ("the length of the points", varint(len(UNIFORM_POINTS) + 4)),
    ("the points", UNIFORM_POINTS + struct.pack("<f", 16.0)),
]
BODIES = {"plain": PLAIN, "full": FULL, "target": TARGET}


def message_of(body: bytes) -> bytes:
    return seal(b"CSET\x01" + varint(len(body)) + body)


def body_of(parts: list[tuple[str, bytes]], name: str = "", instead: bytes = b"") -> bytes:
    """The parts one after the other, one of them replaced."""
    return b"".join(instead if name == part else data for part, data in parts)


def test_bodies_by_hand_are_read():
    plain, full, target = (decode(message_of(body_of(parts))) for parts in (PLAIN, FULL, TARGET))
    for received in (plain, full, target):
        assert received.points.tolist() == [[0.0, 0.0], [0.0, 0.0]]
        assert (received.offset, received.max_displacement, received.total_displacement) == (-1.0, 2.0, 3.0)
        assert received.n_source == 300
    assert [received.weights.tolist() for received in (plain, full, target)] == [[3.5, 3.5], [150, 150], [3.5, 3.5]]
    assert [str(received.source_dtype) for received in (plain, full, target)] == ["float32", "float32", "float64"]
    assert full.labels.tolist() == ["a", "a"]
    assert full.feature_names == ("p", "q")
    assert (plain.source_zstd_bytes, full.source_zstd_bytes) == (None, 5000)
    assert target.labels.tolist() == [128.0, 128.0]  # 16 * 2**3
    assert (target.target_type, target.label_scale) == ("numeric", 2.0**-3)
    assert (plain.target_type, full.target_type) == (None, "class")


def test_what_bodies_by_hand_say_of_themselves():
    body = body_of(FULL)
    (said,) = inspect(message_of(body))
    quantizer = said.pop("quantizer")
    assert (quantizer.wire_id, quantizer.config_bytes()) == (2, b"\x08\0")
    parts = {"weights": 2, "labels": 6, "names": 5, "points": 1 + len(UNIFORM_POINTS)}
    size = len(body) + 4 + 1 + 1 + 4
    assert said == {
        "n_points": 2,
        "n_features": 2,
        "n_source": 300,
        "source_dtype": np.float32,
        "source_zstd_bytes": 5000,
        "target_type": "class",
        "n_classes": 1,
        "message_bytes": size,
        "parts": {"header": size - sum(parts.values()), **parts},
    }
    plain, target = inspect(message_of(body_of(PLAIN)) + message_of(body_of(TARGET)))
    assert [(row["target_type"], row["n_classes"]) for row in (plain, target)] == [(None, 0), ("numeric", 0)]
    assert set(target["parts"]) == {"header", "weights", "points"}


@pytest.mark.parametrize("parts", BODIES.values(), ids=BODIES)
def test_a_body_that_ends_early_says_where(parts):
    start = 0
    body = body_of(parts)
    for name, data in parts:
        for kept in range(len(data)):
            # A number of several bytes is read byte by byte.
            takes, left = (1, 0) if name.startswith("n_") or "size" in name else (len(data), kept)
            message = f"message is truncated: {name} takes {takes} bytes, {left} are left"
            for function in (decode, inspect):
                with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
                    function(message_of(body[: start + kept]))
        start += len(data)


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        (3, "the magic takes 4 bytes, 3 are left"),
        (4, "the version takes 1 bytes, 0 are left"),
        (5, "the length of the body takes 1 bytes, 0 are left"),
        (8, "the body takes {size} bytes, 2 are left"),
        (-3, "the checksum takes 4 bytes, 1 are left"),
    ],
)
def test_a_message_that_ends_early_says_where(kept, message):
    body = body_of(PLAIN)
    with pytest.raises(ValueError, match=f"^message is truncated: {message.format(size=len(body))}$"):
        decode(message_of(body)[:kept])


@pytest.mark.parametrize(
    ("parts", "name", "instead", "message"),
    [
        (PLAIN, "the flags", b"\x80\x01", "flags 128 or dtype 1 is unknown"),
        (PLAIN, "the flags", b"\0\x0c", "flags 0 or dtype 12 is unknown"),
        (PLAIN, "the flags", b"\x40\x01", "flags 64 say that it has no names and that they are squeezed"),
        (FULL, "the flags", b"\x3f\x01", "flags 63 say that it has labels and a numeric target"),
        (PLAIN, "n_points", b"\0", "it says that it holds 0 points of 2 features"),
        (PLAIN, "n_features", b"\0", "it says that it holds 2 points of 0 features"),
        (PLAIN, "n_source", b"\xff" * 9, "n_source is no number below 2**63"),
        (PLAIN, "the total weight", struct.pack("<d", -1.0), "its total weight is -1.0"),
        (PLAIN, "the total weight", struct.pack("<d", np.inf), "its total weight is inf"),
        (TARGET, "the target's exponent", struct.pack("<h", -1075), "the exponent of its target is -1075"),
        (TARGET, "the target's exponent", struct.pack("<h", 1024), "the exponent of its target is 1024"),
        (PLAIN, "the points", UNIFORM_POINTS + b"!", "1 bytes are left over after the points"),
    ],
)
def test_what_a_body_cannot_say(parts, name, instead, message):
    for function in (decode, inspect):
        with pytest.raises(ValueError, match=f"^message is corrupt: {re.escape(message)}$"):
            function(message_of(body_of(parts, name, instead)))


@pytest.mark.parametrize("exponent", [-1074, 1023])
def test_the_outermost_exponents_are_read(exponent):
    (said,) = inspect(message_of(body_of(TARGET, "the target's exponent", struct.pack("<h", exponent))))
    assert said["target_type"] == "numeric"


def test_totals_of_zero_and_of_no_rows_are_read():
    nothing = decode(message_of(body_of(PLAIN, "the total weight", bytes(8))))
    assert nothing.weights.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "message is truncated: the labels takes 1 bytes, 0 are left"),
        (b"i", "message is truncated: the number of classes takes 1 bytes, 0 are left"),
        (b"i\0", "message is corrupt: 0 classes for 3 points"),
        (b"i\4", "message is corrupt: 4 classes for 3 points"),
        (b"i\1", "message is truncated: a label takes 1 bytes, 0 are left"),
        (b"U\1\2a", "message is truncated: a label takes 2 bytes, 1 are left"),
        (b"U\1\1\xff", "message is corrupt: a name is no UTF-8"),
        (b"f\1abcdefg", "message is truncated: the labels takes 8 bytes, 7 are left"),
        (b"r\1", "message is truncated: a label takes 1 bytes, 0 are left"),
        (b"x\1", "message is corrupt: b'x' is no kind of label"),
        (b"b\1\4\3", "message is corrupt: a boolean label is neither 0 nor 1"),
        (b"b\1\1\3", "message is corrupt: a boolean label is neither 0 nor 1"),
        (b"i\1\0", "message is truncated: a class's count takes 1 bytes, 0 are left"),
        (b"i\1\0\3!", "message is corrupt: 1 bytes are left over after the labels"),
        (b"i\1\0\2", "message is corrupt: the classes count 2 points of 3"),
        (b"i\2\0\2\1\3", "message is corrupt: the classes count 4 points of 3"),
        (
            b"r\2" + varint(2 * (2**61 - 1)) + b"\1\2",
            f"message is corrupt: 2 labels from {2**61 - 1} on are too large",
        ),
    ],
)
def test_what_labels_cannot_say(data, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        decode_labels(data, 3, 1 << 20)


@pytest.mark.parametrize(
    ("data", "labels"),
    [
        (b"b\2\0\2\1\2", [False, True, True]),
        (b"i\3\1\0\2\1\1\1", [-1, 0, 1]),  # zigzag: 1 is -1, 2 is 1
        (b"i\1\4\3", [2, 2, 2]),
        (b"r\2\3\2\1", [-2, -2, -1]),
        (b"f\1" + struct.pack("<d", 0.5) + b"\3", [0.5, 0.5, 0.5]),
        (b"U\2\0\1a\1\2", ["", "a", "a"]),
        (b"r\1" + varint(2 * (2**61 - 1)) + b"\3", [2**61 - 1] * 3),
    ],
)
def test_labels_by_hand(data, labels):
    read = decode_labels(data, 3, 24)
    assert read.tolist() == labels
    assert count_classes(data, 3) == data[1]
    with pytest.raises(ValueError, match=r"^decoding the labels takes 24 bytes, max_output_bytes leaves 23$"):
        decode_labels(data, 3, 23)


def test_texts_take_the_room_of_the_longest():
    data = b"U\2\1a\3abc\1\2"
    assert decode_labels(data, 3, 36).tolist() == ["a", "abc", "abc"]
    with pytest.raises(ValueError, match=r"^decoding the labels takes 36 bytes, max_output_bytes leaves 35$"):
        decode_labels(data, 3, 35)


def test_counting_classes_names_what_is_wrong():
    for data, message in (
        (b"", "message is truncated: the labels takes 1 bytes, 0 are left"),
        (b"i", "message is truncated: the number of classes takes 1 bytes, 0 are left"),
        (b"i\4", "message is corrupt: 4 classes for 3 points"),
    ):
        with pytest.raises(ValueError, match=f"^{message}$"):
            count_classes(data, 3)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "message is truncated: a feature name takes 1 bytes, 0 are left"),
        (b"\2a", "message is truncated: a feature name takes 2 bytes, 1 are left"),
        (b"\1\xff", "message is corrupt: a name is no UTF-8"),
        (b"\1a!", "message is corrupt: 1 bytes are left over after the feature names"),
    ],
)
def test_what_names_cannot_say(data, message):
    message = message.replace("a feature name takes 1", "the length of a feature name takes 1")
    with pytest.raises(ValueError, match=f"^{message}$"):
        decode_names(data, 1, squeezed=False, most_bytes=0)


def test_more_names_than_may_be_squeezed():
    with pytest.raises(ValueError, match=r"^message is corrupt: 1048577 feature names are squeezed, 1048576 may be$"):
        decode_names(b"", 2**20 + 1, squeezed=True, most_bytes=2**30)


def test_a_reader_takes_what_is_there():
    reader = Reader(b"\x85\x01ab\x01cd")
    assert (reader.varint("a number"), reader.position) == (5 + 128, 2)
    assert reader.take(2, "two bytes") == b"ab"
    assert reader.block("a block") == b"c"
    with pytest.raises(ValueError, match=r"^message is corrupt: 1 bytes are left over after this$"):
        reader.end("this")
    with pytest.raises(ValueError, match=r"^message is truncated: that takes 2 bytes, 1 are left$"):
        reader.take(2, "that")
    assert reader.take(1, "that") == b"d"
    reader.end("all")


@pytest.mark.parametrize("value", [0, 1, 127, 128, 16383, 16384, 2**62, 2**63 - 1])
def test_numbers_take_seven_bits_a_byte(value):
    data = varint(value)
    assert len(data) == max(1, -(-value.bit_length() // 7))
    assert Reader(data).varint("it") == value


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "message is truncated: the marks takes 1 bytes, 0 are left"),
        (b"\x20\0\0", "message is corrupt: the head of the marks is 32"),
        (b"\0!", "message is corrupt: 1 bytes are left over after equal the marks"),
        (b"\x19", "message is corrupt: 25 bits for each of the marks are more than 24"),
        (b"\x41\0", "message is truncated: the marks takes 2 bytes, 1 are left"),
        (b"\x01" + bytes(7), "message is truncated: the marks takes 8 bytes, 7 are left"),
        (b"\x01" + struct.pack("<d", -0.5), "message is corrupt: the logarithm of the ratio of the marks is -0.5"),
        (b"\x01" + struct.pack("<d", 1501), "message is corrupt: the logarithm of the ratio of the marks is 1501.0"),
        (b"\x01" + struct.pack("<d", np.nan), "message is corrupt: the logarithm of the ratio of the marks is nan"),
        (
            b"\x41" + struct.pack("<H", 65535),
            "message is corrupt: the logarithm of the ratio of the marks is 2047.96875",
        ),
    ],
)
def test_what_numbers_on_a_logarithmic_scale_cannot_say(data, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        decode_logs(data, 2, "the marks")


def test_weights_need_one_that_is_positive():
    data = b"\xc1" + struct.pack("<H", 32) + b"\0"  # both codes are 0, which stands for zero
    with pytest.raises(ValueError, match=r"^message is truncated: the weights takes 1 bytes, 0 are left$"):
        decode_weights(b"", 2, 1.0)
    with pytest.raises(ValueError, match=r"^message is corrupt: no weight is positive$"):
        decode_weights(data, 2, 1.0)


def test_names_that_are_written_short_are_as_long_as_they_say():
    names = tuple(f"column {number}" for number in range(50))
    data, squeezed = encode_names(names)
    assert squeezed
    with pytest.raises(ValueError, match=r"^message is truncated: the length of a feature name takes 1 bytes"):
        decode_names(data, 51, squeezed=True, most_bytes=1 << 20)
