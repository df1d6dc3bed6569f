from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from imputation_eval.ranking.statistics import bootstrap_ranks, compare_pairs, corrected_interval, holm, rank_among


def test_interval_by_hand():
    # s^2 = 1, J = 3, ratio 1/4: standard error sqrt(1/3 + 1/4), t quantile of 2 degrees of freedom 4.302653.
    mean, low, high = corrected_interval(np.array([1.0, 2.0, 3.0]), 0.25)
    assert mean == 2
    assert high - mean == pytest.approx(4.302653 * np.sqrt(7 / 12), rel=1e-6)
    assert mean - low == pytest.approx(high - mean)


def test_without_overlap_the_test_is_the_ordinary_t(rng):
    values = rng.normal(size=(12, 2))
    row = compare_pairs(values, ["a", "b"], 0.0).iloc[0]
    assert row["p_value"] == pytest.approx(stats.ttest_rel(values[:, 0], values[:, 1]).pvalue)


@pytest.mark.parametrize("n_repeats", [20, 100])
def test_intervals_cover_when_repeats_share_their_data(n_repeats, rng):
    # Repeats with correlation rho have n_test/n_train = rho / (1 - rho); 4000 tables. More repeats do not make
    # everything significant.
    rho, runs = 0.2, 4000
    values = np.sqrt(rho) * rng.normal(size=(runs, 1)) + np.sqrt(1 - rho) * rng.normal(size=(runs, n_repeats))
    covered = sum(low <= 0 <= high for _, low, high in (corrected_interval(v, rho / (1 - rho)) for v in values))
    naive = sum(low <= 0 <= high for _, low, high in (corrected_interval(v, 0.0) for v in values))
    low, high = stats.binom.ppf([0.0005, 0.9995], runs, 0.95)
    assert low <= covered <= high
    assert naive < 0.7 * runs


def test_holm_by_hand():
    # Sorted: .01 * 4, .02 * 3, .03 * 2, .5; the third may not be below the second.
    assert holm(np.array([0.5, 0.01, 0.03, 0.02])).tolist() == pytest.approx([0.5, 0.04, 0.06, 0.06])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=10))
def test_holm_never_lowers_a_p_value_nor_changes_the_order(p_values):
    p = np.array(p_values)
    adjusted = holm(p)
    assert (adjusted >= p).all()
    assert (adjusted <= 1).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()


def test_pairs_name_the_better_one(rng):
    values = np.column_stack([rng.normal(3, 0.1, 10), rng.normal(1, 0.1, 10), rng.normal(2, 0.1, 10)])
    pairs = compare_pairs(values, ["c", "a", "b"], 0.25)
    assert set(zip(pairs["better"], pairs["worse"], strict=True)) == {("a", "c"), ("b", "c"), ("a", "b")}
    assert (pairs["difference"] > 0).all()
    assert (pairs["p_holm"] < 1e-3).all()


def test_only_the_chosen_pairs_are_compared_and_corrected_for(rng):
    values = np.column_stack([rng.normal(j, 1, 10) for j in range(4)])
    chosen = compare_pairs(values, list("abcd"), 0.25, pairs=[(0, 3), (0, 2)])
    everything = compare_pairs(values, list("abcd"), 0.25).set_index(["better", "worse"])
    assert list(zip(chosen["better"], chosen["worse"], strict=True)) == [("a", "d"), ("a", "c")]
    p_values = [everything.loc[("a", other), "p_value"] for other in "dc"]
    assert chosen["p_value"].tolist() == p_values
    assert chosen["p_holm"].min() == pytest.approx(2 * min(p_values))


def test_equal_columns_are_tied_and_constant_gaps_are_one_observation():
    values = np.column_stack([np.arange(5.0), np.arange(5.0), np.arange(5.0) + 1])
    pairs = compare_pairs(values, ["a", "b", "c"], 0.25)
    assert pairs["difference"].tolist() == [0, 1, 1]
    assert pairs["p_value"].tolist() == [1, 1, 1]
    assert pairs[["ci_low", "ci_high"]].isna().all(axis=None)
    # The same up to rounding, and with a spread that is small but there.
    rounded = np.column_stack([np.zeros(5), 0.1 + 1e-17 * np.arange(5)])
    assert compare_pairs(rounded, ["a", "b"], 0.25)["p_value"].item() == 1
    # Differences of large scores are rounded by as much as the scores are.
    large = 1000 * np.random.default_rng(0).random(10)
    pairs = compare_pairs(np.column_stack([large, large + 1e-3]), ["a", "b"], 0.25)
    assert pairs["p_value"].item() == 1
    assert np.isnan(pairs["ci_low"].item())
    varying = np.column_stack([np.zeros(5), 0.1 + 1e-6 * np.arange(5)])
    assert compare_pairs(varying, ["a", "b"], 0.25)["p_value"].item() < 1e-6


