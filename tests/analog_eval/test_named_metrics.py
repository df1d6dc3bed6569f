"""Top-k accuracy and MSE by name, against scikit-learn; what is odd about data and models."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mean_squared_error, top_k_accuracy_score
from sklearn.neural_network import MLPClassifier

from analog_eval import ArrayModel, GaussianNoise, inject_noise, layer_sensitivity, noise_sweep
from analog_eval.adapters import adapt

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class TestTopK:
    @pytest.mark.parametrize("k", [1, 2, 3, 5])
    @pytest.mark.parametrize("kind", ["mlp", "linear", "arrays"])
    def test_is_scikit_learns(self, mlp, digits, kind, k):
        X, y = digits[0][1000:], digits[1][1000:]
        if kind == "mlp":
            model, scores = mlp, mlp.predict_proba(X)
        else:
            linear = LogisticRegression(max_iter=300).fit(digits[0][:300], digits[1][:300])
            scores = linear.decision_function(X)
            model = linear
            if kind == "arrays":
                arrays = [linear.coef_.T, linear.intercept_]
                model = ArrayModel(arrays, lambda a, X: X @ a[0] + a[1], classes=linear.classes_)
        report = noise_sweep(model, X, y, metric=f"top_{k}_accuracy", levels=(0.0, 0.3), n_draws=2, random_state=0)
        assert report.clean == pytest.approx(top_k_accuracy_score(y, scores, k=k))
        assert report.table["mean"].iloc[0] == pytest.approx(report.clean)
        assert report.metric == f"top_{k}_accuracy"
        assert report.chance == pytest.approx(np.sort(np.bincount(y))[-k:].sum() / len(y))
        if k == 1:
            accuracy = noise_sweep(model, X, y, levels=(0.0, 0.3), n_draws=2, random_state=0)
            np.testing.assert_allclose(report.table["mean"], accuracy.table["mean"])

    def test_of_the_noisy_model(self, mlp, digits):
        X, y = digits[0][1000:], digits[1][1000:]
        report = noise_sweep(mlp, X, y, metric="top_3_accuracy", levels=0.4, n_draws=1, random_state=2)
        with inject_noise(mlp, GaussianNoise("std"), 0.4, random_state=2):
            expected = top_k_accuracy_score(y, mlp.predict_proba(X), k=3)
        assert report.draws["score"].iloc[0] == pytest.approx(expected)

    def test_two_classes_and_weights(self, cancer, rng):
        X, y = cancer
        weights = rng.random(len(y))
        for model in (LogisticRegression().fit(X, y), MLPClassifier((5,), max_iter=10, random_state=0).fit(X, y)):
            by_name, top = (
                noise_sweep(model, X, y, sample_weight=weights, metric=metric, n_draws=2, random_state=0)
                for metric in ("accuracy", "top_1_accuracy")
            )
            np.testing.assert_allclose(top.table, by_name.table)
            assert top.chance == pytest.approx(by_name.chance)

    def test_ties_nan_and_unknown_labels(self):
        scores = np.array([[1.0, 1.0, 1.0], [np.nan, 0.0, 1.0], [0.0, np.nan, 1.0], [0.0, 0.0, 1.0]])
        model = ArrayModel([np.eye(3)], lambda a, X: X.astype(float), classes=["c", "a", "b"], roles=["kernel"])
        # Row 0: all equal, the last class wins, as in scikit-learn.  Row 1: NaN for the true class.  Row 2: a NaN
        # counts as better than the true class.  Row 3: a label the model does not know.
        for labels, right in ((["b", "c", "b", "z"], [1, 0, 0, 0]), (["a", "b", "c", "b"], [0, 0, 0, 1])):
            report = noise_sweep(model, scores, labels, metric="top_1_accuracy", levels=0.0, n_draws=2)
            assert report.clean == pytest.approx(np.mean(right))

    def test_bad_ones(self, mlp, digits, linear, diabetes):
        for k in (0, 10):
            with pytest.raises(ValueError, match=f"k={k} must be >= 1 and below the number of classes, 10"):
                noise_sweep(mlp, *digits, metric=f"top_{k}_accuracy")
        with pytest.raises(ValueError, match="needs a classifier"):
            noise_sweep(linear, *diabetes, metric="top_2_accuracy")


class TestMse:
    def test_is_the_mean_squared_error(self, linear, diabetes):
        plain = noise_sweep(linear, *diabetes, metric="mse", n_draws=5, random_state=0)
        negative = noise_sweep(linear, *diabetes, metric="neg_mean_squared_error", n_draws=5, random_state=0)
        assert plain.clean == pytest.approx(mean_squared_error(diabetes[1], linear.predict(diabetes[0])))
        np.testing.assert_allclose(plain.table["mean"], -negative.table["mean"])
        np.testing.assert_allclose(plain.table["ci_low"], -negative.table["ci_high"])
        np.testing.assert_allclose(plain.table["rows_se"], negative.table["rows_se"])
        # The share of what is known that is left is the same, whichever sign says it.
        np.testing.assert_allclose(plain.table["chance_corrected"], negative.table["chance_corrected"])
        assert (plain.table["normalized"] > 1.0).all()
        assert plain.average_normalized > 1.0

    def test_worse_than_chance(self, linear, diabetes):
        report = noise_sweep(linear, diabetes[0], diabetes[1] + 1e4, metric="mse", n_draws=2)
        assert report.table["chance_corrected"].isna().all()
        assert any("not below the best constant guess" in note for note in report.notes)

    def test_interval_ends_at_zero(self, linear, diabetes):
        table = noise_sweep(linear, diabetes[0][:4], diabetes[1][:4], metric="mse", n_draws=2, random_state=0).table
        assert (table["ci_low"] >= 0.0).all()


class TestOddities:
    def test_weights_that_are_no_numbers(self, cancer):
        model = LogisticRegression().fit(*cancer)
        model.coef_[0, 3] = np.nan
        for call in (noise_sweep, layer_sensitivity):
            with pytest.raises(ValueError, match="coef_ holds 1 NaN"):
                call(model, *cancer)

    def test_zero_weights(self, cancer):
        model = LogisticRegression().fit(*cancer)
        model.coef_[:] = 0.0
        report = noise_sweep(model, *cancer, n_draws=3)
        assert any("no noise on coef_" in note for note in report.notes)
        # One answer for all rows: at chance, so nothing can be said of what is left.
        assert report.table["chance_corrected"].isna().all()
        absolute = GaussianNoise("absolute")
        noisy = noise_sweep(model, *cancer, noise=absolute, levels=(1.0, 2.0), n_draws=5, random_state=0)
        assert (noisy.table["draw_sd"] > 0).all()

    def test_no_weights(self):
        empty = ArrayModel([np.empty((0, 2))], lambda a, X: np.zeros(len(X)))
        for call in (noise_sweep, layer_sensitivity):
            with pytest.raises(ValueError, match="names none of the model's tensors"):
                call(empty, np.ones((3, 2)), [0.0, 1.0, 2.0])
        assert adapt(empty).tensors[0].values.size == 0

    def test_a_metric_that_is_nan(self, logistic, cancer):
        calls = []

        def sometimes(y_true, y_pred):
            calls.append(1)
            return np.nan if len(calls) == 3 else 0.5

        report = noise_sweep(logistic, *cancer, metric=sometimes, levels=(0.1, 0.2), n_draws=4)
        assert report.table["mean"].isna().sum() == 1
        assert any("NaN or infinite in 1 of 8 evaluations" in note for note in report.notes)
        never = noise_sweep(logistic, *cancer, metric=lambda t, p: np.nan, n_draws=2)
        assert np.isnan(never.clean)
        assert np.isnan(never.level_at(0.9)).all()
        assert "nan" in repr(never)

    def test_one_class(self, logistic, cancer):
        X, y = cancer[0][cancer[1] == 1], cancer[1][cancer[1] == 1]
        table = layer_sensitivity(logistic, X, y, n_draws=3, random_state=0)
        assert table["drop"].between(-1, 1).all()
        assert noise_sweep(logistic, X, y, n_draws=3).level_at(0.5).level > 0

    def test_the_model_is_left_as_it_was(self, mlp, digits):
        before = [(id(a), a.tobytes()) for a in (*mlp.coefs_, *mlp.intercepts_)]
        layer_sensitivity(mlp, *digits, n_draws=2, targets="parameters", random_state=0)
        noise_sweep(mlp, *digits, n_draws=2, metric="top_2_accuracy")
        assert [(id(a), a.tobytes()) for a in (*mlp.coefs_, *mlp.intercepts_)] == before
