"""Sweeps over time: compensation by hand, closed forms, verdicts, and models of every kind."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from analog_eval import (
    PCM,
    ArrayModel,
    DeviceNoise,
    DriftReport,
    GaussianNoise,
    ReRAM,
    StuckDevices,
    TabulatedDevice,
    compare,
    drift_sweep,
    inject_noise,
    layer_sensitivity,
    noise_sweep,
)
from analog_eval.adapters import adapt
from analog_eval.injection import NoisyTensors

# Drifts, and does nothing else: by t^-0.1 at 10 uS, by t^-0.02 at 5 uS.
DRIFTING = TabulatedDevice(
    conductances=(0.0, 5.0, 10.0), programming=(0.0, 0.0, 0.0), exponent_mean=(0.0, 0.02, 0.1), t0=1.0
)
# Is programmed inexactly, never drifts, and is far from 0.
INEXACT = TabulatedDevice(conductances=(10.0, 20.0), programming=(0.5, 0.5), g_min=10.0)
YEAR = 365 * 86400.0


def decay(exponent, seconds):
    return (1.0 + seconds) ** -exponent


class TestCompensation:
    weights = np.array([[1.0, 0.5], [-1.0, 0.5], [1.0, -0.5]])

    def noisy(self, compensation, weights=None, **kwargs):
        return DeviceNoise(DRIFTING, compensation, **kwargs)(self.weights if weights is None else weights, 999.0)

    def test_none(self):
        expected = self.weights * [decay(0.1, 999.0), decay(0.02, 999.0)]
        np.testing.assert_allclose(self.noisy(None), expected, rtol=1e-12)

    def test_global(self):
        left = np.array([decay(0.1, 999.0), decay(0.02, 999.0)])
        factor = 0.75 / np.mean(left * [1.0, 0.5])
        np.testing.assert_allclose(self.noisy("global"), self.weights * left * factor, rtol=1e-12)

    def test_column(self):
        np.testing.assert_allclose(self.noisy("column", output_axis=1), self.weights, rtol=1e-12)
        np.testing.assert_allclose(self.noisy("column", output_axis=-1), self.weights, rtol=1e-12)
        transposed = self.noisy("column", self.weights.T, output_axis=0)
        np.testing.assert_allclose(transposed, self.weights.T, rtol=1e-12)
        assert not np.allclose(self.noisy("column", output_axis=0), self.weights, rtol=0.01)

    def test_a_vector_has_one_output(self):
        vector = np.array([1.0, 0.5, -1.0])
        np.testing.assert_array_equal(self.noisy("column", vector), self.noisy("global", vector))

    @pytest.mark.parametrize("device", [PCM(), ReRAM()], ids=repr)
    def test_what_is_read_out_stays(self, device, rng):
        weights = rng.normal(size=(40, 30))
        noise = DeviceNoise(device)
        programming = noise.draw(weights.shape, rng)
        first = programming.of(weights, device)
        before = np.abs(device.read(first, device.first_time, noise=False)).mean()
        for seconds in (1.0, 86400.0):
            read = noise.perturb(weights, seconds, programming, noise.measure(weights))
            assert np.abs(read).mean() == pytest.approx(before, rel=1e-12)
            assert programming.of(weights, device) is first

    def test_nothing_to_make_up_for(self):
        for compensation in ("global", "column"):
            noise = DeviceNoise(PCM(), compensation, output_axis=0)
            assert not noise(np.zeros((3, 2)), YEAR).any()
            assert noise(np.zeros((0, 2)), YEAR).shape == (0, 2)
        # A column of zeros keeps the noise of its devices, and no factor out of nowhere.
        weights = np.array([[0.0, 1.0], [0.0, -1.0]])
        assert np.isfinite(DeviceNoise(PCM(), "column", output_axis=1)(weights, YEAR, random_state=0)).all()

    def test_unknown(self):
        with pytest.raises(ValueError, match="compensation='row' is not one of 'global', 'column', None"):
            DeviceNoise(PCM(), "row")
        with pytest.raises(TypeError, match="device must be a device such as PCM"):
            DeviceNoise(GaussianNoise())
        with pytest.raises(ValueError, match=r"axis of a tensor of shape \(3, 2\) its outputs lie"):
            self.noisy("column")
        for axis in (2, -3):
            with pytest.raises(ValueError, match=rf"output_axis={axis} is no axis of a tensor of shape \(3, 2\)"):
                DeviceNoise(PCM(), "column", output_axis=axis)(np.ones((3, 2)), 1.0)
        with pytest.raises(TypeError, match=r"output_axis must be an int or None, got 0.5"):
            DeviceNoise(PCM(), "column", output_axis=0.5)
        with pytest.raises(ValueError, match="level='1 fortnight' is not a number >= 0 with one of the units"):
            DeviceNoise()(np.ones(3), "1 fortnight")
        with pytest.raises(TypeError, match="level=b'1d' is not a number of seconds"):
            DeviceNoise()(np.ones(3), b"1d")


class TestClosedForms:
    def test_squared_error_of_a_linear_regressor(self, linear, diabetes):
        X, y = diabetes[0][300:], diabetes[1][300:]
        report = drift_sweep(linear, X, y, device=INEXACT, times=0, n_draws=400, metric="mse", random_state=0)
        peak = np.abs(linear.coef_).max()
        expected = report.clean + 2 * 0.5**2 * (peak / 10.0) ** 2 * (X**2).sum(axis=1).mean()
        row = report.table.loc[0.0]
        # Global compensation makes up for a mean that is a little above what it was, by less than this.
        assert abs(row["mean"] - expected) < 4 * row["draws_se"]

    def test_drift_alone_shrinks_predictions(self, linear, diabetes):
        X, y = diabetes[0][300:], diabetes[1][300:]
        device = TabulatedDevice(conductances=(0.0, 9.0), programming=(0.0, 0.0), exponent_mean=(0.1, 0.1), t0=20.0)
        times = ("0s", "1h", "1y")
        plain, compensated = (
            drift_sweep(linear, X, y, device=device, times=times, compensation=c, metric="mse", n_draws=2)
            for c in (None, "global")
        )
        for seconds in (0.0, 3600.0, YEAR):
            factor = (seconds / 20.0 + 1.0) ** -0.1
            expected = np.mean((X @ linear.coef_ * factor + linear.intercept_ - y) ** 2)
            assert plain.table.loc[seconds, "mean"] == pytest.approx(expected, rel=1e-12)
            assert compensated.table.loc[seconds, "mean"] == pytest.approx(plain.clean, rel=1e-12)


class TestDraws:
    def test_same_seed_same_numbers_whatever_else_is_asked(self, mlp, digits):
        X, y = digits[0][1000:], digits[1][1000:]
        few = drift_sweep(mlp, X, y, times=("1h", "1mo"), n_draws=2, random_state=0)
        more = drift_sweep(mlp, X, y, times=(0, "1h", 86400, "1mo"), n_draws=4, random_state=0)
        wide = [report.draws.pivot(index="seconds", columns="draw", values="score") for report in (few, more)]
        pd.testing.assert_frame_equal(wide[0], wide[1].loc[[3600.0, 2592000.0], [0, 1]])

    def test_times_share_their_programming(self, mlp, digits):
        X, y = digits[0][1000:], digits[1][1000:]
        wide = drift_sweep(mlp, X, y, device=PCM(programming_scale=3.0), random_state=0).draws.pivot(
            index="draw", columns="seconds", values="score"
        )
        near, far = wide[25.0], wide[3600.0]
        # Half of what independent programmings would give, and much less.
        assert (far - near).var() < 0.5 * (far.var() + near.var())

    def test_the_model_is_left_alone(self, mlp, digits):
        before = [array.tobytes() for array in (*mlp.coefs_, *mlp.intercepts_)]
        drift_sweep(mlp, *digits, n_draws=1)
        assert [array.tobytes() for array in (*mlp.coefs_, *mlp.intercepts_)] == before

    def test_an_injection_is_the_first_draw(self, mlp, digits):
        X, y = digits[0][1000:], digits[1][1000:]
        report = drift_sweep(mlp, X, y, times="1d", n_draws=1, random_state=3)
        with inject_noise(mlp, DeviceNoise(), 86400.0, random_state=3) as noisy:
            assert noisy.score(X, y) == report.draws["score"][0]

    def test_devices_suit_the_other_functions(self, trained, digits):
        X, y = digits[0][1000:], digits[1][1000:]
        pair = {"plain": trained["plain"], "decayed": trained["decayed"]}
        noise = DeviceNoise(PCM(), "column")
        assert len(compare(pair, X, y, noise=noise, levels=(25.0, YEAR), n_draws=3, random_state=0).table) == 2
        assert len(layer_sensitivity(trained["plain"], X, y, noise=noise, level=YEAR, n_draws=3)) == 3
        both = DeviceNoise(PCM()).at(YEAR) + GaussianNoise()
        assert len(noise_sweep(trained["plain"], X, y, noise=both, levels=(0.1, 0.2), n_draws=3).table) == 2

    def test_times_in_words_wherever_a_level_is_asked_for(self, cancer):
        X, y = cancer[0][:200], cancer[1][:200]
        model = LogisticRegression(max_iter=50).fit(X, y)
        noise, usual = DeviceNoise(PCM()), {"n_draws": 2, "random_state": 0, "progress": False}
        # A fixed part of a sum has a level of its own, and does not mind that of the others.
        for kind in (noise, noise + GaussianNoise().at(0.1), GaussianNoise().at(0.1) + noise):
            numbers = noise_sweep(model, X, y, noise=kind, levels=(86400.0, YEAR), **usual)
            for times in (("1d", "1y"), ["1y", 86400], np.array(["1d", "1y"])):
                words = noise_sweep(model, X, y, noise=kind, levels=times, **usual)
                pd.testing.assert_frame_equal(words.draws, numbers.draws)
        pair = compare({"a": model, "b": model}, X, y, noise=noise, levels=("1d", "1y"), **usual)
        assert pair.reports["a"].table.index.tolist() == [86400.0, YEAR]
        layers = [layer_sensitivity(model, X, y, noise=noise, level=level, **usual) for level in ("1d", 86400.0)]
        pd.testing.assert_frame_equal(*layers)
        weights = []
        for level in ("1d", 86400.0):
            with inject_noise(model, noise, level, random_state=0) as noisy:
                weights.append(noisy.coef_.copy())
        np.testing.assert_array_equal(*weights)
        assert noise.at("1d") == noise.at(86400.0)
        with pytest.raises(ValueError, match="level='1 day' is not a number >= 0 with one of the units"):
            noise_sweep(model, X, y, noise=noise, levels=("1h", "1 day"))
        for other in (GaussianNoise(), StuckDevices()):
            with pytest.raises(TypeError, match="level='1d' is not a number"):
                noise_sweep(model, X, y, noise=other, levels="1d")


class TestModels:
    def test_arrays_match_the_estimator(self, cancer):
        X, y = cancer
        estimator = LogisticRegression().fit(X[:300], y[:300])
        arrays = ArrayModel(
            [estimator.coef_, estimator.intercept_], lambda a, X: (X @ a[0].T + a[1]).ravel(), classes=[0, 1]
        )
        pair = [drift_sweep(model, X[300:], y[300:], n_draws=5, random_state=0) for model in (estimator, arrays)]
        pd.testing.assert_frame_equal(pair[0].table, pair[1].table)

    @pytest.mark.parametrize("compensation", ["global", "column", None])
    def test_pipelines(self, digits, compensation):
        X, y = digits
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200)).fit(X[:600], y[:600])
        report = drift_sweep(model, X[600:], y[600:], compensation=compensation, n_draws=3, random_state=0)
        assert report.settings["compensation"] == str(compensation)
        assert report.table["mean"].between(0.3, 1.0).all()

    def test_columns_of_every_adapter(self, digits):
        X, y = digits[0][:400], digits[1][:400]
        # Each output has weights of one size, so that factors per output restore the model exactly.
        sizes = np.repeat([1.0, 0.5], 5)
        kernel = np.sign(np.random.default_rng(0).normal(size=(64, 10))) * sizes
        outputs_last = ArrayModel([kernel], lambda a, X: X @ a[0], classes=range(10), output_axis=1)
        outputs_first = ArrayModel([kernel.T], lambda a, X: X @ a[0].T, classes=range(10), output_axis=0)
        estimator = LogisticRegression(max_iter=5).set_params(fit_intercept=False)
        with pytest.warns(match="lbfgs"):
            estimator.fit(X, y)
        estimator.coef_ = kernel.T
        usual = {"device": DRIFTING, "times": "1y", "n_draws": 2}
        for model in (outputs_last, outputs_first, estimator):
            column = drift_sweep(model, X, y, compensation="column", **usual)
            assert column.table["mean"].item() == pytest.approx(column.clean, rel=1e-12)
            assert drift_sweep(model, X, y, compensation="global", **usual).table["mean"].item() != column.clean
        unknown = ArrayModel([kernel], lambda a, X: X @ a[0], classes=range(10))
        with pytest.raises(ValueError, match="output_axis to DeviceNoise, or to ArrayModel"):
            drift_sweep(unknown, X, y, compensation="column")

    def test_zero_layers_are_named(self, cancer):
        model = ArrayModel({"a": np.zeros((30, 2)), "b": np.ones((30, 2))}, lambda a, X: X @ (a["a"] + a["b"]))
        y = np.zeros((len(cancer[0]), 2))
        report = drift_sweep(model, cancer[0], y, metric="mse", n_draws=2)
        assert any(note.startswith("no noise on arrays['a']:") for note in report.notes)


class TestModules:
    @pytest.fixture
    def torch(self):
        return pytest.importorskip("torch")

    def test_columns_of_layers(self, torch, rng):
        sizes = torch.tensor([1.0, 0.5])
        linear, conv = torch.nn.Linear(6, 2), torch.nn.Conv1d(1, 2, 3)
        transposed = torch.nn.ConvTranspose1d(1, 2, 3)
        for layer, shape in ((linear, (2, 1)), (conv, (2, 1, 1)), (transposed, (1, 2, 1))):
            with torch.no_grad():
                layer.weight.copy_(torch.sign(torch.randn_like(layer.weight)) * sizes.reshape(shape))
            view = layer if layer is linear else torch.nn.Sequential(torch.nn.Unflatten(1, (1, 6)), layer)
            module = torch.nn.Sequential(view, torch.nn.Flatten())
            X = rng.normal(size=(20, 6)).astype(np.float32)
            y = module(torch.from_numpy(X)).detach().numpy().astype(np.float64)
            usual = {"device": DRIFTING, "times": "1y", "n_draws": 1, "metric": "mse"}
            assert drift_sweep(module, X, y, compensation="column", **usual).table["mean"].item() < 1e-10
            assert drift_sweep(module, X, y, compensation="global", **usual).table["mean"].item() > 1e-3

    def test_a_parameter_that_is_a_single_number(self, torch, rng):
        class Scaled(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.factor = torch.nn.Parameter(torch.tensor(2.0))

            def forward(self, x):
                return self.factor * x

        X = rng.normal(size=(30, 2)).astype(np.float32)
        arguments = {"noise": DeviceNoise(compensation=None), "levels": 0.0, "targets": "parameters", "metric": "mse"}
        report = noise_sweep(Scaled(), X, 2.0 * X, n_draws=400, random_state=0, **arguments)
        factors = np.array([DeviceNoise(compensation=None)(2.0, 0.0, random_state=seed) for seed in range(400)])
        expected = (X**2).mean() * (factors - 2.0) ** 2
        error = np.hypot(report.table["draws_se"].iloc[0], expected.std() / 20)
        assert abs(report.table["mean"].iloc[0] - expected.mean()) < 4 * error

    def test_tied_weights_are_programmed_once(self, torch, rng):
        first, second = torch.nn.Linear(4, 4, bias=False), torch.nn.Linear(4, 4, bias=False)
        second.weight = first.weight
        with torch.no_grad():
            first.weight.copy_(torch.eye(4))
        module = torch.nn.Sequential(first, second)
        X = rng.normal(size=(30, 4)).astype(np.float32)
        seen = []
        metric = lambda truth, answers: seen.append(answers) or 0.0  # noqa: E731
        drift_sweep(module, X, X.astype(np.float64), times="1d", n_draws=1, metric=metric, random_state=0)
        product = np.linalg.lstsq(X, seen[-1], rcond=None)[0]
        # One noisy matrix, applied twice; two programmings of it would give the product of two.
        noisy = NoisyTensors(adapt(module), DeviceNoise(), "weights", 0)
        assert len(noisy.clean) == 1
        weight = noisy.at(86400.0, noisy.draw())[0].T
        np.testing.assert_allclose(product, weight @ weight, atol=1e-5)

    def test_a_module_and_its_estimator(self, torch, mlp, digits):
        X, y = digits[0][1000:], digits[1][1000:]
        layers = []
        for kernel, bias in zip(mlp.coefs_, mlp.intercepts_, strict=True):
            layer = torch.nn.Linear(*kernel.shape).double()
            with torch.no_grad():
                layer.weight.copy_(torch.from_numpy(kernel.T))
                layer.bias.copy_(torch.from_numpy(bias))
            layers += [layer, torch.nn.ReLU()]
        module = torch.nn.Sequential(*layers[:-1])
        own, other = (drift_sweep(model, X, y, n_draws=40, random_state=0) for model in (mlp, module))
        assert own.clean == other.clean
        # Transposed kernels get other random numbers, so the two agree as two samples do.
        se = np.hypot(own.table["draws_se"], other.table["draws_se"])
        assert (abs(own.table["mean"] - other.table["mean"]) < 4 * se).all()


def report_of(means, *, clean=0.9, chance=0.1, sd=0.0, rows=None, times=(25.0, 3600.0, 2592000.0)):
    """Return a report with given numbers."""
    n_times, n_draws = len(means), 4
    scores = np.array(means)[:, None] + sd * np.array([-1.0, 1.0, -1.0, 1.0]) * np.sqrt(3 / 4)
    table = pd.DataFrame(
        {
            "mean": means,
            "ci_low": means,
            "ci_high": means,
            "normalized": np.array(means) / clean,
            "chance_corrected": (np.array(means) - chance) / (clean - chance),
            "draws_se": sd / 2,
            "n_draws": n_draws,
        },
        index=pd.Index(times, name="seconds"),
    )
    draws = {
        "seconds": np.repeat(times, n_draws),
        "draw": np.tile(np.arange(n_draws), n_times),
        "score": scores.ravel(),
    }
    covariance = np.zeros((n_times + 1, n_times + 1)) if rows is None else rows
    return DriftReport(
        table=table,
        clean=clean,
        chance=chance,
        draws=pd.DataFrame(draws),
        rows_covariance=covariance,
        metric="accuracy",
        noisy=np.ones(n_times, dtype=bool),
        settings={"model": "M"},
        level_label="time since programming (s)",
        clean_level=float("nan"),
        covers="",
        notes=(),
    )


class TestVerdicts:
    def test_without_uncertainty(self):
        report = report_of([0.9, 0.892, 0.8919])
        verdicts = report.iso_accuracy()
        assert verdicts["time"].tolist() == ["25s", "1h", "1mo"]
        np.testing.assert_allclose(verdicts["normalized"], [1.0, 0.99, 0.989875])
        assert verdicts["verdict"].tolist()[::2] == ["holds", "fails"]
        assert report.first_failing() == 2592000.0
        assert report.first_failing(0.9) == np.inf
        assert report.variation() == pytest.approx((-0.0081, -0.0081, -0.0081))
        assert report.variation("25s", 3600).change == pytest.approx(-0.008)

    def test_devices_that_differ(self):
        report = report_of([0.9, 0.89, 0.5], sd=0.01)
        verdicts = report.iso_accuracy()
        # Student's t with 3 degrees of freedom, a standard error of 0.005, in units of 0.8.
        half = 3.182446 * 0.005 / 0.8
        np.testing.assert_allclose(verdicts["ci_high"] - verdicts["normalized"], half, rtol=1e-5)
        assert verdicts["verdict"].tolist() == ["open", "open", "fails"]
        # The same devices at both times: what they have in common cancels.
        assert report.variation("25s", "1h") == pytest.approx((-0.01, -0.01, -0.01))

    def test_rows_in_common(self):
        # Every row moves the clean score by a deviation of 0.02, and the scores by as much at 25 s, 0.05 at a month.
        moves = np.array([0.02, 0.02, 0.02, 0.05])
        report = report_of([0.9, 0.9, 0.7], rows=np.outer(moves, moves))
        verdicts = report.iso_accuracy()
        half = 1.959964 * abs(0.05 - 0.75 * 0.02) / 0.8
        assert verdicts["ci_high"].iloc[2] - 0.75 == pytest.approx(half, rel=1e-5)
        assert verdicts["verdict"].tolist() == ["holds", "holds", "fails"]
        change = report.variation()
        assert change.ci_high - change.change == pytest.approx(1.959964 * 0.03, rel=1e-5)

    def test_one_row_says_nothing(self, logistic, cancer):
        report = drift_sweep(logistic, cancer[0][:1], cancer[1][:1], n_draws=3, random_state=0)
        report = DriftReport(**vars(report) | {"chance": float("nan")})
        assert report.table["normalized"].iloc[0] == 1.0
        assert (report.iso_accuracy()["verdict"] == "").all()
        assert np.isnan(report.first_failing())
        assert np.isnan(report.variation()[1:]).all()

    def test_no_verdict_is_no_promise(self):
        # Open at all times: no time fails for sure.
        assert report_of([0.9, 0.89, 0.89], sd=0.02).first_failing() == np.inf

    def test_no_chance_score(self):
        report = report_of([0.9, 0.88, 0.8], chance=float("nan"))
        np.testing.assert_allclose(report.iso_accuracy()["normalized"], [1.0, 0.88 / 0.9, 0.8 / 0.9])

    def test_less_is_better(self, linear, diabetes):
        X, y = diabetes[0][300:], diabetes[1][300:]
        report = drift_sweep(linear, X, y, metric="mse", times=("1y",), compensation=None, random_state=0)
        verdicts = report.iso_accuracy()
        assert verdicts["verdict"].tolist() == ["fails"]
        # What is judged is the share of the way from the variance of y to the clean error, never the ratio of errors.
        row = report.table.iloc[0]
        share = (np.var(y) - row["mean"]) / (np.var(y) - report.clean)
        assert verdicts["normalized"].item() == pytest.approx(share) == pytest.approx(row["chance_corrected"])
        assert row["normalized"] == pytest.approx(row["mean"] / report.clean)
        assert "as good as digital (chance_corrected >= 99 %): fails at 1y" in repr(report)
        assert "normalized is mean / clean: more than 1 is worse, as less mse is better" in report.notes

    def test_at_chance(self):
        X, y = np.zeros((10, 2)), np.repeat([0, 1], 5)
        report = drift_sweep(ArrayModel([np.ones((2, 2))], lambda a, X: X @ a[0], classes=[0, 1]), X, y)
        assert report.iso_accuracy()["verdict"].tolist() == [""] * 5
        assert "not known" in repr(report)

    def test_bad_targets_and_times(self):
        report = report_of([0.9, 0.8, 0.7])
        for bad in (0.0, 1.5, np.nan, "1"):
            with pytest.raises(ValueError, match="target="):
                report.iso_accuracy(bad)
        with pytest.raises(ValueError, match="end='1y' is not one of the sweep's times: 25s, 1h, 1mo"):
            report.variation(end="1y")


class TestArguments:
    def test_times(self, logistic, cancer):
        usual = {"n_draws": 1, "random_state": 0}
        report = drift_sweep(logistic, *cancer, times=["1y", 0, np.float64(60)], **usual)
        assert report.table.index.tolist() == [0.0, 60.0, YEAR]
        for bad, match in (
            ((), "times is empty"),
            (("1d", 86400.0), r"times holds \['1d'\] more than once"),
            (("1 fortnight",), "times='1 fortnight' is not a number >= 0 with one of the units s, min, h, d, mo, y"),
            ((-1.0,), "times=-1.0 must be from 0 s to 1000 years"),
            (("2000y",), "times='2000y' must be from 0 s"),
        ):
            with pytest.raises(ValueError, match=match):
                drift_sweep(logistic, *cancer, times=bad, **usual)
        with pytest.raises(TypeError, match="times=None"):
            drift_sweep(logistic, *cancer, times=None, **usual)
        with pytest.raises(ValueError, match="times='25s' is none of the times that were measured: 1s, 1d, 2d"):
            drift_sweep(logistic, *cancer, device=ReRAM(), **usual)
        assert len(drift_sweep(logistic, *cancer, device=ReRAM(), times=("1s", "2d"), **usual).table) == 2

    def test_others(self, logistic, cancer):
        with pytest.raises(TypeError, match="device must be"):
            drift_sweep(logistic, *cancer, device="PCM")
        with pytest.raises(ValueError, match="compensation='row'"):
            drift_sweep(logistic, *cancer, compensation="row")
        for bad, error in ((0, ValueError), ("auto", TypeError)):
            with pytest.raises(error, match="n_draws"):
                drift_sweep(logistic, *cancer, n_draws=bad)


class TestShowing:
    def test_text(self):
        report = report_of([0.9, 0.9, 0.5])
        text = repr(report)
        assert "as good as digital (chance_corrected >= 99 %): holds at 25s, 1h; fails at 1mo" in text
        unknown = repr(report_of([0.9, 0.9, 0.5], chance=float("nan")))
        assert "as good as digital (normalized >= 99 %): holds at 25s, 1h; fails at 1mo" in unknown
        assert "from 25s to 1mo: -0.4000 [-0.4000, -0.4000]" in text
        assert "1mo" in report.to_markdown().splitlines()[-1]
        assert "<td>1mo</td>" in report._repr_html_()

    @pytest.mark.parametrize("kind", ["score", "draws", "uncertainty"])
    @pytest.mark.parametrize("first", [0.0, 25.0])
    def test_plots(self, kind, first):
        plt = pytest.importorskip("matplotlib.pyplot")
        plt.switch_backend("Agg")
        report = report_of([0.9, 0.9, 0.5], times=(first, 3600.0, 2592000.0))
        report.table["rows_se"] = 0.01
        axes = report.plot(kind=kind)
        axes.figure.canvas.draw()
        assert axes.get_xscale() == ("log" if first else "symlog")
        assert [label.get_text() for label in axes.get_xticklabels()] == ["25s" if first else "0s", "1h", "1mo"]
        assert axes.get_xlabel() == "time since programming"
        borders = [
            line.get_ydata()[0] for line in axes.get_lines() if line.get_linestyle() == "-." and len(line.get_ydata())
        ]
        # 99 % of the way from chance, 0.1, to clean, 0.9.
        assert borders == ([pytest.approx(0.892)] if kind == "score" else [])
        # No time is drawn beyond the ends of the axis.
        low, high = axes.get_xlim()
        assert low <= first < 2592000.0 <= high
        plt.close("all")
