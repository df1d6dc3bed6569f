from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist, pdist

from imputation_eval.neighborhoods import (
    Reference,
    count_in_second,
    counting,
    distances,
    mean_over_pairs,
    mean_within,
    median_distance,
    nearest_neighbors,
    screening,
    squared_distance_blocks,
    suits_tree,
)
from imputation_eval.neighborhoods.groups import grouped_neighbors
from imputation_eval.neighborhoods.search import neighbors_of_some, rescale, tree_neighbors
from imputation_eval.neighborhoods.settling import tie_tolerance

SEED = 2**62 + 17


@pytest.mark.parametrize("shift", [0, 1e6])
def test_distances_agree_with_scipy_also_far_from_the_origin(rng, shift, monkeypatch):
    monkeypatch.setattr(distances, "_BLOCK_ENTRIES", 100)
    x, y = rng.normal(size=(37, 5)) + shift, rng.normal(size=(23, 5)) + shift
    blocks = list(squared_distance_blocks(x, y))
    assert len(blocks) > 5
    assert np.vstack([block for _, block, _ in blocks]) == pytest.approx(cdist(x, y) ** 2, rel=1e-8)
    assert mean_over_pairs(x, y, np.sqrt) == pytest.approx(cdist(x, y).mean())
    assert mean_within(x, np.sqrt) == pytest.approx(pdist(x).mean())
    assert median_distance(x, rng) == pytest.approx(np.median(pdist(x)))


def _by(search, points, k):
    """Neighbours by one way of searching, the rest filled up as the package does, and how many it found by itself."""
    points = rescale(points)
    neighbors = np.full((len(points), k), -1)
    done = search(points, k, SEED, neighbors) if search else np.zeros(len(points), dtype=bool)
    neighbors[~done] = neighbors_of_some(points, np.flatnonzero(~done), k, SEED)
    return np.sort(neighbors, axis=1), int(done.sum())


def _check_against_all_distances(points, neighbors):
    """Check that neighbours are the nearest by float64 differences, up to ties, and nobody's own."""
    k = neighbors.shape[1]
    squared = cdist(points, points, "sqeuclidean")
    np.fill_diagonal(squared, np.inf)
    kth = np.sort(squared, axis=1)[:, k - 1]
    tolerance = tie_tolerance(kth, np.linalg.norm(points, axis=1))
    chosen = np.zeros(squared.shape, dtype=bool)
    np.put_along_axis(chosen, neighbors, True, axis=1)
    assert (chosen.sum(axis=1) == k).all()
    assert not chosen.diagonal().any()
    assert not (chosen & (squared > (kth + tolerance)[:, None])).any()
    assert not (~chosen & (squared < (kth - tolerance)[:, None])).any()


