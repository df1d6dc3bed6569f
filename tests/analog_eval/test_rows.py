"""Sampled rows: unbiased for the very same devices, fewer of them, and honest about what they add."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, norm
from scipy.stats import t as student_t
from sklearn.linear_model import LogisticRegression

from analog_eval import ArrayModel, GaussianNoise, noise_sweep
from analog_eval.adapters import adapt
from analog_eval.evaluation.rows import _FLOOR, N_PILOT, _inclusion, _predicted, sample_rows
from analog_eval.evaluation.subject import prepare

LEVELS = (0.05, 0.2, 0.4, 0.6)


@pytest.fixture
def held_out(digits):
    return digits[0][1000:], digits[1][1000:]


@pytest.fixture
def weights(held_out, rng):
    return rng.random(len(held_out[1]))


def sampled(model, X, y, seed=0, sample_weight=None):
    subject = prepare(model, X, y, sample_weight, GaussianNoise("std"), None, "weights", seed)
    return sample_rows(subject, len(LEVELS), seed)


@pytest.mark.parametrize("weighted", [False, True])
def test_unbiased_for_the_same_devices(mlp, held_out, weights, weighted):
    # Both ways see the same devices, so only the choice of rows is between them: its mean is 0.
    arguments = {"sample_weight": weights if weighted else None, "levels": LEVELS, "n_draws": 400, "random_state": 0}
    whole, part = (noise_sweep(mlp, *held_out, rows=rows, **arguments) for rows in ("all", "sampled"))
    gap = (part.draws["score"] - whole.draws["score"]).to_numpy().reshape(len(LEVELS), 400)
    # The pilot looks at all rows.
    np.testing.assert_allclose(gap[:, :N_PILOT], 0.0, atol=1e-12)
    later = gap[:, N_PILOT:]
    error = later.std(axis=1, ddof=1) / np.sqrt(later.shape[1])
    assert (error > 0).all()
    # Four levels, two cases: 3.5 standard errors.
    assert (np.abs(later.mean(axis=1)) < 3.5 * error).all()


def test_every_row_is_unbiased(mlp, held_out):
    # One device, many choices of rows: each row's mean is its loss, 0 or 1.
    subject = sampled(mlp, *held_out)
    for _ in range(N_PILOT + 1):
        subject.draw(LEVELS)
    arrays = subject.noisy.at(LEVELS[2], subject.noisy.draw())
    truth = (adapt(mlp).predictor(held_out[0])(arrays) != held_out[1]).astype(float)
    n, rng = 3000, np.random.default_rng(0)
    looks = np.array([subject._look(2, arrays, rng.random(len(truth)))[1] for _ in range(n)])
    pi, q = subject.chances[2].inclusion, subject.chances[2].wrong
    expected_sd = np.abs(truth - q) * np.sqrt((1 - pi) / pi)
    # 797 rows, each within five standard errors, with room for the sums of few rare events.
    assert (np.abs(looks.mean(axis=0) - truth) <= 5.5 * expected_sd / np.sqrt(n) + 1e-9).all()


def test_fewer_row_evaluations_for_the_same_interval(mlp, held_out):
    subject = sampled(mlp, *held_out)
    n = 400
    scores = np.array([[score for score, _ in subject.draw(LEVELS)] for _ in range(n)])[N_PILOT:]
    whole = noise_sweep(mlp, *held_out, levels=LEVELS, n_draws=n, random_state=0).table["draw_sd"].to_numpy()
    draws = (scores.std(axis=0, ddof=1) / whole) ** 2
    evaluations = draws * [chance.inclusion.mean() for chance in subject.chances]
    # What is needed in the long run, after the pilot.
    assert (evaluations <= 0.25).all()


def test_the_choice_of_rows_is_counted_once(mlp, held_out):
    # draws_se holds it; the variance of the rows is that of all rows, in the mean over seeds.
    arguments = {"levels": LEVELS, "n_draws": 25}
    tables = [
        [noise_sweep(mlp, *held_out, rows=rows, random_state=seed, **arguments).table for rows in ("all", "sampled")]
        for seed in range(12)
    ]
    excess = np.array([part["rows_se"] ** 2 / whole["rows_se"] ** 2 - 1.0 for whole, part in tables])
    error = excess.std(axis=0, ddof=1) / np.sqrt(12)
    # Student's t with 11 degrees of freedom, four levels: 5 standard errors.
    assert (np.abs(excess.mean(axis=0)) < 5.0 * error).all()
    assert (error < 0.1).all()


@pytest.mark.slow
def test_intervals_cover():
    weights = np.array([1.0, -0.5, 0.3, 2.0, 0.0])
    rng, n_repeats, inside = np.random.default_rng(0), 250, 0
    X, everything = rng.normal(size=(500, 5)), rng.normal(size=(50_000, 5))
    model = LogisticRegression().fit(X, X @ weights + 0.5 * rng.normal(size=500) > 0)
    margin = model.decision_function(everything) * np.sign(everything @ weights + 0.5 * rng.normal(size=50_000))
    sigma = GaussianNoise("std").sigma(model.coef_, 0.6)
    truth = norm.cdf(margin / (sigma * np.linalg.norm(everything, axis=1))).mean()
    for seed in range(n_repeats):
        X = rng.normal(size=(100, 5))
        y = X @ weights + 0.5 * rng.normal(size=100) > 0
        row = noise_sweep(model, X, y, levels=0.6, n_draws=40, rows="sampled", random_state=seed).table.iloc[0]
        inside += row["ci_low"] <= truth <= row["ci_high"]
    assert inside >= binom.ppf(1e-4, n_repeats, 0.93)


def test_same_seed_same_numbers(mlp, held_out):
    arguments = {"levels": LEVELS, "n_draws": 12, "rows": "sampled"}
    runs = [noise_sweep(mlp, *held_out, random_state=seed, **arguments).draws for seed in (3, 3, 4)]
    assert runs[0].equals(runs[1])
    assert not runs[0].equals(runs[2])
    source = np.random.default_rng(0)
    assert not noise_sweep(mlp, *held_out, random_state=source, **arguments).draws.equals(
        noise_sweep(mlp, *held_out, random_state=source, **arguments).draws
    )


def test_the_report_tells(mlp, held_out):
    report = noise_sweep(mlp, *held_out, levels=LEVELS, n_draws=20, rows="sampled", random_state=0)
    assert "sampled after 8 draws: " in report.settings["rows"]
    assert any("rows are sampled: draw_sd" in note for note in report.notes)
    few = noise_sweep(mlp, *held_out, levels=LEVELS, n_draws=5, rows="sampled", random_state=0)
    assert few.settings["rows"] == "797 (sampled after 8 draws)"
    auto = noise_sweep(mlp, *held_out, levels=0.2, n_draws="auto", half_width=0.01, rows="sampled", random_state=0)
    assert auto.table["draws_se"].iloc[0] * 1.96 <= 0.01


@pytest.mark.parametrize("kind", ["two classes", "one score", "strange labels", "frame"])
def test_other_models_and_labels(kind, cancer, digits, rng):
    X, y = cancer
    if kind == "frame":
        X = pd.DataFrame(X).add_prefix("f")
    model = LogisticRegression().fit(X, y)
    if kind == "one score":
        coef = model.coef_[0].copy()
        model = ArrayModel([coef], lambda a, X: X @ a[0], roles=["kernel"], classes=[1, 0])
    if kind == "strange labels":
        X, y = digits
        model = LogisticRegression(max_iter=100).fit(X[:300], y[:300] % 4)
    arguments = {"levels": (0.3, 1.0), "n_draws": 200, "random_state": 0}
    whole, part = (noise_sweep(model, X, y, rows=rows, **arguments).table for rows in ("all", "sampled"))
    both = np.hypot(whole["draws_se"], part["draws_se"])
    assert (np.abs(whole["mean"] - part["mean"]) < 4 * both).all()


def test_noise_without_bound(mlp, held_out):
    report = noise_sweep(mlp, *held_out, levels=(0.0, 1e200), n_draws=12, rows="sampled", random_state=0)
    assert report.table.loc[0.0, "mean"] == pytest.approx(report.clean, abs=1e-12)
    assert np.isfinite(report.table["mean"]).all()


def test_what_it_is_not_for(mlp, held_out, linear, diabetes):
    with pytest.raises(ValueError, match=r"rows='sampled' needs accuracy .* got metric r2 of LinearRegression"):
        noise_sweep(linear, *diabetes, rows="sampled")
    with pytest.raises(ValueError, match="got metric top_2_accuracy"):
        noise_sweep(mlp, *held_out, metric="top_2_accuracy", rows="sampled")
    with pytest.raises(ValueError, match="rows='some' is not one of"):
        noise_sweep(mlp, *held_out, rows="some")


class TestChances:
    def test_predicted_by_hand(self):
        # Equal spreads in all rows: pooling changes nothing, and Student's t has 7 + 4 degrees of freedom.
        deviations = np.resize([-1.0, 1.0], 8)[:, None] * np.sqrt(7 / 8)
        margins = np.array([0.0, 2.0, -2.0, 100.0]) + deviations
        scale = np.sqrt(1 + 1 / 8)
        np.testing.assert_allclose(_predicted(margins), student_t.cdf(np.array([0.0, -2.0, 2.0, -100.0]) / scale, 11))

    def test_rows_that_cannot_change(self):
        margins = np.column_stack([np.full(8, -np.inf), np.full(8, np.nan), np.full(8, 3.0)])
        assert _predicted(margins).tolist() == [1.0, 0.5, 0.0]

    @given(spread=st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30), added=st.floats(1e-6, 1e3))
    def test_inclusion_adds_what_it_may(self, spread, added):
        spread = np.array(spread)
        pi = _inclusion(spread, added)
        assert ((pi >= _FLOOR) & (pi <= 1.0)).all()
        # The search is over twelve powers of ten.
        assert (spread**2) @ (1 / pi - 1) <= added * 1.001 or pi[spread > 1e-5 * spread.max()].min() == 1.0
        # In proportion where no limit holds.
        free = (pi > _FLOOR) & (pi < 1.0)
        if free.sum() > 1:
            ratio = pi[free] / spread[free]
            assert ratio.max() <= ratio.min() * (1 + 1e-9)


class TestRowsThatSeeEachOther:
    @pytest.mark.parametrize("share", [1.0, 0.001])
    def test_of_any_model(self, share, rng):
        X = rng.normal(size=(400, 3))
        model = ArrayModel([rng.normal(size=(3, 2))], lambda a, X: (X - share * X.mean(axis=0)) @ a[0], classes=[0, 1])
        y = model.predict(X)
        assert noise_sweep(model, X, y, levels=0.1, n_draws=2).clean == 1.0
        with pytest.raises(ValueError, match="rows='sampled' needs a model whose answer for a row does not depend on"):
            noise_sweep(model, X, y, levels=0.1, rows="sampled", n_draws=2)

    @pytest.mark.parametrize("n_rows", [2, 3, 5, 16])
    def test_of_few_rows(self, n_rows, rng):
        X, y = rng.normal(size=(n_rows, 3)), np.arange(n_rows) % 2
        apart = ArrayModel([rng.normal(size=(3, 2))], lambda a, X: X @ a[0], classes=[0, 1])
        together = ArrayModel(apart.arrays, lambda a, X: (X - X.mean(axis=0)) @ a[0], classes=[0, 1])
        noise_sweep(apart, X, y, levels=0.1, rows="sampled", n_draws=2)
        with pytest.raises(ValueError, match="does not depend on the others"):
            noise_sweep(together, X, y, levels=0.1, rows="sampled", n_draws=2)

    def test_batch_statistics(self, held_out):
        torch = pytest.importorskip("torch")
        norm = torch.nn.BatchNorm1d(16, track_running_stats=False)
        net = torch.nn.Sequential(torch.nn.Linear(64, 16), norm, torch.nn.ReLU(), torch.nn.Linear(16, 10))
        with pytest.raises(ValueError, match="scores of Sequential for 16 rows by themselves differ"):
            noise_sweep(net, *held_out, levels=0.1, rows="sampled", n_draws=2)
        # With running statistics rows are apart.
        net[1] = torch.nn.BatchNorm1d(16)
        noise_sweep(net, *held_out, levels=0.1, rows="sampled", n_draws=2)
