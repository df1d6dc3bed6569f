"""RobustCoreset: exact and sampled cells, and the least size of a cell."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coreset import Coreset, RobustCoreset, StreamingCoreset, UniformCoreset
from coreset.construction import robust
from coreset.construction.cells import _joined
from coreset.nearest import clustering_cost, nearest

LEVELS = pytest.mark.parametrize("levels", [1, 2])
# A row's own column holds this: seen in the means, too small to matter in distances.
CODE = 1e-6


def fitted(X, y=None, sample_weight=None, *, n_points=20, seed=0, **parameters) -> RobustCoreset:
    return RobustCoreset(n_points, random_state=seed, **parameters).fit(X, y, sample_weight)


def summary_of(*data, **parameters) -> Coreset:
    return fitted(*data, **parameters).coreset_


def coded(X):
    """Rows with a column each of their own, from which the mean of a cell tells which rows it averages."""
    return np.hstack([X, CODE * np.eye(len(X), dtype=X.dtype)])


def cells_of(summary: Coreset, n_rows: int) -> np.ndarray:
    """Which row each point averages, shape (n_points, n_rows); a row's share in its point is far above 1e-4 here."""
    return summary.points[:, -n_rows:] > 1e-4 * CODE


@pytest.fixture
def sampled(monkeypatch):
    """Make 1600 rows a large table, whose cells are built from 400 of them."""
    monkeypatch.setattr(robust, "_SAMPLED_ROWS", 400)
    monkeypatch.setattr(robust, "_SAMPLED_PER_POINT", 2)


@pytest.fixture
def two_levels(monkeypatch, request):
    """Cut few points in two levels too, where the test asks for them."""
    if request.getfixturevalue("levels") == 2:
        monkeypatch.setattr(robust, "_ONE_LEVEL_POINTS", 10)


# Cells of all rows


@pytest.mark.parametrize("exact", [False, True])
def test_cells_worked_by_hand(exact):
    # Any two seeds lead to the cells {0, 2} and {10, 14 three times}, with the means 1 and 13.
    for seed in range(10):
        estimator = fitted([[0.0], [2], [10], [14]], None, [1, 1, 1, 3], n_points=2, seed=seed, exact=exact)
        summary = estimator.coreset_
        order = np.argsort(summary.points[:, 0])
        np.testing.assert_allclose(summary.points[order, 0], [1, 13])
        np.testing.assert_allclose(summary.weights[order], [2, 4])
        np.testing.assert_allclose(summary.spread[order] ** 2, [2 / 2, (9 + 3) / 4])
        assert summary.offset == pytest.approx(2 + 12)
        np.testing.assert_allclose(summary.group_variances, [[14 / 6]])
        assert summary.max_displacement == pytest.approx(3)
        assert summary.total_displacement == pytest.approx(1 + 1 + 3 + 3 * 1)
        assert (estimator.exact_, summary.n_source) == (True, 4)


@LEVELS
@pytest.mark.usefixtures("two_levels")
@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_everything_about_the_cells_is_what_their_rows_say(rng, levels, power, dtype, shift):
    X = coded((rng.normal(size=(300, 3)) + shift).astype(dtype))
    weights = rng.uniform(0.5, 2, 300)
    estimator = fitted(X, None, weights, n_points=40, power=power, exact=True)
    summary, X = estimator.coreset_, X.astype(np.float64)
    cells = cells_of(summary, 300)
    assert (cells.sum(axis=0) == 1).all()
    assert len(summary.group_variances) == 1 if levels == 1 else len(summary.group_variances) > 5
    distances, squares = np.zeros(300), np.zeros_like(summary.group_variances)
    # A float32 gap is off by 6e-8 of it; means of a few of them keep 6 digits, sums 5.
    single = 2e-7 if dtype == np.float32 else 1e-13
    near = {"rtol": 1e-5 if dtype == np.float32 else 1e-9, "atol": 1e-12 + 1e-15 * shift}
    for cell, members in enumerate(cells):
        rows, mass = X[members], weights[members]
        mean = X[0] + np.average(rows - X[0], axis=0, weights=mass)
        gaps = rows - mean
        np.testing.assert_allclose(summary.points[cell], mean, atol=single + 4e-16 * shift)
        assert summary.weights[cell] == pytest.approx(mass.sum(), rel=1e-12)
        squared = (gaps**2).sum(axis=1)
        width = np.sqrt(np.average(squared, weights=mass)) if power == 2 else np.average(np.sqrt(squared), weights=mass)
        np.testing.assert_allclose(summary.spread[cell], width, **near)
        squares[summary.groups[cell]] += mass @ gaps**2
        distances[members] = np.sqrt((gaps**2).sum(axis=1))
    masses = np.bincount(summary.groups, weights=summary.weights)
    np.testing.assert_allclose(summary.group_variances[:, :3], (squares / masses[:, None])[:, :3], **near)
    np.testing.assert_allclose(summary.offset, squares.sum(), **near)
    np.testing.assert_allclose(summary.max_displacement, distances.max(), **near)
    np.testing.assert_allclose(summary.total_displacement, weights @ distances, **near)
    assert estimator.exact_