KINDS = {
    "gaussian": lambda rng, n, d: rng.normal(size=(n, d)),
    "grid": lambda rng, n, d: rng.integers(0, 3, size=(n, d)).astype(float),
    "tenths": lambda rng, n, d: rng.integers(0, 3, size=(n, d)) / 10,
    "duplicates": lambda rng, n, d: rng.normal(size=(n, d))[rng.integers(0, n // 3 + 1, n)],
    "offset": lambda rng, n, d: rng.normal(size=(n, d)) + 1e9,
    "two far clusters": lambda rng, n, d: rng.normal(size=(n, d)) + 1e6 * rng.integers(0, 2, size=(n, 1)),
    "tight clusters": lambda rng, n, d: 1e-7 * rng.normal(size=(n, d)) + rng.integers(0, 3, size=(n, 1)),
    "constant columns": lambda rng, n, d: rng.normal(size=(n, d)) * (np.arange(d) % 2) + 0.1,
    "all equal": lambda rng, n, d: np.full((n, d), 0.3),
    "scales": lambda rng, n, d: rng.normal(size=(n, d)) * 10.0 ** np.arange(-d, d, 2),
    "heavy tails": lambda rng, n, d: rng.standard_cauchy(size=(n, d)) ** 3,
    "huge": lambda rng, n, d: 1e149 * rng.normal(size=(n, d)),
    "one huge row": lambda rng, n, d: 1e-200 * rng.normal(size=(n, d)) + 1e150 * np.eye(n, d)[:, :1],
    "tiny": lambda rng, n, d: 1e-120 * rng.normal(size=(n, d)),
}


@settings(max_examples=200)
@given(
    st.sampled_from(sorted(KINDS)), st.integers(3, 400), st.integers(1, 12), st.integers(0, 2**32), st.floats(0.01, 1)
)
def test_every_way_gives_what_all_distances_do(kind, n, d, seed, share):
    points = KINDS[kind](np.random.default_rng(seed), n, d)
    k = min(n - 1, max(1, int(share**3 * n)))
    exact, _ = _by(None, points, k)
    _check_against_all_distances(points, exact)
    for search in (tree_neighbors, screening.screened_neighbors):
        assert np.array_equal(_by(search, points, k)[0], exact), search.__name__
    grouped = grouped_neighbors(rescale(points), k, SEED)
    if grouped is not None:
        assert np.array_equal(np.sort(grouped, axis=1), exact)


@settings(max_examples=200)
@given(
    st.sampled_from(sorted(KINDS)), st.integers(3, 200), st.integers(3, 200), st.integers(1, 12), st.integers(0, 2**32)
)
def test_counting_gives_what_listing_does(kind, n, m, d, seed):
    points = KINDS[kind](np.random.default_rng(seed), n + m, d)
    k = max(1, min(n, m) // 3)
    listed = nearest_neighbors(points, k, np.random.default_rng(SEED))
    reference = Reference(points[:n])
    for _ in range(2):  # what the first comparison leaves behind serves the second
        counts = count_in_second(reference, points[n:], k, np.random.default_rng(SEED))
        assert np.array_equal(counts, (listed >= n).sum(axis=1))


@pytest.mark.parametrize("kind", ["gaussian", "constant columns"])
def test_counts_are_sure_for_most_rows_of_smooth_data(kind, rng):
    points = KINDS[kind](rng, 2000, 8)
    reference = Reference(points[:1000])
    counts, sure = counting._count(reference, reference.fold(points[1000:]), 32)
    listed = nearest_neighbors(points, 32, np.random.default_rng(0))
    assert sure.mean() > 0.9
    assert np.array_equal(counts[sure], (listed >= 1000).sum(axis=1)[sure])


@pytest.mark.parametrize("levels", [2, 3])
def test_groups_of_equal_points_are_searched_as_such(levels, rng):
    points = rng.integers(0, levels, size=(900, 4)).astype(float)
    found = grouped_neighbors(points, 20, SEED)
    assert np.array_equal(np.sort(found, axis=1), _by(None, points, 20)[0])
    assert grouped_neighbors(rng.normal(size=(900, 4)), 20, SEED) is None


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"huge", "tiny", "one huge row"}))
def test_screening_of_some_thousand_rows_gives_what_all_distances_do(kind, rng):
    points = KINDS[kind](rng, 1000, 8)
    found, _ = _by(screening.screened_neighbors, points, 20)
    assert np.array_equal(found, _by(None, points, 20)[0])


def test_screening_and_trees_leave_hardly_any_row_of_smooth_data(rng):
    points = rng.normal(size=(3000, 8))
    for search in (tree_neighbors, screening.screened_neighbors):
        assert _by(search, points, 20)[1] > 0.98 * 3000


def test_panels_tiles_and_blocks_do_not_change_the_answer(rng, monkeypatch):
    points = np.vstack([rng.normal(size=(900, 7)), rng.integers(0, 3, size=(300, 7))])
    whole, n_done = _by(screening.screened_neighbors, points, 11)
    monkeypatch.setattr(screening._Layout, "most_rows", 250)
    monkeypatch.setattr(screening, "_HEIGHT", 96)
    monkeypatch.setattr(screening, "_SETTLED_ROWS", 70)
    monkeypatch.setattr(distances, "_BLOCK_ENTRIES", 1200 * 7)
    pieces, n_done_in_pieces = _by(screening.screened_neighbors, points, 11)
    assert n_done == n_done_in_pieces > 800
    assert np.array_equal(whole, pieces)


def test_numbers_of_many_rows_are_packed_in_64_bits(rng):
    for n in (70_000, 5_000_000):
        layout = screening._Layout((n - 1).bit_length())
        rows, columns = rng.integers(0, layout.most_rows, 500), rng.integers(0, n, 500)
        values = rng.exponential(size=500).astype(np.float32)
        keys = layout.pack(rows.copy(), values, columns)
        assert np.array_equal(layout.values(keys), values)
        assert np.array_equal(layout.columns(keys), columns)
        assert np.array_equal(np.argsort(keys), np.lexsort((columns, values, rows)))


