"""Streams merged: identities, order, and what does not go together."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from coreset import RobustCoreset, UniformCoreset
from coreset.nearest import clustering_cost

from .streams import assert_same, state_of, stream_of


def parts_of(rng, count=4) -> list[np.ndarray]:
    return [rng.normal(size=(size, 3)) + shift for size, shift in ((310, 0), (95, 4), (40, 8), (777, 2))][:count]


def test_merging_keeps_every_identity(rng):
    parts = parts_of(rng)
    streams = [stream_of(10, 40, seed).fit(part) for seed, part in enumerate(parts)]
    before = [state_of(stream) for stream in streams[1:]]
    merged = streams[0]
    for other in streams[1:]:
        assert merged.merge(other) is merged
    X = np.concatenate(parts)
    assert (merged.n_rows_seen_, merged.coreset_.n_source, merged.coreset_.total_weight) == (len(X),) * 3
    mean = X.mean(axis=0, keepdims=True)
    assert merged.coreset_.cost(mean) == pytest.approx(clustering_cost(X, mean))
    assert merged.coreset_.offset == pytest.approx(merged.coreset_.weights @ merged.coreset_.spread**2)
    assert [state_of(stream) for stream in streams[1:]] == before
    assert merged.n_rows_held_ <= 40 + 10 * len(merged._counter.buckets)


def test_order_of_merging_changes_nothing_but_noise(rng):
    parts = parts_of(rng, 3)
    centers = rng.normal(size=(8, 3)) * 3 + 3

    def built(order, left, seed):
        a, b, c = (stream_of(30, 40, 10 * seed + i).fit(parts[i]) for i in order)
        return (a.merge(b).merge(c) if left else a.merge(b.merge(c))).coreset_

    orders = {"left": ((0, 1, 2), True), "right": ((0, 1, 2), False), "turned": ((2, 1, 0), True)}
    n_seeds = 6
    costs = {name: [] for name in orders}
    for seed in range(n_seeds):
        for name, order in orders.items():
            summary = built(*order, seed)
            assert summary.total_weight == sum(map(len, parts))
            costs[name].append(summary.cost(centers))
    truth = clustering_cost(np.concatenate(parts), centers)
    for name in ("right", "turned"):
        error = math.hypot(np.std(costs["left"], ddof=1), np.std(costs[name], ddof=1)) / math.sqrt(n_seeds)
        # Four standard errors, and 1 % of the truth: how rows meet in cells depends a little on the nesting.
        assert abs(np.mean(costs["left"]) - np.mean(costs[name])) <= 4 * error + 0.01 * truth
    assert min(map(min, costs.values())) >= truth  # cells never under-estimate


def test_merging_with_nothing_and_with_itself(rng):
    X = rng.normal(size=(100, 2))
    stream = stream_of().fit(X)
    before = stream.coreset_
    assert_same(stream.merge(stream_of()).coreset_, before)
    empty = stream_of(seed=7).merge(stream)
    assert (empty.n_rows_seen_, empty.n_features_in_) == (100, 2)
    twice = stream.merge(stream).coreset_
    assert twice.total_weight == 200
    mean = X.mean(axis=0, keepdims=True)
    assert twice.cost(mean) == pytest.approx(2 * clustering_cost(X, mean))
    stream.partial_fit(X)  # and it goes on


@pytest.mark.parametrize(
    ("other", "error", "message"),
    [
        (RobustCoreset(), TypeError, "other is a RobustCoreset, expected a StreamingCoreset"),
        (stream_of(11).fit(np.eye(2)), ValueError, "n_points is 10 here and 11 in other"),
        (stream_of(bucket_rows=41).fit(np.eye(2)), ValueError, "bucket_rows is 40 here and 41 in other"),
        (stream_of(cls=UniformCoreset).fit(np.eye(2)), ValueError, "base is 'RobustCoreset' here and 'UniformCoreset'"),
        (stream_of(power=1).fit(np.eye(2)), ValueError, "power is 2 here and 1 in other"),
        (stream_of().fit(np.eye(3)), ValueError, "other has 3 columns, this stream 2"),
        (stream_of().fit(np.eye(2), [0, 1]), ValueError, "other brings labels, but the rows before had none"),
        (
            stream_of().fit(pd.DataFrame(np.eye(2), columns=["a", "c"])),
            ValueError,
            "column 1 is 'b' here, 'c' in other",
        ),
        (stream_of().fit(np.array([[1e200, 0]])), ValueError, "squared distances overflow"),
    ],
)
def test_streams_that_do_not_go_together(rng, other, error, message):
    stream = stream_of().fit(pd.DataFrame(rng.normal(size=(100, 2)), columns=["a", "b"]))
    before = state_of(stream)
    with pytest.raises(error, match=message):
        stream.merge(other)
    assert state_of(stream) == before


def test_merging_labelled_streams(rng):
    X = rng.normal(size=(100, 2))
    one, two = stream_of(3).fit(X, ["a"] * 100), stream_of(3).fit(X, ["b", "cc"] * 50)
    merged = one.merge(two).coreset_
    assert dict(zip(merged.labels, merged.weights, strict=True)) == {"a": 100, "b": 50, "cc": 50}
    with pytest.raises(ValueError, match="n_points=3 is less than the 5 classes in y so far"):
        one.merge(stream_of(3).fit(X, ["d", "e"] * 50))
