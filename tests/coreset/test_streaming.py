"""Streams: worked by hand, identities through all levels, any batches, faults that leave no trace."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.utils.estimator_checks import parametrize_with_checks

from coreset import BudgetedCoreset, Coreset, RobustCoreset, StreamingCoreset, UniformCoreset
from coreset.nearest import clustering_cost, nearest

from .streams import CLASSES, SAMPLERS, assert_same, every_class, state_of, stream_of


def test_two_leaves_by_hand():
    # Leaves (0, 2), (100, 102) become 1 and 101 with 1 + 1 lost each; these two become 51, which loses 4 * 50^2 more.
    stream = stream_of(n_points=1, bucket_rows=2).fit([[0.0], [2.0], [100.0], [102.0]])
    summary = stream.coreset_
    assert (summary.points.tolist(), summary.weights.tolist()) == ([[51.0]], [4.0])
    assert summary.offset == 2 + 2 + 4 * 2500
    assert summary.spread.tolist() == [pytest.approx(math.sqrt(2501))]
    assert summary.group_variances[summary.groups].tolist() == [[pytest.approx(2501)]]
    assert (summary.max_displacement, summary.total_displacement) == (51.0, 2 + 2 + 4 * 50)
    assert (summary.n_source, stream.n_rows_seen_, stream.n_rows_held_) == (4, 4, 1)


def test_counter_by_hand():
    # With one point a leaf of one row the counter holds as many points as the number of rows has binary ones.
    stream = stream_of(n_points=1, bucket_rows=1)
    for n_rows in range(1, 20):
        stream.partial_fit([[float(n_rows)]])
        assert stream.n_rows_held_ == n_rows.bit_count()
        assert stream.coreset_.points[0, 0] == pytest.approx((n_rows + 1) / 2)


def test_one_row_equal_rows_and_fewer_rows_than_points():
    assert stream_of().fit([[3.0, 4.0]]).coreset_.points.tolist() == [[3.0, 4.0]]
    same = stream_of(n_points=3, bucket_rows=4).fit(np.full((101, 2), 0.1)).coreset_
    assert set(map(tuple, same.points)) == {(0.1, 0.1)}
    assert (same.total_weight, same.offset, same.total_displacement) == (101, 0.0, 0.0)
    few = stream_of(n_points=100, bucket_rows=4).fit(np.arange(33.0)[:, None]).coreset_
    assert sorted(few.points.ravel()) == list(range(33))
    assert (few.offset, few.max_displacement) == (0.0, 0.0)


@pytest.mark.parametrize("n_points", [20, 300])
def test_offset_spread_shape_and_certificate_are_right_through_all_levels(rng, n_points):
    X, weights = rng.normal(size=(6000, 3)) * [1, 2, 5], rng.uniform(0.5, 2, 6000)
    summary = stream_of(n_points, 2 * n_points).fit(X, sample_weight=weights).coreset_
    assert 0.9 * n_points <= len(summary) <= n_points
    assert summary.total_weight == pytest.approx(weights.sum(), rel=1e-12)
    # On one centre every cell is whole, so the cost is exact whatever the centre.
    for center in rng.normal(size=(5, 1, 3)):
        assert summary.cost(center) == pytest.approx(clustering_cost(X, center, weights), rel=1e-9)
    for centers in rng.normal(size=(5, 6, 3)) * [1, 2, 5]:
        assert summary.cost(centers) >= clustering_cost(X, centers, weights) * (1 - 1e-12)
    assert summary.offset == pytest.approx(summary.weights @ summary.spread**2)
    # Within and between: the variance of every column is kept.
    mean = np.average(summary.points, axis=0, weights=summary.weights)
    between = np.average((summary.points - mean) ** 2, axis=0, weights=summary.weights)
    within = np.average(summary.group_variances[summary.groups], axis=0, weights=summary.weights)
    truth = np.average((X - np.average(X, axis=0, weights=weights)) ** 2, axis=0, weights=weights)
    np.testing.assert_allclose(between + within, truth, rtol=1e-9)
    # No row can be nearer to its own point than to the nearest.
    distances = np.sqrt(nearest(X, summary.points)[1])
    assert distances.max() <= summary.max_displacement
    assert weights @ distances <= summary.total_displacement
    for direction in rng.normal(size=(5, 3)):
        direction /= np.linalg.norm(direction)  # a cost |x . direction| has Lipschitz constant 1
        gap = weights @ np.abs(X @ direction) - summary.weights @ np.abs(summary.points @ direction)
        assert abs(gap) <= summary.error_bound(1.0)


def test_shift_changes_nothing(rng):
    X = rng.normal(size=(2000, 3))
    plain, shifted = (stream_of(30, 100).fit(X + shift).coreset_ for shift in (0.0, 1e6))
    np.testing.assert_allclose(shifted.points - 1e6, plain.points, atol=1e-6)
    assert shifted.offset == pytest.approx(plain.offset, rel=1e-6)
    np.testing.assert_allclose(shifted.spread, plain.spread, rtol=1e-6)


@every_class
def test_total_weight_is_exact_and_zero_weight_is_absent(cls, rng):
    X = rng.normal(size=(900, 2))
    weights = rng.integers(0, 4, 900).astype(float)
    present = weights > 0
    stream = stream_of(20, 60, cls=cls).fit(X, sample_weight=weights)
    assert stream.coreset_.total_weight == pytest.approx(weights.sum(), rel=1e-12)
    assert_same(stream.coreset_, stream_of(20, 60, cls=cls).fit(X[present], sample_weight=weights[present]).coreset_)
    assert stream.n_rows_seen_ == stream.coreset_.n_source == present.sum()


def test_weight_is_repetition_within_a_leaf(rng):
    X, weights = rng.normal(size=(200, 3)), rng.integers(1, 4, 200)
    weighted = stream_of(30, 1000).fit(X, sample_weight=weights).coreset_
    repeated = stream_of(30, 1000).fit(np.repeat(X, weights, axis=0)).coreset_
    np.testing.assert_allclose(weighted.points, repeated.points, atol=1e-10)
    assert weighted.offset == pytest.approx(repeated.offset)


@every_class
def test_within_one_leaf_it_is_the_base_itself(cls, rng):
    X = rng.normal(size=(300, 2))
    stream = stream_of(20, 1000, cls=cls).fit(X)
    base = stream._seeded(0, 0).fit(X)
    assert_same(stream.coreset_, Coreset(**{**vars(base.coreset_), "sample_indices": None}))


@pytest.mark.parametrize("cls", SAMPLERS)
def test_samples_of_samples_are_unbiased(cls, rng):
    X = np.concatenate([rng.normal(size=(700, 2)), rng.normal(size=(100, 2)) + 9])
    centers = np.array([[1.0, 0.0], [8.0, 8.0], [-2.0, 1.0]])
    truth = clustering_cost(X, centers)
    costs = [stream_of(40, 100, seed, cls).fit(X).coreset_.cost(centers) for seed in range(25)]
    # Four standard errors, and 1 % for ratio estimates, whose bias goes with one over the points.
    assert abs(np.mean(costs) - truth) <= 4 * np.std(costs, ddof=1) / math.sqrt(25) + 0.01 * truth
    assert math.isnan(stream_of(40, 100, 0, cls).fit(X).coreset_.max_displacement)


# Any batches, any time of reading.
@settings(max_examples=25)
@given(st.lists(st.integers(0, 300), max_size=6), st.booleans(), st.sampled_from(CLASSES), st.booleans())
def test_batches_do_not_matter(cuts, labelled, cls, reads):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2)).astype(np.float32)
    y = rng.integers(0, 3, 300) if labelled else None
    weights = rng.integers(0, 3, 300)
    stream = stream_of(12, 50, cls=cls)
    for part in np.split(np.arange(300), sorted(cuts)):
        if len(part):
            stream.partial_fit(X[part], None if y is None else y[part], weights[part])
            if reads and stream.n_rows_seen_:
                assert stream.coreset_ is stream.coreset_
    assert_same(stream.coreset_, stream_of(12, 50, cls=cls).fit(X, y, weights).coreset_)


def test_one_row_at_a_time(rng):
    X = rng.normal(size=(700, 2)).astype(np.float32)
    stream = stream_of(20, 300)
    for row in X:
        stream.partial_fit(row[None])
    assert_same(stream.coreset_, stream_of(20, 300).fit(X).coreset_)
    assert len(stream._buffer) <= 256
    assert stream._buffer[0].X.dtype == np.float32
    assert stream.coreset_.source_dtype == np.float32


def test_memory_is_bounded(rng):
    n_points, bucket_rows = 5, 40
    stream = stream_of(n_points, bucket_rows)
    held = []
    for seen in range(7, 3500, 7):
        stream.partial_fit(rng.normal(size=(7, 2)))
        assert stream.n_rows_held_ == seen % bucket_rows + n_points * (seen // bucket_rows).bit_count()
        held.append(stream.n_rows_held_)
        assert all(piece.X.base is None for piece in stream._buffer)  # no view keeps the caller's table alive
    assert max(held) < bucket_rows + n_points * math.ceil(math.log2(3500 / bucket_rows) + 1)


def test_rows_are_copied(rng):
    X, buffer = rng.normal(size=(30, 2)), np.empty((10, 2))
    stream = stream_of(5, 100)
    for start in range(0, 30, 10):
        buffer[:] = X[start : start + 10]
        stream.partial_fit(buffer)
    buffer[:] = np.nan
    assert_same(stream.coreset_, stream_of(5, 100).fit(X).coreset_)


def test_seeds_differ_between_leaves_and_follow_the_state(rng):
    X = rng.normal(size=(100, 2))
    stream = stream_of(10, 100, cls=UniformCoreset).fit(np.concatenate([X, X]))
    one = stream._seeded(0, 0).random_state
    assert len({one, *(stream._seeded(level, number).random_state for level, number in ((0, 1), (1, 0), (1, 1)))}) == 4
    assert not np.array_equal(stream.coreset_.points, stream_of(10, 100, 1, UniformCoreset).fit(X).coreset_.points)
    assert_same(clone(stream).fit(np.concatenate([X, X])).coreset_, stream.coreset_)
    for state in (None, np.random.RandomState(0), np.random.default_rng(0)):
        assert len(stream_of(10, 30, state).fit(X).coreset_) == 10


# Labels, names, types.
@every_class
def test_classes_are_kept_however_late_and_rare(cls, rng):
    stream = stream_of(6, 50, cls=cls)
    stream.partial_fit(rng.normal(size=(400, 2)), ["common"] * 400)
    stream.partial_fit([[9.0, 9.0]], ["late"])
    stream.partial_fit(rng.normal(size=(400, 2)), ["common"] * 400)
    summary = stream.coreset_
    assert summary.weights[summary.labels == "late"].tolist() == [1.0]
    assert summary.points[summary.labels == "late"].tolist() == [[9.0, 9.0]]
    assert summary.weights[summary.labels == "common"].sum() == pytest.approx(800)


@pytest.mark.parametrize(
    ("X", "y", "weights", "message"),
    [
        ([[np.nan, 1.0]], [0], None, "Input X contains NaN"),
        ([[1.0, np.inf]], [0], None, "Input X contains infinity"),
        ([[1.0, 2.0, 3.0]], [0], None, "X has 3 features, but StreamingCoreset is expecting 2 features"),
        ([[1.0, 2.0]], None, None, "y brings no labels, but the rows before had some"),
        ([[1.0, 2.0]], [0, 1], None, "y has 2 labels, X has 1 rows"),
        ([[1.0, 2.0]], ["a"], None, "labels disagree: some are int, others str"),
        ([[1.0, 2.0]], [2], None, "n_points=2 is less than the 3 classes in y so far"),
        ([[1.0, 2.0]], [0], [-1.0], "[Nn]egative"),
        ([[1.0, 2.0]], [0], [1.0, 2.0], "sample_weight.shape"),
        ([[1.0, 2.0]], [0], [0.0, 0.0], "sample_weight.shape"),
        ([[1e200, 2.0]], [0], None, "squared distances overflow"),
        ([[1.0, 2.0]], [0], [1e308], "sample_weight sums to 1e\\+308|X spans"),
    ],
)
def test_faults_midstream_leave_no_trace(rng, X, y, weights, message):
    X0, y0 = rng.normal(size=(70, 2)), np.arange(70) % 2
    stream = stream_of(2, 30).fit(X0, y0)
    before = state_of(stream)
    for call in (stream.partial_fit, lambda *a: stream.fit_batches([(X0, y0), a])):
        with pytest.raises(ValueError, match=message):
            call(X, y, weights)
        assert state_of(stream) == before
    with pytest.raises(ValueError, match="0 sample"):
        stream.partial_fit(np.zeros((0, 2)), [])
    stream.partial_fit(X0, y0)
    assert_same(stream.coreset_, stream_of(2, 30).fit(np.tile(X0, (2, 1)), np.tile(y0, 2)).coreset_)


def test_a_fault_in_the_first_batch_or_in_the_base_leaves_no_trace(rng, monkeypatch):
    stream = stream_of(2, 30)
    for y in ([np.nan], [0, 1], [[0]]):
        with pytest.raises(ValueError, match=r"y "):
            stream.partial_fit([[1.0, 2.0]], y)
        assert not hasattr(stream, "n_features_in_")
    stream.fit(rng.normal(size=(50, 3)))
    before = state_of(stream)
    monkeypatch.setattr(RobustCoreset, "_summarise", lambda *_: (_ for _ in ()).throw(MemoryError("full")))
    with pytest.raises(MemoryError):
        stream.partial_fit(rng.normal(size=(100, 3)))
    assert state_of(stream) == before


def test_labels_must_not_appear_midstream():
    with pytest.raises(ValueError, match="y brings labels, but the rows before had none"):
        stream_of().fit([[1.0]]).partial_fit([[1.0]], [0])


def test_numeric_targets_go_through_every_level(rng):
    X = rng.normal(size=(4000, 3))
    y = X @ [1.0, -2.0, 0.5] + 1000
    stream = StreamingCoreset(RobustCoreset(200), bucket_rows=500, random_state=0)
    stream.partial_fit(X[:10], y[:10]).partial_fit(X[10:], y[10:])
    summary = stream.coreset_
    assert summary.target_type == "numeric"
    assert np.average(summary.labels, weights=summary.weights) == pytest.approx(y.mean())
    # The offset is about the features alone: on one centre it makes the cost exact.
    assert summary.cost(X.mean(axis=0)) == pytest.approx(((X - X.mean(axis=0)) ** 2).sum())
    # Slopes inside the cells, through four levels, are those of the plane.
    fitted = summary.train(LinearRegression(), copies=8)
    np.testing.assert_allclose(fitted.coef_, [1.0, -2.0, 0.5], atol=0.05)


def test_integers_among_numbers_stay_numbers_and_numbers_among_classes_are_refused():
    stream = stream_of().fit([[1.0], [2.0]], [0.5, 1.5])
    assert stream.partial_fit([[3.0]], [2]).coreset_.target_type == "numeric"
    with pytest.raises(ValueError, match="y brings a numeric target, but the rows before had a class one"):
        stream_of().fit([[1.0]], [0]).partial_fit([[1.0]], [0.5])


def test_frames_keep_their_names_and_other_names_are_refused(rng):
    frame = pd.DataFrame(rng.normal(size=(90, 2)).astype(np.float32), columns=["height", "width"])
    stream = stream_of(5, 20).fit(frame)
    assert stream.coreset_.feature_names == ("height", "width")
    before = state_of(stream)
    with pytest.raises(ValueError, match="feature names should match"):
        stream.partial_fit(frame[["width", "height"]])
    assert state_of(stream) == before
    assert stream.partial_fit(frame).coreset_.source_dtype == np.float32
    assert stream.partial_fit(frame.astype(np.float64)).coreset_.source_dtype == np.float64
    assert stream.fit(frame.to_numpy()).coreset_.feature_names is None


def test_fit_starts_anew(rng):
    X = rng.normal(size=(100, 2))
    stream = stream_of().fit(np.ones((500, 3)), [1] * 500)
    assert_same(stream.fit(X).coreset_, stream_of().fit(X).coreset_)


def test_nothing_seen_yet():
    stream = stream_of()
    for name in ("coreset_", "n_rows_seen_", "n_rows_held_"):
        with pytest.raises(NotFittedError, match="has seen no row yet"):
            getattr(stream, name)
        assert not hasattr(stream, name)
    stream.partial_fit([[1.0]], sample_weight=[0.0])
    assert stream.n_rows_seen_ == 0
    with pytest.raises(NotFittedError, match="weight zero"):
        _ = stream.coreset_
    with pytest.raises(ValueError, match="sample_weight is zero for all rows"):
        stream.fit([[1.0]], sample_weight=[0.0])
    assert stream.partial_fit([[2.0]]).coreset_.points.tolist() == [[2.0]]


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"base": BudgetedCoreset()}, TypeError, "base=BudgetedCoreset.* must be a construction"),
        ({"base": RobustCoreset(0)}, ValueError, "n_points=0"),
        ({"base": RobustCoreset(power=3)}, ValueError, "power=3"),
        ({"bucket_rows": 0}, ValueError, "bucket_rows=0"),
        ({"bucket_rows": 2.5}, TypeError, "bucket_rows=2.5"),
        ({"bucket_rows": "big"}, ValueError, "bucket_rows='big'"),
        ({"random_state": "x"}, ValueError, "cannot be used to seed"),
    ],
)
def test_bad_parameters(parameters, error, message):
    with pytest.raises(error, match=message):
        StreamingCoreset(**parameters).fit([[1.0]])


def test_default_base_and_leaf(rng):
    stream = StreamingCoreset(random_state=0).fit(rng.normal(size=(64_100, 1)))
    assert (len(stream.coreset_), stream.n_rows_held_) == (1000, 1100)


@parametrize_with_checks([StreamingCoreset(RobustCoreset(20), bucket_rows=25)])
def test_conventions_of_scikit_learn(estimator, check):
    check(estimator)


def test_a_pickle_goes_on_where_the_stream_stood(rng):
    X = rng.normal(size=(200, 2))
    stream = stream_of().fit(X[:150])
    copy = pickle.loads(pickle.dumps(stream))
    assert_same(copy.partial_fit(X[150:]).coreset_, stream_of().fit(X).coreset_)
    assert stream.n_rows_seen_ == 150


def test_a_large_leaf_sees_small_clusters_as_its_base_does(rng):
    X = rng.normal(size=(330_000, 2)).astype(np.float32)
    X[:, 0] += np.where(np.arange(330_000) % 2, 1000, -1000)
    X[:5, 0], X[:5, 1] = 0, 300 + rng.normal(size=5)
    stream = StreamingCoreset(RobustCoreset(300), bucket_rows=330_000, random_state=0).fit(X)
    near = np.abs(stream.coreset_.points[:, 0]) < 500
    assert stream.coreset_.weights[near].sum() == pytest.approx(5, rel=0.05)


def test_a_leaf_of_one_row_does_not_decide_the_scale_of_targets(rng):
    X = rng.normal(size=(1001, 3))
    y = 1e-4 * X[:, 0]
    scales = [
        StreamingCoreset(RobustCoreset(20), bucket_rows=1000, random_state=0).fit(X[:n], y[:n]).coreset_.label_scale
        for n in (1000, 1001)
    ]
    assert scales[0] == scales[1] > 100
