"""Comparisons: paired by draw and by row, adjusted for their number, and as blind as they should be to nothing."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, norm
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score

from analog_eval import ArrayModel, Comparison, DeviceNoise, GaussianNoise, compare, noise_sweep
from analog_eval.evaluation.metrics import Data, resolve_metric
from analog_eval.evaluation.statistics import Estimate, above_chance, holm


@pytest.fixture(scope="session")
def held_out(digits):
    return digits[0][1000:1400], digits[1][1000:1400]


class TestHolm:
    def test_by_hand(self):
        # Holm's own procedure: 4 * 0.01, then 3 * 0.02, 2 * 0.03, and 0.04 once, none below the one before.
        np.testing.assert_allclose(holm([0.04, 0.01, 0.03, 0.02]), [0.06, 0.04, 0.06, 0.06])
        np.testing.assert_allclose(holm([0.5, np.nan, 0.6]), [1.0, np.nan, 1.0])
        assert holm([]).size == 0
        assert np.isnan(holm([np.nan])).all()

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
    def test_properties(self, p):
        adjusted = holm(p)
        assert (adjusted >= p).all()
        assert (adjusted <= np.minimum(1.0, len(p) * np.array(p))).all()
        order = np.argsort(p, kind="stable")
        assert (np.diff(adjusted[order]) >= 0.0).all()


class TestPairing:
    def test_reports_are_those_of_sweeps(self, trained, held_out):
        comparison = compare(trained, *held_out, levels=(0.2, 0.4), n_draws=6, random_state=3)
        for name, model in trained.items():
            alone = noise_sweep(model, *held_out, levels=(0.2, 0.4), n_draws=6, random_state=3)
            pd.testing.assert_frame_equal(comparison.reports[name].table, alone.table)

    def test_differences_by_hand(self, trained, held_out):
        comparison = compare(trained, *held_out, levels=(0.2, 0.4), n_draws=6, random_state=3)
        scores = {n: r.draws["score"].to_numpy().reshape(2, 6) for n, r in comparison.reports.items()}
        for (a, b), part in comparison.table.groupby(level=["a", "b"], sort=False):
            paired = scores[a] - scores[b]
            np.testing.assert_allclose(part["difference"], paired.mean(axis=1), atol=1e-14)
            np.testing.assert_allclose(part["draws_se"], paired.std(axis=1, ddof=1) / np.sqrt(6), rtol=1e-9)
            average = comparison.average.loc[(a, b)]
            assert average["difference"] == pytest.approx(paired.mean())
            assert average["draws_se"] == pytest.approx(paired.mean(axis=0).std(ddof=1) / np.sqrt(6))
        assert comparison.table.index.names == ["a", "b", "level"]
        assert len(comparison.table) == 6

    def test_rows_by_hand(self):
        # Without noise: two regressors that answer 0 and 1.  Row differences of the squared errors are y^2 - (y - 1)^2.
        models = {
            "zero": ArrayModel([np.zeros((1, 1))], lambda a, X: (X @ a[0])[:, 0]),
            "one": ArrayModel([np.ones((1, 1))], lambda a, X: (X @ a[0])[:, 0]),
        }
        X, y = np.ones((4, 1)), np.array([0.0, 1.0, 2.0, 5.0])
        table = compare(models, X, y, metric="mse", levels=0.0, n_draws=2).table
        losses = y**2 - (y - 1) ** 2
        row = table.iloc[0]
        assert row["difference"] == pytest.approx(losses.mean())
        assert row["rows_se"] == pytest.approx(losses.std(ddof=1) / 2)
        assert row["draws_se"] == 0.0

    def test_a_model_is_no_better_than_itself(self, trained, held_out):
        same = {"one": trained["plain"], "two": trained["plain"]}
        comparison = compare(same, *held_out, n_draws=4, random_state=0)
        assert (comparison.table["difference"] == 0.0).all()
        assert (comparison.table["p_value"] == 1.0).all()
        assert (comparison.table["verdict"] == "").all()

    def test_order_and_reference(self, trained, held_out):
        arguments = {"levels": (0.2, 0.5), "n_draws": 5, "random_state": 0}
        forward = compare(trained, *held_out, **arguments).table
        backward = compare(dict(reversed(trained.items())), *held_out, **arguments).table
        one, other = forward.loc[("plain", "wide")], backward.loc[("wide", "plain")]
        np.testing.assert_allclose(one["difference"], -other["difference"])
        np.testing.assert_allclose(one["p_value"], other["p_value"])
        against = compare(trained, *held_out, reference="plain", **arguments)
        assert against.average.index.tolist() == [("decayed", "plain"), ("wide", "plain")]
        # A smaller family: the adjusted values can only be smaller.
        assert against.table.loc[("wide", "plain"), "p_holm"].max() <= other["p_holm"].max()

    def test_levels_of_one_model_differ_five_times_less_than_independent_draws(self, trained, held_out):
        scores = noise_sweep(trained["plain"], *held_out, levels=(0.3, 0.36), n_draws=400, random_state=0)
        low, high = scores.draws["score"].to_numpy().reshape(2, 400)
        # Independent draws would have the sum of the variances.
        assert low.var() + high.var() >= 5 * (low - high).var()

    def test_shared_numbers_beat_strangers_between_models(self, trained, held_out):
        arguments = {"levels": 0.2, "n_draws": 200}
        first = noise_sweep(trained["plain"], *held_out, random_state=0, **arguments).draws["score"]
        second, stranger = (
            noise_sweep(trained["decayed"], *held_out, random_state=seed, **arguments).draws["score"] for seed in (0, 1)
        )
        assert (first - second).var() < (first - stranger).var()

    def test_generators_are_advanced_once_and_shared(self, trained, held_out):
        same = {"one": trained["plain"], "two": trained["plain"]}
        for source in (None, np.random.default_rng(0), np.random.RandomState(0)):
            assert (compare(same, *held_out, n_draws=3, random_state=source).table["difference"] == 0.0).all()
        source = np.random.default_rng(0)
        runs = [compare(same, *held_out, n_draws=3, random_state=source).reports["one"].draws for _ in range(2)]
        assert not runs[0].equals(runs[1])


class TestVerdicts:
    def test_names_the_better_one(self, trained, held_out):
        table = compare(trained, *held_out, levels=(0.2, 0.6), n_draws=30, random_state=0).table
        found = table[table["verdict"] != ""]
        assert len(found)
        for (a, b, _), row in found.iterrows():
            assert row["verdict"] == (a if row["difference"] > 0 else b)
            assert row["p_holm"] < 0.05
        assert (table["p_holm"] >= table["p_value"]).all()

    def test_less_is_better_for_mse(self, diabetes):
        X, y = diabetes
        models = {"good": LinearRegression().fit(X, y), "bad": LinearRegression().fit(X[:20], y[:20])}
        for metric in ("mse", "neg_mean_squared_error", "r2"):
            comparison = compare(models, X, y, metric=metric, levels=0.05, random_state=0)
            assert comparison.table["verdict"].tolist() == ["good"]

    def test_normalized(self, trained, held_out):
        comparison = compare(trained, *held_out, levels=(0.3,), n_draws=8, quantity="normalized", random_state=0)
        ratios = {name: report.table["normalized"].iloc[0] for name, report in comparison.reports.items()}
        for (a, b, _), row in comparison.table.iterrows():
            assert row["difference"] == pytest.approx(ratios[a] - ratios[b])
        assert "normalized accuracy" in repr(comparison)

    def test_rows_of_a_ratio_agree_with_the_bootstrap(self, rng):
        losses = rng.random((2, 300)) < [[0.1], [0.4]]
        clean, noisy = (
            Estimate(np.full(2, 1 - x.mean()), -(x - x.mean()) / np.sqrt(300 * 299), 299.0, 2) for x in losses
        )
        picks = rng.integers(0, 300, size=(2000, 300))
        spread = ((1 - losses[1][picks].mean(axis=1)) / (1 - losses[0][picks].mean(axis=1))).std()
        # The bootstrap's relative error is 1 / sqrt(2 * 2000) = 1.6 %, four of them, and a percent of curvature.
        assert noisy.over(clean).rows_se == pytest.approx(spread, rel=0.075)
        assert noisy.over(clean).mean == pytest.approx(noisy.mean / clean.mean)

    @pytest.mark.parametrize("weighted", [False, True])
    def test_from_chance_to_clean_a_squared_error_goes_the_way_of_r2(self, diabetes, weighted):
        # (m - V) / (c - V) = (1 - m / V) / (1 - c / V), where the variance V of y moves with the rows on either side.
        X, y = diabetes
        models = {"all": LinearRegression().fit(X, y), "few": LinearRegression().fit(X[:40], y[:40])}
        weights = 1.0 + np.arange(len(y)) % 3 if weighted else None
        settings = {"levels": (0.3, 1.0), "n_draws": 6, "quantity": "chance_corrected", "random_state": 0}
        one, *others = (
            compare(models, X, y, metric=metric, sample_weight=weights, **settings)
            for metric in ("r2", "mse", "neg_mean_squared_error")
        )
        assert (one.table["rows_se"] > 0.0).all()
        for other in others:
            pd.testing.assert_frame_equal(other.table, one.table, rtol=1e-9)
            pd.testing.assert_frame_equal(other.average, one.average, rtol=1e-9)
            for name, report in other.reports.items():
                np.testing.assert_allclose(report.normalized_interval(), one.reports[name].normalized_interval())

    def test_rows_above_a_chance_that_moves_agree_with_the_bootstrap(self, rng):
        n = 300
        y = rng.normal(size=(n, 2))
        predicted = {"clean": y + 0.3 * rng.normal(size=(n, 2)), "noisy": y + 0.6 * rng.normal(size=(n, 2))}
        data = Data(None, y, None)
        metric = resolve_metric("mse", None, data, "regression", predict=lambda _: None)
        evaluations = (metric.score(p) for p in predicted.values())
        above = above_chance([Estimate.of(np.full(2, s), losses, metric, 2) for s, losses in evaluations], metric)

        def share(rows):
            chance = y[rows].var(axis=0).mean()
            clean, noisy = (((p - y) ** 2)[rows].mean() for p in predicted.values())
            return (noisy - chance) / (clean - chance)

        picks = rng.integers(0, n, size=(2000, n))
        spread = np.std([share(rows) for rows in picks])
        # As above.
        assert above[1].over(above[0]).rows_se == pytest.approx(spread, rel=0.075)

    def test_a_share_of_labels_is_taken_for_known(self, trained, held_out):
        comparison = compare(trained, *held_out, levels=0.3, n_draws=4, random_state=0)
        for report in comparison.reports.values():
            assert report.chance_covariance is None

    @pytest.mark.slow
    def test_false_findings_are_rare_and_intervals_cover(self):
        # Two classifiers whose weights mirror each other: over all rows and devices they are equally good.
        weights = np.array([1.0, -0.5, 0.3, 2.0])
        rng, n_repeats, findings, inside = np.random.default_rng(0), 250, 0, 0
        X = rng.normal(size=(400, 4))
        models = {}
        for name, mirror in {"left": np.array([1.0, 1.0, 1.0, 1.0]), "right": np.array([1.0, 1.0, -1.0, 1.0])}.items():
            model = LogisticRegression().fit(X, X @ weights + 0.3 * rng.normal(size=400) > 0)
            model.coef_, model.intercept_ = (weights * mirror)[None, :], np.zeros(1)
            models[name] = model
        for seed in range(n_repeats):
            X = rng.normal(size=(120, 4))
            # Labels that depend on the features that both weigh alike.
            y = X[:, [0, 1, 3]] @ weights[[0, 1, 3]] + 0.5 * rng.normal(size=120) > 0
            table = compare(models, X, y, levels=(0.2, 0.6), n_draws=10, random_state=seed).table
            findings += (table["verdict"] != "").any()
            inside += (table["ci_low"].iloc[1] <= 0.0) & (table["ci_high"].iloc[1] >= 0.0)
        assert findings <= binom.ppf(1 - 1e-4, n_repeats, 0.05)
        assert inside >= binom.ppf(1e-4, n_repeats, 0.93)


class TestClosedForm:
    def test_difference_of_two_linear_classifiers(self, cancer):
        X, y = cancer[0][300:], cancer[1][300:]
        models = {str(c): LogisticRegression(C=c).fit(cancer[0][:300], cancer[1][:300]) for c in (0.01, 10.0)}
        levels = (0.5, 1.0, 2.0)
        noise = GaussianNoise("std")
        table = compare(models, X, y, levels=levels, n_draws=400, random_state=0).table

        def accuracy(model, level):
            margin = model.decision_function(X) * np.where(y == 1, 1, -1)
            return norm.cdf(margin / (noise.sigma(model.coef_, level) * np.linalg.norm(X, axis=1))).mean()

        expected = np.array([accuracy(models["0.01"], level) - accuracy(models["10.0"], level) for level in levels])
        assert (np.abs(table["difference"] - expected) < 3 * table["draws_se"]).all()


class TestAuto:
    def test_half_width_is_that_of_the_differences(self, trained, held_out):
        pair = {name: trained[name] for name in ("plain", "decayed")}
        comparison = compare(pair, *held_out, levels=(0.2, 0.3), n_draws="auto", half_width=0.008, random_state=0)
        n = len(comparison.reports["plain"].draws) // 2
        assert n == len(comparison.reports["decayed"].draws) // 2
        assert (comparison.table["draws_se"] * 1.96 <= 0.008).all()
        assert n > 25
        short = compare(pair, *held_out, levels=0.3, n_draws="auto", half_width=1e-4, max_draws=30, random_state=0)
        assert any("max_draws=30" in note for note in short.notes)
        # It was not asked of the scores themselves.
        assert not any("max_draws" in note for report in short.reports.values() for note in report.notes)


class TestInput:
    def test_bad_ones(self, trained, held_out, diabetes, logistic):
        plain = trained["plain"]
        with pytest.raises(TypeError, match="models must map"):
            compare([plain, plain], *held_out)
        with pytest.raises(TypeError, match="names must be non-empty strings"):
            compare({1: plain, 2: plain}, *held_out)
        with pytest.raises(ValueError, match="at least 2 models"):
            compare({"a": plain}, *held_out)
        with pytest.raises(ValueError, match="reference='z' is not one of"):
            compare(trained, *held_out, reference="z")
        with pytest.raises(ValueError, match="quantity='ratio'"):
            compare(trained, *held_out, quantity="ratio")
        with pytest.raises(TypeError, match="noise must be"):
            compare(trained, *held_out, noise="std")
        regressor = LinearRegression().fit(*held_out)
        with pytest.raises(ValueError, match="models predict different things"):
            compare({"labels": plain, "numbers": regressor}, *held_out)

    def test_different_shapes_are_told(self, trained, held_out):
        comparison = compare(trained, *held_out, n_draws=2, random_state=0)
        assert len(comparison.notes) == 1
        assert "plain and wide, decayed and wide" in comparison.notes[0]

    def test_verdicts_without_a_rows_part_say_so(self, trained, held_out):
        by_name, by_function = (
            compare(trained, *held_out, metric=metric, levels=0.2, n_draws=4, random_state=0)
            for metric in ("accuracy", accuracy_score)
        )
        assert by_function.table["rows_se"].isna().all()
        assert "verdicts on accuracy_score rest on the draws alone" in repr(by_function)
        assert "rest on the draws alone" not in repr(by_name)

    def test_what_cannot_be_told_is_nan(self, trained, held_out, linear, diabetes):
        pair = {"a": trained["plain"], "b": trained["decayed"]}
        one_draw = compare(pair, *held_out, n_draws=1, random_state=0)
        assert one_draw.table[["ci_low", "p_value", "p_holm"]].isna().all(axis=None)
        assert (one_draw.table["verdict"] == "").all()
        clean_only = compare(pair, *held_out, levels=0.0, n_draws=2)
        assert clean_only.average["difference"].isna().all()
        ratio = compare({"a": linear, "b": linear}, *diabetes, metric="neg_mean_squared_error", quantity="normalized")
        assert ratio.table["difference"].isna().all()


class TestShown:
    @pytest.fixture
    def comparison(self, trained, held_out):
        return compare(trained, *held_out, levels=(0.2, 0.4), n_draws=5, random_state=0)

    def test_text_markdown_and_html(self, comparison):
        assert isinstance(comparison, Comparison)
        text, html = repr(comparison), comparison._repr_html_()
        for part in ("accuracy", "verdict", "95 %", "Holm", "plain", "average", "rows are shared"):
            assert part in text
            assert part in html
        assert html.count("<tr>") == 1 + 6 + 3
        lines = comparison.to_markdown(digits=2).splitlines()
        assert len(lines) == 2 + 6 + 3
        assert len({line.count("|") for line in lines}) == 1

    def test_times_are_in_words_under_noise_of_devices(self, trained, held_out):
        where = {"noise": DeviceNoise(), "levels": ("0s", "1d"), "n_draws": 2, "random_state": 0}
        pair = {name: trained[name] for name in ("plain", "decayed")}
        comparison = compare(pair, *held_out, **where)
        header, _, *lines = comparison.to_markdown().splitlines()
        assert header.startswith("| a | b | time |")
        assert [line.split(" | ")[2] for line in lines] == ["0s", "1d", "average"]
        header, _, *lines = comparison.reports["plain"].to_markdown().splitlines()
        assert [line.split(" | ")[0] for line in (header, *lines)] == ["| time", "| 0s", "| 1d"]
        # The tables themselves stay in seconds.
        assert comparison.table.index.get_level_values("level").tolist() == [0.0, 86400.0]

    def test_pickles(self, comparison):
        again = pickle.loads(pickle.dumps(comparison))
        assert repr(again) == repr(comparison)

    def test_plots(self, comparison):
        plt = pytest.importorskip("matplotlib.pyplot")
        plt.switch_backend("Agg")
        axes = comparison.plot()
        line = next(line for line in axes.get_lines() if line.get_label() == "plain - wide")
        np.testing.assert_allclose(line.get_ydata(), comparison.table.loc[("plain", "wide"), "difference"])
        assert "difference of accuracy" in axes.get_ylabel()
        labels = [line.get_label() for line in comparison.plot(kind="scores").get_lines()]
        assert set(comparison.reports) <= set(labels)
        with pytest.raises(ValueError, match="kind='pie'"):
            comparison.plot(kind="pie")
        plt.close("all")