def test_several_metrics_have_to_agree(rng):
    first = np.column_stack([np.zeros(10), rng.normal(1, 0.3, 10), rng.normal(1, 1, 10)])
    second = np.column_stack([np.zeros(10), rng.normal(2, 2, 10), rng.normal(-1, 0.1, 10)])
    p_values = [
        [stats.ttest_1samp(metric[:, j], 0).pvalue if metric[:, j].mean() > 0 else 1 for metric in (first, second)]
        for j in (1, 2)
    ]
    places = np.tile([1.0, 2.0, 3.0], (10, 1))
    pairs = compare_pairs(places, list("abc"), 0.0, by_metric=[first, second], pairs=[(0, 1), (2, 0)])
    assert pairs["better"].tolist() == ["a", "a"]
    assert pairs["p_value"].tolist() == pytest.approx([max(p_values[0]), 1])
    assert p_values[0][0] < p_values[0][1] < 1


@pytest.mark.parametrize("n_metrics", [2, 3])
@pytest.mark.parametrize("n_repeats", [3, 10, 100])
def test_several_metrics_rarely_call_one_of_two_equals_worse(n_metrics, n_repeats, rng):
    # Scores of the metrics share nine tenths of their variance, and repeats a quarter of theirs. Three repeats often
    # put one imputer first by each metric: then mean ranks do not vary.
    runs, rho, alike = 250, 0.25, 0.9

    def noise(*shape):
        common = np.sqrt(alike) * rng.normal(size=(*shape[:-1], 1))
        return common + np.sqrt(1 - alike) * rng.normal(size=shape)

    scores = np.sqrt(rho) * noise(runs, 1, 2, n_metrics) + np.sqrt(1 - rho) * noise(runs, n_repeats, 2, n_metrics)
    n_worse = 0
    for values in scores:
        by_metric = [values[..., m] for m in range(n_metrics)]
        places = np.mean([rank_among(v, np.array([True, True])) for v in by_metric], axis=0)
        pairs = compare_pairs(places, ["a", "b"], rho / (1 - rho), by_metric=by_metric)
        n_worse += int((pairs["p_holm"] < 0.05).any())
    assert n_worse <= stats.binom.ppf(0.9995, runs, 0.05)


def test_bootstrap_of_several_metrics_is_that_of_one_if_they_agree_and_split_if_they_do_not(rng):
    values = rng.normal([0, 0.5, 5], size=(8, 3))
    once, twice = (bootstrap_ranks([values] * n, 0.25, np.random.default_rng(0)) for n in (1, 2))
    for one, two in zip(once, twice, strict=True):
        assert one.tolist() == two.tolist()
    clear = rng.normal([0, 10], size=(8, 2))
    chances, low, high = bootstrap_ranks([clear, -clear], 0.25, rng)
    assert chances.tolist() == [[0.5, 0.5], [0.5, 0.5]]
    assert low.tolist() == [1, 1]
    assert high.tolist() == [2, 2]


def test_bootstrap_of_clear_and_of_equal_imputers(rng):
    clear = np.column_stack([rng.normal(j * 10, 1, 15) for j in range(3)])
    chances, low, high = bootstrap_ranks([clear], 0.25, rng)
    assert chances.tolist() == np.eye(3).tolist()
    assert low.tolist() == high.tolist() == [1, 2, 3]
    equal = np.tile(rng.normal(size=(15, 1)), 4)
    chances, low, high = bootstrap_ranks([equal], 0.25, rng)
    assert chances == pytest.approx(np.full((4, 4), 0.25))
    assert (low == 1).all()
    assert (high == 4).all()


@pytest.mark.parametrize("n_repeats", [5, 20])
def test_chance_of_the_worse_one_is_the_p_value_of_the_corrected_t(n_repeats, rng):
    values = rng.normal(size=(n_repeats, 2))
    difference = values[:, 1] - values[:, 0]
    for gap in (0.5, 1.0, 2.0):
        error = np.sqrt(difference.var(ddof=1) * (1 / n_repeats + 0.25))
        shifted = np.column_stack([values[:, 0], values[:, 1] - difference.mean() + gap * error])
        chances, _, _ = bootstrap_ranks([shifted], 0.25, rng)
        # 2000 resamples: standard error 0.01; means of five values are not quite Gaussian.
        assert chances[1, 0] == pytest.approx(stats.t.sf(gap, n_repeats - 1), abs=0.04)


def test_chances_of_ranks_are_doubly_stochastic(rng):
    values = rng.normal([0, 0.3, 0.6, 0.6], size=(10, 4))
    values = np.column_stack([values, values[:, 0]])  # the last is a copy of the first
    chances, _, _ = bootstrap_ranks([values], 0.25, rng)
    assert chances.sum(axis=0) == pytest.approx(np.ones(5))
    assert chances.sum(axis=1) == pytest.approx(np.ones(5))
    assert chances[0].tolist() == chances[4].tolist()


def test_ranks_of_contenders_and_of_others():
    values = np.array([[3.0, 1.0, 2.0, 0.5], [1.0, 1.0, 2.0, 1.5], [1.0, 2.0, 3.0, np.nan]])
    ranks = rank_among(values, np.array([True, True, True, False]))
    assert ranks[0].tolist() == [3, 1, 2, 0.5]
    assert ranks[1].tolist() == [1.5, 1.5, 3, 2.5]
    assert ranks[2][:3].tolist() == [1, 2, 3]
    assert np.isnan(ranks[2][3])
