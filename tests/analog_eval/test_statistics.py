"""Intervals: hand-worked formulas, and how often they cover the truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, norm
from scipy.stats import t as student_t
from sklearn.linear_model import LinearRegression, LogisticRegression

from analog_eval import GaussianNoise, noise_sweep
from analog_eval.evaluation.statistics import interval


def test_two_errors_add_up():
    low, high = interval(10.0, [(3.0, 10), (4.0, 20)])
    degrees = 25.0**2 / (9.0**2 / 10 + 16.0**2 / 20)
    assert (high - low) / 2 == pytest.approx(5.0 * student_t.ppf(0.975, degrees))
    assert (high + low) / 2 == pytest.approx(10.0)


def test_one_error_is_students_interval():
    low, high = interval(0.0, [(1.0, 4)])
    assert (low, high) == pytest.approx((-2.7764451, 2.7764451))


def test_proportion_is_wilsons_interval():
    # 8 of 10 right, textbook standard error sqrt(p q / n): the effective number of rows is 10 again.
    low, high = interval(0.8, [(np.sqrt(0.16 / 10), 1e9)], n_effective=10)
    assert (low, high) == pytest.approx((0.49016, 0.94332), abs=1e-4)
    # All right: no spread at all, yet ten rows do not prove perfection.
    low, high = interval(1.0, [(0.0, 9)], n_effective=10)
    assert (low, high) == pytest.approx((0.72247, 1.0), abs=1e-4)


@given(mean=st.floats(0, 1), se=st.floats(0, 0.5), df=st.integers(1, 1000), n=st.floats(1, 1e6))
def test_proportions_stay_proportions(mean, se, df, n):
    low, high = interval(mean, [(se, df)], n_effective=n)
    assert 0.0 <= low <= mean <= high <= 1.0


def test_nan_in_nan_out():
    assert np.isnan(interval(0.5, [(np.nan, 0), (0.1, 5)])).all()
    assert np.isnan(interval(np.nan, [(0.1, 5)])).all()


def test_draws_that_agree_have_no_spread(logistic, cancer):
    # The mean of seven equal numbers is not always that number.
    scores = np.full(7, 146 / 150)
    assert scores.mean() != scores[0]
    report = noise_sweep(logistic, *cancer, metric=lambda t, p: scores[0], levels=(0.0, 0.1), n_draws=7)
    expected = {"mean": scores[0], "ci_low": scores[0], "ci_high": scores[0], "draw_sd": 0.0, "normalized": 1.0}
    assert report.table[list(expected)].eq(expected).all(axis=None)


def test_rows_se_by_hand():
    # Without noise the losses are the squared errors 1, 0, 4, 3 of a model that answers 0: mean 2, squared deviations
    # 1, 4, 4, 1 -> variance 10 / 3 -> standard error sqrt(10 / 12).
    model = LinearRegression().fit([[1.0], [2.0]], [0.0, 0.0])
    X, y = np.ones((4, 1)), np.sqrt([1.0, 0.0, 4.0, 3.0])
    metric = "neg_mean_squared_error"
    row = noise_sweep(model, X, y, metric=metric, levels=0.0, n_draws=2).table.iloc[0]
    assert row["mean"] == pytest.approx(-2.0)
    assert row["rows_se"] == pytest.approx(np.sqrt(10 / 12))
    assert row["draws_se"] == 0.0
    # Weights 2, 1, 1, 0: mean 6 / 4, influences -0.5, -1.5, 2.5 on three rows.
    row = noise_sweep(model, X, y, metric=metric, levels=0.0, n_draws=2, sample_weight=[2, 1, 1, 0]).table.iloc[0]
    assert row["rows_se"] == pytest.approx(np.sqrt(3 / 2 * (4 * 0.25 + 2.25 + 6.25) / 16))


def test_rows_se_of_r2_agrees_with_the_bootstrap(diabetes):
    X, y = diabetes
    Y = np.c_[y, X[:, 0] + 0.1 * y]
    rng = np.random.default_rng(0)
    # With one weak column R^2 is near 0: a row that is far out adds to the error and to the variance alike.
    for columns, target in ((X, y), (X, Y), (X[:, 4:5], y)):
        model = LinearRegression().fit(columns, target)
        row = noise_sweep(model, columns, target, levels=0.0, n_draws=2).table.iloc[0]
        picks = rng.integers(0, len(X), size=(400, len(X)))
        spread = np.std([model.score(columns[rows], target[rows]) for rows in picks])
        # The bootstrap's own relative error is 1 / sqrt(2 * 400) = 3.5 %, four of them.
        assert row["rows_se"] == pytest.approx(spread, rel=0.14)


def coverage(kind, n_repeats, n_rows=80, n_draws=12, level=0.6):
    """Share of intervals, and of intervals from the draws alone, that hold the score over all rows and devices."""
    rng = np.random.default_rng(0)
    weights = np.array([1.0, -0.5, 0.3, 2.0, 0.0])

    def sample(n):
        X = rng.normal(size=(n, 5))
        return X, X @ weights + 0.5 * rng.normal(size=n)

    X, signal = sample(500)
    X_all, signal_all = sample(100_000)
    if kind == "accuracy":
        model = LogisticRegression().fit(X, signal > 0)
        sigma = GaussianNoise("std").sigma(model.coef_, level)
        margin = model.decision_function(X_all) * np.where(signal_all > 0, 1, -1)
        truth = norm.cdf(margin / (sigma * np.linalg.norm(X_all, axis=1))).mean()
    else:
        model = LinearRegression().fit(X, signal)
        sigma = GaussianNoise("std").sigma(model.coef_, level)
        error = ((model.predict(X_all) - signal_all) ** 2).mean() + sigma**2 * 5
        truth = 1 - error / signal_all.var()
    inside = np.zeros(2)
    for seed in range(n_repeats):
        X, signal = sample(n_rows)
        y = signal > 0 if kind == "accuracy" else signal
        row = noise_sweep(model, X, y, metric=kind, levels=level, n_draws=n_draws, random_state=seed).table.iloc[0]
        half = student_t.ppf(0.975, row["n_draws"] - 1) * row["draws_se"]
        inside += row["ci_low"] <= truth <= row["ci_high"], abs(row["mean"] - truth) <= half
    return inside


@pytest.mark.parametrize("n_draws", [12, "auto"])
@pytest.mark.parametrize("kind", ["accuracy", "r2"])
def test_intervals_cover(kind, n_draws):
    # 95 % nominal; two points are allowed for the normal approximation at 80 rows.
    n = 250
    both, draws_only = coverage(kind, n, n_draws=n_draws)
    assert both >= binom.ppf(1e-4, n, 0.93)
    # Leaving the rows out would be seen.
    assert draws_only < binom.ppf(1e-4, n, 0.93)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["accuracy", "r2"])
def test_intervals_cover_and_are_not_too_wide(kind):
    n = 3000
    both, _ = coverage(kind, n)
    assert binom.ppf(1e-4, n, 0.93) <= both <= binom.ppf(1 - 1e-4, n, 0.98)
