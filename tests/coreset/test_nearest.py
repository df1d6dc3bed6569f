"""The kernels under constructions: gaps, blocks, nearest centres, squares about the mean."""

from __future__ import annotations

import numpy as np
import pytest

from coreset.nearest import Gaps, blocks, nearest, row_blocks, squared_norms, squares_about_mean


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of 16 rows."""
    monkeypatch.setattr("coreset.nearest._BLOCK_VALUES", 64)


@pytest.mark.parametrize("shift", [0.0, 1e4, 1e6])
def test_gaps_keep_the_precision_of_float32_anywhere(rng, shift):
    X = (rng.normal(size=(500, 3)) + shift).astype(np.float32)
    centers = rng.normal(size=(7, 3)) + shift  # float64: no float32 has their digits
    index = rng.integers(0, 7, 500)
    truth = X.astype(float) - centers[index]
    found = Gaps(centers, np.dtype(np.float32))(X, index)
    # Two roundings of 6e-8 of a gap, or 1e-5 of the scale of the centres where their rounding is below that.
    np.testing.assert_allclose(found, truth, rtol=2e-7, atol=2e-7 if shift else 1e-5)
    if shift == 1e6:  # which plain float32 does not keep
        assert np.abs((X - centers.astype(np.float32)[index]) - truth).max() > 0.01
    wide = X.astype(float)
    np.testing.assert_array_equal(Gaps(centers, np.dtype(float))(wide, index), truth)
    np.testing.assert_allclose(squared_norms(truth.copy()), (truth**2).sum(axis=1))


def test_gaps_of_blocks_reuse_their_memory_without_mixing_rows(rng, small_blocks):
    X, centers = (rng.normal(size=(50, 2)) + 1e5).astype(np.float32), rng.normal(size=(4, 2)) + 1e5
    index, gaps = rng.integers(0, 4, 50), Gaps(centers, np.dtype(np.float32))
    found = np.concatenate([gaps(block, index[positions]).copy() for positions, block in blocks(X)])
    np.testing.assert_allclose(found, X.astype(float) - centers[index], atol=1e-6)


@pytest.mark.parametrize("n_rows", [0, 1, 15, 16, 17, 100])
def test_blocks_cover_every_row_once(rng, n_rows, small_blocks):
    sizes = [positions.stop - positions.start for positions in row_blocks(n_rows, 4)]
    assert sizes == [16] * (n_rows // 16) + [n_rows % 16] * (n_rows % 16 > 0)
    X = rng.normal(size=(200, 4))
    rows = rng.integers(0, 200, n_rows)
    read = [(positions, block.copy()) for positions, block in blocks(X, rows)]
    np.testing.assert_array_equal(np.concatenate([np.empty((0, 4)), *(block for _, block in read)]), X[rows])
    assert np.r_[tuple(positions for positions, _ in read)].tolist() == list(range(n_rows)) if read else n_rows == 0
    for positions, block in blocks(X[:n_rows]):
        np.testing.assert_array_equal(block, X[positions])
        assert np.shares_memory(block, X)
    assert len(read) == -(-n_rows // 16)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shift", [0.0, 1e5])
@pytest.mark.parametrize("n_centers", [1, 9, 200])
def test_nearest_by_brute_force_of_all_rows_and_of_some(rng, dtype, shift, n_centers, small_blocks):
    X = (rng.normal(size=(100, 3)) + shift).astype(dtype)
    centers = rng.normal(size=(n_centers, 3)) + shift
    squares = ((X.astype(float)[:, None] - centers) ** 2).sum(axis=2)
    index, squared = nearest(X, centers)
    error = 1e-5 if dtype == np.float32 else 1e-9 if shift else 1e-13
    assert (squares[np.arange(100), index] <= squares.min(axis=1) + error * (1 + shift * 1e-2)).all()
    np.testing.assert_allclose(squared, squares[np.arange(100), index], rtol=1e-5 if dtype == np.float32 else 1e-9)
    for rows in (np.arange(100), np.array([5]), rng.integers(0, 100, 70), np.empty(0, dtype=np.intp)):
        some = nearest(X, centers, rows)
        np.testing.assert_array_equal(some[0], index[rows])
        np.testing.assert_array_equal(some[1], squared[rows])


def test_of_equal_centres_the_first_is_nearest():
    centers = np.array([[3.0], [1.0], [1.0], [3.0]])
    assert nearest(np.array([[0.0], [4.0], [1.0], [3.0]]), centers)[0].tolist() == [1, 0, 1, 0]


def test_squares_about_the_mean_by_hand():
    # Mean (0 + 2 + 2 * 10) / 4 = 5.5.
    found = squares_about_mean(np.array([[0.0], [2.0], [10.0]]), np.array([1.0, 1.0, 2.0]))
    np.testing.assert_allclose(found, [30.25, 12.25, 20.25])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_squares_about_the_mean_where_the_rows_of_its_sample_have_no_mass_or_none_of_the_distance(rng, dtype):
    X = rng.normal(size=(20_000, 2))
    X[:, 1] += np.where(np.arange(20_000) % 3, 10.0, -70.0)  # the sample is every third row
    X = X.astype(dtype)
    for weights in (np.ones(20_000), np.where(np.arange(20_000) % 3, 1.0, 0.0), rng.uniform(0.1, 2, 20_000)):
        mean = np.average(X.astype(float), axis=0, weights=weights)
        truth = ((X.astype(float) - mean) ** 2).sum(axis=1)
        assert weights @ squares_about_mean(X, weights) == pytest.approx(weights @ truth, rel=1.1e-3)
