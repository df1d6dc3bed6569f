from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.spatial.distance import cdist
from sklearn.datasets import load_wine

from imputation_eval import dissimilarity, nds
from imputation_eval.dissimilarity import _labels, _p_value, _statistic, default_n_neighbors, nds_score
from imputation_eval.neighborhoods import Reference, nearest_neighbors


def test_hand_worked_mixed_case():
    # R at 0, 1, 10 and C at 2, 11, 12 (nudged so that no distances tie), k = 2, N = 6.
    # p: 0 -> {1, 2}: 1/2; 1 -> {0, 2}: 1/2; 10 -> {11, 12}: 1; 2 -> {0, 1}: 0; 11 -> {10, 12}: 1/2;
    # 12 -> {10, 11}: 1/2.
    # pi is 3/5 for R and 2/5 for C, so pi (1 - pi) = 0.24; (p - pi)^2 is 0.01 four times and 0.16 twice.
    # T = (4 * 0.01 + 2 * 0.16) / 0.24 / 6 = 0.25;  T0 = (1/2) (3/4) = 0.375;  NDS = (0.25 - 0.375) / 0.625 = -0.2.
    result = nds([0.0, 1.1, 10.0], [2.3, 11.1, 12.3], n_neighbors=2)
    assert result.score == pytest.approx(-0.2)
    assert result.local.tolist() == [0.5, 0.5, 1.0, 0.0, 0.5, 0.5]
    assert (result.n_neighbors, result.n_reference, result.n_candidate) == (2, 3, 3)
    assert result.p_value is None


def test_hand_worked_separated_case():
    # p = 0 for R and 1 for C: every term is 0.36 / 0.24 = 1.5, and (1.5 - 0.375) / 0.625 = 1.8.
    assert nds([0.0, 1.0, 2.0], [50.0, 51.0, 52.0], n_neighbors=2, random_state=0).score == pytest.approx(1.8)


@pytest.mark.parametrize(("n", "m"), [(4, 4), (3, 5)])
def test_expectation_is_exactly_zero_over_all_labellings(rng, n, m):
    k, n_pooled = 3, n + m
    neighbors = nearest_neighbors(rng.normal(size=(n_pooled, 2)), k, rng)
    labels = np.array([[float(i in chosen) for i in range(n_pooled)] for chosen in combinations(range(n_pooled), m)]).T
    mean = _statistic(np.stack([column[neighbors].mean(axis=1) for column in labels.T], axis=1), labels).mean()
    assert mean == pytest.approx((n_pooled - 1 - k) / (k * (n_pooled - 2)))


def test_truth_scores_zero_within_its_standard_error(rng):
    # Var(T) <= 2 h / (k N), where h <= 2 bounds how uneven the in-degrees of the graph are (neighbourhoods that share
    # points are correlated); the score divides by 1 - T0 = 0.9. Mean of 150 scores, 4 standard errors.
    n, runs, k = 100, 150, 10
    scores = [nds_score(Reference(rng.normal(size=(n, 3))), rng.normal(size=(n, 3)), rng) for _ in range(runs)]
    assert abs(np.mean(scores)) < 4 * np.sqrt(4 / (k * 2 * n * runs)) / 0.9
    assert np.mean(np.array(scores) < 0) > 0.2  # negative values are not clipped


def test_separated_samples_score_one(rng):
    n = 300
    score = nds(rng.normal(size=(n, 4)), rng.normal(100, 1, size=(n, 4)), random_state=0).score
    assert score == pytest.approx(1, abs=2 / n)


def test_score_estimates_the_le_cam_divergence(rng):
    # 1-D Gaussians two apart: integral (p - q)^2 / (2 (p + q)), by quadrature.
    grid = np.linspace(-8, 10, 20_001)
    p, q = stats.norm.pdf(grid), stats.norm.pdf(grid, 2)
    le_cam = np.trapezoid((p - q) ** 2 / (2 * (p + q)), grid)
    scores = [nds_score(Reference(rng.normal(size=(1000, 1))), rng.normal(2, 1, size=(1000, 1)), rng) for _ in range(5)]
    assert np.mean(scores) == pytest.approx(le_cam, abs=0.03)


def test_score_grows_with_the_difference(rng):
    x = rng.normal(size=(400, 3))
    scores = [nds(x, rng.normal(shift, 1, size=(400, 3)), random_state=0).score for shift in (0, 0.5, 1, 2)]
    assert scores == sorted(scores)


def test_order_of_rows_does_not_matter(rng):
    x, y = rng.normal(size=(80, 3)), rng.normal(0.3, 1, size=(70, 3))
    a = nds(x, y, random_state=0)
    order = rng.permutation(80)
    b = nds(x[order], y[::-1], random_state=0)
    assert b.score == pytest.approx(a.score, abs=1e-12)
    assert b.local[:80] == pytest.approx(a.local[:80][order])


