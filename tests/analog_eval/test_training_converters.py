"""Training through converters: the products of the sweeps, gradients by hand, and input scales that are learned."""

from __future__ import annotations

import gc
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analog_eval import InputScale, Periphery, TabulatedDevice, drift_sweep

torch = pytest.importorskip("torch")
nn = torch.nn

from analog_eval.training import AddNormal, InputRanges, Recipe, harden, remap_channels  # noqa: E402
from analog_eval.training.converters import converted  # noqa: E402


class Thrice(Recipe):
    def perturb(self, weights, clean, output_axis, generator):
        return 3.0 * weights


QUIET = Periphery(out_noise=0.0)
BARE = Periphery.exact()
# Exact, and without drift.
STILL = TabulatedDevice(conductances=(0.0, 10.0), programming=(0.0, 0.0))


def by_torch(X, W, periphery, *, seed=0, peak=None, scale=None):
    generator = torch.Generator().manual_seed(seed)
    peak = float(W.detach().abs().max()) if peak is None else peak
    return converted(X, W, periphery, peak, generator, scale)


def random_pair(rng, n_rows=6, n_outputs=5, n_inputs=7):
    X, W = rng.normal(size=(n_rows, n_inputs)), rng.normal(size=(n_outputs, n_inputs))
    X[0] = 0.0
    return torch.tensor(X), torch.tensor(W)


class TestProducts:
    @pytest.mark.parametrize(
        "periphery",
        [
            BARE,
            QUIET,
            replace(QUIET, tile_shape=(2, 3)),
            replace(QUIET, in_bits=2, out_bits=3, out_bound=0.5),
            replace(QUIET, out_bound=0.3, max_doublings=0),
            replace(QUIET, out_bound=0.3, max_doublings=2),
            replace(QUIET, input_scale=InputScale(0.7), tile_shape=(3, 4)),
            replace(QUIET, in_bits=None, out_bits=None, ir_drop=400.0),
            replace(Periphery.standard(), out_noise=0.0, read_noise=0.0, ir_drop=50.0),
        ],
        ids=repr,
    )
    def test_without_noise_they_are_those_of_the_sweeps(self, periphery, rng):
        X, W = random_pair(rng)
        for peak in (None, 3.7):
            sweeps = periphery.unchecked_product(
                X.numpy(), W.numpy(), rng, float(W.abs().max()) if peak is None else peak
            )
            assert np.allclose(by_torch(X, W, periphery, peak=peak).numpy(), sweeps, rtol=0, atol=1e-12)

    def test_noise_has_the_spread_of_the_sweeps(self, rng):
        """Variances of 4,000 products each, whose ratio has an F distribution, but for rounding."""
        X, W = random_pair(rng, n_rows=1)
        X, n = X + 0.5, 4000
        rows = X.repeat(n, 1)
        for name, value in (("in_noise", 0.1), ("out_noise", 0.3), ("read_noise", 0.2)):
            periphery = replace(BARE, **{name: value})
            ours = by_torch(rows, W, periphery).numpy()
            sweeps = periphery.product(rows.numpy(), W.numpy(), rng)
            ratio = ours.var(axis=0, ddof=1) / sweeps.var(axis=0, ddof=1)
            low, high = stats.f.ppf([1e-5, 1 - 1e-5], n - 1, n - 1)
            assert low < ratio.min() <= ratio.max() < high, name
            assert np.abs(ours.mean(axis=0) - (X @ W.T).numpy()).max() < 5 * ours.std(axis=0).max() / np.sqrt(n)

    def test_noise_is_new_for_every_tile(self):
        """Two tiles of the same rows and weights would else err alike, and their sum four times as much in variance."""
        X, W = torch.ones(4000, 2, dtype=torch.float64), torch.ones(1, 2, dtype=torch.float64)
        errors = by_torch(X, W, replace(BARE, out_noise=1.0, tile_shape=(1, 1))) - 2.0
        assert abs(float(errors.var()) / 2.0 - 1.0) < 5 * np.sqrt(2 / 4000)

    def test_all_zero_kernels_and_rows(self):
        X, W = torch.zeros(3, 4), torch.zeros(2, 4)
        assert not by_torch(X + 1.0, W, Periphery()).any()
        assert not by_torch(X, W + 1.0, QUIET).any()
        assert by_torch(torch.zeros(0, 4), W + 1.0, Periphery()).shape == (0, 2)


