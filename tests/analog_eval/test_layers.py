"""Sensitivity by layer: the same numbers as by hand, with and without prefixes that are run once."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import accuracy_score
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from analog_eval import ArrayModel, GaussianNoise, inject_noise, layer_sensitivity, noise_sweep
from analog_eval.adapters import adapt

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def rows(digits):
    return digits[0][1000:1300], digits[1][1000:1300]


def test_a_row_a_layer(mlp, rows):
    table = layer_sensitivity(mlp, *rows, level=0.3, n_draws=10, random_state=0)
    assert table.index.tolist() == ["coefs_[0]", "coefs_[1]", "coefs_[2]"]
    assert table["n_weights"].tolist() == [kernel.size for kernel in mlp.coefs_]
    assert (table["role"] == "kernel").all()
    assert table.attrs["clean"] == pytest.approx(mlp.score(*rows))
    np.testing.assert_allclose(table["drop"], table.attrs["clean"] - table["mean"], atol=1e-12)
    assert (table["ci_low"] <= table["drop"]).all()
    assert (table["drop"] <= table["ci_high"]).all()
    every = layer_sensitivity(mlp, *rows, level=0.3, n_draws=3, targets="parameters", random_state=0)
    assert len(every) == 6
    assert set(every["role"]) == {"kernel", "bias"}


def test_a_layer_gets_the_noise_of_a_sweep(mlp, rows):
    table = layer_sensitivity(mlp, *rows, level=0.4, n_draws=1, random_state=5)
    clean = list(mlp.coefs_)
    with inject_noise(mlp, GaussianNoise("std"), 0.4, random_state=5):
        noisy = list(mlp.coefs_)
    for i in range(3):
        mlp.coefs_ = [*clean[:i], noisy[i], *clean[i + 1 :]]
        score = mlp.score(*rows)
        mlp.coefs_ = clean
        assert table["mean"].iloc[i] == pytest.approx(score)


def test_one_layer_is_the_whole_sweep(logistic, cancer):
    arguments = {"n_draws": 20, "random_state": 0}
    row = layer_sensitivity(logistic, *cancer, level=0.7, **arguments).iloc[0]
    sweep = noise_sweep(logistic, *cancer, levels=0.7, **arguments).table.iloc[0]
    assert row["mean"] == sweep["mean"]
    assert row["draws_se"] == pytest.approx(sweep["draws_se"])
    # The same rows twice: what they have in common cancels.
    assert row["rows_se"] < sweep["rows_se"]


@pytest.mark.parametrize("kind", ["two", "many", "numbers"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "identity"])
def test_prefixes_that_are_run_once_change_nothing(kind, activation, rng):
    X, y = rng.normal(size=(60, 5)), rng.normal(size=60)
    make = MLPRegressor if kind == "numbers" else MLPClassifier
    y = {"two": y > 0, "many": np.digitize(y, [-0.5, 0.5]), "numbers": y}[kind]
    model = make(hidden_layer_sizes=(7, 6), activation=activation, max_iter=5, random_state=0).fit(X, y)
    adapter = adapt(model)
    arrays = [tensor.values for tensor in adapter.tensors]
    plain = adapter.predictor(X)
    for first in range(len(arrays)):
        after = adapter.predictor_after(X, first)
        changed = [a if i < first else a + rng.normal(size=a.shape) for i, a in enumerate(arrays)]
        assert np.array_equal(plain(changed), after(changed))
        # A second call sees the same prefix.
        assert np.array_equal(plain(arrays), after(arrays))


def test_agrees_with_the_closed_form(rng):
    # Two layers without activation: noise on the last one leaves x W1 dW2, on the first x dW1 W2.
    X, first, last = rng.normal(size=(50, 4)), rng.normal(size=(4, 3)), rng.normal(size=(3, 1))
    model = ArrayModel([first, last], lambda a, X: (X @ a[0] @ a[1])[:, 0])
    y = (X @ first @ last)[:, 0] + 1.0
    table = layer_sensitivity(
        model, X, y, noise=GaussianNoise("absolute"), level=0.5, metric="mse", n_draws=2000, random_state=0
    )
    expected = np.array([(X**2).sum(axis=1).mean() * (last**2).sum(), ((X @ first) ** 2).sum(axis=1).mean()]) * 0.25
    # A drop is a loss, also where less is better.
    assert (np.abs(table["drop"] - expected) < 3 * table["draws_se"]).all()


def test_intervals_of_the_drop_cover(logistic, cancer):
    X, y = cancer[0][300:], cancer[1][300:]
    margin = logistic.decision_function(X) * np.where(y == 1, 1, -1)
    sigma = GaussianNoise("std").sigma(logistic.coef_, 0.5)
    truth = (margin > 0).mean() - norm.cdf(margin / (sigma * np.linalg.norm(X, axis=1))).mean()
    table = layer_sensitivity(logistic, X, y, level=0.5, n_draws=400, random_state=0)
    assert abs(table["drop"].iloc[0] - truth) < 3 * table["draws_se"].iloc[0]


def test_pipelines_metrics_and_auto(digits, rows):
    X, y = digits
    model = make_pipeline(StandardScaler(), MLPClassifier((8,), max_iter=5, random_state=0)).fit(X[:500], y[:500])
    by_function = layer_sensitivity(model, *rows, metric=accuracy_score, n_draws=4, random_state=0)
    by_name = layer_sensitivity(model, *rows, n_draws=4, random_state=0)
    np.testing.assert_allclose(by_function["mean"], by_name["mean"])
    assert by_function["rows_se"].isna().all()
    auto = layer_sensitivity(model, *rows, n_draws="auto", half_width=0.02, random_state=0)
    assert (auto["draws_se"] * 1.96 <= 0.02).all()
    top = layer_sensitivity(model, *rows, metric="top_2_accuracy", n_draws=4, random_state=0)
    assert (top["mean"] >= by_name["mean"]).all()


def test_bad_arguments(mlp, rows):
    with pytest.raises(ValueError, match="level=-1"):
        layer_sensitivity(mlp, *rows, level=-1)
    with pytest.raises(TypeError, match="noise must be"):
        layer_sensitivity(mlp, *rows, noise=0.1)
    with pytest.raises(ValueError, match="targets="):
        layer_sensitivity(mlp, *rows, targets="all")
