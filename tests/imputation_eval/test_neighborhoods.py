from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from imputation_eval import neighborhoods
from imputation_eval.neighborhoods import mean_distance, nearest_neighbors, squared_distance_blocks


@pytest.mark.parametrize("shift", [0, 1e6])
def test_distances_agree_with_scipy_also_far_from_the_origin(rng, shift, monkeypatch):
    monkeypatch.setattr(neighborhoods, "_BLOCK_ENTRIES", 100)
    x, y = rng.normal(size=(37, 5)) + shift, rng.normal(size=(23, 5)) + shift
    blocks = list(squared_distance_blocks(x, y))
    assert len(blocks) > 5
    assert np.vstack([block for _, block, _ in blocks]) == pytest.approx(cdist(x, y) ** 2, rel=1e-8)
    assert mean_distance(x, y) == pytest.approx(cdist(x, y).mean())


@given(st.integers(3, 40), st.integers(1, 4), st.integers(0, 2**32), st.data())
def test_neighbors_are_the_nearest_ones_whatever_the_block(n, d, seed, data):
    k = data.draw(st.integers(1, n - 1))
    rng = np.random.default_rng(seed)
    points = rng.integers(0, 4, size=(n, d)).astype(float)  # a grid: plenty of ties and duplicates
    neighbors = nearest_neighbors(points, k, rng)
    distances = cdist(points, points)
    np.fill_diagonal(distances, np.inf)
    for i, chosen in enumerate(neighbors):
        assert len(set(chosen)) == k
        assert i not in chosen
        assert np.sort(distances[i, chosen]) == pytest.approx(np.sort(distances[i])[:k])


def test_ties_are_broken_at_random_and_evenly():
    # Point 0 is as far from each of the other ten, which are a regular simplex around it.
    points = np.vstack([np.zeros(10), np.eye(10)])
    rng = np.random.default_rng(0)
    runs = 500
    counts = np.bincount(np.concatenate([nearest_neighbors(points, 3, rng)[0] for _ in range(runs)]), minlength=11)
    assert counts[0] == 0
    # 3 of 10 are chosen: mean 150, standard deviation sqrt(500 * .3 * .7) = 10.2; 4.5 of these either way.
    assert np.abs(counts[1:] - 150).max() < 46


def test_exact_duplicates_share_their_neighborhood():
    points = np.repeat([[0.1, 0.7], [5.3, 9.1]], 20, axis=0) + 1e5
    neighbors = nearest_neighbors(points, 10, np.random.default_rng(1))
    assert (neighbors[:20] < 20).all()
    assert (neighbors[20:] >= 20).all()
    assert len(np.unique(neighbors[:20])) == 20  # not always the first ones


def test_blocks_do_not_change_the_answer(rng, monkeypatch):
    points = np.round(rng.normal(size=(60, 2)))
    whole = nearest_neighbors(points, 5, np.random.default_rng(2))
    monkeypatch.setattr(neighborhoods, "_BLOCK_ENTRIES", 60 * 7)
    pieces = nearest_neighbors(points, 5, np.random.default_rng(2))
    assert np.array_equal(np.sort(whole), np.sort(pieces))


@pytest.mark.parametrize("far", [1e10, 1e12, 1e15])
def test_one_far_row_spoils_no_distance_between_the_others(rng, far):
    points = rng.normal(size=(200, 3))
    points[0, 0] = far
    distances = cdist(points, points)
    np.fill_diagonal(distances, np.inf)
    neighbors = nearest_neighbors(points, 5, rng)
    assert np.array_equal(np.sort(neighbors[1:]), np.sort(np.argsort(distances[1:], axis=1)[:, :5]))
    # Among the others, and from them to the far row, each to its own precision.
    (_, block, norms), *_ = squared_distance_blocks(points, points)
    off_diagonal = ~np.eye(200, dtype=bool)[1:, 1:]
    assert block[1:, 1:][off_diagonal] == pytest.approx(distances[1:, 1:][off_diagonal] ** 2, rel=1e-9)
    assert block[1:, 0] == pytest.approx(distances[1:, 0] ** 2)
    assert norms[1:].max() < 100
