"""Sensitivity, lightweight and farthest-first coresets: their laws, what they promise, and extremes."""

from __future__ import annotations

import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from coreset import Coreset, FarthestFirstCoreset, LightweightCoreset, RobustCoreset, SensitivityCoreset, distortion
from coreset.clustering import farthest_first, seed_centers
from coreset.construction import sensitivity
from coreset.nearest import clustering_cost, nearest, squares_about_mean
from coreset.sampling import inclusion_probabilities, lightweight_shares

ESTIMATORS = [FarthestFirstCoreset, LightweightCoreset, SensitivityCoreset]
every_estimator = pytest.mark.parametrize("cls", ESTIMATORS)
every_sampler = pytest.mark.parametrize("cls", [LightweightCoreset, SensitivityCoreset])


def summary_of(cls, X, y=None, sample_weight=None, n_points=20, seed=0, **parameters) -> Coreset:
    return cls(n_points=n_points, random_state=seed, **parameters).fit(X, y, sample_weight).coreset_


def blobs(rng, sizes, gap: float) -> tuple[np.ndarray, np.ndarray]:
    """Standard normal rows round centres `gap` apart, shuffled, and the blob of each."""
    blob = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    return rng.normal(size=(len(blob), 2)) + gap * blob[:, None], blob


@pytest.fixture
def sampled_first(monkeypatch):
    """Make tables of some hundred rows large enough for the sample that comes before the clusters."""
    monkeypatch.setattr(sensitivity, "_ASSIGNED_ROWS", 150)
    monkeypatch.setattr(sensitivity, "_ASSIGNED_PER_POINT", 2)
    monkeypatch.setattr(sensitivity, "SAMPLED_SHARE", 1)


# The laws of the draws


@given(st.lists(st.floats(0, 1e100), min_size=1, max_size=30), st.integers(1, 40))
def test_inclusion_probabilities_are_capped_proportions(shares, n_draws):
    shares = np.array(shares)
    if not shares.any():
        return
    probabilities = inclusion_probabilities(shares, n_draws)
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    assert probabilities.sum() == pytest.approx(min(n_draws, np.count_nonzero(shares)))
    uncertain = (probabilities < 1) & (shares > 1e-200)
    if uncertain.any():
        ratios = probabilities[uncertain] / shares[uncertain]
        np.testing.assert_allclose(ratios, ratios[0], rtol=1e-9)
        assert ((probabilities == 1) | (shares <= shares[uncertain].max())).all()


def test_lightweight_shares_by_hand():
    # Mean 1; w d^2 = 3, 1 * 0, 1 * 9 of 12; masses 3, 1, 1 of 5.
    shares = lightweight_shares(np.array([1.0, 0.0, 9.0]), np.array([3.0, 1.0, 1.0]))
    np.testing.assert_allclose(shares, [0.5 * 0.6 + 0.5 * 0.25, 0.5 * 0.2, 0.5 * 0.2 + 0.5 * 0.75])
    np.testing.assert_allclose(lightweight_shares(np.zeros(4), np.array([1.0, 1, 1, 5])), np.r_[1, 1, 1, 5] / 8)


@pytest.mark.parametrize("shift", [0.0, 1e6])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_squares_about_the_mean_also_where_a_sample_misses_it(rng, shift, dtype):
    X = (rng.normal(size=(40_000, 3)) + shift).astype(dtype)
    weights = rng.uniform(0.5, 2, 40_000)
    for heavy in (1.0, 1e9):  # the row at 1 is not in the sample of every third one
        weights[1] = heavy
        wide = X.astype(float)
        truth = ((wide - weights @ wide / weights.sum()) ** 2).sum(axis=1)
        squared = squares_about_mean(X, weights)
        resolution = 10 * float(np.spacing(dtype(shift + 1)))
        np.testing.assert_allclose(np.sqrt(squared[2:]), np.sqrt(truth[2:]), atol=0.1 + resolution)
        if heavy == 1.0:
            assert weights @ squared == pytest.approx(weights @ truth, rel=1.1e-3 + resolution)


