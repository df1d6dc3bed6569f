"""Sweeps over time through a periphery: worked by hand, closed forms, and what must not change anything."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor, RidgeClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from analog_eval import PCM, ArrayModel, InputScale, Periphery, TabulatedDevice, drift_sweep

from .conftest import quiet_fit

BARE = {"in_bits": None, "out_bits": None, "out_bound": np.inf, "out_noise": 0.0, "tile_shape": None}
# Exact, and without drift.
STILL = TabulatedDevice(conductances=(0.0, 10.0), programming=(0.0, 0.0))
# Exact, and all conductances fall by t^-0.1.
FALLING = TabulatedDevice(conductances=(0.0, 10.0), programming=(0.0, 0.0), exponent_mean=(0.1, 0.1), t0=1.0)


def by_rows(weights):
    return ArrayModel([np.array(weights)], lambda arrays, X: X @ arrays[0], roles=["kernel"])


def squared_error(weights, X, y, *, periphery, device=STILL, times=0.0, n_draws=1, **settings):
    usual = {"metric": "mse", "random_state": 0, "progress": False}
    return drift_sweep(
        by_rows(weights), np.array(X), y, device=device, periphery=periphery, times=times, n_draws=n_draws,
        **(usual | settings),
    )  # fmt: skip


def models(digits, cancer, diabetes):
    X, y = digits[0][:600], digits[1][:600]
    counts = np.abs(diabetes[1]).round()
    multilabel = np.stack([y > 4, y % 2 == 1], axis=1).astype(int)
    yield "logistic", LogisticRegression(), cancer, None
    yield "scorer", LogisticRegression(), cancer, "roc_auc"
    yield "linear", LinearRegression(), diabetes, "mse"
    yield "poisson", PoissonRegressor(), (diabetes[0], counts), "mse"
    yield "ridge", RidgeClassifier(), (X, y), None
    yield "mlp", MLPClassifier((16,), max_iter=20, random_state=0), (X, y), None
    yield "topk", MLPClassifier((16,), max_iter=20, random_state=0), (X, y), "top_2_accuracy"
    yield "multilabel", MLPClassifier((16,), max_iter=20, random_state=0), (X, multilabel), None
    yield "regressor", MLPRegressor(hidden_layer_sizes=(8, 4), max_iter=20, random_state=0), diabetes, "mse"
    yield "pipeline", make_pipeline(StandardScaler(), LogisticRegression(max_iter=50)), (X, y), None


class TestNothingAdded:
    def test_an_exact_periphery_is_none(self, digits, cancer, diabetes):
        for name, model, (X, y), metric in models(digits, cancer, diabetes):
            fitted = quiet_fit(model, X[:300], y[:300])
            usual = {"metric": metric, "n_draws": 3, "random_state": 0, "progress": False}
            for tile_shape in (None, (5, 7)):
                periphery = Periphery(**(BARE | {"tile_shape": tile_shape}))
                without = drift_sweep(fitted, X[300:], y[300:], **usual)
                through = drift_sweep(fitted, X[300:], y[300:], periphery=periphery, **usual)
                # Rounding moves squared errors in the last digits, and labels not at all.
                tolerance = 1e-9 if metric == "mse" else 0.0
                pd.testing.assert_frame_equal(without.draws, through.draws, rtol=tolerance, atol=0.0, obj=name)
                assert through.clean == without.clean
                assert without.analog_layers == without.digital_layers == ()
                assert through.analog_layers
                assert through.digital_layers == ()

    def test_compensation_of_columns(self, digits):
        X, y = digits[0][:400], digits[1][:400]
        kernel = np.random.default_rng(0).normal(size=(64, 10)) * np.repeat([1.0, 0.5], 5)
        last = ArrayModel([kernel], lambda a, X: X @ a[0], classes=range(10), output_axis=1)
        first = ArrayModel([kernel.T], lambda a, X: (a[0] @ X.T).T, classes=range(10), output_axis=0)
        for model in (last, first):
            usual = {"compensation": "column", "n_draws": 3, "random_state": 0, "progress": False}
            without = drift_sweep(model, X, y, **usual)
            through = drift_sweep(model, X, y, periphery=Periphery.exact(), **usual)
            pd.testing.assert_frame_equal(without.draws, through.draws)
        wrong = ArrayModel([kernel], lambda a, X: X @ a[0], classes=range(10), output_axis=0)
        with pytest.raises(ValueError, match="along another axis than output_axis says"):
            drift_sweep(wrong, X, y, compensation="column", periphery=Periphery(), progress=False)


class TestByHand:
    # Weights 2 and 0.5, so the greatest is 2.
    weights, X = (2.0, 0.5), [[1.0, 0.4], [0.6, -1.0]]

    def test_two_bits_of_inputs(self):
        # Inputs become (1, 0) and (1, -1): outputs 2 and 1.5.
        report = squared_error(self.weights, self.X, [0.0, 0.0], periphery=Periphery(**(BARE | {"in_bits": 2})))
        assert report.table["mean"].item() == pytest.approx((4.0 + 2.25) / 2, rel=1e-12)

    def test_two_bits_of_both(self):
        # Outputs 1 and 0.75 of the greatest weight become 1 and 1, as the bound is 1 and there are two steps.
        settings = BARE | {"in_bits": 2, "out_bits": 2, "out_bound": 1.0, "max_doublings": 0}
        report = squared_error(self.weights, self.X, [0.0, 0.0], periphery=Periphery(**settings))
        assert report.table["mean"].item() == pytest.approx(4.0, rel=1e-12)

    def test_compensation_comes_after_the_converter(self):
        # Conductances fall to 1000^-0.1 = 0.50; steps of 0.5 make exactly 0.5 of it, and the factor makes that up.
        settings = BARE | {"out_bits": 3, "out_bound": 1.5, "max_doublings": 0}
        arguments = {"periphery": Periphery(**settings), "device": FALLING, "times": 999.0}
        left = 1000.0**-0.1
        report = squared_error([3.0], [[2.0]], [0.0], compensation="global", **arguments)
        assert report.table["mean"].item() == pytest.approx((6.0 * 0.5 / left) ** 2, rel=1e-12)
        report = squared_error([3.0], [[2.0]], [0.0], compensation=None, **arguments)
        assert report.table["mean"].item() == pytest.approx((6.0 * 0.5) ** 2, rel=1e-12)

    @pytest.mark.parametrize("bits", [3, 5, 8])
    @pytest.mark.parametrize("where", ["in", "out"])
    def test_variance_of_quantization(self, where, bits):
        # Errors are uniform within half a step: mean square s^2 / 12, whose own variance is s^4 / 180.
        n, step = 20_000, 2.0 / (2**bits - 2)
        settings = {"in": {"in_bits": bits}, "out": {"out_bits": bits, "out_bound": 1.0}}[where]
        periphery = Periphery(**(BARE | settings | {"input_scale": InputScale(1.0)}))
        for seed in range(3):
            x = np.random.default_rng(seed).uniform(-1.0, 1.0, size=(n, 1))
            report = squared_error([1.0], x, x.ravel(), periphery=periphery)
            bound = 4.0 * step**2 / np.sqrt(180.0 * n)
            assert abs(report.table["mean"].item() - step**2 / 12.0) < bound

    def test_noise_of_outputs(self, rng):
        # Of variance (noise * input scale * greatest weight)^2 on every output.
        X, noise, n_draws = rng.normal(size=(500, 6)), 0.05, 40
        weights = rng.normal(size=6)
        periphery = Periphery(**(BARE | {"out_noise": noise}))
        report = squared_error(weights, X, X @ weights, periphery=periphery, n_draws=n_draws)
        variances = (noise * np.abs(X).max(axis=1) * np.abs(weights).max()) ** 2
        spread = np.sqrt(2.0 * (variances**2).sum() / n_draws) / len(X)
        assert abs(report.table["mean"].item() - variances.mean()) < 4.0 * spread


class TestRandomness:
    def test_the_same_noise_at_all_times_and_another_in_every_draw(self, mlp, digits):
        X, y = digits[0][1000:], digits[1][1000:]
        settings = {"periphery": Periphery.standard(), "device": STILL, "random_state": 0, "progress": False}
        report = drift_sweep(mlp, X, y, times=(0, "1h", "1y"), n_draws=6, **settings)
        scores = report.draws.pivot(index="seconds", columns="draw", values="score").to_numpy()
        assert (scores == scores[0]).all()
        assert len(set(scores[0])) > 1

    def test_same_seed_same_numbers_whatever_else_is_asked(self, mlp, digits):
        X, y = digits[0][1000:], digits[1][1000:]
        usual = {"periphery": Periphery.standard(), "progress": False}
        few = drift_sweep(mlp, X, y, times=("1h", "1mo"), n_draws=2, random_state=0, **usual)
        more = drift_sweep(mlp, X, y, times=(0, "1h", 86400, "1mo"), n_draws=4, random_state=0, **usual)
        wide = [report.draws.pivot(index="seconds", columns="draw", values="score") for report in (few, more)]
        pd.testing.assert_frame_equal(wide[0], wide[1].loc[[3600.0, 2592000.0], [0, 1]])
        other = drift_sweep(mlp, X, y, times=("1h", "1mo"), n_draws=2, random_state=1, **usual)
        assert not other.draws.equals(few.draws)
        sources = [np.random.default_rng(5), np.random.default_rng(5)]
        pair = [drift_sweep(mlp, X, y, times="1h", n_draws=2, random_state=source, **usual) for source in sources]
        pd.testing.assert_frame_equal(pair[0].draws, pair[1].draws)

    def test_rows_sent_again_do_not_change_the_noise_of_others(self, rng):
        periphery = Periphery(**(BARE | {"out_noise": 0.1, "out_bound": 2.0}))
        X, W = rng.normal(size=(4, 6)), rng.normal(size=(3, 6))
        calm = periphery.product(X * [[1.0], [1.0], [0.0], [1.0]], W, np.random.default_rng(0))
        mixed = periphery.product(X, W, np.random.default_rng(0))
        np.testing.assert_array_equal(calm[[0, 1, 3]], mixed[[0, 1, 3]])


class TestScales:
    def test_each_layer_has_its_own(self, mlp, digits):
        X, y = digits[0][1000:1200], digits[1][1000:1200]
        settings = BARE | {"in_bits": 4}
        clean = values = X
        for i, (kernel, bias) in enumerate(zip(mlp.coefs_, mlp.intercepts_, strict=True)):
            scale = InputScale.calibrated(clean)
            outputs = (
                Periphery(**settings, input_scale=scale).product(values, kernel.T, np.random.default_rng(i)) + bias
            )
            last = i == len(mlp.coefs_) - 1
            values = outputs if last else np.maximum(outputs, 0.0)
            clean = np.maximum(clean @ kernel + bias, 0.0)
        by_hand = np.mean(values.argmax(axis=1) == y)
        usual = {"periphery": Periphery(**settings), "device": STILL, "n_draws": 1, "progress": False}
        dynamic, first, given = (
            drift_sweep(mlp, X, y, calibration=rows, **usual).draws["score"][0] for rows in (None, "test", X)
        )
        assert first == given == by_hand
        assert dynamic != by_hand

    def test_clipping_is_told_by_layer(self, mlp, digits):
        X, y = digits[0][1000:], digits[1][1000:]
        usual = {"n_draws": 1, "times": "1h", "random_state": 0, "progress": False}
        with pytest.warns(UserWarning, match=r"clipped: \d+\.\d% of coefs_\[0\]'s; calibrate") as caught:
            drift_sweep(mlp, X, y, periphery=Periphery(), calibration=0.3 * X, **usual)
        assert len(caught) == 1
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            drift_sweep(mlp, X, y, periphery=Periphery(), calibration=2.0 * X, **usual)
            drift_sweep(mlp, X, y, periphery=Periphery(), **usual)

    def test_a_layer_without_inputs(self):
        # Nothing but zeros to calibrate by: the scale stays dynamic.
        report = squared_error([1.0], [[2.0]], [2.0], periphery=Periphery.exact(), calibration=[[0.0]])
        assert report.table["mean"].item() == 0.0


class TestArguments:
    def test_that_do_not_fit(self, logistic, cancer, digits):
        X, y = cancer
        for settings, match in (
            ({"calibration": X}, "calibration needs a periphery"),
            ({"calibration": X, "periphery": Periphery(input_scale=InputScale(1.0))}, "both set the input scale"),
            ({"calibration": "train", "periphery": Periphery()}, "calibration='train' is neither 'test' nor rows"),
            ({"calibration": X[:0], "periphery": Periphery()}, "calibration must have rows"),
            (
                {"calibration": (X, y), "periphery": Periphery()},
                "calibration must be rows such as X, without y; got a tuple",
            ),
        ):
            with pytest.raises(ValueError, match=match):
                drift_sweep(logistic, X, y, **settings)
        holed = {value: np.where(np.arange(X.size).reshape(X.shape) == 70, value, X) for value in (np.nan, np.inf)}
        for rows in (holed[np.nan], holed[np.inf], X[:, :3], X[0]):
            with pytest.raises(ValueError, match="calibration does not suit the model"):
                drift_sweep(logistic, X, y, calibration=rows, periphery=Periphery(), progress=False)
        for scale in (1.0, True, InputScale(1.0)):
            with pytest.raises(
                TypeError, match=r"calibration must be rows, 'test', or scales .* input_scale of Periphery"
            ):
                drift_sweep(logistic, X, y, calibration=scale, periphery=Periphery())
        with pytest.raises(TypeError, match="times=b'1d' is not a number of seconds"):
            drift_sweep(logistic, X, y, times=b"1d")
        with pytest.raises(TypeError, match="periphery must be a Periphery or None, got 'standard'"):
            drift_sweep(logistic, X, y, periphery="standard")
        encoded = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression(max_iter=500))
        encoded.fit(digits[0][:300].round(), digits[1][:300])
        for model, rows, labels in ((encoded, digits[0].round(), digits[1]), (logistic, csr_array(X), y)):
            with pytest.raises(TypeError, match="X is sparse where it reaches the model"):
                drift_sweep(model, rows, labels, periphery=Periphery(), progress=False)
        hidden = ArrayModel([np.eye(2)], lambda arrays, X: np.einsum("ij,jk->ik", X, arrays[0])[:, 0])
        with pytest.raises(ValueError, match="not seen to multiply inputs by a whole kernel; it has arrays"):
            drift_sweep(hidden, np.eye(2), [0.5, 1.5], periphery=Periphery(), progress=False)


class TestReport:
    def test_layers_and_settings(self, mlp, digits):
        X, y = digits[0][1000:], digits[1][1000:]
        arrays = {"w": mlp.coefs_[0], "v": mlp.coefs_[1], "u": mlp.coefs_[2]}

        def forward(a, X):
            hidden = np.maximum(X @ a["w"], 0.0)
            return np.maximum(np.einsum("ij,jk->ik", hidden, a["v"]), 0.0) @ a["u"]

        model = ArrayModel(arrays, forward, classes=range(10))
        report = drift_sweep(model, X, y, periphery=Periphery(), times="1h", n_draws=2, random_state=0)
        assert report.analog_layers == ("arrays['w']", "arrays['u']")
        assert report.digital_layers == ("arrays['v']",)
        assert "through the periphery: arrays['w'], arrays['u']; digital: arrays['v']" in repr(report)
        assert report.settings["periphery"] == "Periphery()"
        assert "through the periphery" not in repr(drift_sweep(model, X, y, times="1h", n_draws=2))


class TestNotes:
    """What is analog in part only is told; what is not, is not."""

    def swept(self, model, X, y, **settings):
        usual = {"device": STILL, "times": 0.0, "n_draws": 2, "random_state": 0, "progress": False}
        return drift_sweep(model, X, y, **(usual | {"periphery": Periphery.standard()} | settings))

    @pytest.mark.parametrize("dtype", [float, int])
    def test_a_kernel_used_once_more(self, dtype):
        X = np.random.default_rng(0).normal(size=(30, 3))
        twice, once = np.array([[1, 2, 0], [0, 1, 1], [3, 0, 1]], dtype), np.eye(3, dtype=dtype)
        uses = {
            "product": lambda a, X: X[::-1] @ a.T,
            "shape": lambda a, X: np.ones(a.shape)[0],
            "type": lambda a, X: np.zeros_like(a)[0],
            "slice": lambda a, X: X @ np.asarray(a)[:, :2] @ np.ones((2, 3)),
            "einsum": lambda a, X: np.einsum("ij,kj->ik", X, a),
            "sum": lambda a, X: a.sum(),
        }
        told = {}
        for name, use in uses.items():
            model = ArrayModel([twice, once], lambda a, X, use=use: X @ a[0] @ a[1] + use(a[0], X))
            report = self.swept(model, X, X @ twice)
            assert report.analog_layers == ("arrays[0]", "arrays[1]")
            told[name] = [note for note in report.notes if "outside of products" in note]
        assert [name for name, notes in told.items() if notes] == ["slice", "einsum", "sum"]
        assert told["slice"][0].endswith("exact there: arrays[0]")

    def test_labels_tell_it_too(self):
        X = np.random.default_rng(0).normal(size=(30, 3))
        for use, n_notes in ((lambda a, X: X @ a, 0), (lambda a, X: np.einsum("ij,jk->ik", X, a), 1)):
            model = ArrayModel([np.eye(3)], lambda a, X, use=use: (X @ a[0] + use(a[0], X)).argmax(axis=1))
            notes = self.swept(model, X, X.argmax(axis=1)).notes
            assert sum("outside of products" in note for note in notes) == n_notes

    def test_what_is_told_of_models_that_hide_what_they_do(self):
        rng = np.random.default_rng(0)
        X, K = rng.normal(size=(30, 3)), rng.normal(size=(3, 3))

        def refuses(a, X):
            if not np.allclose(a, K):
                raise ValueError("this is another kernel")
            return X @ a

        forwards = {
            "where": lambda a, X: np.where(a.sum(axis=0) > 0.0, X @ a, 2.0),
            "nan_to_num": lambda a, X: X @ a + np.einsum("ij,jk->ik", X, np.nan_to_num(a)),
            "variance": lambda a, X: X @ a + np.einsum("ij,jk->ik", X**2, np.abs(a)),
            "finite": lambda a, X: X @ a if np.isfinite(a).all() else X,
            "refuses": refuses,
            "scale": lambda a, X: np.round(X @ a / np.abs(a).max() * 127.0) / 127.0 * np.abs(a).max(),
            "random": lambda a, X: X @ a + rng.normal(size=X.shape),
            "random labels": lambda a, X: (X @ a + rng.normal(size=X.shape)).argmax(axis=1),
        }
        told = []
        for name, forward in forwards.items():
            labels = forward(K, X)
            report = self.swept(ArrayModel([K], lambda a, X, forward=forward: forward(a[0], X)), X, labels)
            told += [name] * any("outside of products" in note for note in report.notes)
        assert told == ["where", "nan_to_num", "variance"]

    def test_two_uses_do_not_hide_each_other(self):
        X, kernels = np.eye(3), np.random.default_rng(0).normal(size=(2, 3, 3))
        model = ArrayModel([*kernels], lambda a, X: X @ a[0] + X @ a[1] + X @ np.asarray(a[0]) @ np.asarray(a[1]))
        notes = self.swept(model, X, model.predict(X)).notes
        assert [note.rpartition(": ")[2] for note in notes if "outside of" in note] == ["arrays[0], arrays[1]"]

    def test_scales_that_are_missing(self, mlp, digits):
        X, y = digits[0][1000:1200], digits[1][1000:1200]
        names = ["coefs_[0]", "coefs_[1]", "coefs_[2]"]
        scales = dict.fromkeys(names, 50.0)

        def told(calibration):
            notes = self.swept(mlp, X, y, calibration=calibration).notes
            return [note for note in notes if "input scales" in note]

        assert told(scales) == told(X) == told(None) == []
        del scales["coefs_[1]"]
        assert told(scales) == ["input scales stay dynamic, as calibration gives them none: coefs_[1]"]
        # What was hardened without input ranges has no scales.
        for empty in ({}, pd.Series(dtype=float)):
            assert told(empty) == ["input scales stay dynamic, as calibration gives them none: " + ", ".join(names)]
            assert self.swept(mlp, X, y, calibration=empty).settings["calibration"] == "no scales"
        with pytest.warns(UserWarning, match="were clipped"):
            zeros = told(0.0 * X)
        assert zeros == ["input scales stay dynamic, as all their calibration inputs are 0: coefs_[0]"]


class TestModules:
    @pytest.fixture
    def torch(self):
        return pytest.importorskip("torch")

    def test_the_same_as_the_estimator(self, torch, mlp, digits):
        layers = []
        for kernel, bias in zip(mlp.coefs_, mlp.intercepts_, strict=True):
            layer = torch.nn.Linear(*kernel.shape).double()
            layer.weight.data, layer.bias.data = torch.from_numpy(kernel.T.copy()), torch.from_numpy(bias.copy())
            layers += [layer, torch.nn.ReLU()]
        module = torch.nn.Sequential(*layers[:-1])
        X, y = digits[0][1000:], digits[1][1000:]
        for calibration in (None, X):
            usual = {"device": STILL, "calibration": calibration, "n_draws": 5, "random_state": 0, "progress": False}
            estimator, torchs = (
                drift_sweep(model, X, y, periphery=Periphery.standard(), **usual) for model in (mlp, module)
            )
            pd.testing.assert_frame_equal(estimator.draws, torchs.draws)
            assert estimator.draws["score"].nunique() > 1
        assert torchs.analog_layers == ("0.weight", "2.weight", "4.weight")

    @pytest.mark.parametrize("bad", ["nan", "inf", "columns"])
    def test_calibration_that_does_not_fit(self, torch, digits, bad):
        X, y = digits
        net = torch.nn.Sequential(torch.nn.Linear(64, 8), torch.nn.ReLU(), torch.nn.Linear(8, 10))
        rows = X[:20, :30] if bad == "columns" else X[:20].copy()
        rows[3, 1] = 0.0 if bad == "columns" else float(bad)
        match = "mat1 and mat2" if bad == "columns" else "inputs of 0.weight are NaN or infinite"
        with pytest.raises(ValueError, match=f"calibration does not suit the model: {match}"):
            drift_sweep(net, X, y, calibration=rows, periphery=Periphery(), times=0.0, n_draws=1, progress=False)

    def test_convolutions_and_what_stays_digital(self, torch, digits):
        nn = torch.nn
        torch.manual_seed(0)
        module = nn.Sequential(
            nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(),
            nn.ConvTranspose2d(4, 2, 2, stride=2), nn.Flatten(), nn.Linear(512, 10),
        )  # fmt: skip
        X, y = digits[0][:100], digits[1][:100]
        for compensation in ("global", "column"):
            usual = {"compensation": compensation, "n_draws": 2, "random_state": 0, "progress": False}
            without = drift_sweep(module, X, y, **usual)
            through = drift_sweep(module, X, y, periphery=Periphery.exact(), **usual)
            pd.testing.assert_frame_equal(without.draws, through.draws)
        assert through.analog_layers == ("1.weight", "6.weight")
        assert through.digital_layers == ("2", "4.weight")
        noisy = [drift_sweep(module, X, y, periphery=Periphery.standard(), **usual) for _ in range(2)]
        pd.testing.assert_frame_equal(noisy[0].draws, noisy[1].draws)
        assert not noisy[0].draws.equals(without.draws)

    def test_a_transpose_stays_exact_and_is_told(self, torch, digits):
        class Decoder(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.a, self.b = torch.nn.Linear(10, 64, bias=False), torch.nn.Linear(10, 10)

            def forward(self, x):
                outputs = torch.nn.functional.linear(x, self.a.weight.t())
                self.a(outputs)
                return self.b(outputs)

        X, y = digits[0][:100], digits[1][:100]
        torch.manual_seed(0)
        report = drift_sweep(Decoder(), X, y, periphery=Periphery(), n_draws=2, progress=False)
        assert report.analog_layers == ("a.weight", "b.weight")
        assert [note.rpartition(": ")[2] for note in report.notes if "outside of products" in note] == ["a.weight"]

    def test_no_memory_for_finding_that_out_is_an_error(self, digits):
        # What refuses a kernel in whose place there is another one uses it; what has no memory says nothing of it.
        def forward(error):
            def answer(arrays, X):
                if (arrays["w"].view(np.ndarray) < 0.0).any():
                    raise error
                return X @ arrays["w"]

            return answer

        X, y = digits[0][:20], digits[1][:20] % 3
        usual = {"periphery": Periphery(), "times": 0.0, "n_draws": 1, "progress": False}
        usual |= {"device": TabulatedDevice(conductances=(0.0, 1.0), programming=(0.0, 0.0)), "compensation": None}
        for error in (MemoryError(), MemoryError("Unable to allocate 2.00 GiB"), RuntimeError("out of memory")):
            with pytest.raises(type(error)) as caught:
                drift_sweep(ArrayModel({"w": np.ones((64, 3))}, forward(error), classes=[0, 1, 2]), X, y, **usual)
            assert caught.value is error
        report = drift_sweep(
            ArrayModel({"w": np.ones((64, 3))}, forward(ValueError("sign")), classes=[0, 1, 2]), X, y, **usual
        )
        assert not [note for note in report.notes if "outside of products" in note]

    def test_ordinary_nets_raise_no_alarm(self, torch, digits):
        nn = torch.nn

        class Tied(nn.Module):
            def __init__(self):
                super().__init__()
                self.a, self.b, self.out = nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 10)
                self.b.weight = self.a.weight

            def forward(self, x):
                mask = torch.ones_like(self.a.weight)[0].to(self.a.weight.dtype)
                return self.out(self.b(self.a(x * mask).view(-1, self.a.weight.shape[0])))

        class Recurrent(nn.Module):
            def __init__(self):
                super().__init__()
                self.cells = nn.LSTM(8, 16, batch_first=True)
                self.mixed, self.out = nn.TransformerEncoderLayer(16, 2, 16, batch_first=True), nn.Linear(16, 10)

            def forward(self, x):
                return self.out(self.mixed(self.cells(x.view(-1, 8, 8))[0]).mean(1))

        convolutions = nn.Sequential(
            nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(), nn.Flatten(),
            nn.Linear(144, 10),
        )  # fmt: skip
        X, y = digits[0][:100], digits[1][:100]
        for net in (Tied(), Recurrent(), convolutions):
            report = drift_sweep(net, X, y, periphery=Periphery(), times=0.0, n_draws=2, progress=False)
            assert report.analog_layers
            assert not [note for note in report.notes if "outside of products" in note]

    def test_scales_from_before_remapping(self, torch, digits):
        from analog_eval.training import remap_channels

        X, y = digits
        net = remap_channels(torch.nn.Sequential(torch.nn.Linear(64, 8), torch.nn.ReLU(), torch.nn.Linear(8, 10)))
        for scales, hint in (({"0.weight": 1.0}, True), ({"encoder": 1.0}, False)):
            with pytest.raises(ValueError, match="calibration names") as caught:
                drift_sweep(net, X, y, calibration=scales, periphery=Periphery(), progress=False)
            assert ("Hardened.remapped()" in str(caught.value)) == hint

    def test_rows_of_another_width(self, torch, digits):
        X, y = digits
        net = torch.nn.Sequential(torch.nn.Linear(64, 10))
        with pytest.raises(ValueError, match=r"refuses X of shape \(597, 60\): mat1 and mat2") as caught:
            drift_sweep(net, X[:597, :60], y[:597], progress=False)
        assert isinstance(caught.value.__cause__, RuntimeError)

    @pytest.mark.parametrize("where", ["X", "calibration"])
    @pytest.mark.parametrize("kind", ["accelerator", "cpu"])
    def test_too_little_memory_is_not_the_rows_fault(self, torch, digits, where, kind):
        class Greedy(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = torch.nn.Linear(64, 10)

            def forward(self, x):
                if x.max() > (0.0 if where == "X" else 1e6):
                    if kind == "cpu":
                        torch.empty(2**58, dtype=torch.uint8)
                    raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
                return self.layer(x)

        X, y = digits[0][:100], digits[1][:100]
        rows = None if where == "X" else 1e9 * X
        with pytest.raises(RuntimeError, match="to allocate") as caught:
            drift_sweep(Greedy(), X, y, calibration=rows, periphery=Periphery(), times=0.0, n_draws=1, progress=False)
        assert caught.type is (RuntimeError if kind == "cpu" else torch.cuda.OutOfMemoryError)

    def test_pcm_in_float32(self, torch, digits):
        torch.manual_seed(0)
        module = torch.nn.Sequential(torch.nn.Linear(64, 10))
        X, y = digits[0][:100], digits[1][:100]
        coarse = drift_sweep(module, X, y, device=PCM(), periphery=Periphery(in_bits=2), n_draws=2, progress=False)
        assert coarse.table["mean"].between(0.0, 1.0).all()