class TestGradients:
    def test_where_nothing_is_rounded_they_are_those_of_the_function(self, rng):
        X, W = random_pair(rng)
        periphery = replace(BARE, ir_drop=400.0, input_scale=InputScale(10.0), tile_shape=(3, 4))
        function = lambda x, w: by_torch(x, w, periphery, peak=2.0)  # noqa: E731
        assert torch.autograd.gradcheck(function, (X.requires_grad_(), W.requires_grad_()))

    def test_rounding_is_the_identity_and_what_it_rounds_to_meets_the_weights(self):
        """Two bits know -1, 0 and 1: 0.4 goes to 0, 0.8 to 1, in units of the row's greatest."""
        X = torch.tensor([[2.0, 0.8, 1.6]], requires_grad=True)
        W = torch.tensor([[1.0, -3.0, 2.0]], requires_grad=True)
        output = by_torch(X, W, replace(BARE, in_bits=2))
        assert output.item() == pytest.approx(6.0)
        output.backward()
        assert X.grad.tolist() == [[pytest.approx(1.0), pytest.approx(-3.0), pytest.approx(2.0)]]
        assert W.grad.tolist() == [[pytest.approx(2.0), 0.0, pytest.approx(2.0)]]

    def test_of_a_range_by_hand(self):
        """Range 2: 5 is clipped (gradient 1), -3 too (-1), 0.8 rounds 0.4 to 0 (-0.4), 1.2 rounds 0.6 to 1 (0.4)."""
        X = torch.tensor([[5.0, -3.0, 0.8, 1.2]])
        for column, expected in enumerate((1.0, -1.0, -0.4, 0.4)):
            scale = torch.tensor(2.0, requires_grad=True)
            W = torch.eye(4)[[column]]
            by_torch(X, W, replace(BARE, in_bits=2), scale=scale).backward()
            assert scale.grad.item() == pytest.approx(expected, abs=1e-6)

    def test_outputs_that_saturate_have_none(self):
        X, W = torch.tensor([[1.0, 1.0], [1.0, -0.5]], requires_grad=True), torch.ones(1, 2)
        output = by_torch(X, W, replace(BARE, out_bound=1.0, max_doublings=0))
        assert output.flatten().tolist() == [1.0, 0.5]
        output.sum().backward()
        assert X.grad.tolist() == [[0.0, 0.0], [1.0, 1.0]]

    def test_noise_of_reading_a_row_of_zeros_leaves_them_finite(self):
        X = torch.zeros(1, 2, requires_grad=True)
        by_torch(X, torch.ones(1, 2), replace(BARE, read_noise=1.0)).sum().backward()
        assert torch.isfinite(X.grad).all()


def rows_and_labels(rng, n_rows=120):
    X = rng.normal(size=(n_rows, 6))
    return X, (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)


def perceptron(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).double()


def images(seed=0):
    torch.manual_seed(seed)
    parts = [nn.Unflatten(1, (2, 3)), nn.Conv1d(2, 4, 2, padding=1, groups=2), nn.ReLU(), nn.Flatten()]
    return nn.Sequential(*parts, nn.Linear(16, 3)).double()


USUAL = {"epochs": 3, "batch_size": 20, "learning_rate": 0.01, "random_state": 0, "progress": False}