@given(
    st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9), st.integers(1, 4)), min_size=1, max_size=40),
    st.integers(1, 12),
    st.sampled_from([1, 2]),
    st.integers(1, 5),
)
def test_offset_is_what_single_centres_lack_and_several_never_fall_below(rows, n_points, power, min_cell_size):
    table = np.array(rows, dtype=float)
    X, weights = table[:, :2], table[:, 2]
    min_cell_size = min(min_cell_size, len(X))
    summary = summary_of(X, None, weights, n_points=n_points, power=power, min_cell_size=min_cell_size)
    assert summary.total_weight == weights.sum()
    spread = np.zeros(len(summary)) if summary.spread is None else summary.spread
    within = summary.weights @ spread**2
    # A mean distance is at most the root of the mean square.
    assert within == pytest.approx(summary.offset, abs=1e-9) if power == 2 else within <= summary.offset + 1e-9
    mean = np.average(X, axis=0, weights=weights)
    np.testing.assert_allclose(np.average(summary.points, axis=0, weights=summary.weights), mean, atol=1e-12)
    for center in (mean, X[0], [100.0, -3.0]):
        assert summary.cost(center) == pytest.approx(weights @ ((X - center) ** 2).sum(axis=1), abs=1e-9)
    assert summary.cost(X[:3]) >= clustering_cost(X, X[:3], weights) - 1e-9
    assert summary.total_displacement <= weights.sum() * summary.max_displacement * (1 + 1e-12)


def test_one_rough_cluster_may_hold_all_rows_but_one(rng):
    X = rng.normal(size=(2000, 2))
    X[0] += 1e9
    summary = summary_of(X, n_points=300)
    assert len(summary) >= 0.95 * 300
    far = summary.points[:, 0] > 1e8
    assert (far.sum(), summary.weights[far].sum()) == (1, 1)
    assert summary.cost(X[:2]) == pytest.approx(clustering_cost(X, X[:2]), rel=1e-9)


def test_as_many_cells_as_asked_for_among_copies(rng):
    # Draws meet the copies again and again; the farthest rows open the cells that then are missing.
    X = rng.integers(0, 20, (3000, 2)).astype(float)
    for seed in range(5):
        assert len(summary_of(X, n_points=300, seed=seed)) >= 290


# Cells of a sample


def test_sampling_starts_at_the_rows_that_the_constants_say(rng, sampled):
    X = rng.normal(size=(2400, 2))
    for n_points, first_sampled in ((20, 4 * 400), (300, 4 * 2 * 300)):
        for n_rows, exact in ((first_sampled - 1, True), (first_sampled, False)):
            estimator = fitted(X[:n_rows], n_points=n_points)
            assert estimator.exact_ == exact
            certificate = [estimator.coreset_.max_displacement, estimator.coreset_.total_displacement]
            assert [math.isnan(value) for value in certificate] == [not exact] * 2
        assert fitted(X, n_points=n_points, exact=True).exact_


@LEVELS
@pytest.mark.usefixtures("sampled", "two_levels")
def test_sampled_totals_are_exact_and_cells_consistent(rng, levels):
    X, weights = rng.normal(size=(2000, 3)), rng.uniform(0.01, 5, 2000)
    summary = summary_of(X, None, weights, n_points=60)
    assert summary.total_weight == pytest.approx(weights.sum(), rel=1e-12)
    assert (len(summary), summary.n_source) == (60, 2000)
    assert summary.offset == pytest.approx(summary.weights @ summary.spread**2)
    masses = np.bincount(summary.groups, weights=summary.weights)
    assert summary.offset == pytest.approx(masses @ summary.group_variances.sum(axis=1))
    again = summary_of(X, None, weights, n_points=60)
    np.testing.assert_array_equal(summary.points, again.points)


