"""The level at which a score crosses a share of the clean one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq
from scipy.stats import binom, norm
from sklearn.linear_model import LogisticRegression

from analog_eval import GaussianNoise, QuantizationNoise, noise_sweep
from analog_eval.evaluation.crossing import crossing, half_widths

# Large samples have Student's quantile of the normal.
Z = norm.ppf(0.975)


def table(means, se=0.0, levels=None, n_draws=10**9):
    index = pd.Index(np.arange(1.0, 1 + len(means)) if levels is None else levels, name="level")
    return pd.DataFrame({"mean": means, "draws_se": se, "n_draws": n_draws}, index=index)


def no_rows(n):
    return np.zeros((n + 1, n + 1))


class TestByHand:
    def test_between_two_levels(self):
        # Target 0.8: half-way between 0.9 at level 1 and 0.7 at level 2; a standard error of 0.1 / z moves it by half
        # a level either way, where the slope is -0.2 (below: from 1.0 at level 0 to 0.9 - 0.1).
        found = crossing(table([0.9, 0.7, 0.5], 0.1 / Z), 1.0, 0.0, no_rows(3), 0.8)
        assert found.level == pytest.approx(1.5)
        assert found.ci_low == pytest.approx(1.0)
        assert found.ci_high == pytest.approx(2.0)

    def test_before_the_first_level(self):
        assert crossing(table([0.5]), 1.0, 0.0, no_rows(1), 0.75).level == pytest.approx(0.5)

    def test_rows_that_both_scores_share_cancel(self):
        # The mean is always 0.8 times the clean score, whichever rows: only then is the rows' part of 0.8 nothing.
        shares = np.array([1.0, 0.8, 0.2])
        sure = crossing(table([0.8, 0.2]), 1.0, 0.0, 0.01 * np.outer(shares, shares), 0.8)
        assert sure == pytest.approx((1.0, 1.0, 1.0), abs=1e-6)
        unsure = crossing(table([0.8, 0.2]), 1.0, 0.0, 0.01 * np.eye(3), 0.8)
        assert unsure.ci_low < 0.5
        assert unsure.ci_high > 1.2

    def test_not_reached(self):
        assert crossing(table([0.95, 0.9], 0.01), 1.0, 0.0, no_rows(2), 0.5) == (np.inf, np.inf, np.inf)

    def test_growing_scores(self):
        found = crossing(table([1.5, 2.5], 0.25 / Z), 1.0, 0.0, no_rows(2), 2.0)
        assert found == pytest.approx((1.5, 1.25, 1.75))

    def test_decibels_go_the_other_way(self):
        found = crossing(table([0.4, 0.6, 0.9], levels=[0.0, 10.0, 20.0]), 1.0, np.inf, no_rows(3), 0.75, falling=True)
        assert found.level == pytest.approx(15.0)
        # Between no noise at all, infinitely far away, and 20 dB there is no straight line.
        between = crossing(table([0.4, 0.6], levels=[0.0, 10.0]), 1.0, np.inf, no_rows(2), 0.75, falling=True)
        assert np.isnan(between.level)
        beyond = crossing(table([0.8, 0.9], levels=[0.0, 10.0]), 1.0, np.inf, no_rows(2), 0.75, falling=True)
        assert beyond.level == -np.inf

    def test_the_first_crossing_counts(self):
        assert crossing(table([0.7, 0.9, 0.6]), 1.0, 0.0, no_rows(3), 0.8).level == pytest.approx(2 / 3)

    def test_what_is_not_finite(self):
        assert np.isnan(crossing(table([0.9, np.nan]), 1.0, 0.0, no_rows(2), 0.8).level)
        found = crossing(table([0.9, 0.7], np.nan), 1.0, 0.0, no_rows(2), 0.8)
        assert found.level == pytest.approx(1.5)
        assert np.isnan(found.ci_low)


class TestReport:
    def test_row_covariance_has_the_rows_errors_on_its_diagonal(self, mlp, digits):
        report = noise_sweep(mlp, digits[0][1000:], digits[1][1000:], n_draws=4, random_state=0)
        np.testing.assert_allclose(np.sqrt(report.rows_covariance.diagonal()[1:]), report.table["rows_se"])
        assert report.rows_covariance.shape == (7, 7)
        assert report.rows_covariance[0, 0] == pytest.approx(report.clean * (1 - report.clean) / (797 - 1))
        # Differences have that of two rows more each way, too.
        assert report.unseen == pytest.approx(2 / (797 + 4) ** 2)
        other = noise_sweep(mlp, *digits, n_draws=2, metric=lambda t, p: 1.0)
        assert np.isnan(other.rows_covariance).all()

    def test_agrees_with_the_closed_form(self, logistic, cancer):
        X, y = cancer[0][300:], cancer[1][300:]
        margin = logistic.decision_function(X) * np.where(y == 1, 1, -1)

        def accuracy(level):
            sigma = GaussianNoise("std").sigma(logistic.coef_, level)
            return norm.cdf(margin / (sigma * np.linalg.norm(X, axis=1))).mean()

        truth = brentq(lambda level: accuracy(level) - 0.9 * (margin > 0).mean(), 0.1, 5.0)
        levels = np.arange(0.1, 3.0, 0.1)
        found = noise_sweep(logistic, X, y, levels=levels, n_draws=400, random_state=0).level_at(0.9)
        assert found.ci_low < truth < found.ci_high
        assert found.level == pytest.approx(truth, rel=0.1)

    def test_what_has_no_ratio(self, linear, diabetes):
        report = noise_sweep(linear, *diabetes, metric="neg_mean_squared_error", n_draws=2)
        assert np.isnan(report.level_at(0.9)).all()
        doubled = noise_sweep(
            linear, *diabetes, metric="mse", n_draws=20, levels=np.arange(0.05, 2, 0.05), random_state=0
        )
        assert 0.0 < doubled.level_at(2.0).level < 2.0
        bits = noise_sweep(linear, *diabetes, noise=QuantizationNoise(), levels=(2, 3, 4, 8), n_draws=2)
        assert 2.0 <= bits.level_at(0.8).level <= 8.0

    @pytest.mark.parametrize("bits", [2, 3])
    def test_beside_a_fixed_part_no_level_is_clean(self, bits, logistic, cancer):
        # The score at level 0 is that of the rounded weights: the line to the first level begins there, not at 1.
        X, y = cancer[0][300:], cancer[1][300:]
        rounded = QuantizationNoise().at(bits)
        report = noise_sweep(logistic, X, y, noise=GaussianNoise() + rounded, levels=(0.0, 4.0), random_state=0)
        assert np.isnan(report.clean_level)
        first, last = report.table["normalized"]
        target = (first + last) / 2
        assert first != 1.0
        assert report.level_at(target).level == pytest.approx(2.0)
        # Where the fixed part alone is below the target, no level of the other one is where it crosses.
        assert np.isnan(report.level_at((1.0 + first) / 2).level)
        decibels = GaussianNoise("power_db") + rounded
        report = noise_sweep(logistic, X, y, noise=decibels, levels=(-20.0, 0.0, np.inf), random_state=0)
        assert report.level_at((report.table["normalized"].iloc[:2]).mean()).level == pytest.approx(-10.0)
        assert np.isnan(report.level_at((1.0 + first) / 2).level)

    @pytest.mark.parametrize("target", [0.0, -1.0, 1.0, np.nan, np.inf, "half"])
    def test_bad_targets(self, linear, diabetes, target):
        report = noise_sweep(linear, *diabetes, n_draws=2)
        with pytest.raises(ValueError, match="target="):
            report.level_at(target)


@pytest.mark.slow
def test_intervals_cover_and_are_no_wider_than_that_takes():
    rng, n_repeats, inside, deviates = np.random.default_rng(0), 600, 0, []
    weights = np.array([1.0, -0.5, 0.3, 2.0, 0.0])
    X, everything = rng.normal(size=(500, 5)), rng.normal(size=(50_000, 5))
    model = LogisticRegression().fit(X, X @ weights + 0.5 * rng.normal(size=500) > 0)
    margin = model.decision_function(everything) * np.sign(everything @ weights + 0.5 * rng.normal(size=50_000))
    spread = np.linalg.norm(everything, axis=1)

    def gap(level):
        sigma = GaussianNoise("std").sigma(model.coef_, level)
        return norm.cdf(margin / (sigma * spread)).mean() - 0.9 * (margin > 0).mean()

    truth = brentq(gap, 0.1, 3.0)
    levels = np.sort([*np.arange(0.1, 2.5, 0.2), truth])
    for seed in range(n_repeats):
        X = rng.normal(size=(100, 5))
        y = X @ weights + 0.5 * rng.normal(size=100) > 0
        report = noise_sweep(model, X, y, levels=levels, random_state=seed, progress=False)
        found = report.level_at(0.9)
        inside += found.ci_low <= truth <= found.ci_high
        half = half_widths(report.table, report.rows_covariance, 0.9, report.unseen * report.moved**2)
        deviates.append(((report.table["mean"] - 0.9 * report.clean) / half).loc[truth] * Z)
    # 95 % nominal; two points for straight lines between levels and the normal approximation at 100 rows.
    assert inside >= binom.ppf(1e-4, n_repeats, 0.93)
    # Deviations from the truth in standard errors: 1, less 8 % for the rows that may have been missed and 3 % for the
    # interaction that is counted twice, each way four standard errors of a standard deviation.  Two rows more each way
    # that are moved all the way would make it 0.75.
    tolerance = 4.0 / np.sqrt(2.0 * n_repeats)
    assert 0.89 - tolerance < np.std(deviates) < 1.0 + tolerance