def test_rows_are_drawn_by_the_lightweight_law(rng):
    X, weights = rng.normal(size=(40, 2)), rng.uniform(0.2, 3, 40)
    scatter = weights * ((X - weights @ X / weights.sum()) ** 2).sum(axis=1)
    expected = 8 * (0.5 * weights / weights.sum() + 0.5 * scatter / scatter.sum())
    assert expected.max() < 1  # so that none is certain and the law is that of the paper
    n_runs = 1500
    counts = np.zeros(40)
    for seed in range(n_runs):
        counts[summary_of(LightweightCoreset, X, None, weights, 8, seed).sample_indices] += 1
    assert (np.abs(counts / n_runs - expected) <= 5 * np.sqrt(expected * (1 - expected) / n_runs)).all()


@pytest.mark.parametrize("power", [1, 2])
def test_batched_seeds_follow_the_law_of_distances(power):
    X, weights = np.array([[0.0], [1.0], [3.0], [7.0]]), np.array([1.0, 2.0, 1.0, 0.5])
    n_runs, rng = 2500, np.random.default_rng(3)
    counts = dict.fromkeys(itertools.permutations(range(4), 3), 0)
    for _ in range(n_runs):
        counts[tuple(seed_centers(X, weights, 3, rng, power=power).tolist())] += 1
    for order, count in counts.items():
        probability = weights[order[0]] / weights.sum()
        for step in (1, 2):
            potential = weights * np.abs(X - X[list(order[:step])].T).min(axis=1) ** power
            probability *= potential[order[step]] / potential.sum()
        assert abs(count - n_runs * probability) <= 5 * np.sqrt(n_runs * probability * (1 - probability)) + 1


# What sampling promises


@every_sampler
@pytest.mark.parametrize("n_points", [30, 100])
def test_costs_on_fixed_centres_are_right_on_average(cls, n_points, rng, sampled_first):
    X = np.concatenate([rng.normal(size=(300, 2)), 5 * rng.standard_t(3, size=(100, 2)) + 10])
    weights = rng.uniform(0.1, 3, 400)
    parameters = {"n_clusters": 4} if cls is SensitivityCoreset else {}
    n_runs = 300
    runs = [summary_of(cls, X, None, weights, n_points, seed, **parameters) for seed in range(n_runs)]
    # The weights are w / p times a ratio, the mass over its estimate. By Hartley and Ross the bias of a ratio estimate
    # is at most its deviation times that of the mass, which is 1 / sqrt(draws) or less where half of a draw's law is
    # mass. With 4 clusters there are 4 ratios, each from a quarter of the draws.
    bias = np.sqrt(1 / n_points) if cls is LightweightCoreset else 4 / np.sqrt(n_points)
    for centers in (X[:1], X[[5, 350]], X[::50], np.zeros((1, 2))):
        for power in (1, 2):
            costs = np.array([run.cost(centers, power=power) for run in runs])
            error = costs.mean() - clustering_cost(X, centers, weights, power=power)
            assert abs(error) <= (5 / np.sqrt(n_runs) + bias) * costs.std()


@every_sampler
def test_every_row_weighs_its_weight_on_average_and_weight_means_repetition(cls, rng):
    X, weights = rng.normal(size=(60, 2)), rng.integers(1, 5, 60)
    source = np.repeat(np.arange(60), weights)
    n_runs, totals = 400, np.zeros((2, 400, 60))
    for seed in range(n_runs):
        weighted = summary_of(cls, X, None, weights, 20, seed)
        totals[0, seed, weighted.sample_indices] = weighted.weights
        repeated = summary_of(cls, X[source], None, None, 20, seed + n_runs)
        np.add.at(totals[1, seed], source[repeated.sample_indices], repeated.weights)
    error = np.sqrt(totals.var(axis=1) / n_runs)
    means = totals.mean(axis=1)
    assert (np.abs(means[0] - means[1]) <= 5 * np.hypot(*error)).all()
    # The ratio's bias is at most the row's deviation over sqrt(draws), as above.
    assert (np.abs(means - weights) <= 5 * error + totals.std(axis=1) / np.sqrt(20)).all()


