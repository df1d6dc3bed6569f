"""Kernels against the plain formulas, seeding against its exact law, local search against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans

from coreset.clustering import cluster, group_means, lloyd, seed_centers
from coreset.nearest import (
    clustering_cost,
    nearest,
    row_blocks,
    squared_distances_to,
    squares_about_mean,
    weighted_mean,
)
from coreset.sampling import importance_sample, stratified_draw, systematic_draw


@given(st.integers(0, 40_000), st.integers(1, 5000))
def test_blocks_cover_every_row_once(n_rows, n_columns):
    blocks = list(row_blocks(n_rows, n_columns))
    assert [i for b in blocks for i in (b.start, b.stop)][1:-1:2] == [b.start for b in blocks][1:]
    assert sum(b.stop - b.start for b in blocks) == n_rows


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_nearest_agrees_with_all_distances_far_from_the_origin_too(rng, dtype, shift):
    X = (rng.normal(size=(700, 5)) + shift).astype(dtype)
    centers = rng.normal(size=(40, 5)) + shift
    index, squared = nearest(X, centers)
    every = cdist(X.astype(np.float64), centers, "sqeuclidean")
    # float32 keeps a spacing of 0.06 at 1e6: the rows, not the kernel, are that coarse.
    tolerance = 1e-4 if dtype == np.float32 else 1e-8
    np.testing.assert_allclose(squared, every.min(axis=1), rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(every[np.arange(700), index], every.min(axis=1), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("far", [1e7, 1e12])
def test_one_far_center_does_not_blur_the_others(rng, dtype, far):
    X = rng.normal(size=(500, 3)).astype(dtype)
    centers = np.concatenate([rng.normal(size=(20, 3)), [[far, 0, 0]]])
    every = cdist(X.astype(np.float64), centers, "sqeuclidean")
    index, squared = nearest(X, centers)
    np.testing.assert_allclose(every[np.arange(500), index], every.min(axis=1), rtol=1e-4)
    np.testing.assert_allclose(squared, every.min(axis=1), rtol=1e-4)


def test_of_equal_centers_the_first_is_found():
    assert nearest(np.zeros((3, 1)), np.array([[5.0], [1.0], [1.0]]))[0].tolist() == [1, 1, 1]


def test_cost_by_hand():
    X, centers = np.array([[0.0], [3.0], [10.0]]), np.array([[0.0], [9.0]])
    assert clustering_cost(X, centers) == 9 + 1
    assert clustering_cost(X, centers, np.array([1.0, 2.0, 3.0]), power=1) == 2 * 3 + 3 * 1
    assert squared_distances_to(X, np.array([1.0])).tolist() == [1, 4, 81]


def test_group_means_and_masses_by_hand():
    X = np.array([[1e6], [1e6 + 1], [1e6 + 5]])
    means, masses = group_means(X, np.array([1.0, 3.0, 2.0]), np.array([0, 0, 2]), 3)
    assert means.ravel().tolist() == [1e6 + 0.75, 0.0, 1e6 + 5]
    assert masses.tolist() == [4, 0, 2]


@pytest.mark.parametrize("draw", [systematic_draw, stratified_draw])
def test_draws_have_the_right_expectation(rng, draw):
    shares = np.array([0.0, 1.0, 2.0, 0.5, 4.0, 0.0])
    n_draws, n_runs = 3, 4000
    counts = np.zeros(6)
    for _ in range(n_runs):
        np.add.at(counts, draw(shares, n_draws, rng), 1)
    expected = n_draws * shares / shares.sum()
    # A count lies between 0 and 3, so its variance is at most 9/4: five standard errors.
    assert (np.abs(counts / n_runs - expected) <= 5 * 1.5 / np.sqrt(n_runs)).all()
    assert counts[[0, 5]].sum() == 0


def test_systematic_draw_survives_rounding_at_the_end():
    class Ends:
        def random(self):
            return 1.0

    assert systematic_draw(np.array([0.1, 0.2, 0.0]), 3, Ends())[-1] == 1  # type: ignore[arg-type]


@given(st.integers(1, 200), st.integers(1, 200), st.integers(0, 10))
def test_systematic_draw_takes_no_row_twice(n_rows, n_draws, seed):
    drawn = systematic_draw(np.ones(n_rows), min(n_draws, n_rows), np.random.default_rng(seed))
    assert len(set(drawn)) == len(drawn)


def test_seeds_follow_the_d2_law(rng):
    X = np.array([[0.0], [1.0], [3.0]])
    weights = np.array([1.0, 2.0, 1.0])
    counts = np.zeros((3, 3))
    n_runs = 6000
    for _ in range(n_runs):
        first, second = seed_centers(X, weights, 2, rng)
        counts[first, second] += 1
    law = np.zeros((3, 3))
    for first in range(3):
        potential = weights * ((X - X[first]) ** 2).ravel()
        law[first] = weights[first] / 4 * potential / potential.sum()
    off_diagonal = ~np.eye(3, dtype=bool)
    assert counts.diagonal().sum() == 0
    assert stats.chisquare(counts[off_diagonal], n_runs * law[off_diagonal]).pvalue > 1e-4


def test_seeding_stops_at_the_number_of_distinct_rows(rng):
    X = np.repeat([[0.0], [1.0], [2.0]], 5, axis=0)
    seeds = seed_centers(X, np.ones(15), 10, rng)
    assert sorted(X[seeds].ravel().tolist()) == [0, 1, 2]


def test_importance_sample_is_unbiased_and_sees_a_far_pair(rng):
    X = np.concatenate([rng.normal(size=(5000, 2)), [[1e4, 0], [1e4, 1]]])
    weights = rng.uniform(0.5, 2, len(X))
    masses = []
    for _ in range(200):
        rows, sampled = importance_sample(squares_about_mean(X, weights), weights, 100, rng)
        assert rows.max() >= 5000  # the pair carries nearly all of the scatter
        masses.append(sampled.sum())
    error = np.std(masses) / np.sqrt(len(masses))
    assert abs(np.mean(masses) - weights.sum()) <= 5 * error


def test_importance_sample_gives_every_row_its_weight_on_average(rng):
    X, weights = rng.standard_t(2, size=(30, 1)), rng.uniform(0.5, 2, 30)
    n_runs, n_draws = 4000, 25
    means = np.zeros((2, 30))  # of the weights given, and of their squares
    for _ in range(n_runs):
        # Many rows are drawn twice.
        rows, sampled = importance_sample(squares_about_mean(X, weights), weights, n_draws, rng)
        means[:, rows] += np.stack([sampled, sampled**2]) / n_runs
    error = np.sqrt(np.maximum(means[1] - means[0] ** 2, 1e-12) / n_runs)
    assert (np.abs(means[0] - weights) <= 5 * error).all()


def test_weighted_mean_keeps_its_digits_in_float32():
    X = np.full((1000, 1), 1e6, dtype=np.float32)
    X[::2] += 1
    assert weighted_mean(X, np.ones(1000))[0] == 1e6 + 0.5


def test_lloyd_agrees_with_scikit_learn_from_the_same_start(rng):
    X, weights = rng.normal(size=(300, 3)), rng.uniform(0.1, 3, 300)
    start = X[:7].copy()
    ours = lloyd(X, weights, start, tolerance=0.0, max_iterations=300)
    theirs = KMeans(7, init=start, n_init=1, tol=0, max_iter=300).fit(X, sample_weight=weights)
    np.testing.assert_allclose(ours.centers, theirs.cluster_centers_, atol=1e-9)
    assert ours.cost == pytest.approx(theirs.inertia_)


def test_k_median_of_one_cluster_is_the_geometric_median(rng):
    X, weights = rng.standard_t(2, size=(200, 2)), rng.uniform(0.5, 2, 200)
    solution = lloyd(X, weights, X[:1].copy(), power=1, tolerance=1e-14, max_iterations=2000)
    distances = np.linalg.norm(X - solution.centers[0], axis=1)
    gradient = (weights / distances) @ (solution.centers[0] - X)
    assert np.linalg.norm(gradient) < 1e-3 * weights.sum()


@pytest.mark.parametrize("power", [1, 2])
def test_local_search_never_raises_the_cost(rng, power):
    X, weights = rng.normal(size=(200, 3)), rng.uniform(0.5, 2, 200)
    spread = rng.uniform(0, 1, 200)
    costs = [
        lloyd(X, weights, X[:5].copy(), power=power, spread=spread, max_iterations=steps, tolerance=0.0).cost
        for steps in range(8)
    ]
    assert (np.diff(costs) <= 1e-9 * costs[0]).all()


def test_a_row_on_its_center_does_no_harm():
    X = np.array([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    solution = lloyd(X, np.ones(3), np.array([[0.0, 0.0]]), power=1)
    assert np.isfinite(solution.centers).all()
    assert solution.cost == pytest.approx(1.0)


def test_cluster_finds_separated_blobs(rng):
    truth = np.array([[0, 0], [50, 0], [0, 50]])
    X = np.concatenate([c + rng.normal(size=(100, 2)) for c in truth])
    centers = cluster(X, np.ones(300), 3, rng).centers
    assert cdist(truth, centers).min(axis=1).max() < 1
