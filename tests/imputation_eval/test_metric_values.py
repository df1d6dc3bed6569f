"""Values of the metrics: by hand, in closed form, and as other libraries give them."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import cdist
from sklearn.linear_model import LogisticRegression

from imputation_eval import (
    accuracy,
    classifier_auc,
    correlation_difference,
    energy_distance,
    knn_kl,
    mae,
    marginal_ks,
    marginal_total_variation,
    marginal_wasserstein,
    mmd,
    rmse,
    sinkhorn_divergence,
    sliced_energy,
    sliced_wasserstein,
    wasserstein,
)
from imputation_eval.metrics import divergence, marginal_distance, slices

samples = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=15)


@given(samples, samples)
def test_energy_agrees_with_scipy_in_one_dimension(x, y):
    n, m = len(x), len(y)
    ours = energy_distance(x, y, scaled=True) * (n + m) / (n * m)
    assert ours == pytest.approx(stats.energy_distance(x, y) ** 2, abs=1e-4)


def test_unbiased_energy_by_definition(rng):
    x, y = rng.normal(size=(7, 3)), rng.normal(1, 2, size=(9, 3))
    within = [cdist(s, s)[~np.eye(len(s), dtype=bool)].mean() for s in (x, y)]
    assert energy_distance(x, y) == pytest.approx(2 * cdist(x, y).mean() - sum(within))


def test_energy_is_zero_on_average_without_difference(rng):
    scores = [energy_distance(rng.normal(size=(30, 2)), rng.normal(size=(30, 2))) for _ in range(300)]
    assert abs(np.mean(scores)) < 4 * np.std(scores) / np.sqrt(300)
    assert min(scores) < 0


@pytest.mark.parametrize("far", [1e10, 1e12])
def test_energy_with_one_diverged_cell(rng, far):
    x, y = rng.normal(size=(100, 3)), rng.normal(3, 1, size=(100, 3))
    y[0, 0] = far
    within = [cdist(s, s)[~np.eye(len(s), dtype=bool)].mean() for s in (x, y)]
    # The far row cancels out of the difference; what is left of its rounding is its distance times some 1e-15.
    assert energy_distance(x, y) == pytest.approx(2 * cdist(x, y).mean() - sum(within), abs=1e-14 * far)


def test_energy_of_shifted_points():
    # Two point masses d apart: 2 d - 0 - 0.
    assert energy_distance(np.zeros((5, 2)), np.full((5, 2), 3.0)) == pytest.approx(2 * np.sqrt(18))


def test_exact_transport_agrees_with_sorting_in_one_dimension(rng):
    x, y = rng.normal(size=50), rng.exponential(size=50)
    assert wasserstein(x, y) == pytest.approx(np.sqrt(np.mean((np.sort(x) - np.sort(y)) ** 2)))


def test_exact_transport_agrees_with_pot(rng):
    import ot

    x, y = rng.normal(size=(40, 3)), rng.normal(1, 1, size=(30, 3))
    assert wasserstein(x, y) ** 2 == pytest.approx(ot.emd2([], [], ot.dist(x, y)))


def test_transport_refuses_large_samples():
    with pytest.raises(ValueError, match="at most 2000 rows a side, got x with 2001 and y with 5"):
        wasserstein(np.zeros(2001), np.zeros(5))


def test_rmse_of_paired_rows():
    assert rmse([[0.0, 0.0], [1.0, 1.0]], [[3.0, 4.0], [1.0, 1.0]]) == pytest.approx(np.sqrt(12.5))
    with pytest.raises(ValueError, match="as many rows, got 2 and 3"):
        rmse([1.0, 2.0], [1.0, 2.0, 3.0])


def test_rmse_of_tables_is_in_the_scaled_space():
    # IQR 1.5 over 1.349 is the scale; both cells err by 3 of it, a wrong level by a distance of 1.
    truth = pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0], "k": ["u", "u", "v", "v"]})
    wrong = truth.assign(a=truth["a"] + 3 * 1.5 / 1.349, k=["v", "v", "u", "u"])
    assert rmse(truth, wrong) == pytest.approx(np.sqrt(10))


def test_marginal_distance_by_hand():
    # Sorted: 0 to 1, 1 to 1, 5 to 7.
    assert marginal_distance(np.array([[5.0], [0], [1]]), np.array([[1.0], [1], [7]])) == pytest.approx(1)
    # One of four cells has to change its level.
    levels = np.eye(2) / np.sqrt(2)
    assert marginal_distance(levels[[0, 0, 1, 1]], levels[[1, 0, 1, 1]]) == pytest.approx(0.25)


def test_energy_needs_two_rows():
    with pytest.raises(ValueError, match="at least 2 rows a side, got x with 1"):
        energy_distance([1.0], [1.0, 2.0])


@given(samples, samples)
def test_marginal_distances_agree_with_scipy(x, y):
    assert marginal_wasserstein(x, y) == pytest.approx(stats.wasserstein_distance(x, y), abs=1e-9)
    assert marginal_ks(x, y) == pytest.approx(stats.ks_2samp(x, y, method="asymp").statistic)


@given(samples, samples)
def test_one_column_is_its_only_projection(x, y):
    assert sliced_energy(x, y) == pytest.approx(energy_distance(x, y), abs=1e-6)
    if len(x) == len(y):
        expected = np.sqrt(np.mean((np.sort(x) - np.sort(y)) ** 2))
        assert sliced_wasserstein(x, y) == pytest.approx(expected, abs=1e-9)


def test_sliced_energy_is_unbiased_for_the_energy_distance(rng):
    x, y = rng.normal(size=(60, 4)), rng.normal(0.7, 1.5, size=(50, 4))
    values = [sliced_energy(x, y, n_projections=20, random_state=seed) for seed in range(200)]
    error = np.std(values) / np.sqrt(200)
    assert np.mean(values) == pytest.approx(energy_distance(x, y), abs=4 * error)
    assert error < 0.02 * energy_distance(x, y)


def test_sliced_transport_agrees_with_pot(rng, monkeypatch):
    import ot

    x, y = rng.normal(size=(41, 3)), rng.normal(1, 2, size=(30, 3))
    directions = np.random.default_rng(5).normal(size=(25, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    expected = ot.sliced_wasserstein_distance(x, y, projections=directions.T)
    assert sliced_wasserstein(x, y, n_projections=25, random_state=np.random.default_rng(5)) == pytest.approx(expected)
    monkeypatch.setattr(slices, "_BLOCK_ENTRIES", 41 * 4)  # blocks of four directions
    assert sliced_wasserstein(x, y, n_projections=25, random_state=np.random.default_rng(5)) == pytest.approx(expected)


def _mmd_by_loops(x, y, h):
    def kernel(u, v):
        return math.exp(-(math.dist(u, v) ** 2) / (2 * h**2))

    n, m = len(x), len(y)
    within_x = sum(kernel(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within_y = sum(kernel(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return within_x + within_y - 2 * sum(kernel(u, v) for u in x for v in y) / (n * m)


def test_mmd_by_a_double_loop(rng):
    x, y = rng.normal(size=(23, 3)), rng.normal(0.5, 2, size=(17, 3))
    assert mmd(x, y, bandwidth=1.3) == pytest.approx(_mmd_by_loops(x, y, 1.3))
    median = np.median(cdist(x, x)[np.triu_indices(23, 1)])
    assert mmd(x, y) == pytest.approx(_mmd_by_loops(x, y, median))


def test_mmd_of_gaussians_in_closed_form():
    # E k(X, X') = h / sqrt(h^2 + 2), and exp(-shift^2 / (2 (h^2 + 2))) times that between the two.
    h, shift = 1.0, 1.0
    expected = 2 * h / np.sqrt(h**2 + 2) * (1 - np.exp(-(shift**2) / (2 * (h**2 + 2))))
    rng = np.random.default_rng(0)
    values = [mmd(rng.normal(size=300), rng.normal(shift, 1, 300), bandwidth=h) for _ in range(40)]
    assert np.mean(values) == pytest.approx(expected, abs=4 * np.std(values) / np.sqrt(40))


def test_fourier_features_are_unbiased_for_the_mmd(rng):
    x, y = rng.normal(size=(50, 3)), rng.normal(0.6, 1, size=(40, 3))
    values = [mmd(x, y, bandwidth=1.5, n_features=50, random_state=seed) for seed in range(200)]
    error = np.std(values) / np.sqrt(200)
    assert np.mean(values) == pytest.approx(mmd(x, y, bandwidth=1.5), abs=4 * error)


@pytest.mark.parametrize("function", [sliced_energy, mmd, lambda x, y: mmd(x, y, n_features=64)])
def test_unbiased_metrics_are_zero_on_average_without_difference(function, rng):
    scores = [function(rng.normal(size=(30, 2)), rng.normal(size=(25, 2))) for _ in range(300)]
    assert abs(np.mean(scores)) < 4 * np.std(scores) / np.sqrt(300)
    assert min(scores) < 0


@pytest.mark.parametrize("epsilon", [0.3, 1.0, 10.0])
def test_sinkhorn_divergence_of_gaussians_in_closed_form(epsilon):
    # Janati et al., "Entropic optimal transport between unbalanced Gaussian measures has a closed form" (2020),
    # theorem 1, with epsilon = 2 sigma^2; quantiles stand for samples.
    quantiles = stats.norm.ppf((np.arange(300) + 0.5) / 300)
    x, y = 1.0 * quantiles, 1.0 + 2.0 * quantiles
    half = epsilon / 2

    def cost(a, b):
        d = np.sqrt(4 * a * b + half**2)
        return a + b - d + half * np.log(d + half)

    a, b = x.var(), y.var()
    expected = 1 + cost(a, b) - (cost(a, a) + cost(b, b)) / 2
    assert sinkhorn_divergence(x, y, regularization=epsilon) == pytest.approx(expected, rel=0.01)


def test_sinkhorn_divergence_between_its_limits(rng):
    x, y = rng.normal(size=(40, 2)), rng.normal(1, 2, size=(30, 2))
    assert sinkhorn_divergence(x, x) == pytest.approx(0, abs=1e-6)
    means = ((x.mean(axis=0) - y.mean(axis=0)) ** 2).sum()
    assert sinkhorn_divergence(x, y, regularization=1e5) == pytest.approx(means, rel=1e-3)
    assert sinkhorn_divergence(x, y, regularization=0.1) == pytest.approx(wasserstein(x, y) ** 2, rel=0.05)


def test_sinkhorn_divergence_of_one_far_row_goes_by_logarithms(rng):
    x, y = rng.normal(size=(30, 2)), rng.normal(size=(30, 2))
    y[0] += 200.0
    # The far row has to be reached from one row at least: a thirtieth of the mass moves that far.
    value = sinkhorn_divergence(x, y, regularization=0.5)
    assert value == pytest.approx(wasserstein(x, y) ** 2, rel=0.01)


def test_kl_by_hand():
    # To the nearest other of x: 1, 1, 2; of y: 1/2, 1/2, 1. Each ratio is a half, and log(m / (n - 1)) = 0.
    assert knn_kl([0.0, 1, 3], [0.5, 4], n_neighbors=1) == pytest.approx(np.log(0.5))


def test_kl_of_duplicates_by_hand():
    # Rows 0, 0, 2 against 1, 3: a duplicate's next row is at 2 with l = 2 rows within, from 2 both others are at 2.
    # The nearest of y is at 1 each time, for the last row both are. psi(2) - psi(1) = 1.
    terms = [np.log(0.5) + 1, np.log(0.5) + 1, np.log(0.5)]
    assert knn_kl([0.0, 0, 2], [1.0, 3], n_neighbors=1) == pytest.approx(np.mean(terms))
    assert np.isfinite(knn_kl(np.zeros(9), np.zeros(9)))


def test_kl_of_gaussians_in_closed_form(rng):
    # KL(N(0, 1) || N(m, s^2)) = log s + (1 + m^2) / (2 s^2) - 1/2; of product laws the sum.
    for d, m, s in ((1, 1.0, 1.0), (2, 0.0, 1.0), (2, 0.5, 1.0), (2, 0.0, 2.0)):
        expected = d * (np.log(s) + (1 + m**2) / (2 * s**2) - 0.5)
        values = [knn_kl(rng.normal(size=(1500, d)), rng.normal(m, s, size=(1500, d))) for _ in range(5)]
        assert np.mean(values) == pytest.approx(expected, abs=0.1)


def test_symmetric_kl_adds_both_directions(rng):
    x, y = rng.normal(size=(60, 7)), rng.normal(0.5, 1, size=(50, 7))
    assert knn_kl(x, y, symmetric=True) == pytest.approx(knn_kl(x, y) + knn_kl(y, x))


@pytest.mark.parametrize("kind", ["smooth", "rounded", "few values"])
def test_kl_by_tree_is_that_by_all_distances(rng, kind):
    x, y = rng.normal(size=(300, 2)), rng.normal(0.3, 1, size=(250, 2))
    digits = {"smooth": 9, "rounded": 1, "few values": 0}[kind]
    x, y = np.round(x, digits), np.round(y, digits)
    by_tree, by_blocks = divergence._reach_by_tree(x, y, 3), divergence._reach_by_blocks(x, y, 3)
    for (tree, tree_counts), (block, block_counts) in zip(by_tree, by_blocks, strict=True):
        np.testing.assert_allclose(tree, block, rtol=1e-9)
        assert np.array_equal(tree_counts, block_counts)


def test_auc_of_gaussians_in_closed_form(rng):
    # A linear classifier ranks by the shift; the area is Phi(shift / sqrt(2)).
    x, y = rng.normal(size=(2000, 2)), rng.normal([1, 0], 1, size=(2000, 2))
    area = stats.norm.cdf(1 / np.sqrt(2))
    # Hanley and McNeil: the standard error of an area is below sqrt(area (1 - area) / min(n, m)).
    bound = 4 * np.sqrt(area * (1 - area) / 2000)
    assert classifier_auc(x, y, classifier=LogisticRegression()) == pytest.approx(area, abs=bound)
    assert classifier_auc(x, y, n_folds=5, random_state=0) == pytest.approx(area, abs=bound + 0.03)


def test_auc_is_a_half_on_average_without_difference(rng):
    # Even for a classifier that learns its rows by heart.
    from sklearn.tree import DecisionTreeClassifier

    tree = DecisionTreeClassifier(random_state=0)
    values = [
        classifier_auc(rng.normal(size=(30, 2)), rng.normal(size=(30, 2)), classifier=tree, random_state=rng)
        for _ in range(150)
    ]
    assert np.mean(values) == pytest.approx(0.5, abs=4 * np.std(values) / np.sqrt(150))


def test_total_variation_by_hand():
    # Three values: shares 1/2, 1/2, 0 against 1/4, 1/2, 1/4.
    assert marginal_total_variation([0.0, 0, 1, 1], [0.0, 1, 1, 2]) == pytest.approx(0.25)
    # Many values: bins at the 20-quantiles of x; the upper half of y is missing.
    x = np.arange(1000.0)
    assert marginal_total_variation(x, x[:500] + 0.5) == pytest.approx(0.5, abs=1 / 400)
    assert marginal_total_variation(x, x + 0.5) < 0.01
    two = np.column_stack([x, x]), np.column_stack([x, x - 5000])
    assert marginal_total_variation(*two) == pytest.approx((0 + 0.95) / 2)  # all of the second is in the first bin


def test_marginal_distances_are_blind_to_relations(rng):
    x = rng.multivariate_normal([0, 0], [[1, 0.9], [0.9, 1]], size=200)
    shuffled = np.column_stack([rng.permutation(column) for column in x.T])
    for distance in (marginal_wasserstein, marginal_ks, marginal_total_variation):
        assert distance(x, shuffled) == pytest.approx(0, abs=1e-12)
    assert correlation_difference(x, shuffled) > 0.7


def test_correlation_difference_by_numpy(rng):
    x, y = rng.normal(size=(50, 3)) @ rng.normal(size=(3, 3)), 1e6 + rng.normal(size=(40, 3))
    difference = (np.corrcoef(x.T) - np.corrcoef(y.T))[np.triu_indices(3, 1)]
    assert correlation_difference(x, y) == pytest.approx(np.sqrt((difference**2).mean()), rel=1e-6)
    y[:, 0] = 0.1  # constant: counts as uncorrelated, whatever rounding leaves of it
    kept = np.corrcoef(x.T)[np.triu_indices(3, 1)] - [0, 0, np.corrcoef(y[:, 1:].T)[0, 1]]
    assert correlation_difference(x, y) == pytest.approx(np.sqrt((kept**2).mean()), rel=1e-6)


def test_errors_of_cells_by_hand():
    assert mae([[0.0, 0.0], [1.0, 1.0]], [[3.0, 4.0], [1.0, 1.0]]) == pytest.approx(2.5)
    assert accuracy([[0.0, 0.0], [1.0, 1.0]], [[0.0, 1.0], [1.0, 1.0 + 1e-9]]) == 0.5
    for function in (mae, accuracy):
        with pytest.raises(ValueError, match="as many rows, got 2 and 3"):
            function([1.0, 2.0], [1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: mmd(x, x, bandwidth=0), ValueError, "bandwidth=0 should be positive"),
        (lambda x: mmd(x, x, bandwidth="a"), TypeError, "bandwidth should be None or a number"),
        (lambda x: mmd(x, x, n_features=0), ValueError, "n_features=0"),
        (lambda x: mmd(x[:1], x), ValueError, "mmd needs at least 2 rows a side, got x with 1"),
        (lambda x: sliced_energy(x, x[:1]), ValueError, "sliced_energy needs at least 2 rows .* y with 1"),
        (lambda x: sliced_energy(x, x, n_projections=0), ValueError, "n_projections=0"),
        (lambda x: sliced_wasserstein(x, x, n_projections=1.5), TypeError, "n_projections should be an int"),
        (lambda x: sinkhorn_divergence(x, x, regularization=-1.0), ValueError, "regularization=-1.0"),
        (lambda x: sinkhorn_divergence(x, x, regularization="a"), TypeError, "regularization should be"),
        (lambda x: sinkhorn_divergence(np.ones(5001), x[:, 0]), ValueError, "at most 5000 .* sliced_wasserstein"),
        (lambda x: knn_kl(x, x, n_neighbors=20), ValueError, "n_neighbors=20 should be smaller than both"),
        (lambda x: knn_kl(x[:8], x[:5], symmetric=True), ValueError, "n_neighbors=5 should be smaller"),
        (lambda x: classifier_auc(x, x, n_folds=1), ValueError, "n_folds=1"),
        (lambda x: classifier_auc(x, x[:3], n_folds=4), ValueError, "at least 4 rows a side"),
        (lambda x: classifier_auc(x, x, classifier=np.mean), TypeError, "classifier should have fit"),
        (lambda x: correlation_difference(x[:, 0], x[:, 0]), ValueError, "at least 2 columns"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call(np.random.default_rng(0).normal(size=(20, 2)))
