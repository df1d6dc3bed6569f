"""Cells given their width back: exact means, right widths and shapes, costs and models closer to the truth."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from coreset import Coreset, RobustCoreset, UniformQuantizer, decode, encode
from coreset.nearest import clustering_cost


@pytest.fixture
def cells() -> Coreset:
    """Two cells, one narrow and long in the first column, one wide and long in the second."""
    return Coreset(
        [[0.0, 0.0, 5.0], [100.0, 50.0, 5.0]],
        weights=[3, 1],
        labels=["a", "b"],
        offset=3 * 4 + 100,
        spread=[2.0, 10.0],
        groups=[0, 1],
        group_variances=[[9.0, 1.0, 0.0], [0.0, 2.0, 0.0]],
    )


def test_means_masses_and_labels_stay_exact(cells):
    scattered = cells.scatter(6)
    assert len(scattered) == 12
    assert scattered.total_weight == pytest.approx(4)
    assert scattered.offset == 0.0
    for position, label in enumerate("ab"):
        own = scattered.labels == label
        mean = np.average(scattered.points[own], axis=0, weights=scattered.weights[own])
        np.testing.assert_allclose(mean, cells.points[position], atol=1e-12)
        assert scattered.weights[own].sum() == pytest.approx(cells.weights[position])


def test_width_and_shape_are_those_of_the_cell(cells):
    scattered = cells.scatter(20_000)
    own = scattered.labels == "a"
    deviates = scattered.points[own] - cells.points[0]
    # 10,000 independent pairs: variances are known to about 1.4 %, so five standard errors are 7 %.
    np.testing.assert_allclose(deviates.var(axis=0), [4 * 0.9, 4 * 0.1, 0.0], rtol=0.07)
    assert set(scattered.points[:, 2]) == {5.0}
    wide = scattered.points[~own] - cells.points[1]
    np.testing.assert_allclose((wide**2).sum(axis=1).mean(), 100, rtol=0.07)
    assert (wide[:, [0, 2]] == 0).all()


def test_without_groups_the_columns_of_the_points_give_the_shape(rng):
    points = rng.normal(size=(50, 3)) * [1.0, 3.0, 0.0] + 7
    scattered = Coreset(points, np.ones(50), offset=50 * 4.0).scatter(200)
    deviates = scattered.points - np.tile(points, (200, 1))
    variances = points.var(axis=0)
    # 5,000 independent pairs: 2 % a standard error.
    np.testing.assert_allclose(deviates.var(axis=0), 4 * variances / variances.sum(), rtol=0.1)
    assert (scattered.points[:, 2] == 7).all()


def test_without_groups_classes_are_not_scattered_towards_each_other(rng):
    labels = np.repeat([0, 1], 30)
    points = rng.normal(size=(60, 3)) * [1.0, 1.0, 0.0] + 1000 * labels[:, None]
    scattered = Coreset(points, np.ones(60), labels=labels, offset=60.0).scatter(100)
    deviates = scattered.points - np.tile(points, (100, 1))
    within = (points[:30].var(axis=0) + points[30:].var(axis=0)) / 2
    # 3,000 independent pairs: 2.6 % a standard error.
    np.testing.assert_allclose(deviates.var(axis=0), within / within.sum(), rtol=0.13)
    assert (deviates[:, 2] == 0).all()
    # With a point a class, the variance between classes has to serve.
    assert Coreset([[0.0], [2.0]], [1, 1], labels=[0, 1], offset=2.0).scatter(2).points.var() > 1


def test_without_width_nothing_moves(rng):
    exact = Coreset(rng.normal(size=(5, 2)), np.ones(5), feature_names=("a", "b"))
    scattered = exact.scatter(2)
    np.testing.assert_array_equal(scattered.points, np.tile(exact.points, (2, 1)))
    assert scattered.feature_names == ("a", "b")


def test_a_single_point_is_scattered_alike_in_all_directions():
    lonely = Coreset([[1.0, 2.0]], [3], offset=12.0)
    assert lonely.scatter(20_000).cost([[1.0, 2.0]]) == pytest.approx(12, rel=0.05)


def test_a_negative_offset_is_kept():
    coarse = Coreset([[0.0], [1.0]], [1, 1], offset=-0.25)
    assert coarse.scatter().cost([[0.0]]) == coarse.cost([[0.0]]) == 0.75


def test_same_seed_same_scatter(cells):
    np.testing.assert_array_equal(cells.scatter(4).points, cells.scatter(4).points)
    assert not np.array_equal(cells.scatter(4).points, cells.scatter(4, random_state=1).points)


@pytest.mark.parametrize("copies", [0, 1, 3, -2, 2.0, True])
def test_odd_numbers_of_copies_are_refused(cells, copies):
    with pytest.raises(ValueError, match=f"copies={copies} must be an even number"):
        cells.scatter(copies)


def test_merged_groups_are_numbered_on(cells):
    merged = Coreset.merge(cells, cells)
    assert merged.groups.tolist() == [0, 1, 2, 3]
    assert merged.group_variances.shape == (4, 3)
    bare = Coreset([[0.0, 0.0, 0.0]], [1], labels=["a"])
    with_bare = Coreset.merge(cells, bare)
    assert with_bare.groups.tolist() == [0, 1, 2]
    assert with_bare.group_variances[2].tolist() == [0, 0, 0]
    assert Coreset.merge(bare, bare).groups is None


def test_a_tiny_class_leaves_the_shape_of_the_others_alone(rng):
    X = np.concatenate([rng.normal(size=(2000, 2)) * [10, 0.1], rng.normal(size=(2000, 2)) * [0.1, 10] + 100, [[0, 0]]])
    summary = RobustCoreset(60, random_state=0).fit(X, np.repeat([0, 1, 2], [2000, 2000, 1])).coreset_
    scattered = summary.scatter(20)
    assert scattered.points[scattered.labels == 0, 1].std() < 0.2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"group_variances": None}, "groups and group_variances come together"),
        ({"groups": [0, 2]}, r"groups must be in 0\.\.1"),
        ({"groups": [0, -1]}, r"groups must be in 0\.\.1"),
        ({"groups": [0]}, r"groups has shape \(1,\), expected \(2,\)"),
        ({"group_variances": [[1.0, 2.0]]}, r"group_variances has shape \(1, 2\), points has 3 columns"),
        ({"group_variances": [[1.0, -2.0, 0.0]] * 2}, "group_variances must be finite and not negative"),
    ],
)
def test_bad_groups_are_named(changes, message):
    fields = {"groups": [0, 1], "group_variances": np.ones((2, 3)), **changes}
    with pytest.raises(ValueError, match=message):
        Coreset(np.zeros((2, 3)), [1, 1], **fields)


@pytest.mark.parametrize("n_points", [30, 300])
def test_group_variances_sum_to_the_offset(rng, n_points):
    X, weights = rng.normal(size=(2000, 3)) * [1, 5, 0], rng.uniform(0.5, 2, 2000)
    summary = RobustCoreset(n_points, random_state=0).fit(X, sample_weight=weights).coreset_
    masses = np.bincount(summary.groups, weights=summary.weights)
    assert masses @ summary.group_variances.sum(axis=1) == pytest.approx(summary.offset)
    assert (summary.group_variances[:, 2] == 0).all()
    within_groups = np.bincount(summary.groups, weights=summary.weights * summary.spread**2)
    np.testing.assert_allclose(within_groups, masses * summary.group_variances.sum(axis=1))


def test_costs_of_data_without_structure_come_right(rng):
    X = rng.normal(size=(20_000, 10)) * np.arange(1, 11) ** -0.5
    summary = RobustCoreset(400, random_state=0).fit(X).coreset_
    for power in (2, 1):
        for n_centers in (5, 50):
            centers = X[rng.integers(0, len(X), n_centers)]
            truth = clustering_cost(X, centers, power=power)
            cells, scattered = (c.cost(centers, power=power) / truth for c in (summary, summary.scatter()))
            assert abs(scattered - 1) <= 0.02
            assert abs(scattered - 1) < abs(cells - 1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # the step limit is the same for both
def test_models_learn_more_from_the_scatter_of_a_message():
    X, y = load_digits(return_X_y=True)
    gains = []
    for seed in range(4):
        test = np.random.default_rng(seed).permutation(len(X)) < 400
        summary = RobustCoreset(100, random_state=seed).fit(X[~test], y[~test]).coreset_
        received = decode(encode(summary, UniformQuantizer(4)))
        model = MLPClassifier((64,), max_iter=100, tol=0.0, n_iter_no_change=200, random_state=seed)
        bare, scattered = (received.train(model, copies=copies) for copies in (1, 16))
        gains.append(scattered.score(X[test], y[test]) - bare.score(X[test], y[test]))
    assert np.mean(gains) > 2 * np.std(gains, ddof=1) / np.sqrt(len(gains))


def test_what_the_spread_leaves_of_the_offset_is_no_width_of_the_scatter(rng):
    # Mean distances explain less of the squares the heavier the tails; the rest must not widen k-median costs again.
    X = rng.standard_t(2.5, size=(20_000, 5))
    summary = RobustCoreset(500, power=1, random_state=0).fit(X).coreset_
    scattered = summary.scatter()
    assert scattered.offset > 0.05 * summary.offset
    assert scattered.cost(X[:40], power=1) == pytest.approx(
        scattered.weights @ np.sqrt(((scattered.points[:, None] - X[:40]) ** 2).sum(axis=2).min(axis=1))
    )
    assert scattered.cost(X[:40], power=1) == pytest.approx(clustering_cost(X, X[:40], power=1), rel=0.02)
    assert scattered.cost(X[:1]) == pytest.approx(clustering_cost(X, X[:1]), rel=0.02)


def test_a_group_without_a_shape_is_as_wide_in_every_column():
    cell = Coreset([[0.0, 7.0]], [1], offset=9.0, spread=[3.0], groups=[0], group_variances=[[0.0, 0.0]])
    deviates = cell.scatter(8000).points - cell.points
    # Half of 9 each; 4,000 independent pairs: 2.2 % a standard error, five of them 12 %.
    np.testing.assert_allclose((deviates**2).mean(axis=0), [4.5, 4.5], rtol=0.12)


def test_numeric_targets_give_no_classes_about_which_columns_vary(rng):
    points, target = rng.normal(size=(8, 2)), np.array([0.0, 0, 0, 0, 9, 9, 9, 9])
    points[4:, 0] += 50  # about the means of the two targets, the first column would hardly vary
    plain = Coreset(points, np.ones(8), offset=8.0)
    numeric = Coreset(points, np.ones(8), labels=target, target_type="numeric", offset=8.0)
    np.testing.assert_array_equal(numeric.scatter().points, plain.scatter().points)


def test_groups_without_slopes_take_the_one_of_the_points():
    # On the points the target is three times the column; a fit with a penalty is less steep.
    fields = {"offset": 4.0, "groups": [0, 0], "group_variances": [[1.0]], "target_type": "numeric"}
    cells = Coreset([[0.0], [2.0]], [1, 1], labels=[0.0, 6.0], **fields)
    scattered = cells.scatter()
    slopes = (scattered.labels - np.tile(cells.labels, 4)) / (scattered.points - np.tile(cells.points, (4, 1)))[:, 0]
    assert np.ptp(slopes) < 1e-9
    assert 1 < slopes[0] <= 3


def test_what_is_known_of_the_source_stays():
    known = {"n_source": 1000, "source_dtype": np.float32, "source_zstd_bytes": 77, "feature_names": ("a",)}
    scattered = Coreset([[0.0], [2.0]], [500, 500], offset=4.0, **known).scatter(2)
    assert {name: getattr(scattered, name) for name in known} == known


def test_an_offset_that_spreads_explain_up_to_rounding_is_gone():
    weights, spread = [0.1, 0.2, 0.3], np.array([0.1, 0.7, 0.3])
    offset = float(weights @ spread**2)
    for rounded in (np.nextafter(offset, 1), np.nextafter(offset, 0)):
        assert Coreset([[0.0], [1.0], [2.0]], weights, offset=rounded, spread=spread).scatter(2).offset == 0.0
    more = Coreset([[0.0], [1.0], [2.0]], weights, offset=offset + 0.5, spread=spread).scatter(2)
    assert more.offset == pytest.approx(0.5)
