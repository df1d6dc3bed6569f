"""Covariances within cells: by hand, kept exactly by scatter, merging, reducing and streams."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge

from coreset import Coreset, RobustCoreset, SensitivityCoreset, StreamingCoreset, UniformQuantizer, decode, encode
from coreset.widths import Widths, correlations, regression


def correlated(rng: np.random.Generator, n: int = 3000, d: int = 5) -> np.ndarray:
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + 10 * rng.integers(0, 3, size=(n, 1))


def covariance(X: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.cov(X, rowvar=False, aweights=weights, ddof=0)


def whole(coreset: Coreset) -> np.ndarray:
    """Covariance of the source, as the summary tells it."""
    return covariance(coreset.points, coreset.weights) + coreset.within_covariance[:, : coreset.n_features]


def test_correlations_by_hand():
    # Deviations (1, 2) and (3, 2) with weights one and three: mean squares 7 and 4, mean product 5.
    variances, weights = np.array([[1.0, 4.0], [9.0, 4.0]]), np.array([1.0, 3.0])
    within = np.array([[7.0, 2.5], [2.5, 4.0]])
    np.testing.assert_allclose(correlations(within, variances, weights), [[1, 0.5], [0.5, 1]])
    np.testing.assert_allclose(correlations(1e-200 * within, 1e200 * variances, 1e-9 * weights)[0, 1], 0.5)
    assert correlations(within, variances, 0 * weights).tolist() == np.eye(2).tolist()
    constant = correlations(np.diag([7.0, 0.0]), variances * [1, 0], weights)
    assert constant.tolist() == np.eye(2).tolist()


def test_correlations_of_cells_that_differ_are_those_of_something(rng):
    # Three columns correlate by -0.9 each in cells that have no variance in the third of them: no matrix has all three.
    pairs = [[0, 1], [0, 2], [1, 2]]
    variances = np.array([[float(column in pair) for column in range(3)] for pair in pairs])
    within = np.where(np.eye(3) > 0, 2.0, -0.9) / 3
    found = correlations(within, variances, np.ones(3))
    assert np.linalg.eigvalsh(found).min() > -1e-12
    np.testing.assert_allclose(np.diag(found), 1.0)
    assert (found[np.triu_indices(3, 1)] < -0.4).all()


def test_regression_by_hand():
    assert regression(np.diag([4.0, 0.0]), np.array([2.0, 0.0])).tolist() == [0.5, 0.0]
    assert regression(np.diag([4.0, 1e-300]), np.array([2.0, 0.0]), 1.0).tolist() == [0.25, 0.0]
    np.testing.assert_allclose(regression(np.ones((2, 2)), np.array([3.0, 3.0])), [1.5, 1.5])


@pytest.mark.parametrize("n_points", [40, 400])
def test_scatter_has_the_covariance_of_the_rows(rng, n_points):
    X, weights = correlated(rng), rng.uniform(0.5, 2, 3000)
    summary = RobustCoreset(n_points, random_state=0).fit(X, sample_weight=weights).coreset_
    truth = covariance(X, weights)
    np.testing.assert_allclose(whole(summary), truth, rtol=1e-9)
    scattered = summary.scatter(4)
    np.testing.assert_allclose(covariance(scattered.points, scattered.weights), truth, rtol=1e-9)
    # The means of cells are kept, and their widths nearly so.
    np.testing.assert_allclose(scattered.points.reshape(4, -1, 5).mean(axis=0), summary.points, rtol=1e-9, atol=1e-9)
    squares = ((summary.scatter(64).points.reshape(64, -1, 5) - summary.points) ** 2).sum(axis=2).mean(axis=0)
    np.testing.assert_allclose(np.corrcoef(squares, summary.spread**2)[0, 1], 1, atol=0.2)
    assert summary.weights @ squares == pytest.approx(summary.offset)


def test_principal_components_and_ridge_regressions_on_the_scatter_are_those_of_the_rows(rng):
    X = correlated(rng)
    y = X @ rng.normal(size=5) + np.abs(X[:, 0])
    summary = RobustCoreset(100, random_state=0).fit(X, y).coreset_
    scattered = summary.scatter(4)
    root = np.sqrt(scattered.weights)[:, None] * (scattered.points - X.mean(axis=0))
    np.testing.assert_allclose(np.linalg.svd(root)[1] ** 2 / 3000, PCA().fit(X).explained_variance_ * 2999 / 3000)
    np.testing.assert_allclose(summary.train(Ridge(5.0), copies=4).coef_, Ridge(5.0).fit(X, y).coef_, rtol=1e-7)


def test_classes_share_a_covariance_that_merging_takes_the_mean_of(rng):
    X, y = correlated(rng), rng.integers(0, 2, 3000)
    summary = RobustCoreset(60, random_state=0).fit(X, y).coreset_
    np.testing.assert_allclose(whole(summary), covariance(X, np.ones(3000)), rtol=1e-9)
    parts = [RobustCoreset(60, random_state=0).fit(part).coreset_ for part in (X[:500], X[500:])]
    merged = Coreset.merge(*parts, Coreset(X[:5], np.ones(5)))
    inside = (500 * parts[0].within_covariance + 2500 * parts[1].within_covariance) / 3005
    np.testing.assert_allclose(merged.within_covariance, inside, rtol=1e-12)
    assert Coreset.merge(Coreset(X[:5], np.ones(5)), Coreset(X[:5], np.ones(5))).within_covariance is None


def test_merging_with_cells_of_unknown_shape_takes_their_columns_as_independent(rng):
    X = correlated(rng)
    y = X[:, 0] + rng.normal(size=3000)
    known = RobustCoreset(60, random_state=0).fit(X, y).coreset_
    received = decode(encode(known, UniformQuantizer(8)))
    assert received.within_covariance is None
    merged = Coreset.merge(known, received)
    assert merged.within_covariance.shape == (5, 6)
    other = merged.within_covariance - known.within_covariance / 2
    assert np.trace(other) == pytest.approx(received.offset / 6000)
    np.testing.assert_allclose(other[:, :5], np.diag(np.diag(other)), atol=1e-12)
    np.testing.assert_allclose(other[:, 5], np.diag(other) * received._slopes()[0], atol=1e-12)
    assert np.isfinite(merged.scatter().labels).all()


@pytest.mark.parametrize("base", [RobustCoreset(100), SensitivityCoreset(100)])
@pytest.mark.parametrize("numeric", [False, True])
def test_reducing_keeps_what_is_within_cells(rng, base, numeric):
    X = correlated(rng)
    y = X @ np.arange(5.0) + rng.normal(size=3000) if numeric else None
    summary = RobustCoreset(500, random_state=0).fit(X, y).coreset_
    base.random_state = 0
    smaller = base.reduce(summary)
    if isinstance(base, RobustCoreset):
        np.testing.assert_allclose(whole(smaller), covariance(X, np.ones(3000)), rtol=1e-9)
        if numeric:
            both = np.column_stack([smaller.points, smaller.labels])
            shared = covariance(both, smaller.weights)[:5, 5] + smaller.within_covariance[:, 5]
            np.testing.assert_allclose(shared, covariance(np.column_stack([X, y]), np.ones(3000))[:5, 5], rtol=1e-9)
    else:
        np.testing.assert_allclose(smaller.within_covariance, summary.within_covariance, rtol=1e-9)
    assert np.trace(smaller.within_covariance[:, :5]) * 3000 == pytest.approx(smaller.offset)


def test_streams_keep_the_covariance_through_every_level(rng):
    X = correlated(rng, 6000)
    stream = StreamingCoreset(RobustCoreset(100), bucket_rows=500, random_state=0)
    summary = stream.fit_batches(X[start : start + 700] for start in range(0, 6000, 700)).coreset_
    np.testing.assert_allclose(whole(summary), covariance(X, np.ones(6000)), rtol=1e-9)


def test_a_sample_of_rows_tells_the_covariance_of_many(rng):
    X = correlated(rng, 60_000).astype(np.float32)
    summary = RobustCoreset(300, random_state=0).fit(X).coreset_
    assert np.trace(summary.within_covariance) * 60_000 == pytest.approx(summary.offset, rel=1e-5)
    truth = covariance(X.astype(float), np.ones(60_000)) - covariance(summary.points, summary.weights)
    # Along every direction: an eigenvalue of 20,000 rows in 5 columns is known to 1 %.
    roots = np.linalg.eigvals(np.linalg.solve(truth, summary.within_covariance)).real
    np.testing.assert_allclose(roots, 1, atol=0.05)


def test_with_very_many_columns_they_are_taken_as_independent(rng):
    X = rng.normal(size=(60, 1100))
    summary = RobustCoreset(20, random_state=0).fit(X, X[:, 0]).coreset_
    assert summary.within_covariance is None
    assert np.isfinite(summary.scatter().points).all()
    assert np.isfinite(summary.scatter().labels).all()


def test_few_deviates_are_left_as_drawn(rng):
    # Three points in ten columns: a map to the covariance would have to stretch what is not there.
    summary = RobustCoreset(3, random_state=0).fit(correlated(rng, 200, 10)).coreset_
    widths = summary._widths(correlated=True)
    values, vectors = np.linalg.eigh(widths.correlation)
    drawn = np.random.default_rng(7).standard_normal((2, 3, 10)) @ (vectors * np.sqrt(values)) @ vectors.T
    deviates = summary.scatter(4, random_state=7).points.reshape(4, 3, 10)[::2] - summary.points
    np.testing.assert_allclose(deviates, drawn * np.sqrt(widths.variances))


def test_what_is_wide_in_some_cells_does_not_leak_into_others(rng):
    # Ten columns are a thousand times wider in half of the rows. A map that makes up for the few cells that those make
    # would move all others by several times their width.
    wide = np.hstack([rng.normal(0, 1000, (3000, 10)), rng.normal(size=(3000, 10))])
    narrow = np.hstack([rng.integers(0, 2, (3000, 1)) + rng.normal(0, 0.3, (3000, 10)), rng.normal(size=(3000, 10))])
    X, y = np.vstack([wide, narrow]), np.repeat([0, 1], 3000)
    summary = RobustCoreset(400, random_state=0).fit(X, y).coreset_
    deviates = (summary.scatter(4).points.reshape(4, -1, 20) - summary.points)[:, summary.labels == 1]
    lengths = np.sqrt((deviates**2).sum(axis=2).mean(axis=0))
    assert (lengths < 2 * summary.spread[summary.labels == 1]).all()


def test_targets_do_not_follow_the_map_along_slopes_of_nearly_constant_columns(rng):
    # In half of the rows the target hangs on a column that hardly varies there, but does in the others.
    k = np.repeat([0, 1], 2000)
    X = np.column_stack([np.where(k, 1e-3, 1.0) * rng.normal(size=4000) + 5 * k, rng.normal(size=4000)])
    y = np.where(k, 1e3 * (X[:, 0] - 5), 0.0) + 0.1 * rng.normal(size=4000)
    summary = RobustCoreset(300, random_state=0).fit(X, y).coreset_
    assert np.ptp(summary.scatter(4).labels) < 2 * np.ptp(y)


def test_no_pattern_of_rows_hides_from_the_covariance(rng):
    X = rng.normal(size=(80_000, 4))
    for period in (2, 4, 7, 8, 9):
        X[np.arange(80_000) % period == 0, 1] = X[np.arange(80_000) % period == 0, 0] * (-1.0) ** period
        summary = RobustCoreset(20, random_state=0).fit(X).coreset_
        truth = covariance(X, np.ones(80_000)) - covariance(summary.points, summary.weights)
        np.testing.assert_allclose(summary.within_covariance, truth, atol=0.02)


def test_cells_whose_rows_were_not_looked_at_count_as_well(rng):
    X = np.exp(1.5 * rng.normal(size=(200_000, 3)))
    summary = RobustCoreset(10_000, exact=True, random_state=0).fit(X).coreset_
    assert np.trace(summary.within_covariance) * 200_000 == pytest.approx(summary.offset, rel=1e-9)


@given(st.integers(0, 10_000), st.sampled_from([1e-120, 1.0, 1e120]), st.sampled_from([1, 2]))
def test_scatter_keeps_means_whatever_the_covariance(seed, unit, power):
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(2, 60)), int(rng.integers(1, 6))
    X = rng.normal(size=(n, d)) * rng.choice([0.0, 1.0, 1e-6], d) * unit
    X[rng.integers(0, n, n // 2)] = X[0]
    summary = RobustCoreset(max(1, n // 3), power=power, random_state=0).fit(X, sample_weight=rng.uniform(0, 1, n) ** 9)
    scattered = summary.coreset_.scatter(4, random_state=seed)
    means = scattered.points.reshape(4, -1, d).mean(axis=0)
    np.testing.assert_allclose(means, summary.coreset_.points, rtol=1e-9, atol=1e-9 * unit)
    wide = (
        (summary.coreset_.group_variances > 0).any(axis=0) if summary.coreset_.groups is not None else np.zeros(d, bool)
    )
    assert (scattered.points[:, ~wide] == np.tile(summary.coreset_.points[:, ~wide], (4, 1))).all()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.eye(2), r"within_covariance has shape \(2, 2\), expected \(3, 3\)"),
        (np.ones((3, 4)), r"within_covariance has shape \(3, 4\), expected \(3, 3\)"),
        (np.triu(np.ones((3, 3))), "within_covariance must be finite, symmetric"),
        (np.full((3, 3), np.nan), "within_covariance must be finite"),
        (-np.eye(3), "nowhere above what its diagonal allows"),
        ([[1, 5, 0], [5, 1, 0], [0, 0, 1]], "nowhere above what its diagonal allows"),
    ],
)
def test_bad_covariances_are_named(value, message):
    with pytest.raises(ValueError, match=message):
        Coreset(np.zeros((2, 3)), [1, 1], within_covariance=value)


def test_a_covariance_without_groups_is_the_shape_of_every_cell():
    pair = Coreset([[0.0, 0.0], [9.0, 9.0]], [1, 1], offset=10.0, within_covariance=[[4.0, 2.0], [2.0, 1.0]])
    np.testing.assert_allclose(pair._widths().variances, [[4.0, 1.0]] * 2)
    deviates = pair.scatter(40).points.reshape(40, 2, 2) - pair.points
    np.testing.assert_allclose(deviates[..., 0], 2 * deviates[..., 1], atol=1e-6)
    without = dataclasses.replace(pair, within_covariance=np.zeros((2, 2)))
    assert without._widths().covariance is None


def test_widths_of_zero_mass_are_not_fitted():
    zero = Coreset([[0.0], [1.0]], [0, 0], spread=[1.0, 1.0], within_covariance=[[1.0]])
    assert np.isfinite(zero.scatter(4).points).all()
    assert Coreset.merge(zero, zero).within_covariance.tolist() == [[0.0]]


def test_products_follow_slopes():
    # Cov(y, x1) = s1^2 b1 + r s1 s2 b2 = 4 * 1 + 0.5 * 2 * 3 * 10, with r = 0.5, and likewise for the other.
    widths = Widths(np.array([[4.0, 9.0]]), np.array([[4.0, 3.0], [3.0, 9.0]]), np.array([[1.0, 10.0]]))
    widths = dataclasses.replace(widths, correlation=np.array([[1.0, 0.5], [0.5, 1.0]]))
    np.testing.assert_allclose(widths.products(np.array([2.0])), [2 * 34.0, 2 * 93.0])