def test_swapping_equal_sized_samples_keeps_the_score(rng):
    x, y = rng.normal(size=(90, 2)), rng.normal(0.5, 2, size=(90, 2))
    assert nds(x, y, random_state=0).score == pytest.approx(nds(y, x, random_state=0).score)


def test_permutation_p_value_is_uniform_without_difference(rng):
    runs, n_permutations = 300, 19
    values = [
        nds(rng.normal(size=(20, 2)), rng.normal(size=(20, 2)), n_permutations=n_permutations, random_state=rng).p_value
        for _ in range(runs)
    ]
    counts = np.bincount(np.rint(np.array(values) * 20).astype(int), minlength=21)[1:]
    # The 20 possible values are equally likely.
    assert stats.chisquare(counts).pvalue > 1e-3
    assert min(values) >= 1 / 20


@pytest.mark.slow
@pytest.mark.parametrize("d", [2, 9])
def test_calibration_without_difference(d):
    rng = np.random.default_rng(d)
    results = [
        nds(rng.normal(size=(60, d)), rng.normal(size=(60, d)), n_permutations=99, random_state=rng)
        for _ in range(1000)
    ]
    assert abs(np.mean([result.score for result in results])) < 0.005
    # Values are multiples of 1/100; a uniform amount of that step makes them continuous.
    p_values = np.array([result.p_value for result in results]) - rng.uniform(0, 0.01, 1000)
    assert stats.kstest(p_values, "uniform").pvalue > 0.01


def test_power_against_imputed_means(gaussian_table, gaussian_oracle):
    # 20 % of the cells of other rows, filled with their conditional means or drawn around them.
    found = {False: 0, True: 0}
    for seed in range(20):
        rng = np.random.default_rng(seed)
        df, covariance = gaussian_table(1000, 5, 0.5, rng)
        holes = df.iloc[500:].mask(rng.random((500, 5)) < 0.2)
        for draw in found:
            filled = gaussian_oracle(covariance, draw=draw)(holes, seed).to_numpy()
            result = nds(df.iloc[:500].to_numpy(), filled, n_permutations=99, random_state=seed)
            found[draw] += result.p_value <= 0.05
    assert found[False] >= 19
    assert found[True] <= 4  # binomial(20, 0.05): 5 or more in 3 of a thousand


def test_permutations_that_change_nothing_count_as_reaching_the_score(rng):
    # One neighbourhood for all: every relabelling has the same T, whatever its rounding.
    x = rng.normal(size=(7, 2))
    assert nds(x[:4], x[4:], n_neighbors=2, n_permutations=50, random_state=0).p_value > 1 / 51
    neighbors = np.array([[j for j in range(7) if j != i] for i in range(7)])
    labels = _labels(4, 7)
    statistic = float(_statistic(labels[neighbors].mean(axis=1), labels))
    assert _p_value(statistic, neighbors, labels, 50, rng) == 1


def test_permutation_p_value_finds_a_difference(rng):
    x, y = rng.normal(size=(100, 2)), rng.normal(1, 1, size=(100, 2))
    result = nds(x, y, n_permutations=199, random_state=0)
    assert result.p_value == pytest.approx(1 / 200)
    assert result.n_permutations == 199
    assert nds(x, y).n_permutations == 0


@pytest.mark.parametrize("at_a_time", [1, 3, 50])
def test_how_many_relabellings_are_made_at_a_time_changes_nothing(rng, monkeypatch, at_a_time):
    x, y = rng.normal(size=(20, 2)), rng.normal(size=(20, 2))
    expected = nds(x, y, n_permutations=50, random_state=0).p_value
    monkeypatch.setattr(dissimilarity, "_PERMUTED_ENTRIES", 40 * at_a_time)
    assert nds(x, y, n_permutations=50, random_state=0).p_value == expected
    assert 0.1 < expected < 0.9  # about half of them reach the score


def test_labels_of_single_precision_lose_no_digits(rng):
    shares, labels = rng.random(71), _labels(30, 71)
    assert _statistic(shares, labels.astype(np.float32)) == _statistic(shares, labels)


@pytest.mark.parametrize(
    ("n", "k"), [(6, 5), (25, 5), (42, 6), (43, 7), (2450, 49), (2500, 50), (2601, 50), (10**6, 50)]
)
def test_default_is_the_rounded_root_of_the_smaller_sample_within_5_and_50(n, k):
    assert default_n_neighbors(n, 10**7) == default_n_neighbors(10**7, n) == k


