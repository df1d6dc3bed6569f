"""How much of each nonideality a model bears: closed forms, and sweeps on both sides of what is found."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from analog_eval import (
    PCM,
    ArrayModel,
    GaussianNoise,
    Periphery,
    ReRAM,
    TabulatedDevice,
    drift_sweep,
    noise_sweep,
    sensitivity,
)

STILL = TabulatedDevice(conductances=(0.0, 1.0), programming=(0.0, 0.0))
TARGET, N_DRAWS = 0.9, 10


@pytest.fixture(scope="module")
def exact():
    """A linear model without any error, whose losses are then those of the noise alone."""
    rng = np.random.default_rng(0)
    X, weights = rng.normal(size=(600, 8)), rng.normal(size=8)
    y = X @ weights
    return LinearRegression().fit(X, y), X, y


@pytest.fixture(scope="module")
def table(exact):
    return sensitivity(*exact, target=TARGET, n_draws=N_DRAWS, random_state=0, progress=False)


def test_what_the_table_holds(table):
    expected = ["programming_noise", "read_noise", "in_noise", "out_noise", "in_bits", "out_bits", "ir_drop"]
    assert sorted(table.index) == sorted([*expected, "drift_time"])
    assert table.columns.tolist() == [
        "critical",
        "ci_low",
        "ci_high",
        "unit",
        "standard",
        "margin",
        "margin_low",
        "margin_high",
    ]
    assert (table["ci_low"] <= table["critical"]).all()
    assert (table["critical"] <= table["ci_high"]).all()
    assert table.attrs == {
        "clean": pytest.approx(1.0), "metric": "r2", "target": TARGET, "notes": (), "analog_layers": ("coef_",),
        "digital_layers": (),
    }  # fmt: skip


def test_margins(table):
    chip = Periphery.standard()
    for name in ("read_noise", "out_noise", "ir_drop"):
        assert table.loc[name, "standard"] == getattr(chip, name)
        assert table.loc[name, "margin"] == table.loc[name, "critical"] / getattr(chip, name)
    # A step of eight bits, and one twice as wide for every bit less.
    assert (table.loc[["in_bits", "out_bits"], "standard"] == 8.0).all()
    for name in ("in_bits", "out_bits"):
        assert table.loc[name, "margin"] == np.prod([2.0] * int(8 - table.loc[name, "critical"]))
    # Each end has its own margin; more bits are less of one.
    for name in table.index.drop("in_noise"):
        ends = table.loc[name, ["ci_low", "ci_high"]].astype(float)
        margins = 2.0 ** (8.0 - ends[::-1]) if name.endswith("_bits") else ends / table.loc[name, "standard"]
        assert table.loc[name, ["margin_low", "margin_high"]].tolist() == margins.tolist()
    known = table.drop(index="in_noise")
    assert (known["margin_low"] <= known["margin"]).all()
    assert (known["margin"] <= known["margin_high"]).all()
    # 0.26348 + 1.9650 - 1.1731 uS of 25 uS.
    assert table.loc["programming_noise", "standard"] == pytest.approx(1.05538 / 25.0, rel=1e-12)
    assert table.loc["drift_time", "standard"] == 365 * 86400.0
    # The standard has no noise of inputs.
    assert table.loc["in_noise", "standard"] == 0.0
    assert table["margin"].isna().tolist() == [name == "in_noise" for name in table.index]
    assert table.index[-1] == "in_noise"
    assert table["margin"][:-1].is_monotonic_increasing


def test_a_margin_tells_whether_the_standard_is_borne(exact, table):
    bare = {"in_bits": None, "out_bits": None, "out_bound": np.inf, "out_noise": 0.0, "tile_shape": None}
    usual = {"device": STILL, "compensation": None, "times": 0.0, "random_state": 0, "progress": False}
    for name in ("read_noise", "out_noise", "ir_drop", "in_bits"):
        for factor in (0.5, 2.0):
            level = table.loc[name, "standard"] * table.loc[name, "margin"] * factor
            if name == "in_bits":
                level = int(8 - np.log2(table.loc[name, "margin"]) - np.log2(factor))
            periphery = Periphery(**(bare | {name: level}))
            report = drift_sweep(*exact, periphery=periphery, n_draws=N_DRAWS, **usual)
            assert (report.table["chance_corrected"].item() < TARGET) == (factor > 1.0)


def test_layers_that_it_concerns():
    rng = np.random.default_rng(0)
    X, W = rng.normal(size=(40, 3)), rng.normal(size=(3, 3))
    model = ArrayModel([np.eye(3), W], lambda a, X: np.einsum("ij,jk->ik", X, a[0]) @ a[1])
    usual = {"n_draws": 2, "random_state": 0, "progress": False}
    for names, analog, digital in (
        (("programming_noise", "in_bits"), ("arrays[1]",), ("arrays[0]",)),
        ("programming_noise", (), ()),
    ):
        table = sensitivity(model, X, X @ W, nonidealities=names, **usual)
        assert (table.attrs["analog_layers"], table.attrs["digital_layers"]) == (analog, digital)
    twice = ArrayModel([W], lambda a, X: X @ a[0] + X @ np.asarray(a[0]))
    table = sensitivity(twice, X, 2.0 * X @ W, nonidealities="in_bits", **usual)
    assert any("outside of products through the periphery" in note for note in table.attrs["notes"])


def test_devices_that_cannot_drift(exact):
    def fails(*_):
        raise AssertionError("the model was run")

    model = ArrayModel([np.ones((8, 1))], fails)
    with pytest.raises(TypeError, match=r"device must be a device such as PCM\(\), got 'x'"):
        sensitivity(model, *exact[1:], device="x")
    with pytest.raises(ValueError, match=r"device=ReRAM\(\) does not know all times from 1 second to 100 years"):
        sensitivity(model, *exact[1:], device=ReRAM(), nonidealities="drift_time")
    table = sensitivity(*exact, device=ReRAM(), nonidealities="in_bits", n_draws=2, random_state=0, progress=False)
    assert np.isfinite(table.loc["in_bits", "critical"])


def test_closed_forms(exact, table):
    # The score falls to the target where the mean squared error is a tenth of the variance.
    model, X, y = exact
    lost, peak = (1.0 - TARGET) * y.var(), np.abs(model.coef_).max()
    scale, shares = np.abs(X).max(axis=1), np.abs(model.coef_) / peak
    errors = {
        "out_noise": (scale * peak) ** 2,
        "in_noise": scale**2 * (model.coef_**2).sum(),
        "read_noise": peak**2 * (X**2 @ shares),
    }
    for name, squares in errors.items():
        # The mean of squared normal numbers, weighted; the level goes with its root, and 1 % is left to halving.
        spread = np.sqrt(2.0 * (squares**2).sum() / N_DRAWS) / squares.sum()
        assert abs(table.loc[name, "critical"] / np.sqrt(lost / squares.mean()) - 1.0) < 4.0 * spread / 2.0 + 0.01
    moments = np.linalg.eigvalsh(X.T @ X / len(X))
    spread = np.sqrt(2.0 * (moments**2).sum() / N_DRAWS) / moments.sum()
    expected = np.sqrt(lost / moments.sum()) / peak
    assert abs(table.loc["programming_noise", "critical"] / expected - 1.0) < 4.0 * spread / 2.0 + 0.01


def test_fewest_bits(exact, table):
    for name, bound in (("in_bits", np.inf), ("out_bits", 12.0)):
        settings = {"in_bits": None, "out_bits": None, "out_bound": bound, "out_noise": 0.0, "tile_shape": None}
        scores = {}
        for bits in range(2, 17):
            periphery = Periphery(**(settings | {name: bits}))
            report = drift_sweep(*exact, device=STILL, periphery=periphery, times=0.0, n_draws=1, progress=False)
            scores[bits] = report.table["chance_corrected"].item()
        fewest = max(bits for bits, score in scores.items() if score < TARGET) + 1
        assert 2 < fewest < 16
        assert table.loc[name, "critical"] == fewest


def test_the_score_is_on_the_target(exact, table):
    def share(report):
        return report.table["chance_corrected"].item()

    usual = {"n_draws": N_DRAWS, "random_state": 0, "progress": False}
    bare = {"in_bits": None, "out_bits": None, "out_bound": np.inf, "out_noise": 0.0, "tile_shape": None}

    def at(name, level):
        if name == "programming_noise":
            return share(noise_sweep(*exact, noise=GaussianNoise("absmax"), levels=level, **usual))
        if name == "drift_time":
            device = PCM(programming_scale=0.0, read_scale=0.0)
            return share(drift_sweep(*exact, device=device, times=level, **usual))
        periphery = Periphery(**(bare | {name: level}))
        return share(drift_sweep(*exact, device=STILL, compensation=None, periphery=periphery, times=0.0, **usual))

    found = table["critical"].drop(["in_bits", "out_bits"])
    found = found[np.isfinite(found)]
    assert {"read_noise", "in_noise", "out_noise", "programming_noise", "ir_drop"} <= set(found.index)
    for name, level in found.items():
        assert at(name, level / 1.02) > TARGET > at(name, level * 1.02)


def test_ends_of_the_search(exact):
    model, X, y = exact
    # No drift at all, and drift that is too much from the first second on.
    for exponent, spread, expected in ((0.0, 0.0, np.inf), (0.5, 5.0, 0.0)):
        device = TabulatedDevice(
            conductances=(0.0, 1.0), programming=(0.0, 0.0), exponent_mean=(exponent, exponent),
            exponent_sd=(spread, spread), t0=1e-3,
        )  # fmt: skip
        table = sensitivity(
            model, X, y, nonidealities="drift_time", device=device, n_draws=2, random_state=0, progress=False
        )
        assert table.loc["drift_time", "critical"] == expected


def test_same_seed_same_rows(exact, table):
    names = ["in_bits", "out_noise"]
    again = sensitivity(
        *exact, target=TARGET, nonidealities=names, n_draws=N_DRAWS, random_state=0, progress=False
    )  # fmt: skip
    pd.testing.assert_frame_equal(again, table.loc[names])


def test_arguments(exact):
    for settings, match in (
        ({"target": 1.0}, "target=1.0 must be a number > 0, below 1"),
        ({"target": "0.9"}, "target='0.9'"),
        ({"n_draws": 1}, "n_draws=1 must be >= 2"),
        ({"nonidealities": ("in_noise", "noise")}, r"=\['in_noise', 'noise'\] must be distinct names"),
        ({"nonidealities": ()}, r"nonidealities=\[\]"),
    ):
        with pytest.raises(ValueError, match=match):
            sensitivity(*exact, **settings)