@every_estimator
@pytest.mark.parametrize("n_points", [7, 100, 390])
def test_totals_are_exact_and_certificates_honest(cls, n_points, rng, sampled_first):
    X, weights = rng.normal(size=(400, 3)), rng.uniform(0.01, 5, 400)
    summary = summary_of(cls, X, None, weights, n_points)
    assert summary.total_weight == pytest.approx(weights.sum(), rel=1e-12)
    assert len(set(summary.sample_indices)) == len(summary)
    np.testing.assert_array_equal(summary.points, X[summary.sample_indices])
    assert np.isnan(summary.max_displacement) == (cls is not FarthestFirstCoreset)
    assert summary.offset == 0
    assert summary.n_source == 400


@pytest.mark.parametrize("power", [1, 2])
def test_each_cluster_keeps_its_mass(power, rng):
    X, blob = blobs(rng, [500, 40, 3], gap=1e7)
    weights = rng.uniform(0.1, 4, 543)
    masses = np.bincount(blob, weights=weights)
    for seed in range(10):  # so far apart, the blobs are the rough clusters
        summary = summary_of(SensitivityCoreset, X, None, weights, 30, seed, n_clusters=3, power=power)
        kept = np.bincount(blob[summary.sample_indices], weights=summary.weights)
        np.testing.assert_allclose(kept, masses, rtol=1e-12)


def test_clusters_without_cost_share_by_mass_alone():
    X = np.repeat([[0.0], [1.0], [5.0]], [500, 300, 200], axis=0)
    summary = summary_of(SensitivityCoreset, X, n_points=30, n_clusters=10)
    values, counts = np.unique(summary.points, return_counts=True)
    assert values.tolist() == [0, 1, 5]
    assert counts.tolist() == [10, 10, 10]
    sums = [summary.weights[summary.points[:, 0] == value].sum() for value in values]
    np.testing.assert_allclose(sums, [500, 300, 200])


def test_shares_inside_a_cluster_are_half_cost_and_half_mass():
    weights, distances = np.array([1.0, 3.0, 2.0, 5.0]), np.array([4.0, 0.0, 1.0, 0.0])
    shares = sensitivity._sensitivities(weights, distances, np.array([0, 0, 0, 1]))
    np.testing.assert_allclose(shares, [4 / 6 + 1 / 6, 3 / 6, 2 / 6 + 2 / 6, 1.0])


@pytest.mark.parametrize("first_stage", [False, True])
@every_sampler
def test_a_tiny_far_cluster_is_never_lost(cls, first_stage, rng, request):
    if first_stage:
        request.getfixturevalue("sampled_first")
    n_far, n_rows = 5, 305 if cls is SensitivityCoreset or not first_stage else 1505
    X = rng.normal(size=(n_rows, 2))
    X[:n_far] += 1e4
    # Lightweight: each far row has nearly 1/5 of all squared distance, so 50 draws expect it 5 times: it is certain.
    # Sensitivity: with more than 99.99 % of the potential, the cluster goes without a seed of its own in 20 with a
    # probability below 1e-80; its own cluster expects 50 / (2 * 21) > 1 draws, of which the systematic draw leaves one.
    # In the first stage each far row is expected 15 times or more.
    for seed in range(200):
        summary = summary_of(cls, X, n_points=50, seed=seed)
        far = summary.sample_indices < n_far
        assert far.any()
        if cls is LightweightCoreset:
            assert far.sum() == n_far
        if cls is SensitivityCoreset and not first_stage:
            assert summary.weights[far].sum() == pytest.approx(n_far)


# Farthest first


def test_farthest_first_by_hand():
    X = np.array([[0.0], [1.0], [9.0], [10.0], [30.0]])
    chosen, cells, squared = farthest_first(X, 3, 0)
    assert chosen.tolist() == [0, 4, 3]
    assert cells.tolist() == [0, 0, 2, 2, 1]
    assert squared.tolist() == [0, 1, 1, 0, 0]
    assert farthest_first(X, 9, 2)[0].tolist() == [2, 4, 0, 1, 3]


def test_skipping_by_the_triangle_inequality_changes_nothing(rng):
    X = np.concatenate([rng.normal(size=(200, 3)), rng.integers(0, 4, (100, 3)) + 20.0])
    distances = ((X[:, None] - X) ** 2).sum(axis=2)
    chosen = [17]
    for _ in range(60):
        chosen.append(int(distances[chosen].min(axis=0).argmax()))
    rows, cells, squared = farthest_first(X, 61, 17)
    assert rows.tolist() == chosen
    assert cells.tolist() == distances[chosen].argmin(axis=0).tolist()
    np.testing.assert_allclose(squared, distances[chosen].min(axis=0), rtol=1e-12)