def test_local_shares_show_where_samples_differ(rng):
    # The candidate lacks the right half and is twice as dense on the left.
    x, y = rng.uniform(-1, 1, size=(500, 1)), rng.uniform(-1, 0, size=(500, 1))
    result = nds(x, y, random_state=0)
    assert result.local[:500][x[:, 0] > 0.1].max() < 0.1
    assert result.local[:500][x[:, 0] < -0.1].mean() == pytest.approx(2 / 3, abs=0.05)


def test_comparing_a_table_with_itself_is_warned_of_and_scores_below_zero(rng):
    x = rng.normal(size=(200, 2))
    message = (
        r"^50% of the pooled rows repeat another row; neighbours among them are drawn at random\. "
        r"Reference and candidate should not contain the same rows\.$"
    )
    with pytest.warns(UserWarning, match=message):
        result = nds(x, x, random_state=0)
    assert result.score < -0.02


def _score_by_sorting(x, y, k):
    """Return the NDS from all distances, sorted."""
    distances = cdist(pooled := np.vstack([x, y]), pooled)
    np.fill_diagonal(distances, np.inf)
    labels = np.repeat([0.0, 1.0], [len(x), len(y)])
    share = labels[np.argsort(distances, axis=1)[:, :k]].mean(axis=1)
    expected = (labels.sum() - labels) / (len(pooled) - 1)
    statistic = ((share - expected) ** 2 / (expected * (1 - expected))).mean()
    floor = (len(pooled) - 1 - k) / (k * (len(pooled) - 2))
    return (statistic - floor) / (1 - floor)


@pytest.mark.parametrize("far", [3.0, 1e10, 1e15])
def test_one_diverged_cell_does_not_hide_a_difference(rng, far):
    x, y = rng.normal(size=(300, 3)), rng.normal(3, 1, size=(300, 3))
    y[0, 0] = far
    score = nds(x, y, random_state=0).score
    assert score > 0.9
    # The far row is as far from every other one, up to rounding, so its own neighbours are arbitrary.
    assert score == pytest.approx(_score_by_sorting(x, y, 17), abs=2 / 600)


def test_tables_are_encoded(mixed_table, rng):
    df = mixed_table(300, rng)
    first, second = df.iloc[:150], df.iloc[150:]
    assert abs(nds(first, second, random_state=0).score) < 0.05
    assert nds(first, second.assign(text="high"), random_state=0).score > 0.1


def test_real_classes_differ():
    data = load_wine(as_frame=True)
    groups = [data.data[data.target == label] for label in (0, 1)]
    result = nds(*groups, n_permutations=99, random_state=0)
    assert result.score > 0.5
    assert result.p_value == pytest.approx(0.01)


def test_seed_decides(rng):
    x, y = np.round(rng.normal(size=(40, 2))), np.round(rng.normal(size=(40, 2)))
    with pytest.warns(UserWarning, match="repeat another row"):
        a, b = (nds(x, y, n_permutations=50, random_state=5) for _ in range(2))
    assert (a.score, a.p_value) == (b.score, b.p_value)


@pytest.mark.parametrize(
    ("x", "y", "options", "error", "message"),
    [
        (np.eye(5), np.eye(5), {"n_neighbors": 5}, ValueError, "n_neighbors=5 should be smaller than both"),
        (np.eye(5), np.eye(5), {}, ValueError, r"n_neighbors=5 \(the default\) should be smaller .* has 5 rows"),
        (np.eye(9), np.full((9, 9), 1e200), {}, ValueError, "candidate contains values beyond 1e\\+150"),
        (np.eye(5), np.eye(5), {"n_neighbors": 1}, ValueError, "n_neighbors=1 should be >= 2"),
        (np.eye(5), np.eye(5), {"n_neighbors": 2.5}, TypeError, "n_neighbors should be an int"),
        (np.eye(9), np.eye(8), {}, ValueError, "reference has 9 columns but candidate has 8"),
        (np.full((9, 2), np.nan), np.ones((9, 2)), {}, ValueError, "reference contains NaN"),
        (np.ones((9, 2)), np.full((9, 2), np.inf), {}, ValueError, "candidate contains NaN or infinity"),
        (np.ones((0, 2)), np.ones((9, 2)), {}, ValueError, r"reference should have at least one row"),
        (np.ones((2, 2, 2)), np.ones((9, 2)), {}, ValueError, "1 or 2 dimensions"),
        (np.eye(9), pd.DataFrame(np.eye(9)), {}, TypeError, "both be DataFrames or both arrays"),
        (np.eye(9), np.eye(9), {"n_permutations": -1}, ValueError, "n_permutations=-1"),
    ],
)
def test_errors(x, y, options, error, message):
    with pytest.raises(error, match=message):
        nds(x, y, **options)
