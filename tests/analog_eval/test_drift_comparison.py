"""Comparisons over time: those of the sweeps that they stand for, paired, and blind to nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from analog_eval import DeviceNoise, DriftReport, Periphery, compare, compare_drift, drift_sweep

TIMES = ("1h", "1y")
SECONDS = [3600.0, 31536000.0]


@pytest.fixture(scope="module")
def rows(digits):
    return digits[0][1000:1300], digits[1][1000:1300]


@pytest.fixture(scope="module")
def usual():
    return {"times": TIMES, "periphery": Periphery.standard(), "n_draws": 6, "progress": False, "random_state": 3}


@pytest.fixture(scope="module")
def calibrations(digits, trained):
    peaks = pd.Series({f"coefs_[{i}]": 1.0 + i for i in range(3)})
    return {"plain": digits[0][:1000], "decayed": peaks, "wide": None}


@pytest.fixture(scope="module")
def alone(trained, rows, usual, calibrations):
    return {name: drift_sweep(model, *rows, **usual, calibration=calibrations[name]) for name, model in trained.items()}


def test_reports_are_those_of_sweeps(trained, rows, usual, calibrations, alone):
    comparison = compare_drift(trained, *rows, **usual, calibration=calibrations)
    assert list(comparison.reports) == list(trained)
    for name, report in comparison.reports.items():
        assert isinstance(report, DriftReport)
        pd.testing.assert_frame_equal(report.table, alone[name].table)
        pd.testing.assert_frame_equal(report.iso_accuracy(), alone[name].iso_accuracy())
        assert report.settings == alone[name].settings
        assert (report.analog_layers, report.digital_layers) == (alone[name].analog_layers, alone[name].digital_layers)


@pytest.mark.parametrize("quantity", ["score", "normalized", "chance_corrected"])
def test_differences_by_hand(trained, rows, usual, calibrations, alone, quantity):
    comparison = compare_drift(trained, *rows, **usual, calibration=calibrations, quantity=quantity)
    assert comparison.table.index.names == ["a", "b", "seconds"]
    assert len(comparison.table) == 3 * 2

    def of(name):
        report = alone[name]
        start = report.chance if quantity == "chance_corrected" else 0.0
        unit = 1.0 if quantity == "score" else report.clean - start
        return (report.draws["score"].to_numpy().reshape(2, 6) - start) / unit

    for (a, b), part in comparison.table.groupby(level=["a", "b"], sort=False):
        paired = of(a) - of(b)
        assert part.index.get_level_values("seconds").tolist() == SECONDS
        np.testing.assert_allclose(part["difference"], paired.mean(axis=1), atol=1e-13)
        np.testing.assert_allclose(part["draws_se"], paired.std(axis=1, ddof=1) / np.sqrt(6), rtol=1e-9)
        assert comparison.average.loc[(a, b), "difference"] == pytest.approx(paired.mean(), abs=1e-13)


def test_what_it_compares_is_what_is_called_as_good_as_digital(trained, rows, usual):
    pair = {name: trained[name] for name in ("plain", "decayed")}
    comparison = compare_drift(pair, *rows, **usual, quantity="chance_corrected")
    one, other = (comparison.reports[name].iso_accuracy()["normalized"] for name in pair)
    np.testing.assert_allclose(comparison.table["difference"], (one - other).to_numpy(), atol=1e-13)


def test_without_periphery_it_is_a_comparison_under_the_noise_of_devices(trained, rows):
    settings = {"n_draws": 4, "reference": "plain", "progress": False, "random_state": 0}
    over_time = compare_drift(trained, *rows, times=TIMES, compensation="column", **settings)
    by_level = compare(trained, *rows, noise=DeviceNoise(compensation="column"), levels=SECONDS, **settings)
    pd.testing.assert_frame_equal(over_time.table.rename_axis(index=["a", "b", "level"]), by_level.table)
    pd.testing.assert_frame_equal(over_time.average, by_level.average)
    assert over_time.notes == by_level.notes


def test_a_model_is_no_better_than_itself(trained, rows, usual):
    same = {"one": trained["plain"], "two": trained["plain"]}
    for source in (0, None, np.random.default_rng(0)):
        for quantity in ("score", "chance_corrected"):
            settings = usual | {"random_state": source, "quantity": quantity}
            table = compare_drift(same, *rows, **settings).table
            assert (table["difference"] == 0.0).all()
            assert (table["p_value"] == 1.0).all()
            assert (table["verdict"] == "").all()


def test_calibrations_are_each_models_own(logistic, cancer):
    X, y = cancer
    same = {"clipped": logistic, "apart": logistic}
    chip = {"times": "1h", "periphery": Periphery.standard(), "progress": False, "random_state": 0}
    scales = {"clipped": {"coef_": 1e-3}, "apart": {"coef_": float(np.abs(X).max())}}
    comparison = compare_drift(same, X[300:], y[300:], calibration=scales, **chip)
    assert comparison.table["verdict"].tolist() == ["apart"]
    assert "calibration clipped: coef_ 0.001 | apart: coef_ 12.07, draws" in repr(comparison)
    # Scales by kernel are for all models alike.
    shared = compare_drift(same, X[300:], y[300:], calibration=scales["clipped"], **chip)
    assert (shared.table["difference"] == 0.0).all()
    with pytest.warns(
        UserWarning, match=r"inputs of narrow are greater than the input scale and were clipped: .* coef_'s"
    ):
        compare_drift(
            {"narrow": logistic, "wide": logistic}, X[300:], y[300:],
            calibration={"narrow": X[:300] / 100.0, "wide": 100.0 * X}, **chip,
        )  # fmt: skip


class TestChanceCorrected:
    @pytest.fixture
    def regressors(self, diabetes):
        X, y = diabetes
        return {"good": LinearRegression().fit(X[:300], y[:300]), "bad": LinearRegression().fit(X[:40], y[:40])}

    def test_squared_errors_agree_with_explained_variance(self, regressors, diabetes):
        # 1 - mse / v has chance 0, so that (v - mse) / (v - clean mse) is its share of the clean one.
        X, y = diabetes[0][300:], diabetes[1][300:]
        settings = {"times": TIMES, "quantity": "chance_corrected", "progress": False, "random_state": 0}
        errors, shares = (compare_drift(regressors, X, y, metric=metric, **settings) for metric in ("mse", "r2"))
        columns = ["difference", "draws_se"]
        pd.testing.assert_frame_equal(errors.table[columns], shares.table[columns], rtol=1e-9, atol=1e-13)

    def test_where_chance_is_0_it_is_normalized(self, regressors, diabetes):
        X, y = diabetes[0][300:], diabetes[1][300:]
        pair = (
            compare(regressors, X, y, levels=(0.05, 0.2), quantity=quantity, progress=False, random_state=0).table
            for quantity in ("normalized", "chance_corrected")
        )
        pd.testing.assert_frame_equal(*pair)

    def test_more_is_better_also_for_errors(self, diabetes):
        # The same coefficients, once with a bias that makes the clean error larger: the noise adds as much to both, so
        # the one with less above chance loses more of it.
        X, y = diabetes
        sound, shifted = LinearRegression().fit(X, y), LinearRegression().fit(X, y)
        shifted.intercept_ += 40.0
        settings = {"levels": 0.3, "metric": "mse", "quantity": "chance_corrected", "n_draws": 50, "random_state": 0}
        row = compare({"sound": sound, "shifted": shifted}, X, y, progress=False, **settings).table.iloc[0]
        assert row["difference"] > 0.0
        assert row["verdict"] == "sound"

    def test_unknown_chance_is_nan(self, trained, rows):
        pair = {name: trained[name] for name in ("plain", "decayed")}
        table = compare(
            pair, *rows, metric="neg_log_loss", levels=0.2, n_draws=2, quantity="chance_corrected", progress=False
        ).table
        assert table["difference"].isna().all()


def test_bad_arguments(trained, rows, usual):
    settings = usual | {"n_draws": 1}
    with pytest.raises(
        ValueError, match=r"calibration names \['plain'\], but the models are \['plain', 'decayed', 'wide'\]"
    ):
        compare_drift(trained, *rows, **settings, calibration={"plain": rows[0]})
    with pytest.raises(ValueError, match=r"calibration names \['nowhere'\], but the kernels of the model are"):
        compare_drift(trained, *rows, **settings, calibration={"nowhere": 1.0})
    with pytest.raises(
        ValueError, match=r"^calibration names \['A', 'B'\], but the models are \['plain', 'decayed', 'wide'\]$"
    ):
        compare_drift(trained, *rows, **settings, calibration={"A": rows[0], "B": rows[0]})
    scales = {name: {"coefs_[0]": 1.0} for name in trained}
    for wrong, match in (
        ({"coefs_[0]": -1.0}, r"calibration\['coefs_\[0\]'\]=-1.0 must be"),
        ({"coef_": 1.0}, r"calibration names \['coef_'\], but the kernels of the model are"),
        (rows[0][:0], r"calibration must have rows, got shape \(0, 64\)"),
    ):
        with pytest.raises(ValueError, match=f"^model 'decayed': {match}"):
            compare_drift(trained, *rows, **settings, calibration=scales | {"decayed": wrong})
    with pytest.raises(ValueError, match="calibration needs a periphery"):
        compare_drift(trained, *rows, **settings | {"periphery": None}, calibration=rows[0])
    with pytest.raises(ValueError, match="at least 2 models"):
        compare_drift({"plain": trained["plain"]}, *rows, **settings)
    with pytest.raises(ValueError, match="quantity='ratio' is not one of 'score', 'normalized', 'chance_corrected'"):
        compare_drift(trained, *rows, **settings, quantity="ratio")
    with pytest.raises(ValueError, match="times='1 fortnight'"):
        compare_drift(trained, *rows, **settings | {"times": "1 fortnight"})
    with pytest.raises(TypeError, match="n_draws must be an int"):
        compare_drift(trained, *rows, **settings | {"n_draws": "auto"})
