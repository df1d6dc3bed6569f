"""Merging by Ward's method: by hand, against SciPy's, and the clusters that seeds alone would miss."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, ward

from coreset import RobustCoreset
from coreset.ward import merged, nested


def test_three_points_by_hand():
    points, weights = np.array([[0.0], [3.0], [5.0]]), np.array([1.0, 1.0, 3.0])
    # Merging costs 1/2 * 9 = 4.5, 3/4 * 4 = 3 and 3/4 * 25 = 18.75: the last two go to (3 + 3 * 5) / 4 = 4.5.
    np.testing.assert_allclose(merged(points, weights, 2), [[0.0], [4.5]])
    np.testing.assert_allclose(merged(points, weights, 1), [[3.6]])
    np.testing.assert_array_equal(merged(points, weights, 3), points)


@pytest.mark.parametrize("n_points", [1, 7, 40])
def test_as_scipy_merges(rng, n_points):
    points = rng.normal(size=(80, 3))
    groups = fcluster(ward(points), n_points, "maxclust")
    expected = np.array([points[groups == group].mean(axis=0) for group in np.unique(groups)])
    found = merged(points, np.ones(80), n_points)
    np.testing.assert_allclose(found[np.lexsort(found.T)], expected[np.lexsort(expected.T)])


def test_weight_is_repetition(rng):
    points, weights = rng.normal(size=(30, 2)), rng.integers(1, 5, 30)
    repeated = merged(np.repeat(points, weights, axis=0), np.ones(weights.sum()), 6)
    whole = merged(points, weights.astype(float), 6)
    np.testing.assert_allclose(whole[np.lexsort(whole.T)], repeated[np.lexsort(repeated.T)])


def test_points_without_weight_go_first(rng):
    points = rng.normal(size=(9, 2))
    kept = merged(points, np.array([1.0, 0, 2, 0, 3, 0, 4, 0, 5]), 5)
    np.testing.assert_array_equal(kept, points[::2])


@pytest.mark.parametrize("seed", range(5))
def test_as_many_points_as_clusters_find_them_all(seed):
    # Sixty seeds miss some of the clusters, and steps of local search cannot get there.
    rng = np.random.default_rng(seed)
    centers = rng.normal(scale=20, size=(60, 20))
    X = np.repeat(centers, 50, axis=0) + rng.normal(size=(3000, 20))
    summary = RobustCoreset(60, random_state=seed).fit(X).coreset_
    best = ((X - X.reshape(60, 50, 20).mean(axis=1).repeat(50, axis=0)) ** 2).sum()
    assert summary.offset == pytest.approx(best)


def test_nested_means_are_those_of_each_size(rng):
    points, weights = rng.normal(size=(50, 3)), rng.uniform(0.5, 2, 50)
    for size, means in zip([50, 31, 8], nested(points, weights, [50, 31, 8]), strict=True):
        np.testing.assert_allclose(means, merged(points, weights, size))
