"""Sweeps: closed forms, common random numbers, weights as repetitions, and input that makes no sense."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, f1_score, make_scorer, mean_squared_error, r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from analog_eval import ArrayModel, DeviceNoise, GaussianNoise, drift_sweep, inject_noise, noise_sweep, sensitivity

LEVELS = (0.3, 0.5, 1.0, 2.0)


def assert_agrees(report, expected):
    """Every level's mean lies within three of its own standard errors (over draws: the rows are given)."""
    error = np.abs(report.table["mean"] - expected)
    assert (error < 3 * report.table["draws_se"]).all(), error / report.table["draws_se"]


class TestClosedForms:
    @pytest.mark.parametrize("scale", ["std", "absmax", "range"])
    def test_accuracy_of_a_linear_classifier(self, logistic, cancer, scale):
        X, y = cancer[0][300:], cancer[1][300:]
        report = noise_sweep(logistic, X, y, noise=GaussianNoise(scale), levels=LEVELS, n_draws=400, random_state=0)
        margin = logistic.decision_function(X) * np.where(y == 1, 1, -1)
        spread = np.linalg.norm(X, axis=1)
        sigmas = [GaussianNoise(scale).sigma(logistic.coef_, level) for level in LEVELS]
        assert_agrees(report, [norm.cdf(margin / (s * spread)).mean() for s in sigmas])

    def test_accuracy_with_a_noisy_bias(self, logistic, cancer):
        X, y = cancer[0][300:], cancer[1][300:]
        noise = GaussianNoise("absmax")
        report = noise_sweep(
            logistic, X, y, noise=noise, levels=LEVELS, n_draws=400, targets="parameters", random_state=1
        )
        margin = logistic.decision_function(X) * np.where(y == 1, 1, -1)
        expected = []
        for level in LEVELS:
            kernel, bias = noise.sigma(logistic.coef_, level), noise.sigma(logistic.intercept_, level)
            expected.append(norm.cdf(margin / np.sqrt((kernel * np.linalg.norm(X, axis=1)) ** 2 + bias**2)).mean())
        assert_agrees(report, expected)

    @pytest.mark.parametrize("targets", ["weights", "parameters"])
    def test_squared_error_of_a_linear_regressor(self, linear, diabetes, targets):
        X, y = diabetes[0][300:], diabetes[1][300:]
        noise = GaussianNoise("absolute")
        report = noise_sweep(
            linear,
            X,
            y,
            noise=noise,
            levels=LEVELS,
            n_draws=400,
            metric="neg_mean_squared_error",
            targets=targets,
            random_state=0,
        )
        power = (X**2).sum(axis=1).mean() + (targets == "parameters")
        assert_agrees(report, [report.clean - level**2 * power for level in LEVELS])

    def test_the_bound_would_notice_five_percent(self, linear, diabetes):
        X, y = diabetes
        report = noise_sweep(
            linear, X, y, noise=GaussianNoise("absolute"), levels=(20.0,), n_draws=2000, metric="neg_mean_squared_error"
        )
        wrong = report.clean - 1.1 * 400 * (X**2).sum(axis=1).mean()
        with pytest.raises(AssertionError):
            assert_agrees(report, [wrong])


class TestRandomNumbers:
    def test_same_seed_same_numbers(self, mlp, digits):
        X, y = digits[0][1000:], digits[1][1000:]
        runs = [noise_sweep(mlp, X, y, n_draws=4, random_state=seed) for seed in (5, 5, np.int64(5), 6)]
        pd.testing.assert_frame_equal(runs[0].table, runs[1].table)
        pd.testing.assert_frame_equal(runs[0].draws, runs[2].draws)
        assert not runs[0].draws.equals(runs[3].draws)

    def test_more_draws_and_levels_keep_the_first_ones(self, mlp, digits):
        X, y = digits[0][1000:], digits[1][1000:]
        few = noise_sweep(mlp, X, y, levels=(0.4,), n_draws=3, random_state=0).draws
        many = noise_sweep(mlp, X, y, levels=(0.2, 0.4), n_draws=6, random_state=0).draws
        kept = many[(many["level"] == 0.4) & (many["draw"] < 3)]
        np.testing.assert_array_equal(kept["score"], few["score"])

    def test_a_generator_moves_on(self, linear, diabetes):
        source = np.random.default_rng(0)
        one, two = (noise_sweep(linear, *diabetes, n_draws=2, random_state=source).draws for _ in range(2))
        assert not one.equals(two)

    def test_levels_and_models_differ_less_than_independent_draws_would(self, digits):
        X, y = digits
        test = X[1000:], y[1000:]
        models = [LogisticRegression(C=c, max_iter=500).fit(X[:1000], y[:1000]) for c in (0.5, 0.6)]
        reports = [noise_sweep(m, *test, levels=(0.5, 0.6), n_draws=60, random_state=0) for m in models]
        other = noise_sweep(models[1], *test, levels=(0.5, 0.6), n_draws=60, random_state=1)
        first, second, stranger = (r.draws["score"].to_numpy().reshape(2, 60) for r in (*reports, other))
        # Independent draws would have twice the variance of one score; 60 draws tell a factor of four from it.
        assert (first[0] - first[1]).var() < (first[0].var() + first[1].var()) / 4
        assert (first[0] - second[0]).var() < (first[0] - stranger[0]).var() / 4