@LEVELS
@pytest.mark.usefixtures("sampled", "two_levels")
def test_sampled_costs_and_masses_are_right_on_average(rng, levels):
    # Cells do not reach from blob to blob, so the cost on one centre a blob is exactly that of the weighted sample.
    blob = rng.permutation(np.repeat(np.arange(4), [1500, 400, 80, 20]))
    places = np.array([[0.0, 0.0], [1e3, 0.0], [0.0, 2e3], [3e3, 3e3]])
    X, weights = places[blob] + rng.normal(size=(2000, 2)) * np.r_[1, 3, 1, 9][blob][:, None], rng.uniform(0.1, 3, 2000)
    centers = places + np.array([[0.5, -1], [2, 2], [0, 1], [-9, 3]])
    n_runs = 100
    runs = [summary_of(X, None, weights, n_points=30, seed=seed) for seed in range(n_runs)]
    costs = np.array([run.cost(centers) for run in runs])
    masses = np.array([np.bincount(nearest(run.points, centers)[0], run.weights, 4) for run in runs])
    single = np.array([run.cost(places[1]) for run in runs])
    # Weights are w / (draws q) times the mass over its estimate. A draw's law is at least half mass, so the deviation
    # of that estimate is at most 1 / sqrt(draws) of the mass, and by Hartley and Ross the bias of a ratio at most its
    # deviation times that; five standard errors for chance.
    allowed = 5 / np.sqrt(n_runs) + 1 / np.sqrt(400)
    assert abs(costs.mean() - clustering_cost(X, centers, weights)) <= allowed * costs.std()
    assert abs(single.mean() - clustering_cost(X, places[1:2], weights)) <= allowed * single.std()
    truth = np.bincount(blob, weights)
    assert (np.abs(masses.mean(axis=0) - truth) <= allowed * masses.std(axis=0)).all()
    assert (masses.std(axis=0) <= truth.sum() / np.sqrt(400)).all()


@LEVELS
@pytest.mark.usefixtures("sampled", "two_levels")
@pytest.mark.parametrize("power", [1, 2])
def test_a_tiny_far_cluster_is_never_lost_in_the_sample(rng, levels, power):
    X = rng.normal(size=(2000, 2))
    X[rng.permutation(2000)[:5]] += 1e4
    # Each far row has nearly a tenth of the law: 40 of the 400 strata, of which it has 38 at least for itself. So none
    # is missing, and their mass is off by 5 % from that, and by a deviation of 5 % at most from the calibration. The
    # seeds cannot miss it: until one is there it has all but 1e-4 of the potential, with power 1 all but a tenth, and
    # there are 11 rough ones or more.
    for seed in range(20):
        summary = summary_of(X, n_points=40, seed=seed, power=power)
        far = summary.points[:, 0] > 5e3
        assert far.any()
        assert summary.weights[far].sum() == pytest.approx(5, rel=0.05 + 5 * 0.05)


@LEVELS
@pytest.mark.usefixtures("sampled", "two_levels")
def test_weight_is_repetition_in_distribution_when_both_are_sampled(rng, levels):
    X, weights = np.concatenate([rng.normal(size=(1500, 2)), rng.normal(size=(300, 2)) + 9]), rng.integers(1, 4, 1800)
    order = rng.permutation(weights.sum())
    data = ((X, None, weights), (np.repeat(X, weights, axis=0)[order], None, None))
    n_runs = 30
    found = np.empty((2, n_runs, 3))
    for which, rows in enumerate(data):
        for seed in range(n_runs):
            summary = summary_of(*rows, n_points=30, seed=seed + 1000 * which)
            far = summary.points[:, 0] > 4.5
            found[which, seed] = summary.offset, summary.weights[far].sum(), summary.cost(X[[0, 1700]])
    error = np.sqrt((found.var(axis=1, ddof=1) / n_runs).sum(axis=0))
    assert (np.abs(found[0].mean(axis=0) - found[1].mean(axis=0)) <= 5 * error).all()


