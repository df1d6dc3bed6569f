"""The estimators: weights, classes, extremes, determinism, and what scikit-learn expects."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from coreset import (
    BudgetedCoreset,
    Coreset,
    FarthestFirstCoreset,
    LightweightCoreset,
    RobustCoreset,
    SensitivityCoreset,
    UniformCoreset,
)
from coreset.construction import share_points
from coreset.nearest import clustering_cost

CLASSES = [RobustCoreset, UniformCoreset, SensitivityCoreset, LightweightCoreset, FarthestFirstCoreset]
every_class = pytest.mark.parametrize("cls", CLASSES)


def summary_of(cls, X, y=None, sample_weight=None, n_points=20, seed=0, **parameters) -> Coreset:
    return cls(n_points=n_points, random_state=seed, **parameters).fit(X, y, sample_weight).coreset_


@every_class
def test_total_weight_is_the_mass_of_the_source(cls, rng):
    X, weights = rng.normal(size=(500, 3)), rng.uniform(0, 2, 500)
    assert summary_of(cls, X).total_weight == pytest.approx(500, rel=1e-12)
    assert summary_of(cls, X, sample_weight=weights).total_weight == pytest.approx(weights.sum(), rel=1e-12)


@pytest.mark.parametrize("n_points", [20, 300])
@pytest.mark.parametrize("power", [1, 2])
def test_integer_weights_are_repeated_rows(rng, n_points, power):
    X, weights = rng.normal(size=(3000, 4)), rng.integers(1, 5, 3000)
    for seed in range(3):
        weighted = summary_of(RobustCoreset, X, None, weights, n_points, seed, power=power)
        repeated = summary_of(RobustCoreset, np.repeat(X, weights, axis=0), None, None, n_points, seed, power=power)
        np.testing.assert_allclose(weighted.points, repeated.points, atol=1e-10)
        np.testing.assert_allclose(weighted.weights, repeated.weights, rtol=1e-10)
        assert weighted.offset == pytest.approx(repeated.offset)
        assert weighted.total_displacement == pytest.approx(repeated.total_displacement)


def test_integer_weights_are_repeated_rows_when_seeding_draws_a_sample(rng):
    # 15,000 rows are read whole, the 45,000 repeated ones through a sample: equal in distribution only.
    X = np.concatenate([rng.normal(size=(7500, 2)), rng.normal(size=(7500, 2)) + 8])
    weights = np.full(15_000, 3)
    repeated = np.repeat(X, 3, axis=0)
    costs = np.array(
        [
            [summary_of(RobustCoreset, *data, 50, seed).offset for seed in range(12)]
            for data in ((X, None, weights), (repeated, None, None))
        ]
    )
    error = np.sqrt((costs.var(axis=1, ddof=1) / 12).sum())
    assert abs(costs[0].mean() - costs[1].mean()) <= 4 * error


def test_uniform_draws_rows_by_weight(rng):
    X, weights = np.arange(40.0).reshape(-1, 1), rng.integers(1, 5, 40)
    n_runs = 2000
    mean = np.zeros(40)
    for seed in range(n_runs):
        summary = summary_of(UniformCoreset, X, None, weights, 10, seed)
        mean[summary.sample_indices] += summary.weights / n_runs
    step = weights.sum() / 10  # a row's weight in one run is a multiple of this, and at most two of them
    assert (np.abs(mean - weights) <= 5 * step / np.sqrt(n_runs)).all()


@every_class
def test_zero_weight_means_absent(cls, rng):
    X = rng.normal(size=(200, 3))
    weights = (np.arange(200) % 2).astype(float)
    present = summary_of(cls, X[1::2])
    summary = summary_of(cls, X, None, weights)
    np.testing.assert_array_equal(summary.points, present.points)
    assert summary.n_source == 100
    if summary.sample_indices is not None:
        np.testing.assert_array_equal(X[summary.sample_indices], summary.points)


@every_class
@pytest.mark.parametrize("n_rows", [1, 7, 20])
def test_few_rows_come_back_as_they_are(cls, rng, n_rows):
    X, weights = rng.normal(size=(n_rows, 2)), rng.uniform(1, 2, n_rows)
    summary = summary_of(cls, X, None, weights)
    np.testing.assert_array_equal(summary.points, X)
    np.testing.assert_array_equal(summary.weights, weights)
    assert (summary.offset, summary.max_displacement) == (0.0, 0.0)


@every_class
def test_no_more_points_than_asked_for_and_nearly_as_many(cls, rng):
    X = rng.normal(size=(3000, 4))
    for n_points in (1, 2, 255, 256, 257, 1000, 2900):
        assert 0.95 * n_points <= len(summary_of(cls, X, n_points=n_points)) <= n_points


@every_class
def test_equal_and_duplicated_rows(cls):
    same = summary_of(cls, np.full((100, 3), 0.1))
    assert set(map(tuple, same.points)) == {(0.1, 0.1, 0.1)}
    assert same.total_weight == pytest.approx(100)
    assert same.offset == pytest.approx(0, abs=1e-12)
    few = summary_of(cls, np.repeat([[0.0], [1.0], [5.0]], [50, 30, 20], axis=0), n_points=300)
    assert few.total_weight == 100


def test_duplicates_beyond_the_points_are_told_apart_exactly():
    rows = np.repeat([[0.0], [1.0], [5.0]], [50, 30, 20], axis=0)
    summary = summary_of(RobustCoreset, rows, n_points=10)
    assert dict(zip(summary.points.ravel(), summary.weights, strict=True)) == {0.0: 50, 1.0: 30, 5.0: 20}
    assert summary.offset == 0.0


@pytest.mark.parametrize("n_points", [50, 400])
def test_offset_and_certificate_are_those_of_the_cells(rng, n_points):
    X, weights = rng.normal(size=(2000, 3)), rng.uniform(0.5, 2, 2000)
    summary = summary_of(RobustCoreset, X, None, weights, n_points)
    assert summary.offset == pytest.approx(summary.weights @ summary.spread**2)
    # On one centre every cell is whole, so the cost is exact whatever the centre.
    for center in rng.normal(size=(5, 1, 3)):
        assert summary.cost(center) == pytest.approx(clustering_cost(X, center, weights), rel=1e-9)
    # On several it never falls below the truth.
    for seed in range(5):
        centers = np.random.default_rng(seed).normal(size=(6, 3))
        assert summary.cost(centers) >= clustering_cost(X, centers, weights) * (1 - 1e-12)
    assert 0 < summary.total_displacement <= weights.sum() * summary.max_displacement


def test_shift_changes_nothing(rng):
    X = rng.normal(size=(3000, 4))
    for n_points in (50, 400):
        plain = summary_of(RobustCoreset, X, n_points=n_points)
        shifted = summary_of(RobustCoreset, X + 1e6, n_points=n_points)
        np.testing.assert_allclose(shifted.points - 1e6, plain.points, atol=1e-6)
        assert shifted.offset == pytest.approx(plain.offset, rel=1e-6)


def test_float32_is_summarised_as_well_as_float64(rng):
    X = rng.normal(size=(4000, 5)).astype(np.float32)
    narrow, wide = summary_of(RobustCoreset, X, n_points=100), summary_of(RobustCoreset, X.astype(float), n_points=100)
    assert narrow.offset == pytest.approx(wide.offset, rel=0.02)
    assert (narrow.source_dtype, wide.source_dtype) == (np.float32, np.float64)


@every_class
def test_constant_columns_stay_exactly_constant(cls, rng):
    X = np.column_stack([rng.normal(size=1000), np.full(1000, 0.1), np.full(1000, 1e9 + 0.3)])
    summary = summary_of(cls, X, None, rng.uniform(0.1, 1, 1000), n_points=60)
    assert set(summary.points[:, 1]) == {0.1}
    assert set(summary.points[:, 2]) == {1e9 + 0.3}


@every_class
@pytest.mark.parametrize("labels", [[0, 1, 2], ["a", "bb", "c"], [False, True, True], [1.0, 2.0, 3.0]])
def test_every_class_is_kept_with_its_mass(cls, rng, labels):
    X = rng.normal(size=(1001, 2))
    y = np.array(labels)[np.r_[np.zeros(600, int), np.ones(400, int), [2]]]
    weights = rng.uniform(0.5, 2, 1001)
    summary = summary_of(cls, X, y, weights, n_points=12)
    assert len(summary) <= 12
    for label in np.unique(y):
        mass = summary.weights[summary.labels == label].sum()
        assert mass == pytest.approx(weights[y == label].sum(), rel=1e-9)


@every_class
def test_fewer_points_than_classes_is_an_error(cls, rng):
    with pytest.raises(ValueError, match="n_points=2 is less than the 3 classes in y"):
        summary_of(cls, rng.normal(size=(9, 1)), [0, 1, 2] * 3, n_points=2)


@every_class
def test_pandas_in_and_names_kept(cls, rng):
    frame = pd.DataFrame(rng.normal(size=(50, 2)), columns=["height", "width"], index=range(100, 150))
    estimator = cls(n_points=5, random_state=0).fit(
        frame, pd.Series(["x", "y"] * 25, index=frame.index, dtype="category")
    )
    assert estimator.coreset_.feature_names == ("height", "width")
    assert set(estimator.coreset_.labels) == {"x", "y"}
    assert estimator.fit(frame.to_numpy()).coreset_.feature_names is None


@every_class
@pytest.mark.parametrize(
    ("X", "y", "weights", "error", "message"),
    [
        (np.zeros((0, 2)), None, None, ValueError, "0 sample"),
        (np.zeros(5), None, None, ValueError, "1D array"),
        ([[np.nan], [1]], None, None, ValueError, "Input X contains NaN"),
        ([[np.inf], [1]], None, None, ValueError, "Input X contains infinity"),
        ([["a"], ["b"]], None, None, ValueError, "could not convert string"),
        (
            pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]}),
            None,
            None,
            ValueError,
            "column 'b' of dtype .* not hold numbers",
        ),
        (
            pd.DataFrame({"a": [1.0], "t": pd.Timestamp("2020")}),
            None,
            None,
            ValueError,
            "column 't' of dtype datetime64",
        ),
        (np.eye(3).astype("m8[s]"), None, None, ValueError, r"^X of dtype timedelta64\[s\] does not hold numbers$"),
        (pd.DataFrame({"a": [1.0], "b": [np.nan]}), None, None, ValueError, r"contains NaN \(first in column 'b'\)$"),
        (sparse.csr_array(np.eye(3)), None, None, TypeError, "[Ss]parse"),
        (np.eye(3), [1, 2], None, ValueError, "y has 2 labels, X has 3 rows"),
        (np.eye(3), [0, np.nan, 1], None, ValueError, "y contains NaN"),
        (np.eye(3), [[1], [2], [3]], None, ValueError, "y has shape"),
        (np.eye(3), None, [1, 2], ValueError, "sample_weight.shape"),
        (np.eye(3), None, [1, 1, -1], ValueError, "[Nn]egative"),
        (np.eye(3), None, [0, 0, 0], ValueError, "sample_weight is zero|at least one non-zero"),
        (np.eye(3), None, [1, np.nan, 1], ValueError, "sample_weight contains NaN"),
        ([[1e200], [-1e200]], None, None, ValueError, "squared distances overflow"),
        ([[1e-200], [-1e-200]], None, None, ValueError, "squared distances vanish"),
        (np.eye(3), None, [1e307] * 3, ValueError, "sample_weight sums to 3e\\+307|X spans"),
        (np.eye(3), [1, "a", 2], None, TypeError, r"y must hold only one of .* \['int', 'str'\]"),
        (np.eye(3), ["a", "b", np.nan], None, TypeError, "Unknown label type"),
        (pd.Series([1.0, 2.0]), None, None, ValueError, "Expected a 2-dimensional container"),
    ],
)
def test_bad_input_is_named(cls, X, y, weights, error, message):
    with pytest.raises(error, match=message):
        summary_of(cls, X, y, weights)


@every_class
@pytest.mark.parametrize(
    ("n_points", "error"), [(0, ValueError), (-1, ValueError), (2.5, TypeError), (True, TypeError)]
)
def test_bad_number_of_points(cls, n_points, error):
    with pytest.raises(error, match=f"n_points={n_points}"):
        summary_of(cls, np.eye(3), n_points=n_points)


@parametrize_with_checks([RobustCoreset(20), UniformCoreset(20), BudgetedCoreset(2000)])
def test_conventions_of_scikit_learn(estimator, check):
    check(estimator)


def test_bad_power_and_random_state():
    with pytest.raises(ValueError, match="power=3"):
        summary_of(RobustCoreset, np.eye(3), power=3)
    with pytest.raises(ValueError, match="cannot be used to seed"):
        summary_of(RobustCoreset, np.eye(3), seed="x")
    with pytest.raises(ValueError, match="random_state=-1 must not be negative"):
        UniformCoreset(n_points=2, random_state=-1).fit([[1.0], [2.0], [3.0]])


@every_class
def test_same_seed_same_summary_and_the_fit_leaves_parameters_alone(cls, rng):
    X = rng.normal(size=(500, 3))
    estimator = cls(n_points=30, random_state=4)
    one, two = clone(estimator).fit(X).coreset_, clone(estimator).fit(X).coreset_
    other = clone(estimator).set_params(random_state=5).fit(X).coreset_
    np.testing.assert_array_equal(one.points, two.points)
    assert not np.array_equal(one.points[0], other.points[0])
    for state in (None, np.random.RandomState(0), np.random.default_rng(0)):
        assert len(clone(estimator).set_params(random_state=state).fit(X).coreset_) > 20


@every_class
def test_input_is_left_alone_and_may_be_read_only(cls, rng):
    X = rng.normal(size=(100, 3))
    X.flags.writeable = False
    before = X.copy()
    summary_of(cls, X, n_points=10)
    np.testing.assert_array_equal(X, before)


@given(
    st.lists(st.floats(0, 1e300), min_size=1, max_size=8),
    st.lists(st.integers(1, 50), min_size=8, max_size=8),
    st.integers(0, 100),
)
def test_shares_respect_their_limits(keys, limits, extra):
    keys, limits = np.array(keys), np.array(limits[: len(keys)])
    n_points = len(keys) + extra
    shares = share_points(keys, limits, n_points)
    assert (shares >= 1).all()
    assert (shares <= limits).all()
    assert shares.sum() <= n_points
    if (keys > 0).all():
        assert shares.sum() == min(n_points, limits.sum())


def test_shares_by_hand():
    assert share_points(np.array([3.0, 1.0, 0.0]), np.array([100, 100, 100]), 11).tolist() == [8, 2, 1]
    assert share_points(np.array([3.0, 1.0]), np.array([2, 100]), 11).tolist() == [2, 9]
    assert share_points(np.zeros(2), np.array([5, 5]), 7).tolist() == [1, 1]
    half = share_points(np.r_[50.0, np.ones(50)], np.full(51, 1000), 1000)
    assert half.tolist() == [500] + [10] * 50


def test_classes_share_points_by_cost_or_by_mass(rng):
    X = np.concatenate([rng.normal(size=(300, 2)), 3 * rng.normal(size=(300, 2)) + 50])
    y = np.repeat([0, 1], 300)
    robust = summary_of(RobustCoreset, X, y, n_points=100)
    assert 86 <= (robust.labels == 1).sum() <= 94  # costs stand at 1 : 9
    uniform = summary_of(UniformCoreset, X, y, np.repeat([3.0, 1.0], 300), n_points=100)
    assert (uniform.labels == 0).sum() == 75


def test_wide_clusters_get_more_cells_than_narrow_ones(rng):
    X = np.concatenate([rng.normal(size=(3000, 2)), 10 * rng.normal(size=(3000, 2)) + 500])
    summary = summary_of(RobustCoreset, X, n_points=600)
    assert (summary.points[:, 0] > 100).sum() >= 1.3 * 300


def test_uniform_draws_from_periodic_rows_see_every_phase():
    phase = np.tile(np.arange(10.0), 100)[:, None]
    assert len(set(summary_of(UniformCoreset, phase, n_points=100).points.ravel())) >= 9


@pytest.mark.parametrize("n_points", [20, 100, 1000])
def test_one_far_value_in_float32_spoils_nothing(rng, n_points):
    X = np.concatenate([rng.normal(size=(5000, 3)), [[1e7, 0, 0]]]).astype(np.float32)
    narrow, wide = (summary_of(RobustCoreset, X.astype(dtype), n_points=n_points) for dtype in ("f4", "f8"))
    assert len(narrow) >= 0.95 * n_points
    assert narrow.offset <= 1.1 * wide.offset