@pytest.mark.parametrize("n_points", [2, 3, 4])
def test_radius_is_at_most_twice_the_least(n_points, rng):
    for _ in range(5):
        X = rng.normal(size=(11, 2))
        distances = np.sqrt(((X[:, None] - X) ** 2).sum(axis=2))
        least = min(distances[list(rows)].min(axis=0).max() for rows in itertools.combinations(range(11), n_points))
        for first in range(11):
            assert np.sqrt(farthest_first(X, n_points, first)[2].max()) <= 2 * least


def test_farthest_first_weighs_cells_and_certifies_displacements(rng):
    X, weights = rng.normal(size=(500, 3)), rng.uniform(0.2, 3, 500)
    summary = summary_of(FarthestFirstCoreset, X, None, weights, 40)
    index, squared = nearest(X, summary.points)
    np.testing.assert_allclose(summary.weights, np.bincount(index, weights=weights))
    assert summary.max_displacement == pytest.approx(np.sqrt(squared.max()))
    assert summary.total_displacement == pytest.approx(weights @ np.sqrt(squared))
    for centers in (X[:1], X[:7], np.full((1, 3), 9.0)):
        gap = np.sqrt(summary.cost(centers)) - np.sqrt(clustering_cost(X, centers, weights))
        assert abs(gap) <= np.sqrt(weights @ squared)
        gap = summary.cost(centers, power=1) - clustering_cost(X, centers, weights, power=1)
        assert abs(gap) <= summary.error_bound(1.0)


def test_farthest_first_takes_weights_for_repetition_exactly(rng):
    X, weights = rng.normal(size=(300, 2)), rng.integers(1, 5, 300)
    for seed in range(5):
        weighted = summary_of(FarthestFirstCoreset, X, None, weights, 25, seed)
        repeated = summary_of(FarthestFirstCoreset, np.repeat(X, weights, axis=0), None, None, 25, seed)
        np.testing.assert_array_equal(weighted.points, repeated.points)
        np.testing.assert_allclose(weighted.weights, repeated.weights)


# Extremes


@every_estimator
def test_duplicates_and_equal_rows(cls):
    few = summary_of(cls, np.repeat([[0.0], [1.0], [5.0]], [500, 300, 200], axis=0), n_points=50)
    assert set(few.points.ravel()) == {0, 1, 5}
    assert few.total_weight == pytest.approx(1000)
    assert len(few) == (3 if cls is FarthestFirstCoreset else 50)
    same = summary_of(cls, np.full((1000, 2), 0.1), n_points=7)
    assert set(same.points.ravel()) == {0.1}
    assert same.total_weight == pytest.approx(1000)


@every_estimator
def test_one_row_with_nearly_all_the_mass(cls, rng):
    X, weights = rng.normal(size=(300, 2)), np.ones(300)
    weights[123] = 1e12
    summary = summary_of(cls, X, None, weights, n_points=20)
    assert summary.total_weight == pytest.approx(1e12 + 299, rel=1e-12)
    if cls is not FarthestFirstCoreset:
        assert 123 in summary.sample_indices


@every_estimator
def test_far_from_the_origin_the_same_rows_are_taken(cls, rng):
    X = rng.normal(size=(2000, 3))
    for seed in range(3):
        plain, moved = (summary_of(cls, rows, n_points=40, seed=seed) for rows in (X, X + 1e6))
        np.testing.assert_array_equal(plain.sample_indices, moved.sample_indices)
        np.testing.assert_allclose(plain.weights, moved.weights, rtol=1e-6)


@every_estimator
def test_float32_rows_far_from_the_origin(cls, rng):
    X = (rng.normal(size=(2000, 3)) + 1e4).astype(np.float32)
    summary = summary_of(cls, X, n_points=200)
    np.testing.assert_array_equal(summary.points, X[summary.sample_indices])
    assert summary.source_dtype == np.float32
    center = X.mean(axis=0, dtype=float)[None]
    if cls is not FarthestFirstCoreset:  # 200 draws: a standard error of some 4 %, less by spreading over distances
        assert summary.cost(center) == pytest.approx(clustering_cost(X.astype(float), center), rel=0.2)