def test_survivors_are_listed_row_by_row_also_in_a_full_panel():
    layout = screening._Layout(30)
    rows, values = np.array([0, 3, 3, 1, 3]), np.array([0.5, 3, 1, 7, 2], dtype=np.float32)
    keys = np.sort(layout.pack(rows, values, np.array([9, 8, 7, 6, 5])))
    ((part, listed, ids),) = screening._listed(keys, slice(0, layout.most_rows), 2, layout)
    inf = np.inf
    assert part == slice(0, 4)
    assert listed.tolist() == [[0.5, inf], [7, inf], [inf, inf], [1, 2]]
    assert (ids[0, 0], ids[1, 0], *ids[3]) == (9, 6, 7, 5)


def test_entries_that_are_true(rng):
    for n, share in ((8, 0.5), (1000, 0.01), (1003, 0.5), (64, 0.0)):
        mask = rng.random(n) < share
        assert np.array_equal(screening._true_entries(mask), np.flatnonzero(mask))


def test_designs_of_thresholds_hold_what_they_promise(rng):
    # Thresholds of one row, from samples of a uniform population of which 50 of 20,000 are wanted.
    n, k = 20_000, 50
    design = screening._best_design(n, k)
    below = np.array(
        [
            np.sort(rng.choice(n, (design.n_groups, design.size), replace=False).min(axis=1))[design.rank - 1]
            for _ in range(2000)
        ]
    )
    assert (below < k).mean() < 0.01  # at most 0.003 in expectation
    assert below.mean() == pytest.approx(n * design.share, rel=0.1)


def test_memory_is_far_below_that_of_all_distances(rng):
    import tracemalloc

    points = rng.normal(size=(6000, 8))
    tracemalloc.start()
    nearest_neighbors(points, 20, rng)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.25 * 4 * 6000**2


def test_trees_are_for_few_features():
    assert suits_tree(2000, 1)
    assert not suits_tree(2000, 3)
    assert suits_tree(40_000, 5)
    assert not suits_tree(40_000, 15)
    assert suits_tree(1_000_000, 8)


@pytest.mark.parametrize("n_others", [0, 400])
def test_ties_are_broken_at_random_and_evenly(n_others):
    # Point 0 is as far from each of the other ten, which are a regular simplex around it.
    points = np.vstack([np.zeros(10), np.eye(10), 50 + np.random.default_rng(1).normal(size=(n_others, 10))])
    rng = np.random.default_rng(0)
    runs = 200
    chosen = np.concatenate([nearest_neighbors(points, 3, rng)[0] for _ in range(runs)])
    counts = np.bincount(chosen, minlength=11)
    assert counts[0] == counts[11:].sum() == 0
    # 3 of 10 are chosen; 4.5 standard deviations either way.
    assert np.abs(counts[1:11] - 0.3 * runs).max() < 4.5 * np.sqrt(runs * 0.3 * 0.7)


def test_ties_of_different_rows_are_drawn_apart():
    # Were one order used for all rows, the neighbours of duplicates would be the same for all of them.
    neighbors = nearest_neighbors(np.zeros((60, 3)), 5, np.random.default_rng(0))
    counts = np.bincount(neighbors.ravel(), minlength=60)
    # In-degrees are about binomial with mean 5 and variance 4.6; a shared order has variance over 50.
    assert counts.var() < 12


def test_exact_duplicates_share_their_neighborhood():
    points = np.repeat([[0.1, 0.7], [5.3, 9.1]], 20, axis=0) + 1e5
    neighbors = nearest_neighbors(points, 10, np.random.default_rng(1))
    assert (neighbors[:20] < 20).all()
    assert (neighbors[20:] >= 20).all()
    assert len(np.unique(neighbors[:20])) == 20  # not always the first ones


@pytest.mark.parametrize("far", [1e10, 1e12, 1e15, 1e100])
@pytest.mark.parametrize("d", [3, 8])
def test_one_far_row_spoils_no_distance_between_the_others(rng, far, d):
    points = rng.normal(size=(700, d))
    points[0, 0] = far
    distances = cdist(points, points)
    np.fill_diagonal(distances, np.inf)
    neighbors = nearest_neighbors(points, 5, rng)
    assert np.array_equal(np.sort(neighbors[1:]), np.sort(np.argsort(distances[1:], axis=1)[:, :5]))
    # Among the others, and from them to the far row, each to its own precision.
    block = np.vstack([block for _, block, _ in squared_distance_blocks(points, points)])
    norms = np.concatenate([norms for *_, norms in squared_distance_blocks(points, points)])
    off_diagonal = ~np.eye(700, dtype=bool)[1:, 1:]
    np.testing.assert_allclose(block[1:, 1:][off_diagonal], distances[1:, 1:][off_diagonal] ** 2, rtol=1e-9)
    np.testing.assert_allclose(block[1:, 0], distances[1:, 0] ** 2, rtol=1e-6)
    assert norms[1:].max() < 100