class TestWeights:
    @given(
        counts=st.lists(st.integers(0, 3), min_size=40, max_size=40).filter(any), metric=st.sampled_from([None, "r2"])
    )
    @settings(max_examples=15)
    def test_a_weight_is_a_repetition(self, counts, metric):
        rng = np.random.default_rng(0)
        X, y = rng.normal(size=(40, 3)), rng.normal(size=40)
        if metric is None:
            model, y = LogisticRegression().fit(X, y > 0), y > 0
        else:
            model = LinearRegression().fit(X, y)
        rows = np.repeat(np.arange(40), counts)
        arguments = {"n_draws": 3, "random_state": 0, "metric": metric}
        weighted = noise_sweep(model, X, y, sample_weight=counts, **arguments)
        repeated = noise_sweep(model, X[rows], y[rows], **arguments)
        same = ["mean", "draw_sd", "normalized", "chance_corrected", "draws_se"]
        np.testing.assert_allclose(weighted.table[same], repeated.table[same], rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(weighted.clean, repeated.clean, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(weighted.chance, repeated.chance, rtol=1e-12)

    def test_their_unit_does_not_matter(self, logistic, cancer, rng):
        weights = rng.random(len(cancer[1]))
        plain = noise_sweep(logistic, *cancer, sample_weight=weights, n_draws=3, random_state=0)
        for unit in (1000.0, 1e-300, 1e-200, 1e-163, 1e200, 1e308):
            other = noise_sweep(logistic, *cancer, sample_weight=unit * weights, n_draws=3, random_state=0)
            np.testing.assert_allclose(other.table, plain.table, rtol=1e-7)
            assert other.chance == pytest.approx(plain.chance)

    def test_functions_and_scorers_get_them_as_given(self, logistic, cancer):
        seen = []

        def total(y_true, y_pred, sample_weight):
            seen.append(sample_weight)
            return float(sample_weight @ (y_true == y_pred))

        weights = np.full(len(cancer[1]), 250.0)
        for metric in (total, make_scorer(total)):
            report = noise_sweep(logistic, *cancer, sample_weight=weights, metric=metric, n_draws=2)
            assert report.clean == pytest.approx(250.0 * 569 * logistic.score(*cancer))
        assert all((given == weights).all() for given in seen)

    def test_functions_and_scorers_get_them(self, logistic, cancer, rng):
        weights = rng.random(len(cancer[1]))
        arguments = {"sample_weight": weights, "n_draws": 3, "random_state": 0}
        known = noise_sweep(logistic, *cancer, **arguments)
        for metric in (accuracy_score, make_scorer(accuracy_score)):
            other = noise_sweep(logistic, *cancer, metric=metric, **arguments)
            np.testing.assert_allclose(other.table["mean"], known.table["mean"], rtol=1e-12)
        with pytest.raises(ValueError, match="no argument of that name"):
            noise_sweep(logistic, *cancer, metric=lambda t, p: 1.0, **arguments)
        with pytest.raises(TypeError, match=r"metric='neg_max_error' .*'sample_weight'"):
            noise_sweep(logistic, *cancer, metric="neg_max_error", **arguments)

    @pytest.mark.parametrize("bad", [np.ones(3), np.full(569, -1.0), np.full(569, np.nan), np.zeros(569)])
    def test_bad_ones(self, logistic, cancer, bad):
        with pytest.raises(ValueError, match="sample_weight"):
            noise_sweep(logistic, *cancer, sample_weight=bad)


class TestMetrics:
    def test_clean_scores_are_scikit_learns(self, mlp, digits, linear, diabetes):
        assert noise_sweep(mlp, *digits, n_draws=1).clean == pytest.approx(mlp.score(*digits), abs=1e-15)
        assert noise_sweep(linear, *diabetes, n_draws=1).clean == pytest.approx(linear.score(*diabetes), abs=1e-14)

    @pytest.mark.parametrize(
        ("name", "function", "sign"),
        [("accuracy", accuracy_score, 1), ("r2", r2_score, 1), ("neg_mean_squared_error", mean_squared_error, -1)],
    )
    def test_shortcuts_agree_with_the_function(self, name, function, sign, logistic, cancer, linear, diabetes):
        model, data = (logistic, cancer) if name == "accuracy" else (linear, diabetes)
        short = noise_sweep(model, *data, metric=name, n_draws=4, random_state=0)
        plain = noise_sweep(model, *data, metric=function, n_draws=4, random_state=0)
        np.testing.assert_allclose(short.table["mean"], sign * plain.table["mean"], rtol=1e-10)
        assert plain.table["rows_se"].isna().all()
        assert noise_sweep(model, *data, metric=partial(function), n_draws=1).metric == function.__name__
        assert "draws) only" in plain.covers
        assert "of test rows" in short.covers

    def test_r2_of_several_outputs(self, rng):
        X = rng.normal(size=(80, 4))
        Y = X @ rng.normal(size=(4, 3)) + rng.normal(size=(80, 3)) * [0.1, 1.0, 5.0]
        model = Ridge().fit(X, Y)
        short = noise_sweep(model, X, Y, n_draws=4, random_state=0)
        plain = noise_sweep(model, X, Y, metric=r2_score, n_draws=4, random_state=0)
        np.testing.assert_allclose(short.table["mean"], plain.table["mean"], rtol=1e-10)

    def test_scorers_see_the_noisy_model(self, logistic, cancer):
        before = logistic.coef_.tobytes()
        report = noise_sweep(logistic, *cancer, metric="roc_auc", levels=(0.0, 3.0), n_draws=5, random_state=0)
        assert report.table.loc[0.0, "mean"] == pytest.approx(report.clean)
        assert report.table.loc[3.0, "mean"] < report.clean
        assert report.chance == 0.5
        assert logistic.coef_.tobytes() == before
        pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(*cancer)
        by_name = noise_sweep(pipeline, *cancer, metric="f1", n_draws=3, random_state=0)
        by_function = noise_sweep(pipeline, *cancer, metric=f1_score, n_draws=3, random_state=0)
        np.testing.assert_allclose(by_name.table["mean"], by_function.table["mean"], rtol=1e-12)

    @pytest.mark.parametrize(
        ("metric", "low", "high"),
        [("balanced_accuracy", 0, 1), ("roc_auc", 0, 1), ("matthews_corrcoef", -1, 1), ("neg_log_loss", -np.inf, 0)],
    )
    def test_intervals_end_where_the_score_does(self, logistic, cancer, metric, low, high):
        # Two draws: Student's interval is thirteen standard deviations wide.
        levels = np.linspace(0.2, 5.0, 20)
        table = noise_sweep(logistic, *cancer, metric=metric, levels=levels, n_draws=2, random_state=1).table
        assert table["ci_high"].max() == high
        assert table["ci_low"].min() >= low
        assert (table["ci_low"] <= table["mean"]).all()
        assert (table["mean"] <= table["ci_high"]).all()

    def test_r2_ends_at_one(self, linear, diabetes):
        # Four rows: Student's interval is wider than anything a few rows can say.
        table = noise_sweep(linear, diabetes[0][:4], diabetes[1][:4], n_draws=2, random_state=0).table
        assert (table["ci_high"] == 1.0).any()
        assert (table["ci_high"] <= 1.0).all()

    def test_functions_are_scored_on_the_models_own_predictions(self, logistic, cancer):
        report = noise_sweep(logistic, *cancer, metric=accuracy_score, n_draws=1)
        assert report.clean == accuracy_score(cancer[1], logistic.predict(cancer[0]))

    def test_a_failing_metric_leaves_the_model_alone(self, mlp, digits):
        before = [(id(a), a.tobytes()) for a in (*mlp.coefs_, *mlp.intercepts_)], id(mlp.coefs_)
        calls = []

        def failing(y_true, y_pred):
            calls.append(1)
            if len(calls) == 4:
                raise KeyboardInterrupt
            return 1.0

        with pytest.raises(KeyboardInterrupt):
            noise_sweep(mlp, *digits, metric=failing)
        assert ([(id(a), a.tobytes()) for a in (*mlp.coefs_, *mlp.intercepts_)], id(mlp.coefs_)) == before

    def test_bad_ones(self, linear, diabetes, logistic, cancer):
        with pytest.raises(ValueError, match="metric='acuracy'"):
            noise_sweep(linear, *diabetes, metric="acuracy")
        with pytest.raises(TypeError, match="metric must be"):
            noise_sweep(linear, *diabetes, metric=3)
        with pytest.raises(TypeError, match="returned ndarray, not a number"):
            noise_sweep(linear, *diabetes, metric=lambda t, p: p)
        with pytest.raises(TypeError, match="does not suit LinearRegression"):
            noise_sweep(linear, *diabetes, metric="neg_log_loss")
        with pytest.raises(ValueError, match="needs numbers in y"):
            noise_sweep(
                ArrayModel([np.ones((2, 1))], lambda a, X: np.full(len(X), "a")), X=[[1, 2]], y=["a"], metric="r2"
            )


class TestChance:
    def test_is_the_majority_share(self, logistic, cancer):
        report = noise_sweep(logistic, *cancer, n_draws=2, random_state=0)
        majority = DummyClassifier().fit(*cancer).score(*cancer)
        assert report.chance == pytest.approx(majority)
        row = report.table.iloc[-1]
        assert row["chance_corrected"] == pytest.approx((row["mean"] - majority) / (report.clean - majority))
        assert row["normalized"] == pytest.approx(row["mean"] / report.clean)

    def test_a_model_at_chance_scores_one_but_is_told_so(self):
        # A diverged model: it answers with one class, and noise on its weights cannot change that.
        model = ArrayModel([np.ones((2, 2))], lambda a, X: np.c_[np.ones(len(X)), np.zeros(len(X))], classes=[0, 1])
        report = noise_sweep(model, np.zeros((10, 2)), [0] * 6 + [1] * 4, n_draws=3, random_state=0)
        assert report.average_normalized == 1.0
        assert report.table["chance_corrected"].isna().all()
        assert any("not above the best constant guess 0.6" in note for note in report.notes)

    @pytest.mark.parametrize("n_rows", [3, 6, 15, 150])
    def test_at_chance_whatever_the_rounding(self, n_rows):
        # 1 - 2/3 is an ulp above 1/3.
        model = ArrayModel([np.ones((2, 3))], lambda a, X: np.tile([1.0, 0.0, 0.0], (len(X), 1)), classes=[0, 1, 2])
        data = np.zeros((n_rows, 2)), np.arange(n_rows) % 3
        assert noise_sweep(model, *data, n_draws=2, random_state=0).table["chance_corrected"].isna().all()
        report = drift_sweep(model, *data, times="1h", n_draws=2, progress=False, random_state=0)
        assert report.iso_accuracy()[["normalized", "ci_low", "ci_high"]].isna().all(axis=None)
        assert report.iso_accuracy()["verdict"].tolist() == [""]
        found = sensitivity(model, *data, nonidealities="programming_noise", n_draws=2, progress=False, random_state=0)
        assert found[["critical", "ci_low", "ci_high"]].isna().all(axis=None)

    def test_r2_of_a_constant_guess(self, rng):
        y = rng.normal(size=50) / 3.0
        model = ArrayModel([np.ones((2, 1))], lambda a, X: np.full(len(X), y.mean()))
        for metric in ("r2", "mse", "neg_mean_squared_error"):
            report = noise_sweep(model, np.zeros((50, 2)), y, metric=metric, n_draws=2, random_state=0)
            assert report.table["chance_corrected"].isna().all()

    @pytest.mark.parametrize(("n_right", "near"), [(10, True), (14, True), (18, False), (20, False)])
    def test_near_it_the_ratio_means_little(self, n_right, near):
        # Of 20 rows half are of one class: Wilson's interval of the clean score holds 0.5 up to 14 right answers.
        X, y = np.arange(20)[:, None], np.arange(20) % 2
        answers = np.eye(2)[np.where(X[:, 0] < n_right, y, 1 - y)]
        model = ArrayModel([np.eye(2)], lambda a, X: answers @ a[0], classes=[0, 1])
        notes = noise_sweep(model, X, y, levels=0.0, n_draws=2).notes
        assert any("chance_corrected" in note for note in notes) == near

    @pytest.mark.parametrize("metric", ["mse", "neg_mean_squared_error"])
    @pytest.mark.parametrize(("noise", "near"), [(0.0, False), (0.4, True)])
    def test_a_chance_that_moves_with_the_rows_is_not_taken_for_known(self, metric, noise, near):
        # The variance of heavy tails lies in the interval of the error, but moves with it: their difference is sure.
        rng = np.random.default_rng(0)
        y = rng.standard_t(3, size=60)
        answers = 0.1 * y + noise * rng.normal(size=60)
        model = ArrayModel([np.ones((1, 1))], lambda a, X: (X @ a[0]).ravel())
        report = noise_sweep(model, answers[:, None], y, metric=metric, levels=0.0, n_draws=2)
        assert report.table["ci_low"].iloc[0] < report.chance < report.table["ci_high"].iloc[0]
        assert any("means little" in note for note in report.notes) == near

    def test_one_class(self, logistic, cancer):
        X, y = cancer[0][cancer[1] == 1], cancer[1][cancer[1] == 1]
        report = noise_sweep(logistic, X, y, n_draws=3, random_state=0)
        assert report.chance == 1.0
        assert report.table["chance_corrected"].isna().all()
        assert report.table["mean"].between(0, 1).all()

    def test_squared_error_has_no_ratio(self, linear, diabetes):
        report = noise_sweep(linear, *diabetes, metric="neg_mean_squared_error", n_draws=3, random_state=0)
        assert report.table["normalized"].isna().all()
        assert np.isnan(report.average_normalized)
        r2 = noise_sweep(linear, *diabetes, n_draws=3, random_state=0)
        # 1 - mse / variance: the two chance-corrected columns are the same number.
        np.testing.assert_allclose(report.table["chance_corrected"], r2.table["chance_corrected"], rtol=1e-9)
        np.testing.assert_allclose(r2.table["chance_corrected"], r2.table["normalized"])


class TestLevels:
    def test_are_sorted(self, linear, diabetes):
        report = noise_sweep(linear, *diabetes, levels=[0.3, 0.1, 0.2], n_draws=2, random_state=0)
        assert report.table.index.tolist() == [0.1, 0.2, 0.3]
        assert report.table.index.name == "level"

    def test_zero_is_the_clean_model(self, mlp, digits):
        X, y = digits[0][1000:], digits[1][1000:]
        report = noise_sweep(mlp, X, y, levels=(0, 0.5), n_draws=3, random_state=0)
        assert report.table.loc[0.0, "mean"] == report.clean
        assert report.table.loc[0.0, ["draw_sd", "draws_se"]].tolist() == [0.0, 0.0]
        assert report.table.loc[0.0, "normalized"] == 1.0
        assert report.average_normalized == report.table.loc[0.5, "normalized"]
        assert np.isnan(noise_sweep(mlp, X, y, levels=0.0, n_draws=3).average_normalized)

    def test_decibels(self, linear, diabetes):
        noise = GaussianNoise("power_db")
        report = noise_sweep(linear, *diabetes, noise=noise, levels=(np.inf, 0, -3), n_draws=5, random_state=0)
        assert report.table.index.tolist() == [-3, 0, np.inf]
        assert report.table["mean"].is_monotonic_increasing
        assert report.table.loc[np.inf, "mean"] == report.clean
        assert report.average_normalized == pytest.approx(report.table["normalized"].iloc[:2].mean())
        with pytest.raises(ValueError, match="dB"):
            noise_sweep(linear, *diabetes, noise=noise)

    @pytest.mark.parametrize(
        ("levels", "match"),
        [
            ([0.1, 0.1], r"levels holds \[0.1\] more than once"),
            ([0.1, -0.2], "level=-0.2"),
            ([np.nan], "level=nan"),
            ([], "non-empty"),
            ([[0.1]], "non-empty"),
        ],
    )
    def test_bad_ones(self, linear, diabetes, levels, match):
        with pytest.raises(ValueError, match=match):
            noise_sweep(linear, *diabetes, levels=levels)


class TestStrangeInput:
    def test_rows(self, linear, diabetes):
        X, y = diabetes
        with pytest.raises(ValueError, match="X must have rows"):
            noise_sweep(linear, X[:0], y[:0])
        with pytest.raises(ValueError, match="y has 3 rows, but X has 442"):
            noise_sweep(linear, X, y[:3])
        with pytest.raises(ValueError, match="NaN"):
            noise_sweep(linear, np.where(X > 2, np.nan, X), y)
        with pytest.raises(ValueError, match="y holds 1 missing"):
            noise_sweep(linear, X, np.r_[np.nan, y[1:]])
        with pytest.raises(ValueError, match="features"):
            noise_sweep(linear, X[:, :3], y)
        with pytest.raises(ValueError, match="y must be an array of shape"):
            noise_sweep(linear, X, None)
        with pytest.raises(ValueError, match="y holds 1 missing"):
            noise_sweep(linear, X, [None, *y[1:]])

    def test_objects_that_are_numbers(self, logistic, cancer):
        X, y = cancer
        report = noise_sweep(logistic, X, y.astype(object), n_draws=2, random_state=0)
        pd.testing.assert_frame_equal(report.table, noise_sweep(logistic, X, y, n_draws=2, random_state=0).table)

    def test_one_row_with_weight(self, logistic, cancer):
        report = noise_sweep(logistic, *cancer, sample_weight=np.eye(569)[0], n_draws=2)
        assert any("one row" in note for note in report.notes)
        with pytest.raises(TypeError, match="sample_weight must hold numbers"):
            noise_sweep(logistic, *cancer, sample_weight=["a"] * 569)

    def test_one_row(self, logistic, cancer, linear, diabetes):
        report = noise_sweep(logistic, cancer[0][:1], cancer[1][:1], n_draws=5, random_state=0)
        assert report.table["ci_low"].isna().all()
        assert any("one row" in note for note in report.notes)
        assert np.isnan(report.level_at(0.9)[1:]).all()
        report = noise_sweep(linear, diabetes[0][:1], diabetes[1][:1], n_draws=5)
        assert np.isnan(report.clean)

    def test_one_draw(self, logistic, cancer):
        report = noise_sweep(logistic, *cancer, n_draws=1)
        assert report.table[["ci_low", "draw_sd", "draws_se"]].isna().all(axis=None)
        assert any("one draw" in note for note in report.notes)

    @pytest.mark.parametrize(("n_draws", "error"), [(0, ValueError), (2.5, TypeError), (True, TypeError)])
    def test_bad_number_of_draws(self, linear, diabetes, n_draws, error):
        with pytest.raises(error, match="n_draws"):
            noise_sweep(linear, *diabetes, n_draws=n_draws)

    def test_constant_targets(self, linear, diabetes):
        report = noise_sweep(linear, diabetes[0], np.full(442, 3.0), n_draws=3, random_state=0)
        assert np.isnan(report.clean)
        assert report.table["mean"].isna().all()
        assert len(report.notes) == 1
        assert "r2 is NaN even without noise" in report.notes[0]

    def test_labels_that_do_not_meet(self, logistic, cancer):
        X, y = cancer
        with pytest.raises(ValueError, match="none of the model's labels"):
            noise_sweep(logistic, X, y + 7)
        with pytest.raises(ValueError, match="none of the model's labels"):
            noise_sweep(logistic, X, y.astype(str))

    def test_lists_columns_and_frames(self, logistic, cancer):
        X, y = cancer
        plain = noise_sweep(logistic, X, y, n_draws=2, random_state=0).table
        for data in ((X.tolist(), y.tolist()), (X, y[:, None]), (X, pd.Series(y))):
            pd.testing.assert_frame_equal(noise_sweep(logistic, *data, n_draws=2, random_state=0).table, plain)
        frame = pd.DataFrame(X).add_prefix("f")
        named = make_pipeline(StandardScaler(), LogisticRegression()).fit(frame, y)
        noise_sweep(named, frame, y, n_draws=2, metric="roc_auc")

    def test_a_weight_that_gets_no_noise_is_named(self, cancer):
        X, y = cancer[0][:, :1], cancer[1]
        model = LogisticRegression().fit(X, y)
        report = noise_sweep(model, X, y, n_draws=2)
        assert any("no noise on coef_" in note for note in report.notes)
        assert (report.table["mean"] == report.clean).all()
        # Weights that differ, at a level that rounding swallows.
        report = noise_sweep(LogisticRegression().fit(*cancer), *cancer, levels=1e-20, n_draws=2)
        assert any("too little to change a float" in note for note in report.notes)

    def test_noise_without_bound(self, mlp, digits):
        report = noise_sweep(mlp, *digits, levels=(1e200,), n_draws=2, random_state=0)
        assert report.table["mean"].between(0, 1).all()

    def test_errors_without_bound(self, linear, diabetes):
        report = noise_sweep(linear, *diabetes, levels=(0.1, 1e200), n_draws=3, random_state=0)
        assert np.isfinite(report.table.loc[0.1]).all()
        assert np.isneginf(report.table.loc[1e200, "mean"])
        assert np.isnan(report.table.loc[1e200, "ci_low"])
        assert any("infinite in 3 of 6" in note for note in report.notes)

    def test_wrong_kinds(self, linear, diabetes):
        with pytest.raises(TypeError, match="noise must be"):
            noise_sweep(linear, *diabetes, noise="std")
        with pytest.raises(ValueError, match="targets"):
            noise_sweep(linear, *diabetes, targets="kernel")
        for several in (["weights"], np.array(["weights"])):
            with pytest.raises(ValueError, match=r"targets=.*is not one of 'weights'"):
                noise_sweep(linear, *diabetes, targets=several)
        with pytest.raises(TypeError, match="level='low' is not a number"):
            noise_sweep(linear, *diabetes, levels=["low"])
        with pytest.raises(TypeError, match="levels must be numbers"):
            noise_sweep(linear, *diabetes, levels=None)
        for bad in (b"0.1", True, np.True_):
            for levels in (bad, [bad], [0.3, bad], np.array([bad])):
                for noise in (GaussianNoise(), DeviceNoise()):
                    with pytest.raises(TypeError, match=r"level=.* is not a number"):
                        noise_sweep(linear, *diabetes, noise=noise, levels=levels)
        model = ArrayModel([np.ones(3)], lambda a, X: X @ a[0])
        with pytest.raises(ValueError, match=r"names none .* \(bias\)"):
            noise_sweep(model, np.ones((2, 3)), [1.0, 2.0])
        model = ArrayModel([np.ones((3, 1))], lambda a, X: a[0])
        with pytest.raises(ValueError, match=r"predicts shape \(3, 1\) for X with 2 rows"):
            noise_sweep(model, np.ones((2, 3)), [1.0, 2.0])


def test_plain_arrays_match_the_estimator(logistic, cancer):
    arrays = {"coef": logistic.coef_, "bias": logistic.intercept_}
    model = ArrayModel(arrays, lambda a, X: (X @ a["coef"].T + a["bias"]).ravel(), classes=[0, 1])
    one, two = (noise_sweep(m, *cancer, n_draws=5, random_state=0) for m in (logistic, model))
    pd.testing.assert_frame_equal(one.table, two.table)
    scored = noise_sweep(model, *cancer, metric="roc_auc", n_draws=2, random_state=0)
    assert scored.clean == pytest.approx(noise_sweep(logistic, *cancer, metric="roc_auc", n_draws=2).clean)


@pytest.mark.parametrize("level", [0.0, 0.3])
@pytest.mark.parametrize("written", ["arrays", "X"])
def test_a_model_that_computes_in_place_is_stopped_before_it_harms_anything(cancer, written, level):
    X, y = cancer[0][:50].copy(), cancer[1][:50]
    weights = np.ones((30, 2))
    before = X.tobytes(), weights.tobytes()

    def forward(arrays, X):
        target = X if written == "X" else arrays[0]
        target += 1.0
        return X @ arrays[0]

    model = ArrayModel([weights], forward, classes=[0, 1])
    with pytest.raises(ValueError, match="read-only"):
        noise_sweep(model, X, y, levels=level)
    with pytest.raises(ValueError, match="read-only"), inject_noise(model, GaussianNoise("absmax"), level):
        model.predict(X)
    assert (X.tobytes(), weights.tobytes()) == before
    # The caller's own arrays stay as writable as they were.
    assert X.flags.writeable
    assert weights.flags.writeable