@every_sampler
def test_rows_whose_order_has_a_period_and_whose_distances_are_equal(cls):
    X = np.tile(np.eye(10), (50, 1))
    seen = summary_of(cls, X, n_points=100, **({"n_clusters": 1} if cls is SensitivityCoreset else {}))
    assert (seen.points.sum(axis=0) > 0).all()


@every_estimator
def test_pickles_and_repeats_itself(cls, rng):
    X, y = rng.normal(size=(300, 2)), rng.choice(["a", "b"], 300)
    fitted = cls(n_points=30, random_state=1).fit(X, y)
    copy = pickle.loads(pickle.dumps(fitted)).coreset_
    again = clone(fitted).fit(X, y).coreset_
    for other in (copy, again):
        np.testing.assert_array_equal(fitted.coreset_.points, other.points)
        np.testing.assert_array_equal(fitted.coreset_.weights, other.weights)
        np.testing.assert_array_equal(fitted.coreset_.labels, other.labels)
    np.testing.assert_array_equal(fitted.coreset_.labels, y[fitted.coreset_.sample_indices])


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"n_clusters": 0}, ValueError, "n_clusters=0 must be at least 1"),
        ({"n_clusters": "many"}, ValueError, "n_clusters='many' must be 'auto' or an integer"),
        ({"n_clusters": 2.5}, TypeError, "n_clusters=2.5 must be an integer"),
        ({"n_clusters": None}, TypeError, "n_clusters=None must be an integer"),
        ({"n_clusters": 21}, ValueError, "n_clusters=21 is more than n_points=20"),
        ({"power": 3}, ValueError, "power=3"),
    ],
)
def test_bad_parameters_are_named(parameters, error, message):
    with pytest.raises(error, match=message):
        summary_of(SensitivityCoreset, np.eye(3), **parameters)


@pytest.mark.parametrize("n_clusters", [1, 15, 20])
def test_any_number_of_clusters_up_to_the_points(n_clusters, rng):
    X = rng.normal(size=(500, 2))
    summary = summary_of(SensitivityCoreset, X, np.arange(500) % 7, n_clusters=n_clusters)
    assert summary.total_weight == pytest.approx(500)
    assert len(summary) == 20


@parametrize_with_checks([cls(20) for cls in ESTIMATORS])
def test_conventions_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.parametrize("n_assigned", [30_000, 50_000])
def test_distortion_on_a_hundred_clusters(n_assigned, rng, monkeypatch):
    monkeypatch.setattr(sensitivity, "_ASSIGNED_ROWS", n_assigned)
    X = 4 * rng.normal(size=(100, 20))[rng.permutation(np.repeat(np.arange(100), 500))] + rng.normal(size=(50_000, 20))
    summary = summary_of(SensitivityCoreset, X, n_points=4000)
    assert distortion(X, summary, 100, random_state=0) <= 1.13


@pytest.mark.parametrize("cls", [LightweightCoreset, SensitivityCoreset])
def test_a_few_heavy_rows_do_not_take_the_points_of_the_others(rng, cls):
    X, weights = rng.normal(size=(60_000, 2)), np.ones(60_000)
    weights[:2] = 1e10
    assert len(cls(300, random_state=0).fit(X, sample_weight=weights).coreset_) == 300


@pytest.mark.parametrize("cls", [RobustCoreset, SensitivityCoreset])
def test_a_sampled_table_keeps_a_tiny_cluster_near_its_mean(cls, rng):
    # Two large clusters far from the mean, and five rows so near it that distances to the mean speak against them.
    X = rng.normal(size=(250_000, 2))
    X[:, 0] += np.where(np.arange(250_000) % 2, 1000, -1000)
    X[:5, 0], X[:5, 1] = 0, 300 + rng.normal(size=5)
    summary = summary_of(cls, X.astype(np.float32), n_points=300)
    near = np.abs(summary.points[:, 0]) < 500
    # To make the total exact, all weights move by the error that the sample's mass has.
    assert summary.weights[near].sum() == pytest.approx(5, rel=0.05)