@LEVELS
@pytest.mark.usefixtures("sampled", "two_levels")
def test_heavy_rows_leave_the_sample_useful(rng, levels):
    X, weights = rng.normal(size=(2000, 2)), np.ones(2000)
    weights[7] = 1e9
    summary = summary_of(X, None, weights, n_points=30)
    assert summary.total_weight == pytest.approx(weights.sum(), rel=1e-12)
    heavy = summary.weights.argmax()
    np.testing.assert_allclose(summary.points[heavy], X[7], atol=1e-6)
    assert len(summary) >= 25
    # Two far ones would take nearly all draws, by mass and by distance: then all rows are read.
    X[8], weights[8] = [50, 50], 1e9
    estimator = fitted(X, None, weights, n_points=30)
    assert estimator.exact_
    assert len(estimator.coreset_) >= 25


@LEVELS
@pytest.mark.usefixtures("sampled", "two_levels")
def test_sampled_duplicates_are_told_apart(rng, levels):
    X = np.repeat([[0.1, 3.0], [1.0, 0.3], [5.0, 7.0]], [1500, 490, 10], axis=0)[rng.permutation(2000)]
    estimator = fitted(X, n_points=30)
    summary = estimator.coreset_
    assert not estimator.exact_
    assert set(map(tuple, summary.points)) == set(map(tuple, X))
    assert (summary.offset, summary.total_weight) == (0, pytest.approx(2000))
    same = summary_of(np.full((2000, 2), 0.1), n_points=30)
    assert set(same.points.ravel()) == {0.1}
    assert (same.offset, same.total_weight) == (0, pytest.approx(2000))


def test_sampled_classes_keep_their_masses_and_one_sampled_class_makes_the_whole_inexact(rng, sampled):
    X, weights = rng.normal(size=(2100, 2)), rng.uniform(0.5, 2, 2100)
    y = np.repeat(["large", "small"], [2000, 100])
    estimator = fitted(X, y, weights, n_points=40)
    assert not estimator.exact_
    for label in ("large", "small"):
        mass = estimator.coreset_.weights[estimator.coreset_.labels == label].sum()
        assert mass == pytest.approx(weights[y == label].sum(), rel=1e-12)
    assert fitted(X[600:], y[600:], weights[600:], n_points=40).exact_  # neither class is large


def test_a_sampled_numeric_target_is_right_on_average(rng, sampled):
    X = rng.normal(size=(2000, 2))
    y = 100 + X @ [3.0, -1.0] + rng.normal(size=2000) * 0.1
    runs = [summary_of(X, y, n_points=30, seed=seed) for seed in range(30)]
    means = np.array([run.weights @ run.labels / run.total_weight for run in runs])
    slopes = np.array([run.weights @ ((run.labels - 100) * run.points[:, 0]) / run.total_weight for run in runs])
    assert abs(means.mean() - y.mean()) <= (5 / np.sqrt(30) + 1 / np.sqrt(400)) * means.std()
    assert means.std() < 0.5
    assert 2 < slopes.mean() < 3 * 1.1  # means of cells: at most the covariance of the rows, 3


# The least size of a cell


def heavy_tailed(rng, n_rows: int = 400) -> np.ndarray:
    """Rows of which many lie alone."""
    return rng.standard_t(1.5, size=(n_rows, 2))