class TestHarden:
    @pytest.mark.parametrize("make", [perceptron, images])
    def test_an_exact_periphery_is_none(self, make, rng):
        X, y = rows_and_labels(rng)
        for options in ({"recipe": None}, {"recipe": AddNormal(0.1), "validation": 0.2}):
            plain = harden(make(), X, y, **options, **USUAL)
            exact = harden(make(), X, y, **options, periphery=BARE, **USUAL)
            for a, b in zip(plain.model.parameters(), exact.model.parameters(), strict=True):
                assert torch.allclose(a, b, rtol=0, atol=1e-9)
            if "validation" in options:
                np.testing.assert_allclose(exact.history["noisy_loss"], plain.history["noisy_loss"], atol=1e-9)
            assert plain.input_scales == exact.input_scales == {}

    def test_a_step_goes_through_the_converters(self, rng):
        """One step of plain descent of a linear layer on rows of signs, by hand."""
        X, y = rng.normal(size=(20, 3)), rng.normal(size=20)
        layer = nn.Linear(3, 1).double()
        w, b = layer.weight.detach().numpy()[0].copy(), layer.bias.item()
        sgd = lambda parameters: torch.optim.SGD(parameters, lr=0.1)  # noqa: E731
        coarse = replace(BARE, in_bits=2, input_scale=InputScale(1.0))
        done = harden(
            layer, X, y, recipe=None, periphery=coarse, loss="mse", optimizer=sgd, epochs=1, batch_size=20,
            progress=False,
        )  # fmt: skip
        seen = np.clip(np.round(X), -1, 1)
        residuals = seen @ w + b - y
        assert np.allclose(done.model.weight.detach().numpy()[0], w - 0.1 * 2 / 20 * seen.T @ residuals, rtol=1e-12)
        assert np.isclose(done.history.loc[1, "train_loss"], (residuals**2).mean(), rtol=1e-12)

    def test_the_greatest_clean_weight_is_the_unit_of_outputs(self, rng):
        """A recipe makes weights three times as large; outputs are read in steps of the clean ones all the same."""
        X, y = rng.normal(size=(20, 3)), rng.normal(size=20)
        layer = nn.Linear(3, 1).double()
        w, b = layer.weight.detach().numpy()[0].copy(), layer.bias.item()
        coarse = replace(BARE, out_bits=3, out_bound=1.5, max_doublings=0, input_scale=InputScale(4.0))
        done = harden(layer, X, y, recipe=Thrice(), periphery=coarse, loss="mse", epochs=1, batch_size=20)
        unit, step = 4.0 * np.abs(w).max(), 0.5
        read = np.clip(np.round(3 * (np.clip(X, -4, 4) @ w) / unit / step) * step, -1.5, 1.5) * unit
        assert np.isclose(done.history.loc[1, "train_loss"], ((read + b - y) ** 2).mean(), rtol=1e-12)

    def test_the_unit_is_the_whole_kernels_also_of_a_weak_group(self, rng):
        torch.manual_seed(0)
        layer = nn.Conv1d(2, 2, 1, groups=2, bias=False).double()
        with torch.no_grad():
            layer.weight.copy_(torch.tensor([2.0, 0.1])[:, None, None])
        X = rng.normal(size=(30, 2, 1))
        y = np.zeros((30, 2))
        coarse = replace(BARE, out_bits=4, input_scale=InputScale(3.0), out_bound=1.0, max_doublings=0)
        module = nn.Sequential(layer, nn.Flatten())
        done = harden(module, X, y, recipe=None, periphery=coarse, loss="mse", epochs=1, batch_size=30)
        read = np.stack(
            [coarse.unchecked_product(X[:, i], np.array([[w]]), rng, 2.0)[:, 0] for i, w in enumerate((2.0, 0.1))]
        )
        assert np.isclose(done.history.loc[1, "train_loss"], (read**2).mean(), rtol=1e-12)

    def test_weights_are_validated_with_the_same_noise_however_often_rows_are_sent(self, rng):
        """Converters that re-send draw more numbers; the noise of weights is the same in every epoch all the same."""
        X, y = rows_and_labels(rng)
        seen = []

        class Noted(Recipe):
            def perturb(self, weights, clean, output_axis, generator):
                noise = torch.empty_like(clean).normal_(generator=generator)
                seen.append(noise.flatten()[0].item())
                return weights + 0.05 * noise

        periphery = replace(Periphery(), out_bound=0.5)
        harden(
            perceptron(), X, y, recipe=Noted(), periphery=periphery, validation=0.25, n_draws=3,
            **USUAL | {"epochs": 2, "batch_size": 90, "learning_rate": 0.3},
        )  # fmt: skip
        # Two kernels: three draws of validation, then one batch and three draws for each of two epochs.
        draws = [seen[start : start + 6] for start in (0, 8, 16)]
        assert draws[0] == draws[1] == draws[2]

    def test_autocast_inside_the_module(self, rng):
        X, y = rows_and_labels(rng)

        class Cast(nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = perceptron().float()

            def forward(self, rows):
                with torch.autocast("cpu", torch.bfloat16):
                    return self.inner(rows)

        done = harden(Cast(), X, y, periphery=Periphery(), input_ranges=InputRanges(), **USUAL)
        assert np.isfinite(done.history["train_loss"]).all()

    def test_inputs_that_are_all_zero(self, rng):
        X, y = rows_and_labels(rng)
        done = harden(nn.Linear(6, 3), 0 * X, y, periphery=Periphery(), input_ranges=InputRanges(), **USUAL)
        assert done.input_scales == {}

    def test_a_model_that_refuses_the_first_rows_leaves_random_state_alone(self, rng):
        X, y = rows_and_labels(rng)
        model, state = nn.Linear(5, 3).double(), torch.get_rng_state()
        with pytest.raises(RuntimeError, match="shapes") as caught:
            harden(model, X, y, periphery=Periphery(), **USUAL)
        assert torch.equal(state, torch.get_rng_state())
        torch.rand(3)
        after = torch.get_rng_state()
        del caught
        gc.collect()
        assert torch.equal(after, torch.get_rng_state())

    def test_rows_of_validation_survive_modules_that_write_to_them(self, rng):
        X, y = rows_and_labels(rng)

        class Doubling(nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = perceptron()

            def forward(self, rows):
                return self.inner(rows.mul_(2.0))

        still = lambda parameters: torch.optim.SGD(parameters, lr=0.0)  # noqa: E731
        options = {"recipe": None, "validation": 0.3, "optimizer": still, "epochs": 3, "progress": False}
        done = harden(Doubling(), X, y, **options)
        assert done.history["clean_loss"].nunique() == 1

    def test_ranges_start_at_the_root_mean_square(self, rng):
        X, y = rows_and_labels(rng)
        first = 1.7 * X / np.sqrt((X**2).mean())
        options = USUAL | {"batch_size": 120, "epochs": 1}
        model = perceptron()
        for sigmas, expected in ((1.0, 1.7), (2.0, 3.4), (100.0, np.abs(first).max())):
            ranges = InputRanges(sigmas=sigmas, learning_rate=1e-12)
            done = harden(model, first, y, recipe=None, periphery=QUIET, input_ranges=ranges, **options)
            assert list(done.input_scales) == ["0.weight", "2.weight"]
            assert done.input_scales["0.weight"] == pytest.approx(expected)

    @pytest.mark.parametrize("sigmas", [0.1, 100.0])
    def test_ranges_move_to_where_the_loss_is_less(self, sigmas, rng):
        """From far too small they grow; from the greatest input, with three bits, they shrink."""
        X, y = rows_and_labels(rng, 600)
        options = USUAL | {"epochs": 20, "batch_size": 50, "learning_rate": 0.02, "recipe": None, "validation": 0.3}
        common = {"periphery": Periphery(in_bits=3, out_bits=8, out_noise=0.0), **options}
        losses, scales = [], []
        for rate in (1e-12, 0.1):
            done = harden(perceptron(), X, y, input_ranges=InputRanges(sigmas, rate), **common)
            losses.append(done.history["noisy_loss"].min())
            scales.append(done.input_scales["0.weight"])
        assert losses[1] < 0.5 * losses[0]
        assert (scales[1] > 2.0 * scales[0]) if sigmas < 1.0 else (scales[1] < 0.5 * scales[0])

    def test_layers_without_inputs_learn_no_range(self, rng):
        X, y = rows_and_labels(rng)
        model = perceptron()
        with torch.no_grad():
            model[0].bias.fill_(-1e6)
        done = harden(model, X, y, recipe=None, periphery=Periphery(), input_ranges=InputRanges(), **USUAL)
        assert list(done.input_scales) == ["0.weight"]

    def test_scales_are_those_of_the_best_epoch(self, rng):
        """A run that stops at the best epoch has them at its end."""
        X, y = rows_and_labels(rng)
        options = USUAL | {"epochs": 8, "learning_rate": 4.0, "schedule": "constant"}
        common = {"periphery": Periphery(in_bits=3), "input_ranges": InputRanges(learning_rate=0.1)}
        done = harden(perceptron(), X, y, validation=0.3, **common, **options)
        assert 0 < done.best_epoch < 8
        short = harden(perceptron(), X, y, validation=0.3, **common, **options | {"epochs": done.best_epoch})
        assert short.best_epoch == done.best_epoch
        assert short.input_scales == done.input_scales

    def test_seeds_modes_and_loaders(self, rng):
        X, y = rows_and_labels(rng)
        model = nn.Sequential(nn.BatchNorm1d(6), nn.Dropout(0.3), perceptron(), nn.Dropout(0.1)).double()
        model[0].eval()
        common = USUAL | {"periphery": Periphery(), "input_ranges": InputRanges()}
        state = torch.get_rng_state()
        runs = [harden(model, X, y, **common) for _ in range(2)]
        assert runs[0].input_scales == runs[1].input_scales
        assert all(map(torch.equal, runs[0].model.parameters(), runs[1].model.parameters()))
        assert [part.training for part in runs[0].model.modules()] == [part.training for part in model.modules()]
        batches = torch.utils.data.DataLoader(list(zip(X, y, strict=True)), batch_size=20, shuffle=True)
        loaded = [harden(model, batches, **common) for _ in range(2)]
        assert loaded[0].input_scales == loaded[1].input_scales
        assert torch.equal(state, torch.get_rng_state())

    @pytest.mark.parametrize("flat", [True, False])
    def test_uses_that_stay_exact_are_told(self, flat, rng):
        class Tied(nn.Module):
            def __init__(self, tied):
                super().__init__()
                self.encoder, self.decoder, self.tied = nn.Linear(4, 3), nn.Linear(3, 4), tied

            def forward(self, x):
                hidden = self.encoder(x)
                if self.tied:
                    hidden = nn.functional.linear(hidden, self.encoder.weight.t())
                    hidden = hidden[:, :3]
                outputs = self.decoder(hidden)
                return outputs if flat else outputs[:, None]

        X = rng.normal(size=(40, 4))
        options = {"loss": lambda o, y: ((o.flatten(1) - y) ** 2).mean(1), "epochs": 1, "progress": False}
        for tied in (True, False):
            result = harden(Tied(tied), X, X, periphery=Periphery(), random_state=0, **options)
            # Modules that sweeps do not take are trained, but not looked into.
            told = ["encoder.weight"] if tied and flat else []
            assert [note.rpartition(": ")[2] for note in result.notes] == told
            assert ("note: used outside" in repr(result)) == bool(told)
        assert harden(Tied(True), X, X, random_state=0, **options).notes == ()

    def test_a_module_that_asserts_on_few_rows_is_trained(self, rng):
        class Many(nn.Sequential):
            def forward(self, x):
                assert len(x) != 16
                return super().forward(x)

        X, y = rows_and_labels(rng)
        assert harden(Many(*perceptron()), X, y, periphery=Periphery(), **USUAL).notes == ()

    def test_remapped_channels(self, rng):
        X, y = rows_and_labels(rng)
        done = harden(remap_channels(perceptron()), X, y, periphery=Periphery(), input_ranges=InputRanges(), **USUAL)
        assert list(done.input_scales) == ["0.product.weight", "2.product.weight"]
        after = harden(perceptron(), X, y, periphery=Periphery(), input_ranges=InputRanges(), **USUAL)
        assert list(after.remapped().input_scales.items()) == [
            (name.replace("weight", "product.weight"), scale) for name, scale in after.input_scales.items()
        ]
        settings = {"times": "1h", "n_draws": 2, "progress": False, "random_state": 0, "periphery": Periphery()}
        with pytest.raises(ValueError, match=r"the kernels of the model are .*Hardened\.remapped\(\)"):
            drift_sweep(after.remapped().model, X, y, calibration=after.input_scales, **settings)
        report = drift_sweep(done.model, X, y, calibration=done.input_scales, **settings)
        assert report.analog_layers == ("0.product.weight", "2.product.weight")

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"input_ranges": InputRanges()}, ValueError, "input_ranges needs a periphery"),
            ({"input_ranges": 3.0, "periphery": Periphery()}, TypeError, "input_ranges must be"),
            ({"periphery": "standard"}, TypeError, "periphery must be a Periphery"),
            (
                {"periphery": Periphery(input_scale=InputScale(1.0)), "input_ranges": InputRanges()},
                ValueError,
                "both set the input scale",
            ),
        ],
    )
    def test_arguments_that_make_no_sense(self, options, error, message, rng):
        X, y = rows_and_labels(rng)
        with pytest.raises(error, match=message):
            harden(perceptron(), X, y, **options, **USUAL)

    def test_models_whose_products_are_not_seen(self, rng):
        X, y = rows_and_labels(rng)

        class Own(nn.Module):
            def __init__(self):
                super().__init__()
                self.weight = nn.Parameter(torch.ones(6, 3, dtype=torch.float64))

            def forward(self, rows):
                return rows @ self.weight

        with pytest.raises(ValueError, match="not seen to multiply inputs by a whole kernel; it has weight"):
            harden(Own(), X, y, periphery=Periphery(), **USUAL)

    @pytest.mark.parametrize("name", ["sigmas", "learning_rate"])
    def test_settings_of_ranges(self, name):
        for value, error in ((0.0, ValueError), (-1.0, ValueError), (np.nan, ValueError), ("3", TypeError)):
            with pytest.raises(error, match=name):
                InputRanges(**{name: value})


