"""Messages at the edges: the smallest, the widest, the strangest values, and budgets that hold nothing."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from coreset import (
    BudgetedCoreset,
    ContextQuantizer,
    Coreset,
    RoundingQuantizer,
    UniformQuantizer,
    accounting,
    decode,
    encode,
    encoded_size,
)

LOSSLESS = RoundingQuantizer(52)
CODECS = [
    UniformQuantizer(4),
    UniformQuantizer(2, "table"),
    RoundingQuantizer(3),
    RoundingQuantizer(3, "paper"),
    ContextQuantizer(2),
    ContextQuantizer(2, "table"),
]
every_codec = pytest.mark.parametrize("codec", CODECS, ids=repr)


@every_codec
@pytest.mark.parametrize("labels", [None, ["only"], [0.5]])
def test_one_point_of_one_feature(codec, labels):
    sent = Coreset([[3.0]], [7.0], labels=labels, n_source=9)
    message = encode(sent, codec)
    received = decode(message)
    assert len(message) == encoded_size(sent, codec) < 100
    assert (received.points.item(), received.weights.item(), received.n_source) == (3.0, 7.0, 9)
    assert labels is None or received.labels.tolist() == labels


@every_codec
def test_a_hundred_thousand_columns(codec, rng):
    points = np.where(rng.random(100_000) < 0.01, rng.integers(0, 4, (3, 100_000)), 0).astype(float)
    sent = Coreset(points, [1, 2, 3], source_dtype=np.uint8)
    received = decode(encode(sent, codec))
    found = received.points[np.argsort(received.weights)]  # some codecs ask for another order
    # Four levels from 0 to 3, or as many significant bits, hold the values; levels a column may be packed as halves.
    assert np.abs(found - points).max() <= 0.5
    assert (found[:, (points == 0).all(axis=0)] == 0).all()


def test_a_hundred_thousand_names(rng):
    names = tuple(f"column {i}" for i in range(100_000))
    sent = Coreset(rng.normal(size=(1, 100_000)), [1], feature_names=names)
    message = encode(sent, UniformQuantizer(1, "table"))
    assert decode(message).feature_names == names
    assert accounting(message).parts["names"] < 200  # they count
    shuffled = dataclasses.replace(sent, feature_names=tuple(rng.permutation(names).tolist()))
    message = encode(shuffled, UniformQuantizer(1, "table"))
    assert decode(message).feature_names == shuffled.feature_names
    assert 200_000 < accounting(message).parts["names"] < 1_000_000


def test_subnormals_and_negative_zero():
    tiny = 5e-324
    points = np.array([[tiny, -0.0, -tiny], [2.2e-308, 0.0, 1e-310]])
    for layout in ("packed", "paper"):
        received = decode(encode(Coreset(points, [1, 1]), RoundingQuantizer(52, layout))).points
        np.testing.assert_array_equal(received, points)
    assert np.signbit(received[0, 1])  # the published layout keeps it; the packed one writes 0.0
    for codec in CODECS:
        received = decode(encode(Coreset(points, [1, 1]), codec)).points
        assert np.abs(received - points).max() <= 2.2e-308


def test_ten_thousand_classes(rng):
    labels = rng.permutation(10_000)
    sent = Coreset(rng.normal(size=(10_000, 2)), rng.integers(1, 9, 10_000), labels=labels)
    message = encode(sent, UniformQuantizer(8))
    received = decode(message)
    assert received.labels.tolist() == list(range(10_000))
    order = np.argsort(labels)
    np.testing.assert_allclose(received.points, sent.points[order], atol=0.05)
    assert accounting(message).raw_target == "a class as 2 bytes"


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int8, np.uint8, np.bool_, ">i4"])
def test_the_type_of_the_source_travels_and_is_counted(rng, dtype):
    X = rng.integers(0, 2 if dtype == np.bool_ else 100, size=(300, 5)).astype(dtype)
    message = BudgetedCoreset(1024, quantizer=UniformQuantizer(6), random_state=0).fit(X).message_
    received, counted = decode(message), accounting(message)
    assert received.source_dtype == np.dtype(dtype).newbyteorder("=")
    assert counted.raw_bytes == X.nbytes
    assert counted.source_zstd_bytes is None or 100 < counted.source_zstd_bytes < X.nbytes + 30


def test_labels_with_surrogates():
    labels = ["\ud800", "a\udfff", "\U0001f600", ""]
    received = decode(encode(Coreset(np.eye(4), np.ones(4), labels=labels), LOSSLESS))
    assert received.labels.tolist() == sorted(labels)


@pytest.mark.parametrize("budget", [1, 20, 40])
@pytest.mark.parametrize("classes", [None, ("a", "b", "c")])
def test_budgets_below_one_point_say_what_is_enough(rng, budget, classes):
    X = rng.normal(size=(50, 6))
    y = None if classes is None else np.resize(classes, 50)
    with pytest.raises(ValueError, match=f"budget_bytes={budget} is too small") as error:
        BudgetedCoreset(budget, random_state=0).fit(X, y)
    least = int(re.search(r"takes (\d+) bytes", str(error.value))[1])
    assert len(BudgetedCoreset(least, random_state=0).fit(X, y).message_) <= least


def test_sums_beyond_a_double_are_refused():
    heavy = encode(Coreset([[0.0], [1.0]], [1, 1], offset=1e308), LOSSLESS)
    assert decode(heavy).offset == pytest.approx(1e308)
    with pytest.raises(ValueError, match="offset sums to more than a double can hold"):
        decode(heavy + heavy)
    with pytest.raises(ValueError, match="weights sums to more than a double can hold"):
        Coreset([[0.0], [1.0]], [1e308, 1e308])
    with pytest.raises(ValueError, match="weights sums to more than a double can hold"):
        Coreset.merge(*[Coreset([[0.0]], [1e308])] * 2)
    assert Coreset([[0.0]] * 3, [1e308, 5e307, 0]).total_weight == 1.5e308


@pytest.mark.parametrize("function", [encode, encoded_size])
def test_what_cannot_be_encoded_has_no_size(function):
    far = Coreset([[1e160], [-1e160]], [1, 1])
    with pytest.raises(ValueError, match=r"spans -1e\+160 to 1e\+160: their squared distances overflow"):
        function(far, UniformQuantizer(4))