@LEVELS
@pytest.mark.usefixtures("two_levels")
@pytest.mark.parametrize(("n_points", "least"), [(60, 2), (60, 6), (30, 25), (400, 7), (3, 150), (5, 400)])
def test_no_point_averages_fewer_rows_than_the_least(rng, levels, n_points, least):
    X, weights = coded(heavy_tailed(rng)), rng.uniform(0.5, 2, 400)
    for seed in range(3):
        estimator = fitted(X, None, weights, n_points=n_points, seed=seed, min_cell_size=least)
        cells = cells_of(estimator.coreset_, 400)
        assert (cells.sum(axis=0) == 1).all()
        assert cells.sum(axis=1).min() >= least
        assert len(cells) <= min(n_points, 400 // least)
        np.testing.assert_allclose(estimator.coreset_.weights, cells @ weights)
        assert estimator.exact_
    if least * n_points <= 400:
        loose = cells_of(summary_of(X, None, weights, n_points=n_points), 400)
        assert loose.sum(axis=1).min() < least  # so there was something to do


def test_two_levels_with_their_own_constants(rng):
    X = coded(heavy_tailed(rng, 700))
    for least, n_points in ((2, 300), (2, 10_000)):
        summary = summary_of(X, n_points=n_points, min_cell_size=least)
        assert len(summary.group_variances) > 10
        assert cells_of(summary, 700).sum(axis=1).min() >= least
        assert 200 <= len(summary) <= min(n_points, 350)
        np.testing.assert_allclose(np.rint(summary.weights), summary.weights)


@LEVELS
@pytest.mark.usefixtures("two_levels")
@pytest.mark.parametrize("labels", [["a", "b", "c"], [0.5, 1.25, -3.5]])
def test_least_size_with_targets(rng, levels, labels):
    code = rng.permutation(np.repeat([0, 1, 2], [300, 93, 7]))
    X, y = coded(heavy_tailed(rng)), np.array(labels)[code]
    summary = summary_of(X, y, n_points=45, min_cell_size=7)
    cells = cells_of(summary, 400)
    assert (cells.sum(axis=0) == 1).all()
    assert cells.sum(axis=1).min() >= 7
    if y.dtype.kind == "U":
        for cell, label in zip(cells, summary.labels, strict=True):
            assert set(y[cell]) == {label}
        assert (summary.labels == "c").sum() == 1
    else:
        np.testing.assert_allclose(summary.labels, cells @ y / cells.sum(axis=1))


def test_least_size_counts_rows_and_neither_weights_nor_absent_rows(rng):
    X, weights = coded(heavy_tailed(rng, 60)), np.r_[np.full(20, 1e6), np.ones(30), np.zeros(10)]
    summary = summary_of(X, None, weights, n_points=20, min_cell_size=4)
    assert (summary.points[:, 2:] > 1e-9 * CODE).sum(axis=1).min() >= 4
    assert summary.points[:, -10:].max() == 0


def test_fewer_rows_than_points_are_still_averaged(rng):
    X = heavy_tailed(rng, 30)
    summary = summary_of(X, n_points=100, min_cell_size=4)
    assert summary.sample_indices is None
    assert summary.weights.min() >= 4
    assert len(summary) <= 7
    np.testing.assert_array_equal(summary_of(X, n_points=100, min_cell_size=1).points, X)
    whole = summary_of(X, n_points=100, min_cell_size=30)
    np.testing.assert_allclose(whole.points, X.mean(axis=0)[None])
    assert whole.offset == pytest.approx(((X - X.mean(axis=0)) ** 2).sum())


@LEVELS
@pytest.mark.usefixtures("two_levels")
def test_duplicates_that_are_enough_by_themselves_stay_apart(rng, levels):
    X = np.repeat([[0.0], [1.0], [5.0], [100.0]], [50, 30, 20, 3], axis=0)[rng.permutation(103)]
    summary = summary_of(X, n_points=20, min_cell_size=10)
    cells = dict(zip(np.round(summary.points.ravel(), 9), summary.weights, strict=True))
    assert cells == {0.0: 50, 1.0: 30, round((5 * 20 + 100 * 3) / 23, 9): 23}


def test_too_small_cells_join_their_nearest_neighbour_the_smallest_first():
    means, masses = np.array([[0.0], [1.0], [7.0], [8.0], [20.0]]), np.array([2.0, 1.0, 3.0, 3.0, 1.0])
    # 0 joins 1, and with masses 2 and 1 lies at 1/3 then; 20 joins 8.
    assert _joined(means, masses, np.array([1, 2, 3, 3, 1]), 3).tolist() == [1, 1, 2, 3, 3]
    # 1 then joins 0 at its distance of 1, 7 joins 8 and lies at 7.5, 20 joins that; 1/3 and 29/3 are large enough.
    assert _joined(means, masses, np.array([3, 1, 2, 3, 3]), 4).tolist() == [0, 0, 3, 3, 3]
    assert _joined(means, masses, np.full(5, 2), 11).tolist() == [_joined(means, masses, np.full(5, 2), 11)[0]] * 5
    assert _joined(means, masses, np.ones(5, dtype=int), 1).tolist() == [0, 1, 2, 3, 4]
    # 0 and 3 make 1.5, with 9 they make 4 by three equal masses; -8.2 is nearer to that than to -21.
    means = np.array([[0.0], [3.0], [9.0], [-8.2], [-21.0]])
    assert _joined(means, np.ones(5), np.array([1, 2, 3, 5, 9]), 7).tolist() == [2, 2, 2, 2, 4]


@LEVELS
@pytest.mark.usefixtures("two_levels")
@pytest.mark.parametrize("least", [5, 30])  # no rough cluster of a sample has 30 rows
def test_least_size_holds_among_the_rows_that_are_read_of_a_large_table(rng, levels, least, monkeypatch):
    monkeypatch.setattr(robust, "_SAMPLED_ROWS", 150)
    monkeypatch.setattr(robust, "_SAMPLED_PER_POINT", 2)
    summary = summary_of(coded(rng.uniform(size=(600, 2))), n_points=20, min_cell_size=least)
    cells = summary.points[:, -600:] > 0
    assert cells.sum(axis=1).min() >= least
    assert cells.sum(axis=0).max() == 1
    assert summary.total_weight == pytest.approx(600)


def test_points_of_a_summary_are_means_already(rng):
    parts = [summary_of(heavy_tailed(rng), n_points=40, min_cell_size=5, seed=seed) for seed in range(3)]
    merged = Coreset.merge(*parts)
    reduced = RobustCoreset(40, min_cell_size=5, random_state=0).reduce(merged)
    plain = RobustCoreset(40, random_state=0).reduce(merged)
    np.testing.assert_array_equal(reduced.points, plain.points)
    assert len(reduced) == 40
    assert reduced.weights.min() >= 5 - 1e-9  # every row weighs one
    assert reduced.total_weight == pytest.approx(1200)
    assert RobustCoreset(100, min_cell_size=5).reduce(parts[0]) is parts[0]


def test_a_stream_cannot_keep_the_least_size(rng):
    with pytest.raises(ValueError, match="base has min_cell_size=5, which a stream cannot keep"):
        StreamingCoreset(RobustCoreset(40, min_cell_size=5)).partial_fit(rng.normal(size=(9, 2)))


@pytest.mark.parametrize(
    ("y", "weights", "message"),
    [
        (None, None, "min_cell_size=11 is more than the 10 rows of the table"),
        (["a"] * 10, None, "min_cell_size=11 is more than the 10 rows of class 'a'"),
        (np.linspace(0, 1, 10), None, "min_cell_size=11 is more than the 10 rows of the table"),
        (None, np.r_[np.ones(4), np.zeros(6)], "min_cell_size=11 is more than the 4 rows of the table"),
    ],
)
def test_too_few_rows_are_named(rng, y, weights, message):
    with pytest.raises(ValueError, match=message):
        summary_of(rng.normal(size=(10, 2)), y, weights, min_cell_size=11)


def test_the_class_with_too_few_rows_is_named(rng):
    X, y = rng.normal(size=(100, 2)), np.repeat([7, 8, 9], [60, 37, 3])
    with pytest.raises(ValueError, match="min_cell_size=5 is more than the 3 rows of class 9"):
        summary_of(X, y, min_cell_size=5)
    assert set(summary_of(X, y, min_cell_size=3).labels) == {7, 8, 9}


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"min_cell_size": 0}, ValueError, "min_cell_size=0 must be at least 1"),
        ({"min_cell_size": 2.5}, TypeError, "min_cell_size=2.5 must be an integer"),
        ({"min_cell_size": True}, TypeError, "min_cell_size=True must be an integer"),
        ({"exact": 1}, TypeError, "exact=1 must be True or False"),
        ({"exact": "no"}, TypeError, "exact='no' must be True or False"),
    ],
)
def test_bad_parameters_are_named(parameters, error, message):
    with pytest.raises(error, match=message):
        summary_of(np.eye(3), **parameters)


@pytest.mark.parametrize("n_points", [50, 400])
def test_k_median_cost_at_the_points_themselves_is_exact_on_heavy_tails_too(rng, n_points):
    X = rng.standard_t(2.5, size=(3000, 4))
    summary = summary_of(X, n_points=n_points, power=1)
    assert summary.cost(summary.points, power=1) == pytest.approx(summary.total_displacement)
    # A root mean square would count the tails twice.
    assert summary_of(X, n_points=n_points).cost(summary.points, power=1) > 1.02 * summary.total_displacement


@pytest.mark.parametrize("n_points", [30, 10])
def test_reduce_refuses_points_that_are_known_to_be_rows(rng, n_points):
    picked = UniformCoreset(20, random_state=0).fit(rng.normal(size=(100, 2))).coreset_
    with pytest.raises(ValueError, match="points that are rows"):
        RobustCoreset(n_points, min_cell_size=5).reduce(picked)