class TestScalesByName:
    def test_they_are_the_input_scales_of_the_layers(self, rng):
        X, y = rows_and_labels(rng)
        model = nn.Linear(6, 3).double()
        settings = {"device": STILL, "times": 0.0, "n_draws": 2, "progress": False, "random_state": 0}
        coarse = Periphery(in_bits=3)
        given = drift_sweep(model, X, y, periphery=coarse, calibration={"weight": 1.3}, **settings)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fixed = drift_sweep(model, X, y, periphery=replace(coarse, input_scale=InputScale(1.3)), **settings)
        assert given.draws.equals(fixed.draws)
        series = drift_sweep(model, X, y, periphery=coarse, calibration=pd.Series({"weight": 1.3}), **settings)
        assert given.draws.equals(series.draws)
        assert given.settings["calibration"] == series.settings["calibration"] == "weight 1.3"
        dynamic = drift_sweep(model, X, y, periphery=coarse, **settings)
        assert drift_sweep(model, X, y, periphery=coarse, calibration={}, **settings).draws.equals(dynamic.draws)
        assert not given.draws.equals(dynamic.draws)

    def test_what_is_clipped_on_purpose_warns_nobody(self, rng):
        X, y = rows_and_labels(rng)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            drift_sweep(nn.Linear(6, 3).double(), X, y, periphery=Periphery(), calibration={"weight": 0.1}, n_draws=2)

    @pytest.mark.parametrize("scale", [0.0, -1.0, np.inf, np.nan, "1", True, None])
    def test_bad_scales(self, scale, rng):
        X, y = rows_and_labels(rng)
        with pytest.raises(ValueError, match=r"calibration\['weight'\]"):
            drift_sweep(nn.Linear(6, 3).double(), X, y, periphery=Periphery(), calibration={"weight": scale})

    def test_unknown_names(self, rng):
        X, y = rows_and_labels(rng)
        with pytest.raises(ValueError, match=r"names \['0.weight'\], but the kernels of the model are \['weight'\]"):
            drift_sweep(nn.Linear(6, 3).double(), X, y, periphery=Periphery(), calibration={"0.weight": 1.0})
