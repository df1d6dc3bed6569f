"""How many draws ``"auto"`` takes, and that stopping does not spoil the intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from scipy.stats import t as student_t
from sklearn.metrics import accuracy_score

from analog_eval import noise_sweep
from analog_eval.evaluation.draws import DrawPlan, plan_draws
from analog_eval.evaluation.statistics import Estimate


def estimate(scores, n_first=None, rows=None, rows_df=50.0):
    scores = np.asarray(scores, dtype=float)
    return Estimate(scores, rows, rows_df, len(scores) if n_first is None else n_first)


class TestStopping:
    def test_a_half_width_is_reached(self, mlp, digits):
        X, y = digits[0][1000:], digits[1][1000:]
        report = noise_sweep(mlp, X, y, n_draws="auto", half_width=0.012, levels=(0.1, 0.4), random_state=0)
        n = report.table["n_draws"].iloc[0]
        half = student_t.ppf(0.975, n - 1) * report.table["draws_se"]
        assert (half <= 0.012).all()
        assert n > 25
        assert "auto" in repr(report)
        # Not many more than needed either: looks are at most a doubling apart.
        assert half.max() > 0.012 / 2

    def test_by_default_draws_add_a_twentieth_to_what_the_rows_leave_open(self, mlp, digits):
        X, y = digits[0][1000:], digits[1][1000:]
        table = noise_sweep(mlp, X, y, n_draws="auto", levels=(0.2, 0.4), random_state=0).table
        assert (table["draws_se"] < 0.35 * table["rows_se"]).all()

    def test_first_draws_are_those_of_a_fixed_number(self, mlp, digits):
        X, y = digits[0][1000:], digits[1][1000:]
        auto = noise_sweep(mlp, X, y, n_draws="auto", half_width=0.03, levels=0.4, random_state=0).draws["score"]
        fixed = noise_sweep(mlp, X, y, n_draws=25, levels=0.4, random_state=0).draws["score"]
        np.testing.assert_array_equal(auto[:25], fixed)

    def test_it_stops_at_the_greatest_number_and_says_so(self, mlp, digits):
        X, y = digits[0][1000:1100], digits[1][1000:1100]
        for most in (10, 40):
            report = noise_sweep(mlp, X, y, n_draws="auto", half_width=1e-5, max_draws=most, levels=0.4, random_state=0)
            assert report.table["n_draws"].tolist() == [most]
            assert any(f"max_draws={most}, before" in note for note in report.notes)

    def test_without_spread_the_first_look_is_enough(self, logistic, cancer):
        report = noise_sweep(logistic, *cancer, n_draws="auto", levels=0.0)
        assert report.table["n_draws"].tolist() == [25]
        report = noise_sweep(logistic, *cancer, n_draws="auto", metric=lambda t, p: np.nan, half_width=0.1)
        assert (report.table["n_draws"] == 25).all()

    def test_a_metric_without_rows_needs_a_half_width(self, logistic, cancer):
        with pytest.raises(ValueError, match="needs half_width for metric accuracy_score"):
            noise_sweep(logistic, *cancer, n_draws="auto", metric=accuracy_score)
        report = noise_sweep(logistic, *cancer, n_draws="auto", metric=accuracy_score, half_width=0.05, levels=0.5)
        assert report.table["n_draws"].iloc[0] >= 25

    @pytest.mark.parametrize(
        ("arguments", "error", "match"),
        [
            (("many", None, 100), ValueError, "n_draws='many' is neither"),
            ((25, 0.1, 100), ValueError, "half_width=0.1 needs n_draws='auto', got n_draws=25"),
            (("auto", 0.0, 100), ValueError, "half_width=0.0 must be"),
            (("auto", True, 100), ValueError, "half_width=True must be"),
            (("auto", np.nan, 100), ValueError, "half_width=nan must be"),
            (("auto", "x", 100), ValueError, "half_width='x' must be"),
            (("auto", 0.1, 0), ValueError, "max_draws=0"),
            (("auto", 0.1, 2.5), TypeError, "max_draws must be an int"),
        ],
    )
    def test_bad_arguments(self, arguments, error, match):
        with pytest.raises(error, match=match):
            plan_draws(*arguments)

    @given(spread=st.floats(0.0, 10.0), n=st.integers(25, 900))
    def test_looks_move_on_and_end(self, spread, n):
        plan = DrawPlan(25, 1000, True, 0.1)
        scores = spread * np.resize([-1.0, 1.0], n)
        ahead = plan.next_look(n, [estimate(scores, 25)])
        assert n <= ahead <= max(2 * n, n + 25)
        assert ahead <= 1000
        assert (ahead == n) == (plan.lacks(estimate(scores, 25)) <= 1.0)


class TestFirstLook:
    def test_the_interval_is_never_narrower_than_the_first_spread_makes_it(self):
        # Spread 2 in the first 4 draws, none after: the first look counts, with Student's t of 3 degrees of freedom.
        scores = np.append([-2.0, 2.0, -2.0, 2.0], np.zeros(12))
        first = np.std(scores[:4], ddof=1)
        half = estimate(scores, 4).draws_half_width
        assert half == pytest.approx(student_t.ppf(0.975, 3) * first / 4)
        # Spread later on: all draws count.
        quiet = scores[::-1]
        assert estimate(quiet, 4).draws_half_width == pytest.approx(
            student_t.ppf(0.975, 15) * np.std(scores, ddof=1) / 4
        )

    @pytest.mark.slow
    @pytest.mark.parametrize("half_width", [0.12, 0.25, 0.4])
    def test_coverage_of_normal_scores(self, half_width):
        # The bound that holds for any rule: at least 95 %.  Four standard errors of 2,000 repetitions below it.
        rng = np.random.default_rng(0)
        plan, n_repeats, inside = DrawPlan(25, 1000, True, half_width), 2000, 0
        for scores in rng.normal(size=(n_repeats, 1000)):
            done = 25
            while (goal := plan.next_look(done, [estimate(scores[:done], 25)])) > done:
                done = goal
            low, high = estimate(scores[:done], 25).interval()
            inside += low <= 0.0 <= high
        assert inside / n_repeats > 0.95 - 4 * np.sqrt(0.95 * 0.05 / n_repeats)
        assert inside <= binom.ppf(1 - 1e-4, n_repeats, 0.97)
